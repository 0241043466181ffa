"""Retention and deletion on schedule 留存与删除: every node is told to look, and who has not certified is named (K13, K5).

The coordinator decides nothing about anybody's data: each node sweeps by its own contracts (white paper A, 3.2, sixth point).
It learns counts, and the certificates come to it as filings.
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

from sqlmodel import Session, col, select

from hefu.coordinator import filings
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.outcomes import ask_all
from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract, ContractState, read_contract
from hefu.domain.rules.retention import uncertified
from hefu.domain.verdict import Finding, judge
from hefu.store.base import now
from hefu.store.coordinator_tables import ContractNoticeRow, ContractRow

SWEEP_TIMEOUT_SECONDS = 90.0
_LIVE = {ContractState.ACTIVE.value, ContractState.SUSPENDED.value}
_NEVER = {ContractState.SIGNING.value, ContractState.REFUSED.value, ContractState.WITHDRAWN.value}


def sweep(ctx: CoordinatorContext) -> dict[str, Any]:
    """Have every party of every contract that was ever in force sweep: `{counts, verdict}`.

    Overdue deletions warn, nodes that do not answer wait. One piece of evidence says who was asked and what was counted, one
    for each contract names who is overdue.
    """
    with ctx.session() as session:
        rows = session.exec(select(ContractRow).order_by(col(ContractRow.version))).all()
        concerned = {row.contract_id: row for row in rows if row.state not in _NEVER}
        orgs = {
            party.org_id
            for row in rows
            if row.state not in _NEVER
            for party in read_contract(row.document).parties
        }
    replies, findings = ask_all(
        sorted(orgs),
        lambda org: dict(ctx.client.post(org, "/orders/sweep", {}, timeout_seconds=SWEEP_TIMEOUT_SECONDS)),
    )
    counts = Counter({"nodes": len(orgs), "answered": len(replies)})
    for reply in replies.values():
        counts["kept"] += sum(int(n) for n in reply["kept"].values())
        counts["deleted"] += sum(int(n) for n in reply["deleted"].values())
        counts["certificates"] += len(reply["certificates"])
    with ctx.session() as session:
        late = [(row, _late(ctx, session, row)) for row in concerned.values()]
        for row, found in late:
            findings += found
            if found:
                parties = [f.party for f in found]
                ctx.record(session, "deletion_overdue", {"parties": parties}, contract=row.digest)
        verdict = judge("retention", findings)
        silent = sorted(orgs - set(replies))
        ctx.record(session, "retention_asked", {**counts, "passed": verdict.passed, "silent": silent})
        session.commit()
    counts["overdue"] = sum(len(found) for _, found in late)
    return {"counts": dict(counts), "verdict": verdict.model_dump(mode="json")}


def _late(ctx: CoordinatorContext, session: Session, row: ContractRow) -> list[Finding]:
    """Who has not certified since the contract ended; nobody while a version is live."""
    if row.state in _LIVE:
        return []
    contract = read_contract(row.document)
    known = filings.matter(ctx, contract)
    return list(uncertified(contract, known.filings, known.today, _ended(session, row, contract)))


def _ended(session: Session, row: ContractRow, contract: Contract) -> date:
    """The day of termination, or the last day of validity."""
    told = session.exec(
        select(ContractNoticeRow.at).where(
            ContractNoticeRow.digest == row.digest, ContractNoticeRow.kind == "terminate"
        )
    ).all()
    if row.state == ContractState.TERMINATED:
        return business_date(min(told, default=now()))
    return contract.limits.valid_until.date()
