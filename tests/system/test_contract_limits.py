"""Uses and validity: enforced by the coordinator, and by each data holder's node on its own count and clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hefu.local.console_client import ConsoleError

pytestmark = pytest.mark.server


def test_the_use_after_the_last_is_refused_and_a_coordinator_that_forgets_uses_is_found_out(
    world: Any,
) -> None:
    contract = "T1-ONE-USE"
    world.sign_contract(contract, max_uses=1)
    days = [world.new_day() for _ in range(3)]
    for day in days:
        world.deliver_sample(day, rows=20)
    world.run_day(days[0], contract)

    second = world.await_end(world.start_job(days[1], contract))
    assert second["summary"]["state"] == "refused"
    assert _rules(second, "check_contract") == {("uses_exhausted", None)}

    world.query("coordinator", "delete from contract_use where contract_id = %s", contract)
    job_id = world.start_job(days[2], contract)
    third = world.await_end(job_id)
    assert third["summary"]["state"] == "failed"
    # Both holders have counted a use that the coordinator knows nothing of (any more): the counts stop the job.
    assert _rules(third, "compute") == {("use_count_differs", "coordinator")}
    for owner in ("institution", "bank"):
        assert job_id in world.journal(owner, "uses_counted")
        assert job_id not in world.journal(owner, "input_shared")
    assert not world.workers(job_id)


def test_an_expired_contract_is_refused_by_the_nodes_even_for_a_job_that_began_in_time(world: Any) -> None:
    contract = "T1-SHORT"
    begun = time.monotonic()
    world.sign_contract("T1-MEASURE")  # how long it takes here to sign and to file everything
    until = datetime.now(UTC) + timedelta(seconds=30 + 3 * (time.monotonic() - begun))
    world.sign_contract(contract, valid_until=until.isoformat(), retry_seconds=3600)
    day = world.new_day()
    job_id = world.start_job(day, contract)
    world.await_finding(job_id, "data_missing", "bank")
    time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds() + 1))
    world.deliver_sample(day, rows=20)
    view = world.await_end(job_id)
    assert view["summary"]["state"] == "refused"
    said = _rules(view, "check_data_sources")
    assert {party for _, party in said} == {
        "institution",
        "bank",
        None,
    }  # each for itself; None: the coordinator
    assert {rule for rule, _ in said} <= {"contract_expired", "contract_not_active"}, said
    assert job_id in world.journal("bank", "order_refused")
    with pytest.raises(ConsoleError) as refused:
        for _ in range(2):  # the coordinator marks it within seconds; until then the job itself is refused
            later = world.await_end(world.start_job(world.new_day(), contract))
            assert later["summary"]["state"] == "refused"
            time.sleep(6)
    assert refused.value.body["limit"] == "expired"


def _rules(view: dict[str, Any], stage: str) -> set[tuple[str, str | None]]:
    verdict = next(s["verdict"] for s in view["stages"] if s["stage"] == stage)
    return {(f["rule"], f["party"]) for f in verdict["findings"] if f["severity"] in ("block", "wait")}
