"""Figures for an effect evaluation 效果评估 of one contract and period (white paper A, 3.9): counts from the coordinator's records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlmodel import Session, col, select

from hefu.coordinator import contracts, filings
from hefu.coordinator.context import CoordinatorContext
from hefu.domain.businessdays import business_date
from hefu.domain.filings.events import Complaint, IncidentReport
from hefu.domain.job import Stage
from hefu.domain.rules.effect import JobSummary, evaluate_effect
from hefu.domain.verdict import Severity, Verdict
from hefu.store.base import now
from hefu.store.coordinator_tables import DecisionRow, JobRow, StageRow
from hefu.wire.refusal import Refusal, not_found

FIGURES = {
    "contract_id",
    "period_from",
    "period_until",
    "jobs",
    "refusals",
    "incidents",
    "complaints",
    "median_decision_seconds",
}


def figures(
    ctx: CoordinatorContext, contract_id: str, first: date, last: date, party: str | None = None
) -> dict[str, Any]:
    """Jobs by state, refusals by gate and rule, incidents, complaints, median seconds to a decision; both days included.

    party   who asks: a party of the contract; None for the operator's own flows
    raises  Refusal: not_found (404) · days_invalid (422)
    """
    if last < first:
        raise Refusal(
            422,
            "days_invalid",
            "结束日期早于开始日期",
            "the period ends before it begins",
            limit=f"{first} – {last}",
            mend_zh="请修改日期",
            mend_en="mend the days",
        )
    with ctx.session() as session:
        contract = contracts.newest(session, contract_id)[1]
        if party is not None and party not in [p.org_id for p in contract.parties]:
            raise not_found(f"合约 {contract_id}", f"contract {contract_id}")
        jobs = session.exec(
            select(JobRow).where(
                JobRow.contract_id == contract_id,
                col(JobRow.business_date) >= first,
                col(JobRow.business_date) <= last,
            )
        ).all()
        summaries = [_summary(session, job) for job in jobs]
    filed = filings.matter(ctx, contract).filings
    found = evaluate_effect(
        summaries,
        [business_date(i.discovered_at) for i in filed.all(IncidentReport, contract_id=contract_id)],
        [business_date(c.issued_at) for c in filed.all(Complaint, contract_id=contract_id)],
        issuer=ctx.settings.operator,
        contract_id=contract_id,
        issued_at=now(),
        first=first,
        last=last,
    )
    return found.model_dump(mode="json", include=FIGURES)


def _summary(session: Session, job: JobRow) -> JobSummary:
    """A job by its day and state, each rule that blocked it once ("K2/pia_missing", or the stage's name where no point is)."""
    stages = session.exec(
        select(StageRow).where(StageRow.job_id == job.job_id).order_by(col(StageRow.attempt))
    ).all()
    blocked = [
        f"{finding.point or row.stage}/{finding.rule}"
        for row in stages
        if row.state == "failed"
        for finding in Verdict.model_validate(row.verdict).findings
        if finding.severity is Severity.BLOCK
    ]
    return JobSummary(
        day=job.business_date,
        state=job.state,
        refused_by=tuple(dict.fromkeys(blocked)),
        decision_seconds=_decision_seconds(session, job, stages),
    )


def _decision_seconds(session: Session, job: JobRow, stages: Sequence[StageRow]) -> int | None:
    """From the result's passing its check to the last reviewer's decision; None where nobody has decided."""
    checked = [
        s.finished_at
        for s in stages
        if s.stage == Stage.CHECK_OUTPUT and s.state == "passed" and s.finished_at is not None
    ]
    decided = session.exec(select(DecisionRow.at).where(DecisionRow.job_id == job.job_id)).all()
    if not checked or not decided:
        return None
    return max(0, round((max(decided) - max(checked)).total_seconds()))
