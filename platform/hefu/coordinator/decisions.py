"""Release decisions of the reviewers whom the contract names; each is signed, and N0 and N2 verify them again."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import select

from hefu.coordinator import approvals, contracts, reviews
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.reviews import Review
from hefu.domain.job import DECISION_TYPE, JobState, ReleaseDecision
from hefu.domain.rules.output.review import review_verdict, tally
from hefu.store.base import now
from hefu.store.coordinator_tables import DecisionRow, JobRow
from hefu.store.signed import decode_envelope, read_signed
from hefu.wire.refusal import Refusal, not_found


def take(ctx: CoordinatorContext, job_id: str, envelope: str, sender: str) -> None:
    """Keep a reviewer's decision; wake the job once the review is settled. A second decision of the same reviewer is refused.

    raises  Refusal: not_found · not_reviewer · decided_already · another_result · reason_missing · quorum_reached ·
            review_refused · review_overdue · decision_untimely
    """
    decision = read_signed(envelope, ReleaseDecision, DECISION_TYPE, ctx.directory.registered(sender).key)
    with ctx.session() as session:
        job = session.exec(select(JobRow).where(JobRow.job_id == job_id).with_for_update()).first()
        if job is None:
            raise not_found(f"任务 {job_id}", f"job {job_id}")
        contract = contracts.load(session, job.contract_digest)[1]
        reviewers = {r for o in contract.outputs for r in o.reviewers}
        said = (decision.job, decision.attempt, decision.contract, decision.org_id)
        if sender not in reviewers or said != (job_id, job.attempt, contract.digest, sender):
            raise Refusal(
                403,
                "not_reviewer",
                "不是该结果的审核方，或审核对象不符",
                "not a reviewer of this result, or of another attempt",
                party=sender,
            )
        review = reviews.find(session, job, contract)
        if review is None or session.get(DecisionRow, (job_id, job.attempt, sender)) is not None:
            raise _not_awaited(job, sender)
        moment = now()
        _check_content(decision, review)
        _check_in_time(decision, review, moment)
        if job.state != JobState.AWAITING_REVIEW:
            raise _not_awaited(job, sender)
        session.add(
            DecisionRow(
                job_id=job_id,
                attempt=job.attempt,
                org_id=sender,
                approved=decision.approved,
                envelope=decode_envelope(envelope).to_bytes(),
                at=moment,
            )
        )
        if not review.verdict(moment, decision).waiting:
            job.retry_at = moment
            session.add(job)
        approvals.answer_release(ctx, session, decision, moment)
        ctx.record(
            session,
            "release_decided",
            {
                "by": sender,
                "approved": decision.approved,
                "decision": decision.digest,
                "checked": review.checked,
            },
            contract=contract.digest,
            job=job_id,
            attempt=job.attempt,
        )
        session.commit()


def _check_content(decision: ReleaseDecision, review: Review) -> None:
    if decision.checked != review.checked:
        raise Refusal(
            409,
            "another_result",
            "所决定的不是本次输出校验的结果",
            "the decision is on another result than the output check found",
            party=decision.org_id,
            limit=review.checked,
            mend_zh="刷新任务后重新决定",
            mend_en="refresh the job and decide again",
        )
    if not decision.approved and not decision.reason.strip():
        raise Refusal(
            422,
            "reason_missing",
            "拒绝发布须写明理由",
            "a refusal says why",
            party=decision.org_id,
            mend_zh="写明理由后重新提交",
            mend_en="give a reason and hand it in again",
        )


def _check_in_time(decision: ReleaseDecision, review: Review, at: datetime) -> None:
    """Is there an output of this reviewer's that still waits, and would the decision count?"""
    sender = decision.org_id
    mine = [o for o in review.contract.outputs if sender in o.reviewers]
    verdicts = [review_verdict(o, review.decisions, review.requested_at, at) for o in mine]
    open_ = [o for o, verdict in zip(mine, verdicts, strict=True) if verdict.waiting]
    if not open_:
        over = next((f for verdict in verdicts for f in verdict.findings), None)
        if over is not None:
            raise Refusal(
                409, over.rule, f"审核已结束：{over.message_zh}", f"the review is over: {over.message_en}", party=sender,
                limit=over.expected, mend_zh=over.mend_zh, mend_en=over.mend_en,
            )  # fmt: skip
        quorum = tally(mine[0], review.decisions, review.requested_at, at).quorum
        raise Refusal(
            409,
            "quorum_reached",
            f"已有 {quorum} 个审核方批准，达到法定数，不再接受决定",
            f"the quorum of {quorum} approved already: no further decision is taken",
            party=sender,
            limit=str(quorum),
        )
    counts = [tally(o, [*review.decisions, decision], review.requested_at, at) for o in open_]
    if not any(decision in count.decided for count in counts):
        raise Refusal(
            422,
            "decision_untimely",
            f"决定时间 {decision.decided_at.isoformat()} 不在审核期间内",
            f"the decision is dated {decision.decided_at.isoformat()}, outside the time of the review",
            party=sender,
            limit=f"{review.requested_at.isoformat()} – {counts[0].deadline.isoformat() if counts[0].deadline else ''}",
            mend_zh="校准本机构节点的时钟后重新决定",
            mend_en="set the clock of your node right and decide again",
        )


def _not_awaited(job: JobRow, sender: str) -> Refusal:
    return Refusal(
        409,
        "decided_already",
        f"该任务（{job.state}）不在等待审核，或已作出决定",
        f"the job ({job.state}) does not wait for this decision",
        party=sender,
    )
