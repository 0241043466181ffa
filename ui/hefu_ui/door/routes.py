"""The login page and the routes behind it: /auth/login, /auth/logout, their style and picture, /healthz.

A login form carries a random token that must equal the one in an HttpOnly, SameSite=Strict cookie, so no other site can
sign a browser in. The password goes to the organisation's own node, which alone can check it; nothing of it is kept.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from hefu_ui.console import Console
from hefu_ui.door.guard import cookie_name
from hefu_ui.door.login_page import render_login
from hefu_ui.door.sessions import Language
from hefu_ui.errors import NodeRefused, NodeUnreachable
from hefu_ui.words import say

ASSETS = Path(__file__).parent.parent / "assets"
MAX_FORM_BYTES = 8192


def routes(console: Console) -> list[Route]:
    """The routes that stand beside Streamlit."""
    door = _Door(console)
    return [
        Route("/auth/login", door.show, methods=["GET"]),
        Route("/auth/login", door.log_in, methods=["POST"]),
        Route("/auth/logout", door.log_out, methods=["POST"]),
        Route("/auth/assets/login.css", _asset("login.css"), methods=["GET"]),
        Route("/auth/assets/logo.png", _asset("logo.png"), methods=["GET"]),
        Route("/healthz", _healthy, methods=["GET"]),
    ]


class _Door:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._secure = console.config.secure
        self._form_cookie = "__Host-hefu_form" if self._secure else "hefu_form"

    async def show(self, request: Request) -> Response:
        token = request.cookies.get(cookie_name(self._secure))
        if self._console.sessions.find(token) is not None:
            return RedirectResponse("/", status_code=303)
        return self._page(request, _language(request.query_params.get("lang")))

    async def log_in(self, request: Request) -> Response:
        form = await _read_form(request)
        if form is None:
            return JSONResponse({"code": "too_large"}, status_code=413)
        language = _language(form.get("lang"))
        org_id, account, password = (
            form.get("org", ""),
            form.get("account", "").strip(),
            form.get("password", ""),
        )
        if not self._is_own_form(request, form.get("form_token", "")):
            return self._page(request, language, error="login.stale_form", status=403)
        if org_id not in self._console.config.nodes or not (
            0 < len(account) <= 64 and 0 < len(password) <= 256
        ):
            return self._page(
                request, language, error="login.incomplete", status=400, org_id=org_id, account=account
            )
        address = request.client.host if request.client else ""
        wait = self._console.throttle.wait_seconds(org_id, account, address)
        if wait:
            page = self._page(
                request, language, error="login.throttled", status=429, org_id=org_id, wait=wait
            )
            page.headers["Retry-After"] = str(wait)
            return page
        try:
            session = await run_in_threadpool(self._console.node(org_id).login, account, password)
        except NodeRefused as refusal:
            if refusal.status >= 500:
                return self._page(
                    request, language, error="login.node_down", status=502, org_id=org_id, account=account
                )
            self._console.throttle.failed(org_id, account, address)
            return self._page(
                request, language, error="login.wrong", status=401, org_id=org_id, account=account
            )
        except NodeUnreachable:
            return self._page(
                request, language, error="login.node_down", status=502, org_id=org_id, account=account
            )
        self._console.throttle.succeeded(org_id, account, address)
        self._console.sessions.end(request.cookies.get(cookie_name(self._secure)))
        token = self._console.sessions.begin(org_id, session, language)
        answer = RedirectResponse("/", status_code=303)
        self._set_cookie(answer, cookie_name(self._secure), token)
        answer.delete_cookie(
            self._form_cookie, path="/", secure=self._secure, httponly=True, samesite="strict"
        )
        return answer

    async def log_out(self, request: Request) -> Response:
        await run_in_threadpool(self._console.log_out, request.cookies.get(cookie_name(self._secure)))
        answer = RedirectResponse("/auth/login", status_code=303)
        answer.delete_cookie(
            cookie_name(self._secure), path="/", secure=self._secure, httponly=True, samesite="strict"
        )
        return answer

    def _is_own_form(self, request: Request, form_token: str) -> bool:
        held = request.cookies.get(self._form_cookie, "")
        return bool(held) and secrets.compare_digest(held.encode(), form_token.encode())

    def _set_cookie(self, answer: Response, name: str, value: str) -> None:
        answer.set_cookie(name, value, path="/", secure=self._secure, httponly=True, samesite="strict")

    def _page(
        self,
        request: Request,
        language: Language,
        *,
        error: str = "",
        status: int = 200,
        org_id: str = "",
        account: str = "",
        wait: int = 0,
    ) -> HTMLResponse:
        form_token = request.cookies.get(self._form_cookie) or secrets.token_urlsafe(24)
        message = say(error, language, minutes=max(1, round(wait / 60))) if error else ""
        html = render_login(self._console.config, language, form_token, message, org_id, account)
        answer = HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})
        self._set_cookie(answer, self._form_cookie, form_token)
        return answer


async def _read_form(request: Request) -> dict[str, str] | None:
    """The fields of a URL-encoded form; None when it is too large, whatever length it declares: strangers send it."""
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > MAX_FORM_BYTES:
            return None
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def _language(value: str | None) -> Language:
    return "en" if value == "en" else "zh"


def _asset(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(_: Request) -> Response:
        return FileResponse(ASSETS / name, headers={"Cache-Control": "max-age=3600"})

    return send


async def _healthy(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})
