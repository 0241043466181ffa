"""Contracts 电子合约: drafted, proposed, signed, suspended. Documents and signatures come from this node's own verified copies."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends
from pydantic import Discriminator, Tag

from hefu.domain.contract import Contract
from hefu.node import contract_views, draft_terms, drafts, template_drafts, two_persons
from hefu.node import contracts as service
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.checks import safe
from hefu.node.console.participants import list_participants
from hefu.node.console.upstream import fetch
from hefu.node.console_models import ContractSummary, ContractView, NoticeRequest, ReconciliationDraft
from hefu.node.context import NodeContext
from hefu.node.contract_life_models import TemplateDraft
from hefu.node.refusals import conflict
from hefu.wire.errors import WireError


def _form_of(value: Any) -> str:
    named = value.get("template") if isinstance(value, dict) else getattr(value, "template", None)
    return "reconciliation" if named in (None, "t1_reconciliation") else "template"


Draft = Annotated[
    Annotated[ReconciliationDraft, Tag("reconciliation")] | Annotated[TemplateDraft, Tag("template")],
    Discriminator(_form_of),
]


def list_contracts(ctx: NodeContext) -> list[ContractSummary]:
    """The contracts of this organisation. While the coordinator is silent, this node's own copies."""
    try:
        return fetch(ctx, "/api/contracts", list[ContractSummary], {"view": "console"})
    except WireError:
        return contract_views.local_summaries(ctx)


def view_contract(ctx: NodeContext, digest: str, person: Person) -> ContractView:
    """One contract as this person sees it. Raises Refusal (not_found)."""
    told = next((summary for summary in list_contracts(ctx) if summary.digest == digest), None)
    return contract_views.view(ctx, digest, told=told, approver=person.may("approver"))


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """contracts."""
    router = APIRouter(prefix="/contracts", route_class=ConsoleRoute)
    prepares = access.require("preparer", "approver")

    @router.get("")
    def contracts(person: Person = Depends(access.require())) -> list[ContractSummary]:
        return list_contracts(ctx)

    @router.post("/draft")
    def draft(request: Annotated[Draft, Body()], person: Person = Depends(prepares)) -> ContractView:
        known = list_participants(ctx)
        if isinstance(request, TemplateDraft):
            contract = template_drafts.draft_from_template(ctx, request, known)
        else:
            contract = drafts.reconciliation(ctx, request, known)
        contract = draft_terms.add_terms(contract, request.terms)
        return contract_views.view_draft(ctx, contract, approver=person.may("approver"))

    @router.post("", status_code=201)
    def propose(contract: Contract, person: Person = Depends(prepares)) -> ContractView:
        kept = two_persons.pass_on(
            ctx,
            "propose",
            contract.digest,
            person.username,
            approver=person.may("approver"),
            document=contract.to_bytes(),
        )
        if kept is not None:
            return contract_views.view_draft(ctx, contract, approver=person.may("approver"))
        digest = service.propose(ctx, contract, person.username)
        two_persons.settle(ctx, "propose", digest, person.username)
        return view_contract(ctx, digest, person)

    @router.get("/{digest}")
    def one(digest: str, person: Person = Depends(access.require())) -> ContractView:
        return view_contract(ctx, safe(digest), person)

    @router.post("/{digest}/sign")
    def sign(digest: str, person: Person = Depends(prepares)) -> ContractView:
        if not contract_views.signable(view_contract(ctx, safe(digest), person), ctx.org_id):
            raise conflict(
                "not_to_be_signed",
                "本机构不能签署该合约：不是签署方、已签署、已过签署期限或不在签署中",
                "this organisation cannot sign it: not a party, signed already, past its deadline, or not in signing",
                "请刷新合约状态",
                "refresh the contract",
            )
        approver = person.may("approver")
        if two_persons.pass_on(ctx, "sign", digest, person.username, approver=approver) is None:
            service.sign(ctx, digest, person.username)
            two_persons.settle(ctx, "sign", digest, person.username)
        return view_contract(ctx, digest, person)

    @router.post("/{digest}/notices")
    def notice(digest: str, request: NoticeRequest, person: Person = Depends(prepares)) -> ContractView:
        view_contract(ctx, safe(digest), person)
        content = json.dumps([request.kind.value, request.reason], ensure_ascii=False)
        kept = two_persons.pass_on(
            ctx, "notice", digest, person.username, approver=person.may("approver"), content=content,
            document=content.encode(),
        )  # fmt: skip
        if kept is None:
            service.give_notice(ctx, digest, request.kind, request.reason, person.username)
            two_persons.settle(ctx, "notice", digest, person.username, content=content)
        return view_contract(ctx, digest, person)

    return router
