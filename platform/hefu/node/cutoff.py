"""Until when a day's file is in time."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from hefu.domain.businessdays import SHANGHAI, CalendarError, next_runs
from hefu.domain.contract import Contract


def is_late(contract: Contract, day: date, moment: datetime) -> bool:
    """Did a file of business date `day` that came at `moment` miss the contract's cut-off?

    The cut-off counts from the first run that covers the day, or from the day on which the contract came into force
    where that is later (history delivered at the start is not late). Without schedule or calendar nothing is late.
    """
    if contract.schedule is None:
        return False
    schedule = contract.schedule
    end_of_day = datetime.combine(day + timedelta(days=1), time(), SHANGHAI) - timedelta(seconds=1)
    start = max(end_of_day, contract.limits.valid_from.astimezone(SHANGHAI))
    try:
        first_run = next_runs(schedule.cron, schedule.time_zone, schedule.run_days, start, 1)[0]
    except CalendarError:
        return False
    return moment > first_run + timedelta(minutes=schedule.cutoff_minutes)
