"""Results at their receiver: opened here and nowhere else, summed up, kept sealed.

Both halves were sealed to this node by N0 and N2; neither says anything alone. Opening is itself evidence. A row of the
result is "the 1-based data row of that owner's file"; rows in transit from files of other days are never reported, they
appear only as the counterpart of a reported row.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlmodel import Session, col, select

from hefu.components.reconcile import ReconcileResult
from hefu.components.reconcile import open_result as put_together
from hefu.components.registry import component
from hefu.domain.contract import Contract
from hefu.domain.verdict import Severity, Verdict
from hefu.engine.errors import EngineError
from hefu.keys.errors import FileSealInvalid, SealInvalid
from hefu.node import alarms, output_gate, statistics_table
from hefu.node.console_models import ResultSummary, ResultView, SideTotals, StatisticsTable
from hefu.node.context import NodeContext
from hefu.node.refusals import Refusal, conflict, not_found, refuse
from hefu.node.result_figures import summarise
from hefu.node.result_halves import invalid, open_halves, read_batches
from hefu.node.result_table import TableDamaged, digest_bytes, read_table, write_table
from hefu.store.base import now
from hefu.store.node_tables import ResultRow

_COUNTS = (
    "matched",
    "mismatched",
    "missing_at_bank",
    "missing_at_institution",
    "conflicts",
    "difference_cents",
    "match_rate",
    "groups",
    "suppressed",
)
ROW_STATUS, GROUP_STATISTICS = "row_status", "group_statistics"


class Revised(NamedTuple):
    """A result row with its place among the results of its day."""

    row: ResultRow
    revision: int
    stands: bool


@dataclass(frozen=True)
class OpenedResult:
    """A result's table, and which side each of its owners stands on."""

    table: ReconcileResult
    sides: dict[str, str]


class _Assembled(NamedTuple):
    """A result put together, judged, not kept: `keep` writes its file and answers the path."""

    verdict: Verdict
    figures: dict[str, Any]
    content: bytes
    keep: Callable[[], Path]


def list_views(ctx: NodeContext, contract_id: str | None = None) -> list[ResultSummary]:
    """Every released result, newest day first."""
    with ctx.session() as session:
        return [summary_view(r) for r in revised(session, contract_id)]


def view(ctx: NodeContext, job: str) -> ResultView:
    """One result. Raises Refusal (not_found)."""
    with ctx.session() as session:
        found = _one(session, job)
        older = [
            r
            for r in revised(session, found.row.contract_id)
            if r.row.business_date == found.row.business_date
            and r.revision < found.revision
            and r.row.opened_at
        ]
    sides = [
        SideTotals.model_validate({k: v for k, v in side.items() if k in SideTotals.model_fields})
        for side in found.row.summary.get("sides", [])
    ]
    table = None
    if (
        found.row.opened_at is not None
        and "deleted_at" not in found.row.summary
        and form_of(found.row) == GROUP_STATISTICS
    ):
        with ctx.session() as session:
            table = statistics_of(ctx, session, found.row)
    before = summary_view(max(older, key=lambda r: r.revision)) if older else None
    return ResultView(summary=summary_view(found), sides=sides, changed_from=before, table=table)


def open_result(ctx: NodeContext, job: str, user: str) -> ResultView:
    """Open a result: once; afterwards it is only shown. Evaluates the warning rules.

    raises  Refusal: not_found · halves_missing (409) · result_invalid (422) · the rule of the output gate that is closed (403):
            nothing of it is kept
    """
    with ctx.session() as session:
        row = session.exec(select(ResultRow).where(ResultRow.job == job).with_for_update()).first()
        if row is None:
            raise not_found("结果", "result", job)
        if row.opened_at is None:
            salt = secrets.token_hex(32)
            contract = statistics_table.result_contract(session, row)
            try:
                made = _assemble(ctx, session, row, contract)
            except (SealInvalid, FileSealInvalid, EngineError) as error:
                raise invalid(row, error) from error
            _require_passed(ctx, session, row, contract, made.verdict)
            result = output_gate.salted(salt, made.content)
            kept = {"passed": True, "result": result, "findings": _as_json(made.verdict)}
            row.table_path = str(made.keep())
            row.opened_at, row.opened_by = now(), user
            row.summary = {**row.summary, **made.figures, "salt": salt, "gate": kept}
            session.add(row)
            ctx.record(
                session,
                "result_opened",
                {
                    "result": result,
                    "halves": {node: half["digest"] for node, half in sorted(row.halves.items())},
                },
                contract=row.contract,
                job=row.job,
                attempt=row.attempt,
            )
            session.commit()
            if form_of(row) == ROW_STATUS:
                alarms.evaluate_day(ctx, row.contract_id, row.business_date)
    return view(ctx, job)


def _assemble(ctx: NodeContext, session: Session, row: ResultRow, contract: Contract) -> _Assembled:
    """Put both halves together and judge what comes out; nothing is kept yet."""
    left = None
    try:
        if component(contract.computation.steps[0].component).form == GROUP_STATISTICS:
            table, groups = statistics_table.put_together(ctx, session, row, contract)
            content = statistics_table.table_bytes(table)
            see = partial(output_gate.group_table, groups, ctx.org_id, content)
            left = output_gate.left_open(groups, sum(batch.rows for batch in read_batches(session, row)))
            figures = statistics_table.figures(table)
            keep = partial(statistics_table.write_statistics, ctx, session, row, table)
        else:
            batches = read_batches(session, row)
            result = put_together(*open_halves(ctx, session, row), batches)
            content = digest_bytes(result)
            see = partial(output_gate.status_table, result, ctx.org_id, content)
            figures = summarise(result, batches)
            keep = partial(write_table, ctx, session, row, result)
    except OSError as error:
        raise invalid(row, error) from error
    return _Assembled(output_gate.judge_opened(ctx.org_id, contract, see, left), figures, content, keep)


def _require_passed(
    ctx: NodeContext, session: Session, row: ResultRow, contract: Contract, verdict: Verdict
) -> None:
    """Sign what the output gate found; where it is closed, keep the findings, commit, and refuse."""
    output_gate.record(ctx, session, row, contract, verdict)
    if verdict.passed:
        return
    row.summary = {**row.summary, "gate": {"passed": False, "findings": _as_json(verdict)}}
    session.add(row)
    session.commit()
    raise output_gate.refusal(next(f for f in verdict.findings if f.severity is Severity.BLOCK))


def _as_json(verdict: Verdict) -> list[dict[str, Any]]:
    return [f.model_dump(mode="json") for f in verdict.findings]


def form_of(row: ResultRow) -> str:
    """The form of a result, as its contract's component gives it."""
    return str(row.summary.get("form", ROW_STATUS))


def open_complete(ctx: NodeContext, user: str) -> list[str]:
    """Open every result whose halves are both here and that nobody has opened yet, oldest first; answers their jobs.

    For organisations that have set that results open as they arrive. A result that does not open does not keep the
    others closed; the first error is raised at the end. One that the output gate refused is left to people.
    """
    with ctx.session() as session:
        waiting = session.exec(
            select(ResultRow)
            .where(col(ResultRow.received_at).is_not(None), col(ResultRow.opened_at).is_(None))
            .order_by(col(ResultRow.business_date), col(ResultRow.received_at))
        ).all()
    opened, failure = [], None
    for row in waiting:
        job = row.job
        if _gate_of(row) == "refused":
            continue
        try:
            open_result(ctx, job, user)
            opened.append(job)
        except Refusal as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return opened


def load_table(ctx: NodeContext, job: str) -> OpenedResult:
    """The table of an opened result.

    raises  Refusal: not_found · not_opened (409) · result_damaged (500) · a rule of the output gate (403)
    """
    with ctx.session() as session:
        row = _opened_row(session, job)
        if form_of(row) != ROW_STATUS:
            raise conflict(
                "result_form",
                "该结果是分组统计，没有逐行状态",
                "this result is a statistic by group; it has no rows with a status",
                "请查看或导出统计表",
                "see or export the table of groups",
            )
        try:
            table = read_table(ctx, session, row)
        except (SealInvalid, FileSealInvalid, TableDamaged, OSError) as error:
            raise _damaged() from error
        content = digest_bytes(table)
        see = partial(output_gate.status_table, table, ctx.org_id, content)
        contract = statistics_table.result_contract(session, row)
        output_gate.require_allowed(row, ctx.org_id, contract, see, content, table.owners)
    return OpenedResult(table, {side["owner"]: side["side"] for side in row.summary["sides"]})


def load_statistics(ctx: NodeContext, job: str) -> StatisticsTable | None:
    """The table of groups of an opened result; None where the result is of another form.

    raises  Refusal: not_found · not_opened (409) · result_damaged (500)
    """
    with ctx.session() as session:
        row = _opened_row(session, job)
        return statistics_of(ctx, session, row) if form_of(row) == GROUP_STATISTICS else None


def statistics_of(ctx: NodeContext, session: Session, row: ResultRow) -> StatisticsTable:
    """The table of groups in an opened result's file. Raises Refusal: result_damaged (500), a rule of the output gate (403)."""
    try:
        table = statistics_table.read_statistics(ctx, session, row)
    except (SealInvalid, FileSealInvalid, TableDamaged, OSError) as error:
        raise _damaged() from error
    see = partial(statistics_table.as_released, table, ctx.org_id)
    content, contract = statistics_table.table_bytes(table), statistics_table.result_contract(session, row)
    labels = [label for line in table.rows for label in line.labels]
    output_gate.require_allowed(row, ctx.org_id, contract, see, content, labels)
    return table


def _opened_row(session: Session, job: str) -> ResultRow:
    row = _one(session, job).row
    if "deleted_at" in row.summary:
        raise conflict(
            "result_deleted",
            "该结果已按合约的保存期限删除",
            "the result was deleted at the end of the contract's retention",
            "如仍需要，请重新执行该任务",
            "run the job again where it is still needed",
        )
    if row.opened_at is None:
        raise conflict(
            "not_opened",
            "该结果尚未启封",
            "the result has not been opened",
            "请先启封结果",
            "open the result first",
        )
    return row


def _damaged() -> Refusal:
    return refuse(
        500,
        "result_damaged",
        "已启封结果的文件损坏或丢失",
        "the opened result's file is damaged or lost",
        "请从备份恢复结果目录",
        "restore the results folder from its backup",
    )


def revised(session: Session, contract_id: str | None = None) -> list[Revised]:
    """All results with their revision: the n-th that arrived for its day; the last one stands. Newest day first."""
    query = select(ResultRow)
    if contract_id is not None:
        query = query.where(ResultRow.contract_id == contract_id)
    days: dict[tuple[str, Any], list[ResultRow]] = {}
    for row in session.exec(
        query.order_by(col(ResultRow.received_at).asc().nulls_last(), col(ResultRow.job))
    ):
        days.setdefault((row.contract_id, row.business_date), []).append(row)
    found = []
    for rows in days.values():
        newest = max((n for n, row in enumerate(rows, 1) if row.received_at is not None), default=0)
        found += [Revised(row, n, n == newest) for n, row in enumerate(rows, 1)]
    return sorted(found, key=lambda r: (r.row.business_date, r.row.contract_id, r.revision), reverse=True)


def summary_view(found: Revised) -> ResultSummary:
    """A result in short; figures are there only once it was opened."""
    row = found.row
    return ResultSummary(
        job_id=row.job,
        contract_id=row.contract_id,
        business_date=row.business_date.isoformat(),
        revision=found.revision,
        stands=found.stands,
        received_at=row.received_at,
        opened_at=row.opened_at,
        opened_by=row.opened_by,
        form=form_of(row),
        gate=_gate_of(row),
        gate_findings=(row.summary.get("gate") or {}).get("findings", []),
        **{name: row.summary.get(name) for name in _COUNTS},
    )


def _gate_of(row: ResultRow) -> Literal["passed", "refused"] | None:
    kept = row.summary.get("gate")
    return None if kept is None else "passed" if kept.get("passed") is True else "refused"


def _one(session: Session, job: str) -> Revised:
    row = session.get(ResultRow, job)
    if row is None:
        raise not_found("结果", "result", job)
    return next(r for r in revised(session, row.contract_id) if r.row.job == job)
