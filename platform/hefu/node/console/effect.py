"""Effect evaluation 效果评估 of a contract: figures, report, and the prefilled form."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from hefu.domain.businessdays import business_date
from hefu.node import contracts, effect_view
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.checks import day, safe
from hefu.node.context import NodeContext
from hefu.node.effect_view import EffectView
from hefu.node.refusals import refuse
from hefu.store.base import now


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """contracts/{digest}/effect."""
    router = APIRouter(prefix="/contracts", route_class=ConsoleRoute)

    @router.get("/{digest}/effect")
    def effect(
        digest: str,
        first: Annotated[str | None, Query(alias="from")] = None,
        until: str | None = None,
        utility: Annotated[str, Query(max_length=4000)] = "",
        person: Person = Depends(access.require()),
    ) -> EffectView:
        contract = contracts.stored(ctx, safe(digest))[1]
        begin, end = effect_view.period(
            None if first is None else day(first, "from"),
            None if until is None else day(until, "until"),
            business_date(now()),
        )
        if end < begin:
            raise refuse(
                422,
                "invalid_request",
                "结束日期早于开始日期",
                "the period ends before it begins",
                "请修改日期",
                "mend the days",
                limit="from,until",
            )
        told = effect_view.ask(ctx, contract, begin, end)
        return effect_view.view(ctx, contract, told, utility=utility)

    return router
