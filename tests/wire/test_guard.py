"""The guard at the door: forged, altered, replayed, stale, misdirected, suspended. And what lies outside its prefixes."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import BackgroundTasks, FastAPI, Request
from hefu.keys.public import key_id
from hefu.wire import middleware, signing
from hefu.wire.errors import SignatureRefused
from hefu.wire.guard import Guard, MemoryNonceStore, Sender, Standing
from hefu.wire.middleware import install_guard, sender_of
from hefu.wire.signing import Message, sign_request, verify_response
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

BANK_KEY, OPERATOR_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
NOW = dt.datetime(2026, 10, 1, 8, 0, tzinfo=dt.UTC)
BODY = b'{"planted": "serial-0815"}'


@dataclass
class Directory:
    """Knows the bank and the operator."""

    standing: dict[str, Standing] = field(default_factory=dict)
    keys: dict[str, Ed25519PrivateKey] = field(
        default_factory=lambda: {"bank": BANK_KEY, "operator": OPERATOR_KEY}
    )

    def lookup(self, sender: str, key_id: str) -> Sender | None:
        key = self.keys.get(sender)
        if key is None or signing.key_id(key) != key_id:
            return None
        return Sender(key.public_key(), self.standing.get(sender, "active"))


@dataclass
class Node:
    """A node behind its guard. What its routes received is in `received`."""

    own_id: str = "exchange"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    directory: Directory = field(default_factory=Directory)
    nonces: MemoryNonceStore = field(default_factory=MemoryNonceStore)
    now: dt.datetime = NOW
    received: list[Any] = field(default_factory=list)

    def start(self) -> TestClient:
        app = FastAPI()

        @app.post("/orders/prepare")
        async def prepare(request: Request) -> dict[str, Any]:
            self.received.append(await request.body())
            return {"sender": sender_of(request).sender}

        @app.get("/orders/status")
        def status(request: Request, job: str) -> dict[str, str]:
            self.received.append(job)
            return {"job": job}

        @app.post("/orders/compute", status_code=202)
        def compute(tasks: BackgroundTasks) -> None:
            tasks.add_task(self.received.append, "background")

        @app.get("/orders/fail")
        def fail() -> None:
            raise ValueError("planted serial-0815")

        @app.post("/api/applications")
        async def apply(request: Request) -> dict[str, Any]:
            self.received.append(await request.body())
            return {"sender": request.state.sender}

        @app.post("/console/login")
        @app.post("/console/data-sets/{name}/files")
        async def console(request: Request) -> dict[str, int]:
            return {"bytes": len(await request.body())}

        @app.get("/health")
        def health() -> dict[str, str]:
            return {}

        guard = Guard(self.own_id, self.directory, self.nonces, clock=lambda: self.now)
        install_guard(
            app,
            guard,
            identity_key=self.key,
            own_id=self.own_id,
            protect_prefixes=("/orders", "/api"),
            max_body_bytes=1000,
            max_open_body_bytes=2000,
            streamed_paths=r"/console/data-sets/[^/]+/files",
            open_routes={("POST", "/api/applications")},
        )
        return TestClient(app, base_url="https://exchange.example", raise_server_exceptions=False)


def headers_for(
    path: str = "/orders/prepare",
    body: bytes = BODY,
    *,
    method: str = "POST",
    query: str = "",
    key: Ed25519PrivateKey = BANK_KEY,
    sender: str = "bank",
    recipient: str = "exchange",
    at: dt.datetime = NOW,
    nonce: str | None = None,
) -> dict[str, str]:
    message = Message(method, "exchange.example", path, query, body)
    return sign_request(
        message, sender=sender, recipient=recipient, key=key, created=int(at.timestamp()), nonce=nonce
    )


def answer(node: Node, response: Any, headers: dict[str, str]) -> None:
    """Check that an answer is signed by the node and bound to the request."""
    verify_response(
        response.status_code,
        {name.lower(): value for name, value in response.headers.items()},
        response.content,
        sender=node.own_id,
        public_key=node.key.public_key(),
        request_signature=headers["signature"],
    )


def refused(node: Node, response: Any, code: str, status: int) -> None:
    assert (response.json()["code"], response.status_code) == (code, status)
    assert response.json()["message_zh"]
    assert response.json()["message_en"]
    assert node.received == []


def test_a_good_request_gets_through_and_its_answer_is_signed() -> None:
    node = Node()
    headers = headers_for()
    response = node.start().post("/orders/prepare", content=BODY, headers=headers)
    assert response.json() == {"sender": "bank"}
    assert node.received == [BODY]
    answer(node, response, headers)


def test_a_query_arrives_as_it_was_signed() -> None:
    node = Node()
    headers = headers_for("/orders/status", b"", method="GET", query="job=%E5%90%88%20x")
    response = node.start().get("/orders/status?job=%E5%90%88%20x", headers=headers)
    assert node.received == ["合 x"]
    answer(node, response, headers)


def test_requests_that_are_not_signed() -> None:
    node = Node()
    client = node.start()
    refused(node, client.post("/orders/prepare", content=BODY), "signature_missing", 401)
    for name in signing.SIGNED_HEADERS:
        partial = {key: value for key, value in headers_for().items() if key != name}
        refused(node, client.post("/orders/prepare", content=BODY, headers=partial), "signature_missing", 401)


@pytest.mark.parametrize(
    ("path", "body", "changes", "code"),
    [
        ("/orders/prepare", b"{}", {}, "digest_mismatch"),
        ("/orders/prepare?x=1", BODY, {}, "signature_invalid"),
        ("/orders/%70repare", BODY, {}, "signature_invalid"),
        ("/orders/compute", BODY, {}, "signature_invalid"),
        ("/orders/prepare", BODY, {"host": "other.example"}, "signature_invalid"),
        ("/orders/prepare", BODY, {"hefu-recipient": "operator"}, "wrong_recipient"),
        ("/orders/prepare", BODY, {"hefu-sender": "operator"}, "unknown_sender"),
        ("/orders/prepare", BODY, {"hefu-sender": "nobody"}, "unknown_sender"),
        ("/orders/prepare", BODY, {"signature": "hefu=:AAAA:"}, "signature_invalid"),
        ("/orders/prepare", BODY, {"signature": "garbage"}, "signature_invalid"),
        ("/orders/prepare", BODY, {"signature-input": "garbage"}, "signature_invalid"),
        ("/orders/prepare", BODY, {"signature-input": "x" * 5000}, "signature_invalid"),
    ],
)
def test_whatever_was_altered_on_the_way(path: str, body: bytes, changes: dict[str, str], code: str) -> None:
    node = Node()
    response = node.start().post(path, content=body, headers=headers_for() | changes)
    refused(node, response, code, 403 if code == "wrong_recipient" else 401)


def test_a_field_that_comes_twice_is_refused() -> None:
    node = Node()
    headers = [*headers_for().items(), ("hefu-sender", "operator")]
    response = node.start().post("/orders/prepare", content=BODY, headers=headers)
    refused(node, response, "signature_invalid", 401)


def test_another_method_is_refused() -> None:
    node = Node()
    response = node.start().request("PUT", "/orders/prepare", content=BODY, headers=headers_for())
    refused(node, response, "signature_invalid", 401)


def test_another_organisations_key_is_refused() -> None:
    """The operator signs in the bank's name, with its own key id and with the bank's."""
    node = Node()
    client = node.start()
    forged = headers_for(key=OPERATOR_KEY)
    refused(node, client.post("/orders/prepare", content=BODY, headers=forged), "unknown_sender", 401)
    forged["signature-input"] = forged["signature-input"].replace(key_id(OPERATOR_KEY), key_id(BANK_KEY))
    refused(node, client.post("/orders/prepare", content=BODY, headers=forged), "signature_invalid", 401)


def test_a_careless_directory_does_not_make_a_key_anothers() -> None:
    """It answers with the bank's key whatever key id was asked for."""
    node = Node()
    node.directory.lookup = lambda sender, key_id: Sender(BANK_KEY.public_key(), "active")  # type: ignore[method-assign]
    response = node.start().post("/orders/prepare", content=BODY, headers=headers_for(key=OPERATOR_KEY))
    refused(node, response, "signature_invalid", 401)


def test_a_replay_is_refused_also_after_a_restart() -> None:
    node = Node()
    headers = headers_for()
    client = node.start()
    assert client.post("/orders/prepare", content=BODY, headers=headers).status_code == 200
    assert client.post("/orders/prepare", content=BODY, headers=headers).json()["code"] == "replayed"
    restarted = node.start()
    replay = restarted.post("/orders/prepare", content=BODY, headers=headers)
    assert (replay.status_code, replay.json()["code"]) == (403, "replayed")
    assert node.received == [BODY]


def test_a_nonce_is_the_senders_own() -> None:
    """Another sender may draw the same nonce; the same sender may not use it for another request."""
    node = Node()
    client = node.start()
    nonce = "n" * 24
    first = headers_for(nonce=nonce)
    assert client.post("/orders/prepare", content=BODY, headers=first).status_code == 200
    other = headers_for(nonce=nonce, sender="operator", key=OPERATOR_KEY)
    assert client.post("/orders/prepare", content=BODY, headers=other).status_code == 200
    again = headers_for(body=b"other", nonce=nonce)
    assert client.post("/orders/prepare", content=b"other", headers=again).json()["code"] == "replayed"


def test_a_replay_to_another_node_is_refused() -> None:
    node = Node(own_id="auditor")
    response = node.start().post("/orders/prepare", content=BODY, headers=headers_for())
    refused(node, response, "wrong_recipient", 403)


@pytest.mark.parametrize("seconds", [-121, -86400, 31, 86400])
def test_old_and_early_requests_are_refused(seconds: int) -> None:
    node = Node()
    stale = headers_for(at=NOW + dt.timedelta(seconds=seconds))
    refused(node, node.start().post("/orders/prepare", content=BODY, headers=stale), "stale", 401)


@pytest.mark.parametrize("seconds", [-120, 0, 30])
def test_the_edges_of_freshness(seconds: int) -> None:
    headers = headers_for(at=NOW + dt.timedelta(seconds=seconds))
    assert Node().start().post("/orders/prepare", content=BODY, headers=headers).status_code == 200


def test_a_nonce_is_remembered_as_long_as_its_request_is_fresh() -> None:
    """A request dated as far ahead as allowed stays refused until it is stale."""
    node = Node()
    headers = headers_for(at=NOW + dt.timedelta(seconds=30))
    client = node.start()
    assert client.post("/orders/prepare", content=BODY, headers=headers).status_code == 200
    ((_, expiry),) = node.nonces._expiry.items()
    while node.now <= expiry:
        code = client.post("/orders/prepare", content=BODY, headers=headers).json()["code"]
        assert code in ("replayed", "stale")
        node.now += dt.timedelta(seconds=25)
    assert client.post("/orders/prepare", content=BODY, headers=headers).json()["code"] == "stale"


@pytest.mark.parametrize("standing", ["suspended", "revoked"])
def test_suspension_takes_effect_on_the_next_request_and_ends(standing: Standing) -> None:
    node = Node()
    client = node.start()
    node.directory.standing["bank"] = standing
    refused(
        node, client.post("/orders/prepare", content=BODY, headers=headers_for()), "sender_suspended", 403
    )
    node.directory.standing["bank"] = "active"
    assert client.post("/orders/prepare", content=BODY, headers=headers_for()).status_code == 200


def test_strangers_cannot_fill_the_memory_of_nonces() -> None:
    node = Node()
    client = node.start()
    stranger = Ed25519PrivateKey.generate()
    for headers in (
        headers_for(key=stranger),
        headers_for(sender="stranger", key=stranger),
        headers_for() | {"signature": "hefu=:AAAA:"},
    ):
        client.post("/orders/prepare", content=BODY, headers=headers)
    assert node.nonces._expiry == {}


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(chunked: bool) -> None:
    node = Node()
    body = b"x" * 1001
    content: Any = iter([body[:500], body[500:]]) if chunked else body
    headers = headers_for(body=body)
    response = node.start().post("/orders/prepare", content=content, headers=headers)
    refused(node, response, "body_too_large", 413)
    answer(node, response, headers)


class Trickle:
    """A body in pieces; remembers how many were asked for, and does something before each."""

    def __init__(self, *pieces: bytes, before: Callable[[], None] = lambda: None) -> None:
        self.pieces, self.before, self.asked = list(pieces), before, 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.asked += 1
            self.before()
            yield piece


@pytest.mark.parametrize("who", ["stranger", "forged", "suspended", "stale", "unsigned", "misdirected"])
def test_a_body_is_read_from_known_senders_only(who: str) -> None:
    """Whoever is refused anyway must not fill the memory first."""
    node = Node(directory=Directory(standing={"bank": "suspended"} if who == "suspended" else {}))
    headers = {
        "stranger": headers_for(sender="stranger", key=Ed25519PrivateKey.generate()),
        "forged": headers_for() | {"signature": f"hefu=:{'A' * 86}==:"},
        "suspended": headers_for(),
        "stale": headers_for(at=NOW - dt.timedelta(hours=1)),
        "unsigned": {},
        "misdirected": headers_for(recipient="auditor"),
    }[who]
    read: list[bytes] = []
    assert asyncio.run(_raw(node, "/orders/prepare", headers, read)) in (401, 403)
    assert read == []


async def _raw(node: Node, path: str, headers: dict[str, str], read: list[bytes]) -> int:
    """The status of a request whose body goes on for as long as somebody reads it."""
    fields = [(b"host", b"exchange.example"), *((n.encode(), v.encode()) for n, v in headers.items())]
    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": fields, "http_version": "1.1", "scheme": "https", "state": {},
    }  # fmt: skip
    status = []

    async def receive() -> dict[str, Any]:
        read.append(b"x" * 100)
        return {"type": "http.request", "body": read[-1], "more_body": True}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    await node.start().app(scope, receive, send)
    return int(status[0])


def test_a_body_that_comes_too_slowly_is_stale() -> None:
    """Its nonce would be remembered only when it may be forgotten already."""
    node = Node()

    def wait() -> None:
        node.now += dt.timedelta(seconds=70)

    slow = Trickle(BODY[:5], BODY[5:], before=wait)
    refused(node, node.start().post("/orders/prepare", content=slow, headers=headers_for()), "stale", 401)
    assert slow.asked == 2


def test_refusals_and_failures_are_signed_and_bound_too() -> None:
    node = Node()
    client = node.start()
    stale = headers_for(at=NOW - dt.timedelta(days=1))
    answer(node, client.post("/orders/prepare", content=BODY, headers=stale), stale)
    for path, status in (("/orders/nowhere", 404), ("/orders/fail", 500)):
        headers = headers_for(path, b"", method="GET")
        response = client.get(path, headers=headers)
        assert response.status_code == status
        answer(node, response, headers)


@pytest.mark.parametrize("signature", ["", "hefu=:\xe9:", "x" * 9000])
def test_an_answer_to_an_unsigned_request_is_bound_to_none(signature: str) -> None:
    node = Node()
    headers = [(b"signature", signature.encode("latin-1"))] if signature else []
    response = node.start().post("/orders/prepare", content=BODY, headers=headers)
    assert response.status_code == 401
    assert "signature" in response.headers
    with pytest.raises(SignatureRefused):
        answer(node, response, {"signature": signature})


def test_logs_name_the_reason_and_no_content(caplog: pytest.LogCaptureFixture) -> None:
    node = Node()
    client = node.start()
    headers = headers_for(at=NOW - dt.timedelta(days=1))
    with caplog.at_level(logging.DEBUG, "hefu.wire"):
        client.post("/orders/prepare", content=BODY, headers=headers)
        client.get("/orders/fail", headers=headers_for("/orders/fail", b"", method="GET"))
    assert "stale" in caplog.text
    assert "ValueError" in caplog.text
    for secret in ("serial-0815 ", '"planted"', headers["signature"]):
        assert secret not in caplog.text.replace('raise ValueError("planted serial-0815")', "")


def test_tasks_after_the_answer_run() -> None:
    node = Node()
    headers = headers_for("/orders/compute")
    response = node.start().post("/orders/compute", content=BODY, headers=headers)
    assert response.status_code == 202
    assert node.received == ["background"]
    answer(node, response, headers)


def test_outside_the_prefixes_nothing_is_touched() -> None:
    response = Node().start().get("/health")
    assert response.status_code == 200
    assert "signature" not in response.headers


@pytest.mark.parametrize("chunked", [False, True])
def test_outside_the_prefixes_a_body_is_limited_too(chunked: bool) -> None:
    """Nobody is known there before the body was read; only a path that checks the person first may stream."""
    node = Node()
    client = node.start()
    body = b"x" * 2001
    content: Any = iter([body[:1500], body[1500:]]) if chunked else body
    response = client.post("/console/login", content=content)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    assert client.post("/console/login", content=body[:2000]).json() == {"bytes": 2000}
    content = iter([body[:1500], body[1500:]]) if chunked else body
    assert client.post("/console/data-sets/loans/files", content=content).json() == {"bytes": 2001}
    assert client.post("/console/data-sets/loans/files/x", content=body).status_code == 413


def test_an_open_route_needs_no_known_sender_but_is_limited_and_answers_signed() -> None:
    node = Node()
    client = node.start()
    stranger = Ed25519PrivateKey.generate()
    headers = headers_for("/api/applications", sender="newcomer", key=stranger)
    response = client.post("/api/applications", content=BODY, headers=headers)
    assert response.json() == {"sender": None}
    answer(node, response, headers)
    assert client.post("/api/applications", content=b"x" * 1001).status_code == 413
    assert client.get("/api/applications").status_code == 401
    assert client.post("/api/applications/x", content=BODY).status_code == 401


def test_a_websocket_under_a_prefix_is_closed() -> None:
    client = Node().start()
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/orders/prepare"):
        pass


def test_without_a_guard_no_sender_is_taken_on_trust() -> None:
    app = FastAPI()

    @app.get("/orders/x")
    def x(request: Request) -> str:
        return sender_of(request).sender

    assert TestClient(app, raise_server_exceptions=False).get("/orders/x").status_code == 500


# Each protection taken away: the attack that it stops would pass.


def _attack(node: Node, headers: dict[str, str], body: bytes = BODY) -> int:
    return int(node.start().post("/orders/prepare", content=body, headers=headers).status_code)


def test_without_freshness_an_old_request_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guard, "check_fresh", lambda self, created: None)
    assert _attack(Node(), headers_for(at=NOW - dt.timedelta(days=1))) == 200


def test_without_standing_a_suspended_sender_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guard, "check_standing", lambda self, sender: None)
    assert _attack(Node(directory=Directory(standing={"bank": "suspended"})), headers_for()) == 200


def test_without_nonces_a_replay_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guard, "check_new", lambda self, verified: None)
    node, headers = Node(), headers_for()
    assert [_attack(node, headers), _attack(node, headers)] == [200, 200]


def test_with_forgetful_nonces_a_replay_after_a_restart_would_pass() -> None:
    node, headers = Node(), headers_for()
    assert _attack(node, headers) == 200
    node.nonces = MemoryNonceStore()
    assert _attack(node, headers) == 200


def test_without_the_signature_a_forgery_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    forged = headers_for(key=OPERATOR_KEY)
    forged["signature-input"] = forged["signature-input"].replace(key_id(OPERATOR_KEY), key_id(BANK_KEY))
    monkeypatch.setattr(signing, "_verify", lambda *_: None)
    assert _attack(Node(), forged) == 200


def test_without_the_recipient_a_replay_to_another_node_would_pass() -> None:
    class Anyone(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

    assert _attack(Node(own_id=Anyone("auditor")), headers_for()) == 200


def test_without_the_limit_a_large_body_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited: Callable[..., Any] = middleware.GuardMiddleware.__init__

    def without_limit(self: Any, *args: Any, **options: Any) -> None:
        unlimited(self, *args, **{**options, "max_body_bytes": 10**9})

    monkeypatch.setattr(middleware.GuardMiddleware, "__init__", without_limit)
    body = b"x" * 1001
    assert _attack(Node(), headers_for(body=body), body) == 200
