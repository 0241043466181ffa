"""Human review before release: reviewers, quorum, deadline (K7; white paper A, 3.9: results are looked at once more before they leave).

One rule for both sides: the coordinator judges by it when it orders a release, N0 and N2 when they send their halves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hefu.domain.contract import Contract, Output
from hefu.domain.job import ReleaseDecision
from hefu.domain.rules.say import block, wait
from hefu.domain.verdict import Finding, Verdict, judge

CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Tally:
    """What the reviewers of one output said in time.

    quorum    how many must approve
    decided   who said what when; an organisation stands once, with its last word
    missing   reviewers who said nothing yet
    deadline  until when a decision counts; None where the contract gives no hours
    """

    quorum: int
    decided: tuple[ReleaseDecision, ...]
    missing: tuple[str, ...]
    deadline: datetime | None

    @property
    def approved(self) -> tuple[str, ...]:
        """Who approved."""
        return tuple(d.org_id for d in self.decided if d.approved)

    @property
    def refused(self) -> tuple[str, ...]:
        """Who refused."""
        return tuple(d.org_id for d in self.decided if not d.approved)


def tally(
    output: Output, decisions: Iterable[ReleaseDecision], requested_at: datetime, now: datetime
) -> Tally:
    """Count the decisions of the output's reviewers that were made after the request, before the deadline, and not in the future.

    Clocks may differ by `CLOCK_SKEW`, but for the deadline: that is kept by the reviewer's own clock.
    """
    reviewers = tuple(dict.fromkeys(output.reviewers))
    hours = output.review_hours
    deadline = None if hours is None else requested_at + timedelta(hours=hours)
    latest = now + CLOCK_SKEW if deadline is None else min(now + CLOCK_SKEW, deadline)
    said: dict[str, ReleaseDecision] = {}
    for decision in sorted(decisions, key=lambda d: d.decided_at):
        if decision.org_id in reviewers and requested_at - CLOCK_SKEW <= decision.decided_at <= latest:
            said[decision.org_id] = decision
    return Tally(
        quorum=min(output.quorum or len(reviewers), len(reviewers)),
        decided=tuple(said.values()),
        missing=tuple(org for org in reviewers if org not in said),
        deadline=deadline,
    )


def review_verdict(
    output: Output, decisions: Iterable[ReleaseDecision], requested_at: datetime, now: datetime
) -> Verdict:
    """Passed once the quorum approved in time; waiting while it still can; blocked when it cannot, or too late.

    The caller gives decisions about this contract, job, attempt and result only, verified. Decisions by others than the
    reviewers do not count, nor do decisions before the request or after the deadline; an organisation's last decision counts.
    """
    return judge("review", _findings(output, decisions, requested_at, now))


def release_verdict(
    contract: Contract, decisions: Sequence[ReleaseDecision], requested_at: datetime, now: datetime
) -> Verdict:
    """The review of every output of the contract: what is computed leaves as a whole, once each output's quorum approved."""
    findings = [f for o in contract.outputs for f in review_verdict(o, decisions, requested_at, now).findings]
    return judge("review", dict.fromkeys(findings))


def _findings(
    output: Output, decisions: Iterable[ReleaseDecision], requested_at: datetime, now: datetime
) -> Iterable[Finding]:
    if not output.reviewers:
        return
    count = tally(output, decisions, requested_at, now)
    approved, refused, missing = count.approved, count.refused, count.missing
    if len(approved) >= count.quorum:
        return
    seen, expected = f"{len(approved)} of {count.quorum}", f">= {count.quorum}"
    if len(approved) + len(missing) < count.quorum:
        yield block(
            "review_refused",
            "K7",
            f"{'、'.join(refused)} 拒绝发布，已不可能达到法定数",
            f"{', '.join(refused)} refused the release: the quorum cannot be reached",
            party=refused[0],
            seen=seen,
            expected=expected,
            source="WP-A 3.9",
            mend_zh="查看拒绝理由，更正后重新执行",
            mend_en="read the reasons, mend, and run again",
        )
    elif count.deadline is not None and now > count.deadline:
        yield block(
            "review_overdue",
            "K7",
            f"审核期限 {count.deadline.isoformat(timespec='seconds')} 已过，未达到法定数；未决定：{'、'.join(missing)}",
            f"the deadline {count.deadline.isoformat(timespec='seconds')} passed without a quorum; undecided: {', '.join(missing)}",
            party=missing[0],
            seen=seen,
            expected=expected,
            source="WP-A 3.9",
            mend_zh="重新执行任务，重新发起审核",
            mend_en="run the job anew, which asks for review anew",
        )
    else:
        yield wait(
            "awaiting_review",
            "K7",
            "等待审核方：" + "、".join(missing),
            "waiting for " + ", ".join(missing),
            party=missing[0],
            seen=seen,
            expected=expected,
            source="WP-A 3.9",
            mend_zh="请审核方在期限内作出决定",
            mend_en="the reviewers named should decide before the deadline",
        )
