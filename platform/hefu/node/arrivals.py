"""Files as they arrive: stored whole (each under a key of its own) or not at all, read, counted by business date, recorded.

A file's fingerprint (SHA-256) is its name on disk, so nothing of the sender's file name reaches the file system. Its part
of each business date is one arrival: `arrived`, `late` after the cut-off of a contract, `rejected` when the file cannot be
read. A file without rows, or one that cannot be read, counts for the day in its name (2026-03-02 or 20260302), else for
the day before today. Arrivals, the replacing of older ones and the evidence commit in one transaction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import text
from sqlmodel import Session, col, select

from hefu.components.reconcile import ReconcileParameters
from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract, read_contract
from hefu.domain.dataset import DataSet
from hefu.node import storage_keys
from hefu.node.console_models import ArrivalView
from hefu.node.context import NodeContext
from hefu.node.cutoff import is_late
from hefu.node.deliveries import delivery_digest, tell_pending
from hefu.node.incoming import Incoming, display_name
from hefu.node.refusals import not_found
from hefu.node.sources.errors import SourceError
from hefu.node.sources.readers import StoredFile
from hefu.node.sources.summary import summarise
from hefu.store.base import now
from hefu.store.node_tables import ArrivalRow, ContractRow, DataSetRow

_BLOCK = 1 << 20
_DAY = re.compile(r"(20\d{2})-?(\d{2})-?(\d{2})")


@dataclass(frozen=True)
class Part:
    """What a file holds of one business date."""

    day: date
    rows: int
    rejected: int
    amount_cents: int
    readable: bool


def receive_file(
    ctx: NodeContext, data_set_id: str, file_name: str, stream: BinaryIO, user: str
) -> list[ArrivalView]:
    """Take a file from a stream. Answers one view per business date in it.

    raises  Refusal: not_found · file_kind (422) · file_too_large (413) · disk_full (507)
    """
    with Incoming(ctx, file_name) as incoming:
        while block := stream.read(_BLOCK):
            incoming.write(block)
        return take_in(ctx, data_set_id, incoming, user)


def take_in(ctx: NodeContext, data_set_id: str, incoming: Incoming, user: str) -> list[ArrivalView]:
    """Read, keep and record a file that has come in completely. Answers and errors as for `receive_file`."""
    with ctx.session() as session:
        row = session.get(DataSetRow, data_set_id)
        if row is None:
            raise not_found("数据集", "data set", data_set_id)
        data_set = DataSet.model_validate(row.definition)
        contracts = _contracts(session, data_set_id)
    fingerprint = incoming.finish()
    parts = _read(ctx, incoming, data_set, contracts)
    stored_as = f"{data_set_id}/{fingerprint}{incoming.suffix}"
    with ctx.session() as session:
        session.connection().execute(text("select pg_advisory_xact_lock(hashtext('hefu.arrivals'))"))
        _keep(ctx, session, incoming, data_set_id, stored_as)
        rows = [
            _record(ctx, session, data_set_id, part, incoming.name, stored_as, fingerprint, contracts, user)
            for part in parts
        ]
        session.commit()
        views = [arrival_view(row) for row in rows]
    tell_pending(ctx)
    return views


def _keep(ctx: NodeContext, session: Session, incoming: Incoming, data_set_id: str, stored_as: str) -> None:
    """The file and its key in their places; a file that is here already stays as it is, under the key that it has."""
    target = ctx.paths.data / stored_as
    key = storage_keys.find(ctx, session, target)
    if key is not None and target.exists():
        return
    if key is not None:  # its file was lost
        storage_keys.destroy(session, key, "minimisation")
        session.flush()
    incoming.keep_as(target)
    storage_keys.adopt(ctx, session, target, "data_set_file", incoming.key, data_set_id=data_set_id)


def stored_file(ctx: NodeContext, session: Session, row: ArrivalRow) -> StoredFile | Path:
    """An arrival's file for a reader; what came before there were storage keys lies in clear."""
    path = file_path(ctx, row)
    key = storage_keys.open_key(ctx, session, path)
    return path if key is None else StoredFile(path, key)


def arrival_view(row: ArrivalRow) -> ArrivalView:
    """An arrival as the owner sees it."""
    return ArrivalView(
        data_set_id=row.data_set_id,
        business_date=row.business_date.isoformat(),
        state=row.state,  # checked by the model
        file_name=row.file_name,
        fingerprint=row.fingerprint,
        rows=row.rows,
        rejected=row.rejected,
        amount_cents=row.amount_cents,
        arrived_at=row.at,
    )


def file_path(ctx: NodeContext, row: ArrivalRow) -> Path:
    """Where an arrival's file lies."""
    return ctx.paths.data / row.stored_as


def _read(ctx: NodeContext, incoming: Incoming, data_set: DataSet, contracts: list[Contract]) -> list[Part]:
    fallback = _day_in_name(incoming.name) or business_date(now()) - timedelta(days=1)
    try:
        summary = summarise(incoming.source, data_set, _columns(contracts, data_set.owner), ctx.paths.work)
    except SourceError as error:
        incoming.write_rejects_text(
            f"file,message_zh,message_en\n{incoming.name},{_cell(error.message_zh)},{_cell(error.message_en)}\n"
        )
        return [Part(fallback, 0, 0, 0, readable=False)]
    summary.rejects.file = incoming.name
    incoming.write_rejects(summary.rejects)
    parts = [
        Part(day, totals.rows, totals.rejected, totals.amount_cents, readable=True)
        for day, totals in sorted(summary.days.items())
    ]
    if not parts:
        return [Part(fallback, 0, summary.undated, 0, readable=summary.undated == 0)]
    # rows without a readable day might belong to any: they count as rejected on each (as in the job)
    return [Part(p.day, p.rows, p.rejected + summary.undated, p.amount_cents, readable=True) for p in parts]


def _record(
    ctx: NodeContext,
    session: Session,
    data_set_id: str,
    part: Part,
    file_name: str,
    stored_as: str,
    fingerprint: str,
    contracts: list[Contract],
    user: str,
) -> ArrivalRow:
    earlier = session.exec(
        select(ArrivalRow)
        .where(
            ArrivalRow.data_set_id == data_set_id,
            ArrivalRow.business_date == part.day,
            col(ArrivalRow.state).in_(["arrived", "late", "rejected"]),
        )
        .order_by(col(ArrivalRow.id))
    ).all()
    if earlier and earlier[-1].fingerprint == fingerprint:
        return earlier[-1]
    replaced = [row for row in earlier if part.readable or row.state == "rejected"]
    for row in replaced:
        row.state = "replaced"
        session.add(row)
    moment = now()
    late = any(is_late(contract, part.day, moment) for contract in contracts)
    arrival = ArrivalRow(
        data_set_id=data_set_id,
        business_date=part.day,
        state="rejected" if not part.readable else "late" if late else "arrived",
        file_name=file_name,
        stored_as=stored_as,
        fingerprint=fingerprint,
        rows=part.rows,
        rejected=part.rejected,
        amount_cents=part.amount_cents,
        at=moment,
    )
    session.add(arrival)
    session.flush()
    ctx.record(
        session,
        "data_arrived",
        {
            "data_set": data_set_id,
            "business_date": part.day.isoformat(),
            "state": arrival.state,
            "file": delivery_digest(ctx, fingerprint),
            "rows": part.rows,
            "rejected": part.rejected,
            "replaces": len(replaced),
        },
    )
    return arrival


def _contracts(session: Session, data_set_id: str) -> list[Contract]:
    rows = session.exec(select(ContractRow).where(ContractRow.state == "active"))
    found = [read_contract(row.document) for row in rows]
    return [contract for contract in found if any(d.data_set_id == data_set_id for d in contract.data_sets)]


def _columns(contracts: list[Contract], owner: str) -> Mapping[str, str]:
    """Canonical name → column, as the contracts' clauses say for this owner."""
    found: dict[str, str] = {}
    for contract in contracts:
        for step in contract.computation.steps:
            if step.component == "reconcile":
                found.update(ReconcileParameters.model_validate(step.parameters).columns.get(owner, {}))
    return found


def _day_in_name(name: str) -> date | None:
    for found in _DAY.finditer(name):
        try:
            return date(*(int(part) for part in found.groups()))
        except ValueError:
            continue
    return None


def _cell(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


__all__ = ["Part", "arrival_view", "display_name", "file_path", "receive_file", "stored_file", "take_in"]
