"""Evidence of what an order led to: where it belongs, and what goes back with the answer."""

from __future__ import annotations

import base64
from typing import Any

from sqlmodel import col, select

from hefu.domain.job import Order, Stage
from hefu.node.context import NodeContext
from hefu.store.node_tables import JournalRow


def evidence_of(ctx: NodeContext, job: str, attempt: int) -> list[str]:
    """This node's evidence of a job so far, as it goes back with an answer (the outbox carries it too)."""
    with ctx.session() as session:
        rows = session.exec(
            select(JournalRow).where(JournalRow.job == job).order_by(col(JournalRow.signer_seq))
        ).all()
    return [base64.b64encode(r.envelope).decode() for r in rows]


def where(order: Order) -> dict[str, Any]:
    return {
        "contract": order.contract,
        "job": order.job,
        "attempt": order.attempt,
        "stage": Stage.COMPUTE.value if order.stage is Stage.COMPUTE else order.stage.value,
    }
