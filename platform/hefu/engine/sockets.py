"""A channel over a connected TCP or TLS socket.

The caller connects, authenticates the peer (mutual TLS, pinned keys) and hands the socket over. One thread pumps both
directions with non-blocking calls: an SSL object must not be read and written by two threads at once, and two parties
that only write would dead-lock on full buffers. Payloads are received into the array that they are meant for.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from typing import Final

from hefu.engine.errors import ChannelError, EngineError, FrameInvalid, PeerAborted, PeerLost, PeerTimeout
from hefu.engine.frames import ABORT, DEFAULT_MAX_FRAME_BYTES, Channel, Incoming

_SLICE: Final = 1 << 18
_LAST_WORD_SECONDS: Final = 0.5
_LONGEST_WAIT_SECONDS: Final = 86400.0
_BLOCKED: Final = 0


class SocketChannel(Channel):
    """One end of a connection to `peer`; owns the socket from here on."""

    def __init__(
        self,
        sock: socket.socket,
        peer: str,
        *,
        timeout_seconds: float = 60.0,
        max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
    ) -> None:
        super().__init__(peer, timeout_seconds=timeout_seconds, max_frame_bytes=max_frame_bytes)
        self._socket = sock
        self._mid_frame = False
        sock.setblocking(False)
        with contextlib.suppress(OSError):  # a socket pair has no TCP options
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if isinstance(sock, ssl.SSLSocket):
            # A peer that was killed then differs from one that closed.
            sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # real, but absent from the stubs
        self._poll = select.poll()
        self._poll.register(sock, 0)

    def _transfer(self, outgoing: list[memoryview], incoming: Incoming | None) -> None:
        _pump(self, outgoing, self, incoming)

    def _transfer_across(self, outgoing: list[memoryview], source: Channel, incoming: Incoming) -> None:
        if not isinstance(source, SocketChannel):
            raise EngineError("a socket channel shifts only to another one")
        _pump(self, outgoing, source, incoming)

    def _read(self, incoming: Incoming) -> tuple[int, int]:
        try:
            count = self._socket.recv_into(incoming.room())
        except (ssl.SSLWantReadError, BlockingIOError):
            return _BLOCKED, select.POLLIN
        except ssl.SSLWantWriteError:
            return _BLOCKED, select.POLLOUT
        except ssl.SSLEOFError as error:
            raise PeerLost(self.peer, "the connection broke off") from error
        except ssl.SSLError as error:
            raise FrameInvalid(self.peer, f"TLS: {error.reason or 'failed'}") from error
        except OSError as error:
            raise PeerLost(self.peer, error.strerror or "the connection failed") from error
        if count == 0:
            if incoming.started:
                raise FrameInvalid(self.peer, "a frame that ends too early")
            raise PeerLost(self.peer, "the connection was closed")
        incoming.advance(count)
        return count, 0

    def _write(self, part: memoryview) -> tuple[int, int]:
        try:
            return self._socket.send(part), 0
        except (ssl.SSLWantWriteError, BlockingIOError):
            return _BLOCKED, select.POLLOUT
        except ssl.SSLWantReadError:
            return _BLOCKED, select.POLLIN
        except OSError as error:
            raise self._parting_word(error) from error

    def _parting_word(self, error: OSError) -> ChannelError:
        """Writing failed: perhaps the peer said why before it left."""
        incoming = Incoming(self, ABORT, None, 0)
        try:
            while not incoming.done and self._read(incoming)[0]:
                pass
        except PeerAborted as aborted:
            return aborted
        except EngineError:
            pass  # nothing readable: the failure to write is all we know
        return PeerLost(self.peer, error.strerror or "the connection broke off")

    def _last_word(self, frame: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):
            rest = memoryview(b"" if self._mid_frame else frame)  # inside a frame it would be taken for data
            until = time.monotonic() + _LAST_WORD_SECONDS
            while rest and time.monotonic() < until:
                try:
                    rest = rest[self._socket.send(rest) :]
                except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                    self._poll.modify(self._socket, select.POLLOUT)
                    self._poll.poll(50)
            self._socket.shutdown(socket.SHUT_WR)

    def close(self, linger_seconds: float = 0.0) -> None:
        """Release the socket; while lingering, unread bytes are drained so that our last word isn't reset away."""
        if self.closed:
            return
        self.closed = True
        until = time.monotonic() + linger_seconds
        with contextlib.suppress(OSError, ValueError):
            while (left := until - time.monotonic()) > 0:
                self._poll.modify(self._socket, select.POLLIN)
                if not self._poll.poll(left * 1000) or not self._socket.recv(_SLICE):
                    break
        self._socket.close()


def _pump(
    writer: SocketChannel, outgoing: list[memoryview], reader: SocketChannel, incoming: Incoming | None
) -> None:
    """Write all of `outgoing` while one frame comes in, on the same channel or on two."""
    for channel in (writer, reader):
        if channel.closed:
            raise PeerLost(channel.peer, "the channel is closed")
    pending = list(outgoing)
    progress_at = time.monotonic()
    writer._mid_frame = bool(pending)
    while pending or (incoming is not None and not incoming.done):
        wanted: dict[SocketChannel, int] = {}
        moved = False
        if incoming is not None and not incoming.done:
            count, wait_for = reader._read(incoming)
            moved = count > 0
            wanted[reader] = wait_for
        if pending:
            count, wait_for = writer._write(pending[0][:_SLICE])
            wanted[writer] = wanted.get(writer, 0) | wait_for
            if count:
                moved = True
                pending[0] = pending[0][count:]
                if not pending[0]:
                    del pending[0]
        slower = writer if incoming is None or incoming.done else reader
        if moved:
            progress_at = time.monotonic()
            if slower.deadline is not None and progress_at > slower.deadline:
                raise PeerTimeout(slower.peer, "the deadline has passed")
        else:
            _wait(wanted, slower, slower.seconds_left(progress_at))
    writer._mid_frame = False


def _wait(wanted: dict[SocketChannel, int], slower: SocketChannel, seconds: float) -> None:
    """Sleep until one of the sockets can go on; raises PeerTimeout naming the peer that is waited for."""
    poll = select.poll()
    for channel, events in wanted.items():
        poll.register(channel._socket, events)
    if seconds > 0 and poll.poll(min(seconds, _LONGEST_WAIT_SECONDS) * 1000):
        return
    if slower.deadline is not None and time.monotonic() >= slower.deadline:
        raise PeerTimeout(slower.peer, "the deadline has passed")
    raise PeerTimeout(slower.peer, f"nothing moved for {slower.timeout_seconds:g} seconds")
