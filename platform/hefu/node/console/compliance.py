"""Compliance 合规: filings prepared and approved, and the board of a contract's gates as this node judges them."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from sqlmodel import Session, col, select

from hefu.domain.contract import Contract
from hefu.domain.rules.gates import BEFORE_COMPUTE
from hefu.node import cockpit, contracts, filing_drafts, filing_prefill, filings, preferences
from hefu.node.cockpit import view_gate
from hefu.node.compliance_models import (
    Approval,
    Cockpit,
    ComplianceBoard,
    FilingDraftView,
    FilingForm,
    FilingView,
    PrefilledForm,
    Reason,
)
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.checks import safe
from hefu.node.console.third_party import require_may_file
from hefu.node.context import NodeContext
from hefu.node.filing_views import view_draft, view_filing
from hefu.node.refusals import not_found
from hefu.store.node_tables import FilingDraftRow, FilingRow


def create_router(ctx: NodeContext, access: Access) -> APIRouter:
    """filings, filing-drafts, compliance."""
    router = APIRouter(route_class=ConsoleRoute)

    @router.get("/filings")
    def listed(
        kind: str | None = None, contract_id: str | None = None, person: Person = Depends(access.require())
    ) -> list[FilingView]:
        query = select(FilingRow).order_by(col(FilingRow.at).desc())
        if kind is not None:
            query = query.where(FilingRow.kind == kind)
        if contract_id is not None:
            query = query.where(FilingRow.contract_id == contract_id)
        with ctx.session() as session:
            return [view_filing(row) for row in session.exec(query)]

    @router.get("/filings/{digest}")
    def one(digest: str, person: Person = Depends(access.require())) -> FilingView:
        with ctx.session() as session:
            row = session.get(FilingRow, safe(digest))
        if row is None:
            raise not_found("备案文件", "filing", digest)
        return view_filing(row)

    @router.get("/filing-drafts")
    def drafts(person: Person = Depends(access.require())) -> list[FilingDraftView]:
        with ctx.session() as session:
            two = preferences.two_person(session)
        return [_draft(row, person, two) for row in filing_drafts.waiting(ctx)]

    @router.post("/filing-drafts", status_code=201)
    def prepare(
        form: FilingForm, person: Person = Depends(access.require("preparer", "approver"))
    ) -> FilingDraftView:
        require_may_file(access, form.kind)
        row = filing_drafts.prepare(ctx, form.kind, form.content, person.username)
        return _draft(row, person, True)

    @router.post("/filing-drafts/{draft_id}/approve")
    def approve(
        draft_id: str, approval: Approval | None = None, person: Person = Depends(access.require("approver"))
    ) -> FilingView:
        seen = None if approval is None else approval.digest
        digest = filing_drafts.approve(ctx, safe(draft_id), person.username, seen=seen)
        with ctx.session() as session:
            return view_filing(session.get_one(FilingRow, digest))

    @router.post("/filing-drafts/{draft_id}/reject", status_code=204)
    def reject(draft_id: str, why: Reason, person: Person = Depends(access.require("approver"))) -> None:
        filing_drafts.reject(ctx, safe(draft_id), person.username, why.reason)

    @router.get("/filing-forms/{kind}")
    def form(
        kind: str,
        contract_id: str | None = None,
        subject: str | None = None,
        person: Person = Depends(access.require("preparer", "approver")),
    ) -> PrefilledForm:
        require_may_file(access, kind)
        return filing_prefill.prefill(ctx, kind, contract_id, subject)

    @router.get("/contracts/{digest}/cockpit")
    def contract_cockpit(digest: str, person: Person = Depends(access.require())) -> Cockpit:
        return cockpit.view_cockpit(ctx, safe(digest))

    @router.get("/contracts/{digest}/compliance")
    def board(digest: str, person: Person = Depends(access.require())) -> ComplianceBoard:
        contract = contracts.stored(ctx, safe(digest))[1]
        with ctx.session() as session:
            return view_board(ctx, session, contract)

    return router


def view_board(ctx: NodeContext, session: Session, contract: Contract) -> ComplianceBoard:
    """Every gate of the contract today, with the filings that it rests on."""
    matter = filings.matter(ctx, session, contract)
    rows = session.exec(
        select(FilingRow)
        .where(FilingRow.contract_id == contract.contract_id)
        .order_by(col(FilingRow.at).desc())
    )
    return ComplianceBoard(
        contract_id=contract.contract_id,
        digest=contract.digest,
        gates=[view_gate(gate, matter) for gate in BEFORE_COMPUTE],
        filings=[view_filing(row) for row in rows],
    )


def _draft(row: FilingDraftRow, person: Person, two: bool) -> FilingDraftView:
    return view_draft(row, username=person.username, approver=person.may("approver"), two=two)
