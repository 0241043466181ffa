"""A pair of channels inside one process: the twin of `sockets`, for tests and for parties that are threads."""

from __future__ import annotations

import queue
import time

from hefu.engine.errors import PeerLost, PeerTimeout
from hefu.engine.frames import DEFAULT_MAX_FRAME_BYTES, Channel, Incoming

_Line = queue.SimpleQueue[bytes | None]


class MemoryChannel(Channel):
    """One end; `pair` makes both."""

    def __init__(
        self, peer: str, to_peer: _Line, from_peer: _Line, timeout_seconds: float, max_frame_bytes: int
    ):
        super().__init__(peer, timeout_seconds=timeout_seconds, max_frame_bytes=max_frame_bytes)
        self._to_peer = to_peer
        self._from_peer = from_peer

    @classmethod
    def pair(
        cls,
        left: str,
        right: str,
        *,
        timeout_seconds: float = 60.0,
        max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
    ) -> tuple[MemoryChannel, MemoryChannel]:
        """The channel that `left` holds (its peer is `right`), and the one that `right` holds."""
        there, back = _Line(), _Line()
        return (
            cls(right, there, back, timeout_seconds, max_frame_bytes),
            cls(left, back, there, timeout_seconds, max_frame_bytes),
        )

    def _transfer(self, outgoing: list[memoryview], incoming: Incoming | None) -> None:
        if self.closed:
            raise PeerLost(self.peer, "the channel is closed")
        if outgoing:
            self._to_peer.put(b"".join(outgoing))
        if incoming is None:
            return
        try:
            frame = self._from_peer.get(timeout=max(self.seconds_left(time.monotonic()), 0.0))
        except queue.Empty:
            raise PeerTimeout(self.peer, f"nothing came for {self.timeout_seconds:g} seconds") from None
        if frame is None:
            raise PeerLost(self.peer, "the connection was closed")
        rest = memoryview(frame)
        while not incoming.done:
            room = incoming.room()
            count = min(len(room), len(rest))
            if not count:
                raise PeerLost(self.peer, "the connection was closed")
            room[:count] = rest[:count]
            rest = rest[count:]
            incoming.advance(count)

    def _last_word(self, frame: bytes) -> None:
        self._to_peer.put(frame)

    def close(self, linger_seconds: float = 0.0) -> None:
        """The peer's next receive finds the line closed."""
        if not self.closed:
            self.closed = True
            self._to_peer.put(None)
