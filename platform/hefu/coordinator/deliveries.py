"""What owners published: data sets' metadata, and which day's data arrived when (报送情况). No amounts, no rows."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col, select

from hefu.coordinator import contracts, jobs
from hefu.coordinator.context import CoordinatorContext
from hefu.domain.dataset import DataSet, schema_digest
from hefu.store.base import now
from hefu.store.coordinator_tables import DataSetRow, DeliveryRow
from hefu.wire.refusal import Refusal


class Delivery(BaseModel):
    """An owner says that the data of a day arrived or changed."""

    model_config = ConfigDict(extra="forbid")

    data_set_id: str = Field(max_length=200)
    business_date: date
    state: str = Field(pattern="^(arrived|late|missing|rejected|replaced)$")
    fingerprint: str = Field(max_length=64)
    rows: int = Field(ge=0, lt=2**31)
    rejected: int = Field(ge=0, lt=2**31)


def publish(ctx: CoordinatorContext, data_set: DataSet, stated: str, sender: str) -> str:
    """Keep a data set's metadata; answers its schema digest, which must be the one that the owner states."""
    if data_set.owner != sender:
        raise Refusal(
            403,
            "not_owner",
            "仅数据提供方可登记其数据集",
            "only the owner publishes a data set",
            party=sender,
        )
    digest = schema_digest(data_set)
    if stated != digest:
        raise Refusal(
            422,
            "digest_mismatch",
            "数据集结构与摘要不符",
            "the data set does not have the schema digest that came with it",
            party=sender,
        )
    with ctx.session() as session:
        row = session.get(DataSetRow, data_set.data_set_id)
        if row is not None and row.owner != sender:
            raise Refusal(409, "name_taken", "数据集编号已被占用", "the data set's id is taken", party=sender)
        row = row or DataSetRow(
            data_set_id=data_set.data_set_id, owner=sender, schema_digest=digest, at=now()
        )
        row.definition, row.schema_digest, row.at = data_set.model_dump(mode="json"), digest, now()
        session.add(row)
        session.commit()
    return digest


def published(ctx: CoordinatorContext) -> list[dict[str, Any]]:
    """Every data set's metadata."""
    with ctx.session() as session:
        rows = session.exec(select(DataSetRow).order_by(DataSetRow.data_set_id)).all()
    return [{"owner": r.owner, "definition": r.definition, "schema_digest": r.schema_digest} for r in rows]


def report(ctx: CoordinatorContext, delivery: Delivery, sender: str) -> list[str]:
    """Keep a delivery; answers the jobs that it started (a corrected or supplemented file of a finished day)."""
    with ctx.session() as session:
        data_set = session.get(DataSetRow, delivery.data_set_id)
        if data_set is None or data_set.owner != sender:
            raise Refusal(403, "not_owner", "仅数据提供方可报送", "only the owner delivers", party=sender)
        newest = session.exec(
            select(DeliveryRow)
            .where(
                DeliveryRow.data_set_id == delivery.data_set_id,
                DeliveryRow.business_date == delivery.business_date,
            )
            .order_by(col(DeliveryRow.id).desc())
        ).first()
        if newest is not None and (newest.fingerprint, newest.state) == (
            delivery.fingerprint,
            delivery.state,
        ):
            return []
        session.add(DeliveryRow(**delivery.model_dump(), owner=sender, at=now()))
        session.commit()
    if delivery.state not in ("arrived", "late"):
        return []
    return jobs.after_delivery(ctx, delivery.data_set_id, [delivery.business_date])


def board(ctx: CoordinatorContext, contract_id: str, first: date, last: date) -> list[dict[str, Any]]:
    """Deliveries of a contract's data sets over some days: per data set and day the one that stands, or `missing`."""
    with ctx.session() as session:
        contract = contracts.newest(session, contract_id)[1]
        ids = {d.data_set_id: d.owner for d in contract.data_sets}
        rows = session.exec(
            select(DeliveryRow)
            .where(
                col(DeliveryRow.data_set_id).in_(ids),
                DeliveryRow.business_date >= first,
                DeliveryRow.business_date <= last,
            )
            .order_by(col(DeliveryRow.id))
        ).all()
    standing = {(r.data_set_id, r.business_date): r for r in rows if r.state != "replaced"}
    days = [date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)]
    found = []
    for data_set_id, owner in ids.items():
        for day in days:
            row = standing.get((data_set_id, day))
            if row is None and contract.schedule and day.isoformat() < contract.schedule.first_day:
                continue  # nothing was due before the contract began
            found.append(
                {
                    "contract_id": contract_id,
                    "owner": owner,
                    "data_set_id": data_set_id,
                    "business_date": day.isoformat(),
                    "state": row.state if row else "missing",
                    "rows": row.rows if row else 0,
                    "rejected": row.rejected if row else 0,
                    "arrived_at": row.at.isoformat() if row else None,
                }
            )
    return found
