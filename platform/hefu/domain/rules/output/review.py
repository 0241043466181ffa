"""Human review before release: reviewers, quorum, deadline (K7; white paper A, 3.9: results are looked at once more before they leave)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from hefu.domain.contract import Output
from hefu.domain.job import ReleaseDecision
from hefu.domain.rules.say import block
from hefu.domain.verdict import Finding, Severity, Verdict, judge


def review_verdict(
    output: Output, decisions: Iterable[ReleaseDecision], requested_at: datetime, now: datetime
) -> Verdict:
    """Passed once the quorum approved in time; waiting while it still can; blocked when it cannot, or too late.

    The caller gives decisions about this contract, job and attempt only, verified. Decisions by others than the reviewers do
    not count, nor do decisions before the request or after the deadline; an organisation's last decision counts.
    """
    return judge("review", _findings(output, decisions, requested_at, now))


def _findings(
    output: Output, decisions: Iterable[ReleaseDecision], requested_at: datetime, now: datetime
) -> Iterable[Finding]:
    if not output.reviewers:
        return
    reviewers = tuple(dict.fromkeys(output.reviewers))
    quorum = min(output.quorum or len(reviewers), len(reviewers))
    deadline = None if output.review_hours is None else requested_at + timedelta(hours=output.review_hours)
    said: dict[str, bool] = {}
    for decision in sorted(decisions, key=lambda d: d.decided_at):
        in_time = requested_at <= decision.decided_at <= min(now, deadline or now)
        if decision.org_id in reviewers and in_time:
            said[decision.org_id] = decision.approved
    approved = sum(said.values())
    refused = [org for org, yes in said.items() if not yes]
    if approved >= quorum:
        return
    missing = [org for org in reviewers if org not in said]
    seen, expected = f"{approved} of {quorum}", f">= {quorum}"
    if len(reviewers) - len(refused) < quorum:
        yield block(
            "review_refused",
            "K7",
            "审核方拒绝发布，已不可能达到法定数",
            "reviewers refused: the quorum cannot be reached",
            party=refused[0],
            seen=seen,
            expected=expected,
            source="WP-A 3.9",
            mend_zh="查看拒绝理由，更正后重新执行",
            mend_en="read the reasons, mend, and run again",
        )
    elif deadline is not None and now > deadline:
        yield block(
            "review_overdue",
            "K7",
            "审核期限已过，未达到法定数",
            "the deadline passed without a quorum",
            party=missing[0] if missing else None,
            seen=seen,
            expected=expected,
            source="WP-A 3.9",
            mend_zh="重新发起审核",
            mend_en="ask for review anew",
        )
    else:
        yield Finding(
            rule="review_waiting",
            severity=Severity.WAIT,
            point="K7",
            party=missing[0] if missing else None,
            seen=seen,
            expected=expected,
            source="WP-A 3.9",
            message_zh="等待审核方：" + "、".join(missing),
            message_en="waiting for " + ", ".join(missing),
            mend_zh="请审核方在期限内作出决定",
            mend_en="the reviewers named should decide before the deadline",
        )
