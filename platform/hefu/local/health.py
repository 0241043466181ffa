"""Is a service answering? For the supervisor's `ready` and for health checks in containers.

    python -m hefu.local.health https://127.0.0.1:8443/healthz

exits 0 when the answer is 200. Certificates are not checked: nothing is sent and nothing but the status is taken.
"""

import http.client
import socket
import ssl
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

_TIMEOUT_SECONDS = 3.0


def answers(url: str, timeout_seconds: float = _TIMEOUT_SECONDS) -> bool:
    """Whether GET on this http or https URL gives 200 in time."""
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname or "",
            parts.port,
            timeout=timeout_seconds,
            context=ssl._create_unverified_context(),  # noqa: S323  (see the module's docstring)
        )
    elif parts.scheme == "http":
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_seconds)
    else:
        raise ValueError(f"neither http nor https: {url}")
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def ready_at(url: str) -> Callable[[], bool]:
    """A `ready` for `supervisor.Service`."""
    return lambda: answers(url, timeout_seconds=1.0)


def listening(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    return 0 if answers(sys.argv[1]) else 1


if __name__ == "__main__":
    sys.exit(main())
