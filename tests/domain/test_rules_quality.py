"""K4, data quality: measured figures against the contract's rules, at their limits (white paper A, 3.4)."""

from dataclasses import replace
from typing import Any

import pytest
from hefu.domain.contract import ContractDataSet
from hefu.domain.rules.quality import QualityFigures, judge_quality

FIELDS = ("serial", "party_id", "amount", "occurred_at")
GOOD = QualityFigures(
    rows=1000,
    nulls=dict.fromkeys(FIELDS, 10),  # exactly one per cent
    duplicates={"serial": 0},
    minimum={"amount": 1},
    maximum={"amount": 500_000},
    age_days=2,
    previous_rows=800,
)


@pytest.fixture
def flows(case: Any) -> ContractDataSet:
    case.data_set()["quality"] = {
        "max_null_ppm": 10_000,
        "unique_fields": ["serial"],
        "ranges": [{"field": "amount", "minimum": 1, "maximum": 500_000}],
        "max_age_days": 2,
        "max_volume_drift_ppm": 250_000,
    }
    contract = case.contract
    found: ContractDataSet = contract.data_sets[0]
    return found


def test_at_every_limit(flows: ContractDataSet) -> None:
    assert list(judge_quality(flows, GOOD)) == []


@pytest.mark.parametrize(
    ("changes", "rule", "seen", "expected"),
    [
        ({"nulls": {**GOOD.nulls, "amount": 11}}, "null_share", "amount: 11000 ppm", "amount: <= 10000 ppm"),
        ({"nulls": {f: 0 for f in FIELDS if f != "serial"}}, "null_share", "serial: not measured", ""),
        ({"duplicates": {"serial": 1}}, "not_unique", "serial: 1 duplicates", "serial: 0 duplicates"),
        ({"duplicates": {}}, "not_unique", "serial: not measured", ""),
        ({"minimum": {"amount": 0}}, "out_of_range", "amount: 0", "amount: >= 1"),
        ({"maximum": {"amount": 500_001}}, "out_of_range", "amount: 500001", "amount: <= 500000"),
        ({"maximum": {}}, "out_of_range", "amount: not measured", ""),
        ({"age_days": 3}, "too_old", "freshness: 3 days", "freshness: <= 2 days"),
        ({"age_days": None}, "too_old", "freshness: not measured", ""),
        ({"previous_rows": 799}, "volume_drift", "volume: 251564 ppm (799 -> 1000)", "volume: <= 250000 ppm"),
        ({"previous_rows": 1334}, "volume_drift", "volume: 250374 ppm (1334 -> 1000)", ""),
        ({"previous_rows": 0}, "volume_drift", "volume: from none (0 -> 1000)", ""),
    ],
)
def test_one_figure_wrong(
    flows: ContractDataSet, changes: dict[str, Any], rule: str, seen: str, expected: str
) -> None:
    found = list(judge_quality(flows, replace(GOOD, **changes)))
    assert [(f.rule, f.severity.value, f.party, f.seen) for f in found] == [
        (rule, "wait", "institution", seen)
    ]
    assert not expected or found[0].expected == expected


def test_first_period_and_empty_columns(flows: ContractDataSet) -> None:
    """Nothing to compare with; a column without any value is out of no range (its null share tells)."""
    first = replace(GOOD, previous_rows=None, minimum={"amount": None}, maximum={"amount": None})
    assert list(judge_quality(flows, first)) == []


def test_without_rules_nothing_is_judged(case: Any) -> None:
    contract = case.contract
    assert list(judge_quality(contract.data_sets[0], replace(GOOD, rows=0, nulls={}))) == []
