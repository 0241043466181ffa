"""What output clauses must say: each omission is one finding, and without the rule there is none."""

from datetime import date
from typing import Any

import pytest
from hefu.domain.contract import Output
from hefu.domain.filings import Filings
from hefu.domain.rules.matter import Gate, Matter
from hefu.domain.rules.output.clause import RULES

GROUPS = {
    "recipient": "regulator",
    "form": "group_statistics",
    "columns": [{"name": "n", "kind": "count"}],
    "purpose_bound": "监管",
}


def found(contract: Any, rules: Any = RULES) -> list[str]:
    verdict = Gate("K7", "产出结果", "results", rules).verdict(
        Matter(contract, Filings(), {}, date(2026, 3, 2))
    )
    return [f.rule for f in verdict.findings]


def with_output(world: Any, output: dict[str, Any], changes: dict[str, Any], unread: dict[str, Any]) -> Any:
    """`unread` goes past the document's own checks: a rule does not rely on them."""
    contract = world.contract(outputs=[output], **changes)
    only: Output = contract.outputs[0]
    return contract.model_copy(update={"outputs": (only.model_copy(update=unread),)})


def test_contracts_as_they_are_drafted_pass(world: Any) -> None:
    assert found(world.contract()) == []
    assert found(world.contract(outputs=[GROUPS])) == []


BAD = [
    ({**GROUPS, "columns": []}, {}, {}, "output_columns_missing", 0),
    ({**GROUPS, "purpose_bound": " "}, {}, {}, "output_purpose_missing", 0),
    (GROUPS, {}, {"no_reidentification": False}, "output_reidentification", 0),
    (GROUPS, {}, {"recipient": "nobody"}, "output_recipient_no_party", 0),
    (GROUPS, {}, {"min_group_size": 19}, "output_group_size", 1),
    (GROUPS, {"min_set_difference": 19}, {}, "output_set_difference", 1),
    ({**GROUPS, "min_group_size": 50}, {"min_set_difference": 49}, {}, "output_set_difference", 1),
    ({**GROUPS, "form": "matches"}, {}, {}, "output_reviewers_missing", 0),
    ({**GROUPS, "form": "model"}, {}, {}, "output_reviewers_missing", 0),
    ({**GROUPS, "form": "row_status", "recipient": "bank"}, {}, {}, "output_by_row_recipient", 0),
]


@pytest.mark.parametrize(("output", "changes", "unread", "rule", "guard"), BAD)
def test_each_omission_blocks_and_only_the_rule_stops_it(
    world: Any, output: Any, changes: Any, unread: Any, rule: str, guard: int
) -> None:
    contract = with_output(world, output, changes, unread)
    assert found(contract) == [rule]
    assert found(contract, RULES[:guard] + RULES[guard + 1 :]) == []


def test_with_reviewers_matches_may_be_agreed(world: Any) -> None:
    assert found(world.contract(outputs=[{**GROUPS, "form": "matches", "reviewers": ["auditor"]}])) == []
