"""Compliance 合规: filings prepared and approved, and the board of a contract's gates as this node judges them."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from sqlmodel import Session, col, select

from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract
from hefu.domain.filings import Filing, read_filing
from hefu.domain.rules.gates import BEFORE_COMPUTE
from hefu.domain.rules.matter import Gate, Matter
from hefu.domain.verdict import Severity
from hefu.node import contracts, filing_drafts, filings, preferences
from hefu.node.compliance_models import (
    ComplianceBoard,
    FilingDraftView,
    FilingForm,
    FilingView,
    GateView,
    Reason,
)
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.checks import safe
from hefu.node.context import NodeContext
from hefu.node.refusals import not_found
from hefu.store.base import now
from hefu.store.node_tables import FilingDraftRow, FilingRow
from hefu.store.signed import decode_envelope


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
        return _draft(filing_drafts.prepare(ctx, form.kind, form.content, person.username), person, True)

    @router.post("/filing-drafts/{draft_id}/approve")
    def approve(draft_id: str, person: Person = Depends(access.require("approver"))) -> FilingView:
        digest = filing_drafts.approve(ctx, safe(draft_id), person.username)
        with ctx.session() as session:
            return view_filing(session.get_one(FilingRow, digest))

    @router.post("/filing-drafts/{draft_id}/reject", status_code=204)
    def reject(draft_id: str, why: Reason, person: Person = Depends(access.require("approver"))) -> None:
        filing_drafts.reject(ctx, safe(draft_id), person.username, why.reason)

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


def view_gate(gate: Gate, matter: Matter) -> GateView:
    """One gate with its light."""
    verdict = gate.verdict(matter)
    warned = any(f.severity is Severity.WARN for f in verdict.findings)
    return GateView(
        point=gate.point,
        name_zh=gate.name_zh,
        name_en=gate.name_en,
        light="red" if not verdict.passed else "amber" if warned else "green",
        verdict=verdict,
    )


def view_filing(row: FilingRow) -> FilingView:
    """A stored filing as the console shows it."""
    filing: Filing = read_filing(decode_envelope(row.envelope).payload)
    return FilingView(
        digest=row.digest,
        kind=row.kind,
        issuer=row.issuer,
        contract_id=row.contract_id,
        issued_at=filing.issued_at,
        valid_until=filing.valid_until,
        in_force=filing.in_force(business_date(now())),
        handed_in=row.handed_in,
        content=filing.model_dump(mode="json"),
    )


def _draft(row: FilingDraftRow, person: Person, two: bool) -> FilingDraftView:
    return FilingDraftView(
        draft_id=row.draft_id,
        kind=row.kind,
        contract_id=row.contract_id,
        content=row.content,
        prepared_by=row.prepared_by,
        prepared_at=row.prepared_at,
        may_approve=person.may("approver") and not (two and row.prepared_by == person.username),
    )
