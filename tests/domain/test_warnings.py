"""Warning rules: a table of days, the alarms they must and must not raise, and laws."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hefu.domain.warnings import DayFigures, Limits, evaluate, rate_ppm
from hypothesis import given
from hypothesis import strategies as st

DAY = date(2026, 3, 5)
QUIET = DayFigures(DAY, rows=1000, mismatched=0, missing=0, difference_cents=0)
LIMITS = Limits(
    mismatch_rate_ppm=10_000,
    missing_rate_ppm=20_000,
    difference_cents=50_000,
    late_files=2,
    consecutive_days=3,
)


@pytest.mark.parametrize(
    ("day", "rules"),
    [
        (QUIET, []),
        (replace(QUIET, mismatched=10), []),  # at the limit is not above it
        (replace(QUIET, mismatched=11), ["mismatch_rate"]),
        (replace(QUIET, missing=20), []),
        (replace(QUIET, missing=21), ["missing_rate"]),
        (replace(QUIET, difference_cents=50_000), []),
        (replace(QUIET, difference_cents=50_001), ["difference"]),
        (replace(QUIET, difference_cents=None), []),  # not revealed is not zero, and not infinite
        (replace(QUIET, late=("bank",)), []),
        (replace(QUIET, late=("bank", "bank")), ["late_files"]),
        (replace(QUIET, late=("bank", "lender")), ["late_files"]),
        (replace(QUIET, rows=0, late=()), []),
        (
            replace(QUIET, mismatched=500, missing=500, difference_cents=10**9, late=("a", "b", "c")),
            ["mismatch_rate", "missing_rate", "difference", "late_files"],
        ),
    ],
)
def test_one_day(day: DayFigures, rules: list[str]) -> None:
    assert [alarm.rule for alarm in evaluate([day], LIMITS)] == rules


@pytest.mark.parametrize(
    ("bad_days_back", "raised"),
    [
        ([0], False),
        ([0, 1], False),
        ([0, 1, 2], True),
        ([0, 2, 3], False),
        ([1, 2, 3], False),
        ([0, 1, 2, 3], True),
    ],
)
def test_consecutive_days_count_calendar_days_up_to_the_newest(
    bad_days_back: list[int], raised: bool
) -> None:
    days = [
        replace(QUIET, business_date=DAY - timedelta(days=n), mismatched=500 if n in bad_days_back else 0)
        for n in range(4)
    ]
    assert ("consecutive_days" in [alarm.rule for alarm in evaluate(days, LIMITS)]) is raised


def test_a_day_without_result_breaks_the_row() -> None:
    days = [replace(QUIET, business_date=DAY - timedelta(days=n), mismatched=500) for n in (0, 1, 3)]
    assert "consecutive_days" not in [alarm.rule for alarm in evaluate(days, LIMITS)]


def test_late_files_are_no_lasting_breach() -> None:
    days = [replace(QUIET, business_date=DAY - timedelta(days=n), late=("bank", "bank")) for n in range(5)]
    assert [alarm.rule for alarm in evaluate(days, LIMITS)] == ["late_files"]


def test_a_party_is_named_only_when_it_is_alone() -> None:
    assert evaluate([replace(QUIET, late=("bank", "bank"))], LIMITS)[0].party == "bank"
    assert evaluate([replace(QUIET, late=("bank", "lender"))], LIMITS)[0].party is None


def test_messages_say_figure_and_limit_in_both_languages() -> None:
    alarm = evaluate([replace(QUIET, difference_cents=123_456_789)], LIMITS)[0]
    assert alarm.message_zh == "差额合计 1,234,567.89 元，超过预警线 500.00 元"
    assert alarm.message_en == "differences add up to CNY 1,234,567.89, above the limit of 500.00"
    rate = evaluate([replace(QUIET, mismatched=125)], LIMITS)[0]
    assert rate.message_zh == "金额不一致率 12.5%，超过预警线 1%"


def test_no_days_no_alarms() -> None:
    assert evaluate([], LIMITS) == []


def test_only_the_newest_day_raises_whatever_the_order() -> None:
    bad, good = replace(QUIET, mismatched=999), replace(QUIET, business_date=DAY + timedelta(days=1))
    assert evaluate([good, bad], LIMITS) == []


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_mismatches_never_silence_an_alarm(rows: int, mismatched: int, more: int, limit: int) -> None:
    limits = replace(LIMITS, mismatch_rate_ppm=limit)
    fewer = replace(QUIET, rows=rows, mismatched=mismatched)
    rules = {alarm.rule for alarm in evaluate([fewer], limits)}
    assert rules <= {alarm.rule for alarm in evaluate([replace(fewer, mismatched=mismatched + more)], limits)}


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_rate_is_a_rounded_down_share(part: int, whole: int) -> None:
    rate = rate_ppm(part, whole)
    assert rate * whole <= part * 10**6 < (rate + 1) * whole
