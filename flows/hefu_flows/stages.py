"""The stages of a job as Prefect tasks, and its closing.

A task asks the coordinator for a stage and waits for the verdict; it decides nothing. It is tried again only when the
coordinator could not be reached (it may be restarting): for two minutes, after which the run fails, the lease runs out
and the coordinator hands the job out again. Nothing of a task is kept in Prefect: no result, no cache.
Stages: white paper A, fig. 2 and 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from hefu.domain.job import JobId, JobState, Stage
from hefu.domain.verdict import Verdict
from prefect import Task, task
from prefect.cache_policies import NO_CACHE

from hefu_flows.client import CoordinatorClient
from hefu_flows.errors import CoordinatorRefused, CoordinatorUnreachable, LeaseLost
from hefu_flows.stopping import pause

PATIENCE_SECONDS: list[float] = [0.5, 1, 2, 4, 8, 15, 30, 60]  # together two minutes
_FIRST_PAUSE_SECONDS = 0.3
_LONGEST_PAUSE_SECONDS = 1.0

P = ParamSpec("P")
R = TypeVar("R")


def unreachable(_task: Any, _run: Any, state: Any) -> bool:
    """Whether a task failed because the coordinator gave no answer: only that is tried again."""
    return isinstance(state.data, CoordinatorUnreachable)


def patient(function: Callable[P, R]) -> Task[P, R]:
    """A task that outlives a restart of the coordinator and of which Prefect keeps no result."""
    make: Callable[[Callable[P, R]], Task[P, R]] = task(
        task_run_name=function.__name__,
        retries=len(PATIENCE_SECONDS),
        retry_delay_seconds=PATIENCE_SECONDS,
        retry_condition_fn=unreachable,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    return make(function)


@patient
def check_participants(job_id: JobId, lease: int) -> Verdict | None:
    """Admitted, certificates valid, nobody suspended."""
    return _verdict(job_id, Stage.CHECK_PARTICIPANTS, lease)


@patient
def check_contract(job_id: JobId, lease: int) -> Verdict | None:
    """In force, uses left, nothing but what was signed."""
    return _verdict(job_id, Stage.CHECK_CONTRACT, lease)


@patient
def check_data_sources(job_id: JobId, lease: int) -> Verdict | None:
    """Each owner checks its own data of the day and commits to it."""
    return _verdict(job_id, Stage.CHECK_DATA_SOURCES, lease)


@patient
def compute(job_id: JobId, lease: int) -> Verdict | None:
    """The nodes compute among themselves; the results stay with them, sealed."""
    return _verdict(job_id, Stage.COMPUTE, lease)


@patient
def check_output(job_id: JobId, lease: int) -> Verdict | None:
    """What leaves is what the contract allows."""
    return _verdict(job_id, Stage.CHECK_OUTPUT, lease)


@patient
def release(job_id: JobId, lease: int) -> Verdict | None:
    """The halves go to their recipient, after the review that the contract names; until then the job waits."""
    return _verdict(job_id, Stage.RELEASE, lease)


@patient
def retain_and_delete(job_id: JobId, lease: int) -> Verdict | None:
    """What is no longer needed is deleted, and that is certified."""
    return _verdict(job_id, Stage.RETAIN_AND_DELETE, lease)


@patient
def finish(job_id: JobId, lease: int) -> JobState | None:
    """Close the job according to its verdicts. None when another run holds it."""
    with CoordinatorClient.from_environment() as coordinator:
        try:
            return coordinator.finish(job_id, lease)
        except LeaseLost:
            return None


def _verdict(job_id: JobId, stage: Stage, lease: int) -> Verdict | None:
    """The verdict on a stage, once there is one; None when another run holds the job."""
    pause_seconds = _FIRST_PAUSE_SECONDS
    with CoordinatorClient.from_environment() as coordinator:
        try:
            while (answer := coordinator.advance(job_id, stage, lease)).state == "running":
                pause(pause_seconds)
                pause_seconds = min(1.25 * pause_seconds, _LONGEST_PAUSE_SECONDS)
        except LeaseLost:
            return None
    if answer.verdict is not None:
        return answer.verdict
    if answer.state == "waiting":
        return Verdict(stage=stage, passed=False)
    raise CoordinatorRefused(200, f"{stage} of {job_id} is finished without a verdict")
