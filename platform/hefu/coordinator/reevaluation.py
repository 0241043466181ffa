"""Continuing assessment 动态评估 on schedule: what ran, by the coordinator's own records, and what each data owner finds (K2).

The coordinator suspends nothing, it is no party: it records what it found and asks the owners, who file and suspend on their own
(white paper A, 3.2, second and third points). Where an owner finds otherwise, that is a finding too.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlmodel import Session, col, select

from hefu.coordinator import contracts, filings
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.outcomes import ask_all
from hefu.domain.contract import Contract, ContractState, read_contract
from hefu.domain.rules.reevaluation import drifted
from hefu.domain.rules.say import warn
from hefu.domain.rules.what_ran import JobRan, Reevaluated, compare_jobs
from hefu.domain.verdict import Finding, judge
from hefu.store.coordinator_tables import ContractRow, JobRow, UseRow

ASK_TIMEOUT_SECONDS = 90.0
_LIVE = (ContractState.ACTIVE.value, ContractState.SUSPENDED.value)


def reevaluate_all(ctx: CoordinatorContext) -> dict[str, Any]:
    """Re-evaluate every live contract and have its data owners do it: `{counts, verdict}`. Drift blocks."""
    with ctx.session() as session:
        rows = session.exec(
            select(ContractRow).where(col(ContractRow.state).in_(_LIVE)).order_by(col(ContractRow.version))
        ).all()
        live = {row.contract_id: read_contract(row.document) for row in rows}
    findings: list[Finding] = []
    own: dict[tuple[str, str], Reevaluated | None] = {}
    for contract in live.values():
        for owner, found in _evaluate(ctx, contract).items():
            own[contract.contract_id, owner] = found
            findings += [] if found is None else found.comparison.findings
    owners = sorted({owner for _, owner in own})
    replies, faults = ask_all(
        owners,
        lambda org: dict(ctx.client.post(org, "/orders/reevaluate", {}, timeout_seconds=ASK_TIMEOUT_SECONDS)),
    )
    findings += faults
    counts = Counter({"contracts": len(live), "owners": len(owners), "answered": len(replies)})
    for owner, reply in replies.items():
        for told in reply["contracts"]:
            counts[str(told["conclusion"])] += 1
            counts["suspended"] += bool(told["suspended"])
            findings += _compare(owner, told, own.get((str(told["contract_id"]), owner)), findings)
    verdict = judge("reevaluation", findings)
    return {"counts": dict(counts), "verdict": verdict.model_dump(mode="json")}


def _evaluate(ctx: CoordinatorContext, contract: Contract) -> dict[str, Reevaluated | None]:
    """By owner: what ran since its assessment, compared with it; each outcome is evidence."""
    known = filings.matter(ctx, contract)
    with ctx.session() as session:
        jobs = jobs_of(session, contract.contract_id)
        found = {
            owner: compare_jobs(contract, known.filings, jobs, owner, known.today)
            for owner in contract.owners()
        }
        for owner, one in found.items():
            if one is None:
                continue
            body = {
                "owner": owner,
                "jobs": one.jobs,
                "fused_grade": one.comparison.fused_grade.value,
                "assessment": None if one.assessment is None else one.assessment.digest,
            }
            if one.comparison.drift:
                drift = list(one.comparison.drift)
                ctx.record(session, "reevaluation_drift", body | {"drift": drift}, contract=contract.digest)
            else:
                ctx.record(session, "reevaluated", body, contract=contract.digest)
        session.commit()
    return found


def jobs_of(session: Session, contract_id: str) -> list[JobRan]:
    """The jobs of a contract that used data, in any version, by the coordinator's count of uses."""
    found = []
    for use in session.exec(select(UseRow).where(UseRow.contract_id == contract_id)):
        job = session.get(JobRow, use.job_id)
        if job is not None:
            version = contracts.load(session, job.contract_digest)[1]
            found.append(JobRan(version, job.business_date, use.at, use.rows))
    return found


def _compare(
    owner: str, told: dict[str, Any], own: Reevaluated | None, known: list[Finding]
) -> list[Finding]:
    """An owner's conclusion beside ours."""
    found: list[Finding] = []
    theirs = tuple(str(d) for d in told["drift"])
    ours = () if own is None else own.comparison.drift
    if theirs and not any(f.rule == "processing_drifted" and f.party == owner for f in known):
        found.append(drifted(owner, theirs))
    if bool(theirs) != bool(ours):
        found.append(
            warn(
                "reevaluation_differs",
                "K2",
                f"{owner} 的动态评估结论与调度方不同",
                f"the re-evaluation of {owner} concludes otherwise than the coordinator's",
                party=owner,
                seen=", ".join(theirs) or "unchanged",
                expected=", ".join(ours) or "unchanged",
                mend_zh="请双方核对任务记录、使用次数与评估文件的版本",
                mend_en="compare records of jobs, counts of uses, and which assessment each side has",
                source="WP-A 3.2",
                law=("pipl-55",),
            )
        )
    return found
