"""The review of one attempt's result, as the coordinator holds it: since when, of which halves, what was decided.

The review begins with the coordinator's `output_checked` evidence of the attempt: its time is signed, its inclusion in the
ledger goes with the order to release, so that N0 and N2 count the reviewers' hours from the same moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hefu_ledger.evidence import parse_evidence
from sqlmodel import Session, col, select

from hefu.domain.contract import Contract, Output
from hefu.domain.job import ReleaseDecision, Stage
from hefu.domain.rules.output import review
from hefu.domain.verdict import Verdict
from hefu.store.coordinator_tables import DecisionRow, JobRow, JournalRow, StageRow
from hefu.store.signed import decode_envelope
from hefu.store.signed_decisions import read_decisions


@dataclass(frozen=True)
class Review:
    """What is decided on, and what was decided.

    checked    id of the `output_checked` evidence; `envelope` its bytes
    decisions  valid ones, each of a reviewer, about this very result
    """

    contract: Contract
    checked: str
    envelope: bytes
    requested_at: datetime
    halves: dict[str, str]
    decisions: tuple[ReleaseDecision, ...]

    def verdict(self, at: datetime, *more: ReleaseDecision) -> Verdict:
        """Of the whole release, with `more` decisions counted in."""
        return review.release_verdict(self.contract, (*self.decisions, *more), self.requested_at, at)

    def deadlines(self) -> list[datetime]:
        """Until when the reviewers of each output have time, where the contract says so."""
        counts = [review.tally(o, (), self.requested_at, self.requested_at) for o in self._reviewed()]
        return [count.deadline for count in counts if count.deadline is not None]

    def next_deadline(self, at: datetime) -> datetime | None:
        """The first deadline of an output that still waits for its quorum."""
        open_ = [
            review.tally(o, (), self.requested_at, at).deadline
            for o in self._reviewed()
            if review.review_verdict(o, self.decisions, self.requested_at, at).waiting
        ]
        return min((deadline for deadline in open_ if deadline is not None), default=None)

    def told(self, at: datetime) -> list[dict[str, Any]]:
        """Who approved and refused each output, of how many that are needed: for the release's evidence."""
        found = []
        for number, output in enumerate(self.contract.outputs):
            if output.reviewers:
                count = review.tally(output, self.decisions, self.requested_at, at)
                found.append(
                    {
                        "output": number,
                        "quorum": count.quorum,
                        "reviewers": list(output.reviewers),
                        "approved": sorted(count.approved),
                        "refused": sorted(count.refused),
                        "decisions": sorted(d.digest for d in count.decided),
                        "deadline": count.deadline.isoformat() if count.deadline else None,
                    }
                )
        return found

    def _reviewed(self) -> list[Output]:
        return [output for output in self.contract.outputs if output.reviewers]


def find(session: Session, job: JobRow, contract: Contract) -> Review | None:
    """The review of the job's newest attempt; None while its output check has not passed."""
    row = session.get(StageRow, (job.job_id, Stage.CHECK_OUTPUT.value, job.attempt))
    if row is None or row.state != "passed":
        return None
    checked = str(row.parties.get("envelope_id", ""))
    envelope = session.exec(select(JournalRow.envelope).where(JournalRow.envelope_id == checked)).first()
    if envelope is None:
        return None
    evidence = parse_evidence(decode_envelope(envelope))
    halves = evidence.body.get("halves")
    return Review(
        contract=contract,
        checked=checked,
        envelope=envelope,
        requested_at=datetime.fromisoformat(evidence.at.replace("Z", "+00:00")),
        halves=dict(halves) if isinstance(halves, dict) else {},
        decisions=tuple(
            read_decisions(stored(session, job), contract, job.job_id, job.attempt, checked),
        ),
    )


def stored(session: Session, job: JobRow) -> list[bytes]:
    """The decisions taken in this attempt, as they were signed."""
    return list(
        session.exec(
            select(DecisionRow.envelope)
            .where(DecisionRow.job_id == job.job_id, DecisionRow.attempt == job.attempt)
            .order_by(col(DecisionRow.at))
        ).all()
    )
