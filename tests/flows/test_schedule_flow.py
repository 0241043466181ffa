"""The flow of a schedule: every due day, oldest first; a day that waits or breaks does not stop the next one."""

import time
from typing import Any

import pytest
from hefu_flows import schedule
from hefu_flows.holding import holding
from hefu_flows.schedule import ask_for_due_jobs, t_plus_1

CONTRACT = "C-2026-1"


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The jobs executed, in order."""
    jobs: list[tuple[str, int]] = []

    def execute(job_id: str, lease: int, *, return_state: bool) -> str:
        assert return_state, "an exception of one day would stop the others"
        jobs.append((job_id, lease))
        return f"state of {job_id}"

    monkeypatch.setattr(schedule, "ask_for_due_jobs", ask_for_due_jobs.fn)
    monkeypatch.setattr(schedule, "execute_job", execute)
    return jobs


def due(*jobs: tuple[str, int], finding: str | None = None) -> dict[str, Any]:
    return {"jobs": [{"job_id": job_id, "lease": lease} for job_id, lease in jobs], "finding": finding}


def test_takes_the_due_days_in_the_order_given(coordinator: Any, executed: list[tuple[str, int]]) -> None:
    coordinator.script.due = {CONTRACT: due(("J000003", 3), ("J000001", 1), ("J000002", 2))}
    assert len(t_plus_1.fn(CONTRACT)) == 3
    assert executed == [("J000003", 3), ("J000001", 1), ("J000002", 2)]


def test_does_nothing_on_a_day_that_is_no_run_day(coordinator: Any, executed: list[tuple[str, int]]) -> None:
    coordinator.script.due = {CONTRACT: due(finding="not a working day")}
    assert t_plus_1.fn(CONTRACT) == []
    assert executed == []


def test_holds_the_days_that_are_still_to_come_and_no_other(
    coordinator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = coordinator.script.beats
    seen: list[tuple[str, int]] = []

    def execute(job_id: str, lease: int, *, return_state: bool) -> None:
        before = dict(beats)
        time.sleep(0.3)
        seen.append((job_id, sum(beats[job] > before.get(job, 0) for job in ("J000001", "J000002"))))

    monkeypatch.setattr(schedule, "ask_for_due_jobs", ask_for_due_jobs.fn)
    monkeypatch.setattr(schedule, "execute_job", execute)
    monkeypatch.setattr(schedule, "holding", lambda leases: holding(leases, interval_seconds=0.05))
    coordinator.script.due = {CONTRACT: due(("J000001", 1), ("J000002", 1))}
    t_plus_1.fn(CONTRACT)
    assert seen == [("J000001", 1), ("J000002", 0)]
