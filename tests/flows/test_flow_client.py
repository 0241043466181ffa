"""The client: it believes one certificate, proves itself by its token, and tells "not now" from "no"."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hefu.domain.job import Stage
from hefu.keys.tls import self_signed, to_pem
from hefu_flows.client import CoordinatorClient
from hefu_flows.errors import CoordinatorRefused, CoordinatorUnreachable, LeaseLost, SettingMissing

JOB = "J000001"


def test_reads_every_answer(coordinator: Any) -> None:
    coordinator.script.schedules = [
        {
            "contract_id": "C-2026-1",
            "cron": "30 2 * * *",
            "time_zone": "Asia/Shanghai",
            "run_days": "cn_workdays",
            "paused": False,
        }
    ]
    coordinator.script.startable = [{"job_id": JOB, "lease": 3}]
    coordinator.script.due = {
        "C-2026-1": {"jobs": [{"job_id": JOB, "lease": 4}], "job_ids": [JOB], "finding": "one late"}
    }
    with CoordinatorClient.from_environment() as client:
        assert [schedule.cron for schedule in client.schedules()] == ["30 2 * * *"]
        assert [(job.job_id, job.lease) for job in client.startable()] == [(JOB, 3)]
        due = client.due_jobs("C-2026-1")
        assert ([(job.job_id, job.lease) for job in due.jobs], due.finding) == ([(JOB, 4)], "one late")
        assert client.hold(JOB, 3) == 30
        answer = client.advance(JOB, Stage.COMPUTE, 3)
        assert answer.state == "finished"
        assert answer.verdict is not None
        assert answer.verdict.passed
        assert client.finish(JOB, 3) == "succeeded"


def test_another_certificate_is_not_believed(coordinator: Any) -> None:
    other = to_pem(self_signed(ec.generate_private_key(ec.SECP256R1()), "operator"))
    url = coordinator.environment["HEFU_COORDINATOR_URL"]
    with (
        CoordinatorClient(url, other, "internal-token") as client,
        pytest.raises(CoordinatorUnreachable, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.startable()


def test_wrong_token_is_a_refusal(coordinator: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("another")
    with CoordinatorClient.from_environment() as client, pytest.raises(CoordinatorRefused) as refusal:
        client.startable()
    assert refusal.value.status == 401


@pytest.mark.parametrize(
    ("status", "error"), [(409, LeaseLost), (500, CoordinatorRefused), (503, CoordinatorUnreachable)]
)
def test_status_tells_what_to_do(coordinator: Any, status: int, error: type[Exception]) -> None:
    coordinator.script.broken = [status]
    with CoordinatorClient.from_environment() as client, pytest.raises(error):
        client.advance(JOB, Stage.COMPUTE, 1)


def test_an_answer_of_another_shape_is_a_refusal(coordinator: Any) -> None:
    coordinator.script.stages = {(JOB, "compute"): [{"state": "perhaps"}]}
    with CoordinatorClient.from_environment() as client, pytest.raises(CoordinatorRefused, match="not a"):
        client.advance(JOB, Stage.COMPUTE, 1)


def test_a_coordinator_that_is_down_is_unreachable(coordinator: Any) -> None:
    coordinator.stop()
    with CoordinatorClient.from_environment() as client, pytest.raises(CoordinatorUnreachable):
        client.startable()


def test_settings_are_read_when_asked_for() -> None:
    with pytest.raises(SettingMissing, match="HEFU_COORDINATOR_URL"):
        CoordinatorClient.from_environment({})
    with pytest.raises(SettingMissing, match="/nowhere"):
        CoordinatorClient.from_environment(
            {"HEFU_COORDINATOR_URL": "https://127.0.0.1:1", "HEFU_COORDINATOR_CERTIFICATE": "/nowhere"}
        )
