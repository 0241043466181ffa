"""我的待办, the compliance part: filings to approve, releases to decide, requests and complaints to answer, what is due soon.

Derived at every request; nobody keeps a list that could differ from what is so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time

from hefu.domain.businessdays import SHANGHAI
from hefu.domain.job import JobState
from hefu.node import due_dates, filing_drafts, preferences, sealed_cases
from hefu.node.console_models import JobSummary, Todo
from hefu.node.context import NodeContext
from hefu.node.live_contracts import live_contracts


def filings_to_approve(ctx: NodeContext, username: str) -> Iterator[Todo]:
    """Drafts that wait for this approver; not their own, where the two-person rule holds."""
    with ctx.session() as session:
        two = preferences.two_person(session)
    for row in filing_drafts.waiting(ctx):
        if not (two and row.prepared_by == username):
            yield Todo(
                kind="approve_filing",
                title_zh=f"复核备案文件：{row.contract_id or '本机构'}（{row.prepared_by} 经办）",
                title_en=f"Approve a filing: {row.contract_id or 'own organisation'} (prepared by {row.prepared_by})",
                page="filings",
                subject=row.draft_id,
            )


def releases_to_decide(ctx: NodeContext, jobs: Iterable[JobSummary]) -> Iterator[Todo]:
    """Results that wait for a decision of this organisation, where the contract names it as a reviewer."""
    with ctx.session() as session:
        ours = {
            c.digest
            for c in live_contracts(session)
            if any(ctx.org_id in output.reviewers for output in c.outputs)
        }
    for job in jobs:
        if job.state is JobState.AWAITING_REVIEW and job.contract_digest in ours:
            yield Todo(
                kind="release_decision",
                title_zh=f"决定结果发布：{job.contract_id} {job.business_date}",
                title_en=f"Decide on a release: {job.contract_id} {job.business_date}",
                page="jobs",
                subject=job.job_id,
            )


def cases_to_answer(ctx: NodeContext) -> Iterator[Todo]:
    """Data subjects' requests and complaints that this organisation has to answer."""
    for case in sealed_cases.list_cases(ctx):
        if not case.mine:
            continue
        request = case.filing.kind == "subject_request"
        yield Todo(
            kind="subject_request" if request else "complaint",
            title_zh=f"{'答复个人信息主体请求' if request else '处理投诉'}：{case.filing.contract_id}",
            title_en=f"{'Answer a data subject' if request else 'Decide a complaint'}: {case.filing.contract_id}",
            page="subject_requests" if request else "complaints",
            subject=case.filing.digest,
            due_at=_end_of(case.due_on),
        )


def due_soon(ctx: NodeContext) -> Iterator[Todo]:
    """What falls due at this organisation within thirty days, or has fallen due; cases stand above already."""
    for item in due_dates.list_due_dates(ctx):
        own = item.party == ctx.org_id and item.kind not in ("subject_request", "complaint")
        if own and item.state != "later":
            yield Todo(
                kind="due_soon",
                title_zh=f"{item.title_zh}{f'（{item.contract_id}）' if item.contract_id else ''}",
                title_en=f"{item.title_en}{f' ({item.contract_id})' if item.contract_id else ''}",
                page="calendar",
                subject=item.on,
                due_at=_end_of(item.on),
            )


def _end_of(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(23, 59), SHANGHAI).astimezone(UTC)
