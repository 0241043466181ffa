"""This organisation's data sets: registered, shown, found again for a job.

A business date has at most one standing file: the newest that could be read. A later file with other content for that
day takes its place as a whole (补报/更正), and the old one stays, marked as replaced. So, without a window clause, "row"
in a result is the 1-based data row of exactly that day's standing file.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

from sqlmodel import Session, col, select

from hefu.domain.businessdays import business_date
from hefu.domain.contract import read_contract
from hefu.domain.dataset import DataSet, schema_digest
from hefu.node.arrivals import arrival_view, file_path, receive_file
from hefu.node.console_models import ArrivalView, DataSetView
from hefu.node.context import NodeContext
from hefu.node.deliveries import tell_pending
from hefu.node.refusals import conflict, not_found, refuse
from hefu.store.base import now
from hefu.store.node_tables import ArrivalRow, ContractRow, DataSetRow

__all__ = [
    "check_known",
    "days",
    "definition",
    "first_day",
    "list_views",
    "receive_file",
    "register",
    "rejects_csv",
    "rows_of_day",
    "standing",
]

STANDING = ("arrived", "late")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LIVE = ("signing", "active", "suspended")


def register(ctx: NodeContext, data_set: DataSet, user: str) -> DataSetView:
    """Register a data set, or reword one; publishes its description (never its content) to the coordinator.

    raises  Refusal: data_set_id, owner (422) · schema_in_contract (409) when a contract pins the old schema
    """
    if _ID.fullmatch(data_set.data_set_id) is None:
        raise refuse(
            422,
            "invalid_request",
            "数据集编号只能由字母、数字、点、横线组成，至多64位",
            "a data set's id has letters, digits, dots and dashes, at most 64",
            "请修改编号",
            "mend the id",
            limit="data_set_id",
        )
    if data_set.owner != ctx.org_id:
        raise refuse(
            422,
            "invalid_request",
            "只能登记本机构的数据集",
            "an organisation registers its own data sets only",
            "请将所有者改为本机构",
            "name this organisation as owner",
            party=data_set.owner,
            limit="owner",
        )
    digest = schema_digest(data_set)
    with ctx.session() as session:
        row = session.get(DataSetRow, data_set.data_set_id)
        if row is None:
            row = DataSetRow(
                data_set_id=data_set.data_set_id, definition={}, schema_digest=digest, created_at=now()
            )
        elif row.schema_digest != digest and _contracts_of(session).get(data_set.data_set_id):
            raise conflict(
                "schema_in_contract",
                "有合约锁定了该数据集的结构，不能修改字段",
                "a contract pins this data set's schema: its fields cannot change",
                "请登记新的数据集，或在合约终止后修改",
                "register a new data set, or wait until the contract has ended",
            )
        row.definition, row.schema_digest = data_set.model_dump(mode="json"), digest
        session.add(row)
        ctx.record(session, "data_set_registered", {"data_set": data_set.data_set_id, "schema": digest})
        session.commit()
    tell_pending(ctx)
    return next(view for view in list_views(ctx) if view.definition.data_set_id == data_set.data_set_id)


def list_views(ctx: NodeContext) -> list[DataSetView]:
    """All data sets, with how many files came and which contracts use them."""
    with ctx.session() as session:
        rows = session.exec(select(DataSetRow).order_by(DataSetRow.data_set_id)).all()
        files: dict[str, set[str]] = defaultdict(set)
        last = {}
        for arrival in session.exec(select(ArrivalRow).order_by(col(ArrivalRow.id))):
            files[arrival.data_set_id].add(arrival.fingerprint)
            last[arrival.data_set_id] = arrival.at
        contracts = _contracts_of(session)
        return [
            DataSetView(
                definition=DataSet.model_validate(row.definition),
                schema_digest=row.schema_digest,
                files=len(files[row.data_set_id]),
                last_arrival=last.get(row.data_set_id),
                contracts=sorted(contracts.get(row.data_set_id, ())),
            )
            for row in rows
        ]


def check_known(ctx: NodeContext, data_set_id: str) -> None:
    """Raises Refusal (not_found) unless the data set is registered."""
    with ctx.session() as session:
        definition(session, data_set_id)


def definition(session: Session, data_set_id: str) -> DataSet:
    """A registered data set. Raises Refusal (not_found)."""
    row = session.get(DataSetRow, data_set_id)
    if row is None:
        raise not_found("数据集", "data set", data_set_id)
    return DataSet.model_validate(row.definition)


def days(ctx: NodeContext, data_set_id: str, first: date, last: date) -> list[ArrivalView]:
    """Every arrival from `first` to `last`, and a line "missing" for each day that is over and has none; by day, the standing one last.

    raises  Refusal (not_found, 422 for more than 400 days)
    """
    if (last - first).days > 400:
        raise refuse(
            422,
            "invalid_request",
            "日期范围不得超过400天",
            "at most 400 days",
            "请缩小范围",
            "ask for fewer",
            limit="from",
        )
    with ctx.session() as session:
        definition(session, data_set_id)
        found: dict[date, list[ArrivalView]] = defaultdict(list)
        rows = select(ArrivalRow).where(
            ArrivalRow.data_set_id == data_set_id,
            col(ArrivalRow.business_date) >= first,
            col(ArrivalRow.business_date) <= last,
        )
        for row in session.exec(rows.order_by(col(ArrivalRow.id))):
            found[row.business_date].append(arrival_view(row))
    views: list[ArrivalView] = []
    today = business_date(now())
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        if day in found:
            views += sorted(found[day], key=lambda view: view.state in STANDING)
        elif day < today:
            views.append(ArrivalView(data_set_id=data_set_id, business_date=day.isoformat(), state="missing"))
    return views


def first_day(ctx: NodeContext, data_set_id: str) -> date | None:
    """From which business date on the active contracts want this data set; None where none does."""
    found = []
    with ctx.session() as session:
        for row in session.exec(select(ContractRow).where(ContractRow.state == "active")):
            contract = read_contract(row.document)
            used = any(d.data_set_id == data_set_id and d.owner == ctx.org_id for d in contract.data_sets)
            if used and contract.schedule is not None:
                found.append(date.fromisoformat(contract.schedule.first_day))
    return min(found, default=None)


def standing(session: Session, data_set_id: str, day: date) -> ArrivalRow | None:
    """The standing arrival of a day, or None while there is none."""
    rows = select(ArrivalRow).where(
        ArrivalRow.data_set_id == data_set_id,
        ArrivalRow.business_date == day,
        col(ArrivalRow.state).in_(STANDING),
    )
    return session.exec(rows.order_by(col(ArrivalRow.id).desc())).first()


def rows_of_day(ctx: NodeContext, data_set_id: str, day: date, window_days: int = 0) -> list[Path]:
    """The files that hold the standing rows of `day`, and of the days around it: the day's own first, each once.

    Empty when the day itself has none. Without a window there is at most one, whose data rows are the rows of a result.
    """
    with ctx.session() as session:
        own = standing(session, data_set_id, day)
        if own is None:
            return []
        found = [file_path(ctx, own)]
        for offset in [o for n in range(1, window_days + 1) for o in (-n, n)]:
            row = standing(session, data_set_id, day + timedelta(days=offset))
            if row is not None and file_path(ctx, row) not in found:
                found.append(file_path(ctx, row))
        return found


def rejects_csv(ctx: NodeContext, data_set_id: str, fingerprint: str) -> bytes:
    """Where the rows of a file that could not be read stand, and why; no values. Raises Refusal (not_found)."""
    with ctx.session() as session:
        row = session.exec(
            select(ArrivalRow).where(
                ArrivalRow.data_set_id == data_set_id, ArrivalRow.fingerprint == fingerprint
            )
        ).first()
        if row is None:
            raise not_found("文件", "file", fingerprint)
        path = file_path(ctx, row)
    return path.with_name(path.name + ".rejects.csv").read_bytes()


def _contracts_of(session: Session) -> dict[str, set[str]]:
    """Data set → ids of the contracts that use it and have not ended."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in session.exec(select(ContractRow).where(col(ContractRow.state).in_(_LIVE))):
        contract = read_contract(row.document)
        for data_set in contract.data_sets:
            found[data_set.data_set_id].add(contract.contract_id)
    return found
