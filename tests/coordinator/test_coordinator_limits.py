"""The coordinator's limits: volume, trial, mandate, authorisation of each use, and its count beside the holders'."""

import hashlib
import time
from datetime import timedelta
from typing import Any

import pytest
from hefu.coordinator import filings, jobs, stage_checks, stage_compute, use_counts, uses
from hefu.coordinator.stage_runner import StageRunner
from hefu.domain.counts import digest_of
from hefu.domain.filings import FILING_TYPE
from hefu.domain.filings.reviews import MilestoneConfirmation, UseAuthorisation
from hefu.domain.job import ORDER_TYPE, JobState, Order, Stage
from hefu.domain.verdict import Severity
from hefu.store.base import now
from hefu.store.coordinator_tables import JobRow, JournalRow, UseRow
from hefu.store.signed import decode_envelope, read_unverified
from hefu_ledger.evidence import parse_evidence
from sqlmodel import col, select

pytestmark = pytest.mark.server
ID = "HF-TEST-1"
MANDATE = {
    "document_number": "〔2026〕1号",
    "file_digest": "0" * 64,
    "authority": "regulator",
    "supervised": ["institution"],
}


@pytest.fixture
def ready(office: Any) -> Any:
    return office.everybody()


def new_job(office: Any, day: Any, rows: int = 5) -> JobRow:
    """A job whose two owners committed to this many rows each."""
    job = jobs.create(office.ctx, ID, day, by="regulator", reason="manual")
    inputs = {
        owner: {
            "commitment": hashlib.sha256((job.job_id + owner).encode()).hexdigest(),
            "rows": rows,
            "batches": [],
        }
        for owner in ("institution", "bank")
    }
    office.set_job(job.job_id, inputs=inputs)
    return office.job(job.job_id)


def consume(office: Any, job: JobRow, contract: Any) -> str:
    with office.ctx.session() as session:
        refused = uses.consume_use(office.ctx, session, session.get_one(JobRow, job.job_id), contract)
        session.commit()
    return "ok" if refused is None else refused.rule


def evidence(office: Any, kind: str) -> list[dict[str, Any]]:
    with office.ctx.session() as session:
        rows = session.exec(select(JournalRow).where(col(JournalRow.kind) == kind)).all()
    return [parse_evidence(decode_envelope(row.envelope)).body for row in rows]


def file(office: Any, filing: Any) -> None:
    filings.take(office.ctx, office.world.sign(filing, FILING_TYPE, filing.issuer), filing.issuer)


class TestLimits:
    @pytest.mark.parametrize(
        ("limits", "more", "rule"),
        [
            ({"max_rows": 9}, {}, "rows_exceeded"),
            ({"max_rows_total": 9}, {}, "rows_total_exceeded"),
            ({"max_uses": 99}, {"trial": {"max_rows": 9, "max_uses": 9}}, "trial_rows_exceeded"),
        ],
    )
    def test_one_row_too_many(
        self, ready: Any, days: Any, limits: Any, more: Any, rule: str, monkeypatch: Any
    ) -> None:
        contract = ready.active(limits=limits, **more)
        job = new_job(ready, days(1))  # ten rows
        assert consume(ready, job, contract) == rule
        assert evidence(ready, "use_consumed") == []
        monkeypatch.setattr(uses, "check_limits", lambda *_, **__: [])
        assert consume(ready, job, contract) == "ok"

    def test_rows_in_all_are_those_of_every_use(self, ready: Any, days: Any) -> None:
        contract = ready.active(limits={"max_rows_total": 25})
        said = [consume(ready, new_job(ready, days(n)), contract) for n in (1, 2, 3)]
        assert said == ["ok", "ok", "rows_total_exceeded"]
        assert [e["rows"] for e in evidence(ready, "use_consumed")] == [10, 10]
        first = ready.job(jobs.create(ready.ctx, ID, days(1), by="x", reason="x").job_id)
        assert consume(ready, first, contract) == "ok"  # a retry

    def test_a_trial_ends_with_acceptance(self, ready: Any, days: Any) -> None:
        milestone = {
            "kind": "acceptance",
            "due_on": "2027-01-01",
            "evidence": "报告",
            "confirmed_by": ["bank"],
        }
        contract = ready.active(trial={"max_rows": 10, "max_uses": 1}, milestones=[milestone])
        assert consume(ready, new_job(ready, days(1)), contract) == "ok"
        assert consume(ready, new_job(ready, days(2)), contract) == "trial_uses_exhausted"
        confirmation = MilestoneConfirmation(
            issuer="bank",
            contract_id=ID,
            issued_at=now(),
            milestone="acceptance",
            evidence="0" * 64,
            passed=True,
            note="",
        )
        file(ready, confirmation)
        assert consume(ready, new_job(ready, days(2)), contract) == "ok"

    def test_a_mandate_is_not_exhausted(self, ready: Any, days: Any) -> None:
        contract = ready.active(limits={"max_uses": 1, "max_rows": 1, "max_rows_total": 1}, mandate=MANDATE)
        assert [consume(ready, new_job(ready, days(n)), contract) for n in (1, 2)] == ["ok", "ok"]
        assert [e["notes"] for e in evidence(ready, "use_consumed")] == [["mandate_unlimited"]] * 2

    def test_a_days_refusal_names_the_days_limit(self, ready: Any, days: Any) -> None:
        contract = ready.active(limits={"max_uses": 100, "per_period": [{"period": "day", "max_uses": 1}]})
        assert consume(ready, new_job(ready, days(1)), contract) == "ok"
        with ready.ctx.session() as session:
            job = session.get_one(JobRow, new_job(ready, days(2)).job_id)
            refused = uses.consume_use(ready.ctx, session, job, contract)
        assert refused is not None
        assert (refused.rule, refused.seen, refused.expected) == ("uses_exhausted", "1", "1 per day")

    def test_the_check_of_the_contract_says_it_first(self, ready: Any, days: Any) -> None:
        contract = ready.active(limits={"max_uses": 1})
        assert consume(ready, new_job(ready, days(1)), contract) == "ok"
        second = new_job(ready, days(2))
        found = [f.rule for f in stage_checks.check_contract(ready.ctx, second, contract).findings]
        assert "uses_exhausted" in found
        first = jobs.create(ready.ctx, ID, days(1), by="x", reason="x")
        found = [f.rule for f in stage_checks.check_contract(ready.ctx, first, contract).findings]
        assert "uses_exhausted" not in found  # counted already

    def test_another_engine_is_other_code(self, ready: Any, days: Any, monkeypatch: Any) -> None:
        contract = ready.active()
        job = new_job(ready, days(1))
        monkeypatch.setattr(stage_checks, "ENGINE_VERSION", "1.9")
        found = {f.rule: f for f in stage_checks.check_contract(ready.ctx, job, contract).findings}
        assert "1.9" in found["code_differs"].seen


class TestAuthorisation:
    def given(self, job: JobRow, contract: Any, issuer: str, **changes: Any) -> UseAuthorisation:
        value = {
            "issuer": issuer,
            "contract_id": ID,
            "issued_at": now(),
            "contract": contract.digest,
            "job": job.job_id,
            "business_date": job.business_date.isoformat(),
            "max_rows": 5,
            "authorised_by": "li",
            **changes,
        }
        return UseAuthorisation(**value)

    def waits(self, office: Any, job: JobRow, contract: Any) -> list[str | None]:
        found = stage_checks.check_contract(office.ctx, job, contract).findings
        mine = [f for f in found if f.rule == "use_not_authorised"]
        assert all(f.severity is Severity.WAIT for f in mine)
        return [f.party for f in mine]

    def test_the_job_waits_for_each_holder_and_then_goes_on(self, ready: Any, days: Any) -> None:
        contract = ready.active(limits={"authorisation": "per_use"})
        job = new_job(ready, days(1))
        assert self.waits(ready, job, contract) == ["institution", "bank"]
        assert consume(ready, job, contract) == "use_not_authorised"
        file(ready, self.given(job, contract, "bank"))
        assert self.waits(ready, job, contract) == ["institution"]
        file(ready, self.given(job, contract, "institution", max_rows=4))
        assert self.waits(ready, job, contract) == []  # how many rows is not known yet
        assert consume(ready, job, contract) == "use_not_authorised"
        file(ready, self.given(job, contract, "institution"))
        assert consume(ready, job, contract) == "ok"

    def test_without_its_guard_it_is_used(self, ready: Any, days: Any, monkeypatch: Any) -> None:
        contract = ready.active(limits={"authorisation": "per_use"})
        job = new_job(ready, days(1))
        assert consume(ready, job, contract) == "use_not_authorised"
        monkeypatch.setattr(uses, "check_authorisation", lambda *_, **__: [])
        assert consume(ready, job, contract) == "ok"

    def test_the_stage_waits_and_is_tried_again(self, ready: Any, days: Any, monkeypatch: Any) -> None:
        contract = ready.active(limits={"authorisation": "per_use"})
        job = new_job(ready, days(1))
        monkeypatch.setattr(stage_checks, "_check_gates", lambda *_, **__: None)
        runner = StageRunner(ready.ctx)
        answer = carry(ready, runner, job.job_id)
        assert answer["state"] == "waiting"
        assert [f["party"] for f in answer["verdict"]["findings"]] == ["institution", "bank"]
        lease = ready.job(job.job_id).lease
        assert jobs.finish(ready.ctx, job.job_id, lease) is JobState.WAITING
        for owner in ("institution", "bank"):
            file(ready, self.given(job, contract, owner))
        ready.set_job(job.job_id, retry_at=now() - timedelta(seconds=1), lease_until=None)
        assert [h["job_id"] for h in jobs.startable(ready.ctx)] == [job.job_id]
        answer = carry(ready, runner, job.job_id)
        assert answer["verdict"]["passed"], answer


def carry(office: Any, runner: StageRunner, job_id: str) -> dict[str, Any]:
    for _ in range(100):
        answer = runner.advance(job_id, Stage.CHECK_CONTRACT, office.job(job_id).lease)
        if answer["state"] != "running":
            return answer
        time.sleep(0.05)
    raise AssertionError("the stage does not end")


class TestCounts:
    def prepared(self, **uses_of: dict[str, int]) -> dict[str, Any]:
        return {
            owner: {"hello": "", "uses": {"count": sum(own.values()), "digest": digest_of(own)}}
            for owner, own in uses_of.items()
        }

    def two_uses(self, office: Any, days: Any, contract: Any) -> list[str]:
        made = [new_job(office, days(n)) for n in (1, 2)]
        assert [consume(office, job, contract) for job in made] == ["ok", "ok"]
        return [job.job_id for job in made]

    def check(self, office: Any, days: Any, contract: Any, **own: dict[str, int]) -> list[Any]:
        """What is found where the institution's and the bank's own counts are these."""
        office.ctx.client.answers["GET", "/orders/uses"] = lambda _: {
            "uses": own[office.ctx.client.asked[-1][1]]
        }
        job = new_job(office, days(3))
        return use_counts.check_counts(office.ctx, job, contract, self.prepared(**own))

    def test_equal_counts(self, ready: Any, days: Any) -> None:
        contract = ready.active()
        both = dict.fromkeys(self.two_uses(ready, days, contract), 1)
        assert self.check(ready, days, contract, institution=both, bank=both) == []
        assert [a for a in ready.ctx.client.asked if a[2] == "/orders/uses"] == []

    def test_a_use_that_a_holder_never_joined_blocks_nothing(self, ready: Any, days: Any) -> None:
        """Its node was down when the order came: the job failed, and the next one runs."""
        contract = ready.active()
        first, second = self.two_uses(ready, days, contract)
        found = self.check(ready, days, contract, institution={first: 1, second: 1}, bank={first: 1})
        assert [(f.rule, f.severity, f.party) for f in found] == [("uses_not_joined", Severity.NOTE, "bank")]
        assert evidence(ready, "use_count_differs") == []

    def test_a_use_that_the_coordinator_lost(self, ready: Any, days: Any) -> None:
        contract = ready.active()
        first, second = self.two_uses(ready, days, contract)
        with ready.ctx.session() as session:
            session.delete(session.exec(select(UseRow).where(UseRow.job_id == second)).one())
            session.commit()
        both = {first: 1, second: 1}
        found = self.check(ready, days, contract, institution={first: 1}, bank=both)
        assert [(f.rule, f.severity, f.party) for f in found] == [
            ("use_count_differs", Severity.BLOCK, "coordinator")
        ]
        (kept,) = evidence(ready, "use_count_differs")
        assert kept["counts"] == "coordinator 1, bank 2"

    def test_a_confirmed_use_that_the_holder_lost(self, ready: Any, days: Any, monkeypatch: Any) -> None:
        contract = ready.active()
        first, second = self.two_uses(ready, days, contract)
        handed: list[str] = []
        monkeypatch.setattr(use_counts, "_hand_back", lambda ctx, contract, holder: handed.append(holder))
        uses.mark_joined(ready.ctx, ready.job(second), contract, ["bank", "regulator"])
        both = {first: 1, second: 1}
        found = self.check(ready, days, contract, institution=both, bank={first: 1})
        assert [(f.rule, f.party) for f in found] == [("use_count_differs", "bank")]
        assert handed == ["bank"]
        assert evidence(ready, "use_count_differs")[0]["counts"] == "coordinator 2, bank 1"

    def test_a_holder_that_states_nothing(self, ready: Any, days: Any) -> None:
        contract = ready.active()
        job = new_job(ready, days(1))
        answers = {**self.prepared(institution={}), "bank": {"hello": ""}}
        found = use_counts.check_counts(ready.ctx, job, contract, answers)
        assert [(f.rule, f.party) for f in found] == [("use_count_missing", "bank")]

    def test_a_difference_stops_the_job_before_a_use_is_consumed(
        self, ready: Any, days: Any, monkeypatch: Any
    ) -> None:
        """Prepared by everybody, computed by nobody: no order to compute goes out. Without the comparison it does."""
        contract = ready.active()
        job = new_job(ready, days(1))

        def prepared(content: Any) -> dict[str, Any]:
            order = read_unverified(content["order"], Order, ORDER_TYPE)
            assert order.use_number == 0
            own = {"J20260301HIDDEN01": 1} if order.recipient == "bank" else {}
            return {"hello": "h", "uses": {"count": len(own), "digest": digest_of(own)}}

        ready.ctx.client.answers["POST", "/orders/prepare"] = prepared
        ready.ctx.client.answers["GET", "/orders/uses"] = {"uses": {"J20260301HIDDEN01": 1}}
        outcome = stage_compute.compute(ready.ctx, job, contract, lambda *_: None)
        assert [(f.rule, f.party) for f in outcome.findings] == [("use_count_differs", "coordinator")]
        assert ready.ctx.client.sent("/orders/compute") == []
        with ready.ctx.session() as session:
            assert session.exec(select(UseRow)).all() == []
        monkeypatch.setattr(stage_compute, "check_counts", lambda *_: [])
        stage_compute.compute(ready.ctx, job, contract, lambda *_: None)
        sent = ready.ctx.client.sent("/orders/compute")
        told = [read_unverified(content["order"], Order, ORDER_TYPE) for _, content in sent]
        assert {(o.use_number, o.rows) for o in told} == {(1, 10)}
