"""The flow of a job: its order, where it stops, what it does when the coordinator fails or another run holds the job."""

import threading
import time
from typing import Any

import pytest
from hefu.domain.job import STAGES
from hefu_flows import holding as holding_module
from hefu_flows import stages
from hefu_flows.errors import CoordinatorRefused, CoordinatorUnreachable
from hefu_flows.holding import holding
from hefu_flows.job import STAGES_IN_ORDER, execute_job

JOB = "J000001"
EVERY_STAGE = [str(stage) for stage in STAGES]


@pytest.fixture(autouse=True)
def plain_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks as the functions they are: no Prefect server."""
    monkeypatch.setattr("hefu_flows.job.STAGES_IN_ORDER", tuple(task.fn for task in STAGES_IN_ORDER))
    monkeypatch.setattr("hefu_flows.job.finish", stages.finish.fn)


def finding(severity: str) -> dict[str, str]:
    return {"rule": "planted", "severity": severity, "message_zh": "不行", "message_en": "no"}


def refusal(stage: str, severity: str = "block") -> dict[str, Any]:
    return {
        "state": "finished",
        "verdict": {"stage": stage, "passed": False, "findings": [finding(severity)]},
    }


RUNNING = {"state": "running", "verdict": None, "percent": 40, "step": "shuffle"}


def test_the_tasks_are_the_stages_of_the_domain_in_their_order() -> None:
    assert [task.name for task in STAGES_IN_ORDER] == EVERY_STAGE
    assert [task.task_run_name for task in STAGES_IN_ORDER] == EVERY_STAGE


def test_takes_a_job_through_every_stage_and_closes_it(coordinator: Any) -> None:
    verdict = execute_job.fn(JOB, 1)
    assert verdict is not None
    assert (verdict.stage, verdict.passed) == ("retain_and_delete", True)
    assert coordinator.script.stages_asked(JOB) == [*EVERY_STAGE, "finish"]
    assert coordinator.script.beats[JOB] >= 1


def test_asks_again_while_a_stage_runs(coordinator: Any) -> None:
    coordinator.script.stages = {(JOB, "compute"): [RUNNING, RUNNING, coordinator.passed("compute")]}
    verdict = execute_job.fn(JOB, 1)
    assert verdict is not None
    assert verdict.passed
    assert coordinator.script.asked.count(f"{JOB} compute") == 3


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_stops_at_the_first_refusal_and_closes_the_job(coordinator: Any, stage: str) -> None:
    coordinator.script.stages = {(JOB, stage): [refusal(stage)]}
    verdict = execute_job.fn(JOB, 1)
    assert verdict is not None
    assert (verdict.stage, verdict.passed, verdict.waiting) == (stage, False, False)
    assert coordinator.script.stages_asked(JOB) == [
        *EVERY_STAGE[: EVERY_STAGE.index(stage) + 1],
        "finish",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        {"state": "waiting", "verdict": None},
        {"state": "waiting", "verdict": refusal("check_data_sources", "wait")["verdict"]},
    ],
)
def test_ends_when_a_stage_waits(coordinator: Any, answer: dict[str, Any]) -> None:
    coordinator.script.stages = {(JOB, "check_data_sources"): [answer]}
    verdict = execute_job.fn(JOB, 1)
    assert verdict is not None
    assert verdict.waiting
    assert coordinator.script.stages_asked(JOB) == [*EVERY_STAGE[:3], "finish"]


def test_stops_quietly_when_another_run_holds_the_job(coordinator: Any) -> None:
    coordinator.script.held_elsewhere = {(JOB, 1)}
    assert execute_job.fn(JOB, 1) is None
    assert coordinator.script.stages_asked(JOB) == ["check_participants"]
    assert execute_job.fn(JOB, 2) is not None


def test_stops_quietly_when_the_lease_is_lost_at_the_end(coordinator: Any) -> None:
    coordinator.script.held_elsewhere = {(JOB, 1)}
    assert stages.finish.fn(JOB, 1) is None


def test_a_verdict_that_never_came_is_a_broken_promise(coordinator: Any) -> None:
    coordinator.script.stages = {(JOB, "compute"): [{"state": "finished", "verdict": None}]}
    with pytest.raises(CoordinatorRefused, match="without a verdict"):
        execute_job.fn(JOB, 1)
    assert f"{JOB} finish" not in coordinator.script.asked


def test_only_silence_is_tried_again() -> None:
    class State:
        def __init__(self, data: object) -> None:
            self.data = data

    assert stages.unreachable(None, None, State(CoordinatorUnreachable("down")))
    assert not stages.unreachable(None, None, State(CoordinatorRefused(500, "broken")))
    for task in STAGES_IN_ORDER:
        assert task.retry_condition_fn is stages.unreachable
        assert 115 <= sum(task.retry_delay_seconds) <= 125
        assert task.persist_result is False


def test_holds_the_job_while_a_stage_takes_long(coordinator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    coordinator.script.stages = {(JOB, "compute"): [RUNNING] * 4 + [coordinator.passed("compute")]}
    monkeypatch.setattr("hefu_flows.job.holding", lambda leases: holding(leases, interval_seconds=0.1))
    execute_job.fn(JOB, 1)
    assert coordinator.script.beats[JOB] >= 4
    assert coordinator.script.beats[JOB] == coordinator.script.beats_at_finish[JOB], (
        "held after it was closed"
    )


def test_holding_outlives_a_restart_and_ends_with_the_block(coordinator: Any) -> None:
    with holding({JOB: 1}, interval_seconds=0.05):
        coordinator.stop()
        time.sleep(0.3)
        before = coordinator.script.beats[JOB]
        coordinator.start()
        deadline = time.monotonic() + 5
        while coordinator.script.beats[JOB] <= before and time.monotonic() < deadline:
            time.sleep(0.02)
        assert coordinator.script.beats[JOB] > before
    assert "holding" not in {thread.name for thread in threading.enumerate()}
    assert holding_module.INTERVAL_SECONDS < 5
