"""Jobs: created once a day and contract, leased to a flow run, closed by their verdicts.

The state of a job lives here and nowhere else: a flow run that dies loses its lease, and the next one goes on from
the last finished stage.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from hefu.coordinator import approvals, contracts, reviews
from hefu.coordinator.calendars import why_not_today
from hefu.coordinator.context import CoordinatorContext
from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract, read_contract
from hefu.domain.job import FINAL_STATES, MAX_ATTEMPTS, OPEN_STATES, STAGES, JobState, Stage
from hefu.domain.verdict import Severity, Verdict
from hefu.store.base import now
from hefu.store.coordinator_tables import ContractRow, DecisionRow, DeliveryRow, JobRow, StageRow
from hefu.wire.refusal import Refusal, not_found

_COVERED = {JobState.SUCCEEDED, JobState.SUPERSEDED, JobState.DATA_MISSING, *OPEN_STATES}
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def create(ctx: CoordinatorContext, contract_id: str, day: date, *, by: str, reason: str) -> JobRow:
    """A job for one business date, or the one that is open for it already.

    raises  Refusal when the contract is not in force, or the day lies outside what can be reconciled
    """
    with ctx.session() as session:
        row, contract = contracts.active(session, contract_id)
        if day >= business_date(now()):
            raise Refusal(
                422,
                "day_not_over",
                f"{day} 尚未结束，T+1 日方可对账",
                f"{day} is not over: a day is reconciled from the next day on",
                limit=business_date(now()).isoformat(),
                mend_zh="选择更早的业务日期",
                mend_en="choose an earlier business date",
            )
        earlier = session.exec(
            select(JobRow)
            .where(JobRow.contract_id == contract_id, JobRow.business_date == day)
            .order_by(col(JobRow.revision).desc())
        ).first()
        if earlier is not None and earlier.state in OPEN_STATES:
            return earlier
        stands = session.exec(
            select(JobRow).where(
                JobRow.contract_id == contract_id,
                JobRow.business_date == day,
                JobRow.state == JobState.SUCCEEDED.value,
            )
        ).first()
        job = JobRow(
            job_id="J" + day.strftime("%Y%m%d") + "".join(secrets.choice(_ALPHABET) for _ in range(8)),
            contract_id=contract_id,
            contract_digest=row.digest,
            business_date=day,
            revision=earlier.revision + 1 if earlier else 1,
            supersedes=stands.job_id if stands else None,
            state=JobState.REQUESTED.value,
            reason=reason,
            requested_by=by,
            created_at=now(),
            cutoff_at=now() + _patience(contract),
        )
        session.add(job)
        try:
            session.flush()
        except IntegrityError:
            session.rollback()
            raced = session.exec(
                select(JobRow).where(
                    JobRow.contract_id == contract_id,
                    JobRow.business_date == day,
                    col(JobRow.state).in_([s.value for s in OPEN_STATES]),
                )
            ).first()
            if raced is None:
                raise Refusal(
                    409,
                    "job_conflict",
                    "同一业务日期的任务正在变更，请重试",
                    "the day's job is changing: try again",
                ) from None
            return raced
        ctx.record(
            session,
            "job_created",
            {
                "business_date": day.isoformat(),
                "revision": job.revision,
                "supersedes": job.supersedes,
                "by": by,
                "reason": reason,
            },
            contract=row.digest,
            job=job.job_id,
        )
        session.commit()
        return job


def due(ctx: CoordinatorContext, contract_id: str) -> tuple[list[dict[str, Any]], str | None]:
    """One leased job for each day not yet covered up to yesterday, oldest first. Second: why there is none."""
    with ctx.session() as session:
        row, contract = contracts.active(session, contract_id)
        if contract.schedule is None:
            return [], "no schedule"
        if row.paused:
            return [], "paused"
        today = business_date(now())
        closed = why_not_today(ctx.paths.root, contract.schedule, today)
        if closed is not None:
            return [], closed
        covered = {
            job.business_date
            for job in session.exec(select(JobRow).where(JobRow.contract_id == contract_id))
            if job.state in _COVERED
        }
        waiting = [
            job.job_id
            for job in session.exec(
                select(JobRow).where(
                    JobRow.contract_id == contract_id, JobRow.state == JobState.REQUESTED.value
                )
            )
        ]
    day, days = date.fromisoformat(contract.schedule.first_day), []
    while day < today:
        if day not in covered:
            days.append(day)
        day += timedelta(days=1)
    created = [create(ctx, contract_id, d, by="schedule", reason="T+1").job_id for d in days]
    leased = []
    for job_id in dict.fromkeys(waiting + created):
        try:
            leased.append({"job_id": job_id, "lease": take(ctx, job_id)})
        except Refusal:
            continue  # another flow run has it already
    return leased, None if leased else "every day is covered"


def startable(ctx: CoordinatorContext) -> list[dict[str, Any]]:
    """Jobs that wait for a flow run, handed out under a new lease: of each contract one at a time, the oldest day first."""
    handed = []
    with ctx.session() as session:
        moment = now()
        session.connection().exec_driver_sql("select pg_advisory_xact_lock(hashtext('hefu.startable'))")
        held = select(JobRow.contract_id).where(col(JobRow.lease_until) > moment)  # locked ones too
        busy = set(session.exec(held.where(col(JobRow.state).in_([s.value for s in OPEN_STATES]))))
        rows = session.exec(
            select(JobRow)
            .where(col(JobRow.state).in_([s.value for s in OPEN_STATES]))
            .order_by(col(JobRow.business_date), col(JobRow.created_at))
            .with_for_update(skip_locked=True)
        ).all()
        for job in rows:
            ready = (
                job.state in (JobState.REQUESTED, JobState.RUNNING)
                or (job.state == JobState.WAITING and (job.retry_at is None or job.retry_at <= moment))
                or (
                    job.state == JobState.AWAITING_REVIEW
                    and job.retry_at is not None
                    and job.retry_at <= moment
                )
            )
            if not ready or job.contract_id in busy:
                continue
            busy.add(job.contract_id)
            job.lease += 1
            job.lease_until = moment + timedelta(seconds=ctx.settings.lease_seconds)
            session.add(job)
            handed.append({"job_id": job.job_id, "lease": job.lease})
        session.commit()
    return handed


def hold(session: Session, job_id: str, lease: int) -> JobRow:
    """The job, if this lease holds it. Raises Refusal 409 otherwise."""
    job = session.exec(select(JobRow).where(JobRow.job_id == job_id).with_for_update()).first()
    if job is None:
        raise not_found(f"任务 {job_id}", f"job {job_id}")
    if lease != job.lease:
        raise Refusal(409, "lease_lost", "任务已由另一流程接管", "another flow run holds this job")
    return job


def renew(ctx: CoordinatorContext, job_id: str, lease: int) -> int:
    """The flow run is alive: its lease holds for as long again. Answers the seconds."""
    with ctx.session() as session:
        job = hold(session, job_id, lease)
        job.lease_until = now() + timedelta(seconds=ctx.settings.lease_seconds)
        session.add(job)
        session.commit()
    return ctx.settings.lease_seconds


def take(ctx: CoordinatorContext, job_id: str) -> int:
    """A lease for a flow run that was started by the schedule, not by `startable`. Raises Refusal when it is held."""
    with ctx.session() as session:
        job = session.exec(select(JobRow).where(JobRow.job_id == job_id).with_for_update()).first()
        if job is None:
            raise not_found(f"任务 {job_id}", f"job {job_id}")
        if job.lease_until is not None and job.lease_until > now():
            raise Refusal(409, "lease_lost", "任务已由另一流程接管", "another flow run holds this job")
        job.lease += 1
        job.lease_until = now() + timedelta(seconds=ctx.settings.lease_seconds)
        session.add(job)
        session.commit()
        return job.lease


def stage_passed(session: Session, job: JobRow, stage: Stage) -> bool:
    """Passed in this attempt; for the checks before the computation, in any attempt."""
    early = stage in (Stage.CHECK_PARTICIPANTS, Stage.CHECK_CONTRACT, Stage.CHECK_DATA_SOURCES)
    rows = session.exec(
        select(StageRow).where(StageRow.job_id == job.job_id, StageRow.stage == stage.value)
    ).all()
    return any(r.state == "passed" and (early or r.attempt == job.attempt) for r in rows)


def finish(ctx: CoordinatorContext, job_id: str, lease: int) -> JobState:
    """Close the job, or let it wait, according to its verdicts. Asked again (the answer was lost) it changes nothing more."""
    with ctx.session() as session:
        job = hold(session, job_id, lease)
        state = JobState(job.state)
        if state not in FINAL_STATES:
            contract = contracts.load(session, job.contract_digest)[1]
            job.lease_until = None
            attempt = job.attempt
            state = _outcome(session, job, contract)
            if job.attempt != attempt:
                approvals.withdraw_releases(ctx, session, job_id, f"attempt {attempt} is over")
            job.state = state.value
            if state in FINAL_STATES:
                close(ctx, session, job, state)
            session.add(job)
            session.commit()
    if state in (JobState.SUCCEEDED, JobState.DATA_MISSING):
        _redo_if_corrected(ctx, job)
    return state


def _redo_if_corrected(ctx: CoordinatorContext, job: JobRow) -> None:
    """A file that arrived after the owners had committed to their input, or had last looked in vain, starts the next revision at once (补报/更正)."""
    with ctx.session() as session:
        contract = contracts.load(session, job.contract_digest)[1]
        check = session.exec(
            select(StageRow)
            .where(StageRow.job_id == job.job_id, StageRow.stage == Stage.CHECK_DATA_SOURCES.value)
            .order_by(col(StageRow.state) == "passed", col(StageRow.attempt))
        ).all()[-1:]
        if not check:
            return
        checked = check[0].finished_at if check[0].state == "passed" else check[0].started_at
        if checked is None:
            return
        later = session.exec(
            select(DeliveryRow).where(
                col(DeliveryRow.data_set_id).in_([d.data_set_id for d in contract.data_sets]),
                DeliveryRow.business_date == job.business_date,
                col(DeliveryRow.state).in_(["arrived", "late"]),
                DeliveryRow.at > checked,
            )
        ).first()
        active = session.exec(
            select(ContractRow).where(
                ContractRow.contract_id == job.contract_id, ContractRow.state == "active"
            )
        ).first()
    if later is not None and active is not None:
        create(ctx, job.contract_id, job.business_date, by="delivery", reason="supplement")


def _outcome(session: Session, job: JobRow, contract: Contract) -> JobState:
    """Where the verdicts of the job's newest stage lead."""
    if all(stage_passed(session, job, stage) for stage in STAGES):
        job.failure = ""
        return JobState.SUCCEEDED
    stopped = session.exec(
        select(StageRow)
        .where(StageRow.job_id == job.job_id, col(StageRow.state).in_(["waiting", "failed"]))
        .order_by(col(StageRow.started_at).desc())
    ).first()
    if stopped is None:
        job.retry_at = now() + timedelta(seconds=2)
        return JobState.WAITING
    if stopped.attempt < job.attempt:  # counted already; nothing of this attempt has stopped yet
        return JobState.WAITING
    verdict = Verdict.model_validate(stopped.verdict)
    blocking = [f for f in verdict.findings if f.severity is Severity.BLOCK]
    job.failure = "; ".join(
        f"{f.party}: {f.rule}" if f.party else f.rule
        for f in verdict.findings
        if f.severity in (Severity.BLOCK, Severity.WAIT)
    )
    retry_seconds = contract.schedule.retry_seconds if contract.schedule else 60
    if stopped.state == "waiting":
        if any(f.rule == "awaiting_review" for f in verdict.findings):
            review = reviews.find(session, job, contract)
            job.retry_at = review.next_deadline(now()) if review is not None else None
            return JobState.AWAITING_REVIEW
        deadline = _deadline(session, job, contract, Stage(stopped.stage))
        if deadline is not None and now() >= deadline:
            missing = stopped.stage == Stage.CHECK_DATA_SOURCES
            return JobState.DATA_MISSING if missing else JobState.FAILED
        held = not contracts.runs_on(session, contracts.load(session, job.contract_digest)[0])
        job.retry_at = now() + timedelta(seconds=min(retry_seconds, 5) if held else retry_seconds)
        return JobState.WAITING
    if (
        stopped.stage in (Stage.COMPUTE, Stage.CHECK_OUTPUT, Stage.RELEASE)
        and job.attempt < MAX_ATTEMPTS
        and not blocking
    ):
        job.attempt += 1
        job.retry_at = now() + timedelta(seconds=min(retry_seconds, 5))
        return JobState.WAITING
    late = stopped.stage in (Stage.COMPUTE, Stage.CHECK_OUTPUT, Stage.RELEASE, Stage.RETAIN_AND_DELETE)
    return JobState.FAILED if late else JobState.REFUSED


def _patience(contract: Contract) -> timedelta:
    """How long a job waits before it is given up."""
    return timedelta(minutes=contract.schedule.cutoff_minutes if contract.schedule else 60)


def _deadline(session: Session, job: JobRow, contract: Contract, stage: Stage) -> datetime | None:
    """Until when a stage may wait: up to the computation until the day's cut-off, afterwards as long again from the last step.

    What is computed, or released already, is not lost because data came late or people took their time; a release never
    ends before the hours that the contract gives its reviewers.
    """
    if stage not in (Stage.CHECK_OUTPUT, Stage.RELEASE, Stage.RETAIN_AND_DELETE):
        return job.cutoff_at
    stages = session.exec(
        select(StageRow.finished_at).where(StageRow.job_id == job.job_id, StageRow.state == "passed")
    )
    decisions = session.exec(select(DecisionRow.at).where(DecisionRow.job_id == job.job_id))
    steps = [at for at in (*stages, *decisions) if at is not None]
    review = reviews.find(session, job, contract) if stage is Stage.RELEASE else None
    hours = review.deadlines() if review is not None else []
    return max([max(steps) + _patience(contract), *hours]) if steps else job.cutoff_at


def close(ctx: CoordinatorContext, session: Session, job: JobRow, state: JobState) -> None:
    """Mark a job as ended, with evidence, and the job that it supersedes."""
    job.state, job.finished_at, job.lease_until = state.value, now(), None
    if state is JobState.SUCCEEDED and job.supersedes is not None:
        old = session.get(JobRow, job.supersedes)
        if old is not None:
            old.state, old.superseded_by = JobState.SUPERSEDED.value, job.job_id
            session.add(old)
    session.add(job)
    approvals.withdraw_releases(ctx, session, job.job_id, f"the job is {state.value}")
    ctx.record(
        session,
        "job_finished",
        {"state": state.value, "attempt": job.attempt, "failure": job.failure},
        contract=job.contract_digest,
        job=job.job_id,
    )


def cancel(ctx: CoordinatorContext, job_id: str, *, by: str) -> JobRow:
    """Cancel an open job; the caller aborts what runs at the nodes. Before release only: what is released stays."""
    with ctx.session() as session:
        job = session.exec(select(JobRow).where(JobRow.job_id == job_id).with_for_update()).first()
        if job is None:
            raise not_found(f"任务 {job_id}", f"job {job_id}")
        if job.state in FINAL_STATES or stage_passed(session, job, Stage.RELEASE):
            raise Refusal(409, "job_over", f"任务已结束（{job.state}）", f"the job is over ({job.state})")
        job.failure = f"cancelled by {by}"
        close(ctx, session, job, JobState.CANCELLED)
        session.commit()
        return job


def after_delivery(ctx: CoordinatorContext, data_set_id: str, days: Iterable[date]) -> list[str]:
    """Data arrived or changed: wake waiting jobs, and start a new revision for days that were closed (补报/更正)."""
    started: list[str] = []
    with ctx.session() as session:
        affected = [
            (row.contract_id, read_contract(row.document))
            for row in session.exec(select(ContractRow).where(ContractRow.state == "active"))
        ]
    for contract_id, contract in affected:
        if data_set_id not in [d.data_set_id for d in contract.data_sets]:
            continue
        for day in days:
            with ctx.session() as session:
                job = session.exec(
                    select(JobRow)
                    .where(JobRow.contract_id == contract_id, JobRow.business_date == day)
                    .order_by(col(JobRow.revision).desc())
                    .with_for_update()
                ).first()
                if job is None:
                    continue
                if job.state == JobState.WAITING:
                    job.retry_at = now()
                    session.add(job)
                    session.commit()
                    continue
            if job.state in (JobState.SUCCEEDED, JobState.DATA_MISSING):
                started.append(create(ctx, contract_id, day, by="delivery", reason="supplement").job_id)
    return started


def seconds_of(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds between two moments, null while one is missing."""
    return None if start is None or end is None else round((end - start).total_seconds(), 3)
