"""The door: nothing without a session; cookies, throttle, foreign origins, logout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hefu_ui.console import Console
from hefu_ui.door.guard import Guard
from hefu_ui.door.routes import routes
from hefu_ui.door.sessions import Sessions
from hefu_ui.door.throttle import PER_ACCOUNT, PER_ADDRESS, WINDOW_SECONDS, Throttle
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

PASSWORD = "correct horse battery"
INSIDE = [
    "/",
    "/jobs",
    "/_stcore/health",
    "/_stcore/stream",
    "/media/x.png",
    "/static/js/a.js",
    "/_stcore/upload_file/a/b",
    "/auth/assets/../../config.py",
    "/auth/login/",
]


async def _secret(request: Request) -> PlainTextResponse:
    return PlainTextResponse("inside")


async def _stream(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("inside")
    await websocket.close()


def _app(console: Console, secure: bool = False) -> Starlette:
    inside: list[Any] = [
        WebSocketRoute("/_stcore/stream", _stream),
        Route("/{path:path}", _secret, methods=["GET", "POST", "PUT"]),
    ]
    return Starlette(
        routes=[*routes(console), *inside],
        middleware=[Middleware(Guard, sessions=console.sessions, secure=secure)],
    )


@pytest.fixture
def browser(console: Console) -> Iterator[TestClient]:
    with TestClient(_app(console), base_url="http://console.test", follow_redirects=False) as client:
        yield client


def _log_in(
    browser: TestClient, password: str = PASSWORD, account: str = "wang", org: str = "bank", **headers: str
) -> Any:
    browser.get("/auth/login")
    form = {
        "org": org,
        "account": account,
        "password": password,
        "lang": "en",
        "form_token": browser.cookies.get("hefu_form") or "",
    }
    return browser.post("/auth/login", data=form, headers=headers)


@pytest.mark.parametrize("path", INSIDE)
def test_without_a_session_a_page_is_redirected_and_anything_else_refused(
    browser: TestClient, path: str
) -> None:
    page = browser.get(path, headers={"accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/auth/login")
    assert browser.get(path).status_code == 401
    assert browser.post(path).status_code == 401
    assert "inside" not in page.text


@pytest.mark.parametrize(
    "cookie", ["", "hefu_session=", "hefu_session=guess", 'hefu_session="', "a=b; hefu_session=guess; c"]
)
def test_a_made_up_cookie_opens_nothing(browser: TestClient, cookie: str) -> None:
    assert browser.get("/jobs", headers={"cookie": cookie}).status_code == 401


def test_the_websocket_is_refused_without_a_session_and_from_a_foreign_origin(browser: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        browser.websocket_connect("ws://console.test/_stcore/stream"),
    ):
        pass
    assert refused.value.code == 1008
    _log_in(browser)
    with (
        pytest.raises(WebSocketDisconnect),
        browser.websocket_connect("ws://console.test/_stcore/stream", headers={"origin": "http://evil.test"}),
    ):
        pass
    with browser.websocket_connect(
        "ws://console.test/_stcore/stream", headers={"origin": "http://console.test"}
    ) as socket:
        assert socket.receive_text() == "inside"


def test_signing_in_opens_everything_and_signing_out_closes_it(
    browser: TestClient, calls: Callable[[str], list[Any]]
) -> None:
    answer = _log_in(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.get("/jobs").text == "inside"
    token = browser.cookies["hefu_session"]
    assert browser.get("/auth/login").headers["location"] == "/"
    assert browser.post("/auth/logout").status_code == 303
    assert calls("bank") == [("logout",)]
    assert browser.get("/jobs", headers={"cookie": f"hefu_session={token}"}).status_code == 401


def test_cookie_flags(browser: TestClient, console: Console) -> None:
    flags = _log_in(browser).headers["set-cookie"].lower()
    assert "httponly" in flags
    assert "samesite=strict" in flags
    assert "path=/" in flags
    assert "domain=" not in flags
    with TestClient(_app(console.__class__(console.config.model_copy(update={"behind_tls_proxy": True})), secure=True),
                    base_url="https://console.test", follow_redirects=False) as tls:  # fmt: skip
        page = tls.get("/auth/login")
        assert "__host-hefu_form" in page.headers["set-cookie"].lower()
        assert "secure" in page.headers["set-cookie"].lower()
        assert "max-age" in page.headers["strict-transport-security"]


def test_the_browser_never_sees_the_nodes_token(browser: TestClient, console: Console) -> None:
    answer = _log_in(browser)
    held = console.sessions.find(browser.cookies["hefu_session"])
    assert held is not None
    assert held.org_id == "bank"
    assert held.language == "en"
    assert held.node_token not in str(answer.headers)
    assert held.node_token != browser.cookies["hefu_session"]


def test_a_wrong_password_is_refused_then_throttled(browser: TestClient) -> None:
    for _ in range(PER_ACCOUNT):
        assert _log_in(browser, "wrong").status_code == 401
    blocked = _log_in(browser, PASSWORD)
    assert blocked.status_code == 429
    assert int(blocked.headers["retry-after"]) > 200
    assert _log_in(browser, account="viewer").status_code == 303


def test_the_form_needs_its_own_cookie_and_origin(browser: TestClient) -> None:
    form = {"org": "bank", "account": "wang", "password": PASSWORD, "form_token": "guess"}
    assert browser.post("/auth/login", data=form).status_code == 403
    browser.get("/auth/login")
    assert browser.post("/auth/login", data=form).status_code == 403
    assert _log_in(browser, origin="http://evil.test").status_code == 403
    assert _log_in(browser, origin="null").status_code == 403
    assert _log_in(browser, origin="http://console.test").status_code == 303


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"org": "nobody"},
        {"account": ""},
        {"account": "x" * 65},
        {"password": ""},
        {"password": "x" * 257},
    ],
)
def test_an_incomplete_form_never_reaches_a_node(browser: TestClient, form: dict[str, str]) -> None:
    browser.get("/auth/login")
    full = {
        "org": "bank",
        "account": "wang",
        "password": PASSWORD,
        "form_token": browser.cookies["hefu_form"],
    }
    answer = browser.post(
        "/auth/login", data={**full, **form} if form else {"form_token": full["form_token"]}
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
def test_a_form_without_a_length_is_limited_too(browser: TestClient, kind: str) -> None:
    """Sent in pieces it declares none; whoever stands before the door must not fill the memory, or a disk."""
    pieces = (b"x" * 1000 for _ in range(100))
    answer = browser.post("/auth/login", content=pieces, headers={"content-type": kind})
    assert (answer.status_code, answer.json()) == (413, {"code": "too_large"})


def test_what_was_typed_is_escaped(browser: TestClient) -> None:
    answer = _log_in(browser, "wrong", account='"><script>alert(1)</script>')
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_a_node_that_is_down_is_said_in_words(console: Console) -> None:
    gone = console.config.nodes["bank"].model_copy(update={"url": "https://127.0.0.1:1"})
    console.config = console.config.model_copy(update={"nodes": {**console.config.nodes, "bank": gone}})
    with TestClient(_app(console), base_url="http://console.test", follow_redirects=False) as browser:
        answer = _log_in(browser)
    assert answer.status_code == 502
    assert "does not answer" in answer.text


def test_a_node_under_another_certificate_is_not_believed(console: Console) -> None:
    swapped = console.config.nodes["bank"].model_copy(update={"url": console.config.nodes["auditor"].url})
    console.config = console.config.model_copy(update={"nodes": {**console.config.nodes, "bank": swapped}})
    with TestClient(_app(console), base_url="http://console.test", follow_redirects=False) as browser:
        assert _log_in(browser).status_code == 502


def test_every_answer_forbids_other_origins(browser: TestClient) -> None:
    for path in ("/auth/login", "/auth/assets/login.css", "/jobs"):
        headers = browser.get(path).headers
        assert "http" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    page = browser.get("/auth/login").text
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page


def test_sessions_end_when_idle_and_when_the_node_says(console: Console) -> None:
    session = console.node("bank").login("wang", PASSWORD)
    sessions = Sessions(timedelta(minutes=30))
    token = sessions.begin("bank", session, "zh")
    held = sessions.find(token)
    assert held is not None
    held.last_seen = datetime.now(UTC) - timedelta(minutes=29)
    assert sessions.find(token) is not None, (
        "looking does not count as being there, and 29 minutes are not 30"
    )
    held.last_seen = datetime.now(UTC) - timedelta(minutes=31)
    assert sessions.find(token) is None
    over = sessions.begin("bank", session.model_copy(update={"expires_at": datetime.now(UTC)}), "zh")
    assert sessions.find(over) is None


def test_the_throttle_counts_per_account_and_address_and_forgets() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    for _ in range(PER_ACCOUNT):
        assert throttle.wait_seconds("bank", "wang", "a") == 0
        throttle.failed("bank", "wang", "a")
    assert throttle.wait_seconds("bank", "wang", "a") > 0
    assert throttle.wait_seconds("bank", "wang", "b") == 0
    assert throttle.wait_seconds("auditor", "wang", "a") == 0
    now[0] = WINDOW_SECONDS + 1
    assert throttle.wait_seconds("bank", "wang", "a") == 0
    for n in range(PER_ADDRESS):
        throttle.failed("bank", f"user{n}", "a")
    assert throttle.wait_seconds("bank", "someone", "a") > 0
