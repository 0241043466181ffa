"""Data quality 数据质量 at the owner's node, before the input is committed to (K4; white paper A, 3.4; 网络数据安全管理条例).

Figures are counts, bounds and shares: no value of a row but the least and greatest of a number that the contract bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hefu.domain.terms import QualityRules
from hefu.domain.verdict import Finding, Severity

MILLION = 1_000_000


@dataclass(frozen=True)
class QualityFigures:
    """What was measured of one file.

    rows       data rows
    nulls      field → rows without a value
    distinct   field → different values, among rows that have one
    outside    field → values below the minimum, above the maximum, or that are no number
    age_days   from the newest row's day to today; null when no row has a readable day
    usual_rows rows per day lately, rounded; null while there is nothing to compare with
    day_rows   rows of the day
    """

    rows: int
    nulls: Mapping[str, int] = field(default_factory=dict)
    distinct: Mapping[str, int] = field(default_factory=dict)
    outside: Mapping[str, int] = field(default_factory=dict)
    age_days: int | None = None
    usual_rows: int | None = None
    day_rows: int = 0

    def numbers(self) -> dict[str, object]:
        """As they stand in evidence: numbers only."""
        return {
            "rows": self.rows,
            "nulls": dict(self.nulls),
            "distinct": dict(self.distinct),
            "outside": dict(self.outside),
            "age_days": self.age_days,
            "usual_rows": self.usual_rows,
            "day_rows": self.day_rows,
        }


def judge_quality(party: str, rules: QualityRules, figures: QualityFigures) -> list[Finding]:
    """Findings that WAIT, each naming field, figure and limit. What was not measured does not pass."""
    return [
        *_nulls(party, rules, figures),
        *_unique(party, rules, figures),
        *_ranges(party, rules, figures),
        *_fresh(party, rules, figures),
        *_volume(party, rules, figures),
    ]


def _nulls(party: str, rules: QualityRules, seen: QualityFigures) -> Iterator[Finding]:
    if rules.max_null_ppm is None:
        return
    for name, empty in seen.nulls.items():
        if empty * MILLION > rules.max_null_ppm * seen.rows:
            yield _wait(
                "quality_nulls",
                party,
                f"{name}: {_ppm(empty, seen.rows)} ppm",
                f"≤ {rules.max_null_ppm} ppm",
                f"{party} 的字段 {name} 空值率过高",
                f"too many empty values in field {name} of {party}",
            )


def _unique(party: str, rules: QualityRules, seen: QualityFigures) -> Iterator[Finding]:
    for name in rules.unique_fields:
        valued = seen.rows - seen.nulls.get(name, 0)
        distinct = seen.distinct.get(name)
        if distinct is None or distinct < valued:
            yield _wait(
                "quality_unique",
                party,
                f"{name}: {'–' if distinct is None else valued - distinct}",
                f"{name}: 0",
                f"{party} 的字段 {name} 存在重复值",
                f"values of field {name} of {party} stand more than once",
            )


def _ranges(party: str, rules: QualityRules, seen: QualityFigures) -> Iterator[Finding]:
    for limit in rules.ranges:
        outside = seen.outside.get(limit.field)
        if outside is None or outside:
            low = "" if limit.minimum is None else limit.minimum
            high = "" if limit.maximum is None else limit.maximum
            yield _wait(
                "quality_range",
                party,
                f"{limit.field}: {'–' if outside is None else outside}",
                f"{limit.field}: {low}…{high}",
                f"{party} 的字段 {limit.field} 有值超出合约范围",
                f"values of field {limit.field} of {party} are outside the contract's range",
            )


def _fresh(party: str, rules: QualityRules, seen: QualityFigures) -> Iterator[Finding]:
    if rules.max_age_days is None:
        return
    if seen.age_days is None or seen.age_days > rules.max_age_days:
        yield _wait(
            "quality_age",
            party,
            "–" if seen.age_days is None else f"{seen.age_days} d",
            f"≤ {rules.max_age_days} d",
            f"{party} 的数据时效不足",
            f"the data of {party} are too old",
        )


def _volume(party: str, rules: QualityRules, seen: QualityFigures) -> Iterator[Finding]:
    if rules.max_volume_drift_ppm is None or seen.usual_rows is None:
        return  # the first days have nothing to be compared with
    apart = abs(seen.day_rows - seen.usual_rows)
    if apart * MILLION > rules.max_volume_drift_ppm * max(seen.usual_rows, 1):
        yield _wait(
            "quality_volume",
            party,
            f"{seen.day_rows} / {seen.usual_rows}",
            f"± {rules.max_volume_drift_ppm} ppm",
            f"{party} 的数据量与近期相差过大",
            f"the volume of the data of {party} differs too much from lately",
        )


def _ppm(part: int, whole: int) -> int:
    return part * MILLION // max(whole, 1)


def _wait(rule: str, party: str, seen: str, expected: str, zh: str, en: str) -> Finding:
    return Finding(
        rule=rule,
        severity=Severity.WAIT,
        party=party,
        seen=seen,
        expected=expected,
        message_zh=f"{zh}（{seen}，要求 {expected}）",
        message_en=f"{en} ({seen}, allowed {expected})",
        mend_zh=f"请 {party} 核对并改正数据后重新上传",
        mend_en=f"let {party} check and mend the data and upload it again",
        point="K4",
        source="WP-A 3.4",
        law=("pipl-8",),
    )
