"""The scheduled compliance flows: each asks the coordinator once, hands its verdict on, and logs counts and rules, no words."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hefu_flows import due_soon, reevaluation, retention, runner, stages
from hefu_flows.errors import CoordinatorRefused, SettingMissing
from hefu_flows.settings import SCHEDULES, compliance_crons

FLOWS = [
    ("retention", retention, "sweep_every_node", retention.delete_what_is_due),
    ("reevaluation", reevaluation, "compare_with_assessments", reevaluation.reevaluate),
    ("due-soon", due_soon, "ask_what_ends_soon", due_soon.look_ahead),
]
TASKS = [getattr(module, task) for _, module, task, _ in FLOWS]
WORDS = "planted words of a finding"


@pytest.fixture(autouse=True)
def plain_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks as the functions they are: no Prefect server."""
    for _, module, task, _flow in FLOWS:
        monkeypatch.setattr(module, task, getattr(module, task).fn)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    logger = logging.getLogger("prefect.hefu")
    logger.addHandler(caplog.handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    yield caplog
    logger.setLevel(before)
    logger.removeHandler(caplog.handler)


def answer(severity: str) -> dict[str, Any]:
    finding = {"rule": "planted_rule", "severity": severity, "message_zh": WORDS, "message_en": WORDS}
    return {
        "counts": {"nodes": 6},
        "verdict": {"stage": "planted", "passed": severity != "block", "findings": [finding]},
    }


@pytest.mark.parametrize(("name", "flow"), [(name, flow) for name, _, _, flow in FLOWS])
@pytest.mark.parametrize(("severity", "passed"), [("warn", True), ("block", False)])
def test_asks_once_and_hands_the_verdict_on(
    coordinator: Any, logged: pytest.LogCaptureFixture, name: str, flow: Any, severity: str, passed: bool
) -> None:
    coordinator.script.reviews = {name: answer(severity)}
    verdict = flow.fn()
    assert (verdict.stage, verdict.passed) == ("planted", passed)
    assert coordinator.script.asked == [name]
    assert "nodes 6" in logged.text
    assert "planted_rule 1" in logged.text
    assert WORDS not in logged.text


@pytest.mark.parametrize("flow", [flow for *_, flow in FLOWS])
def test_a_refusal_is_a_broken_promise(coordinator: Any, flow: Any) -> None:
    coordinator.script.broken = [500]
    with pytest.raises(CoordinatorRefused):
        flow.fn()


def test_nothing_of_a_flow_is_kept_and_only_silence_is_tried_again() -> None:
    for _, _, _, flow in FLOWS:
        assert flow.persist_result is False
    assert {name for name, *_ in FLOWS} == set(runner.PERIODIC) == set(SCHEDULES)
    assert [runner.PERIODIC[name] for name, *_ in FLOWS] == [flow for *_, flow in FLOWS]
    for task in TASKS:
        assert task.retry_condition_fn is stages.unreachable
        assert task.persist_result is False


def test_the_environment_moves_a_schedule() -> None:
    usual = compliance_crons({})
    assert usual == {"retention": "20 4 * * *", "reevaluation": "40 4 * * 1", "due-soon": "0 7 * * *"}
    moved = compliance_crons({"HEFU_REEVALUATION_CRON": "0 3 * * *"})
    assert moved == {**usual, "reevaluation": "0 3 * * *"}
    with pytest.raises(SettingMissing, match="HEFU_RETENTION_CRON"):
        compliance_crons({"HEFU_RETENTION_CRON": "daily"})
