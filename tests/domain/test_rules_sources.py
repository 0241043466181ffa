"""K4: source declarations with their checklists, important data, minors, sensitive categories (white paper A, 3.4)."""

from typing import Any

import pytest
from hefu.domain.rules import sources
from hefu.domain.verdict import Severity

ME = "institution"
IMPORTANT = {"risk_assessment": "cd" * 32, "backup": True, "encrypted": True, "stored_in_country": True}


def declared(**changes: Any) -> Any:
    return lambda c: c.edit("source_declaration", ME, changes)


def test_a_compliant_contract_passes_and_its_sensitive_fields_are_flagged(case: Any, kit: Any) -> None:
    assert kit.said(sources.RULES, case.matter()) == []
    notes = [f for f in sources.check_sensitive(case.matter()) if f.severity is Severity.NOTE]
    assert [f.party for f in notes] == ["institution", "bank"]
    assert notes[0].seen == "party_id=specific_identity, amount=financial_account"


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda c: c.drop("source_declaration", ME), "source_not_declared"),
        (declared(valid_until="2026-03-09"), "source_not_declared"),
        (declared(data_set_id="other"), "source_not_declared"),
        (declared(contract_id="HF-OTHER-1"), "source_not_declared"),
        (declared(issuer="auditor"), "source_not_declared"),
        (declared(schema_digest="ef" * 32), "schema_digest_differs"),
        (declared(prepared_by="Wang ", approved_by="wang"), "declaration_not_reviewed"),
        (declared(origin="  "), "declaration_incomplete"),
        (declared(valid_until=None), "declaration_without_term"),
        (declared(minors=True), "minors_not_in_contract"),
        (declared(checks={"notice_given": True}), "source_check_failed"),
        (declared(checks={"notice_given": False, "policy_complete": True}), "source_check_failed"),
        (declared(important=IMPORTANT), "important_data_not_agreed"),
        (lambda c: c.data_set().update(important=True), "important_data_not_agreed"),
    ],
)
def test_one_thing_wrong(case: Any, kit: Any, spoil: Any, rule: str) -> None:
    spoil(case)
    assert kit.said(sources.RULES, case.matter()) == [(rule, "block", ME)]


def test_expiring_soon_warns(case: Any, kit: Any) -> None:
    declared(valid_until="2026-04-09")(case)
    assert kit.said(sources.RULES, case.matter()) == [("declaration_expires_soon", "warn", ME)]


def test_kind_of_source_agrees(case: Any, kit: Any) -> None:
    declared(source_kind="indirect")(case)
    assert kit.said(sources.RULES, case.matter()) == [("source_kind_differs", "block", ME)]


def origin(case: Any, kind: str, basis: str, checks: list[str], **changes: Any) -> None:
    case.data_set().update(source_kind=kind, legal_basis=basis)
    answers = dict.fromkeys(checks, True)
    case.edit(
        "source_declaration", ME, {"source_kind": kind, "checks": answers, "consent_range": "对账", **changes}
    )


CHECKLISTS = [
    ("direct", "consent", ["notice_given", "policy_complete", "consent_free"]),
    ("direct", "statutory_duty", ["notice_given", "policy_complete"]),
    (
        "indirect",
        "consent",
        ["origin_stated", "lawfulness_confirmed", "consent_range_known", "exceeding_renewed"],
    ),
    ("indirect", "contract", ["origin_stated", "lawfulness_confirmed"]),
]


@pytest.mark.parametrize(("kind", "basis", "checks"), CHECKLISTS)
def test_each_question_of_a_checklist_counts(
    case: Any, kit: Any, kind: str, basis: str, checks: list[str]
) -> None:
    origin(case, kind, basis, checks)
    assert kit.said(sources.RULES, case.matter()) == []
    for left_out in checks:
        origin(case, kind, basis, [c for c in checks if c != left_out])
        found = kit.caught(sources.RULES, case.matter())
        assert [(f.rule, f.seen) for f in found] == [("source_check_failed", f"{left_out}: not answered")]


def test_indirect_source_names_the_range_of_consent(case: Any, kit: Any) -> None:
    origin(case, *CHECKLISTS[2], consent_range=" ")
    assert kit.said(sources.RULES, case.matter()) == [("declaration_incomplete", "block", ME)]


@pytest.mark.parametrize(
    ("checks", "missing"),
    [
        (["public_security_need", "signs_shown"], []),
        (["separate_consent"], []),
        (["public_security_need"], ["signs_shown"]),
        (["signs_shown"], ["public_security_need"]),
        ([], ["public_security_need", "signs_shown"]),
    ],
)
def test_public_place(case: Any, kit: Any, checks: list[str], missing: list[str]) -> None:
    """Needed for public security and with signs, or separate consent."""
    for one in case.data_set()["fields"]:
        one["sensitive"] = "none"
    origin(case, "public_place", "statutory_duty", checks)
    assert [f.seen.split(":")[0] for f in kit.caught(sources.RULES, case.matter())] == missing


@pytest.mark.parametrize("left_out", ["public_security_need", "signs_shown", "separate_consent"])
def test_faces_from_a_public_place_need_all_three(case: Any, kit: Any, left_out: str) -> None:
    every = ["public_security_need", "signs_shown", "separate_consent"]
    case.field("party_id")["sensitive"] = "biometric"
    origin(case, "public_place", "consent", every)
    assert kit.said(sources.RULES, case.matter()) == []
    origin(case, "public_place", "consent", [c for c in every if c != left_out])
    assert [f.seen for f in kit.caught(sources.RULES, case.matter())] == [f"{left_out}: not answered"]


@pytest.mark.parametrize("left_out", ["guardian_consent", "minor_rules"])
def test_minors(case: Any, kit: Any, left_out: str) -> None:
    due = ["notice_given", "policy_complete", "guardian_consent", "minor_rules"]
    case.data_set()["minors"] = True
    declared(minors=True, checks=dict.fromkeys(due, True))(case)
    assert kit.said(sources.RULES, case.matter()) == []
    declared(checks={c: True for c in due if c != left_out})(case)
    assert [f.seen for f in kit.caught(sources.RULES, case.matter())] == [f"{left_out}: not answered"]


@pytest.fixture
def important(case: Any) -> Any:
    """WP-A 3.4: data whose leak would seriously affect livelihoods; with everybody's consent, too."""
    case.data_set().update(
        important=True,
        legal_basis="consent",
        consents=[
            {
                "collector": ME,
                "notice_digest": "cd" * 32,
                "notice_version": "1",
                "kinds": ["explicit", "separate", "written"],
                "participants": [ME, "bank", "operator", "exchange", "regulator"],
                "operations": ["collect", "store", "use", "process", "transmit", "provide"],
                "purposes": ["supervisory_reconciliation"],
                "obtained_on": "2026-01-01",
            }
        ],
    )
    checks = dict.fromkeys(["notice_given", "policy_complete", "consent_free"], True)
    declared(important=IMPORTANT, checks=checks)(case)
    return case


def test_important_data_with_all_its_duties(important: Any, kit: Any) -> None:
    assert kit.said(sources.RULES, important.matter()) == []


@pytest.mark.parametrize(
    ("spoil", "rule", "party"),
    [
        (declared(important={**IMPORTANT, "risk_assessment": "0" * 64}), "important_data_duty", ME),
        (declared(important={**IMPORTANT, "backup": False}), "important_data_duty", ME),
        (declared(important={**IMPORTANT, "encrypted": False}), "important_data_duty", ME),
        (declared(important={**IMPORTANT, "stored_in_country": False}), "important_data_duty", ME),
        (
            lambda c: c.edit("admission_dossier", ME, {"node_country": "SG"}),
            "important_data_contradicts_dossier",
            ME,
        ),
        (
            lambda c: c.edit("admission_dossier", ME, {"backup": False}),
            "important_data_contradicts_dossier",
            ME,
        ),
        (
            lambda c: c.edit("admission_dossier", ME, {"storage_encrypted": False}),
            "important_data_contradicts_dossier",
            ME,
        ),
        (
            lambda c: c.edit("admission_dossier", "exchange", {"node_country": "SG"}),
            "important_data_leaves_country",
            "exchange",
        ),
        (lambda c: c.drop("admission_dossier", "exchange"), "important_data_leaves_country", "exchange"),
        (
            declared(important={**IMPORTANT, "on_supervised_site": True}),
            "supervised_site_not_filed",
            ME,
        ),
    ],
)
def test_consent_does_not_cure_important_data(
    important: Any, kit: Any, spoil: Any, rule: str, party: str
) -> None:
    spoil(important)
    assert kit.said(sources.RULES, important.matter()) == [(rule, "block", party)]


def test_on_the_authoritys_platform(important: Any, kit: Any) -> None:
    """场内 instead of the duties, where the dossier names the platform."""
    lacking = {**IMPORTANT, "backup": False, "stored_in_country": False, "on_supervised_site": True}
    declared(important=lacking)(important)
    important.edit("admission_dossier", ME, {"supervised_site": "主管机构数据平台"})
    assert kit.said(sources.RULES, important.matter()) == []
