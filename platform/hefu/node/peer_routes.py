"""`/peer`: what other organisations send this node directly: notices, and sealed halves of results."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from hefu.domain.contract import NOTICE_TYPE
from hefu.domain.errors import DocumentInvalid
from hefu.domain.identity import STANDING_TYPE
from hefu.node import contracts, half_inbox, registry
from hefu.node.context import NodeContext
from hefu.store.signed import decode_envelope
from hefu.wire.middleware import sender_of
from hefu.wire.signing import VerifiedRequest

log = logging.getLogger("hefu.node")


class NoticeBody(BaseModel):
    """A signed standing notice or contract notice."""

    model_config = ConfigDict(extra="forbid")
    envelope: str = Field(max_length=1_500_000)


def create_peer_router(ctx: NodeContext) -> APIRouter:
    """The routes, for the node's application."""
    router = APIRouter(prefix="/peer", dependencies=[Depends(sender_of)])

    @router.post("/notices")
    def notice(body: NoticeBody) -> dict[str, str]:
        kind = decode_envelope(body.envelope).payload_type
        if kind == STANDING_TYPE:
            registry.take_standing(ctx, body.envelope)
        elif kind == NOTICE_TYPE:
            contracts.take_notice(ctx, body.envelope)
        else:
            raise DocumentInvalid("notice", "payloadType", f"{kind} is no notice")
        return {"state": "taken"}

    @router.post("/results")
    async def results(
        request: Request, background: BackgroundTasks, sender: Annotated[VerifiedRequest, Depends(sender_of)]
    ) -> dict[str, Any]:
        from starlette.concurrency import run_in_threadpool

        answer = await run_in_threadpool(half_inbox.take_half, ctx, sender.sender, await request.body())
        if answer["complete"] and ctx.settings.open_results:
            background.add_task(_open, ctx)
        return answer

    return router


def _open(ctx: NodeContext) -> None:
    """Open what is complete, where the organisation has set that results open as they arrive."""
    from hefu.node import results

    try:
        results.open_complete(ctx, user="automatic")
    except Exception:
        log.exception("a result could not be opened")
