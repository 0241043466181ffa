"""Every error of the console's API leaves as an ApiError: what went wrong, in two languages, and how to mend it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from hefu.domain.errors import DocumentInvalid, DomainError
from hefu.node.console_models import ApiError
from hefu.node.directory import UnknownPeer
from hefu.node.refusals import Refusal, refuse
from hefu.wire.errors import AcknowledgementInvalid, PeerRefused, PeerUnreachable
from hefu.wire.refusal import invalid_request

log = logging.getLogger("hefu.console")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ConsoleRoute(APIRoute):
    """A route whose errors, those of its dependencies and of validation included, are ApiErrors."""

    def get_route_handler(self) -> Handler:
        """The handler that FastAPI made, wrapped."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                response = await handle(request)
            except Exception as error:
                refusal = as_refusal(error)
                if refusal.status >= 500:
                    log.exception("%s %s: %s", request.method, request.url.path, refusal.body["code"])
                response = JSONResponse(
                    ApiError.model_validate(refusal.body).model_dump(mode="json"), refusal.status
                )
                if refusal.status == 401:
                    response.headers["WWW-Authenticate"] = "Bearer"
            response.headers["Cache-Control"] = "no-store"
            response.headers["X-Content-Type-Options"] = "nosniff"
            return response

        return guarded


def as_refusal(error: Exception) -> Refusal:
    """The refusal that tells a person of this error; nothing of an unexpected error's text gets out."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, RequestValidationError | ValidationError):
        return invalid_request(error.errors())
    if isinstance(error, DocumentInvalid):
        at = error.clause or error.document
        return refuse(
            422,
            "document_invalid",
            f"条款 {at}：{error.reason}",
            f"clause {at}: {error.reason}",
            "请修改该条款",
            "mend that clause",
            limit=error.clause or None,
        )
    if isinstance(error, DomainError):
        return refuse(
            409,
            "not_allowed",
            f"当前状态不允许：{error}",
            f"not allowed in this state: {error}",
            "请刷新后重试",
            "refresh and try again",
        )
    if isinstance(error, PeerRefused):
        return _said_by_peer(error)
    if isinstance(error, PeerUnreachable):
        return refuse(
            503,
            "peer_unreachable",
            f"无法连接 {error.org_id}",
            f"{error.org_id} cannot be reached",
            "请稍后重试；仍失败请检查对方节点与网络",
            "try again later; if it persists, check that node and the network",
            party=error.org_id,
        )
    if isinstance(error, AcknowledgementInvalid):
        return refuse(
            502,
            "answer_invalid",
            f"{error.org_id} 的应答未通过签名校验，已丢弃",
            f"the answer of {error.org_id} does not verify and was dropped",
            "请联系对方核对密钥",
            "ask that organisation to check its keys",
            party=error.org_id,
        )
    if isinstance(error, UnknownPeer):
        return refuse(
            409,
            "unknown_peer",
            str(error).split(" / ")[0],
            str(error).split(" / ")[-1],
            "请先与该机构签署合约",
            "sign a contract with that organisation first",
        )
    if isinstance(error, OperationalError):
        return refuse(
            503,
            "database_unavailable",
            "本节点数据库暂不可用",
            "this node's database is not available",
            "请稍后重试",
            "try again in a moment",
        )
    return refuse(
        500,
        "internal_error",
        "本节点内部错误",
        "internal error at this node",
        "请查看节点日志",
        "look at the node's log",
    )


def _said_by_peer(error: PeerRefused) -> Refusal:
    said = {name: error.body.get(name) for name in ApiError.model_fields}
    text = {name: value[:4000] for name, value in said.items() if isinstance(value, str)}
    return refuse(
        error.status if 400 <= error.status < 500 and error.status != 401 else 502,
        text.get("code") or "peer_refused",
        text.get("message_zh") or f"{error.org_id} 拒绝了请求",
        text.get("message_en") or f"{error.org_id} refused the request",
        text.get("mend_zh", ""),
        text.get("mend_en", ""),
        party=text.get("party") or error.org_id,
        stage=text.get("stage"),
        limit=text.get("limit"),
    )
