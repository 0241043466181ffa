"""What ends soon, of every live contract's parties: nothing is sent or stored, whoever asks is told (white paper A, 3.3)."""

from __future__ import annotations

from typing import Any

from sqlmodel import col, select

from hefu.coordinator import filings
from hefu.coordinator.context import CoordinatorContext
from hefu.domain.contract import ContractState, read_contract
from hefu.domain.rules.due_soon import due_soon
from hefu.domain.verdict import Finding, judge
from hefu.store.coordinator_tables import ContractRow

_LIVE = (ContractState.ACTIVE.value, ContractState.SUSPENDED.value)


def look_ahead(ctx: CoordinatorContext) -> dict[str, Any]:
    """`{counts, verdict}`: findings that warn, each party's thing once however many contracts it concerns."""
    with ctx.session() as session:
        rows = session.exec(
            select(ContractRow).where(col(ContractRow.state).in_(_LIVE)).order_by(col(ContractRow.version))
        ).all()
    found: list[Finding] = []
    for document in {row.contract_id: row.document for row in rows}.values():
        found += [f for f in due_soon(filings.matter(ctx, read_contract(document))) if f not in found]
    counts = {"due": len(found), "parties": len({f.party for f in found})}
    return {"counts": counts, "verdict": judge("due_soon", found).model_dump(mode="json")}
