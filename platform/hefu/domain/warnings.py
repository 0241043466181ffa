"""Warning rules of the regulator 风险自动化预警 (white paper A, 4.4): figures of some days in, alarms out. Pure.

Rates are parts per million. A limit is exceeded when the figure lies above it; a day without rows has no rate. Amounts of
rows that have no counterpart stay with their owners, so only differences of pairs, where the contract reveals them, count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Rule = Literal["mismatch_rate", "missing_rate", "difference", "late_files", "consecutive_days"]
PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on the regulator wants to be told."""

    mismatch_rate_ppm: int = 10_000
    missing_rate_ppm: int = 10_000
    difference_cents: int = 10_000_000
    late_files: int = 1
    consecutive_days: int = 3


@dataclass(frozen=True, slots=True)
class DayFigures:
    """One reconciled day of one contract.

    rows              reported rows of both sides
    mismatched        rows of both sides whose amounts differ from their counterpart's
    missing           rows of both sides without a counterpart
    difference_cents  sum of the absolute differences of all pairs; None where the contract does not reveal them
    late              owners whose file came late or not at all, one entry per file
    """

    business_date: date
    rows: int
    mismatched: int
    missing: int
    difference_cents: int | None
    late: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alarm:
    """A rule that was broken on a day; `party` where one organisation alone is concerned."""

    rule: Rule
    business_date: date
    message_zh: str
    message_en: str
    party: str | None = None


def evaluate(days: Iterable[DayFigures], limits: Limits) -> list[Alarm]:
    """The alarms of the newest day; the earlier days only say how long it has been going on.

    days  one entry per business date, in any order; empty gives no alarm
    """
    ordered = sorted(days, key=lambda day: day.business_date)
    if not ordered:
        return []
    found = [rule(ordered[-1], limits) for rule in _RULES]
    found.append(_consecutive(ordered, limits))
    return [alarm for alarm in found if alarm is not None]


def rate_ppm(part: int, whole: int) -> int:
    """Parts per million, rounded down; 0 of nothing."""
    return part * PPM // whole if whole else 0


def _mismatch_rate(day: DayFigures, limits: Limits) -> Alarm | None:
    rate = rate_ppm(day.mismatched, day.rows)
    if rate <= limits.mismatch_rate_ppm:
        return None
    shown, limit = _percent(rate), _percent(limits.mismatch_rate_ppm)
    return Alarm(
        "mismatch_rate",
        day.business_date,
        f"金额不一致率 {shown}，超过预警线 {limit}",
        f"{shown} of the rows differ in amount, above the limit of {limit}",
    )


def _missing_rate(day: DayFigures, limits: Limits) -> Alarm | None:
    rate = rate_ppm(day.missing, day.rows)
    if rate <= limits.missing_rate_ppm:
        return None
    shown, limit = _percent(rate), _percent(limits.missing_rate_ppm)
    return Alarm(
        "missing_rate",
        day.business_date,
        f"无对应记录的比例 {shown}，超过预警线 {limit}",
        f"{shown} of the rows have no counterpart, above the limit of {limit}",
    )


def _difference(day: DayFigures, limits: Limits) -> Alarm | None:
    if day.difference_cents is None or day.difference_cents <= limits.difference_cents:
        return None
    shown, limit = _yuan(day.difference_cents), _yuan(limits.difference_cents)
    return Alarm(
        "difference",
        day.business_date,
        f"差额合计 {shown} 元，超过预警线 {limit} 元",
        f"differences add up to CNY {shown}, above the limit of {limit}",
    )


def _late_files(day: DayFigures, limits: Limits) -> Alarm | None:
    if not day.late or len(day.late) < limits.late_files:
        return None
    owners = list(dict.fromkeys(day.late))
    return Alarm(
        "late_files",
        day.business_date,
        f"迟报或缺报文件 {len(day.late)} 份：{'、'.join(owners)}",
        f"{len(day.late)} file(s) late or missing: {', '.join(owners)}",
        party=owners[0] if len(owners) == 1 else None,
    )


_RULES: tuple[Callable[[DayFigures, Limits], Alarm | None], ...] = (
    _mismatch_rate,
    _missing_rate,
    _difference,
    _late_files,
)
_LASTING = _RULES[:3]  # a late file is a matter of that day


def _consecutive(ordered: Sequence[DayFigures], limits: Limits) -> Alarm | None:
    lasted, expected = 0, ordered[-1].business_date
    for day in reversed(ordered):
        if day.business_date != expected or not any(rule(day, limits) for rule in _LASTING):
            break
        lasted += 1
        expected -= timedelta(days=1)
    if lasted < limits.consecutive_days:
        return None
    return Alarm(
        "consecutive_days",
        ordered[-1].business_date,
        f"已连续 {lasted} 日超过预警线",
        f"limits were exceeded on {lasted} days in a row",
    )


def _percent(ppm: int) -> str:
    return f"{ppm // 10_000}.{ppm % 10_000:04d}".rstrip("0").rstrip(".") + "%"


def _yuan(cents: int) -> str:
    return f"{cents // 100:,}.{cents % 100:02d}"
