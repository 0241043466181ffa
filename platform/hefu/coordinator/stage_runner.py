"""Runs stages in threads of the coordinator, one per job, and keeps each outcome with its evidence in one transaction.

A stage is idempotent: asked again while it is under way it reports, asked again when it is over it answers what it
found. A coordinator that restarts finds the stage `running` with no thread, and starts it anew; only a computation is
not begun twice under one number: it is aborted at every node, and the job goes on with the next attempt.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import dataclass
from typing import Any

from hefu_ledger.dsse import Envelope
from sqlmodel import Session

from hefu.coordinator import contracts, jobs, stage_checks, stage_compute, stage_release
from hefu.coordinator.context import CoordinatorContext, stage_envelope
from hefu.coordinator.outcomes import Outcome, block
from hefu.domain.errors import DocumentInvalid
from hefu.domain.job import FINAL_STATES, JobState, Stage
from hefu.domain.verdict import Finding, Severity, Verdict, judge
from hefu.store.base import now
from hefu.store.coordinator_tables import JobRow, StageRow
from hefu.store.signed import decode_envelope

log = logging.getLogger("hefu.coordinator")

_EVIDENCE_KINDS = {
    Stage.CHECK_PARTICIPANTS: "participants_checked",
    Stage.CHECK_CONTRACT: "contract_checked",
    Stage.CHECK_DATA_SOURCES: "data_sources_checked",
    Stage.COMPUTE: "computation_checked",
    Stage.CHECK_OUTPUT: "output_checked",
    Stage.RELEASE: "release_ordered",
    Stage.RETAIN_AND_DELETE: "retention_checked",
}


_WAITS_LATER = ("awaiting_review", "ledger_late", "not_begun", "recipient_unreachable")


@dataclass
class _Running:
    thread: threading.Thread
    percent: int = 0
    step: str = ""


class StageRunner:
    """The coordinator's stage threads."""

    def __init__(self, ctx: CoordinatorContext) -> None:
        self._ctx = ctx
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str, int], _Running] = {}

    def advance(self, job_id: str, stage: Stage, lease: int) -> dict[str, Any]:
        """Start the stage, or report on it: `{state, verdict, percent, step}`."""
        ctx = self._ctx
        with ctx.session() as session:
            job = jobs.hold(session, job_id, lease)
            if job.state in FINAL_STATES:
                return _answer("finished", _closed(stage, job))
            if jobs.stage_passed(session, job, stage):
                return _answer("finished", Verdict.model_validate(_newest(session, job, stage).verdict))
            key = (job_id, stage.value, job.attempt)
            with self._lock:
                running = self._running.get(key)
            if running is not None and running.thread.is_alive():
                return {"state": "running", "verdict": None, "percent": running.percent, "step": running.step}
            row = session.get(StageRow, (job_id, stage.value, job.attempt))
            if (
                row is not None
                and row.state in ("failed", "waiting")
                and row.finished_at is not None
                and running is not None
            ):
                with self._lock:
                    self._running.pop(key, None)
                return _answer(
                    "waiting" if row.state == "waiting" else "finished", Verdict.model_validate(row.verdict)
                )
            if stage is Stage.COMPUTE and row is not None and row.state == "failed":
                return _answer("finished", Verdict.model_validate(row.verdict))
            interrupted = row is not None and row.state == "running"
            row = (
                row
                if row is not None
                else StageRow(
                    job_id=job_id, stage=stage.value, attempt=job.attempt, state="running", started_at=now()
                )
            )
            row.state, row.started_at, row.finished_at, row.verdict = "running", now(), None, {}
            job.state, job.stage = JobState.RUNNING.value, stage.value
            job.started_at = job.started_at or now()
            job.progress = {"percent": 0, "step": stage.value}
            session.add(row)
            session.add(job)
            session.commit()
            thread = threading.Thread(
                target=self._work,
                args=(job_id, stage, job.attempt, interrupted),
                name=f"{job_id}/{stage}",
                daemon=True,
            )
            with self._lock:
                self._running[key] = _Running(thread)
        thread.start()
        return {"state": "running", "verdict": None, "percent": 0, "step": stage.value}

    def _work(self, job_id: str, stage: Stage, attempt: int, interrupted: bool) -> None:
        ctx = self._ctx
        key = (job_id, stage.value, attempt)

        def report(percent: int, step: str) -> None:
            with self._lock:
                running = self._running.get(key)
                changed = running is not None and (running.percent, running.step) != (percent, step)
                if running is not None:
                    running.percent, running.step = percent, step
            if changed:
                with ctx.session() as session:
                    job = session.get(JobRow, job_id)
                    if job is not None and job.state == JobState.RUNNING:
                        job.progress = {"percent": percent, "step": step}
                        session.add(job)
                        session.commit()

        try:
            with ctx.session() as session:
                job = session.get_one(JobRow, job_id)
                contract = contracts.load(session, job.contract_digest)[1]
            match stage:
                case Stage.CHECK_PARTICIPANTS:
                    outcome = stage_checks.check_participants(ctx, job, contract)
                case Stage.CHECK_CONTRACT:
                    outcome = stage_checks.check_contract(ctx, job, contract)
                case Stage.CHECK_DATA_SOURCES:
                    outcome = stage_checks.check_data_sources(ctx, job, contract)
                case Stage.COMPUTE if interrupted:
                    outcome = stage_compute.interrupted(ctx, job, contract)
                case Stage.COMPUTE:
                    outcome = stage_compute.compute(ctx, job, contract, report)
                case Stage.CHECK_OUTPUT:
                    outcome = stage_release.check_output(ctx, job, contract)
                case Stage.RELEASE:
                    outcome = stage_release.release(ctx, job, contract)
                case Stage.RETAIN_AND_DELETE:
                    outcome = stage_release.retain_and_delete(ctx, job, contract)
        except Exception:
            log.exception("stage %s of %s broke", stage.value, job_id)
            outcome = Outcome(findings=[_broken()])
        self._keep(job_id, stage, attempt, outcome)

    def _keep(self, job_id: str, stage: Stage, attempt: int, outcome: Outcome) -> None:
        """Outcome, evidence of the nodes and evidence of the coordinator, in one transaction."""
        ctx = self._ctx
        envelopes, unreadable = _read_envelopes(outcome.evidence)
        if unreadable:
            outcome.findings.append(
                block(
                    "evidence_invalid",
                    f"{'、'.join(outcome.parties)} 中有节点交来无法读取的存证",
                    f"evidence that cannot be read came from one of {', '.join(outcome.parties)}",
                    seen=str(unreadable),
                )
            )
        verdict = outcome.verdict(stage)
        with ctx.session() as session:
            # The job before the journal, as everywhere: the other way round a cancellation and this wait for each other.
            job = session.get_one(JobRow, job_id, with_for_update=True)
            row = session.get_one(StageRow, (job_id, stage.value, attempt))
            for envelope in envelopes:
                stage_envelope(session, envelope)
            if outcome.inputs:
                job.inputs = {**job.inputs, **outcome.inputs}
            envelope_id = ctx.record(
                session,
                _EVIDENCE_KINDS[stage],
                {
                    "passed": verdict.passed,
                    "findings": [
                        {"rule": f.rule, "severity": f.severity.value, "party": f.party}
                        for f in verdict.findings
                    ],
                    "parties": outcome.parties,
                    **outcome.body,
                },
                contract=job.contract_digest,
                job=job_id,
                attempt=attempt,
                stage=stage.value,
            )
            row.state = "passed" if verdict.passed else ("waiting" if _waits(stage, verdict) else "failed")
            row.verdict = verdict.model_dump(mode="json")
            row.parties = {"acted": outcome.parties, "envelope_id": envelope_id}
            row.finished_at = now()
            session.add(row)
            session.add(job)
            session.commit()


def _read_envelopes(evidence: list[str]) -> tuple[list[Envelope], int]:
    """The nodes' envelopes, and how many of them are none: what a node sends must not keep the stage from ending."""
    read: list[Envelope] = []
    for encoded in evidence:
        with contextlib.suppress(DocumentInvalid, TypeError):
            read.append(decode_envelope(encoded))
    return read, len(evidence) - len(read)


def _waits(stage: Stage, verdict: Verdict) -> bool:
    """Before the computation a delay waits for data or a node; the release waits for reviewers. A broken computation is a new attempt."""
    early = stage in (Stage.CHECK_PARTICIPANTS, Stage.CHECK_CONTRACT, Stage.CHECK_DATA_SOURCES)
    return verdict.waiting and (
        early or any(f.rule in _WAITS_LATER for f in verdict.findings) or stage is Stage.RETAIN_AND_DELETE
    )


def _newest(session: Session, job: JobRow, stage: Stage) -> StageRow:
    for attempt in range(job.attempt, 0, -1):
        row = session.get(StageRow, (job.job_id, stage.value, attempt))
        if row is not None and row.state == "passed":
            return row
    raise LookupError(f"{stage} of {job.job_id} has not passed")


def _answer(state: str, verdict: Verdict) -> dict[str, Any]:
    return {"state": state, "verdict": verdict.model_dump(mode="json"), "percent": 100, "step": ""}


def _closed(stage: Stage, job: JobRow) -> Verdict:
    finding = Finding(
        rule="job_closed",
        severity=Severity.BLOCK,
        seen=job.state,
        message_zh=f"任务已结束（{job.state}）",
        message_en=f"the job is over ({job.state})",
    )
    return judge(stage.value, [finding])


def _broken() -> Finding:
    return Finding(
        rule="coordinator_fault",
        severity=Severity.WAIT,
        party="coordinator",
        message_zh="调度方内部错误，任务将自动重试",
        message_en="an internal error at the coordinator; the job tries again by itself",
        mend_zh="如反复出现，请平台方查看日志",
        mend_en="if it persists, let the operator look into the log",
    )
