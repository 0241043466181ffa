"""The review of a result at the coordinator: quorum, refusals, deadline; the approval that shows it, the evidence that keeps it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hefu.coordinator import approvals, decisions, jobs, reviews, stage_release
from hefu.coordinator.stage_runner import StageRunner
from hefu.domain.job import JobState, Stage
from hefu.domain.rules.output import review
from hefu.domain.verdict import judge
from hefu.store import journal
from hefu.store.base import now
from hefu.store.coordinator_tables import JournalRow, StageRow
from hefu.store.signed import decode_envelope
from hefu_ledger.evidence import parse_evidence
from sqlmodel import col, select

pytestmark = pytest.mark.server

REVIEWERS = ["auditor", "bank", "institution"]
HALVES = {"operator": "a" * 64, "exchange": "b" * 64}
HOUR = timedelta(hours=1)


class Desk:
    """A job whose output check has passed, and a clock: hours since then."""

    def __init__(self, office: Any, day: Any, monkeypatch: Any, **clauses: Any) -> None:
        self.office, self.ctx, self.patch = office, office.ctx, monkeypatch
        value = {"reviewers": REVIEWERS, "quorum": 2, "review_hours": 10, **clauses}
        first = office.world.contract_value()["outputs"][0]
        self.contract = office.everybody().active(outputs=[{**first, **value}])
        self.job_id = jobs.create(self.ctx, "HF-TEST-1", day, by="regulator", reason="manual").job_id
        self.began = now()
        self.at(0)
        self.check_output()
        self.ctx.client.answers["POST", "/orders/release"] = {"evidence": []}
        monkeypatch.setattr(stage_release, "_await_receipt", lambda *_: "receipt")

    def at(self, hours: float) -> datetime:
        moment = self.began + hours * HOUR
        for module in (approvals, decisions, jobs, stage_release, journal):
            self.patch.setattr(module, "now", lambda: moment)
        return moment

    def check_output(self) -> None:
        job = self.office.job(self.job_id)
        with self.ctx.session() as session:
            self.checked = self.ctx.record(
                session, "output_checked", {"passed": True, "halves": HALVES}, contract=self.contract.digest,
                job=self.job_id, attempt=job.attempt, stage="check_output",
            )  # fmt: skip
            for stage in (Stage.COMPUTE, Stage.CHECK_OUTPUT):
                parties = {"acted": [], "envelope_id": self.checked if stage is Stage.CHECK_OUTPUT else ""}
                session.add(
                    StageRow(
                        job_id=self.job_id,
                        stage=stage.value,
                        attempt=job.attempt,
                        state="passed",
                        parties=parties,
                        started_at=self.began,
                        finished_at=self.began,
                    )
                )
            session.commit()

    def release(self) -> str:
        """Run the release stage as a flow does; the job's state, or `released`."""
        job = self.office.job(self.job_id)
        outcome = stage_release.release(self.ctx, job, self.contract)
        with self.ctx.session() as session:
            row = session.get(StageRow, (self.job_id, "release", job.attempt)) or StageRow(
                job_id=self.job_id, stage="release", attempt=job.attempt, state="running", started_at=now()
            )
            row.state, row.started_at = "running", now()
            session.add(row)
            session.commit()
        StageRunner(self.ctx)._keep(self.job_id, Stage.RELEASE, job.attempt, outcome)
        if outcome.verdict(Stage.RELEASE).passed:
            return "released"
        return jobs.finish(self.ctx, self.job_id, job.lease).value

    def say(self, org: str, approved: bool = True, **changes: Any) -> str:
        """ok, or the reason code."""
        value = {"org_id": org, "checked": self.checked, "at": decisions.now(), "job": self.job_id, **changes}
        document = self.office.world.decision(self.contract, approved=approved, **value)
        try:
            decisions.take(self.ctx, self.job_id, document, org)
        except decisions.Refusal as refusal:
            return str(refusal.body["code"])
        return "ok"

    def woken(self) -> bool:
        return [h["job_id"] for h in jobs.startable(self.ctx)] == [self.job_id]

    def approval(self) -> dict[str, Any]:
        (told,) = [
            a["approval"]
            for a in approvals.listed(self.ctx, "operator")
            if a["approval"]["kind"] == "release"
        ]
        return dict(told)

    def evidence(self, kind: str) -> list[Any]:
        with self.ctx.session() as session:
            rows = session.exec(
                select(JournalRow.envelope)
                .where(col(JournalRow.kind) == kind, JournalRow.job == self.job_id)
                .order_by(col(JournalRow.signer_seq))
            ).all()
        return [parse_evidence(decode_envelope(row)) for row in rows]


@pytest.fixture
def desk(office: Any, days: Any, monkeypatch: Any) -> Any:
    return lambda **clauses: Desk(office, days(2), monkeypatch, **clauses)


def test_two_of_three_with_one_refusal(desk: Any) -> None:
    d = desk()
    assert d.release() == "awaiting_review"
    d.at(1)
    assert d.say("bank", False) == "ok"
    assert not d.woken()  # the quorum can still be reached: nobody runs for nothing
    assert d.say("auditor") == "ok"
    assert not d.woken()
    assert d.say("institution") == "ok"
    assert d.woken()
    assert d.release() == "released"
    said = d.evidence("release_ordered")[-1].body
    (told,) = said["review"]
    assert said["passed"]
    assert said["checked"] == d.checked
    assert (told["quorum"], told["approved"], told["refused"]) == (2, ["auditor", "institution"], ["bank"])
    assert len(told["decisions"]) == 3
    sent = [content for _, content in d.ctx.client.sent("/orders/release")]
    assert [len(content["decisions"]) for content in sent] == [3, 3]


def test_no_quorum_given_is_everybody(desk: Any) -> None:
    d = desk(quorum=None, review_hours=None)
    assert d.release() == "awaiting_review"
    assert d.office.job(d.job_id).retry_at is None
    d.at(1000)  # no hours given: no deadline
    assert [d.say("bank"), d.say("auditor")] == ["ok", "ok"]
    assert d.release() == "awaiting_review"
    assert d.say("institution") == "ok"
    assert d.release() == "released"


def test_a_quorum_that_is_out_of_reach(desk: Any, monkeypatch: Any) -> None:
    d = desk()
    d.release()
    d.at(1)
    assert [d.say("bank", False), d.say("institution", False)] == ["ok", "ok"]
    assert d.woken()
    assert d.say("auditor") == "review_refused"
    with monkeypatch.context() as without:  # the rule removed: it would be released
        without.setattr(review, "review_verdict", lambda *_: judge("review", ()))
        assert stage_release.release(d.ctx, d.office.job(d.job_id), d.contract).findings == []
    assert d.release() == "failed"
    assert d.office.job(d.job_id).failure == "bank: review_refused"
    approval = d.approval()
    assert (approval["state"], approval["closed_at"] is not None) == ("refused", True)
    assert {a["org_id"]: a["reason"] for a in approval["answers"]} == {
        "bank": "行数异常",
        "institution": "行数异常",
    }


def test_the_deadline_wakes_the_job_and_ends_it(desk: Any) -> None:
    d = desk()
    assert d.release() == "awaiting_review"
    assert d.office.job(d.job_id).retry_at == d.began + 10 * HOUR
    assert d.say("bank") == "ok"
    d.at(9.9)
    assert not d.woken()
    d.at(10.1)
    assert d.woken()
    assert d.say("auditor") == "review_overdue"
    assert d.release() == JobState.FAILED.value
    assert d.office.job(d.job_id).failure == "auditor: review_overdue"
    last = d.evidence("release_ordered")[-1].body
    assert [f["rule"] for f in last["findings"]] == ["review_overdue"]
    assert last["review"][0]["approved"] == ["bank"]
    assert d.approval()["state"] == "overdue"
    assert [e.body["state"] for e in d.evidence("job_finished")] == ["failed"]
    assert d.ctx.client.sent("/orders/release") == []


def test_without_the_deadline_a_late_approval_would_count(desk: Any, monkeypatch: Any) -> None:
    d = desk()
    d.release()
    assert d.say("bank") == "ok"
    d.at(10.1)
    assert d.say("auditor") == "review_overdue"
    monkeypatch.setattr(decisions, "_check_in_time", lambda *_: None)
    monkeypatch.setattr(approvals, "answer_release", lambda *_: None)
    assert d.say("auditor") == "ok"  # the second guard: the rule still leaves it out
    assert d.release() == "failed"


def test_approvals_in_time_outlast_the_deadline(desk: Any) -> None:
    """The ledger was late; the reviewers were not."""
    d = desk()
    d.release()
    d.at(9)
    assert [d.say("bank"), d.say("auditor")] == ["ok", "ok"]
    d.at(12)
    assert d.release() == "released"


@pytest.mark.parametrize("hours", [9.0, 200.0])
def test_the_days_patience_does_not_cut_a_review_short(desk: Any, hours: float) -> None:
    """The ledger is late from the last decision on: the job waits an hour, and as long as the reviewers had time."""
    d = desk(review_hours=200)
    d.release()
    assert [d.say("bank"), d.say("auditor")] == ["ok", "ok"]
    d.patch.setattr(stage_release, "_await_receipt", lambda *_: None)
    d.at(hours)
    assert d.release() == ("waiting" if hours < 200 else "failed")


def test_a_decision_after_the_quorum(desk: Any) -> None:
    d = desk()
    d.release()
    assert [d.say("bank"), d.say("auditor")] == ["ok", "ok"]
    assert d.say("institution", False) == "quorum_reached"
    assert d.release() == "released"
    assert d.say("institution") == "quorum_reached"


def test_an_organisation_decides_once(desk: Any) -> None:
    d = desk()
    d.release()
    assert [d.say("bank"), d.say("bank"), d.say("bank", False)] == [
        "ok",
        "decided_already",
        "decided_already",
    ]
    assert d.release() == "awaiting_review"
    with d.ctx.session() as session:
        found = reviews.find(session, d.office.job(d.job_id), d.contract)
    assert [x.org_id for x in found.decisions] == ["bank"]
    assert found.verdict(now(), *found.decisions).waiting  # the same one counted twice is one


def test_what_is_no_decision_on_this_result(desk: Any) -> None:
    d = desk()
    d.release()
    d.at(1)
    for name, code, said in (
        ("no reviewer", "not_reviewer", {"org": "exchange"}),
        ("on other halves", "another_result", {"checked": "d" * 64}),
        ("dated before the result", "decision_untimely", {"at": d.began - HOUR}),
        ("dated after now", "decision_untimely", {"at": d.began + 2 * HOUR}),
    ):
        value = {"org": "bank", **said}
        assert d.say(value.pop("org"), **value) == code, name
    assert d.evidence("release_decided") == []
    assert d.say("bank") == "ok"


def test_a_refusal_says_why(desk: Any, monkeypatch: Any) -> None:
    d = desk()
    d.release()
    honest = decisions.read_signed
    silent = lambda *a: honest(*a).model_copy(update={"reason": " "})  # noqa: E731  # signed so by a node of another make
    monkeypatch.setattr(decisions, "read_signed", silent)
    assert d.say("bank", False) == "reason_missing"
    assert d.say("bank") == "ok"


def test_what_was_stored_counts_only_when_its_signature_holds(desk: Any, world: Any) -> None:
    """Whoever can write the table cannot approve: the release reads the signatures again."""
    d = desk()
    d.release()
    forged = world.decision(
        d.contract, org_id="bank", signed_by="operator", checked=d.checked, job=d.job_id, at=decisions.now()
    )
    with d.ctx.session() as session:
        session.add(
            decisions.DecisionRow(
                job_id=d.job_id,
                attempt=1,
                org_id="bank",
                approved=True,
                at=now(),
                envelope=decode_envelope(forged).to_bytes(),
            )
        )
        session.commit()
    assert d.say("auditor") == "ok"
    assert d.release() == "awaiting_review"


def test_both_sides_see_whom_a_release_waits_for(desk: Any) -> None:
    d = desk()
    d.release()
    d.release()
    approval = d.approval()  # one, however often the stage runs; N0 sees it too
    assert (approval["state"], approval["quorum"], approval["asked"]) == ("open", 2, REVIEWERS)
    assert (approval["release"]["checked"], approval["release"]["halves"]) == (d.checked, HALVES)
    assert datetime.fromisoformat(approval["deadline"]) == d.began + 10 * HOUR
    assert len(approvals.listed(d.ctx, "bank")) == 2  # the contract's, and this one
    assert approvals.listed(d.ctx, "nobody") == []
    d.say("bank")
    d.say("auditor")
    assert d.approval()["state"] == "approved"
    opened, closed = d.evidence("approval_opened"), d.evidence("approval_closed")
    assert [(e.body["quorum"], e.body["checked"], e.contract) for e in opened] == [
        (2, d.checked, d.contract.digest)
    ]
    assert [(e.body["state"], e.attempt) for e in closed] == [("approved", 1)]


def test_a_cancelled_job_asks_nobody_any_longer(desk: Any) -> None:
    d = desk()
    d.release()
    jobs.cancel(d.ctx, d.job_id, by="bank")
    assert d.approval()["state"] == "withdrawn"
    assert d.say("bank") == "decided_already"


def test_the_next_attempt_is_decided_anew(desk: Any) -> None:
    d = desk(reviewers=["auditor"], quorum=1)
    d.release()
    assert d.say("auditor") == "ok"
    first = d.checked
    d.office.set_job(d.job_id, attempt=2, state="running")
    d.check_output()
    assert d.checked != first
    assert d.release() == "awaiting_review"
    assert d.say("auditor", attempt=2, checked=first) == "another_result"
    assert d.say("auditor", attempt=2) == "ok"
    assert d.release() == "released"
