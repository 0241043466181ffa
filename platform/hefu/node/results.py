"""Results at their receiver: opened here and nowhere else, summed up, kept sealed.

Both halves were sealed to this node by N0 and N2; neither says anything alone. Opening is itself evidence. A row of the
result is "the 1-based data row of that owner's file"; rows in transit from files of other days are never reported, they
appear only as the counterpart of a reported row.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlmodel import Session, col, select

from hefu.components.reconcile import ReconcileResult
from hefu.components.reconcile import open_result as put_together
from hefu.components.registry import component
from hefu.engine.errors import EngineError
from hefu.keys.errors import FileSealInvalid, SealInvalid
from hefu.node import alarms, statistics_table
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

    raises  Refusal: not_found · halves_missing (409) · result_invalid (422): nothing of it is kept
    """
    with ctx.session() as session:
        row = session.exec(select(ResultRow).where(ResultRow.job == job).with_for_update()).first()
        if row is None:
            raise not_found("结果", "result", job)
        if row.opened_at is None:
            salt = secrets.token_bytes(32)
            try:
                path, figures, content = _assemble(ctx, session, row)
            except (SealInvalid, FileSealInvalid, EngineError) as error:
                raise invalid(row, error) from error
            row.table_path = str(path)
            row.opened_at, row.opened_by = now(), user
            row.summary = {**row.summary, **figures, "salt": salt.hex()}
            session.add(row)
            ctx.record(
                session,
                "result_opened",
                {
                    "result": hashlib.sha256(salt + content).hexdigest(),
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


def _assemble(ctx: NodeContext, session: Session, row: ResultRow) -> tuple[Path, dict[str, Any], bytes]:
    """Put both halves together and keep the table; answers its file, its figures, and the bytes that its digest is of."""
    contract = statistics_table.result_contract(session, row)
    if component(contract.computation.steps[0].component).form == GROUP_STATISTICS:
        try:
            table = statistics_table.put_together(ctx, session, row)
        except OSError as error:
            raise invalid(row, error) from error
        path = statistics_table.write_statistics(ctx, session, row, table)
        return path, statistics_table.figures(table), statistics_table.table_bytes(table)
    batches = read_batches(session, row)
    try:
        halves = open_halves(ctx, session, row)
        result = put_together(halves[0], halves[1], batches)
    except OSError as error:
        raise invalid(row, error) from error
    return write_table(ctx, session, row, result), summarise(result, batches), digest_bytes(result)


def form_of(row: ResultRow) -> str:
    """The form of a result, as its contract's component gives it."""
    return str(row.summary.get("form", ROW_STATUS))


def open_complete(ctx: NodeContext, user: str) -> list[str]:
    """Open every result whose halves are both here and that nobody has opened yet, oldest first; answers their jobs.

    For organisations that have set that results open as they arrive. A result that does not open does not keep the
    others closed; the first error is raised at the end.
    """
    with ctx.session() as session:
        waiting = session.exec(
            select(ResultRow.job)
            .where(col(ResultRow.received_at).is_not(None), col(ResultRow.opened_at).is_(None))
            .order_by(col(ResultRow.business_date), col(ResultRow.received_at))
        ).all()
    opened, failure = [], None
    for job in waiting:
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

    raises  Refusal: not_found · not_opened (409) · result_damaged (500)
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
    return OpenedResult(table, {side["owner"]: side["side"] for side in row.summary["sides"]})


def load_statistics(ctx: NodeContext, job: str) -> StatisticsTable | None:
    """The table of groups of an opened result; None where the result is of another form.

    raises  Refusal: not_found · not_opened (409) · result_damaged (500)
    """
    with ctx.session() as session:
        row = _opened_row(session, job)
        return statistics_of(ctx, session, row) if form_of(row) == GROUP_STATISTICS else None


def statistics_of(ctx: NodeContext, session: Session, row: ResultRow) -> StatisticsTable:
    """The table of groups in an opened result's file. Raises Refusal: result_damaged (500)."""
    try:
        return statistics_table.read_statistics(ctx, session, row)
    except (SealInvalid, FileSealInvalid, TableDamaged, OSError) as error:
        raise _damaged() from error


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
        **{name: row.summary.get(name) for name in _COUNTS},
    )


def _one(session: Session, job: str) -> Revised:
    row = session.get(ResultRow, job)
    if row is None:
        raise not_found("结果", "result", job)
    return next(r for r in revised(session, row.contract_id) if r.row.job == job)
