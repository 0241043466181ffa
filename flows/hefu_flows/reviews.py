"""What the scheduled compliance flows have in common: the counts and the rules found are logged, the verdict is handed on."""

from __future__ import annotations

from collections import Counter

from hefu.domain.verdict import Severity, Verdict
from prefect.logging import get_logger

from hefu_flows.messages import Review


def report(review: Review) -> Verdict:
    """Log how many of what, and which rules; never a finding's words. Returns the verdict."""
    found = Counter(f.rule for f in review.verdict.findings if f.severity is not Severity.NOTE)
    get_logger("hefu").info(
        "%s %s: %s; %s",
        review.verdict.stage,
        "passed" if review.verdict.passed else "not passed",
        _listed(review.counts),
        _listed(found) or "no findings",
    )
    return review.verdict


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))
