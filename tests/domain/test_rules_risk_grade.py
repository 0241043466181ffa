"""K11: the grades of white paper B, 3.2.2 on the Estonian case and on reconciliation, and what follows from them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hefu.domain.dataset import IdentifierClass
from hefu.domain.rules import risk_grade
from hefu.domain.rules.exposure import VERY_LARGE_LINES, Exposure, Form, grade_exposure
from hefu.domain.rules.stage_grades import combine
from hefu.domain.verdict import Severity

GOLDEN = Path(__file__).with_name("golden")
ESTONIA = json.loads((GOLDEN / "risk-estonia.json").read_text(encoding="utf-8"))["cases"]
RECONCILE = json.loads((GOLDEN / "risk-reconcile.json").read_text(encoding="utf-8"))["cases"]


def as_golden(grades: Any) -> dict[str, Any]:
    return {
        "stages": {s.stage: s.level.value for s in grades.stages},
        "overall": grades.overall.value,
        "weakest": list(grades.weakest),
    }


@pytest.mark.parametrize("golden", ESTONIA, ids=lambda g: g["name"][:40])
def test_the_estonian_case(golden: dict[str, Any]) -> None:
    seen = [
        Exposure(**{**e, "form": Form(e["form"]), "identifier": IdentifierClass(e["identifier"])})
        for e in golden["exposures"]
    ]
    assert as_golden(combine(seen)) == {k: golden[k] for k in ("stages", "overall", "weakest")}


@pytest.mark.parametrize("golden", RECONCILE, ids=lambda g: g["design"])
def test_reconciliation(case: Any, golden: dict[str, Any]) -> None:
    case.step["parameters"]["design"] = golden["design"]
    found = risk_grade.grade(case.contract, case.applications, 1000)
    assert as_golden(found) == {k: golden[k] for k in ("stages", "overall", "weakest")}
    for stage in found.stages:
        assert all(g.zh and g.en for g in stage.worst)
        assert all(bool(g.lower_zh) == (g.level.value != "low") for g in stage.graded)


def seen(form: Form, identifier: str = "direct", lines: int = 1000, **rest: Any) -> Any:
    return grade_exposure(Exposure("computation", form, "x", IdentifierClass(identifier), lines, **rest))


@pytest.mark.parametrize(
    ("form", "identifier", "rest", "level"),
    [
        (Form.PLAIN, "direct", {}, "high"),
        (Form.PLAIN, "quasi", {}, "medium"),
        (Form.PLAIN, "none", {}, "low"),
        (Form.HASH, "direct", {}, "high"),  # enumerable
        (Form.GENERALISED, "direct", {}, "medium"),
        (Form.PSEUDONYM, "direct", {}, "medium"),
        (Form.PSEUDONYM, "none", {}, "low"),
        (Form.PSEUDONYM, "direct", {"key_with_viewer": True}, "high"),
        (Form.PSEUDONYM, "quasi", {"key_with_viewer": True}, "medium"),
        (Form.STRONGLY_TREATED, "direct", {}, "low"),
        (Form.STATISTICS, "direct", {"people": 20}, "low"),
        (Form.STATISTICS, "direct", {"people": 19}, "medium"),
        (Form.STATISTICS, "direct", {}, "medium"),  # nobody says over how many
        (Form.MODEL, "direct", {}, "medium"),
        (Form.MODEL, "direct", {"protected": True}, "low"),
        (Form.CIPHERTEXT, "direct", {}, "low"),
        (Form.CIPHERTEXT, "direct", {"key_with_viewer": True}, "high"),
        (Form.CIPHERTEXT, "quasi", {"key_with_viewer": True}, "medium"),
        (Form.SHARES, "direct", {}, "low"),
        (Form.SHARES, "direct", {"colluding": True}, "high"),
        (Form.SHARES, "quasi", {"colluding": True}, "medium"),
        (Form.SHARES, "direct", {"colluding": True, "underneath": Form.PSEUDONYM}, "medium"),
        (
            Form.SHARES,
            "direct",
            {"colluding": True, "key_with_viewer": True, "underneath": Form.PSEUDONYM},
            "high",
        ),
        (Form.ROW_REFERENCE, "none", {}, "medium"),
    ],
)
def test_table(form: Form, identifier: str, rest: dict[str, Any], level: str) -> None:
    assert seen(form, identifier, **rest).level.value == level


@pytest.mark.parametrize(
    ("form", "rest", "raised"),
    [
        (Form.STATISTICS, {"people": 20}, "medium"),
        (Form.STRONGLY_TREATED, {}, "medium"),
        (Form.PSEUDONYM, {}, "high"),
        (Form.GENERALISED, {}, "high"),
        (Form.ROW_REFERENCE, {}, "high"),
        (Form.SHARES, {}, "low"),  # neither statistics nor de-identified
        (Form.CIPHERTEXT, {}, "low"),
        (Form.PLAIN, {}, "high"),
    ],
)
def test_very_large_volume(form: Form, rest: dict[str, Any], raised: str) -> None:
    assert seen(form, lines=VERY_LARGE_LINES, **rest).level.value == raised
    below = seen(form, lines=VERY_LARGE_LINES - 1, **rest)
    assert below.level.value == seen(form, lines=1, **rest).level.value


def test_nothing_exposed_is_low() -> None:
    assert combine([]).overall.value == "low"


# -- of contracts


def levels(case: Any) -> tuple[str, str, str]:
    found = risk_grade.grades_of(case.matter())
    return tuple(s.level.value for s in found.stages)  # type: ignore[return-value]  # three stages


def design_s(case: Any) -> None:
    case.step["parameters"]["design"] = "S"


def test_collusion_brings_shares_back(case: Any) -> None:
    design_s(case)
    case.declare("exchange", affiliates=("operator",))
    # the bank computes as N1 and holds the keys of the tokens: with the other two it may test every identifier
    assert levels(case) == ("high", "high", "medium")
    del case.applications["exchange"]  # nobody knows
    assert levels(case) == ("high", "high", "medium")


def test_a_viewer_with_the_key(case: Any) -> None:
    case.declare("exchange", affiliates=("institution",))  # N2 under common control with an owner
    assert levels(case) == ("high", "high", "medium")


def test_volume_of_the_job_or_of_the_contract(case: Any) -> None:
    case.rows = VERY_LARGE_LINES
    assert levels(case) == ("high", "high", "high")
    case.rows = None  # what the contract allows
    assert levels(case) == ("medium", "medium", "medium")
    case.value["limits"]["max_rows"] = VERY_LARGE_LINES
    assert levels(case) == ("high", "high", "high")


def test_an_identifier_among_the_results_columns(case: Any) -> None:
    case.output["columns"] = [{"name": "party_id", "kind": "reference"}]
    assert levels(case) == ("medium", "medium", "high")


def statistics(case: Any) -> None:
    """Joint statistics on shares: low from end to end."""
    case.step.update(
        component="aggregate",
        parameters={
            "subject": "party_id",
            "group_by": [{"field": "serial", "categories": ["a", "b"]}],
            "value": "amount",
            "release": ["sum"],
        },
    )
    case.output.update(form="group_statistics", min_group_size=20, max_output_rows=100)


def test_joint_statistics_are_low(case: Any) -> None:
    statistics(case)
    assert levels(case) == ("low", "low", "low")
    case.rows = 1_060_000_000
    assert levels(case) == ("low", "low", "low")  # a hundred lines
    case.output["max_output_rows"] = None
    assert levels(case) == ("low", "low", "medium")  # fifty million groups of twenty


@pytest.mark.parametrize(
    ("form", "rest", "level"),
    [
        ("matches", {}, "medium"),
        ("decision", {}, "medium"),
        ("model", {}, "medium"),
        ("model", {"epsilon_milli": 1000}, "low"),
    ],
)
def test_other_forms_of_result(case: Any, form: str, rest: dict[str, Any], level: str) -> None:
    case.output.update(form=form, **rest)
    assert levels(case)[2] == level


def test_a_component_that_nobody_described_is_high(case: Any) -> None:
    case.step["component"] = "mystery"
    assert levels(case)[:2] == ("high", "high")


# -- what follows


def test_a_statute_stands_in_the_place_of_consent_and_says_so(case: Any, kit: Any) -> None:
    assert kit.said(risk_grade.RULES, case.matter()) == []
    notes = [f for f in risk_grade.check_risk(case.matter()) if f.severity is Severity.NOTE]
    assert [f.rule for f in notes].count("statute_in_place_of_consent") == 6
    assert "替代明示同意" in notes[1].message_zh


CONSENT = {
    "collector": "institution",
    "notice_digest": "cd" * 32,
    "notice_version": "1",
    "kinds": ["explicit"],
    "participants": ["institution", "bank", "operator", "exchange", "regulator"],
    "operations": ["use", "provide"],
    "purposes": ["supervisory_reconciliation"],
    "obtained_on": "2026-01-01",
}


@pytest.mark.parametrize("kind", ["explicit", "separate", "written"])
def test_explicit_consent_will_do(case: Any, kit: Any, kind: str) -> None:
    case.data_set().update(legal_basis="consent", consents=[{**CONSENT, "kinds": [kind]}])
    assert kit.said(risk_grade.RULES, case.matter()) == []


BLOCKED = ("risk_without_explicit_consent", "block", "institution")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda c: c.data_set().update(legal_basis="consent"),
        lambda c: c.data_set().update(legal_basis="consent", consents=[{**CONSENT, "kinds": ["general"]}]),
        lambda c: c.data_set().update(
            legal_basis="consent", consents=[{**CONSENT, "purposes": ["marketing"]}]
        ),
        lambda c: c.data_set().update(
            legal_basis="consent", consents=[{**CONSENT, "expires_on": "2026-03-09"}]
        ),
        lambda c: c.data_set().update(
            legal_basis="consent", consents=[{**CONSENT, "obtained_on": "2026-03-11"}]
        ),
        lambda c: c.data_set().update(legal_basis="contract"),  # no other basis does
        lambda c: c.value["mandate"].update(supervised=["bank"]),  # the statute does not name this owner
    ],
)
def test_medium_risk_without_explicit_consent(case: Any, kit: Any, spoil: Any) -> None:
    spoil(case)
    assert kit.said(risk_grade.RULES, case.matter()) == [BLOCKED] * 3  # once per stage
    found = kit.caught(risk_grade.RULES, case.matter())
    assert "秘密分享" in found[0].mend_zh  # which technique lowers the stage
    assert "secret sharing" in found[1].mend_en
    assert "20 人" in found[2].mend_zh


def test_a_stronger_technique_opens_the_gate(case: Any, kit: Any) -> None:
    """Without consent or statute: refused; on shares with statistics out, and judged: passed."""
    case.value["mandate"] = None
    assert {f[0] for f in kit.said(risk_grade.RULES, case.matter())} == {"risk_without_explicit_consent"}
    statistics(case)
    for stage in ("transmission", "computation", "result"):
        case.judge(stage)
    assert kit.said(risk_grade.RULES, case.matter()) == []


@pytest.mark.parametrize("stage", ["transmission", "computation"])
def test_low_risk_asks_for_a_judgement(case: Any, kit: Any, stage: str) -> None:
    design_s(case)
    for one in ("transmission", "computation"):
        case.judge(one)
    assert kit.said(risk_grade.RULES, case.matter()) == []
    case.drop("stage_judgement", stage=stage)
    missing = [("stage_not_judged", "block", None)]
    assert kit.said(risk_grade.RULES, case.matter()) == missing
    for changes in (
        {"valid_until": "2026-03-09"},
        {"contract_id": "HF-OTHER-1"},
        {"issuer": "operator"},  # merely computes
    ):
        case.judge(stage, **changes)
        assert kit.said(risk_grade.RULES, case.matter()) == missing
    case.judge(stage, issuer="auditor")
    assert kit.said(risk_grade.RULES, case.matter()) == []
