"""The first page: what waits for the signed-in person, today's jobs, contracts, the ledger, the regulator's trend.

It is put together from what this node knows itself and what the coordinator says; while the coordinator is silent the
page still comes, without the coordinator's part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeVar

from fastapi import APIRouter, Depends

from hefu.domain.businessdays import business_date
from hefu.domain.contract import ContractState
from hefu.domain.identity import Role
from hefu.node import alarms, cases, contract_views, datasets, inquiries, records, results, two_persons
from hefu.node import todo as compliance_todo
from hefu.node.console.access import Access, Person
from hefu.node.console.answers import ConsoleRoute
from hefu.node.console.contracts import list_contracts
from hefu.node.console.jobs import list_jobs
from hefu.node.console.ledger import ledger_state, unreceipted
from hefu.node.console.participants import list_participants
from hefu.node.console.verification import Verification
from hefu.node.console_models import (
    ContractSummary,
    JobSummary,
    LedgerState,
    Overview,
    ParticipantView,
    ResultSummary,
    Todo,
)
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.refusals import Refusal
from hefu.store.base import now
from hefu.wire.errors import WireError

T = TypeVar("T")

_PREPARED = {
    "propose": ("提出合约", "proposal of a contract"),
    "sign": ("签署合约", "signature of a contract"),
    "notice": ("合约通知", "notice about a contract"),
    "release": ("结果发布", "release of a result"),
}
JOBS_SHOWN, TREND_DAYS, LATE_DAYS = 20, 60, 7


def create_router(ctx: NodeContext, access: Access, verification: Verification) -> APIRouter:
    """overview."""
    router = APIRouter(route_class=ConsoleRoute)

    @router.get("/todo")
    def todo(person: Person = Depends(access.require())) -> list[Todo]:
        found = results.list_views(ctx) if Role.REGULATOR in access.application.roles else []
        participants = _or(list[ParticipantView](), lambda: list_participants(ctx))
        return list(todos_of(ctx, access, person, list_contracts(ctx), participants, found))

    @router.get("/overview")
    def overview(person: Person = Depends(access.require())) -> Overview:
        regulator = Role.REGULATOR in access.application.roles
        contracts = list_contracts(ctx)
        participants = _or(list[ParticipantView](), lambda: list_participants(ctx))
        ledger = _or(_unknown_ledger(ctx), lambda: ledger_state(ctx, verification))
        found = results.list_views(ctx) if regulator else []
        trend = [r for r in found if r.stands and r.opened_at is not None][:TREND_DAYS]
        online = {p.org_id: p.online for p in participants if p.online is not None}
        return Overview(
            todos=list(todos_of(ctx, access, person, contracts, participants, found)),
            jobs=_or(list[JobSummary](), lambda: list_jobs(ctx, None, JOBS_SHOWN)),
            contracts=contracts,
            ledger=ledger,
            online={COORDINATOR: bool(participants), **online},
            trend=trend[::-1],
            alarms_open=sum(a.acknowledged_at is None for a in alarms.list_views(ctx)) if regulator else 0,
        )

    return router


def _or(otherwise: T, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except (WireError, Refusal):
        return otherwise


def _unknown_ledger(ctx: NodeContext) -> LedgerState:
    return LedgerState(
        size=0,
        root="",
        checkpoint_at=None,
        origin=ctx.kit.ledger_origin,
        entries_today=0,
        unreceipted=unreceipted(ctx),
    )


def todos_of(
    ctx: NodeContext,
    access: Access,
    person: Person,
    contracts: list[ContractSummary],
    participants: list[ParticipantView],
    found: list[ResultSummary],
) -> Iterator[Todo]:
    """What this person may do now and nobody has done yet, by what the roles allow; what has a deadline first."""
    all_of_them = _all_todos(ctx, access, person, contracts, participants, found)
    yield from sorted(all_of_them, key=lambda item: (item.due_at is None, item.due_at or now()))


def _all_todos(
    ctx: NodeContext,
    access: Access,
    person: Person,
    contracts: list[ContractSummary],
    participants: list[ParticipantView],
    found: list[ResultSummary],
) -> Iterator[Todo]:
    roles = access.application.roles
    if person.may("approver"):
        yield from _to_approve(ctx, person)
        yield from _to_sign(ctx, contracts)
        yield from _to_admit(ctx, roles, participants)
        yield from compliance_todo.filings_to_approve(ctx, person.username)
        awaited = _or(list[JobSummary](), lambda: list_jobs(ctx, None, JOBS_SHOWN))
        yield from compliance_todo.releases_to_decide(ctx, awaited)
    if person.may("preparer", "approver"):
        if Role.REGULATOR in roles:
            yield from _to_supervise(ctx, found)
        yield from _to_answer(ctx)
        yield from compliance_todo.cases_to_answer(ctx)
        yield from compliance_todo.due_soon(ctx)
    if person.may("preparer"):
        yield from _late_data(ctx)


def _to_approve(ctx: NodeContext, person: Person) -> Iterator[Todo]:
    """What another person of this organisation has prepared."""
    for waiting in two_persons.listed(ctx):
        if waiting.prepared_by != person.username:
            zh, en = _PREPARED.get(waiting.kind, (waiting.kind, waiting.kind))
            yield Todo(
                kind="preparation",
                title_zh=f"复核：{zh}（{waiting.prepared_by} 经办）",
                title_en=f"Approve: {en} (prepared by {waiting.prepared_by})",
                page="jobs" if waiting.kind == "release" else "contracts",
                subject=waiting.subject,
            )


def _to_sign(ctx: NodeContext, contracts: list[ContractSummary]) -> Iterator[Todo]:
    signed = contract_views.signed_here(ctx)
    for contract in contracts:
        waiting = contract.state is ContractState.SIGNING and contract.signing_deadline > now()
        if waiting and ctx.org_id in contract.waits_for and contract.digest not in signed:
            yield Todo(
                kind="sign_contract",
                title_zh=f"签署合约：{contract.title}",
                title_en=f"Sign contract: {contract.title_en}",
                page="contracts",
                subject=contract.digest,
                due_at=contract.signing_deadline,
            )


def _to_admit(
    ctx: NodeContext, roles: tuple[Role, ...], participants: list[ParticipantView]
) -> Iterator[Todo]:
    for participant in participants:
        if participant.state == "submitted" and Role.AUDITOR in roles:
            yield Todo(
                kind="review_application",
                title_zh=f"审核准入申请：{participant.legal_name}",
                title_en=f"Review application: {participant.legal_name_en}",
                page="participants",
                subject=participant.application,
            )
        if participant.state == "approved" and ctx.org_id == ctx.kit.operator:
            yield Todo(
                kind="admit",
                title_zh=f"准入：{participant.legal_name}",
                title_en=f"Admit: {participant.legal_name_en}",
                page="participants",
                subject=participant.application,
            )


def _to_supervise(ctx: NodeContext, found: list[ResultSummary]) -> Iterator[Todo]:
    for result in found:
        if result.received_at is not None and result.opened_at is None and result.stands:
            yield Todo(
                kind="open_result",
                title_zh=f"启封对账结果：{result.contract_id} {result.business_date}",
                title_en=f"Open result: {result.contract_id} {result.business_date}",
                page="results",
                subject=result.job_id,
            )
    for alarm in alarms.list_views(ctx):
        if alarm.acknowledged_at is None:
            yield Todo(
                kind="alarm",
                title_zh=alarm.message_zh,
                title_en=alarm.message_en,
                page="results",
                subject=alarm.alarm_id,
            )
    for request in records.list_views(ctx):
        if request.state == "overdue" and request.owner != ctx.org_id:
            yield Todo(
                kind="record",
                title_zh=f"{request.owner} 逾期未答复原始记录请求",
                title_en=f"{request.owner} has not answered a record request in time",
                page="results",
                subject=request.request_id,
                due_at=request.due_at,
            )


def _to_answer(ctx: NodeContext) -> Iterator[Todo]:
    for inquiry in inquiries.list_views(ctx):
        ours = inquiry.org_id == ctx.org_id
        if ours and inquiry.state in ("sent", "overdue"):
            zh, en = "答复核查通知", "Reply to an inquiry"
        elif not ours and inquiry.state in ("replied", "overdue"):
            zh, en = "处理核查答复", "Follow up an inquiry"
        else:
            continue
        yield Todo(
            kind="inquiry",
            title_zh=f"{zh}：{inquiry.business_date}",
            title_en=f"{en}: {inquiry.business_date}",
            page="inquiries",
            subject=inquiry.inquiry_id,
            due_at=inquiry.due_at,
        )
    for case in cases.list_views(ctx):
        if case.state != "closed":
            yield Todo(
                kind="case",
                title_zh=f"处理差异：{case.business_date} 第 {case.row} 行",
                title_en=f"Work on a case: {case.business_date}, row {case.row}",
                page="cases",
                subject=case.case_id,
            )


def _late_data(ctx: NodeContext) -> Iterator[Todo]:
    """Days of the last week of data sets under contract for which nothing readable has arrived."""
    today = business_date(now())
    for data_set in datasets.list_views(ctx):
        identifier = data_set.definition.data_set_id
        if not data_set.contracts:
            continue
        first = max(today - timedelta(days=LATE_DAYS), datasets.first_day(ctx, identifier) or today)
        if first >= today:
            continue
        views = datasets.days(ctx, identifier, first, today - timedelta(days=1))
        fine = {view.business_date for view in views if view.state in datasets.STANDING}
        for missing in sorted({view.business_date for view in views} - fine):
            yield Todo(
                kind="late_data",
                title_zh=f"报送数据：{data_set.definition.name} {missing}",
                title_en=f"Deliver data: {data_set.definition.name} {missing}",
                page="data_sets",
                subject=identifier,
            )
