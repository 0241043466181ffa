"""Data quality at this node (K4): what a worker has to count, the figures made of it, and the contract's limits on them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlmodel import col, select

from hefu.domain.businessdays import business_date
from hefu.domain.contract import ContractDataSet
from hefu.domain.rules.data_quality import QualityFigures, judge_quality
from hefu.domain.verdict import Finding
from hefu.node.context import NodeContext
from hefu.store.base import now
from hefu.store.node_tables import ArrivalRow

COMPARED_DAYS = 7
"""A day's volume is compared with the average of the standing files of this many days before it."""


def measure(clause: ContractDataSet) -> dict[str, Any] | None:
    """The worker's part of the task; None where the contract has no quality clause."""
    if clause.quality is None:
        return None
    return {
        "fields": [field.name for field in clause.fields],
        "unique": list(clause.quality.unique_fields),
        "ranges": [limit.model_dump(mode="json") for limit in clause.quality.ranges],
    }


def figures(
    ctx: NodeContext, clause: ContractDataSet, day: str, report: dict[str, Any]
) -> dict[str, Any] | None:
    """The figures of a prepared input as numbers, from a worker's report; None where the contract has no quality clause."""
    counted = report.get("quality")
    if clause.quality is None or counted is None:
        return None
    newest = counted["newest"]
    return QualityFigures(
        rows=counted["rows"],
        nulls=counted["nulls"],
        distinct=counted["distinct"],
        outside=counted["outside"],
        age_days=None if newest is None else max((business_date(now()) - date.fromisoformat(newest)).days, 0),
        usual_rows=_usual_rows(ctx, clause.data_set_id, date.fromisoformat(day)),
        day_rows=report["own_rows"] + report["excluded_rows"],
    ).numbers()


def judge(ctx: NodeContext, clause: ContractDataSet, numbers: dict[str, Any] | None) -> list[Finding]:
    """Findings that WAIT, each with field, figure and limit."""
    if clause.quality is None:
        return []
    return judge_quality(ctx.org_id, clause.quality, QualityFigures(**(numbers or {"rows": 0})))


def _usual_rows(ctx: NodeContext, data_set_id: str, day: date) -> int | None:
    with ctx.session() as session:
        rows = session.exec(
            select(ArrivalRow)
            .where(
                ArrivalRow.data_set_id == data_set_id,
                col(ArrivalRow.state).in_(["arrived", "late"]),
                col(ArrivalRow.business_date) < day,
                col(ArrivalRow.business_date) >= day - timedelta(days=COMPARED_DAYS),
            )
            .order_by(col(ArrivalRow.id))
        ).all()
    standing = {row.business_date: row.rows for row in rows if row.rows > 0}
    return round(sum(standing.values()) / len(standing)) if standing else None
