"""A reviewer's decision on the release of a result 结果发布审核, where the contract names this organisation as one."""

from __future__ import annotations

from hefu.domain.approval import ReleaseSubject
from hefu.domain.contract import Contract, read_contract
from hefu.domain.job import DECISION_TYPE, JobState, ReleaseDecision, Stage
from hefu.node import approvals
from hefu.node.console_models import JobView
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.refusals import conflict, not_found, refuse
from hefu.store.base import now
from hefu.store.node_tables import ContractRow
from hefu.store.signed import encode_envelope, sign_document


def check(ctx: NodeContext, told: JobView) -> Contract:
    """May this organisation decide on the job now? Answers the contract.

    raises  Refusal: not_found · not_a_reviewer (403) · not_awaited (409)
    """
    job = told.summary
    with ctx.session() as session:
        stored = session.get(ContractRow, job.contract_digest)
        if stored is None:
            raise not_found("合约", "contract", job.contract_digest)
        contract = read_contract(stored.document)
        if not any(ctx.org_id in output.reviewers for output in contract.outputs):
            raise refuse(
                403,
                "not_a_reviewer",
                "合约未指定本机构审核结果发布",
                "the contract does not name this organisation as a reviewer",
                "请由合约指定的审核方决定",
                "let the reviewer whom the contract names decide",
                party=ctx.org_id,
                stage=Stage.RELEASE.value,
            )
        if job.state is not JobState.AWAITING_REVIEW:
            raise conflict(
                "not_awaited",
                f"任务当前状态（{job.state.value}）不等待审核",
                f"the job is {job.state.value}: no decision is awaited",
                "请刷新任务状态",
                "refresh the job",
            )
    return contract


def subject(ctx: NodeContext, told: JobView) -> ReleaseSubject:
    """What this organisation is asked to decide on: the halves of the job's newest attempt, by their output check.

    The coordinator says which they are. Where it lies, the decision is on something that N0 and N2 hold no half of, and they
    release nothing.

    raises  Refusal: not_awaited (409) · WireError while the coordinator is silent
    """
    job, attempt = told.summary.job_id, max(stage.attempt for stage in told.stages)
    for view in approvals.list_views(ctx):
        asked = view.approval.release
        if asked is not None and (asked.job, asked.attempt) == (job, attempt) and view.waits_for_us:
            return asked
    raise conflict(
        "not_awaited",
        "该结果不在等待本机构的决定（已决定、已达到法定数，或已过期限）",
        "no decision of this organisation is awaited: decided, quorum reached, or past the deadline",
        "请刷新任务状态",
        "refresh the job",
    )


def decide(ctx: NodeContext, told: JobView, on: ReleaseSubject, approved: bool, reason: str) -> None:
    """Sign the decision and hand it in; the evidence commits first, so that it is never lost.

    told    the job as the coordinator shows it; contract and reviewers come from this node's own verified copy
    on      what `subject` answered
    raises  Refusal: not_found · not_a_reviewer (403) · not_awaited (409)
    """
    job = told.summary
    contract = check(ctx, told)
    with ctx.session() as session:
        decision = ReleaseDecision(
            contract=contract.digest,
            job=job.job_id,
            attempt=on.attempt,
            checked=on.checked,
            org_id=ctx.org_id,
            approved=approved,
            reason=reason,
            decided_at=now(),
        )
        ctx.record(
            session,
            "release_decided",
            {"approved": approved, "decision": decision.digest, "checked": on.checked},
            contract=contract.digest,
            job=job.job_id,
            attempt=decision.attempt,
            stage=Stage.RELEASE.value,
        )
        session.commit()
    envelope = sign_document(decision, DECISION_TYPE, ctx.keys.identity)
    ctx.client.post(COORDINATOR, f"/api/jobs/{job.job_id}/decisions", {"envelope": encode_envelope(envelope)})
