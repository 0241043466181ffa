"""Automated decisions: clause, fairness measured and limited."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hefu.domain.filings import Filings
from hefu.domain.filings.assessment import FairnessReport
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
