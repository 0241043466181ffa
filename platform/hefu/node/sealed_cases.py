"""Complaints 投诉 and data subjects' requests 个人信息主体请求 as this organisation sees them: what is open, what came of each."""

from __future__ import annotations

from datetime import date, timedelta

from sqlmodel import col, select

from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract
from hefu.domain.rules.subject_rights import DUTIES, deadline
from hefu.node import filing_drafts, sealed_words
from hefu.node.compliance_models import FilingView, NewComplaint, NewSubjectRequest, SealedCase
from hefu.node.context import NodeContext
from hefu.node.filing_views import view_filing
from hefu.node.filings import newest_version
from hefu.node.refusals import refuse
from hefu.store.base import now
from hefu.store.node_tables import FilingDraftRow, FilingRow

COMPLAINT_DAYS = 15
_OUTCOMES = {"complaint_outcome": "complaint", "subject_request_outcome": "request"}


def list_cases(ctx: NodeContext) -> list[SealedCase]:
    """Everything taken in, open ones first by their deadline."""
    today = business_date(now())
    with ctx.session() as session:
        rows = session.exec(
            select(FilingRow)
            .where(col(FilingRow.kind).in_(["complaint", "subject_request", *_OUTCOMES]))
            .order_by(col(FilingRow.at))
        ).all()
        views = [view_filing(row) for row in rows]
    answers: dict[str, list[FilingView]] = {}
    for view in views:
        if view.kind in _OUTCOMES:
            answers.setdefault(view.content[_OUTCOMES[view.kind]], []).append(view)
    cases = [
        _case(ctx, view, answers.get(view.digest, []), today) for view in views if view.kind not in _OUTCOMES
    ]
    return sorted(cases, key=lambda c: (c.state == "done", c.due_on))


def take_request(ctx: NodeContext, asked: NewSubjectRequest, user: str) -> FilingDraftRow:
    """Take a request in: routed to the party that the contract makes responsible and to every holder.

    raises  Refusal: right_unknown (422), not_found, not_a_party
    """
    if asked.right not in DUTIES:
        raise refuse(
            422,
            "right_unknown",
            "没有这种个人信息主体权利",
            "no such right of a data subject",
            "请从列表中选择",
            "choose one from the list",
            party=ctx.org_id,
            limit=", ".join(DUTIES),
        )
    contract = _our_contract(ctx, asked.contract_id)
    terms = contract.data_subjects
    responsible = terms.responsible if terms else contract.duties.data_subject_contact
    due_on = deadline(contract, business_date(now())).isoformat()
    words = asked.identifier + (f"\n{asked.note}" if asked.note else "")
    readers = [responsible, *contract.owners()]
    content = {
        "contract_id": contract.contract_id,
        "right": asked.right,
        "responsible": responsible,
        "holders": list(contract.owners()),
        "sealed": sealed_words.seal_words(ctx, contract, "subject_request", words, readers, due_on),
        "due_on": due_on,
    }
    return filing_drafts.prepare(ctx, "subject_request", content, user)


def take_complaint(ctx: NodeContext, said: NewComplaint, user: str) -> FilingDraftRow:
    """Take a complaint in: its words are sealed to the contract's contact for complaints. Raises Refusal, DocumentInvalid."""
    contract = _our_contract(ctx, said.contract_id)
    responsible = contract.duties.complaints_contact
    due_on = (business_date(now()) + timedelta(days=COMPLAINT_DAYS)).isoformat()
    content = {
        "contract_id": contract.contract_id,
        "about": said.about,
        "responsible": responsible,
        "sealed": sealed_words.seal_words(ctx, contract, "complaint", said.words, [responsible], due_on),
        "due_on": due_on,
    }
    return filing_drafts.prepare(ctx, "complaint", content, user)


def _our_contract(ctx: NodeContext, contract_id: str) -> Contract:
    with ctx.session() as session:
        contract = newest_version(session, contract_id)
    if ctx.org_id not in [p.org_id for p in contract.parties]:
        raise refuse(
            403,
            "not_a_party",
            "本机构不是该合约的参与方",
            "this organisation is not a party of the contract",
            "请选择本机构参与的合约",
            "choose a contract of this organisation",
            party=ctx.org_id,
        )
    return contract


def _case(ctx: NodeContext, view: FilingView, outcomes: list[FilingView], today: date) -> SealedCase:
    """Who must answer: the responsible party; for most rights of a data subject every holder as well."""
    acting = {view.content["responsible"]}
    if view.kind == "subject_request" and DUTIES[view.content["right"]].acts == "holders":
        acting |= set(view.content["holders"])
    answered = {o.issuer for o in outcomes}
    late = date.fromisoformat(view.content["due_on"]) < today
    return SealedCase(
        filing=view,
        due_on=view.content["due_on"],
        state="done" if acting <= answered else "overdue" if late else "open",
        mine=ctx.org_id in acting - answered,
        outcomes=outcomes,
    )
