"""K5: two independent organisations passed exactly this code; models and parameters that enter are reviewed (3.2, 3.5)."""

from typing import Any

import pytest
from hefu.domain.rules import component_review as rules


def test_two_reviews_pass(case: Any, kit: Any) -> None:
    assert kit.said(rules.RULES, case.matter()) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.drop("component_review", "exchange"),
        lambda c: c.edit("component_review", "exchange", {"issuer": "auditor"}),  # twice the same
        lambda c: c.edit("component_review", "exchange", {"component": "aggregate"}),
        lambda c: c.edit("component_review", "exchange", {"code_digest": "ab" * 32}),
        lambda c: c.edit("component_review", "exchange", {"engine_version": "0"}),
        lambda c: c.edit("component_review", "exchange", {"valid_until": "2026-03-09"}),
        lambda c: c.edit("component_review", "exchange", {"issuer": "stranger-org"}),
        lambda c: c.declare("exchange", affiliates=("auditor",)),
        lambda c: c.edit("admission_dossier", "exchange", {"affiliates": ["auditor"]}),
        lambda c: [c.declare(o, controlling_shareholder="甲") for o in ("exchange", "auditor")],
    ],
)
def test_one_independent_review_is_not_enough(case: Any, kit: Any, spoil: Any) -> None:
    spoil(case)
    found = kit.caught(rules.RULES, case.matter())
    assert [(f.rule, f.severity.value) for f in found] == [("component_not_reviewed", "block")]
    assert "1 家" in found[0].message_zh
    case.file("component_review", "bank", contract_id=None, **case.review())
    assert kit.said(rules.RULES, case.matter()) == []


def test_anybody_who_failed_it_stops_it(case: Any, kit: Any) -> None:
    case.file(
        "component_review", "bank", contract_id=None, **case.review(passed=False, reasons="缺少边界检查")
    )
    assert kit.said(rules.RULES, case.matter()) == [("component_review_failed", "block", "bank")]
    case.file(
        "component_review", "bank", contract_id=None, issued_at="2026-03-08T00:00:00Z", **case.review()
    )  # its later word
    assert kit.said(rules.RULES, case.matter()) == []


def test_a_failure_of_other_code_is_another_matter(case: Any, kit: Any) -> None:
    case.file(
        "component_review", "bank", contract_id=None, **case.review(passed=False, code_digest="ab" * 32)
    )
    assert kit.said(rules.RULES, case.matter()) == []


MODEL = "ee" * 32


def reviewed(case: Any, issuer: str, **changes: Any) -> None:
    content = {
        "subject": "model",
        "digest_reviewed": MODEL,
        "passed": True,
        "reasons": "",
        "reviewer": "wang",
    }
    case.file("input_review", issuer, **{**content, **changes})


@pytest.mark.parametrize(
    ("key", "subject"), [("model_digest", "model"), ("confidential_parameters", "parameters")]
)
@pytest.mark.parametrize("form", ["digest", "named", "list"])
def test_what_enters_is_reviewed_by_another_than_its_owner(
    case: Any, kit: Any, key: str, subject: str, form: str
) -> None:
    if form == "digest":
        case.party("operator")["roles"] = ["algorithm_provider", "compute_party"]
        value: Any = MODEL
    else:
        value = {"digest": MODEL, "owner": "operator"}
    case.step["parameters"][key] = [value] if form == "list" else value
    assert kit.said(rules.RULES, case.matter()) == [("input_not_reviewed", "block", None)]
    reviewed(case, "operator", subject=subject)  # its owner
    assert kit.said(rules.RULES, case.matter()) == [("input_not_reviewed", "block", None)]
    reviewed(case, "auditor", subject=subject)
    assert kit.said(rules.RULES, case.matter()) == []
    reviewed(case, "bank", subject=subject, passed=False)
    assert kit.said(rules.RULES, case.matter()) == [("input_review_failed", "block", "bank")]


@pytest.mark.parametrize(
    "changes",
    [
        {"digest_reviewed": "ab" * 32},
        {"subject": "parameters"},
        {"contract_id": None},
        {"issuer": "stranger-org"},
    ],
)
def test_input_reviews_that_do_not_count(case: Any, kit: Any, changes: dict[str, Any]) -> None:
    case.step["parameters"]["model_digest"] = {"digest": MODEL, "owner": "operator"}
    reviewed(case, changes.pop("issuer", "auditor"), **changes)
    assert kit.said(rules.RULES, case.matter()) == [("input_not_reviewed", "block", None)]


def test_a_reviewer_under_the_owners_control(case: Any, kit: Any) -> None:
    case.step["parameters"]["model_digest"] = {"digest": MODEL, "owner": "operator"}
    case.declare("regulator", affiliates=("operator",))
    reviewed(case, "regulator")
    assert kit.said(rules.RULES, case.matter()) == [("input_not_reviewed", "block", None)]


def test_a_model_whose_owner_nobody_knows(case: Any, kit: Any) -> None:
    """Without an owner nobody can tell that the reviewer is another."""
    for party in case.value["parties"]:
        party["roles"] = [r for r in party["roles"] if r != "algorithm_provider"]
    case.step["parameters"]["model_digest"] = MODEL
    reviewed(case, "auditor")
    assert kit.said(rules.RULES, case.matter()) == [("input_not_reviewed", "block", None)]
