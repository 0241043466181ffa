"""The review of a result, verified again by N0 and N2 before either sends its half (K7; white paper A, 3.9).

The same rule as the coordinator's, on the reviewers' own signatures under the keys that the contract pins.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from hefu_ledger.evidence import Evidence, parse_evidence
from sqlmodel import col, select

from hefu.domain.contract import Contract
from hefu.domain.job import Order
from hefu.domain.rules.output import review
from hefu.domain.verdict import Severity
from hefu.node.context import NodeContext
from hefu.node.refusals import refuse, refuse_for
from hefu.store.base import now
from hefu.store.node_tables import JournalRow
from hefu.store.signed import decode_envelope
from hefu.store.signed_decisions import read_decisions

_CHECKED_WITHIN = timedelta(minutes=10)


def verify_review(
    ctx: NodeContext, order: Order, contract: Contract, decisions: list[str], checked: str
) -> datetime | None:
    """Each output's quorum of reviewers approved, in time, the halves that the coordinator's output check names.

    A decision must name the `output_checked` evidence `checked`, which the caller has verified and which names this node's half.
    The reviewers' hours count from that evidence's time, as at the coordinator, but never from later than ten minutes after this
    node's own first output check of the attempt: the coordinator cannot prolong a review by a later date. A decision's time is
    the reviewer's own; that a reviewer dated a late decision back cannot be seen here. A refusal that the coordinator withholds
    is not seen either; it changes nothing where a quorum approved.

    decisions  envelopes of `ReleaseDecision` in base64; what is invalid does not count
    returns    when the last decision that counts was made; None where nobody reviews
    raises     Refusal: not_reviewed, review_refused, review_overdue (403) · output_not_checked (409)
    """
    if not any(output.reviewers for output in contract.outputs):
        return None
    envelope = decode_envelope(checked)
    valid = read_decisions(decisions, contract, order.job, order.attempt, envelope.id)
    own = _own_check(ctx, order)
    requested_at = min(time_of(parse_evidence(envelope)), time_of(own) + _CHECKED_WITHIN)
    moment = now()
    verdict = review.release_verdict(contract, valid, requested_at, moment)
    if not verdict.passed:
        blocking = [f for f in verdict.findings if f.severity is Severity.BLOCK]
        first = (blocking or verdict.findings)[0]
        rule = "not_reviewed" if first.rule == "awaiting_review" else first.rule
        raise refuse_for(first.model_copy(update={"rule": rule}), stage="release")
    counts = [review.tally(output, valid, requested_at, moment) for output in contract.outputs]
    return max((d.decided_at for count in counts for d in count.decided if d.approved), default=None)


def time_of(evidence: Evidence) -> datetime:
    """When the evidence was signed, by its actor's clock."""
    return datetime.fromisoformat(evidence.at.replace("Z", "+00:00"))


def _own_check(ctx: NodeContext, order: Order) -> Evidence:
    """This node's first passed output check of the attempt: a check that is ordered again does not move the time."""
    with ctx.session() as session:
        rows = session.exec(
            select(JournalRow.envelope)
            .where(JournalRow.job == order.job, JournalRow.kind == "output_checked")
            .order_by(col(JournalRow.signer_seq))
        ).all()
    for row in rows:
        evidence = parse_evidence(decode_envelope(row))
        if evidence.attempt == order.attempt and evidence.body.get("passed") is True:
            return evidence
    raise refuse(
        409,
        "output_not_checked",
        "本节点未校验过本次结果",
        "this node has not checked the result of this attempt",
        "重新执行任务",
        "run the job anew",
        party=ctx.org_id,
        stage="release",
    )
