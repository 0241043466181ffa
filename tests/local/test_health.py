"""A health check tells a service that answers from one that is absent, broken or silent."""

import http.server
import socket
import subprocess
import sys
import threading

import pytest
from hefu.local.health import answers, listening, ready_at


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.server_address[1]
        running.shutdown()


def test_a_healthy_service_answers(server):
    assert answers(f"http://127.0.0.1:{server}/healthz")
    assert ready_at(f"http://127.0.0.1:{server}/healthz")()
    assert listening(server)


def test_a_failing_service_does_not(server):
    assert not answers(f"http://127.0.0.1:{server}/broken")
    assert not answers(f"https://127.0.0.1:{server}/healthz")


def test_an_absent_or_silent_service_does_not():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert not answers(f"http://127.0.0.1:{port}/", timeout_seconds=0.2)
    assert not answers(f"http://127.0.0.1:{port}/")
    assert not listening(port)


def test_other_schemes_are_refused():
    with pytest.raises(ValueError, match="neither http nor https"):
        answers("file:///etc/passwd")


@pytest.mark.parametrize(("path", "code"), [("/healthz", 0), ("/broken", 1)])
def test_exit_code(server, path, code):
    command = [sys.executable, "-m", "hefu.local.health", f"http://127.0.0.1:{server}{path}"]
    assert subprocess.run(command, check=False).returncode == code
