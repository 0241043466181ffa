"""K12: anonymity is a judgement with conditions, and no property of the technique (white paper B, 3.2.3; A, 1.2)."""

from typing import Any

import pytest
from hefu.domain.rules import anonymity

ANONYMOUS = {"judgement": "anonymous", "reidentification_test": "cd" * 32, "valid_until": "2036-03-02"}


@pytest.fixture
def judged(case: Any) -> Any:
    """Design S: transmission and computation on shares of independent parties, judged anonymous with all conditions."""
    case.step["parameters"]["design"] = "S"
    case.judge("transmission")
    case.judge("computation", **ANONYMOUS)
    return case


def test_all_conditions_are_met(judged: Any, kit: Any) -> None:
    """Ten years to the day are the longest term."""
    assert kit.said(anonymity.RULES, judged.matter()) == []


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"reidentification_test": None}, "no_reidentification_test"),
        ({"valid_until": None}, "judgement_term_too_long"),
        ({"valid_until": "2036-03-03"}, "judgement_term_too_long"),
        ({"key_custody": "  "}, "judgement_incomplete"),
        ({"collusion_assumption": "  "}, "judgement_incomplete"),
        ({"conditions": "  "}, "judgement_incomplete"),
        ({"assessor": " "}, "judgement_incomplete"),
        ({"conditions": "采用多方安全计算，等同于匿名化"}, "judgement_equates_technique"),
        ({"conditions": "MPC is anonymisation"}, "judgement_equates_technique"),
    ],
)
def test_one_condition_missing(judged: Any, kit: Any, changes: dict[str, Any], rule: str) -> None:
    judged.edit("stage_judgement", "institution", changes, stage="computation")
    assert kit.said(anonymity.RULES, judged.matter()) == [(rule, "block", "institution")]


@pytest.mark.parametrize("judgement", ["personal", "de_identified"])
def test_only_anonymous_asks_for_the_test_and_the_term(judged: Any, kit: Any, judgement: str) -> None:
    changes = {"judgement": judgement, "reidentification_test": None, "valid_until": None}
    judged.edit("stage_judgement", "institution", changes, stage="computation")
    assert kit.said(anonymity.RULES, judged.matter()) == []


@pytest.mark.parametrize("pair", [("operator", "bank"), ("operator", "exchange"), ("bank", "exchange")])
def test_shares_at_parties_under_common_control_are_not_anonymous(
    judged: Any, kit: Any, pair: tuple[str, str]
) -> None:
    """Any two of three restore what the shares hide; a shell company in between changes nothing."""
    judged.edit("admission_dossier", pair[0], {"controlling_shareholder": "甲控股"})
    judged.edit("admission_dossier", pair[1], {"controlling_shareholder": "甲控股"})
    found = kit.said(anonymity.RULES, judged.matter())
    assert found[0] == ("anonymous_despite_common_control", "block", "institution")
    judged.edit("stage_judgement", "institution", {"judgement": "personal"}, stage="computation")
    assert kit.said(anonymity.RULES, judged.matter()) == []


def test_an_unknown_compute_party_may_be_anybodys(judged: Any, kit: Any) -> None:
    del judged.applications["exchange"]
    assert ("anonymous_despite_common_control", "block", "institution") in kit.said(
        anonymity.RULES, judged.matter()
    )


@pytest.mark.parametrize("stage", ["transmission", "computation", "result"])
def test_pseudonyms_and_row_results_are_not_anonymous(judged: Any, kit: Any, stage: str) -> None:
    judged.step["parameters"]["design"] = "F"
    judged.drop("stage_judgement")
    judged.judge(stage, **ANONYMOUS)
    assert kit.said(anonymity.RULES, judged.matter()) == [("anonymous_despite_risk", "block", "institution")]


@pytest.mark.parametrize("changes", [{"issuer": "operator"}, {"contract_id": "HF-OTHER-1"}])
def test_judgements_that_do_not_count_are_not_judged(judged: Any, kit: Any, changes: dict[str, Any]) -> None:
    judged.judge("result", **{**ANONYMOUS, **changes})
    assert kit.said(anonymity.RULES, judged.matter()) == []


def test_the_newest_word_of_an_assessor_counts(judged: Any, kit: Any) -> None:
    changes = {"reidentification_test": None}
    judged.edit("stage_judgement", "institution", changes, stage="computation")
    judged.judge("computation", issued_at="2026-03-08T00:00:00Z")
    assert kit.said(anonymity.RULES, judged.matter()) == []


@pytest.mark.parametrize("terms", [None, {"valid_days": None, "addresses": []}])
@pytest.mark.parametrize("judgement", [None, "personal", "de_identified"])
def test_a_personal_result_keeps_its_terms(case: Any, kit: Any, terms: Any, judgement: str | None) -> None:
    if judgement:
        case.judge("result", judgement=judgement)
    assert kit.said(anonymity.RULES, case.matter()) == []
    case.output["use_terms"] = terms
    assert kit.said(anonymity.RULES, case.matter()) == [("result_without_use_terms", "block", "regulator")]
    case.output["use_terms"] = {"addresses": ["10.0.0.0/8"]}
    assert kit.said(anonymity.RULES, case.matter()) == []


def test_an_anonymous_statistic_needs_no_terms(case: Any, kit: Any) -> None:
    """Twenty people or more, tested, for a term."""
    case.step.update(
        component="aggregate",
        parameters={
            "subject": "party_id",
            "group_by": [{"field": "serial", "categories": ["a"]}],
            "release": ["count"],
        },
    )
    case.output.update(form="group_statistics", min_group_size=20, max_output_rows=10, use_terms=None)
    case.judge("result", **ANONYMOUS)
    assert kit.said(anonymity.RULES, case.matter()) == []
    case.judge("result", issuer="auditor", judgement="de_identified")  # they disagree
    assert kit.said(anonymity.RULES, case.matter()) == [("result_without_use_terms", "block", "regulator")]
