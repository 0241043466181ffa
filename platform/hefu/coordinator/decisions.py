"""Release decisions of the reviewers whom the contract names; each is signed, and N0 and N2 verify them again."""

from __future__ import annotations

from sqlmodel import select

from hefu.coordinator import contracts
from hefu.coordinator.context import CoordinatorContext
from hefu.domain.job import DECISION_TYPE, JobState, ReleaseDecision
from hefu.store.base import now
from hefu.store.coordinator_tables import DecisionRow, JobRow
from hefu.store.signed import decode_envelope, read_signed
from hefu.wire.refusal import Refusal, not_found


def take(ctx: CoordinatorContext, job_id: str, envelope: str, sender: str) -> None:
    """Keep a reviewer's decision and wake the job. A second decision of the same reviewer is refused."""
    decision = read_signed(envelope, ReleaseDecision, DECISION_TYPE, ctx.directory.registered(sender).key)
    with ctx.session() as session:
        job = session.exec(select(JobRow).where(JobRow.job_id == job_id).with_for_update()).first()
        if job is None:
            raise not_found(f"任务 {job_id}", f"job {job_id}")
        contract = contracts.load(session, job.contract_digest)[1]
        reviewers = {r for o in contract.outputs for r in o.reviewers}
        if sender not in reviewers or (
            decision.job,
            decision.attempt,
            decision.contract,
            decision.org_id,
        ) != (job_id, job.attempt, contract.digest, sender):
            raise Refusal(
                403,
                "not_reviewer",
                "不是该结果的审核方，或审核对象不符",
                "not a reviewer of this result, or of another attempt",
                party=sender,
            )
        if (
            job.state != JobState.AWAITING_REVIEW
            or session.get(DecisionRow, (job_id, job.attempt, sender)) is not None
        ):
            raise Refusal(
                409,
                "decided_already",
                "该任务不在等待审核，或已作出决定",
                "the job does not wait for this decision",
                party=sender,
            )
        session.add(
            DecisionRow(
                job_id=job_id,
                attempt=job.attempt,
                org_id=sender,
                approved=decision.approved,
                envelope=decode_envelope(envelope).to_bytes(),
                at=now(),
            )
        )
        job.retry_at = now()
        session.add(job)
        ctx.record(
            session,
            "release_decided",
            {"by": sender, "approved": decision.approved, "decision": decision.digest},
            contract=contract.digest,
            job=job_id,
            attempt=job.attempt,
        )
        session.commit()
