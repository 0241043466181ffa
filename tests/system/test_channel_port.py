"""The port of the computation channels: whoever sends garbage is closed, and neither node nor job suffers."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hefu.local.organisations import ORGANISATIONS

pytestmark = pytest.mark.server

WRONG = {
    "garbage": os.urandom(256),
    "no-newline": b"A" * 4096,
    "http": b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
    "unknown-version": b"HEFU2 J20260101ABCDEFGH 1 bank\n",
    "attempt-0": b"HEFU1 J20260101ABCDEFGH 0 bank\n",
    "bad-sender": b"HEFU1 J20260101ABCDEFGH 1 ../bank\n",
    "tls-at-once": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(64),
    "oversize-frame": b"\xff\xff\xff\xff" * 64,
}


def connect(world: Any, org: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", world.system.port(f"channel-{org}")), timeout=15)


@pytest.mark.parametrize("name", WRONG)
def test_a_connection_that_does_not_open_as_it_should_is_closed(world: Any, name: str) -> None:
    with connect(world, "operator") as connection:
        connection.sendall(WRONG[name])
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_a_job_succeeds_while_strangers_crowd_its_ports(world: Any) -> None:
    """Unknown jobs fill the waiting room; others name this very job and then send garbage, or nothing at all."""
    day = world.new_day()
    world.deliver_sample(day, rows=50)
    with contextlib.ExitStack() as crowd:
        for number in range(80):
            stranger = crowd.enter_context(connect(world, "operator"))
            stranger.sendall(f"HEFU1 J20260101XXXXX{number:03d} 1 bank\n".encode())
        job_id = world.start_job(day)
        crowd.enter_context(_pestering(world, job_id))
        view = world.await_success(job_id)
    compute = next(s for s in view["stages"] if s["stage"] == "compute")
    assert compute["attempt"] == 1, compute
    for org in ORGANISATIONS:
        assert world.at(org).get("/console/me")["org_id"] == org


@contextlib.contextmanager
def _pestering(world: Any, job_id: str) -> Iterator[None]:
    """Knock at every worker of the job, as a peer that speaks no TLS, an oversize TLS record, or silence."""
    ended = threading.Event()
    kept: list[socket.socket] = []

    def knock() -> None:
        says = [os.urandom(64), b"\x16\x03\x03\xff\xff" + os.urandom(512), b""]
        number = 0
        while not ended.wait(0.1):
            for org in ("operator", "bank", "exchange", "institution"):
                with contextlib.suppress(OSError):
                    connection = connect(world, org)
                    kept.append(connection)
                    connection.sendall(f"HEFU1 {job_id} 1 bank\n".encode() + says[number % 3])
                    number += 1

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for connection in kept:
            connection.close()
