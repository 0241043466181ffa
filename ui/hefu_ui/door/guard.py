"""A pure ASGI guard in front of everything: no session, no page, no file, no websocket.

Open without a session are only the login page with its style and picture, and `/healthz`. A request that a foreign site
started (Origin differs from Host) may neither post nor open a websocket. Every answer carries a content security policy
that forbids any other origin, so a page cannot load or leak anything elsewhere.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hefu_ui.door.sessions import Sessions

OPEN_PATHS = frozenset({"/auth/login", "/auth/assets/login.css", "/auth/assets/logo.png", "/healthz"})
APP_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
LOGIN_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


def cookie_name(secure: bool) -> str:
    """Name of the session's cookie; under TLS the prefix that binds it to this host."""
    return "__Host-hefu_session" if secure else "hefu_session"


class Guard:
    """Lets through what carries a live session; answers 303 (a page) or 401 (anything else) otherwise."""

    def __init__(self, app: ASGIApp, sessions: Sessions, secure: bool) -> None:
        self._app, self._sessions, self._cookie, self._secure = app, sessions, cookie_name(secure), secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), str(scope["path"])
        send = self._with_headers(send, LOGIN_POLICY if path in OPEN_PATHS else APP_POLICY)
        changes_something = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if changes_something and not _same_origin(headers):
            await self._refuse(scope, receive, send, 403, "foreign_origin")
        elif (path in OPEN_PATHS and scope["type"] == "http") or self._has_session(headers):
            await self._app(scope, receive, send)
        elif (
            scope["type"] == "http" and scope["method"] == "GET" and "text/html" in headers.get("accept", "")
        ):
            await RedirectResponse("/auth/login", status_code=303)(scope, receive, send)
        else:
            await self._refuse(scope, receive, send, 401, "no_session")

    def _has_session(self, headers: Headers) -> bool:
        return self._sessions.find(cookie_parser(headers.get("cookie", "")).get(self._cookie)) is not None

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, code: str) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": code})
            return
        await JSONResponse({"code": code}, status_code=status)(scope, receive, send)

    def _with_headers(self, send: Send, policy: str) -> Send:
        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                headers["Referrer-Policy"] = "same-origin"
                if self._secure:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        return sender


def _same_origin(headers: Headers) -> bool:
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")
