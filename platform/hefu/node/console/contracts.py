"""Contracts 电子合约: drafted, proposed, signed, suspended. Documents and signatures come from this node's own verified copies."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from hefu.domain.contract import Contract
from hefu.node import contract_views, drafts
from hefu.node import contracts as service
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.checks import safe
from hefu.node.console.participants import list_participants
from hefu.node.console.upstream import fetch
from hefu.node.console_models import ContractSummary, ContractView, NoticeRequest, ReconciliationDraft
from hefu.node.context import NodeContext
from hefu.node.refusals import conflict
from hefu.wire.errors import WireError


def list_contracts(ctx: NodeContext) -> list[ContractSummary]:
    """The contracts of this organisation. While the coordinator is silent, this node's own copies."""
    try:
        return fetch(ctx, "/api/contracts", list[ContractSummary], {"view": "console"})
    except WireError:
        return contract_views.local_summaries(ctx)


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """contracts."""
    router = APIRouter(prefix="/contracts", route_class=ConsoleRoute)

    def view(digest: str, person: Person) -> ContractView:
        told = next((summary for summary in list_contracts(ctx) if summary.digest == digest), None)
        return contract_views.view(ctx, digest, told=told, approver=person.may("approver"))

    @router.get("")
    def contracts(person: Person = Depends(access.require())) -> list[ContractSummary]:
        return list_contracts(ctx)

    @router.post("/draft")
    def draft(
        request: ReconciliationDraft, person: Person = Depends(access.require("preparer", "approver"))
    ) -> ContractView:
        contract = drafts.reconciliation(ctx, request, list_participants(ctx))
        return contract_views.view_draft(ctx, contract, approver=person.may("approver"))

    @router.post("", status_code=201)
    def propose(contract: Contract, person: Person = Depends(access.require("approver"))) -> ContractView:
        return view(service.propose(ctx, contract, person.username), person)

    @router.get("/{digest}")
    def one(digest: str, person: Person = Depends(access.require())) -> ContractView:
        return view(safe(digest), person)

    @router.post("/{digest}/sign")
    def sign(digest: str, person: Person = Depends(access.require("approver"))) -> ContractView:
        if not view(safe(digest), person).can_sign:
            raise conflict(
                "not_to_be_signed",
                "本机构不能签署该合约：不是签署方、已签署、已过签署期限或不在签署中",
                "this organisation cannot sign it: not a party, signed already, past its deadline, or not in signing",
                "请刷新合约状态",
                "refresh the contract",
            )
        service.sign(ctx, digest, person.username)
        return view(digest, person)

    @router.post("/{digest}/notices")
    def notice(
        digest: str, request: NoticeRequest, person: Person = Depends(access.require("approver"))
    ) -> ContractView:
        service.give_notice(ctx, safe(digest), request.kind, request.reason, person.username)
        return view(digest, person)

    return router
