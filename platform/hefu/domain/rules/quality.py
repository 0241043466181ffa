"""K4, data quality 数据质量: figures that an owner's node measured, against the contract's rules (white paper A, 3.4).

Pure: the node measures, this judges. Whatever a rule asks for and nobody measured counts as not met. Findings wait: the
owner may bring better data before the cut-off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hefu.domain.contract import ContractDataSet
from hefu.domain.rules.say import wait
from hefu.domain.verdict import Finding

MILLION = 1_000_000


@dataclass(frozen=True)
class QualityFigures:
    """What was measured on one data set's rows of one day; never a row itself.

    nulls, duplicates  field -> rows without a value; rows whose value stood before
    minimum, maximum   field -> least and greatest value in its own unit (cents for money); None where no row has one
    age_days           business days between the newest row and the job's day; None: not known
    previous_rows      rows of the last run; None: this is the first
    """

    rows: int
    nulls: Mapping[str, int] = field(default_factory=dict)
    duplicates: Mapping[str, int] = field(default_factory=dict)
    minimum: Mapping[str, int | None] = field(default_factory=dict)
    maximum: Mapping[str, int | None] = field(default_factory=dict)
    age_days: int | None = None
    previous_rows: int | None = None


def judge_quality(data_set: ContractDataSet, figures: QualityFigures) -> Iterator[Finding]:
    """Findings (all waiting) where the figures miss the contract's rules; each names field, seen and limit."""
    rules = data_set.quality
    if rules is None:
        return

    def delay(rule: str, what: str, zh: str, seen: object, limit: object) -> Finding:
        return wait(
            rule,
            "K4",
            f"数据集 {data_set.data_set_id} 的 {what} {zh}：{seen}，合约要求 {limit}",
            f"data set {data_set.data_set_id}, {what}: {rule.replace('_', ' ')}: {seen}, the contract asks for {limit}",
            party=data_set.owner,
            seen=f"{what}: {seen}",
            expected=f"{what}: {limit}",
            mend_zh="在截止时间前修正并重新提供数据",
            mend_en="correct the data and bring it again before the cut-off",
            source="WP-A 3.4",
            law=("pipl-8",),
        )

    if rules.max_null_ppm is not None:
        for column in data_set.fields:
            nulls = figures.nulls.get(column.name)
            if nulls is None:
                yield delay(
                    "null_share", column.name, "空值率未测得", "not measured", f"<= {rules.max_null_ppm} ppm"
                )
            elif nulls * MILLION > rules.max_null_ppm * figures.rows:
                share = nulls * MILLION // max(figures.rows, 1)
                yield delay(
                    "null_share", column.name, "空值率过高", f"{share} ppm", f"<= {rules.max_null_ppm} ppm"
                )
    for name in rules.unique_fields:
        duplicates = figures.duplicates.get(name)
        if duplicates != 0:
            yield delay(
                "not_unique",
                name,
                "存在重复值",
                "not measured" if duplicates is None else f"{duplicates} duplicates",
                "0 duplicates",
            )
    for allowed in rules.ranges:
        for name, bound, measured in (
            ("minimum", allowed.minimum, figures.minimum),
            ("maximum", allowed.maximum, figures.maximum),
        ):
            if bound is None:
                continue
            limit = f"{'>=' if name == 'minimum' else '<='} {bound}"
            if allowed.field not in measured:
                yield delay("out_of_range", allowed.field, "取值未测得", "not measured", limit)
                continue
            value = measured[allowed.field]
            if value is not None and (value < bound if name == "minimum" else value > bound):
                yield delay("out_of_range", allowed.field, "超出取值范围", value, limit)
    if rules.max_age_days is not None and (figures.age_days is None or figures.age_days > rules.max_age_days):
        seen = "not measured" if figures.age_days is None else f"{figures.age_days} days"
        yield delay("too_old", "freshness", "数据过旧", seen, f"<= {rules.max_age_days} days")
    if rules.max_volume_drift_ppm is not None and figures.previous_rows is not None:
        moved = abs(figures.rows - figures.previous_rows)
        if moved * MILLION > rules.max_volume_drift_ppm * figures.previous_rows:
            by = f"{moved * MILLION // figures.previous_rows} ppm" if figures.previous_rows else "from none"
            yield delay(
                "volume_drift",
                "volume",
                "数据量较上期变化过大",
                f"{by} ({figures.previous_rows} -> {figures.rows})",
                f"<= {rules.max_volume_drift_ppm} ppm",
            )
