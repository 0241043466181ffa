"""`/orders`: what the coordinator asks of this node. Every route but ping and status carries a signed order."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from hefu.domain.job import OrderKind
from hefu.node import gates, half_outbox, reevaluation, retention, source_checks, uses
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.orders import accept, refusals_kept
from hefu.node.sessions import Attempts
from hefu.wire.middleware import sender_of
from hefu.wire.refusal import Refusal
from hefu.wire.signing import VerifiedRequest

MAX_ENVELOPE = 1_500_000


class OrderBody(BaseModel):
    """A signed order."""

    model_config = ConfigDict(extra="forbid")
    order: str = Field(max_length=MAX_ENVELOPE)


class ComputeBody(OrderBody):
    """What a party needs to join the session."""

    hellos: dict[str, str] = Field(max_length=64)
    key_envelopes: list[str] = Field(max_length=8)
    batches: list[dict[str, Any]] = Field(max_length=64)


class RecountBody(BaseModel):
    """This node's own evidence of uses, from the ledger."""

    model_config = ConfigDict(extra="forbid")
    contract_id: str = Field(max_length=64)
    envelopes: list[str] = Field(max_length=1000)


class ReleaseBody(OrderBody):
    """What a party needs to verify a release itself."""

    decisions: list[str] = Field(max_length=32)
    receipt: str = Field(max_length=100_000)
    checked: str = Field(max_length=MAX_ENVELOPE)


def create_order_router(ctx: NodeContext, attempts: Attempts) -> APIRouter:
    """The routes, for the node's application."""

    def from_coordinator(sender: Annotated[VerifiedRequest, Depends(sender_of)]) -> None:
        if sender.sender != COORDINATOR:
            raise Refusal(
                403,
                "not_coordinator",
                "仅调度方可下达指令",
                "only the coordinator gives orders",
                party=sender.sender,
            )

    router = APIRouter(prefix="/orders", dependencies=[Depends(from_coordinator)])

    def accepted(body: OrderBody, kind: OrderKind) -> Any:
        return accept(ctx, body.order, kind)

    @router.get("/ping")
    def ping() -> dict[str, str]:
        return {"org_id": ctx.org_id}

    @router.get("/status")
    def status(job: str, attempt: int) -> dict[str, Any]:
        return attempts.status(job, attempt)

    @router.post("/sweep")
    def sweep() -> dict[str, Any]:
        """Delete what is due by our own contracts; the coordinator only says when to look."""
        swept = retention.sweep(ctx, asked=True)
        return {"kept": swept.kept, "deleted": swept.deleted, "certificates": list(swept.certificates)}

    @router.get("/uses")
    def uses_of(contract_id: Annotated[str, Query(max_length=64)]) -> dict[str, dict[str, int]]:
        with ctx.session() as session:
            return {"uses": uses.uses_by_job(session, contract_id)}

    @router.post("/recount")
    def recount(body: RecountBody) -> dict[str, int]:
        return {"found": uses.recount(ctx, body.contract_id, body.envelopes)}

    @router.post("/reevaluate")
    def reevaluate() -> dict[str, Any]:
        """Compare what ran with what was assessed, by our own records; the coordinator only says when to look."""
        return {"contracts": [outcome.told() for outcome in reevaluation.reevaluate_all(ctx)]}

    @router.post("/check-data")
    def check_data(body: OrderBody) -> dict[str, Any]:
        order, contract = accepted(body, "check_data")
        with refusals_kept(ctx, order, body.order):
            if ctx.org_id not in contract.owners():
                raise Refusal(
                    403,
                    "not_owner",
                    "本机构不是该合约的数据提供方",
                    "not a data owner of this contract",
                    party=ctx.org_id,
                )
            return source_checks.check_data(ctx, attempts, order, contract)

    @router.post("/prepare")
    def prepare(body: OrderBody) -> dict[str, Any]:
        order, contract = accepted(body, "prepare")
        with refusals_kept(ctx, order, body.order):
            gates.require_open(ctx, order, contract)
            return attempts.prepare(order, contract)

    @router.post("/compute")
    def compute(body: ComputeBody) -> dict[str, Any]:
        order, contract = accepted(body, "compute")
        with refusals_kept(ctx, order, body.order):
            return attempts.compute(order, contract, body.hellos, body.key_envelopes, body.batches)

    @router.post("/abort")
    def abort(body: OrderBody) -> dict[str, str]:
        order, _ = accepted(body, "abort")
        attempts.abort(order.job, order.attempt)
        return {"state": "aborted"}

    @router.post("/check-output")
    def check_output(body: OrderBody) -> dict[str, Any]:
        order, contract = accepted(body, "check_output")
        return half_outbox.check_output(ctx, order, contract)

    @router.post("/release")
    def release(body: ReleaseBody) -> dict[str, Any]:
        order, contract = accepted(body, "release")
        with refusals_kept(ctx, order, body.order):
            gates.require_open(ctx, order, contract)
            return half_outbox.release(ctx, order, contract, body.decisions, body.receipt, body.checked)

    @router.post("/finish")
    def finish(body: OrderBody) -> dict[str, Any]:
        order, _ = accepted(body, "finish")
        return half_outbox.finish(ctx, attempts, order)

    return router
