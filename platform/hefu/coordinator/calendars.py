"""Run days, with the operator's own year tables where the published calendar does not know a year.

The tables lie in the coordinator's folder as `calendar-<year>.json`: `{"year", "holidays", "makeup_workdays"}`, read at every
question, so that a table loaded today counts today.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from hefu.domain.businessdays import CalendarError, CalendarUnknown, YearTable, is_run_day, next_runs
from hefu.domain.contract import Schedule
from hefu.domain.errors import DomainError


def tables(root: Path) -> list[YearTable]:
    """The operator's tables. Raises DomainError naming the file that cannot be read."""
    found = []
    for path in sorted(root.glob("calendar-*.json")):
        try:
            found.append(YearTable.model_validate_json(path.read_bytes()))
        except ValueError as error:
            raise DomainError(f"{path.name}: not a calendar: {error}") from error
    return found


def why_not_today(root: Path, schedule: Schedule, today: date) -> str | None:
    """Why a schedule does not run today, in both languages; None when it does."""
    try:
        if is_run_day(today, schedule.run_days, tables(root)):
            return None
    except CalendarUnknown as unknown:
        finding = unknown.finding()
        return f"{finding.message_zh}；{finding.mend_zh} / {finding.message_en}; {finding.mend_en}"
    return f"{today} 不是运行日 / is not a run day ({schedule.run_days})"


def coming_runs(
    root: Path, schedule: Schedule, cron: str, start: datetime, count: int = 10
) -> list[datetime]:
    """The next starts, as far as the calendar is known."""
    known = tables(root)
    for wanted in range(count, 0, -1):
        try:
            return next_runs(cron, schedule.time_zone, schedule.run_days, start, wanted, known)
        except CalendarError:
            continue
    return []
