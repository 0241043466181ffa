"""The console's API under /console, put together."""

from __future__ import annotations

from fastapi import APIRouter

from hefu.node.console import (
    compliance,
    compliance_lists,
    contract_life,
    contracts,
    data_sets,
    effect,
    exclusions,
    jobs,
    ledger,
    overview,
    participants,
    people,
    results,
    supervision,
)
from hefu.node.console.access import Access
from hefu.node.console.verification import Verification
from hefu.node.context import NodeContext


def create_console_router(ctx: NodeContext) -> APIRouter:
    """All endpoints of `hefu.node.console_models` for one node."""
    access, verification = Access(ctx), Verification(ctx)
    router = APIRouter(prefix="/console", tags=["console"])
    for part in (
        people,
        participants,
        data_sets,
        exclusions,
        contract_life,
        contracts,
        compliance,
        effect,
        compliance_lists,
        jobs,
        results,
        supervision,
    ):
        router.include_router(part.create_router(ctx, access))
    for about_ledger in (ledger, overview):
        router.include_router(about_ledger.create_router(ctx, access, verification))
    return router
