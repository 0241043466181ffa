"""Two-sided evidence of every channel: what A says it sent to B is what B says it received from A.

A rule over the evidence of the ledger: it holds for every attempt whose computation the coordinator calls passed. Attempts
that broke off leave half transcripts, which prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hefu_ledger.errors import VerificationFailed
from hefu_ledger.evidence import Evidence

Attempt = tuple[str, int]
Seen = tuple[str, int]


@dataclass(frozen=True)
class Difference:
    """Two ends of one direction that do not agree; None where an end said nothing."""

    sender: str
    receiver: str
    sent: Seen | None
    received: Seen | None


def compare_ends(evidence: Iterable[Evidence]) -> dict[Attempt, list[Difference]]:
    """Per attempt that has transcripts: the directions whose ends differ, none where all agree."""
    sent: dict[Attempt, dict[tuple[str, str], Seen]] = {}
    received: dict[Attempt, dict[tuple[str, str], Seen]] = {}
    for found in evidence:
        if found.kind != "channel_transcript" or found.job is None or found.attempt is None:
            continue
        attempt, peer = (found.job, found.attempt), str(found.body.get("peer"))
        sent.setdefault(attempt, {})[(found.actor, peer)] = _seen(found.body, "sent")
        received.setdefault(attempt, {})[(peer, found.actor)] = _seen(found.body, "received")
    return {
        attempt: [
            Difference(a, b, out.get((a, b)), received[attempt].get((a, b)))
            for a, b in sorted(out.keys() | received[attempt].keys())
            if out.get((a, b)) != received[attempt].get((a, b))
        ]
        for attempt, out in sent.items()
    }


def transcripts_agree(evidence: Iterable[Evidence]) -> None:
    """Raises VerificationFailed naming the job, the attempt and the two ends that differ."""
    kept: list[Evidence] = []
    passed: set[Attempt] = set()
    for found in evidence:
        if found.kind == "channel_transcript":
            kept.append(found)
        elif (
            found.kind == "computation_checked"
            and found.body.get("passed") is True
            and found.job is not None
            and found.attempt is not None
        ):
            passed.add((found.job, found.attempt))
    differences = compare_ends(kept)
    for attempt in sorted(passed):
        if attempt not in differences:
            raise _broken(attempt, "transcripts of every channel", "none")
        for one in differences[attempt]:
            raise _broken(attempt, f"{one.sender} → {one.receiver}: {one.sent}", one.received)


def _seen(body: dict[str, Any], way: str) -> Seen:
    return str(body.get(way)), int(body.get(f"bytes_{way}", -1))


def _broken(attempt: Attempt, expected: object, found: object) -> VerificationFailed:
    promise = f"both ends of every channel agree (job {attempt[0]}, attempt {attempt[1]})"
    return VerificationFailed(promise, seq=None, expected=expected, found=found)
