"""Continuing assessment 动态评估 at a data owner: what ran on its data, by its own records, against its own assessment (K2).

Nobody but a party suspends a contract, so each owner does it for itself: drift is filed, sent to every party directly, and the
contract is suspended at once. Under a statutory mandate a supervised party suspends nothing (white paper A, 3.2; 3.3):
there the filing alone tells the regulator. It happens when the coordinator asks, and also where it does not ask for too long.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlmodel import Session, col, select

from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract, ContractState, NoticeKind, read_contract
from hefu.domain.contract_life import is_void
from hefu.domain.filings.assessment import Reevaluation
from hefu.domain.rules.what_ran import JobRan, Reevaluated, compare_jobs
from hefu.node import contracts, filings
from hefu.node.context import NodeContext
from hefu.store.base import now
from hefu.store.node_tables import ContractRow, JobRow, UseRow

log = logging.getLogger("hefu.node")
LOOK_SECONDS = 3600.0
AT_LEAST_EVERY = timedelta(days=8)
"""A coordinator that does not ask once a week is not waited for."""
_USER = "reevaluation"
_LIVE = (ContractState.ACTIVE.value, ContractState.SUSPENDED.value)


@dataclass(frozen=True)
class Outcome:
    """What came of one contract's re-evaluation; `idle` where nothing ran, or no assessment is due."""

    contract_id: str
    conclusion: Literal["unchanged", "drifted", "idle"]
    drift: tuple[str, ...] = ()
    fused_grade: str = ""
    filing: str | None = None
    suspended: bool = False

    def told(self) -> dict[str, Any]:
        """As the coordinator is told: ids, counts and digests."""
        return {
            "contract_id": self.contract_id,
            "conclusion": self.conclusion,
            "drift": list(self.drift),
            "fused_grade": self.fused_grade,
            "filing": self.filing,
            "suspended": self.suspended,
        }


def reevaluate_all(ctx: NodeContext, *, asked: bool = True) -> list[Outcome]:
    """Re-evaluate every live contract into which this organisation puts data.

    asked  False: only those that nobody has re-evaluated here for too long
    """
    with ctx.session() as session:
        rows = session.exec(
            select(ContractRow).where(col(ContractRow.state).in_(_LIVE)).order_by(col(ContractRow.version))
        ).all()
        live = {row.contract_id: (row.digest, read_contract(row.document)) for row in rows}
        due = [
            digest
            for digest, contract in live.values()
            if ctx.org_id in contract.owners() and (asked or _overdue(ctx, session, contract))
        ]
    return [reevaluate_contract(ctx, digest) for digest in due]


def reevaluate_contract(ctx: NodeContext, digest: str) -> Outcome:
    """Compare, file, and suspend where what ran is not what was assessed. Filing and evidence commit together."""
    contract = contracts.stored(ctx, digest)[1]
    today = business_date(now())
    with ctx.session() as session:
        counted = filings.of_contract(ctx, session, contract)
        found = compare_jobs(contract, counted, jobs_of(session, contract.contract_id), ctx.org_id, today)
        if found is None:
            return Outcome(contract.contract_id, "idle")
        filing = filings.file(ctx, _filing(ctx, contract, found), _USER, session)
        drift = found.comparison.drift
        if drift:
            ctx.record(
                session,
                "reevaluation_drift",
                {"drift": list(drift), "jobs": found.jobs, "filing": filing},
                contract=digest,
            )
        session.commit()
    ctx.wake_sync.set()
    outcome = Outcome(
        contract.contract_id,
        "drifted" if drift else "unchanged",
        drift,
        found.comparison.fused_grade.value,
        filing,
        suspended=bool(drift) and _suspend(ctx, digest, contract, drift),
    )
    if drift:
        log.warning("what ran under %s is not what was assessed: %d differences", digest[:12], len(drift))
    return outcome


def jobs_of(session: Session, contract_id: str) -> list[JobRan]:
    """The jobs of a contract that used this organisation's data, in any version, by its own count of uses."""
    uses = session.exec(select(UseRow).where(UseRow.contract_id == contract_id)).all()
    parts = session.exec(select(JobRow).where(JobRow.contract_id == contract_id)).all()
    under = {part.job: part for part in parts}
    found = []
    for use in uses:
        part = under.get(use.job)
        row = None if part is None else session.get(ContractRow, part.contract)
        if part is not None and row is not None:
            found.append(
                JobRan(read_contract(row.document), part.business_date, use.at, max(use.rows, use.rows_all))
            )
    return found


def keep_reevaluating(ctx: NodeContext) -> threading.Thread:
    """A started thread that looks every hour whether a re-evaluation is long overdue, until the node stops."""

    def run() -> None:
        while not ctx.stop.wait(LOOK_SECONDS):
            try:
                reevaluate_all(ctx, asked=False)
            except Exception:
                log.exception("the re-evaluation failed; trying again in an hour")

    thread = threading.Thread(target=run, name="reevaluation", daemon=True)
    thread.start()
    return thread


def _filing(ctx: NodeContext, contract: Contract, found: Reevaluated) -> Reevaluation:
    return Reevaluation(
        issuer=ctx.org_id,
        contract_id=contract.contract_id,
        issued_at=now(),
        assessment=None if found.assessment is None else found.assessment.digest,
        jobs_from=found.first.isoformat(),
        jobs_until=found.last.isoformat(),
        drift=found.comparison.drift,
        fused_grade=found.comparison.fused_grade.value,
        conclusion="drifted" if found.comparison.drift else "unchanged",
    )


def _suspend(ctx: NodeContext, digest: str, contract: Contract, drift: tuple[str, ...]) -> bool:
    """Suspend a contract that is in force; whoever a statutory mandate supervises cannot. Answers whether it did."""
    if is_void(contract, NoticeKind.SUSPEND, ctx.org_id):
        return False
    if contracts.stored(ctx, digest)[0].state != ContractState.ACTIVE.value:
        return False
    seen = ", ".join(drift)[:1000]
    reason = f"动态评估发现实际处理与备案的评估不一致，暂停处理：{seen} / re-evaluation: what ran is not what was assessed: {seen}"
    contracts.give_notice(ctx, digest, NoticeKind.SUSPEND, reason, _USER)
    return True


def _overdue(ctx: NodeContext, session: Session, contract: Contract) -> bool:
    """Has nothing been re-evaluated here for longer than the longest pause between two questions?"""
    own = filings.of_contract(ctx, session, contract).all(
        Reevaluation, issuer=ctx.org_id, contract_id=contract.contract_id
    )
    return not own or now() - own[-1].issued_at > AT_LEAST_EVERY
