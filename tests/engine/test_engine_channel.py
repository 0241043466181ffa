"""Channels: one set of laws for every implementation, and whatever a hostile or dying peer may send."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hefu.engine.channel import Channel, ChannelHello, ChannelSet, MemoryChannel, SocketChannel
from hefu.engine.errors import (
    ChannelError,
    EngineError,
    FrameInvalid,
    HelloInvalid,
    PeerAborted,
    PeerLost,
    PeerTimeout,
    TranscriptMismatch,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SESSION, CONTRACT = b"s" * 32, b"c" * 32
Pair = tuple[Channel, Channel]


def hello(me: str, peer: str) -> ChannelHello:
    return ChannelHello(SESSION, "job", CONTRACT, me, peer)


def both(left: Callable[[], Any], right: Callable[[], Any]) -> tuple[Any, Any]:
    """Run two ends at once; an exception of either comes out."""
    with ThreadPoolExecutor(2) as pool:
        futures: list[Future[Any]] = [pool.submit(left), pool.submit(right)]
        return futures[0].result(30), futures[1].result(30)


def greet(pair: Pair) -> Pair:
    a, b = pair
    both(lambda: a.handshake(hello("a", "b")), lambda: b.handshake(hello("b", "a")))
    return pair


def make_memory() -> Pair:
    return MemoryChannel.pair("a", "b", timeout_seconds=2, max_frame_bytes=1 << 26)


def make_plain() -> Pair:
    x, y = socket.socketpair()
    return tuple(
        SocketChannel(s, p, timeout_seconds=2, max_frame_bytes=1 << 26) for s, p in ((x, "b"), (y, "a"))
    )  # type: ignore[return-value]


@pytest.fixture(scope="module")
def tls_sockets(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], tuple[socket.socket, socket.socket]]:
    """Connected TLS 1.3 sockets over loopback, with certificates of the test's own."""
    import ssl
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder: Path = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))

    def context(server: bool) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        made.check_hostname = False
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_cert_chain(folder / "both.pem")
        made.load_verify_locations(folder / "both.pem")
        return made

    def connect() -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            plain = socket.create_connection(listener.getsockname(), timeout=10)
            far, _ = listener.accept()
        return both(
            lambda: context(False).wrap_socket(plain),
            lambda: context(True).wrap_socket(far, server_side=True),
        )

    return connect


@pytest.fixture(params=["memory", "plain", "tls"])
def make(request: pytest.FixtureRequest, tls_sockets: Any) -> Iterator[Callable[[], Pair]]:
    opened: list[Channel] = []

    def build() -> Pair:
        if request.param == "memory":
            pair = make_memory()
        elif request.param == "plain":
            pair = make_plain()
        else:
            x, y = tls_sockets()
            pair = SocketChannel(x, "b", timeout_seconds=2), SocketChannel(y, "a", timeout_seconds=2)
        opened.extend(pair)
        return pair

    yield build
    for channel in opened:
        channel.close()


# Laws of every channel.


def test_frames_arrive_whole_and_in_order(make: Callable[[], Pair]) -> None:
    a, b = greet(make())
    array = np.arange(12, dtype=np.uint64).reshape(3, 4)
    for data in (b"", b"x", bytearray(b"yz"), memoryview(b"w"), array, array[:0]):
        a.send(data)
    assert [b.recv(10) for _ in range(4)] == [b"", b"x", b"yz", b"w"]
    out = np.empty_like(array)
    b.recv_into(out)
    assert np.array_equal(out, array)
    b.recv_into(out[:0])


def test_large_messages_cross_without_dead_lock(make: Callable[[], Pair]) -> None:
    a, b = greet(make())
    big = 16 << 20
    sent = {name: np.frombuffer(os.urandom(big), dtype=np.uint8) for name in "ab"}
    got = {name: np.empty(big, dtype=np.uint8) for name in "ab"}
    both(lambda: a.exchange(sent["a"], got["a"]), lambda: b.exchange(sent["b"], got["b"]))
    assert np.array_equal(got["a"], sent["b"])
    assert np.array_equal(got["b"], sent["a"])
    both(a.verify_transcript, b.verify_transcript)
    ours, theirs = a.transcript(), b.transcript()
    assert ours.agrees_with(theirs)
    assert ours.bytes_sent == theirs.bytes_received > big
    assert ours.rounds == theirs.rounds == 3  # hello, exchange, transcript


def test_transcripts_notice_a_changed_byte(make: Callable[[], Pair]) -> None:
    a, b = greet(make())
    a.send(b"one")
    b.recv(3)
    b._received.update(b"\0")
    with pytest.raises(TranscriptMismatch):
        both(a.verify_transcript, b.verify_transcript)
    assert not a.transcript().agrees_with(b.transcript())


def test_nothing_travels_before_the_hello(make: Callable[[], Pair]) -> None:
    a, _ = make()
    for attempt in (lambda: a.send(b"x"), lambda: a.recv(1)):
        with pytest.raises(EngineError):
            attempt()


@pytest.mark.parametrize("field", ["session_id", "job_id", "contract_digest", "sender", "recipient"])
def test_a_hello_about_anything_else_is_refused(make: Callable[[], Pair], field: str) -> None:
    a, b = make()
    wrong = {name: getattr(hello("b", "a"), name) for name in ChannelHello.__slots__}
    wrong[field] = b"?" * 32 if isinstance(wrong[field], bytes) else "?"
    with pytest.raises(HelloInvalid):
        both(lambda: a.handshake(hello("a", "b")), lambda: b._move(1, ChannelHello(**wrong).to_bytes(), None))


def test_an_abort_reaches_the_peer_with_its_reason(make: Callable[[], Pair]) -> None:
    a, b = greet(make())
    started = time.monotonic()
    with pytest.raises(PeerAborted) as caught:
        both(lambda: a.abort("disk full\n合"), lambda: b.recv(10))
    assert caught.value.reason == "disk full??"
    assert caught.value.peer == "a"
    assert time.monotonic() - started < 3
    with pytest.raises(PeerLost):
        a.send(b"x")


def test_an_abort_reaches_a_peer_that_is_sending(make: Callable[[], Pair]) -> None:
    a, b = greet(make())
    big, out = bytes(32 << 20), np.empty(1, dtype=np.uint8)
    with pytest.raises((PeerAborted, PeerLost)):
        both(lambda: (time.sleep(0.1), a.abort("enough")), lambda: b.exchange(big, out))


def test_an_abort_frame_of_unlikely_size_is_garbage(make: Callable[[], Pair]) -> None:
    a, b = greet(make())
    a._move(2, b"r" * 257, None)
    with pytest.raises(FrameInvalid):
        b.recv(1000)


def test_a_frame_over_the_limit_is_refused_before_it_is_read(make: Callable[[], Pair]) -> None:
    a, b = greet(make())
    a.send(b"12345")
    with pytest.raises(FrameInvalid):
        b.recv(4)


@pytest.mark.parametrize("size", [0, 7, 9, 800])
def test_a_frame_of_another_size_than_the_array_is_refused(make: Callable[[], Pair], size: int) -> None:
    a, b = greet(make())
    a.send(bytes(size))
    with pytest.raises(FrameInvalid):
        b.recv_into(np.empty(1, dtype=np.uint64))


def test_a_silent_peer_ends_in_a_timeout(make: Callable[[], Pair]) -> None:
    a, _ = greet(make())
    a.timeout_seconds = 0.2
    started = time.monotonic()
    with pytest.raises(PeerTimeout):
        a.recv(1)
    assert time.monotonic() - started < 2


def test_the_deadline_ends_a_computation(make: Callable[[], Pair]) -> None:
    a, _ = greet(make())
    ChannelSet({"b": a}).set_deadline(0.2)
    started = time.monotonic()
    with pytest.raises(PeerTimeout):
        a.recv(1)
    assert time.monotonic() - started < 2


def test_a_peer_that_closes_is_lost(make: Callable[[], Pair]) -> None:
    a, b = greet(make())
    a.close()
    with pytest.raises(PeerLost):
        b.recv(1)


def test_our_own_frame_over_the_limit_is_refused(make: Callable[[], Pair]) -> None:
    a, _ = greet(make())
    a.max_frame_bytes = 10
    with pytest.raises(FrameInvalid):
        a.send(bytes(11))


def test_only_contiguous_arrays_travel(make: Callable[[], Pair]) -> None:
    a, _ = greet(make())
    with pytest.raises(ValueError, match="contiguous"):
        a.send(np.zeros((4, 4))[:, 1])


# Raw bytes on the socket.


def raw_end() -> tuple[socket.socket, Channel]:
    """A channel whose far end has said hello and is then ours to misuse."""
    x, y = socket.socketpair()
    channel = SocketChannel(y, "a", timeout_seconds=2, max_frame_bytes=1 << 20)
    greeting = hello("a", "b").to_bytes()
    x.sendall(b"\1" + len(greeting).to_bytes(7, "big") + greeting)
    channel.handshake(hello("b", "a"))
    x.recv(4096)  # closing with unread bytes would reset the connection
    return x, channel


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.integers(0, 200))
def test_garbage_ends_in_a_channel_error_or_is_a_valid_frame(garbage: bytes, limit: int) -> None:
    raw, channel = raw_end()
    raw.sendall(garbage)
    raw.close()
    try:
        got = channel.recv(limit)
    except ChannelError:
        pass
    else:
        assert len(got) <= limit
        assert garbage.startswith(b"\0" + len(got).to_bytes(7, "big") + got)
    finally:
        channel.close()


@pytest.mark.parametrize("length", [1 << 40, (1 << 56) - 1, (1 << 20) + 1])
def test_an_oversize_header_allocates_nothing(length: int) -> None:
    raw, channel = raw_end()
    raw.sendall(b"\0" + length.to_bytes(7, "big"))
    with pytest.raises(FrameInvalid, match="over the limit"):
        channel.recv(1 << 62)
    raw.close()


@pytest.mark.parametrize("kind", [1, 3, 255])
def test_a_frame_of_an_unknown_kind_is_refused(kind: int) -> None:
    raw, channel = raw_end()
    raw.sendall(bytes([kind]) + (1).to_bytes(7, "big") + b"x")
    with pytest.raises(FrameInvalid, match="kind"):
        channel.recv(10)
    raw.close()


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 17])
def test_a_truncated_frame_is_refused(cut: int) -> None:
    raw, channel = raw_end()
    raw.sendall((b"\0" + (10).to_bytes(7, "big") + bytes(10))[:cut])
    raw.close()
    with pytest.raises(FrameInvalid, match="too early"):
        channel.recv(10)


def test_a_connection_that_is_reset_is_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        x = socket.create_connection(listener.getsockname())
        y, _ = listener.accept()
    channel = SocketChannel(y, "a", timeout_seconds=2)
    x.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    x.close()
    with pytest.raises(PeerLost):
        channel.handshake(hello("b", "a"))


def test_plain_bytes_where_tls_is_due_are_refused(tls_sockets: Any) -> None:
    x, y = tls_sockets()
    channel = SocketChannel(y, "a", timeout_seconds=2)
    os.write(x.fileno(), b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(FrameInvalid, match="TLS"):
        channel.handshake(hello("b", "a"))
    x.close()


# All channels of a party.


def test_an_error_in_one_place_reaches_every_peer() -> None:
    ours, theirs = ChannelSet(), {}
    for peer in ("x", "y", "z"):
        left, right = socket.socketpair()
        ours[peer] = SocketChannel(left, peer, timeout_seconds=2)
        theirs[peer] = SocketChannel(right, "me", timeout_seconds=2)
    ends = {p: ChannelSet({"me": c}) for p, c in theirs.items()}
    threads = [
        threading.Thread(target=end.handshake, args=(SESSION, "job", CONTRACT, p)) for p, end in ends.items()
    ]
    for thread in threads:
        thread.start()
    ours.handshake(SESSION, "job", CONTRACT, "me")
    for thread in threads:
        thread.join()

    theirs["y"].close()
    started = time.monotonic()
    with pytest.raises(PeerLost), ours.abort_on_error():
        ours["y"].recv(1)
    for peer in ("x", "z"):
        with pytest.raises(PeerAborted) as caught:
            theirs[peer].recv(1)
        assert caught.value.reason == "peer_lost"
    assert time.monotonic() - started < 4
    assert all(channel.closed for channel in ours.values())


def test_an_error_of_ours_travels_as_a_code_without_its_text() -> None:
    x, y = socket.socketpair()
    ours = ChannelSet({"b": SocketChannel(x, "b", timeout_seconds=2)})
    far = ChannelSet({"a": SocketChannel(y, "a", timeout_seconds=2)})
    both(
        lambda: ours.handshake(SESSION, "job", CONTRACT, "a"),
        lambda: far.handshake(SESSION, "job", CONTRACT, "b"),
    )

    def fail() -> None:
        with pytest.raises(ZeroDivisionError), ours.abort_on_error():
            raise ZeroDivisionError("amount 123456 of Zhang San")

    def hear() -> str:
        with pytest.raises(PeerAborted) as caught:
            far["a"].recv(10)
        far.close()
        return caught.value.reason

    assert both(fail, hear)[1] == "internal_error"
