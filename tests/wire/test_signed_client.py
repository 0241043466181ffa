"""The client against a real TLS server, honest or not."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from hefu.keys import tls
from hefu.keys.keystore import NodeKeys
from hefu.keys.tls import spki_digest, to_pem
from hefu.wire import client as client_module
from hefu.wire import middleware, signing
from hefu.wire.client import Peer, SignedClient
from hefu.wire.errors import AcknowledgementInvalid, PeerRefused, PeerUnreachable
from hefu.wire.guard import Guard, MemoryNonceStore, Sender
from hefu.wire.middleware import install_guard, sender_of
from hefu.wire.serving import tls_server

pytestmark = pytest.mark.server

BANK, REGULATOR = NodeKeys.generate(), NodeKeys.generate()


class Directory:
    """Knows the bank."""

    def lookup(self, sender: str, key_id: str) -> Sender | None:
        known = sender == "bank" and key_id == signing.key_id(BANK.identity)
        return Sender(BANK.identity.public_key(), "active") if known else None


@dataclass
class Server:
    """A regulator's node on loopback."""

    context: Any
    server: uvicorn.Server
    peer: Peer
    connections: set[tuple[str, int]] = field(default_factory=set)


def certificate(keys: NodeKeys = REGULATOR, **options: Any) -> str:
    return to_pem(tls.self_signed(keys.tls, "regulator", sans=["127.0.0.1"], **options))


@contextlib.contextmanager
def serving(pem: str, keys: NodeKeys = REGULATOR, identity: NodeKeys = REGULATOR) -> Iterator[Server]:
    """Serve with a certificate and its key; answers are signed by `identity`."""
    app = FastAPI()
    context = tls.server_context(pem, keys.tls)
    server = tls_server(app, host="127.0.0.1", port=0, context=context)
    running = Server(context, server, Peer("regulator", "", pem, "", REGULATOR.identity.public_key()))

    @app.post("/peer/echo")
    async def echo(request: Request) -> dict[str, Any]:
        client = request.client
        if client is not None:
            running.connections.add((client.host, client.port))
        return {"sender": sender_of(request).sender, "body": (await request.body()).decode()}

    @app.get("/peer/query")
    def query(job: str, day: int) -> dict[str, Any]:
        return {"job": job, "day": day}

    @app.get("/peer/{kind}/answer")
    def answer(kind: str) -> Response:
        media = {"bytes": "application/octet-stream", "broken": "application/json"}[kind]
        return Response(b"\x00\x01", media_type=media)

    @app.get("/peer/moved")
    def moved() -> Response:
        return Response(status_code=307, headers={"location": "/peer/echo"})

    @app.get("/peer/none", status_code=204)
    def none() -> None:
        return None

    @app.get("/peer/slow")
    def slow() -> None:
        time.sleep(1)

    @app.get("/open")
    def unsigned() -> dict[str, str]:
        return {}

    guard = Guard("regulator", Directory(), MemoryNonceStore())
    install_guard(app, guard, identity_key=identity.identity, own_id="regulator", protect_prefixes=("/peer",))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        pinned = spki_digest(tls.load_certificate(pem))
        running.peer = replace(running.peer, url=f"https://127.0.0.1:{port}", spki=pinned)
        yield running
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def node() -> Iterator[Server]:
    with serving(certificate()) as running:
        yield running


@contextlib.contextmanager
def calling(peer: Peer, keys: NodeKeys = BANK, **options: Any) -> Iterator[SignedClient]:
    with SignedClient("bank", keys.identity, lambda org_id: peer, **options) as client:
        yield client


def test_requests_and_answers(node: Server) -> None:
    with calling(node.peer) as client:
        assert client.post("regulator", "/peer/echo", {"名": "合符"}) == {
            "sender": "bank",
            "body": '{"名":"合符"}',
        }
        assert client.post("regulator", "/peer/echo", b"raw")["body"] == "raw"
        assert client.post("regulator", "/peer/echo")["body"] == ""
        assert client.get("regulator", "/peer/query", {"job": "a b&c/合", "day": 3}) == {
            "job": "a b&c/合",
            "day": 3,
        }
        assert client.get("regulator", "/peer/bytes/answer") == b"\x00\x01"
        assert client.get("regulator", "/peer/none") is None


def test_connections_are_pooled_and_threads_do_not_disturb_each_other(node: Server) -> None:
    node.connections.clear()
    with calling(node.peer) as client:

        def post(number: int) -> str:
            return str(client.post("regulator", "/peer/echo", {"n": number})["body"])

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(post, range(40))) == [f'{{"n":{number}}}' for number in range(40)]
    assert len(node.connections) <= 4


def test_a_refusal_carries_its_reason(node: Server) -> None:
    with calling(node.peer, keys=NodeKeys.generate()) as client, pytest.raises(PeerRefused) as caught:
        client.post("regulator", "/peer/echo", {})
    assert (caught.value.status, caught.value.code) == (401, "unknown_sender")
    with calling(node.peer) as client, pytest.raises(PeerRefused) as caught:
        client.get("regulator", "/peer/nowhere")
    assert caught.value.status == 404


def test_a_redirect_is_not_followed(node: Server) -> None:
    with calling(node.peer) as client, pytest.raises(PeerRefused) as caught:
        client.get("regulator", "/peer/moved")
    assert caught.value.status == 307


def test_an_unsigned_answer_is_not_believed(node: Server) -> None:
    with calling(node.peer) as client, pytest.raises(AcknowledgementInvalid):
        client.get("regulator", "/open")


def test_an_answer_that_is_not_what_it_says_is_not_believed(node: Server) -> None:
    with calling(node.peer) as client, pytest.raises(AcknowledgementInvalid, match="not JSON"):
        client.get("regulator", "/peer/broken/answer")


def test_an_answer_larger_than_allowed_is_cut_off(node: Server) -> None:
    with calling(node.peer, max_answer_bytes=10) as client, pytest.raises(AcknowledgementInvalid):
        client.post("regulator", "/peer/echo", {"long": "x" * 100})


def test_an_answer_signed_by_another_key_is_not_believed() -> None:
    """The TLS key is the pinned one, the identity key behind it is not."""
    with (
        serving(certificate(), identity=NodeKeys.generate()) as node,
        calling(node.peer) as client,
        pytest.raises(AcknowledgementInvalid),
    ):
        client.post("regulator", "/peer/echo", {})


def _sign_with(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    sign = signing.sign_response

    def dishonest(status: int, body: bytes, **fields: Any) -> dict[str, str]:
        return sign(status, changes.get("body", body), **{**fields, **changes.get("fields", {})})

    monkeypatch.setattr(middleware, "sign_response", dishonest)


@pytest.mark.parametrize(
    "changes",
    [
        {"body": b"something else"},
        {"fields": {"request_signature": "hefu=:AAAA:"}},
        {"fields": {"request_signature": None}},
        {"fields": {"sender": "operator"}},
    ],
)
def test_swapped_answers_are_not_believed(
    node: Server, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    _sign_with(monkeypatch, **changes)
    with calling(node.peer) as client, pytest.raises(AcknowledgementInvalid):
        client.post("regulator", "/peer/echo", {})


def test_without_the_check_a_swapped_answer_would_pass(node: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    _sign_with(monkeypatch, fields={"request_signature": "hefu=:AAAA:"})
    monkeypatch.setattr(client_module, "verify_response", lambda *_, **__: None)
    with calling(node.peer) as client:
        assert client.post("regulator", "/peer/echo", {})["sender"] == "bank"


def test_nobody_there() -> None:
    peer = Peer(
        "regulator",
        "https://127.0.0.1:9",
        certificate(),
        spki_digest(REGULATOR.tls),
        REGULATOR.identity.public_key(),
    )
    with calling(peer) as client, pytest.raises(PeerUnreachable) as caught:
        client.post("regulator", "/peer/echo", {})
    assert caught.value.org_id == "regulator"


def test_a_slow_answer_is_not_waited_for(node: Server) -> None:
    with calling(node.peer, timeout_seconds=0.2) as client, pytest.raises(PeerUnreachable, match="Timeout"):
        client.get("regulator", "/peer/slow")


def test_only_https(node: Server) -> None:
    plain = replace(node.peer, url=node.peer.url.replace("https", "http"))
    with calling(plain) as client, pytest.raises(PeerUnreachable, match="not https"):
        client.post("regulator", "/peer/echo", {})


def test_a_wrong_pin_is_refused_before_connecting(node: Server) -> None:
    wrong = replace(node.peer, spki=spki_digest(BANK.tls))
    with calling(wrong) as client, pytest.raises(PeerUnreachable, match="pinned"):
        client.post("regulator", "/peer/echo", {})
    other = replace(node.peer, org_id="operator")
    with calling(other) as client, pytest.raises(PeerUnreachable, match="operator"):
        client.post("operator", "/peer/echo", {})


def test_a_server_with_another_key_is_refused(node: Server) -> None:
    """Somebody answers at the peer's address with a certificate in its name."""
    impostor = NodeKeys.generate()
    with serving(certificate(impostor), impostor) as fake:
        peer = replace(node.peer, url=fake.peer.url)
        with calling(peer) as client, pytest.raises(PeerUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
            client.post("regulator", "/peer/echo", {})


def test_an_expired_certificate_is_refused() -> None:
    expired = certificate(not_before=dt.datetime.now(dt.UTC) - dt.timedelta(days=9), valid_days=3)
    with (
        serving(expired) as node,
        calling(node.peer) as client,
        pytest.raises(PeerUnreachable, match="expired"),
    ):
        client.post("regulator", "/peer/echo", {})


def test_a_running_server_changes_its_certificate() -> None:
    with serving(certificate()) as node:
        with calling(node.peer) as client:
            client.post("regulator", "/peer/echo", {})
        fresh = certificate()
        tls.reload(node.context, fresh, REGULATOR.tls)
        with calling(node.peer) as client, pytest.raises(PeerUnreachable):
            client.post("regulator", "/peer/echo", {})
        with calling(replace(node.peer, certificate_pem=fresh)) as client:
            assert client.post("regulator", "/peer/echo", {})["sender"] == "bank"


def test_a_change_of_pins_takes_effect_at_the_next_request(node: Server) -> None:
    peers = [node.peer, replace(node.peer, spki=spki_digest(BANK.tls))]
    with SignedClient("bank", BANK.identity, lambda org_id: peers.pop(0)) as client:
        client.post("regulator", "/peer/echo", {})
        with pytest.raises(PeerUnreachable):
            client.post("regulator", "/peer/echo", {})
