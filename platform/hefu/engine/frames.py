"""One end of a channel between two parties: frames, hellos, aborts, transcripts.

A frame is 8 bytes of header (kind: 1 byte, length: 7 bytes, big-endian) and a payload. The first frame of each side is
a hello; both must speak of the same session, job and contract. An abort frame carries a short reason and ends the
channel. Every data and hello frame goes, header and payload, into a running BLAKE3 per direction: the two ends'
transcripts must agree. Semi-honest peers are assumed for the protocols, nothing at all for the frames: whatever
arrives, a receiver allocates no more than it expects and leaves with a ChannelError.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from hefu.engine.errors import EngineError, FrameInvalid, HelloInvalid, PeerAborted, TranscriptMismatch
from hefu.engine.session import encode

DATA: Final = 0
HELLO: Final = 1
ABORT: Final = 2

HEADER_BYTES: Final = 8
DEFAULT_MAX_FRAME_BYTES: Final = 1 << 30
MAX_REASON_BYTES: Final = 256
LINGER_SECONDS: Final = 1.0
_MAX_HELLO_BYTES: Final = 4096

Payload = bytes | bytearray | memoryview | NDArray[Any]


def as_view(data: Payload) -> memoryview:
    """A flat byte view of bytes or of a C-contiguous array."""
    if isinstance(data, np.ndarray):
        if not data.flags.c_contiguous:
            raise ValueError("only C-contiguous arrays travel")
        return data.reshape(-1).view(np.uint8).data
    return memoryview(data).cast("B")


def clean_reason(reason: bytes) -> str:
    """A peer's reason, printable ASCII only."""
    return "".join(chr(c) if 32 <= c < 127 else "?" for c in reason[:MAX_REASON_BYTES])


@dataclass(frozen=True, slots=True)
class ChannelHello:
    """Who speaks to whom, and about what."""

    session_id: bytes
    job_id: str
    contract_digest: bytes
    sender: str
    recipient: str

    def to_bytes(self) -> bytes:
        """Length-prefixed fields."""
        return encode(
            b"hefu channel v1",
            self.session_id,
            self.job_id.encode(),
            self.contract_digest,
            self.sender.encode(),
            self.recipient.encode(),
        )

    def answer(self) -> ChannelHello:
        """What the peer must say."""
        return ChannelHello(self.session_id, self.job_id, self.contract_digest, self.recipient, self.sender)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What one end of a channel has seen; digests are BLAKE3, 256 bits, in hex."""

    sent: str
    received: str
    bytes_sent: int
    bytes_received: int
    rounds: int

    def agrees_with(self, other: Transcript) -> bool:
        """Whether `other` can be the far end of the same channel."""
        return (self.sent, self.received) == (other.received, other.sent)


class Channel(ABC):
    """One end of a connection to `peer`. Not for use by several threads at once."""

    def __init__(self, peer: str, *, timeout_seconds: float, max_frame_bytes: int) -> None:
        self.peer = peer
        self.timeout_seconds = timeout_seconds
        self.max_frame_bytes = max_frame_bytes
        self.deadline: float | None = None
        self.closed = False
        self._greeted = False
        self._sent = blake3()
        self._received = blake3()
        self._bytes_sent = 0
        self._bytes_received = 0
        self._rounds = 0

    # What an implementation provides.

    @abstractmethod
    def _transfer(self, outgoing: list[memoryview], incoming: Incoming | None) -> None:
        """Send all of `outgoing` while receiving one frame into `incoming`; raises ChannelError."""

    def _transfer_across(self, outgoing: list[memoryview], source: Channel, incoming: Incoming) -> None:
        """Send all of `outgoing` here while receiving one frame from `source`; raises ChannelError."""
        self._transfer(outgoing, None)
        source._transfer([], incoming)

    @abstractmethod
    def _last_word(self, frame: bytes) -> None:
        """Try to send the abort frame, briefly, and close for writing."""

    @abstractmethod
    def close(self, linger_seconds: float = 0.0) -> None:
        """Release the connection, after giving the peer up to this long to read our last word."""

    # What protocols use.

    def handshake(self, mine: ChannelHello) -> None:
        """Exchange hellos; raises HelloInvalid unless the peer's is the exact answer to ours."""
        expected = mine.answer().to_bytes()
        incoming = Incoming(self, HELLO, None, _MAX_HELLO_BYTES)
        self._move(HELLO, mine.to_bytes(), incoming)
        if bytes(incoming.payload) != expected:
            raise HelloInvalid(self.peer, "speaks of another session, job or contract, or is another party")
        self._greeted = True

    def send(self, data: Payload) -> None:
        """Send one frame; returns when it is handed to the connection."""
        self._require_greeting()
        self._move(DATA, data, None)

    def recv(self, max_bytes: int) -> bytes:
        """Receive one frame of at most `max_bytes`."""
        self._require_greeting()
        incoming = Incoming(self, DATA, None, max_bytes)
        self._move(None, b"", incoming)
        return bytes(incoming.payload)

    def recv_into(self, out: NDArray[Any]) -> None:
        """Receive one frame that fills the array exactly."""
        self._require_greeting()
        self._move(None, b"", Incoming(self, DATA, as_view(out), 0))

    def exchange(self, data: Payload, out: NDArray[Any]) -> None:
        """Send while receiving into `out`: two parties with full buffers don't wait for each other."""
        self._require_greeting()
        self._move(DATA, data, Incoming(self, DATA, as_view(out), 0))

    def shift(self, data: Payload, source: Channel, out: NDArray[Any]) -> None:
        """Send here while receiving from another peer into `out`: a ring of parties moves at once, none waits for another."""
        self._require_greeting()
        source._require_greeting()
        outgoing = self._frame(DATA, data)
        incoming = Incoming(source, DATA, as_view(out), 0)
        self._transfer_across(outgoing, source, incoming)
        self._count_sent(outgoing)
        source._count_received(incoming)

    def say_abort(self, reason: str) -> None:
        """First half of `abort`: send the reason, as far as the connection still allows."""
        if not self.closed:
            payload = reason.encode("ascii", "replace")[:MAX_REASON_BYTES]
            self._last_word(_header(ABORT, len(payload)) + payload)

    def abort(self, reason: str) -> None:
        """Tell the peer why and end the channel."""
        self.say_abort(reason)
        self.close(LINGER_SECONDS)

    def transcript(self) -> Transcript:
        """Digests and counters so far."""
        return Transcript(
            self._sent.hexdigest(),
            self._received.hexdigest(),
            self._bytes_sent,
            self._bytes_received,
            self._rounds,
        )

    def verify_transcript(self) -> Transcript:
        """Compare transcripts with the peer; raises TranscriptMismatch. Returns ours as it was compared."""
        mine = self.transcript()
        theirs = np.zeros(64, dtype=np.uint8)
        self.exchange(bytes.fromhex(mine.sent + mine.received), theirs)
        if theirs.tobytes() != bytes.fromhex(mine.received + mine.sent):
            raise TranscriptMismatch(self.peer, "the two ends of the channel saw different bytes")
        return mine

    def seconds_left(self, last_progress: float) -> float:
        """How long to wait before giving up: the idle limit or the deadline, whichever is first."""
        left = last_progress + self.timeout_seconds - time.monotonic()
        if self.deadline is not None:
            left = min(left, self.deadline - time.monotonic())
        return left

    def _require_greeting(self) -> None:
        if not self._greeted:
            raise EngineError(f"the channel to {self.peer} carries nothing before its hello")

    def _move(self, kind: int | None, data: Payload, incoming: Incoming | None) -> None:
        outgoing = [] if kind is None else self._frame(kind, data)
        self._transfer(outgoing, incoming)
        self._count_sent(outgoing)
        if incoming is not None:
            self._count_received(incoming)

    def _frame(self, kind: int, data: Payload) -> list[memoryview]:
        view = as_view(data)
        if len(view) > self.max_frame_bytes:
            raise FrameInvalid(self.peer, f"our own frame of {len(view)} bytes is over the limit")
        header = _header(kind, len(view))
        return [memoryview(header + view)] if len(view) <= 1 << 14 else [memoryview(header), view]

    def _count_sent(self, outgoing: list[memoryview]) -> None:
        for part in outgoing:
            self._sent.update(part)
            self._bytes_sent += len(part)

    def _count_received(self, incoming: Incoming) -> None:
        self._received.update(incoming.header)
        self._received.update(incoming.payload)
        self._bytes_received += HEADER_BYTES + len(incoming.payload)
        self._rounds += 1


class Incoming:
    """One frame on its way in: first the header, then a payload of a size that was agreed to."""

    def __init__(self, channel: Channel, kind: int, into: memoryview | None, max_bytes: int) -> None:
        self._channel = channel
        self._kind = kind
        self._into = into
        self._max_bytes = min(max_bytes, channel.max_frame_bytes)
        self._aborting = False
        self._have = 0
        self.header = bytearray(HEADER_BYTES)
        self.payload: memoryview | bytearray = bytearray()
        self._view = memoryview(self.header)
        self._in_header = True
        self.done = False
        self.started = False

    def room(self) -> memoryview:
        """Where the next bytes go."""
        return self._view[self._have :]

    def advance(self, count: int) -> None:
        """`count` bytes have arrived; raises PeerAborted or FrameInvalid."""
        self.started = True
        self._have += count
        while not self.done and self._have == len(self._view):
            if self._in_header:
                self._in_header = False
                self._open_payload()
                self._have = 0
                self._view = memoryview(self.payload)
            else:
                self.done = True
                if self._aborting:
                    raise PeerAborted(self._channel.peer, clean_reason(bytes(self.payload)))

    def _open_payload(self) -> None:
        kind, length = self.header[0], int.from_bytes(self.header[1:], "big")
        peer = self._channel.peer
        if kind == ABORT and length <= MAX_REASON_BYTES:
            self._aborting = True
            self.payload = bytearray(length)
        elif kind != self._kind:
            raise FrameInvalid(peer, f"a frame of kind {kind} where {self._kind} was due")
        elif self._into is not None:
            if length != len(self._into):
                raise FrameInvalid(peer, f"a frame of {length} bytes where {len(self._into)} were due")
            self.payload = self._into
        elif length > self._max_bytes:
            raise FrameInvalid(peer, f"a frame of {length} bytes, over the limit of {self._max_bytes}")
        else:
            self.payload = bytearray(length)


def _header(kind: int, length: int) -> bytes:
    return bytes([kind]) + length.to_bytes(7, "big")
