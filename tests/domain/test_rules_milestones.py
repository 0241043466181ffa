"""K3: the project plan as gates, and the trial's limits until acceptance (white paper A, 3.3, fifth point)."""

from datetime import date
from typing import Any

import pytest
from hefu.domain.filings import Filings
from hefu.domain.rules import milestones

PLAN = [
    ("initiation", "2026-03-05"),
    ("midterm_test", "2026-04-01"),
    ("acceptance", "2026-05-01"),
    ("closing", "2026-12-01"),
]
CONFIRMERS = ["regulator", "institution"]


@pytest.fixture
def planned(case: Any) -> Any:
    case.value["milestones"] = [
        {"kind": kind, "due_on": due, "evidence": f"{kind} report", "confirmed_by": CONFIRMERS}
        for kind, due in PLAN
    ]
    case.value["trial"] = {"max_rows": 500, "max_uses": 3}
    case.rows = 400
    confirm(case, "initiation")
    return case


def confirm(case: Any, kind: str, by: tuple[str, ...] = ("regulator", "institution"), **changes: Any) -> None:
    for org in by:
        content = {"milestone": kind, "evidence": "cd" * 32, "passed": True, "note": "", **changes}
        case.file("milestone_confirmation", org, **content)


def test_initiated_and_nothing_due(planned: Any, kit: Any) -> None:
    assert kit.said(milestones.RULES, planned.matter()) == []


@pytest.mark.parametrize("today", [date(2026, 3, 2), date(2026, 3, 10)])
def test_nothing_runs_before_initiation(planned: Any, kit: Any, today: date) -> None:
    """Before its day, and after."""
    planned.drop("milestone_confirmation", "regulator")
    assert kit.said(milestones.RULES, planned.matter(today)) == [("milestone_missing", "block", "regulator")]


@pytest.mark.parametrize(
    "changes",
    [
        {"contract_id": "HF-OTHER-1"},
        {"issuer": "bank"},
        {"milestone": "midterm_test"},
        {"valid_until": "2026-03-09"},
    ],
)
def test_confirmations_that_do_not_count(planned: Any, kit: Any, changes: dict[str, Any]) -> None:
    planned.edit("milestone_confirmation", "regulator", changes)
    assert kit.said(milestones.RULES, planned.matter()) == [("milestone_missing", "block", "regulator")]


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (date(2026, 4, 1), []),  # the day itself is in time
        (date(2026, 4, 2), [("milestone_overdue", "warn", "regulator")]),
    ],
)
def test_midterm_test_overdue_warns(planned: Any, kit: Any, today: date, expected: Any) -> None:
    assert kit.said(milestones.RULES, planned.matter(today)) == expected


def test_acceptance_overdue_blocks(planned: Any, kit: Any) -> None:
    confirm(planned, "midterm_test")
    assert kit.said(milestones.RULES, planned.matter(date(2026, 5, 1))) == []
    assert kit.said(milestones.RULES, planned.matter(date(2026, 5, 2))) == [
        ("milestone_missing", "block", "regulator")
    ]
    confirm(planned, "acceptance")
    assert kit.said(milestones.RULES, planned.matter(date(2026, 5, 2))) == []


def test_a_failed_milestone_blocks_until_its_confirmer_says_otherwise(planned: Any, kit: Any) -> None:
    confirm(planned, "midterm_test", by=("institution",), passed=False)
    assert kit.said(milestones.RULES, planned.matter()) == [("milestone_failed", "block", "institution")]
    confirm(planned, "midterm_test", by=("institution",), issued_at="2026-03-08T00:00:00Z")
    assert kit.said(milestones.RULES, planned.matter()) == []


def test_nothing_runs_after_closing(planned: Any, kit: Any) -> None:
    confirm(planned, "closing", by=("regulator",))
    assert kit.said(milestones.RULES, planned.matter()) == []
    confirm(planned, "closing", by=("institution",))
    assert [f[:2] for f in kit.said(milestones.RULES, planned.matter())] == [("contract_closed", "block")]


def test_closing_overdue_warns(planned: Any, kit: Any) -> None:
    for kind in ("midterm_test", "acceptance"):
        confirm(planned, kind)
    found = kit.said(milestones.RULES, planned.matter(date(2026, 12, 2)))
    assert found == [("milestone_overdue", "warn", "regulator")]


def test_trial_limits_end_with_acceptance(planned: Any) -> None:
    def limits() -> Any:
        return milestones.trial_limits(planned.contract, Filings.of(planned.filed), date(2026, 3, 10))

    assert limits() == (500, 3, True)
    confirm(planned, "acceptance", by=("regulator",))
    assert limits() == (500, 3, True)  # not by all
    confirm(planned, "acceptance", by=("institution",))
    assert limits() == (1_000_000, 100, False)
    planned.value["trial"] = None
    planned.drop("milestone_confirmation", "regulator")
    assert limits() == (1_000_000, 100, False)


def test_a_trial_without_acceptance_milestone_stays_one(planned: Any) -> None:
    planned.value["milestones"] = planned.value["milestones"][:1]
    confirm(planned, "acceptance")
    found = milestones.trial_limits(planned.contract, Filings.of(planned.filed), date(2026, 3, 10))
    assert found.trial


def test_a_trial_never_raises_the_contracts_limits(planned: Any) -> None:
    planned.value["trial"] = {"max_rows": 2_000_000, "max_uses": 1000}
    found = milestones.trial_limits(planned.contract, Filings(), date(2026, 3, 10))
    assert (found.max_rows, found.max_uses) == (1_000_000, 100)


def test_too_many_rows_for_a_trial(planned: Any, kit: Any) -> None:
    planned.rows = 501
    assert [f[:2] for f in kit.said(milestones.RULES, planned.matter())] == [("trial_rows_exceeded", "block")]
    confirm(planned, "acceptance")
    assert kit.said(milestones.RULES, planned.matter()) == []
