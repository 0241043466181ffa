"""The compliance gates as this node closes them itself, before its data or its computing is used.

Whatever the coordinator found, a node judges on its own copy of the contract and on filings that it verified itself; what it
finds is evidence under its own key.
"""

from __future__ import annotations

from hefu.domain.contract import Contract
from hefu.domain.job import Order
from hefu.domain.rules.gates import as_evidence, check_gates, closed
from hefu.domain.verdict import Finding
from hefu.node import filings
from hefu.node.context import NodeContext
from hefu.node.order_evidence import where
from hefu.node.refusals import refuse_for


def check(ctx: NodeContext, order: Order, contract: Contract, *, rows: int | None = None) -> list[Finding]:
    """Run every gate, sign what was found, answer what keeps one closed."""
    with ctx.session() as session:
        verdicts = check_gates(filings.matter(ctx, session, contract, rows=rows, job=order.job))
        ctx.record(
            session,
            "gates_checked",
            {"passed": all(v.passed for v in verdicts), "gates": as_evidence(verdicts)},
            **where(order),
        )
        session.commit()
    return closed(verdicts)


def require_open(ctx: NodeContext, order: Order, contract: Contract, *, rows: int | None = None) -> None:
    """Refuse the order while a gate is closed.

    raises  Refusal (403) with the first finding's rule, limit and how to mend it
    """
    found = check(ctx, order, contract, rows=rows)
    if not found:
        return
    raise refuse_for(found[0], party=ctx.org_id, stage=order.stage.value)
