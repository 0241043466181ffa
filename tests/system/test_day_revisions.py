"""Corrected, late and missing files: a day's revisions, a job that waits, a job that ends naming who did not deliver."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.server

ONE = [("S-1", "10.00"), ("S-2", "20.00")]


def rows(world: Any, day: Any, entries: list[tuple[str, str]]) -> Any:
    return [(s, "LOAN", a, "990000199001010017", f"{day}T10:00:00") for s, a in entries]


def test_a_corrected_file_supersedes_the_finished_job_and_both_stay(world: Any) -> None:
    day = world.new_day()
    world.deliver("institution", day, rows(world, day, ONE))
    world.deliver("bank", day, rows(world, day, [("S-1", "10.00"), ("S-2", "20.01")]))
    first = world.run_day(day)
    before = world.statuses(first)
    world.deliver("bank", day, rows(world, day, ONE))

    def revisions() -> list[dict[str, Any]]:
        return [j for j in world.jobs_of(world.MAIN) if j["business_date"] == day.isoformat()]

    second = revisions()[-1]["job_id"]
    assert second != first
    world.await_success(second)
    old, new = revisions()
    assert (old["job_id"], old["state"], old["superseded_by"]) == (first, "superseded", second)
    assert (new["revision"], new["supersedes"], new["state"]) == (2, first, "succeeded")
    after = world.statuses(second)
    assert before[("bank", 2)] == before[("institution", 2)] == "amount_mismatch"
    assert set(after.values()) == {"match"}
    results = {r["job_id"]: r for r in world.at("regulator").get("/console/results")}
    assert (results[first]["stands"], results[second]["stands"]) == (False, True)
    assert results[first]["mismatched"] == 1  # what stood before can still be read
    shown = world.at("regulator").get(f"/console/results/{second}")
    assert shown["changed_from"]["job_id"] == first


def test_a_job_waits_for_a_late_file_and_its_delivery_wakes_it(world: Any, patient: str) -> None:
    day = world.new_day()
    world.deliver("institution", day, rows(world, day, ONE))
    job_id = world.start_job(day, patient)
    finding = world.await_finding(job_id, "data_missing", "bank")
    assert day.isoformat() in finding["message_en"]
    assert finding["mend_en"]
    world.await_job(job_id, lambda view: view["summary"]["state"] == "waiting")
    world.deliver("bank", day, rows(world, day, ONE))
    world.await_success(job_id)  # by its own retry it would come in an hour
    assert set(world.statuses(job_id).values()) == {"match"}


def test_after_the_cut_off_the_job_ends_naming_who_did_not_deliver(world: Any, hasty: str) -> None:
    day = world.new_day()
    world.deliver("bank", day, rows(world, day, ONE))
    job_id = world.start_job(day, hasty)
    view = world.await_end(job_id)
    assert view["summary"]["state"] == "data_missing"
    assert "institution: data_missing" in view["summary"]["reason"]
    assert "bank" not in view["summary"]["reason"]
    world.deliver(
        "institution", day, rows(world, day, ONE)
    )  # 补报: a later delivery starts the next revision
    second = [j for j in world.jobs_of(hasty) if j["business_date"] == day.isoformat()][-1]
    assert second["revision"] == 2
    world.await_success(second["job_id"])
