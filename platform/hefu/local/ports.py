"""Free ports on loopback, remembered by name, so that a second start finds everything where it was.

The file is JSON, name to number. A remembered port that somebody else has taken meanwhile is replaced.
Between asking and listening another program could take a port; the service that then fails to listen says so.
"""

import json
import os
import secrets
import socket
from pathlib import Path

from hefu.local.errors import NoFreePort

LOOPBACK = "127.0.0.1"
_FIRST, _LAST = 18_000, 32_000


class Ports:
    """Named ports kept in one state file."""

    def __init__(self, state_file: Path):
        self._file = state_file
        self._ports: dict[str, int] = _read(state_file)

    def get(self, name: str, preferred: int | None = None) -> int:
        """The port of `name`: the remembered one while free, else `preferred` while free, else any free one.

        raises  NoFreePort
        """
        known = self._ports.get(name)
        for candidate in (known, preferred):
            if candidate is not None and self._unclaimed(name, candidate) and is_free(candidate):
                return self._keep(name, candidate)
        for _ in range(100):
            candidate = _any_free()
            if self._unclaimed(name, candidate):
                return self._keep(name, candidate)
        raise NoFreePort(f"no free loopback port for {name}")

    def as_dict(self) -> dict[str, int]:
        """All ports handed out so far."""
        return dict(self._ports)

    def _unclaimed(self, name: str, port: int) -> bool:
        return all(port != other for owner, other in self._ports.items() if owner != name)

    def _keep(self, name: str, port: int) -> int:
        if self._ports.get(name) != port:
            self._ports[name] = port
            self._file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._file.with_name(f".{self._file.name}.{os.getpid()}")
            fresh.write_text(json.dumps(self._ports, indent=1, sort_keys=True) + "\n", encoding="ascii")
            fresh.replace(self._file)
        return port


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a port that only lingers in TIME_WAIT is free
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
    return True


def _any_free() -> int:
    """A free port below the range from which the system takes the source ports of connections."""
    for _ in range(200):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        if is_free(port):
            return port
    raise NoFreePort(f"no free loopback port between {_FIRST} and {_LAST}")


def _read(path: Path) -> dict[str, int]:
    """What the file holds; an unreadable file counts as empty, because every port can be chosen anew."""
    try:
        stored = json.loads(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {str(k): v for k, v in stored.items() if isinstance(v, int) and 0 < v < 65536}
