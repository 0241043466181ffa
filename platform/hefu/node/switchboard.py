"""One TCP port for all channels of a node: each connection is handed to the worker of the job that it names.

A connection opens with one plaintext line, `HEFU1 <job> <attempt> <sender>`, which only routes: the worker then makes
the TLS handshake under the keys that the contract pins, and both ends compare their hellos. Connections that come
before their worker wait a while; whoever names no known job is closed.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
import time
from collections.abc import Callable

log = logging.getLogger("hefu.node")

_LINE = re.compile(rb"^HEFU1 (J[0-9A-Z]{6,40}) ([1-9]) ([a-z][a-z0-9-]{1,31})\n$")
MAX_WAITING = 64
WAIT_SECONDS = 60.0

Deliver = Callable[[str, socket.socket], None]
"""deliver(sender, connection): hands a connection to a worker; the switchboard closes its own copy."""


def preamble(job: str, attempt: int, sender: str) -> bytes:
    """The routing line that opens a connection."""
    return f"HEFU1 {job} {attempt} {sender}\n".encode()


class Switchboard:
    """Listens on the node's channel port."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_server((host, port), backlog=64)
        self._lock = threading.Lock()
        self._workers: dict[tuple[str, int], Deliver] = {}
        self._waiting: dict[tuple[str, int], list[tuple[float, str, socket.socket]]] = {}
        self._thread = threading.Thread(target=self._listen, name="switchboard", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def close(self) -> None:
        """Stop accepting and drop what waits."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            for held in self._waiting.values():
                for _, _, connection in held:
                    connection.close()
            self._waiting.clear()

    def register(self, job: str, attempt: int, deliver: Deliver) -> None:
        """Route connections of this attempt to `deliver`, those that wait already included."""
        with self._lock:
            self._workers[(job, attempt)] = deliver
            held = self._waiting.pop((job, attempt), [])
        for _, sender, connection in held:
            self._hand_over(deliver, sender, connection)

    def unregister(self, job: str, attempt: int) -> None:
        """Route no more connections to this attempt."""
        with self._lock:
            self._workers.pop((job, attempt), None)
            held = self._waiting.pop((job, attempt), [])
        for _, _, connection in held:
            connection.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._route, args=(connection,), daemon=True).start()

    def _route(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        try:
            line = b""
            while not line.endswith(b"\n") and len(line) < 100:
                byte = connection.recv(1)
                if not byte:
                    break
                line += byte
        except OSError:
            line = b""
        found = _LINE.match(line)
        if found is None:
            log.warning("channel: a connection without a routing line was closed")
            connection.close()
            return
        key, sender = (found[1].decode(), int(found[2])), found[3].decode()
        with self._lock:
            self._drop_stale()
            deliver = self._workers.get(key)
            if deliver is None:
                if sum(len(v) for v in self._waiting.values()) >= MAX_WAITING:
                    connection.close()
                    return
                self._waiting.setdefault(key, []).append((time.monotonic(), sender, connection))
                return
        self._hand_over(deliver, sender, connection)

    def _drop_stale(self) -> None:
        limit = time.monotonic() - WAIT_SECONDS
        for key in list(self._waiting):
            kept = []
            for since, sender, connection in self._waiting[key]:
                if since < limit:
                    connection.close()
                else:
                    kept.append((since, sender, connection))
            if kept:
                self._waiting[key] = kept
            else:
                del self._waiting[key]

    @staticmethod
    def _hand_over(deliver: Deliver, sender: str, connection: socket.socket) -> None:
        try:
            deliver(sender, connection)
        except OSError:
            log.warning("channel: the worker for a connection from %s is gone", sender)
        finally:
            connection.close()
