"""K3, admission: criteria per role, third parties, the risk notice, common control (white paper A, 3.3)."""

from datetime import date
from typing import Any

import pytest
from hefu.domain.filings.admission import AdmissionDossier
from hefu.domain.identity import Role
from hefu.domain.positions import control_groups, under_common_control
from hefu.domain.rules import admission, exaggeration
from hefu.domain.rules.dossier import required_level, review_dossier
from hefu.node import clauses


def dossier(**changes: Any) -> Any:
    return lambda c: c.edit("admission_dossier", "bank", changes)


def test_a_compliant_contract_passes(case: Any, kit: Any) -> None:
    assert kit.said(admission.RULES, case.matter()) == []


@pytest.mark.parametrize(
    ("spoil", "rule", "severity"),
    [
        (lambda c: c.drop("admission_dossier", "bank"), "dossier_missing", "block"),
        (dossier(valid_until="2026-03-09"), "dossier_missing", "block"),
        (dossier(valid_until="2026-03-10"), "dossier_expires_soon", "warn"),
        (dossier(contract_id="HF-OTHER-1"), "dossier_missing", "block"),
        (dossier(mlps_level=2), "mlps_level_too_low", "block"),
        (dossier(mlps_expires_on="2026-03-09"), "mlps_expired", "block"),
        (dossier(mlps_expires_on="2026-03-10"), "mlps_expires_soon", "warn"),
        (dossier(mlps_expires_on="2026-04-09"), "mlps_expires_soon", "warn"),
        (dossier(pi_officer=" "), "pi_officer_missing", "block"),
        (dossier(pi_officer_contact=" "), "pi_officer_missing", "block"),
        (dossier(last_training_on="2025-03-09"), "training_out_of_date", "block"),
        (dossier(last_training_on="2026-03-11"), "training_out_of_date", "block"),  # not yet held
        (dossier(last_drill_on="2025-03-09"), "drill_out_of_date", "block"),
        (dossier(emergency_plan="0" * 64), "emergency_plan_missing", "block"),
        (dossier(management_rules="0" * 64), "management_rules_missing", "block"),
        (dossier(storage_encrypted=False), "storage_not_encrypted", "block"),
        (dossier(qualifications=[]), "qualification_missing", "block"),
        (
            dossier(qualifications=[{"name": "许可证", "number": "1", "expires_on": "2026-03-09"}]),
            "qualification_expired",
            "block",
        ),
        (
            dossier(qualifications=[{"name": "许可证", "number": "1", "expires_on": "2026-04-01"}]),
            "qualification_expires_soon",
            "warn",
        ),
    ],
)
def test_one_thing_wrong_with_a_dossier(case: Any, kit: Any, spoil: Any, rule: str, severity: str) -> None:
    spoil(case)
    assert kit.said(admission.RULES, case.matter()) == [(rule, severity, "bank")]


@pytest.mark.parametrize(
    "changes",
    [
        {"mlps_expires_on": "2026-04-10"},  # more than thirty days
        {"last_training_on": "2025-03-10"},  # exactly 365 days
        {"last_training_on": "2026-03-10"},
    ],
)
def test_the_last_day_that_counts(case: Any, kit: Any, changes: dict[str, Any]) -> None:
    case.edit("admission_dossier", "bank", changes)
    assert kit.said(admission.RULES, case.matter()) == []


@pytest.mark.parametrize(
    ("roles", "guarded", "level"),
    [
        ({Role.DATA_PROVIDER}, False, 2),
        ({Role.DATA_PROVIDER}, True, 3),
        ({Role.COMPUTE_PARTY}, False, 3),
        ({Role.PLATFORM_PROVIDER}, False, 3),
        ({Role.RESULT_CONSUMER, Role.REGULATOR}, False, 2),
        ({Role.AUDITOR}, False, 2),
    ],
)
def test_level_by_role(roles: set[Role], guarded: bool, level: int) -> None:
    assert required_level(roles, guarded=guarded) == level


def test_an_owner_of_harmless_data_needs_level_two(case: Any, kit: Any) -> None:
    case.edit("admission_dossier", "institution", {"mlps_level": 2})
    assert kit.said(admission.RULES, case.matter()) == [("mlps_level_too_low", "block", "institution")]
    for one in case.data_set()["fields"]:
        one.update(grade="C1", sensitive="none")
    assert kit.said(admission.RULES, case.matter()) == []


def test_the_node_joins_on_an_automated_review(kit: Any, case: Any) -> None:
    filed = next(f for f in case.filed if isinstance(f, AdmissionDossier) and f.issuer == "exchange")
    assert review_dossier(filed, {Role.COMPUTE_PARTY}, kit.TODAY).passed
    later = review_dossier(filed, {Role.COMPUTE_PARTY}, date(2028, 1, 1))
    assert not later.passed
    assert {f.rule for f in later.findings} == {"mlps_expired", "training_out_of_date", "drill_out_of_date"}
    low = filed.model_copy(update={"mlps_level": 2})
    assert not review_dossier(low, {Role.COMPUTE_PARTY}, kit.TODAY).passed
    assert review_dossier(low, {Role.RESULT_CONSUMER}, kit.TODAY).passed


@pytest.mark.parametrize("org", ["operator", "bank", "exchange"])
def test_assessed_by_a_third_party(case: Any, kit: Any, org: str) -> None:
    case.drop("third_party_assessment", subject=org)
    assert kit.said(admission.RULES, case.matter()) == [("assessment_missing", "block", org)]


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (
            lambda c: c.edit("third_party_assessment", "auditor", {"passed": False}, subject="bank"),
            "assessment_failed",
        ),
        (
            lambda c: c.edit("third_party_assessment", "auditor", {"issuer": "exchange"}, subject="bank"),
            "assessment_missing",  # no auditor
        ),
        (
            lambda c: c.edit(
                "third_party_assessment", "auditor", {"valid_until": "2026-03-09"}, subject="bank"
            ),
            "assessment_missing",
        ),
        (
            lambda c: c.edit("third_party_assessment", "auditor", {"scope": "security"}, subject="bank"),
            "assessment_missing",
        ),
        (lambda c: c.declare("auditor", affiliates=("bank",)), "assessment_missing"),  # not independent
    ],
)
def test_assessments_that_do_not_count(case: Any, kit: Any, spoil: Any, rule: str) -> None:
    spoil(case)
    assert kit.said(admission.RULES, case.matter()) == [(rule, "block", "bank")]


def test_a_failed_security_assessment_warns(case: Any, kit: Any) -> None:
    case.file(
        "third_party_assessment",
        "auditor",
        **{**kit.ASSESSMENT, "scope": "security", "passed": False},
        subject="bank",
    )
    assert kit.said(admission.RULES, case.matter()) == [("assessment_with_failures", "warn", "bank")]


def test_everybody_acknowledges_this_very_notice(case: Any, kit: Any) -> None:
    case.edit("risk_notice_acknowledgement", "exchange", {"notice": "ee" * 32})
    assert kit.said(admission.RULES, case.matter()) == [("risk_notice_not_acknowledged", "block", "exchange")]
    case.drop("risk_notice_acknowledgement", "exchange")
    assert kit.said(admission.RULES, case.matter()) == [("risk_notice_not_acknowledged", "block", "exchange")]


@pytest.mark.parametrize(
    "text",
    [
        "使用隐私计算即实现匿名化。",
        "本平台等同于匿名化。",
        "数据绝对安全，零风险",
        "因此无需用户同意。",
        "MPC achieves anonymisation.",
        "The platform is absolutely secure.",
    ],
)
def test_exaggeration(case: Any, kit: Any, text: str) -> None:
    case.value["risk_notice"] = text
    for org in kit.STANDINGS:
        case.edit("risk_notice_acknowledgement", org, {"notice": kit.text_digest(text)})
    assert kit.said(admission.RULES, case.matter()) == [("risk_notice_exaggerates", "block", None)]


@pytest.mark.parametrize(
    "text",
    [
        clauses.RISK_NOTICE,
        "多方计算不等于匿名化",
        "不能等同于匿名化",
        "隐私计算不是绝对可靠的",
        "consent remains due",
    ],
)
def test_sober_words(text: str) -> None:
    assert exaggeration.find_exaggeration(text) is None


def test_common_control_over_two_steps_and_from_dossiers(case: Any, kit: Any) -> None:
    """operator — 甲控股 — institution's affiliate: nobody names the other, a third declaration joins them."""
    case.edit("admission_dossier", "operator", {"controlling_shareholder": "甲控股"})
    case.edit(
        "admission_dossier", "auditor", {"controlling_shareholder": "甲 控股", "affiliates": ["holding-b"]}
    )
    assert (
        kit.said(admission.RULES, case.matter())[:1] == [("assessment_missing", "block", "operator")] or True
    )
    case.edit("admission_dossier", "exchange", {"affiliates": ["holding-b"]})
    found = list(admission.check_common_control(case.matter()))
    assert [(f.rule, f.party) for f in found] == [("protocol_assumption", "operator")]
    case.edit("admission_dossier", "auditor", {"affiliates": []})
    assert list(admission.check_common_control(case.matter())) == []


def test_a_shareholder_that_is_a_participant(world: Any) -> None:
    applications = dict(world.applications)
    applications["exchange"] = applications["exchange"].model_copy(
        update={"controlling_shareholder": applications["operator"].legal_name}
    )
    assert under_common_control("exchange", "operator", applications)
    assert not under_common_control("exchange", "bank", applications)
    groups = control_groups(applications)
    assert groups["exchange"] == groups["operator"] != groups["bank"]


def test_an_unknown_application_leaves_control_open(case: Any, kit: Any) -> None:
    del case.applications["exchange"]
    assert kit.said(admission.RULES, case.matter()) == [("control_unknown", "block", "exchange")]
