"""A schedule fires by itself: Prefect starts the run, every calendar day not yet covered gets one job, oldest first."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from typing import Any

import pytest
from hefu.domain.job import FINAL_STATES
from hefu.local.bootstrap import await_true

pytestmark = pytest.mark.server


def test_a_scheduled_run_covers_every_day_once_oldest_first(
    world: Any, scheduled: tuple[str, list[date]]
) -> None:
    contract, days = scheduled
    assert any(day.weekday() == 5 for day in days)
    wanted = [day.isoformat() for day in days]

    def over() -> bool:
        found = world.jobs_of(contract)
        return len(found) >= len(days) and all(j["state"] in FINAL_STATES for j in found)

    await_true("the scheduled jobs", over, 150)
    jobs = world.jobs_of(contract)
    assert [(j["business_date"], j["revision"], j["state"]) for j in jobs] == [
        (d, 1, "succeeded") for d in wanted
    ]
    assert {j["requested_by"] for j in jobs} == {"schedule"}
    started = world.query(
        "coordinator", "select business_date from job where contract_id = %s order by started_at", contract
    )
    assert [row[0] for row in started] == days
    runs = world.query(
        "prefect", "select count(*) from flow_run where name = %s and state_type = 'COMPLETED'", contract
    )
    assert runs[0][0] >= 1  # Prefect's own schedule started it, not a request
    shown = next(s for s in world.at("auditor").get("/console/schedules") if s["contract_id"] == contract)
    assert shown["last_covered"] == wanted[-1]
    assert len(shown["next_times"]) == 10


def test_each_row_is_reconciled_once_on_its_beijing_day(
    world: Any, scheduled: tuple[str, list[date]]
) -> None:
    contract, days = scheduled
    seen: dict[tuple[str, int], list[tuple[str, str]]] = defaultdict(list)
    for job in world.jobs_of(contract):
        for where, status in world.statuses(job["job_id"]).items():
            seen[where].append((job["business_date"], status))
    expected = {
        (owner, row): [(day.isoformat(), "match")]
        for owner in ("institution", "bank")
        for row, day in enumerate((d for d in days for _ in world.TIMES), start=1)
    }
    assert seen == expected


def test_a_paused_schedule_starts_nothing_more(world: Any, scheduled: tuple[str, list[date]]) -> None:
    contract, _ = scheduled
    regulator = world.at("regulator")
    assert regulator.post(f"/console/schedules/{contract}", {"action": "pause"})["paused"] is True
    answer = world.ask_due_jobs(contract)
    assert (answer["jobs"], answer["finding"]) == ([], "paused")

    def inactive() -> bool:
        rows = world.query("prefect", "select active from deployment_schedule where slug = %s", contract)
        return rows == [(False,)]

    await_true("paused in Prefect", inactive, 30)
