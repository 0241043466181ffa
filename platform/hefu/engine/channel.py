"""All channels of one party in one computation.

channels = ChannelSet({peer: SocketChannel(connected_socket, peer) ...})
channels.handshake(session_id, job_id, contract_digest, party)
with channels.abort_on_error():
    ...                                 # whatever goes wrong here reaches every peer
channels.transcripts()
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from hefu.engine.errors import EngineError, PeerAborted
from hefu.engine.frames import (
    DEFAULT_MAX_FRAME_BYTES,
    LINGER_SECONDS,
    Channel,
    ChannelHello,
    Payload,
    Transcript,
)
from hefu.engine.memory import MemoryChannel
from hefu.engine.sockets import SocketChannel

__all__ = [
    "DEFAULT_MAX_FRAME_BYTES",
    "Channel",
    "ChannelHello",
    "ChannelSet",
    "MemoryChannel",
    "Payload",
    "SocketChannel",
    "Transcript",
]


class ChannelSet(dict[str, Channel]):
    """peer -> channel."""

    def handshake(self, session_id: bytes, job_id: str, contract_digest: bytes, party: str) -> None:
        """Exchange hellos on every channel, in the order of names; aborts all and raises at the first that fails."""
        with self.abort_on_error():
            for peer in sorted(self):
                self[peer].handshake(ChannelHello(session_id, job_id, contract_digest, party, peer))

    def set_deadline(self, seconds_from_now: float) -> None:
        """The whole computation must be over by then."""
        for channel in self.values():
            channel.deadline = time.monotonic() + seconds_from_now

    def abort(self, reason: str) -> None:
        """Tell everybody and close; never raises for a peer that is gone."""
        for channel in self.values():
            channel.say_abort(reason)
        until = time.monotonic() + LINGER_SECONDS
        for channel in self.values():
            channel.close(max(until - time.monotonic(), 0.0))

    def close(self) -> None:
        """Release every connection."""
        for channel in self.values():
            channel.close()

    def transcripts(self) -> dict[str, Transcript]:
        """What each channel has seen so far."""
        return {peer: channel.transcript() for peer, channel in self.items()}

    @contextmanager
    def abort_on_error(self) -> Iterator[None]:
        """Whatever leaves the block aborts all channels first. A peer's reason travels on; ours is an error's code."""
        try:
            yield
        except PeerAborted as error:
            self.abort(error.reason)
            raise
        except EngineError as error:
            self.abort(error.code)
            raise
        except BaseException:
            self.abort("internal_error")
            raise
