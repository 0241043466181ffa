"""Every calendar day is a T; run days follow the calendar that the contract names."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hefu.domain.businessdays import (
    SHANGHAI,
    CalendarUnknown,
    CronInvalid,
    RunDays,
    YearTable,
    business_date,
    due_days,
    is_run_day,
    next_runs,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

D = date.fromisoformat


@pytest.mark.parametrize(
    ("day", "cn_workday", "weekday"),
    [
        ("2026-09-30", True, True),
        ("2026-10-01", False, True),  # National Day, a Thursday
        ("2026-10-10", True, False),  # a Saturday worked in exchange (调休)
        ("2026-10-11", False, False),
        ("2026-02-14", True, False),  # make-up Saturday before the Spring Festival
        ("2026-02-17", False, True),  # Spring Festival, a Tuesday
        ("2026-10-12", True, True),
    ],
)
def test_run_days(day: str, cn_workday: bool, weekday: bool) -> None:
    assert is_run_day(D(day), "cn_workdays") is cn_workday
    assert is_run_day(D(day), "weekdays") is weekday
    assert is_run_day(D(day), "every_day")


def test_unknown_year_is_named() -> None:
    with pytest.raises(CalendarUnknown) as caught:
        is_run_day(D("2031-01-02"), "cn_workdays")
    assert caught.value.year == 2031
    finding = caught.value.finding()
    assert finding.rule == "calendar_unknown"
    assert "2031" in finding.message_zh
    assert "2031" in finding.message_en
    assert is_run_day(D("2031-01-04"), "every_day")
    assert not is_run_day(D("2031-01-04"), "weekdays")


def test_a_loaded_table_answers_and_wins() -> None:
    table = YearTable(year=2031, holidays=(D("2031-01-01"),), makeup_workdays=(D("2031-01-04"),))
    answers = {
        d: is_run_day(D(d), "cn_workdays", [table])
        for d in ("2031-01-01", "2031-01-02", "2031-01-04", "2031-01-05")
    }
    assert answers == {"2031-01-01": False, "2031-01-02": True, "2031-01-04": True, "2031-01-05": False}
    known = YearTable(year=2026, holidays=(), makeup_workdays=())
    assert is_run_day(D("2026-10-01"), "cn_workdays", [known])
    with pytest.raises(CalendarUnknown):
        is_run_day(D("2032-01-01"), "cn_workdays", [table])


def test_table_of_another_year_is_refused() -> None:
    with pytest.raises(ValidationError, match="another year"):
        YearTable(year=2031, holidays=(D("2030-12-31"),))
    with pytest.raises(ValidationError, match="both"):
        YearTable(year=2031, holidays=(D("2031-01-04"),), makeup_workdays=(D("2031-01-04"),))


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (datetime(2026, 10, 1, 7, 30, tzinfo=SHANGHAI), "2026-10-01"),
        (datetime(2026, 9, 30, 23, 30, tzinfo=UTC), "2026-10-01"),  # 07:30 in Beijing
        (datetime(2026, 10, 1, 15, 59, 59, tzinfo=UTC), "2026-10-01"),
        (datetime(2026, 10, 1, 16, 0, tzinfo=UTC), "2026-10-02"),
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), "2027-01-01"),
        (datetime(2026, 10, 1, 7, 30), "2026-10-01"),
        (datetime(2026, 7, 1, 0, 30, tzinfo=timezone(timedelta(hours=9))), "2026-06-30"),
    ],
)
def test_business_date(moment: datetime, day: str) -> None:
    assert business_date(moment) == D(day)


@pytest.mark.parametrize(
    ("last", "first", "now", "due"),
    [
        # Monday 02:30 covers Friday, Saturday, Sunday when nobody ran on the weekend
        ("2026-11-19", "2026-01-01", "2026-11-23T02:30", ["2026-11-20", "2026-11-21", "2026-11-22"]),
        # after the golden week: 1 October is a T like any other
        ("2026-09-29", "2026-01-01", "2026-10-08T02:30", ["2026-09-30"] + [f"2026-10-0{i}" for i in range(1, 8)]),
        ("2026-12-30", "2026-01-01", "2027-01-02T00:00", ["2026-12-31", "2027-01-01"]),
        (None, "2026-11-20", "2026-11-22T23:59", ["2026-11-20", "2026-11-21"]),
        (None, "2026-11-22", "2026-11-22T23:59", []),
        ("2026-11-21", "2026-01-01", "2026-11-22T12:00", []),
        ("2026-11-30", "2026-01-01", "2026-11-22T12:00", []),
        ("2026-01-05", "2026-11-20", "2026-11-22T12:00", ["2026-11-20", "2026-11-21"]),
    ],
)  # fmt: skip
def test_due_days(last: str | None, first: str, now: str, due: list[str]) -> None:
    assert due_days(D(last) if last else None, D(first), datetime.fromisoformat(now)) == [D(d) for d in due]


def test_yesterday_is_beijings() -> None:
    evening = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)  # 23 November, 00:30 in Beijing
    assert due_days(D("2026-11-20"), D("2026-01-01"), evening) == [D("2026-11-21"), D("2026-11-22")]
    assert due_days(D("2026-11-19"), D("2026-01-01"), evening, limit=1) == [D("2026-11-20")]


@given(
    st.lists(
        st.datetimes(min_value=datetime(2026, 1, 1), max_value=datetime(2026, 12, 31)),
        min_size=1,
        max_size=12,
    )
)
def test_whenever_it_runs_each_day_is_covered_once(moments: list[datetime]) -> None:
    first, last = D("2026-01-01"), None
    covered: list[date] = []
    for now in sorted(moments):
        days = due_days(last, first, now)
        covered += days
        last = days[-1] if days else last
    yesterday = max(moments).date() - timedelta(days=1)
    assert covered == [first + timedelta(days=i) for i in range((yesterday - first).days + 1)]


@pytest.mark.parametrize(
    ("kind", "runs"),
    [
        ("cn_workdays", ["2026-09-30", "2026-10-08", "2026-10-09", "2026-10-10", "2026-10-12"]),
        ("weekdays", ["2026-09-30", "2026-10-01", "2026-10-02", "2026-10-05", "2026-10-06"]),
        ("every_day", ["2026-09-30", "2026-10-01", "2026-10-02", "2026-10-03", "2026-10-04"]),
    ],
)
def test_next_runs(kind: RunDays, runs: list[str]) -> None:
    found = next_runs("30 2 * * *", "Asia/Shanghai", kind, datetime(2026, 9, 29, 12, 0, tzinfo=UTC), 5)
    assert [f"{r:%Y-%m-%d}" for r in found] == runs
    assert {(r.hour, r.minute, r.utcoffset()) for r in found} == {(2, 30, timedelta(hours=8))}


def test_next_runs_starts_after_now_and_stops_at_an_unknown_year() -> None:
    start = datetime(2026, 12, 30, 2, 30, tzinfo=SHANGHAI)
    assert next_runs("30 2 * * *", "Asia/Shanghai", "every_day", start, 1)[0].date() == D("2026-12-31")
    with pytest.raises(CalendarUnknown):
        next_runs("30 2 * * *", "Asia/Shanghai", "cn_workdays", start, 5, workday=_until_2026)
    table = YearTable(year=2027, holidays=(D("2027-01-01"),))
    found = next_runs("30 2 * * *", "Asia/Shanghai", "cn_workdays", start, 2, [table], workday=_until_2026)
    assert [r.date() for r in found] == [D("2026-12-31"), D("2027-01-04")]


def _until_2026(day: date) -> bool:
    if day.year > 2026:
        raise CalendarUnknown(day.year)
    return day.weekday() < 5


@pytest.mark.parametrize(
    "cron", ["", "61 2 * * *", "30 2 * *", "30 2 * * * *", "30 2 30 2 *", "x y z a b", "30 2 * * 6"]
)
def test_bad_cron_is_an_error_of_ours(cron: str) -> None:
    with pytest.raises(CronInvalid):
        next_runs(cron, "Asia/Shanghai", "weekdays", datetime(2026, 1, 1, tzinfo=UTC), 1)


def test_other_zones_keep_their_wall_clock_over_daylight_saving() -> None:
    found = next_runs("30 6 * * *", "Europe/Berlin", "every_day", datetime(2026, 3, 27, 12, tzinfo=UTC), 3)
    assert [(r.hour, r.minute) for r in found] == [(6, 30)] * 3
