"""The life of contracts: approvals and what waits for a second person; templates, changes, renewal, text and PDF."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Depends, Query, Response

from hefu.domain.contract_diff import ClauseChange, compare
from hefu.domain.contract_life import Duty, duties_after
from hefu.domain.contract_text import ContractText, render
from hefu.node import (
    approvals,
    contract_pdf,
    contract_views,
    contracts,
    preferences,
    renewals,
    template_drafts,
    two_persons,
)
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.checks import safe
from hefu.node.console_models import ContractView, Note
from hefu.node.context import NodeContext
from hefu.node.contract_life_models import (
    ApprovalView,
    PreparationView,
    RenewalRequest,
    TemplateView,
    TwoPersonRule,
)

Language = Literal["zh", "en"]


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """approvals, preparations, two-person, contracts/templates, contracts/{digest}/…"""
    router = APIRouter(route_class=ConsoleRoute)

    @router.get("/approvals")
    def listed(person: Person = Depends(access.require())) -> list[ApprovalView]:
        return approvals.list_views(ctx)

    @router.get("/preparations")
    def preparations(person: Person = Depends(access.require())) -> list[PreparationView]:
        return two_persons.listed(ctx)

    @router.post("/preparations/{preparation_id}/refuse")
    def refuse(
        preparation_id: str, note: Note, person: Person = Depends(access.require("preparer", "approver"))
    ) -> PreparationView:
        approver = person.may("approver")
        return two_persons.turn_down(ctx, safe(preparation_id), person.username, note.text, approver=approver)

    @router.get("/two-person")
    def rule(person: Person = Depends(access.require())) -> TwoPersonRule:
        with ctx.session() as session:
            return TwoPersonRule(enabled=preferences.two_person(session))

    @router.put("/two-person")
    def set_rule(body: TwoPersonRule, person: Person = Depends(access.require("admin"))) -> TwoPersonRule:
        with ctx.session() as session:
            preferences.write(session, "two_person", {"enabled": body.enabled})
            ctx.record(session, "two_person_rule_set", {"enabled": body.enabled, "by": person.username})
            session.commit()
        return body

    @router.get("/contracts/templates")
    def templates(person: Person = Depends(access.require())) -> list[TemplateView]:
        return template_drafts.list_views()

    @router.get("/contracts/{digest}/changes")
    def changes(digest: str, person: Person = Depends(access.require())) -> list[ClauseChange]:
        contract = contracts.stored(ctx, safe(digest))[1]
        before = renewals.version_before(ctx, contract)
        return [] if before is None else compare(before, contract)

    @router.get("/contracts/{digest}/duties")
    def duties(digest: str, person: Person = Depends(access.require())) -> list[Duty]:
        contract = contracts.stored(ctx, safe(digest))[1]
        with ctx.session() as session:
            return duties_after(contract, contracts.state_of(session, contract))

    @router.post("/contracts/{digest}/renewal")
    def renewal(
        digest: str,
        body: RenewalRequest,
        person: Person = Depends(access.require("preparer", "approver")),
    ) -> ContractView:
        contract = renewals.renew(
            ctx,
            safe(digest),
            valid_until=body.valid_until,
            max_uses=body.max_uses,
            signing_days=body.signing_days,
        )
        return contract_views.view_draft(ctx, contract, approver=person.may("approver"))

    @router.get("/contracts/{digest}/text")
    def text(
        digest: str, language: Language = Query("zh"), person: Person = Depends(access.require())
    ) -> ContractText:
        return render(contracts.stored(ctx, safe(digest))[1], language)

    @router.get("/contracts/{digest}/pdf")
    def pdf(
        digest: str, language: Language = Query("zh"), person: Person = Depends(access.require())
    ) -> Response:
        contract = contracts.stored(ctx, safe(digest))[1]
        with ctx.session() as session:
            lines = contract_pdf.signature_lines(ctx, session, contract)
        name = f"{contract.contract_id}-v{contract.version}-{language}.pdf"
        return Response(
            contract_pdf.make_pdf(contract, language, lines),
            media_type="application/pdf",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    return router
