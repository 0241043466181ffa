"""The sizes that the coordinator announces for a computation: those of the contract, and of this owner's own commitment."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from sqlmodel import Session

from hefu.domain.cast import institutions_of
from hefu.domain.contract import Contract
from hefu.domain.job import Order
from hefu.node.context import NodeContext
from hefu.node.uses import committed
from hefu.wire.refusal import Refusal


def check_batches(ctx: NodeContext, contract: Contract, order: Order, batches: list[dict[str, Any]]) -> None:
    """The batches are those of the contract's owners, each once, within its volume, and as many rows as the order says.

    A statutory mandate knows no volume (see `domain/limits.py`).
    """
    institutions = institutions_of(contract)
    owners = list(contract.owners())
    expected = [(o, "institution" if o in institutions else "bank", n) for n, o in enumerate(owners)]
    try:
        found = TypeAdapter(list[_Batch]).validate_python(batches)
    except ValidationError as error:
        raise _batches_invalid(ctx, contract.limits.max_rows) from error
    said = sorted(((b.owner, b.side, b.batch) for b in found), key=lambda b: b[2])
    rows = sum(b.rows for b in found)
    too_many = contract.mandate is None and rows > contract.limits.max_rows
    if said != expected or too_many or order.rows != rows:
        raise _batches_invalid(ctx, contract.limits.max_rows)


def check_own_batch(ctx: NodeContext, session: Session, order: Order, batches: list[dict[str, Any]]) -> None:
    """The size that the others are told of is the one that we committed to."""
    row = committed(session, order.job)
    if row is not None and [b["rows"] for b in batches if b["owner"] == ctx.org_id] != [row.input["rows"]]:
        raise _batches_invalid(ctx, int(row.input["rows"]))


class _Batch(BaseModel):
    """An owner's rows as the coordinator announces them."""

    model_config = ConfigDict(strict=True, extra="forbid")

    owner: str
    side: str
    batch: int
    rows: Annotated[int, Field(ge=0, lt=2**40)]


def _batches_invalid(ctx: NodeContext, limit: int) -> Refusal:
    return Refusal(
        403,
        "batches_invalid",
        "数据批次与合约或承诺不符，或超过数据量上限",
        "the batches are not those of the contract or of the commitment, or exceed the volume",
        party=ctx.org_id,
        stage="compute",
        limit=str(limit),
    )
