"""K2: when an impact assessment is due, whether it covers the contract, and drift of what ran."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hefu.domain.filings import Filings
from hefu.domain.filings.admission import AdmissionDossier
from hefu.domain.filings.assessment import ImpactAssessment, PiaTrigger, Reevaluation
from hefu.domain.rules import impact_assessment, reevaluation
from hefu.domain.rules.matter import Gate, Matter
from hefu.domain.rules.reevaluation import Ran, reevaluate

TODAY = date(2026, 11, 25)
NAMES = ("serial", "amount", "occurred_at")


def pia(contract: Any, issuer: str, scope: dict[str, Any] | None = None, **changes: Any) -> ImpactAssessment:
    value = {
        "issuer": issuer,
        "contract_id": contract.contract_id,
        "issued_at": datetime(2026, 11, 1, tzinfo=UTC),
        "valid_until": "2027-10-31",
        "triggers": ["entrusting", "providing"],
        "necessity": "n",
        "impact": "i",
        "measures": "m",
        "residual_risk": "low",
        "scope": {
            "purpose_code": contract.purpose_code,
            "fields": {d.data_set_id: NAMES for d in contract.data_sets},
            "code_digests": [s.code_digest for s in contract.computation.steps],
            "max_rows": contract.limits.max_rows,
            "recipients": ["regulator"],
            "compute_parties": contract.computation.compute_parties,
            **(scope or {}),
        },
        "prepared_by": "甲",
        "approved_by": "乙",
        "keep_until": "2029-11-01",
        **changes,
    }
    return ImpactAssessment.model_validate(value)


def rules(contract: Any, *filed: Any, **rest: Any) -> list[str]:
    matter = Matter(contract, Filings.of(filed), {}, TODAY, **rest)
    return [f.rule for f in impact_assessment.check_impact_assessment(matter)]


def test_assessments_that_cover_the_contract_pass(world: Any) -> None:
    contract = world.contract()
    assert rules(contract, pia(contract, "institution"), pia(contract, "bank")) == []


def test_each_owner_holds_one(world: Any) -> None:
    contract = world.contract()
    assert rules(contract, pia(contract, "institution")) == ["pia_missing"]
    bad = Matter(contract, Filings(), {}, TODAY)
    assert not Gate("K2", "事前评估", "assessment", impact_assessment.RULES).verdict(bad).passed
    assert Gate("K2", "事前评估", "assessment", ()).verdict(bad).passed


@pytest.mark.parametrize(
    ("scope", "changes", "rule"),
    [
        ({}, {"valid_until": "2026-11-24"}, "pia_missing"),
        ({}, {"triggers": ["entrusting"]}, "pia_trigger_not_covered"),
        ({"fields": {"loans": ["serial", "amount"]}}, {}, "pia_field_not_covered"),
        ({"code_digests": ["00" * 32]}, {}, "pia_code_not_covered"),
        ({"max_rows": 10}, {}, "pia_rows_not_covered"),
        ({"purpose_code": "other"}, {}, "pia_purpose_not_covered"),
        ({"recipients": ["auditor"]}, {}, "pia_recipient_not_covered"),
        ({"compute_parties": ["operator", "bank"]}, {}, "pia_compute_party_not_covered"),
        ({}, {"approved_by": "甲"}, "pia_self_approved"),
        ({}, {"keep_until": "2029-10-31"}, "pia_kept_too_short"),
        ({}, {"residual_risk": "high"}, "pia_residual_risk_high"),
    ],
)
def test_one_gap_is_one_finding(world: Any, scope: Any, changes: Any, rule: str) -> None:
    contract = world.contract()
    assert rules(contract, pia(contract, "institution", scope, **changes), pia(contract, "bank")) == [rule]


def test_triggers_of_faces_and_decisions(world: Any) -> None:
    sets = world.contract_value()["data_sets"]
    sets[0]["fields"][0]["sensitive"] = "biometric"
    contract = world.contract(template="face_matching", data_sets=sets)
    assert impact_assessment.triggers_of(contract, Filings(), TODAY) == {
        PiaTrigger.SENSITIVE,
        PiaTrigger.ENTRUSTING,
        PiaTrigger.PROVIDING,
        PiaTrigger.MAJOR_IMPACT,
    }


@pytest.mark.parametrize(
    ("change", "drift"),
    [
        ({}, ()),
        ({"fields": {"loans": (*NAMES, "phone")}}, ("field:loans.phone",)),
        ({"code_digests": ("00" * 32,)}, ("code:" + "00" * 32,)),
        ({"rows": 1_000_001}, ("rows:1000001>1000000",)),
        ({"purpose_code": "marketing"}, ("purpose:marketing",)),
    ],
)
def test_drift_is_named(world: Any, change: dict[str, Any], drift: tuple[str, ...]) -> None:
    """WP-A 3.2: where the model's logic or needs differ from what was filed, data are used beyond their range."""
    contract = world.contract()
    digests = tuple(s.code_digest for s in contract.computation.steps)
    value = {
        "fields": {"loans": NAMES},
        "code_digests": digests,
        "rows": 5,
        "purpose_code": contract.purpose_code,
    }
    seen = reevaluate(contract, pia(contract, "institution"), Ran(**{**value, **change}))
    assert seen.drift == drift
    assert [f.severity for f in seen.findings] == (["block"] if drift else [])


def test_quasi_identifiers_of_two_sources_raise_the_grade(world: Any) -> None:
    sets = world.contract_value()["data_sets"]
    for one in sets:
        one["fields"][0]["identifier_class"] = "quasi"
    contract = world.contract(data_sets=sets)
    one = Ran({"loans": NAMES}, (), 1, contract.purpose_code)
    both = Ran({"loans": NAMES, "flows": NAMES}, (), 1, contract.purpose_code)
    assert reevaluation.fuse_grades(contract, one) == ("C2", False)
    assert reevaluation.fuse_grades(contract, both) == ("C3", True)


def test_drift_blocks_until_assessed_anew(world: Any) -> None:
    contract = world.contract()
    drifted = Reevaluation(
        issuer="bank",
        contract_id=contract.contract_id,
        issued_at=datetime(2026, 11, 10, tzinfo=UTC),
        assessment=None,
        jobs_from="2026-11-01",
        jobs_until="2026-11-09",
        drift=("rows",),
        fused_grade="C2",
        conclusion="drifted",
    )
    old = Matter(contract, Filings.of([pia(contract, "bank"), drifted]), {}, TODAY)
    assert [f.rule for f in reevaluation.check_reevaluation(old)] == ["processing_drifted"]
    new = pia(contract, "bank", issued_at=datetime(2026, 11, 11, tzinfo=UTC))
    assert not list(reevaluation.check_reevaluation(Matter(contract, Filings.of([drifted, new]), {}, TODAY)))


@pytest.mark.parametrize(("country", "abroad"), [("CN", False), ("SG", True)])
def test_a_node_abroad_is_a_provision_abroad(world: Any, country: str, abroad: bool) -> None:
    dossier = AdmissionDossier.model_validate(
        {
            "issuer": "exchange",
            "issued_at": datetime(2026, 11, 1, tzinfo=UTC),
            "mlps_level": 3,
            "mlps_certificate": "c",
            "mlps_expires_on": "2027-01-01",
            "pi_officer": "甲",
            "pi_officer_contact": "c",
            "last_training_on": "2026-10-01",
            "emergency_plan": "ab" * 32,
            "last_drill_on": "2026-10-01",
            "management_rules": "ab" * 32,
            "node_country": country,
            "node_region": "r",
            "storage_encrypted": True,
            "backup": True,
        }
    )
    triggers = impact_assessment.triggers_of(world.contract(), Filings.of([dossier]), TODAY)
    assert (PiaTrigger.ABROAD in triggers) is abroad
