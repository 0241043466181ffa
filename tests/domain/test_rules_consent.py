"""K1: the consent chain and the other legal bases, on the white papers' cases."""

from datetime import date
from typing import Any

import pytest
from hefu.domain.filings import Filings
from hefu.domain.rules import consent, coverage
from hefu.domain.rules.matter import Gate, Matter
from hefu.domain.terms import ConsentKind, Operation

TODAY = date(2026, 11, 25)
ALL = ["institution", "bank", "operator", "exchange", "regulator"]
DUTY = "《金融机构监督管理办法》"


def link(**changes: Any) -> dict[str, Any]:
    return {
        "collector": "institution",
        "notice_digest": "cd" * 32,
        "notice_version": "3",
        "kinds": ["separate", "explicit"],
        "participants": ALL,
        "operations": ["collect", "store", "use", "process", "transmit", "provide"],
        "purposes": ["user_profile"],
        "obtained_on": "2026-01-01",
        **changes,
    }


def advertising(world: Any, links: list[dict[str, Any]] | None = None, **changes: Any) -> Matter:
    """WP-A 4.1: device identifiers go in, a label for each comes out; the second data set is not people's."""
    sets = world.contract_value()["data_sets"]
    sets[0]["fields"][0].update(name="device_id", identifier_class="direct")
    sets[0].update(legal_basis="consent", consents=[link()] if links is None else links, **changes)
    sets[1]["legal_basis_note"] = DUTY
    contract = world.contract(template="advertising", purpose_code="user_profile", data_sets=sets)
    return Matter(contract, Filings(), {}, TODAY)


def found(matter: Matter) -> list[tuple[str, str]]:
    return [(f.rule, f.seen) for f in consent.check_legal_basis(matter) if f.severity == "block"]


def test_a_complete_chain_passes_and_its_matrix_is_covered(world: Any) -> None:
    matter = advertising(world)
    assert found(matter) == []
    matrix = coverage.consent_coverage(matter.contract, matter.contract.data_sets[0], TODAY)
    assert matrix.complete
    assert {c.participant for c in matrix.cells} == set(ALL)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"participants": [o for o in ALL if o != "exchange"]}, "participant"),  # only ever sees shares
        ({"operations": ["collect", "store", "use", "process", "provide"]}, "operation"),
        ({"purposes": ["service"]}, "purpose"),
        ({"kinds": ["explicit"]}, "kind:separate"),
        ({"kinds": ["separate"], "expires_on": "2026-11-24"}, "not_in_term"),
        ({"obtained_on": "2026-11-26"}, "not_in_term"),
    ],
)
def test_each_missing_link_is_named(world: Any, change: dict[str, Any], reason: str) -> None:
    seen = found(advertising(world, [link(**change)]))
    assert seen
    assert all(rule == "consent_chain_broken" and text.endswith(f": {reason}") for rule, text in seen)


def test_device_identifiers_without_any_consent_are_refused(world: Any) -> None:
    assert all("no_consent" in text for _, text in found(advertising(world, [])))
    assert len(found(advertising(world, []))) == 5


def test_a_changed_purpose_needs_renewed_consent(world: Any) -> None:
    before = link(purposes=["service"], obtained_on="2025-01-01")
    assert all("kind:renewed" in text for _, text in found(advertising(world, [before, link()])))
    assert found(advertising(world, [before, link(kinds=["renewed", "separate"])])) == []


def test_children_need_the_guardian(world: Any) -> None:
    seen = found(advertising(world, [link(sensitive=["minor"])], minors=True))
    assert seen
    assert all(text.endswith("kind:guardian") for _, text in seen)
    good = link(kinds=["guardian", "separate"], sensitive=["minor"])
    assert found(advertising(world, [good], minors=True)) == []


def test_faces_need_separate_consent_that_names_them(world: Any) -> None:
    """WP-A 4.5: the compute parties hold slices of face features only, and still need separate consent."""

    def faces(*links: dict[str, Any]) -> Matter:
        fields = world.contract_value()["data_sets"][0]["fields"]
        fields[0].update(name="face", sensitive="biometric", grade="C3")
        return advertising(world, list(links), fields=fields)

    good = link(sensitive=["biometric"])
    assert found(faces(good)) == []
    assert all(text.endswith("sensitive:biometric") for _, text in found(faces(link())))
    kinds = coverage.kinds_needed(
        faces(good).contract, faces(good).contract.data_sets[0], "exchange", Operation.PROCESS
    )
    assert kinds == {ConsentKind.SEPARATE}


def test_the_collector_fits_the_source(world: Any) -> None:
    rules = [r for r, _ in found(advertising(world, [link(collector="上游公司")]))]
    assert rules == ["consent_collector_contradicts_source"]
    assert found(advertising(world, [link(collector="上游公司")], source_kind="indirect")) == []


def test_the_gate_is_what_stops_the_broken_chain(world: Any) -> None:
    bad = advertising(world, [])
    assert not Gate("K1", "合法性基础", "legal basis", consent.RULES).verdict(bad).passed
    assert Gate("K1", "合法性基础", "legal basis", ()).verdict(bad).passed


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"legal_basis_note": DUTY}, None),
        ({}, "statutory_duty_unnamed"),
        ({"legal_basis_note": "监管要求"}, "statutory_duty_unnamed"),
        ({"legal_basis": "emergency"}, "legal_basis_unexplained"),
        ({"legal_basis": "emergency", "legal_basis_note": "突发公共卫生事件"}, None),
        ({"legal_basis": "other_law", "legal_basis_note": "有法律"}, "other_law_unnamed"),
        (
            {"legal_basis": "contract", "legal_basis_note": "借款合同", "subject_field": "serial"},
            "contract_basis_with_other_recipient",
        ),
        ({"legal_basis": "already_public", "legal_basis_note": "公示"}, "public_information_without_subject"),
        ({"legal_basis": "already_public", "legal_basis_note": "公示", "subject_field": "serial"}, None),
    ],
)
def test_other_bases_have_their_conditions(world: Any, change: dict[str, Any], rule: str | None) -> None:
    """WP-A 4.4: supervision T+1 rests on a statutory duty; no consent is asked for, but a document is."""
    sets = world.contract_value()["data_sets"]
    sets[0].update({"legal_basis_note": "", **change})
    sets[1]["legal_basis_note"] = DUTY
    matter = Matter(world.contract(data_sets=sets), Filings(), {}, TODAY)
    assert [r for r, _ in found(matter)] == ([] if rule is None else [rule])


def test_a_mandate_is_the_document_of_a_statutory_duty(world: Any) -> None:
    mandate = {
        "document_number": "〔2026〕1号",
        "file_digest": "ef" * 32,
        "authority": "regulator",
        "supervised": ["institution", "bank"],
    }
    sets = world.contract_value()["data_sets"]
    for one in sets:
        one["legal_basis_note"] = ""
    assert found(Matter(world.contract(mandate=mandate, data_sets=sets), Filings(), {}, TODAY)) == []
    mandate["supervised"] = ["institution"]
    bad = Matter(world.contract(mandate=mandate, data_sets=sets), Filings(), {}, TODAY)
    assert [r for r, _ in found(bad)] == ["statutory_duty_unnamed"]


def test_bank_and_carrier_each_need_the_chain_of_their_own_customers(world: Any) -> None:
    """WP-A 4.2: both sides collect under their users' consent; one side's consent does not serve the other."""
    sets = world.contract_value()["data_sets"]
    for one in sets:
        one.update(legal_basis="consent", consents=[link(collector=one["owner"])])
    sets[1]["consents"][0]["participants"] = [o for o in ALL if o != "institution"]
    both = world.contract(purpose_code="user_profile", data_sets=sets)
    assert found(Matter(both, Filings(), {}, TODAY)) == []
    sets[1]["consents"] = []
    broken = Matter(world.contract(purpose_code="user_profile", data_sets=sets), Filings(), {}, TODAY)
    assert {f.party for f in consent.check_legal_basis(broken)} == {"bank"}


def test_statistics_over_shares_still_need_a_basis(world: Any) -> None:
    """WP-B 3.2, the Estonian case: a low risk grade is not an exemption; without consent another law must be named."""
    sets = world.contract_value()["data_sets"]
    for one in sets:
        one.update(legal_basis="other_law", legal_basis_note="《统计法》")
    outputs = [{"recipient": "regulator", "form": "group_statistics", "purpose_bound": "统计"}]
    ready = {"template": "joint_statistics", "outputs": outputs}
    assert found(Matter(world.contract(data_sets=sets, **ready), Filings(), {}, TODAY)) == []
    sets[0]["legal_basis_note"] = ""
    bad = Matter(world.contract(data_sets=sets, **ready), Filings(), {}, TODAY)
    assert [r for r, _ in found(bad)] == ["legal_basis_unexplained"]
