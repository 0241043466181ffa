"""K3: standing derived from what a party does, and supervision over the entrusted (white paper A, 2.2)."""

from datetime import date
from typing import Any

import pytest
from hefu.domain.contract import LegalStanding
from hefu.domain.rules import standing


def test_under_supervision_each_owner_is_a_handler_of_its_own(case: Any, kit: Any) -> None:
    assert {o: s.value for o, s in standing.derive_standings(case.contract).items()} == kit.STANDINGS
    assert kit.said(standing.RULES, case.matter()) == []


def test_joint_modelling_makes_joint_handlers(case: Any, kit: Any) -> None:
    """WP-A 2.1: A and B both provide data and both receive the result; A runs the platform too."""
    case.value["mandate"] = None
    case.value["outputs"] = [{**case.output, "recipient": org} for org in ("institution", "bank")]
    derived = standing.derive_standings(case.contract)
    assert derived["institution"] is derived["bank"] is LegalStanding.JOINT_HANDLER
    assert derived["operator"] is LegalStanding.ENTRUSTED_PARTY
    assert "bank" not in standing.entrusted_by(case.contract)  # processes in its own right
    # stated as handlers of their own: the paper says only that joint handling is very likely
    assert kit.said(standing.RULES, case.matter()) == [
        ("standing_contradicts_role", "warn", "institution"),
        ("standing_contradicts_role", "warn", "bank"),
    ]


def test_a_recipient_that_is_no_authority_is_a_handler(case: Any) -> None:
    """WP-A 4.1: the customer receives the labels and entrusts the technology provider."""
    case.value["mandate"] = None
    case.value["data_sets"] = [case.data_set()]
    case.value["outputs"] = [{**case.output, "recipient": "institution"}]
    derived = standing.derive_standings(case.contract)
    assert derived["institution"] is LegalStanding.PI_HANDLER
    assert derived["bank"] is derived["exchange"] is LegalStanding.ENTRUSTED_PARTY
    assert standing.entrusted_by(case.contract) == {
        "operator": ("institution",),
        "bank": ("institution",),
        "exchange": ("institution",),
    }


@pytest.mark.parametrize(
    ("org", "stated", "severity"),
    [
        ("institution", "entrusted_party", "block"),  # fewer duties than it has
        ("institution", "third_party", "block"),
        ("institution", "authority", "block"),
        ("institution", "joint_handler", "warn"),  # more
        ("regulator", "pi_handler", "block"),
        ("exchange", "third_party", "block"),
        ("exchange", "pi_handler", "warn"),
        ("auditor", "entrusted_party", "warn"),
    ],
)
def test_stated_against_derived(case: Any, kit: Any, org: str, stated: str, severity: str) -> None:
    case.party(org)["legal_standing"] = stated
    assert kit.said(standing.RULES, case.matter()) == [("standing_contradicts_role", severity, org)]


def test_every_standing_has_duties_with_their_article() -> None:
    for one in LegalStanding:
        duties = standing.duties_of(one)
        assert duties
        assert all(d.zh and d.en and d.law for d in duties)
    joint = {d.law for d in standing.duties_of(LegalStanding.JOINT_HANDLER)}
    assert "pipl-20" in joint
    assert "pipl-20" not in {d.law for d in standing.duties_of(LegalStanding.PI_HANDLER)}


def test_supervision_is_due_after_thirty_days(case: Any, kit: Any) -> None:
    case.drop("supervision", entrusted="exchange")
    expected = ("supervision_missing", "exchange")
    for today, severity in ((date(2026, 3, 31), "warn"), (date(2026, 4, 1), "block")):
        found = kit.said(standing.RULES, case.matter(today))
        assert found == [(expected[0], severity, expected[1])]


@pytest.mark.parametrize(
    ("spoil", "rule", "severity"),
    [
        (lambda c: c.drop("supervision", "bank", entrusted="operator"), "supervision_incomplete", "warn"),
        (
            lambda c: c.edit("supervision", "bank", {"satisfied": False}, entrusted="operator"),
            "supervision_unsatisfied",
            "block",
        ),
    ],
)
def test_one_of_two_entrusting_parties(case: Any, kit: Any, spoil: Any, rule: str, severity: str) -> None:
    spoil(case)
    assert kit.said(standing.RULES, case.matter()) == [(rule, severity, "operator")]


@pytest.mark.parametrize(
    "changes",
    [
        {"checked_on": "2025-03-30"},
        {"checked_on": "2026-05-01"},
        {"contract_id": "HF-OTHER-1"},
        {"issuer": "auditor"},
    ],
)
def test_records_that_do_not_count(case: Any, kit: Any, changes: dict[str, Any]) -> None:
    """Too old, not yet made, about another contract, by somebody who entrusts nothing."""
    case.edit("supervision", "institution", changes, entrusted="bank")
    found = kit.said(standing.RULES, case.matter(date(2026, 4, 20)))
    assert found == [("supervision_missing", "block", "bank")]
