"""The scheduled compliance work at `/internal` (flow runner), and the figures of an effect evaluation for parties at `/api`."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from hefu.coordinator import due_soon, effect, reevaluation, retention
from hefu.coordinator.context import CoordinatorContext
from hefu.wire.middleware import sender_of
from hefu.wire.signing import VerifiedRequest


def create_internal_router(ctx: CoordinatorContext) -> APIRouter:
    """retention, reevaluation, due-soon, effect: whoever includes it guards it."""
    router = APIRouter(prefix="/internal")

    @router.post("/retention")
    def sweep() -> dict[str, Any]:
        return retention.sweep(ctx)

    @router.post("/reevaluation")
    def reevaluate() -> dict[str, Any]:
        return reevaluation.reevaluate_all(ctx)

    @router.get("/due-soon")
    def soon() -> dict[str, Any]:
        return due_soon.look_ahead(ctx)

    @router.get("/contracts/{contract_id}/effect")
    def figures(contract_id: str, first: Annotated[date, Query(alias="from")], until: date) -> dict[str, Any]:
        return effect.figures(ctx, contract_id, first, until)

    return router


def create_api_router(ctx: CoordinatorContext) -> APIRouter:
    """A party's view of its contract's figures. The sender was verified before."""
    router = APIRouter(prefix="/api")

    @router.get("/contracts/{contract_id}/effect")
    def figures(
        contract_id: str,
        first: Annotated[date, Query(alias="from")],
        until: date,
        sender: Annotated[VerifiedRequest, Depends(sender_of)],
    ) -> dict[str, Any]:
        return effect.figures(ctx, contract_id, first, until, party=sender.sender)

    return router
