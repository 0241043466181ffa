"""The simulated link: late by its delay, no faster than its rate, complete, and transparent to TLS."""

import socket
import threading
import time
from typing import Any

import numpy as np
import pytest
from hefu.engine.channel import ChannelSet
from hefu.engine.launch import measure
from hefu.engine.session import Session

from bench.relay import Link, Relays

pytestmark = pytest.mark.server

FAST = 1e12


def echo(listener: socket.socket) -> None:
    """Send everything back until the other end closes."""
    link = listener.accept()[0]
    while data := link.recv(1 << 16):
        link.sendall(data)
    link.close()
    listener.close()


def there_and_back(link: Link, data: bytes) -> float:
    """Seconds until the last byte of the echo; what comes back must be what was sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=echo, args=(listener,), daemon=True).start()
    with Relays(link) as relays:
        port = relays.route("a", "b", listener.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port)) as near:
            begun = time.monotonic()
            sender = threading.Thread(target=near.sendall, args=(data,))
            sender.start()
            got = bytearray()
            while len(got) < len(data):
                got += near.recv(1 << 16)
            taken = time.monotonic() - begun
            sender.join()
    assert bytes(got) == data
    return taken


def test_a_byte_is_late_by_the_delay_both_ways() -> None:
    assert there_and_back(Link(0.1, FAST), b"x") >= 0.2


def test_no_more_bytes_than_the_rate_allows() -> None:
    data = np.random.default_rng(1).bytes(400_000)
    assert there_and_back(Link(0.0, 8e6), data) >= 0.4  # 400 kB at 1 MB/s; the two directions overlap


def test_twice_the_bytes_take_about_twice_as_long_on_a_thin_link() -> None:
    link = Link(0.0, 4e6)
    one, two = (there_and_back(link, bytes(count)) for count in (100_000, 400_000))
    assert two > 2 * one


def test_delay_does_not_add_up_over_bytes_under_way() -> None:
    """Many bytes share one delay: a link is a pipe, not a queue of letters."""
    taken = there_and_back(Link(0.2, FAST), bytes(1_000_000))
    assert 0.4 <= taken < 0.2 * 1_000_000 / (1 << 14)


def ping(session: Session, channels: ChannelSet) -> Any:
    """Ten messages there and back, a large one at the end."""
    peer = channels["b" if session.party == "a" else "a"]
    begun = time.monotonic()
    for _ in range(5):
        if session.party == "a":
            peer.send(b"ping")
            peer.recv(4)
        else:
            peer.recv(4)
            peer.send(b"pong")
    large, got = np.arange(1 << 18, dtype=np.uint64), np.empty(1 << 18, dtype=np.uint64)
    peer.exchange(large, got)
    peer.verify_transcript()
    return np.array_equal(large, got), time.monotonic() - begun


@pytest.mark.parametrize("tls", [False, True])
def test_parties_talk_through_it(tls: bool) -> None:
    link = Link(0.03, 80e6)
    with Relays(link) as relays:
        reports = measure({"a": ping, "b": ping}, tls=tls, route=relays.route, timeout_seconds=60)
    equal, taken = reports["a"].value
    assert equal
    assert taken >= 10 * 0.03 + (8 << 18) * 8 / 80e6


def test_the_far_end_closing_reaches_us() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with Relays(Link(0.0, FAST)) as relays:
        port = relays.route("a", "b", listener.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as near:
            listener.accept()[0].close()
            assert near.recv(1) == b""
    listener.close()
