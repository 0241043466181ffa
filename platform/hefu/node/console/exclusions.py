"""Withdrawals, restrictions, refusals 撤回、限制、拒绝: the exclusion list as the console shows and changes it; never an identifier."""

from __future__ import annotations

import io

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool

from hefu.domain.rules.exclusion import ExclusionKind
from hefu.node import exclusions
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console_models import ExclusionCount, OneSubject
from hefu.node.context import NodeContext

_LIST = {"content": {"text/plain": {"schema": {"type": "string"}}}, "required": True}


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """exclusions: counts, a whole list, one entry more, one less."""
    router = APIRouter(prefix="/exclusions", route_class=ConsoleRoute)

    @router.get("")
    def counts(person: Person = Depends(access.require())) -> list[ExclusionCount]:
        return exclusions.counts(ctx)

    @router.post("/list", status_code=201, openapi_extra={"requestBody": _LIST})
    async def add_list(
        request: Request,
        kind: ExclusionKind,
        data_set_id: str = Query(default="", max_length=64),
        contract_id: str = Query(default="", max_length=40),
        filing: str | None = Query(default=None, pattern=r"^[0-9a-f]{64}$"),
        person: Person = Depends(access.require("preparer")),
    ) -> ExclusionCount:
        body = bytearray()
        async for block in request.stream():
            body += block
            if len(body) > exclusions.MAX_BYTES:
                raise exclusions.too_large()
        return await run_in_threadpool(
            exclusions.add,
            ctx,
            io.BytesIO(body),
            kind,
            person.username,
            data_set_id=data_set_id,
            contract_id=contract_id,
            filing=filing,
        )

    @router.post("", status_code=201)
    def add_one(one: OneSubject, person: Person = Depends(access.require("preparer"))) -> ExclusionCount:
        line = io.BytesIO(one.identifier.replace("\n", "").encode())
        return exclusions.add(
            ctx,
            line,
            one.kind,
            person.username,
            data_set_id=one.data_set_id,
            contract_id=one.contract_id,
            filing=one.filing,
        )

    @router.post("/lift")
    def lift(one: OneSubject, person: Person = Depends(access.require("preparer"))) -> ExclusionCount:
        return exclusions.lift(
            ctx,
            one.identifier,
            one.kind,
            person.username,
            data_set_id=one.data_set_id,
            contract_id=one.contract_id,
            filing=one.filing,
        )

    return router
