"""Automated decisions: clause, fairness measured and limited."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hefu.domain.filings import Filings
from hefu.domain.filings.assessment import FairnessReport
from hefu.domain.rules import automated
from hefu.domain.rules.automated import RULES, fairness
from hefu.domain.rules.matter import Gate, Matter

CLAUSE = {
    "use": "decision",
    "notice": "n",
    "alternative": "a",
    "refusal_channel": "r",
    "fairness": {"group_field": "sex"},
}


def rules_of(world: Any, parity: int | None, rules: Any = RULES, **changes: Any) -> list[str]:
    contract = world.contract(**changes)
    filed = () if parity is None else (
        FairnessReport(issuer="bank", contract_id=contract.contract_id, issued_at=datetime(2026, 3, 1, tzinfo=UTC),
                       group_field="sex", parity_gap_ppm=parity, opportunity_gap_ppm=0, groups=2),
    )  # fmt: skip
    verdict = Gate("K8", "自动化决策", "automated decisions", rules).verdict(
        Matter(contract, Filings.of(filed), {}, date(2026, 3, 2))
    )
    return [f.rule for f in verdict.findings]


def test_clause_and_report(world: Any) -> None:
    assert rules_of(world, None) == []
    assert rules_of(world, None, template="advertising") == ["automated_missing"]
    assert rules_of(world, None, template="advertising", rules=RULES[1:]) == []
    assert rules_of(world, 100_000, automated=CLAUSE) == []
    assert rules_of(world, 100_001, automated=CLAUSE) == ["fairness_parity"]
    assert rules_of(world, 100_001, automated=CLAUSE, rules=RULES[:1]) == []
    assert rules_of(world, None, automated=CLAUSE) == ["fairness_missing"]
    assert rules_of(world, 0, automated={**CLAUSE, "notice": " "}) == ["automated_notice"]


def test_gaps_are_measured() -> None:
    groups = ["a"] * 40 + ["b"] * 40 + ["c"] * 5
    found = fairness([1] * 30 + [0] * 10 + [1] * 20 + [0] * 20 + [0] * 5, [1] * 85, groups)
    assert found == (250_000, 250_000, 2)
    with pytest.raises(ValueError, match="fewer than two groups"):
        fairness([1] * 40, None, ["a"] * 40)


def test_equal_opportunity_has_a_limit_of_its_own(world: Any) -> None:
    def found(gap: int | None, limit: int = 50_000, rules: Any = RULES) -> list[str]:
        clause = {**CLAUSE, "fairness": {"group_field": "sex", "max_opportunity_gap_ppm": limit}}
        contract = world.contract(automated=clause)
        report = FairnessReport(
            issuer="bank", contract_id=contract.contract_id, issued_at=datetime(2026, 3, 1, tzinfo=UTC),
            group_field="sex", parity_gap_ppm=0, opportunity_gap_ppm=gap, groups=2,
        )  # fmt: skip
        matter = Matter(contract, Filings.of([report]), {}, date(2026, 3, 2))
        return [
            f.rule for f in Gate("K8", "自动化决策", "automated decisions", rules).verdict(matter).findings
        ]

    assert found(50_000) == []
    assert found(50_001) == ["fairness_opportunity"]
    assert found(50_001, 50_001) == []
    assert found(50_001, rules=RULES[:1]) == []
    assert found(None) == ["fairness_opportunity"], "what was not measured is not fair"


def test_equal_decisions_may_hide_unequal_opportunity() -> None:
    groups = ["a"] * 60 + ["b"] * 60
    labels = ([1] * 30 + [0] * 30) * 2
    outcomes = [1] * 30 + [0] * 30 + [0] * 30 + [1] * 30
    assert fairness(outcomes, labels, groups) == (0, 1_000_000, 2)
    assert fairness(outcomes, ([1] * 19 + [0] * 41) * 2, groups).opportunity_gap_ppm is None


def test_a_report_about_other_groups_or_over_does_not_count(world: Any) -> None:
    contract = world.contract(automated=CLAUSE)

    def found(**changes: Any) -> list[str]:
        base = {
            "issuer": "bank",
            "contract_id": contract.contract_id,
            "issued_at": datetime(2026, 3, 1, tzinfo=UTC),
            "group_field": "sex",
            "parity_gap_ppm": 0,
            "opportunity_gap_ppm": 0,
            "groups": 2,
        }
        filed = FairnessReport.model_validate({**base, **changes})
        matter = Matter(contract, Filings.of([filed]), {}, date(2026, 3, 2))
        return [f.rule for f in automated.check_fairness(matter)]

    assert found() == []
    assert found(group_field="age") == found(valid_until="2026-03-01") == ["fairness_missing"]
    assert found(contract_id="HF-OTHER-1") == ["fairness_missing"]
