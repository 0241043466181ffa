"""Processes that are down, die in the middle of a computation, or are restarted: jobs wait, abort, resume, complete."""

from __future__ import annotations

import time
from typing import Any

import psutil
import pytest
from hefu.local.bootstrap import await_true
from hefu.local.postgres import LocalPostgres

pytestmark = pytest.mark.server

PEERS = {"bank": 3, "institution": 2, "operator": 3, "exchange": 2}
"""How many others each worker is connected with."""


def test_a_job_waits_for_a_node_that_is_down_and_goes_on_when_it_is_back(world: Any) -> None:
    day = world.new_day()
    world.deliver_sample(day, rows=20)
    world.kill("node-exchange")
    job_id = world.start_job(day)
    finding = world.await_finding(job_id, "node_unreachable", "exchange")
    assert "exchange" in finding["mend_en"]
    world.start("node-exchange")
    world.await_success(job_id)


def test_a_job_ends_naming_the_node_that_stayed_down_past_the_cut_off(world: Any, hasty: str) -> None:
    day = world.new_day()
    world.deliver_sample(day, rows=20)
    world.kill("node-institution")
    view = world.await_end(world.start_job(day, hasty))
    assert view["summary"]["state"] == "failed"
    assert "institution: node_unreachable" in view["summary"]["reason"]


def test_a_node_killed_in_the_middle_stops_everybody_and_the_retry_succeeds(world: Any) -> None:
    contract = "T1-RETRY"
    world.sign_contract(contract, max_uses=1, retry_seconds=2)  # the retry is the same use
    day = world.new_day()
    truth = world.deliver_sample(day, rows=200)
    job_id = world.start_job(day, contract)
    with world.frozen_worker("bank", job_id, PEERS["bank"]) as frozen:
        others = world.workers(job_id)
        del others["bank"]
        assert set(others) == {"institution", "operator", "exchange"}
        world.kill("node-bank")
    _, alive = psutil.wait_procs([frozen, *others.values()], timeout=30)
    assert not alive, alive
    world.await_job(job_id, lambda view: view["summary"]["state"] == "waiting")
    for org in ("operator", "exchange"):
        assert job_id not in world.journal(org, "half_released")
    assert world.query("node_regulator", "select 1 from result where job = %s", job_id) == []
    world.start("node-bank")
    view = world.await_success(job_id)
    compute = next(s for s in view["stages"] if s["stage"] == "compute")
    assert compute["attempt"] > 1
    sessions = world.query(
        "node_operator", "select session_id, attempt from session_seen where job = %s", job_id
    )
    assert len({session for session, _ in sessions}) == len(sessions) > 1
    statuses = world.statuses(job_id)
    assert all(truth.expected(owner, row) == status for (owner, row), status in statuses.items())
    uses = world.query("coordinator", "select count(*) from contract_use where contract_id = %s", contract)
    assert uses == [(1,)]


def test_the_coordinator_killed_in_the_middle_resumes_from_the_last_finished_stage(world: Any) -> None:
    day = world.new_day()
    world.deliver_sample(day, rows=200)
    job_id = world.start_job(day)
    with world.frozen_worker("exchange", job_id, PEERS["exchange"]):
        world.kill("coordinator")
        world.start("coordinator")
        world.await_job(job_id, lambda view: _attempt(view) > 1 or _state(view) == "waiting")
    world.await_success(job_id)
    checks = world.query(
        "coordinator",
        "select kind, count(*) from journal where job = %s and kind in ('participants_checked', 'data_sources_checked') group by kind",
        job_id,
    )
    assert dict(checks) == {"participants_checked": 1, "data_sources_checked": 1}
    assert not world.workers(job_id)


def test_another_flow_runner_takes_over_after_the_lease(world: Any) -> None:
    day = world.new_day()
    world.deliver_sample(day, rows=200)
    job_id = world.start_job(day)
    with world.frozen_worker("operator", job_id, PEERS["operator"]):
        lease = _lease(world, job_id)
        world.kill("runner")
        world.start("runner")
        await_true("another lease", lambda: _lease(world, job_id) > lease, 120)
    view = world.await_success(job_id)
    assert _attempt(view) == 1  # the computation went on meanwhile


def test_postgresql_restarted_during_a_job(world: Any) -> None:
    day = world.new_day()
    world.deliver_sample(day, rows=200)
    job_id = world.start_job(day)
    system = world.system
    with world.frozen_worker("exchange", job_id, PEERS["exchange"]):
        system.postgres.stop()
        system.postgres = LocalPostgres.start(system.directory / "postgres")
    world.await_success(job_id)
    assert world.query("coordinator", "select count(*) from job where business_date = %s", day) == [(1,)]


def test_a_cancelled_job_leaves_no_worker_no_result_and_its_evidence(world: Any) -> None:
    day = world.new_day()
    world.deliver_sample(day, rows=200)
    job_id = world.start_job(day)
    with world.frozen_worker("operator", job_id, PEERS["operator"]):
        workers = world.workers(job_id)
        assert set(workers) == set(PEERS)
        view = world.at("regulator").post(f"/console/jobs/{job_id}/cancel")
        assert view["summary"]["state"] == "cancelled"
        _, alive = psutil.wait_procs(list(workers.values()), timeout=30)
        assert not alive, alive
    finished = world.query(
        "coordinator", "select count(*) from journal where job = %s and kind = 'job_finished'", job_id
    )
    assert finished == [(1,)]
    for org in ("operator", "exchange"):
        assert job_id not in world.journal(org, "half_released")
    assert world.query("node_regulator", "select 1 from result where job = %s", job_id) == []
    time.sleep(1)
    assert _state(world.job(job_id)) == "cancelled"
    second = world.start_job(day)  # the day is open for a new job
    assert second != job_id
    world.await_success(second)


def test_two_runners_and_many_askers_make_one_job_for_each_day(world: Any) -> None:
    contract = "T1-TWICE"
    days = [world.yesterday.fromordinal(world.yesterday.toordinal() - n) for n in (1, 0)]
    data_sets = {org: world.register(org, "twice", org == "institution") for org in ("institution", "bank")}
    for day in days:
        world.deliver_sample(day, 20, data_sets)  # these days of the shared data sets belong to another test
    world.sign_contract(contract, first_day=days[0].isoformat(), data_sets=data_sets)
    world.system.supervisor.start(world.second_runner())
    try:
        answers = world.at_once([lambda: world.ask_due_jobs(contract)] * 6)
        leases = [(j["job_id"], j["lease"]) for answer in answers for j in answer["jobs"]]
        assert (
            len({job for job, _ in leases}) == len(leases) <= len(days)
        )  # to one asker each, or to a runner
        opened = [j["job_id"] for j in world.jobs_of(contract)]
        assert len(opened) == len(days)
        for job_id in opened:
            world.await_success(job_id)
    finally:
        world.system.supervisor.stop_one("runner-2")
    found = [(j["business_date"], j["revision"]) for j in world.jobs_of(contract)]
    assert found == [(day.isoformat(), 1) for day in days]
    assert world.query(
        "coordinator", "select count(*) from contract_use where contract_id = %s", contract
    ) == [(2,)]


def test_concurrent_requests_for_one_day_open_one_job(world: Any) -> None:
    day = world.new_day()
    body = {"contract_id": world.MAIN, "first_day": day.isoformat(), "last_day": day.isoformat()}
    orgs = ["regulator", "institution", "bank", "auditor"] * 2
    clients = [world.at(org) for org in orgs]
    answers = world.at_once([lambda c=c: c.post("/console/jobs", body) for c in clients])
    assert len({answer[0]["job_id"] for answer in answers}) == 1
    assert world.query("coordinator", "select count(*) from job where business_date = %s", day) == [(1,)]
    world.at("regulator").post(f"/console/jobs/{answers[0][0]['job_id']}/cancel")


def _state(view: dict[str, Any]) -> str:
    return str(view["summary"]["state"])


def _attempt(view: dict[str, Any]) -> int:
    return max(int(s["attempt"]) for s in view["stages"] if s["state"] != "pending")


def _lease(world: Any, job_id: str) -> int:
    return int(world.query("coordinator", "select lease from job where job_id = %s", job_id)[0][0])
