"""`/peer`: record requests, inquiries and replies of other organisations. The guard has verified the sender."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from hefu.node import filings, inquiries, records
from hefu.node.console.answers import ConsoleRoute
from hefu.node.context import NodeContext
from hefu.wire.middleware import sender_of
from hefu.wire.signing import VerifiedRequest

Sender = Annotated[VerifiedRequest, Depends(sender_of)]


def create_peer_supervision_router(ctx: NodeContext) -> APIRouter:
    """The routes, for the node's application."""
    router = APIRouter(prefix="/peer", route_class=ConsoleRoute)

    @router.post("/record-requests")
    def record_request(question: records.RecordQuestion, sender: Sender) -> dict[str, str]:
        return records.answer(ctx, sender.sender, question)

    @router.post("/inquiries")
    def inquiry(message: inquiries.InquiryMessage, sender: Sender) -> dict[str, str]:
        inquiries.take_inquiry(ctx, sender.sender, message)
        return {"state": "taken"}

    @router.post("/inquiry-replies")
    def reply(message: inquiries.ReplyMessage, sender: Sender) -> dict[str, str]:
        inquiries.take_reply(ctx, sender.sender, message)
        return {"state": "taken"}

    @router.post("/filings")
    def filing(message: filings.FilingMessage) -> dict[str, str]:
        return {"digest": filings.take(ctx, message.envelope).digest}

    return router
