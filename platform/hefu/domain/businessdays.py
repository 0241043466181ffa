"""Run days and business days of a T+1 schedule.

Every calendar day is a T: money moves on Saturdays too. A *run day* is a day on which the job starts; a run covers
every day since the last covered one, up to yesterday. A business day is a calendar day in Asia/Shanghai (UTC+8, no
daylight saving since 1991). Working days come from the package `chinese_calendar`, which knows only the years whose
holidays the State Council has published; a later year needs a `YearTable`.

CalendarError
├─ CalendarUnknown    nobody has said which days of the year are working days
└─ CronInvalid        the expression is not a cron expression, or never falls on a run day
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

import chinese_calendar
from croniter import CroniterError, croniter
from pydantic import Field, model_validator

from hefu.domain.document import Document
from hefu.domain.errors import DomainError
from hefu.domain.verdict import Finding, Severity

SHANGHAI = ZoneInfo("Asia/Shanghai")
RunDays = Literal["cn_workdays", "weekdays", "every_day"]

# When no run day comes within five years (a 29 February) or two weeks of one start a minute, none ever will.
_MAX_WAIT = timedelta(days=5 * 366)
_MAX_TICKS = 20_000


class CalendarError(DomainError):
    """The calendar cannot answer."""


class CalendarUnknown(CalendarError):
    """The working days of `year` are not known."""

    def __init__(self, year: int) -> None:
        super().__init__(f"the working days of {year} are not known")
        self.year = year

    def finding(self) -> Finding:
        """The same, for people."""
        return Finding(
            rule="calendar_unknown",
            severity=Severity.BLOCK,
            seen=str(self.year),
            expected="a calendar of that year",
            message_zh=f"尚无{self.year}年的工作日历（节假日安排未发布或未载入）",
            message_en=f"no working-day calendar for {self.year} (not published, or not loaded)",
            mend_zh="由平台方载入该年度的节假日与调休表，或将运行日改为“每日”",
            mend_en="let the operator load that year's table of holidays and make-up workdays, or run every day",
        )


class CronInvalid(CalendarError):
    """The expression is not a cron expression, or never falls on a run day."""


class YearTable(Document):
    """One year's calendar, loaded by the operator: days off on weekdays, workdays on weekends (调休). It wins over the package."""

    year: Annotated[int, Field(ge=2000, le=2200)]
    holidays: tuple[date, ...] = ()
    makeup_workdays: tuple[date, ...] = ()

    @model_validator(mode="after")
    def _of_this_year(self) -> Self:
        if any(day.year != self.year for day in (*self.holidays, *self.makeup_workdays)):
            raise ValueError(f"a day of another year in the table of {self.year}")
        if set(self.holidays) & set(self.makeup_workdays):
            raise ValueError("a day is both holiday and workday")
        return self

    def is_workday(self, day: date) -> bool:
        """Monday to Friday but the holidays, and the make-up workdays."""
        return day in self.makeup_workdays or (day.weekday() < 5 and day not in self.holidays)


def published_workday(day: date) -> bool:
    """Is it a working day in mainland China, make-up workdays included? Raises CalendarUnknown for an unpublished year."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError as error:
        raise CalendarUnknown(day.year) from error


def is_run_day(
    day: date,
    kind: RunDays,
    tables: Iterable[YearTable] = (),
    workday: Callable[[date], bool] = published_workday,
) -> bool:
    """Does a job start on this day? Raises CalendarUnknown for cn_workdays of a year that nobody knows."""
    if kind == "every_day":
        return True
    if kind == "weekdays":
        return day.weekday() < 5
    for table in tables:
        if table.year == day.year:
            return table.is_workday(day)
    return workday(day)


def business_date(moment: datetime) -> date:
    """The business day of a moment: its date in Asia/Shanghai. A time without an offset is Asia/Shanghai's already."""
    return (moment if moment.tzinfo is None else moment.astimezone(SHANGHAI)).date()


def due_days(
    last_covered: date | None, first_day: date, now: datetime, limit: int | None = None
) -> list[date]:
    """Days that a run starting now has to cover: all since the last covered one up to yesterday, oldest first.

    last_covered  None when no day was covered yet
    first_day     the contract's first day; nothing before it is due
    limit         at most so many days, the oldest; None for all
    """
    start = first_day if last_covered is None else max(first_day, last_covered + timedelta(days=1))
    days = (business_date(now) - start).days
    days = days if limit is None else min(days, limit)
    return [start + timedelta(days=i) for i in range(max(days, 0))]


def next_runs(
    cron: str,
    tz: str,
    kind: RunDays,
    start: datetime,
    n: int,
    tables: Iterable[YearTable] = (),
    workday: Callable[[date], bool] = published_workday,
) -> list[datetime]:
    """The next n starts after `start`, in time zone `tz`, on run days only.

    start    a time without an offset is taken as local time of `tz`
    raises   CronInvalid, CalendarUnknown (when the n starts reach into a year that nobody knows)
    """
    zone = ZoneInfo(tz)
    local = start.replace(tzinfo=zone) if start.tzinfo is None else start.astimezone(zone)
    if len(cron.split()) != 5:
        raise CronInvalid(f"{cron!r}: five fields are needed: minute hour day month weekday")
    known = tuple(tables)
    runs: list[datetime] = []
    latest = local
    try:
        ticks = croniter(cron, local)
        for _ in range(_MAX_TICKS):
            if len(runs) == n:
                return runs
            tick: datetime = ticks.get_next(datetime)
            if is_run_day(tick.date(), kind, known, workday):
                runs.append(tick)
                latest = tick
            elif tick - latest > _MAX_WAIT:
                break
    except (CroniterError, ValueError, KeyError) as error:
        raise CronInvalid(f"{cron!r}: {error}") from error
    raise CronInvalid(f"{cron!r}: falls on no run day ({kind})")
