"""Stages in threads: whatever a node answers, a stage ends, and says why."""

import time
from typing import Any

import pytest
from hefu.coordinator import jobs, stage_checks
from hefu.coordinator.outcomes import Outcome
from hefu.coordinator.stage_runner import StageRunner
from hefu.domain.job import Stage

pytestmark = pytest.mark.server


def run(office: Any, runner: StageRunner, job_id: str, lease: int, stage: Stage) -> dict[str, Any]:
    """What the stage answers once it is over."""
    for _ in range(100):
        answer = runner.advance(job_id, stage, lease)
        if answer["state"] != "running":
            return answer
        time.sleep(0.05)
    raise AssertionError("the stage does not end")


@pytest.mark.parametrize("evidence", ["no envelope", "AAAA", 7, None, {"payload": ""}])
def test_evidence_that_is_none_ends_the_stage(
    office: Any, days: Any, monkeypatch: pytest.MonkeyPatch, evidence: Any
) -> None:
    """A node that answers garbage must not keep the stage under way for ever."""
    office.everybody().active()
    job = jobs.create(office.ctx, "HF-TEST-1", days(2), by="regulator", reason="manual")
    lease = jobs.take(office.ctx, job.job_id)
    outcome = Outcome(parties=["bank"], evidence=[evidence])
    monkeypatch.setattr(stage_checks, "check_participants", lambda *_: outcome)
    said = run(office, StageRunner(office.ctx), job.job_id, lease, Stage.CHECK_PARTICIPANTS)
    assert said["state"] == "finished"
    assert [f["rule"] for f in said["verdict"]["findings"]] == ["evidence_invalid"]
