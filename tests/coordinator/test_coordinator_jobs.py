"""Jobs: one open job a day, leases, waiting and cut-off, retries, corrections, schedules, uses, transcripts."""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hefu.coordinator import contracts, deliveries, jobs, schedules, stage_compute, uses
from hefu.coordinator.outcomes import Outcome
from hefu.coordinator.stage_runner import StageRunner
from hefu.domain.businessdays import SHANGHAI
from hefu.domain.job import STAGES, JobState, Stage
from hefu.domain.verdict import Finding, Severity, judge
from hefu.store.base import now
from hefu.store.coordinator_tables import DataSetRow, JobRow, JournalRow, StageRow, UseRow
from hefu.store.signed import encode_envelope
from hefu_ledger.evidence import Evidence
from sqlalchemy import text
from sqlmodel import col, select

pytestmark = pytest.mark.server
ID = "HF-TEST-1"


@pytest.fixture
def ready(office: Any) -> Any:
    return office.everybody()


def create(office: Any, day: date, contract_id: str = ID) -> JobRow:
    return jobs.create(office.ctx, contract_id, day, by="regulator", reason="manual")


def passed(office: Any, job: JobRow, *wanted: Stage) -> None:
    with office.ctx.session() as session:
        for stage in wanted or STAGES:
            session.add(
                StageRow(
                    job_id=job.job_id,
                    stage=stage.value,
                    attempt=job.attempt,
                    state="passed",
                    started_at=now(),
                )
            )
        session.commit()


def stopped(office: Any, job: JobRow, stage: Stage, state: str, rule: str, *, block: bool = False) -> None:
    """The stage ended in `waiting` or `failed` with one finding."""
    severity = Severity.BLOCK if block else Severity.WAIT
    finding = Finding(rule=rule, severity=severity, party="bank", message_zh="", message_en="")
    verdict = judge(stage.value, [finding]).model_dump(mode="json")
    with office.ctx.session() as session:
        row = session.get(StageRow, (job.job_id, stage.value, job.attempt)) or StageRow(
            job_id=job.job_id, stage=stage.value, attempt=job.attempt, state=state, started_at=now()
        )
        row.state, row.verdict, row.started_at = state, verdict, now()
        session.add(row)
        session.commit()


def succeed(office: Any, job: JobRow) -> None:
    passed(office, job)
    assert jobs.finish(office.ctx, job.job_id, office.job(job.job_id).lease) is JobState.SUCCEEDED


class TestOneADay:
    def test_twenty_creates_at_once_are_one_job(self, ready: Any, days: Any) -> None:
        ready.active()
        with ThreadPoolExecutor(20) as pool:
            made = set(pool.map(lambda _: create(ready, days(1)).job_id, range(20)))
        assert len(made) == 1
        with ready.ctx.session() as session:
            created = session.exec(select(JournalRow).where(col(JournalRow.kind) == "job_created")).all()
        assert len(created) == 1

    def test_the_day_must_be_over(self, ready: Any, code: Any, days: Any) -> None:
        ready.active()
        assert code(create, ready, days(0)) == "day_not_over"
        assert code(create, ready, days(-1)) == "day_not_over"
        assert code(create, ready, days(1)) == "ok"

    def test_under_no_active_contract(self, ready: Any, code: Any, days: Any) -> None:
        assert code(create, ready, days(1)) == "not_found"
        contract = ready.active()
        contracts.take_notice(
            ready.ctx, contract.digest, ready.world.notice(contract, "suspend", "bank"), "bank"
        )
        assert code(create, ready, days(1)) == "contract_not_active"

    def test_a_correction_supersedes_when_it_succeeds(self, ready: Any, days: Any) -> None:
        ready.active()
        first = create(ready, days(1))
        succeed(ready, first)
        second = create(ready, days(1))
        assert (second.revision, second.supersedes) == (2, first.job_id)
        assert ready.job(first.job_id).state == "succeeded"
        succeed(ready, second)
        assert (ready.job(first.job_id).state, ready.job(first.job_id).superseded_by) == (
            "superseded",
            second.job_id,
        )


class TestSchedule:
    def at(self, monkeypatch: Any, day: str, hour: int = 3) -> None:
        """It is this day in Shanghai."""
        moment = datetime.fromisoformat(f"{day}T{hour:02d}:00:00").replace(tzinfo=SHANGHAI)
        monkeypatch.setattr(jobs, "now", lambda: moment)

    def dates(self, office: Any, found: list[dict[str, Any]]) -> list[str]:
        return [office.job(f["job_id"]).business_date.isoformat() for f in found]

    def contract(self, office: Any, run_days: str, first_day: str) -> Any:
        far = {"valid_from": "2025-01-01T00:00:00Z", "valid_until": "2099-01-01T00:00:00Z"}
        return office.active(limits=far, schedule={"run_days": run_days, "first_day": first_day})

    def test_every_calendar_day_is_covered_on_the_next_run_day(self, ready: Any, monkeypatch: Any) -> None:
        """Friday 6 to Sunday 8 March 2026: nothing runs on Saturday and Sunday, Monday covers all three."""
        self.contract(ready, "weekdays", "2026-03-06")
        for weekend in ("2026-03-07", "2026-03-08"):
            self.at(monkeypatch, weekend)
            found, why = jobs.due(ready.ctx, ID)
            assert found == []
            assert "run day" in (why or "")
        self.at(monkeypatch, "2026-03-09")
        found, why = jobs.due(ready.ctx, ID)
        assert (self.dates(ready, found), why) == (["2026-03-06", "2026-03-07", "2026-03-08"], None)
        assert jobs.due(ready.ctx, ID) == ([], "every day is covered")

    def test_a_make_up_saturday_is_a_run_day(self, ready: Any, monkeypatch: Any) -> None:
        """2026-02-28 is a Saturday on which China works (make-up for the Spring Festival)."""
        self.contract(ready, "cn_workdays", "2026-02-27")
        self.at(monkeypatch, "2026-02-28")
        assert self.dates(ready, jobs.due(ready.ctx, ID)[0]) == ["2026-02-27"]

    def test_a_holiday_on_a_weekday_is_none(self, ready: Any, monkeypatch: Any) -> None:
        self.contract(ready, "cn_workdays", "2026-09-30")
        self.at(monkeypatch, "2026-10-01")
        assert jobs.due(ready.ctx, ID)[0] == []

    def test_missed_days_are_caught_up_oldest_first(self, ready: Any, monkeypatch: Any) -> None:
        self.contract(ready, "every_day", "2026-03-02")
        self.at(monkeypatch, "2026-03-03")
        (first,) = jobs.due(ready.ctx, ID)[0]
        assert self.dates(ready, [first]) == ["2026-03-02"]
        ready.set_job(first["job_id"], state="succeeded")
        self.at(monkeypatch, "2026-03-06")  # the runner was down on the 4th and 5th
        assert self.dates(ready, jobs.due(ready.ctx, ID)[0]) == ["2026-03-03", "2026-03-04", "2026-03-05"]

    def test_paused(self, ready: Any, monkeypatch: Any) -> None:
        self.contract(ready, "every_day", "2026-03-02")
        self.at(monkeypatch, "2026-03-04")
        schedules.change(ready.ctx, ID, "pause", None, "regulator")
        assert jobs.due(ready.ctx, ID) == ([], "paused")
        schedules.change(ready.ctx, ID, "resume", None, "bank")
        assert len(jobs.due(ready.ctx, ID)[0]) == 2

    def test_two_schedulers_at_once(self, ready: Any, monkeypatch: Any) -> None:
        self.contract(ready, "every_day", "2026-03-02")
        self.at(monkeypatch, "2026-03-07")
        with ThreadPoolExecutor(4) as pool:
            found = [
                f["job_id"] for some, _ in pool.map(lambda _: jobs.due(ready.ctx, ID), range(4)) for f in some
            ]
        assert len(found) == len(set(found)) == 5

    @pytest.mark.parametrize(
        ("cron", "said"),
        [
            ("30 2 * * *", "ok"),
            ("0 3 * * *", "ok"),
            ("1 3 * * *", "outside_window"),
            ("0 1 * * *", "ok"),
            ("59 0 * * *", "outside_window"),
            ("0 2 * * 1", "cron_not_daily"),
            ("*/5 2 * * *", "cron_not_daily"),
            ("0 2 * * * *", "cron_invalid"),
            ("nonsense", "cron_invalid"),
            (None, "cron_invalid"),
        ],
    )
    def test_moving_within_the_signed_window(self, ready: Any, code: Any, cron: Any, said: str) -> None:
        """Signed for 02:00, an hour either way."""
        ready.active()
        assert code(schedules.change, ready.ctx, ID, "move", cron, "regulator") == said

    def test_a_move_across_midnight(self) -> None:
        assert schedules.minutes_apart("50 23 * * *", "10 0 * * *") == 20

    def test_a_stranger_changes_no_schedule(self, ready: Any, code: Any) -> None:
        ready.active()
        assert code(schedules.change, ready.ctx, ID, "pause", None, "mallory") == "not_a_party"


class TestLeases:
    def test_a_lost_lease(self, ready: Any, code: Any, days: Any) -> None:
        ready.active()
        job = create(ready, days(1))
        first = jobs.take(ready.ctx, job.job_id)
        assert code(jobs.take, ready.ctx, job.job_id) == "lease_lost"
        assert code(jobs.renew, ready.ctx, job.job_id, first) == "ok"
        ready.set_job(job.job_id, lease_until=now() - timedelta(seconds=1))
        second = jobs.take(ready.ctx, job.job_id)
        assert code(jobs.renew, ready.ctx, job.job_id, first) == "lease_lost"
        assert code(jobs.finish, ready.ctx, job.job_id, first) == "lease_lost"
        assert code(jobs.renew, ready.ctx, job.job_id, second) == "ok"

    def test_an_expired_lease_is_handed_out_once(self, ready: Any, days: Any) -> None:
        ready.active()
        job = create(ready, days(1))
        ready.set_job(job.job_id, state="running", lease=4, lease_until=now() - timedelta(seconds=1))
        with ThreadPoolExecutor(12) as pool:
            handed = [h for some in pool.map(lambda _: jobs.startable(ready.ctx), range(12)) for h in some]
        assert handed == [{"job_id": job.job_id, "lease": 5}]

    def test_one_at_a_time_the_oldest_first(self, ready: Any, days: Any) -> None:
        ready.active()
        ready.active(contract_id="HF-TEST-2")
        other = create(ready, days(1), "HF-TEST-2")
        late, early = create(ready, days(1)), create(ready, days(2))
        with ThreadPoolExecutor(8) as pool:
            handed = {
                h["job_id"] for some in pool.map(lambda _: jobs.startable(ready.ctx), range(8)) for h in some
            }
        assert handed == {early.job_id, other.job_id}
        succeed(ready, early)
        assert [h["job_id"] for h in jobs.startable(ready.ctx)] == [late.job_id]

    def test_a_running_job_whose_row_is_locked_still_counts(self, ready: Any, days: Any) -> None:
        """While a flow run renews its lease (row locked), no second job of the contract starts."""
        ready.active()
        running = create(ready, days(2))
        create(ready, days(1))
        assert [h["job_id"] for h in jobs.startable(ready.ctx)] == [running.job_id]
        with ready.ctx.session() as session:
            session.exec(select(JobRow).where(JobRow.job_id == running.job_id).with_for_update()).one()
            assert jobs.startable(ready.ctx) == []

    def test_waiting_jobs_come_when_they_are_due(self, ready: Any, days: Any) -> None:
        ready.active()
        job = create(ready, days(1))
        ready.set_job(job.job_id, state="waiting", retry_at=now() + timedelta(minutes=1))
        assert jobs.startable(ready.ctx) == []
        ready.set_job(job.job_id, retry_at=now() - timedelta(seconds=1))
        assert len(jobs.startable(ready.ctx)) == 1
        ready.set_job(job.job_id, state="awaiting_review", retry_at=None, lease_until=None)
        assert jobs.startable(ready.ctx) == []


class TestEnds:
    def end(self, office: Any, job: JobRow) -> JobState:
        return jobs.finish(office.ctx, job.job_id, office.job(job.job_id).lease)

    def test_data_missing_after_the_cut_off(self, ready: Any, days: Any) -> None:
        ready.active()
        job = create(ready, days(1))
        passed(ready, job, Stage.CHECK_PARTICIPANTS, Stage.CHECK_CONTRACT)
        stopped(ready, job, Stage.CHECK_DATA_SOURCES, "waiting", "data_missing")
        assert self.end(ready, job) is JobState.WAITING
        assert ready.job(job.job_id).failure == "bank: data_missing"
        ready.set_job(job.job_id, cutoff_at=now() - timedelta(seconds=1))
        assert self.end(ready, job) is JobState.DATA_MISSING
        assert self.end(ready, job) is JobState.DATA_MISSING  # over is over

    def test_three_attempts_then_failed(self, ready: Any, days: Any) -> None:
        ready.active()
        job = create(ready, days(1))
        for attempt in (1, 2, 3):
            current = ready.job(job.job_id)
            assert current.attempt == attempt
            stopped(ready, current, Stage.COMPUTE, "failed", "worker_died")
            outcome = self.end(ready, job)
        assert (outcome, ready.job(job.job_id).attempt) == (JobState.FAILED, 3)

    def test_an_end_told_twice_counts_once(self, ready: Any, days: Any) -> None:
        """The answer may be lost when the coordinator restarts; the flow asks again under the same lease."""
        ready.active()
        job = create(ready, days(1))
        stopped(ready, job, Stage.COMPUTE, "failed", "worker_died")
        assert [self.end(ready, job), self.end(ready, job)] == [JobState.WAITING, JobState.WAITING]
        assert ready.job(job.job_id).attempt == 2

    def test_a_stage_that_ends_while_the_job_is_cancelled(self, ready: Any, days: Any) -> None:
        """Both lock the job first and the journal second: neither waits for the other in a circle."""
        ready.active()
        job = create(ready, days(1))
        stopped(ready, job, Stage.CHECK_DATA_SOURCES, "running", "none")
        outcome = Outcome(inputs={"bank": {"commitment": "0" * 64, "rows": 1, "batches": []}})
        keep = StageRunner(ready.ctx)._keep
        with ready.ctx.session() as session, ThreadPoolExecutor(1) as pool:
            jobs.hold(session, job.job_id, 0)
            kept = pool.submit(keep, job.job_id, Stage.CHECK_DATA_SOURCES, 1, outcome)
            self.until_somebody_waits(ready)
            ready.ctx.record(session, "job_finished", {}, job=job.job_id)
            session.commit()
            kept.result(20)
        assert ready.job(job.job_id).inputs["bank"]["rows"] == 1

    def until_somebody_waits(self, office: Any) -> None:
        query = text(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        for _ in range(200):
            with office.ctx.engine.connect() as connection:
                if connection.execute(query).scalar():
                    return
            time.sleep(0.05)

    @pytest.mark.parametrize("stage", [Stage.RELEASE, Stage.RETAIN_AND_DELETE])
    def test_what_is_computed_waits_beyond_the_days_cut_off(
        self, ready: Any, days: Any, stage: Stage
    ) -> None:
        """Data that came at the last minute, a review of two days: a recipient that is away for a minute loses nothing."""
        ready.active()
        job = create(ready, days(1))
        ready.set_job(job.job_id, cutoff_at=now() - timedelta(days=2))
        passed(ready, job, *STAGES[: STAGES.index(stage)])
        self.finished(ready, now())
        stopped(ready, job, stage, "waiting", "recipient_unreachable")
        assert self.end(ready, job) is JobState.WAITING
        self.finished(ready, now() - timedelta(days=8))
        assert self.end(ready, job) is JobState.FAILED

    def finished(self, office: Any, at: datetime) -> None:
        with office.ctx.engine.begin() as connection:
            connection.execute(text("update stage set finished_at = :at where state = 'passed'"), {"at": at})

    def test_a_refusal_is_not_retried(self, ready: Any, days: Any) -> None:
        ready.active()
        early, late = create(ready, days(2)), create(ready, days(1))
        stopped(ready, early, Stage.CHECK_CONTRACT, "failed", "uses_exhausted", block=True)
        assert self.end(ready, early) is JobState.REFUSED
        stopped(ready, late, Stage.COMPUTE, "failed", "uses_exhausted", block=True)
        assert self.end(ready, late) is JobState.FAILED

    def test_a_review_waits_for_people(self, ready: Any, days: Any) -> None:
        ready.active()
        job = create(ready, days(1))
        stopped(ready, job, Stage.RELEASE, "waiting", "awaiting_review")
        assert self.end(ready, job) is JobState.AWAITING_REVIEW
        assert ready.job(job.job_id).retry_at is None

    def test_cancel(self, ready: Any, code: Any, days: Any) -> None:
        ready.active()
        job, released = create(ready, days(1)), create(ready, days(2))
        jobs.cancel(ready.ctx, job.job_id, by="bank")
        assert ready.job(job.job_id).state == "cancelled"
        assert code(jobs.cancel, ready.ctx, job.job_id, by="bank") == "job_over"
        passed(ready, released, Stage.RELEASE)
        assert code(jobs.cancel, ready.ctx, released.job_id, by="bank") == "job_over"


class TestDeliveries:
    def deliver(
        self, office: Any, day: date, fingerprint: str, sender: str = "bank", state: str = "arrived"
    ) -> Any:
        with office.ctx.session() as session:
            if session.get(DataSetRow, "flows") is None:
                session.add(
                    DataSetRow(
                        data_set_id="flows", owner="bank", definition={}, schema_digest="0" * 64, at=now()
                    )
                )
                session.commit()
        said = deliveries.Delivery(
            data_set_id="flows", business_date=day, state=state, fingerprint=fingerprint, rows=1, rejected=0
        )
        return deliveries.report(office.ctx, said, sender)

    def test_a_waiting_job_is_woken(self, ready: Any, days: Any) -> None:
        ready.active()
        job = create(ready, days(1))
        ready.set_job(job.job_id, state="waiting", retry_at=now() + timedelta(hours=1))
        assert self.deliver(ready, days(1), "a") == []
        assert [h["job_id"] for h in jobs.startable(ready.ctx)] == [job.job_id]

    def test_a_waiting_job_learns_at_once_that_its_contract_is_over(
        self, ready: Any, days: Any, monkeypatch: Any
    ) -> None:
        contract = ready.active()
        job = create(ready, days(1))
        over = contract.limits.valid_until + timedelta(seconds=1)
        ready.set_job(job.job_id, state="waiting", retry_at=over + timedelta(hours=1))
        monkeypatch.setattr(contracts, "now", lambda: over)
        contracts.expire(ready.ctx)
        assert ready.job(job.job_id).retry_at == over
        passed(ready, job, Stage.CHECK_PARTICIPANTS, Stage.CHECK_CONTRACT)
        stopped(ready, job, Stage.CHECK_DATA_SOURCES, "waiting", "data_missing")
        assert jobs.finish(ready.ctx, job.job_id, ready.job(job.job_id).lease) is JobState.WAITING
        assert ready.job(job.job_id).retry_at <= now() + timedelta(seconds=5)

    def test_a_corrected_file_starts_a_new_version(self, ready: Any, days: Any) -> None:
        ready.active()
        first = create(ready, days(1))
        succeed(ready, first)
        (second,) = self.deliver(ready, days(1), "b")
        assert ready.job(second).supersedes == first.job_id
        assert self.deliver(ready, days(1), "b") == []  # the same file again says nothing new
        late = create(ready, days(2))
        ready.set_job(late.job_id, state="data_missing")
        (caught_up,) = self.deliver(ready, days(2), "c")
        assert (ready.job(caught_up).revision, ready.job(caught_up).supersedes) == (2, None)

    def test_a_file_that_came_between_the_last_look_and_the_cut_off(self, ready: Any, days: Any) -> None:
        ready.active()
        job = create(ready, days(1))
        ready.set_job(job.job_id, state="running", cutoff_at=now() - timedelta(seconds=1))
        stopped(ready, job, Stage.CHECK_DATA_SOURCES, "waiting", "data_missing")
        assert self.deliver(ready, days(1), "d") == []  # the job is open
        assert jobs.finish(ready.ctx, job.job_id, 0) is JobState.DATA_MISSING
        with ready.ctx.session() as session:
            states = session.exec(select(JobRow.state).order_by(col(JobRow.revision))).all()
        assert states == ["data_missing", "requested"]

    def test_only_the_owner_delivers(self, ready: Any, code: Any, days: Any) -> None:
        ready.active()
        assert code(self.deliver, ready, days(1), "a", "institution") == "not_owner"


class TestUses:
    def test_fifty_at_once_with_one_use_left(self, ready: Any, days: Any) -> None:
        """Over two versions of one contract: they share the count."""
        first = ready.active(limits={"max_uses": 3})
        made = [create(ready, days(n)) for n in range(1, 53)]
        for job in made:
            ready.set_job(job.job_id, inputs={"bank": {"commitment": job.job_id, "rows": 1}})

        def one(job: JobRow) -> str:
            with ready.ctx.session() as session:
                refused = uses.consume_use(ready.ctx, session, session.get_one(JobRow, job.job_id), first)
                session.commit()
            return "ok" if refused is None else refused.rule

        assert [one(job) for job in made[:2]] == ["ok", "ok"]
        with ThreadPoolExecutor(50) as pool:
            said = sorted(pool.map(one, made[2:]))
        assert said == ["ok"] + ["uses_exhausted"] * 49
        with ready.ctx.session() as session:
            assert len(session.exec(select(UseRow)).all()) == 3
            recorded = session.exec(select(JournalRow).where(col(JournalRow.kind) == "use_consumed")).all()
        assert len(recorded) == 3
        assert one(made[0]) == "ok"  # a retry of a use that was counted

    def test_another_commitment_of_the_same_job_is_another_use(self, ready: Any, days: Any) -> None:
        contract = ready.active(limits={"max_uses": 1})
        job = create(ready, days(1))
        said = []
        for commitment in ("a", "a", "b"):
            ready.set_job(job.job_id, inputs={"bank": {"commitment": commitment, "rows": 1}})
            with ready.ctx.session() as session:
                refused = uses.consume_use(ready.ctx, session, session.get_one(JobRow, job.job_id), contract)
                session.commit()
            said.append("ok" if refused is None else refused.rule)
        assert said == ["ok", "ok", "uses_exhausted"]

    def test_a_use_of_forty_owners(self, ready: Any, days: Any) -> None:
        contract = ready.active(limits={"max_uses": 1})
        job = create(ready, days(1))
        owners = {f"institution-{n}": {"commitment": secrets.token_hex(32), "rows": 1} for n in range(40)}
        ready.set_job(job.job_id, inputs=owners)
        with ready.ctx.session() as session:
            assert uses.consume_use(ready.ctx, session, session.get_one(JobRow, job.job_id), contract) is None
            session.commit()

    def test_use_and_evidence_are_one_transaction(self, ready: Any, days: Any) -> None:
        contract = ready.active(limits={"max_uses": 1})
        job = create(ready, days(1))
        with ready.ctx.session() as session:
            uses.consume_use(ready.ctx, session, session.get_one(JobRow, job.job_id), contract)
            session.rollback()
        with ready.ctx.session() as session:
            assert session.exec(select(UseRow)).all() == []
            assert not session.exec(select(JournalRow).where(col(JournalRow.kind) == "use_consumed")).all()


class TestTranscripts:
    """Three ends: institution, bank (an owner and N1), operator (N0), exchange (N2)."""

    ENDS = ("institution", "bank", "operator", "exchange")

    def half(self, office: Any, contract: Any, actor: str, peer: str, **changes: Any) -> str:
        """What `actor` says of its channel with `peer`; what it sent is a function of the direction."""
        body = {
            "peer": peer,
            "sent": f"{actor}>{peer}",
            "bytes_sent": 10,
            "received": f"{peer}>{actor}",
            "bytes_received": 10,
        }
        body |= {k: v for k, v in changes.items() if k in body}
        evidence = Evidence(
            kind="channel_transcript",
            actor=actor,
            at="2026-03-03T00:00:00.000000Z",
            contract=contract.digest,
            job="J20260302AAAAAAAA",
            attempt=changes.get("attempt", 1),
            stage="compute",
            body=body,
            signer_seq=1,
            prev=None,
            checkpoint=None,
        )
        keys = changes.get("signed_by") or office.world.keys[actor]
        return encode_envelope(evidence.sign(keys.identity))

    def whole(self, office: Any, contract: Any) -> dict[tuple[str, str], str]:
        return {(a, b): self.half(office, contract, a, b) for a in self.ENDS for b in self.ENDS if a != b}

    def rules(self, office: Any, contract: Any, evidence: Any) -> list[str]:
        job = JobRow(job_id="J20260302AAAAAAAA", attempt=1)
        return [f.rule for f in stage_compute.transcripts_agree(list(evidence), job, contract)]

    def test_all_ends_agree(self, office: Any) -> None:
        contract = office.world.contract()
        assert self.rules(office, contract, self.whole(office, contract).values()) == []

    def test_a_missing_half(self, office: Any) -> None:
        contract = office.world.contract()
        halves = self.whole(office, contract)
        del halves["bank", "operator"]
        assert self.rules(office, contract, halves.values()) == ["transcript_mismatch"] * 2

    def test_a_party_that_says_nothing(self, office: Any) -> None:
        contract = office.world.contract()
        halves = {k: v for k, v in self.whole(office, contract).items() if "exchange" not in k}
        assert self.rules(office, contract, halves.values()) == ["transcripts_missing"]
        assert self.rules(office, contract, []) == ["transcripts_missing"]

    @pytest.mark.parametrize(
        "lie", [{"sent": "x"}, {"received": "x"}, {"bytes_sent": 11}, {"bytes_received": 9}]
    )
    def test_a_half_that_lies(self, office: Any, lie: dict[str, Any]) -> None:
        contract = office.world.contract()
        halves = self.whole(office, contract)
        halves["bank", "operator"] = self.half(office, contract, "bank", "operator", **lie)
        assert self.rules(office, contract, halves.values()) == ["transcript_mismatch"]

    def test_a_half_in_anothers_name(self, office: Any) -> None:
        """The bank covers its lie with a fitting half that it signs as the operator."""
        contract = office.world.contract()
        halves = self.whole(office, contract)
        bank = office.world.keys["bank"]
        halves["bank", "operator"] = self.half(office, contract, "bank", "operator", sent="x")
        halves["operator", "bank"] = self.half(
            office, contract, "operator", "bank", received="x", signed_by=bank
        )
        assert self.rules(office, contract, halves.values()) == ["evidence_invalid"]

    def test_halves_of_an_earlier_attempt(self, office: Any) -> None:
        contract = office.world.contract()
        old = [self.half(office, contract, a, b, attempt=2) for a in self.ENDS for b in self.ENDS if a != b]
        assert self.rules(office, contract, old) == ["transcripts_missing"]

    def test_garbage(self, office: Any) -> None:
        assert self.rules(office, office.world.contract(), ["AAAA"]) == ["evidence_invalid"]
