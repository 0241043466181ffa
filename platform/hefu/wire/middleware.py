"""The guard as ASGI middleware, and the signature under every answer.

Under the protected prefixes a request is checked, its body read whole (up to a limit, and only from a known sender), and handed
on; the application finds the VerifiedRequest in `request.state.sender`. The answer is read whole too, signed, and bound to its
request. Everything outside the prefixes (the console's API, health) passes through, its body limited as well: nobody is known
there before the body was read. Only `streamed_paths` limit theirs by themselves. Refusals are logged with their reason code; bodies, keys and
signatures are not.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hefu.wire.errors import Refused
from hefu.wire.guard import Guard
from hefu.wire.signing import MAX_FIELD_CHARACTERS, SIGNED_HEADERS, VerifiedRequest, sign_response

log = logging.getLogger("hefu.wire")

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_OPEN_BODY_BYTES = (
    2 * 1024 * 1024
)  # a contract has 512 KiB at most, in JSON's longest spelling not twice that
PROTECTED_PREFIXES = ("/orders", "/peer", "/api")
_ANSWER_HEADERS = {name.encode() for name in SIGNED_HEADERS} | {b"content-length"}


class _Disconnected(Exception):
    """The client went away before its request was complete."""


def install_guard(
    app: FastAPI,
    guard: Guard,
    *,
    identity_key: Ed25519PrivateKey,
    own_id: str,
    protect_prefixes: tuple[str, ...] = PROTECTED_PREFIXES,
    max_body_bytes: int = MAX_BODY_BYTES,
    open_routes: Collection[tuple[str, str]] = (),
    max_open_body_bytes: int = MAX_OPEN_BODY_BYTES,
    streamed_paths: str | None = None,
) -> None:
    """Put the guard before an application.

    protect_prefixes  requests whose path starts with one of these are checked, their answers signed
    open_routes       (method, path) under a prefix that needs no known sender, e.g. a self-signed application:
                      its answer is signed, its body limited, `request.state.sender` is None
    max_open_body_bytes  the largest body outside the prefixes
    streamed_paths       a pattern of paths outside the prefixes that check the person first and limit their body themselves
    """
    app.add_middleware(
        GuardMiddleware,
        guard=guard,
        identity_key=identity_key,
        own_id=own_id,
        protect_prefixes=protect_prefixes,
        max_body_bytes=max_body_bytes,
        open_routes=frozenset(open_routes),
        max_open_body_bytes=max_open_body_bytes,
        streamed_paths=None if streamed_paths is None else re.compile(streamed_paths),
    )


def sender_of(request: Request) -> VerifiedRequest:
    """The verified sender of a request that came through the guard (a FastAPI dependency).

    raises  Refused("signature_missing") where the guard did not check this request
    """
    sender = getattr(request.state, "sender", None)
    if not isinstance(sender, VerifiedRequest):
        raise Refused("signature_missing")
    return sender


@dataclass(frozen=True)
class GuardMiddleware:
    """See `install_guard`."""

    app: ASGIApp
    guard: Guard
    identity_key: Ed25519PrivateKey
    own_id: str
    protect_prefixes: tuple[str, ...]
    max_body_bytes: int
    open_routes: frozenset[tuple[str, str]]
    max_open_body_bytes: int
    streamed_paths: re.Pattern[str] | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif not scope["path"].startswith(self.protect_prefixes):
            await self._pass(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(lambda whole: self._send(scope, whole, send))
        try:
            body = await self._admit(scope, receive)
            await self.app(scope, _replay(body, receive), answer.take)
            if not answer.sent:
                raise RuntimeError("the application did not complete its answer")
        except _Disconnected:
            return
        except Refused as refusal:
            self._log(scope, refusal)
            await answer.fail(refusal.status, refusal.code, refusal.message_zh, refusal.message_en)
        except Exception as error:
            # the exception's text may quote the body, so only its kind and place are logged
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("%s %s failed: %s\n%s", scope["method"], scope["path"], type(error).__name__, frames)
            await answer.fail(500, "internal_error", "内部错误", "internal error")

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        streamed = self.streamed_paths is not None and self.streamed_paths.fullmatch(scope["path"])
        if scope["type"] != "http" or streamed:
            await self.app(scope, receive, send)
            return
        try:
            body = await self._read_body(scope, receive, self.max_open_body_bytes)
        except _Disconnected:
            return
        except Refused as refusal:
            self._log(scope, refusal)
            said = {"code": refusal.code, "message_zh": refusal.message_zh, "message_en": refusal.message_en}
            await JSONResponse(said, refusal.status)(scope, receive, send)
            return
        await self.app(scope, _replay(body, receive), send)

    async def _admit(self, scope: Scope, receive: Receive) -> bytes:
        state = scope.setdefault("state", {})
        if (scope["method"], scope["path"]) in self.open_routes:
            state["sender"] = None
            return await self._read_body(scope, receive, self.max_body_bytes)
        state["sender"], body = await self.guard.check(
            Request(scope), lambda: self._read_body(scope, receive, self.max_body_bytes)
        )
        return body

    async def _read_body(self, scope: Scope, receive: Receive, limit: int) -> bytes:
        declared = Request(scope).headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            raise Refused("body_too_large")
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            body += message.get("body", b"")
            if len(body) > limit:
                raise Refused("body_too_large")
            if not message.get("more_body", False):
                return bytes(body)

    async def _send(self, scope: Scope, answer: _Answer, send: Send) -> None:
        signed = sign_response(
            answer.status,
            bytes(answer.body),
            sender=self.own_id,
            key=self.identity_key,
            request_signature=_binding(scope),
            created=int(self.guard.clock().timestamp()),
        )
        headers = [(name, value) for name, value in answer.headers if name.lower() not in _ANSWER_HEADERS]
        headers += [(name.encode(), value.encode("latin-1")) for name, value in signed.items()]
        if answer.status not in (204, 304):
            headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(answer.body)})

    def _log(self, scope: Scope, refusal: Refused) -> None:
        claimed = Request(scope).headers.get("hefu-sender", "")[:64]
        log.warning("refused %s %s from %r: %s", scope["method"], scope["path"][:200], claimed, refusal.code)


class _Answer:
    """An application's answer, read whole, then given to `send` at once (tasks after the answer do not delay it)."""

    def __init__(self, send: Callable[[_Answer], Awaitable[None]]) -> None:
        self._send = send
        self.headers: list[tuple[bytes, bytes]]
        self._clear()
        self.sent = False

    async def take(self, message: Message) -> None:
        """Stands where the server's `send` would."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", []))
        elif message["type"] == "http.response.body" and not self.sent:
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                self.sent = True
                await self._send(self)

    async def fail(self, status: int, code: str, message_zh: str, message_en: str) -> None:
        """Answer with an error in the form that all our services use, unless an answer went out already."""
        if self.sent:
            return
        self._clear()
        body = orjson.dumps({"code": code, "message_zh": message_zh, "message_en": message_en})
        headers = [(b"content-type", b"application/json")]
        await self.take({"type": "http.response.start", "status": status, "headers": headers})
        await self.take({"type": "http.response.body", "body": body})

    def _clear(self) -> None:
        self.status = 500
        self.headers = []
        self.body = bytearray()


def _binding(scope: Scope) -> str | None:
    """The request's Signature field, where it is one that an answer can be bound to."""
    fields = Request(scope).headers.getlist("signature")
    bindable = len(fields) == 1 and len(fields[0]) <= MAX_FIELD_CHARACTERS and fields[0].isascii()
    return fields[0] if bindable and fields[0].isprintable() else None


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, then whatever the server says next."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
