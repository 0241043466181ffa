"""A wide-area link in user space: a relay between two parties that delays every byte and lets so many through a second.

Each direction of each connection is a line of its own: bytes leave in order, `rate` a second, and arrive `delay` after
they left. Nothing is lost, and TCP's slow start over a long link is not modelled: a real one is no faster. The relay is
one process beside the parties; its own CPU is nobody's. At most a delay's worth of bytes and one buffer are under way,
then the sender waits, as it would for a full socket.

    with Relays(Link(delay_seconds=0.04, bits_per_second=100e6)) as relays:
        launch.measure(programs, route=relays.route)
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import socket
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType

_SLICE = 1 << 14
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Link:
    """delay_seconds one way (a round trip takes twice that); bits_per_second in each direction of each connection."""

    delay_seconds: float
    bits_per_second: float

    @property
    def name(self) -> str:
        """As it stands in tables."""
        return f"{self.delay_seconds * 1000:g} ms one way, {self.bits_per_second / 1e6:g} Mbit/s"


class Relays:
    """The relay process, while the block lasts."""

    def __init__(self, link: Link) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(link, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def route(self, sender: str, recipient: str, port: int) -> int:
        """The port at which `sender` reaches the one who listens at `port`, over the link."""
        self._pipe.send(port)
        found: int = self._pipe.recv()
        return found

    def __enter__(self) -> Relays:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._pipe.send(None)  # closing it would not do: parties forked meanwhile hold it too
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()


class Line:
    """One direction: what is put in comes out in order, late and slowly enough."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._free_at = 0.0  # when the last byte so far has left
        self._under_way: queue.Queue[tuple[float, bytes] | None] = queue.Queue()
        capacity = link.delay_seconds * link.bits_per_second / 8 + _BUFFER_BYTES
        self._room = threading.Semaphore(int(capacity / _SLICE) + 1)
        self._gone = threading.Event()

    def carry(self, source: socket.socket, sink: socket.socket) -> None:
        """Until the source closes; then the sink is closed for writing."""
        writer = threading.Thread(target=self._write, args=(sink,), daemon=True)
        writer.start()
        with contextlib.suppress(OSError):
            while (data := source.recv(_SLICE)) and not self._gone.is_set():
                self._room.acquire()
                now = time.monotonic()
                self._free_at = max(self._free_at, now) + len(data) * 8 / self._link.bits_per_second
                self._under_way.put((self._free_at + self._link.delay_seconds, data))
        self._under_way.put(None)
        writer.join()

    def _write(self, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (item := self._under_way.get()) is not None:
                due, data = item
                time.sleep(max(due - time.monotonic(), 0.0))
                self._room.release()
                sink.sendall(data)
        self._gone.set()  # where the far end left early, the reader must not wait for room
        self._room.release()
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _serve(link: Link, pipe: Connection) -> None:
    with contextlib.suppress(EOFError):
        while (port := pipe.recv()) is not None:
            listener = socket.create_server(("127.0.0.1", 0))
            threading.Thread(target=_relay, args=(link, listener, port), daemon=True).start()
            pipe.send(listener.getsockname()[1])


def _relay(link: Link, listener: socket.socket, port: int) -> None:
    near = listener.accept()[0]
    listener.close()
    far = socket.create_connection(("127.0.0.1", port))
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    back = threading.Thread(target=Line(link).carry, args=(far, near), daemon=True)
    back.start()
    Line(link).carry(near, far)
    back.join()
    near.close()
    far.close()
