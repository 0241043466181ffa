"""Effect evaluation: figures of the period only, and a report in both languages."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hefu.domain.rules.effect import JobSummary, effect_report, evaluate_effect

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 31)


def evaluate(jobs: Any, first: date = FIRST) -> Any:
    return evaluate_effect(
        jobs, [LAST, date(2026, 4, 1)], [FIRST], issuer="auditor", contract_id="HF-TEST-1",
        issued_at=datetime(2026, 4, 1, tzinfo=UTC), first=first, last=LAST,
    )  # fmt: skip


def test_figures_and_report() -> None:
    found = evaluate([
        JobSummary(FIRST, "succeeded", (), 10),
        JobSummary(LAST, "refused", ("output_volume",), 30),
        JobSummary(date(2026, 2, 28), "failed"),
    ])  # fmt: skip
    assert found.jobs == {"succeeded": 1, "refused": 1}
    assert found.refusals == {"output_volume": 1}
    assert (found.incidents, found.complaints, found.median_decision_seconds) == (1, 1, 20)
    assert "成功: 1" in effect_report(found, "zh")
    assert "succeeded: 1" in effect_report(found, "en")
    assert "not measured" in effect_report(evaluate([]), "en")


def test_a_backward_period_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before"):
        evaluate([], first=date(2026, 4, 2))
