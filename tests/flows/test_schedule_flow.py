"""The flow of a schedule: every due day, oldest first; a day that waits or breaks does not stop the next one."""

from typing import Any

import pytest
from hefu_flows import schedule
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


def test_takes_the_due_days_oldest_first(coordinator: Any, executed: list[tuple[str, int]]) -> None:
    coordinator.script.due = {CONTRACT: {"job_ids": ["J000003", "J000001", "J000002"], "finding": None}}
    coordinator.script.startable = [{"job_id": f"J00000{n}", "lease": n} for n in (1, 2, 3, 4)]
    assert len(t_plus_1.fn(CONTRACT)) == 3
    assert executed == [("J000003", 3), ("J000001", 1), ("J000002", 2)]


def test_leaves_to_others_what_they_took(coordinator: Any, executed: list[tuple[str, int]]) -> None:
    coordinator.script.due = {CONTRACT: {"job_ids": ["J000001", "J000002"], "finding": None}}
    coordinator.script.startable = [{"job_id": "J000002", "lease": 1}]
    t_plus_1.fn(CONTRACT)
    assert executed == [("J000002", 1)]


def test_does_nothing_on_a_day_that_is_no_run_day(coordinator: Any, executed: list[tuple[str, int]]) -> None:
    coordinator.script.due = {CONTRACT: {"job_ids": [], "finding": "not a working day"}}
    assert t_plus_1.fn(CONTRACT) == []
    assert executed == []


def test_holds_every_due_day_from_the_start(
    coordinator: Any, executed: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator.script.due = {CONTRACT: {"job_ids": ["J000001", "J000002"], "finding": None}}
    coordinator.script.startable = [{"job_id": f"J00000{n}", "lease": 1} for n in (1, 2)]
    t_plus_1.fn(CONTRACT)
    assert coordinator.script.beats == {"J000001": 1, "J000002": 1}
