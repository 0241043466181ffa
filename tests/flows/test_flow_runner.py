"""The flow runner as a process, with a real Prefect server on PostgreSQL: what it starts, follows, survives."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from hefu.domain.job import STAGES
from hefu.local.ports import Ports
from hefu.local.postgres import LocalPostgres
from hefu_flows.settings import prefect_environment, runner_command, server_command

pytestmark = [pytest.mark.server, pytest.mark.slow]

CONTRACT = "C-2026-1"
EVERY_TEN_SECONDS = "* * * * * */10"  # the sixth field is seconds; contracts have five fields
MARK = "planted-finding-7391"


@dataclass
class System:
    """A Prefect server, a coordinator's stub, and the runners started so far."""

    coordinator: Any
    prefect: httpx.Client
    environment: dict[str, str]
    folder: Path
    dsn: str
    runners: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_runner(self) -> subprocess.Popen[bytes]:
        environment = dict(self.environment)
        del environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"]  # not the runner's to know
        with (self.folder / f"runner-{len(self.runners)}.log").open("wb") as log:
            runner = subprocess.Popen(runner_command(), env=environment, stdout=log, stderr=subprocess.STDOUT)
        self.runners.append(runner)
        return runner

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def flow_runs(self, **flow_runs: Any) -> list[dict[str, Any]]:
        answer = self.prefect.post("/flow_runs/filter", json={"flow_runs": flow_runs} if flow_runs else {})
        answer.raise_for_status()
        return list(answer.json())

    def run_named(self, name: str) -> dict[str, Any] | None:
        runs = self.flow_runs(name={"any_": [name]})
        assert len(runs) < 2, f"{len(runs)} runs of {name}"
        return runs[0] if runs else None

    def state_of(self, name: str) -> str | None:
        run = self.run_named(name)
        return None if run is None else str(run["state_type"])

    def schedules(self) -> dict[str, tuple[str, str, bool, dict[str, Any]]]:
        deployment = self.prefect.get("/deployments/name/t-plus-1/t-plus-1")
        return {
            s["slug"]: (s["schedule"]["cron"], s["schedule"]["timezone"], s["active"], s["parameters"])
            for s in (deployment.json().get("schedules", []) if deployment.is_success else [])
        }

    def wait(self, what: Callable[[], bool], timeout_seconds: float = 40.0) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not what():
            if time.monotonic() > deadline:
                pytest.fail(f"waited for {timeout_seconds} s\n{self.logs()}\n{self.coordinator.script.asked}")
            time.sleep(0.2)

    def hand_out(self, job_id: str, lease: int = 1) -> str:
        """The coordinator offers the job; returns the name of its run."""
        self.coordinator.script.startable = [{"job_id": job_id, "lease": lease}]
        return f"{job_id}-{lease}"


@pytest.fixture(scope="module")
def system(
    postgres: LocalPostgres, tmp_path_factory: pytest.TempPathFactory, make_coordinator: Callable[[Path], Any]
) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("flows")
    password = secrets.token_urlsafe(12)
    postgres.ensure_role("prefect_flows", password)
    postgres.ensure_database("prefect_flows", "prefect_flows")
    port = Ports(folder / "ports.json").get("prefect")
    url = postgres.url("prefect_flows", "prefect_flows", password, driver="asyncpg")
    coordinator = make_coordinator(folder)
    auth = ("hefu", secrets.token_urlsafe(12))
    environment = {
        **os.environ,
        **coordinator.environment,
        **prefect_environment(folder / "prefect", url, port, ":".join(auth)),
    }
    coordinator.start()
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(server_command(port), env=environment, stdout=log, stderr=subprocess.STDOUT)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api", auth=auth, timeout=30) as prefect:
        system = System(
            coordinator,
            prefect,
            environment,
            folder,
            postgres.dsn("prefect_flows", "prefect_flows", password),
        )
        try:
            system.start_runner()  # the order does not matter: a runner waits for the server
            system.start_runner()
            system.wait(
                lambda: server.poll() is not None or system.logs().count("flow runner ready") == 2, 120
            )
            yield system
        finally:
            for process in [*system.runners, server]:
                if process.poll() is None:
                    process.terminate()
                    process.wait(30)
            coordinator.stop()
            postgres.drop_database("prefect_flows")
            postgres.drop_role("prefect_flows")


def running(stage: str) -> dict[str, Any]:
    return {"state": "running", "verdict": None, "percent": 10, "step": stage}


def test_two_runners_start_one_run_for_one_lease(system: System) -> None:
    name = system.hand_out("J000001")
    system.wait(lambda: system.state_of(name) == "COMPLETED")
    run = system.run_named(name)
    assert run is not None
    assert run["parameters"] == {"job_id": "J000001", "lease": 1}
    assert run["idempotency_key"] == "J000001:1"
    asked = [call for call in system.coordinator.script.asked if call.startswith("J000001 ")]
    assert asked == [f"J000001 {stage}" for stage in [*STAGES, "finish"]]


def test_prefect_shows_the_stages(system: System) -> None:
    def names() -> list[str]:
        tasks = system.prefect.post(
            "/task_runs/filter", json={"flow_runs": {"name": {"any_": ["J000001-1"]}}}
        )
        return [task["name"] for task in sorted(tasks.json(), key=lambda task: str(task["start_time"]))]

    system.wait(lambda: len(names()) == len(STAGES) + 1)
    assert names() == [*map(str, STAGES), "finish"]


def test_a_scheduled_run_appears_and_completes(system: System) -> None:
    script = system.coordinator.script
    script.due = {
        CONTRACT: {"jobs": [{"job_id": job, "lease": 1} for job in ("J000011", "J000012")], "finding": None}
    }
    script.stages = {("J000011", "check_contract"): [system.coordinator.refused("check_contract", MARK)]}
    script.schedules = [
        {
            "contract_id": CONTRACT,
            "cron": EVERY_TEN_SECONDS,
            "time_zone": "Asia/Shanghai",
            "run_days": "every_day",
            "paused": False,
        }
    ]
    system.wait(lambda: "J000012 finish" in script.asked)
    assert script.asked.index("J000011 finish") < script.asked.index("J000012 check_participants")
    system.wait(
        lambda: any(
            run["auto_scheduled"] and run["state_type"] == "COMPLETED"
            for run in system.flow_runs(name={"any_": [CONTRACT]})
        )
    )
    assert system.coordinator.script.stages_asked("J000011") == [
        "check_participants",
        "check_contract",
        "finish",
    ]
    assert system.coordinator.script.stages_asked("J000012") == [*map(str, STAGES), "finish"]


def test_schedules_follow_the_coordinator(system: System) -> None:
    schedule = system.coordinator.script.schedules[0]
    parameters = {"contract_id": CONTRACT}
    assert system.schedules() == {CONTRACT: (EVERY_TEN_SECONDS, "Asia/Shanghai", True, parameters)}
    schedule["paused"] = True
    system.wait(lambda: system.schedules()[CONTRACT][2] is False)
    system.coordinator.script.schedules = [
        schedule | {"cron": "45 3 * * *", "paused": False},
        schedule | {"contract_id": "C-2026-2", "cron": "30 2 * * *"},
    ]
    system.wait(
        lambda: (
            system.schedules()
            == {
                CONTRACT: ("45 3 * * *", "Asia/Shanghai", True, parameters),
                "C-2026-2": ("30 2 * * *", "Asia/Shanghai", False, {"contract_id": "C-2026-2"}),
            }
        )
    )
    system.coordinator.script.schedules = []
    system.wait(lambda: system.schedules() == {})


def test_a_refused_job_is_a_completed_run_and_a_broken_promise_a_failed_one(system: System) -> None:
    refused = system.hand_out("J000021")
    system.coordinator.script.stages = {
        ("J000021", "compute"): [system.coordinator.refused("compute", MARK)],
        ("J000022", "compute"): [{"state": "perhaps"}],
    }
    system.wait(lambda: system.state_of(refused) == "COMPLETED")
    broken = system.hand_out("J000022")
    system.wait(lambda: system.state_of(broken) == "FAILED")
    assert "J000022 finish" not in system.coordinator.script.asked


def test_a_day_that_breaks_does_not_stop_the_next_one(system: System) -> None:
    script = system.coordinator.script
    script.startable = []
    script.due = {
        "C-2026-3": {"jobs": [{"job_id": job, "lease": 1} for job in ("J000023", "J000024")], "finding": None}
    }
    script.stages = {("J000023", "compute"): [{"state": "perhaps"}]}
    deployment = system.prefect.get("/deployments/name/t-plus-1/t-plus-1").json()["id"]
    body = {"parameters": {"contract_id": "C-2026-3"}}
    system.prefect.post(f"/deployments/{deployment}/create_flow_run", json=body).raise_for_status()
    system.wait(lambda: system.state_of("C-2026-3") == "FAILED")
    assert system.state_of("J000023-1") == "FAILED"
    assert system.state_of("J000024-1") == "COMPLETED"


def test_compliance_work_has_schedules_of_its_own_and_runs(system: System) -> None:
    name = "retention"
    deployment = system.prefect.get(f"/deployments/name/{name}/{name}").json()
    (schedule,) = deployment["schedules"]
    assert (schedule["schedule"]["cron"], schedule["schedule"]["timezone"]) == (
        "20 4 * * *",
        "Asia/Shanghai",
    )
    body: dict[str, Any] = {"name": "retention-now"}
    system.prefect.post(f"/deployments/{deployment['id']}/create_flow_run", json=body).raise_for_status()
    system.wait(lambda: system.state_of("retention-now") == "COMPLETED")
    assert "retention" in system.coordinator.script.asked


def test_a_run_outlives_a_restart_of_the_coordinator(system: System) -> None:
    script = system.coordinator.script
    script.stages = {("J000031", "compute"): [running("compute")]}
    name = system.hand_out("J000031")
    system.wait(lambda: "J000031 compute" in script.asked)
    system.coordinator.stop()
    time.sleep(1.5)
    script.stages = {}
    system.coordinator.start()
    system.wait(lambda: system.state_of(name) == "COMPLETED")


def test_what_a_killed_runner_left_is_taken_up(system: System) -> None:
    script = system.coordinator.script
    script.stages = {("J000041", "compute"): [running("compute")]}
    left = system.hand_out("J000041")
    system.wait(lambda: "J000041 compute" in script.asked)
    for runner in system.runners:
        runner.kill()
        runner.wait()
    script.startable = []
    ready = system.logs().count("flow runner ready")
    system.start_runner()
    system.wait(lambda: system.logs().count("flow runner ready") > ready)
    assert system.state_of(left) == "CRASHED"
    script.stages = {}
    again = system.hand_out("J000041", lease=2)
    system.wait(lambda: system.state_of(again) == "COMPLETED")


def test_told_to_end_a_runner_ends_its_runs(system: System) -> None:
    script = system.coordinator.script
    script.stages = {("J000051", "compute"): [running("compute")]}
    name = system.hand_out("J000051")
    system.wait(lambda: "J000051 compute" in script.asked)
    runner = system.runners[-1]
    begin = time.monotonic()
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(20) == 0
    assert time.monotonic() - begin < 10
    assert system.state_of(name) == "CRASHED"


def test_prefect_keeps_no_finding(system: System) -> None:
    with psycopg.connect(system.dsn) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        found = {
            table
            for (table,) in tables
            if connection.execute(
                f"SELECT 1 FROM {table} AS t WHERE t::text LIKE %s", [f"%{MARK}%"]
            ).fetchone()
        }
        known = connection.execute("SELECT 1 FROM flow_run AS t WHERE t::text LIKE '%J000021%'").fetchone()
    assert known, "the search finds nothing at all"
    assert found == set()
    assert MARK not in system.logs()
    assert not any(MARK.encode() in path.read_bytes() for path in system.folder.rglob("*") if path.is_file())
