"""Calendar periods in the business time zone: when the current day, week, month or year began."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Period = Literal["day", "week", "month", "year"]
BUSINESS_ZONE = ZoneInfo("Asia/Shanghai")


def period_start(period: Period, moment: datetime) -> datetime:
    """The first moment of the calendar period that holds `moment`; weeks begin on Monday."""
    day = moment.astimezone(BUSINESS_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)
