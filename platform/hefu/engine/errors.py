"""What can go wrong in the engine.

EngineError
├─ ChannelError          between us and `peer`
│  ├─ PeerAborted        the peer stopped the computation and gave `reason`
│  ├─ PeerLost           the connection broke without a word
│  ├─ PeerTimeout        nothing moved for too long, or the deadline passed
│  ├─ FrameInvalid       garbage, oversize, truncated, or of an unexpected kind or length
│  ├─ HelloInvalid       the peer speaks of another session, job or contract, or is someone else
│  ├─ PlanMismatch       the peer entered the same session with other sizes or options
│  └─ TranscriptMismatch the two ends of a channel saw different bytes
├─ SessionError
│  ├─ SessionInvalid     a hello is malformed, repeated, or not the one that we sent
│  └─ LabelReused        one label would give the same randomness twice
├─ InputInvalid          rows or shares that don't fit together
└─ ResultInvalid         halves that don't belong together or don't open to anything sensible
   └─ HalfInvalid        bytes that are no half
"""


class EngineError(Exception):
    """Anything that ends a computation."""

    code = "engine_error"


class ChannelError(EngineError):
    """A failure on the channel to `peer`."""

    code = "channel_error"

    def __init__(self, peer: str, message: str) -> None:
        super().__init__(f"{peer}: {message}")
        self.peer = peer
        self.message = message


class PeerAborted(ChannelError):
    """The peer stopped the computation; `reason` is its own word, cut to printable ASCII."""

    code = "peer_aborted"

    def __init__(self, peer: str, reason: str) -> None:
        super().__init__(peer, f"aborted: {reason}")
        self.reason = reason


class PeerLost(ChannelError):
    """The connection broke without a word."""

    code = "peer_lost"


class PeerTimeout(ChannelError):
    """Nothing moved for too long, or the deadline passed."""

    code = "peer_timeout"


class FrameInvalid(ChannelError):
    """Garbage, oversize, truncated, or of an unexpected kind or length."""

    code = "frame_invalid"


class HelloInvalid(ChannelError):
    """The peer speaks of another session, job or contract, or is someone else."""

    code = "hello_invalid"


class PlanMismatch(ChannelError):
    """The peer entered the same session with other sizes or options."""

    code = "plan_mismatch"


class TranscriptMismatch(ChannelError):
    """The two ends of a channel saw different bytes."""

    code = "transcript_mismatch"


class SessionError(EngineError):
    """The session cannot be made, or must not be used like this."""

    code = "session_error"


class SessionInvalid(SessionError):
    """A hello is malformed, repeated, or not the one that we sent."""

    code = "session_invalid"


class LabelReused(SessionError):
    """One label would give the same randomness twice."""

    code = "label_reused"


class InputInvalid(EngineError):
    """Rows or shares that don't fit together."""

    code = "input_invalid"


class ResultInvalid(EngineError):
    """Halves that don't belong together or don't open to anything sensible."""

    code = "result_invalid"


class HalfInvalid(ResultInvalid):
    """Bytes that are no half."""

    code = "half_invalid"
