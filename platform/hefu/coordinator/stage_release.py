"""After the computation: output check, release after the review that the contract names, deletion."""

from __future__ import annotations

import time

from hefu_ledger.store import inclusion_receipt, latest_checkpoint

from hefu.coordinator import approvals, reviews
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.gate_evidence import gate_agrees
from hefu.coordinator.ledger import connection_of
from hefu.coordinator.orders import send_order
from hefu.coordinator.outcomes import Outcome, ask_all, wait
from hefu.domain.cast import cast
from hefu.domain.contract import Contract
from hefu.domain.job import Stage
from hefu.domain.verdict import Verdict
from hefu.store.base import now
from hefu.store.coordinator_tables import JobRow
from hefu.store.signed import decode_envelope, encode_envelope


def check_output(ctx: CoordinatorContext, job: JobRow, contract: Contract) -> Outcome:
    """N0 and N2 check what they hold: sizes, recipient, form (输出校验). Nobody sees a status."""
    n0, _, n2 = contract.computation.compute_parties
    out = Outcome(parties=[n0, n2])
    replies, out.findings = ask_all(
        [n0, n2], lambda org: send_order(ctx, "check_output", Stage.CHECK_OUTPUT, job, contract, org)
    )
    for reply in replies.values():
        out.evidence += reply.get("evidence", [])
        out.findings += Verdict.model_validate(reply["verdict"]).findings
    if not out.findings:
        out.findings += gate_agrees(out.evidence, job, contract)
    out.body = {"halves": {org: reply["half_digest"] for org, reply in replies.items()}}
    return out


def release(ctx: CoordinatorContext, job: JobRow, contract: Contract) -> Outcome:
    """After the review that the contract names, N0 and N2 verify for themselves and send their halves (结果发布).

    The review is judged by `release_verdict`: it waits, blocks (a quorum out of reach, a deadline passed), or is over. The
    evidence says who approved, of how many that are needed.
    """
    n0, _, n2 = contract.computation.compute_parties
    out = Outcome(parties=[n0, n2])
    with ctx.session() as session:
        review = reviews.find(session, job, contract)
        if review is None:
            raise LookupError(f"the output check of {job.job_id} has not passed")
        decisions = reviews.stored(session, job)
        moment = now()
        approvals.open_for_release(ctx, session, job, review)
        approvals.move_releases(ctx, session, job.job_id, lambda approval: approval.expire(moment))
        session.commit()
    out.body = {"review": review.told(moment), "checked": review.checked}
    verdict = review.verdict(moment)
    if not verdict.passed:
        out.findings += verdict.findings
        return out
    receipt = _await_receipt(ctx, review.checked)
    if receipt is None:
        out.findings.append(
            wait(
                "ledger_late", "存证账本尚未收录输出校验", "the ledger has not included the output check yet"
            )
        )
        return out
    replies, out.findings = ask_all(
        [n0, n2],
        lambda org: send_order(
            ctx,
            "release",
            Stage.RELEASE,
            job,
            contract,
            org,
            decisions=[encode_envelope(decode_envelope(d)) for d in decisions],
            receipt=receipt,
            checked=encode_envelope(decode_envelope(review.envelope)),
        ),
    )
    for reply in replies.values():
        out.evidence += reply.get("evidence", [])
    return out


def _await_receipt(ctx: CoordinatorContext, envelope_id: str, timeout_seconds: float = 30) -> str | None:
    """The inclusion proof of an envelope once the sequencer has appended it."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        ctx.wake_sequencer.set()
        with ctx.session() as session:
            connection = connection_of(session)
            if latest_checkpoint(connection) is not None:
                receipt = inclusion_receipt(connection, envelope_id)
                if receipt is not None:
                    return receipt.to_bytes().decode()
        time.sleep(0.1)
    return None


def retain_and_delete(ctx: CoordinatorContext, job: JobRow, contract: Contract) -> Outcome:
    """Every party deletes what it held for the job, but what it must keep (留存与删除)."""
    out = Outcome(parties=cast(contract))
    replies, out.findings = ask_all(
        out.parties, lambda org: send_order(ctx, "finish", Stage.RETAIN_AND_DELETE, job, contract, org)
    )
    for reply in replies.values():
        out.evidence += reply.get("evidence", [])
    return out
