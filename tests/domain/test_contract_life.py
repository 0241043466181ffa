"""What notices do under a mandate, duties after the end, changes between versions, and the text of a contract."""

from typing import Any

import pytest
from hefu.domain.contract import Contract, ContractState, NoticeKind
from hefu.domain.contract_diff import compare
from hefu.domain.contract_life import duties_after, is_void, resists_mandate
from hefu.domain.contract_text import render
from hefu.domain.templates import TEMPLATES

ORGS = ("institution", "bank", "operator", "exchange", "regulator", "auditor")
MANDATE = {
    "document_number": "监发 1 号",
    "file_digest": "a" * 64,
    "authority": "regulator",
    "supervised": ["institution", "bank"],
}


def contract(**changes: Any) -> Contract:
    field = {
        "name": "serial",
        "type": "text",
        "identifier_class": "quasi",
        "sensitive": "none",
        "grade": "C1",
        "necessity": "配对 / pairing",
    }
    value: dict[str, Any] = {
        "contract_id": "HF-LIFE-1",
        "version": 1,
        "template": "t1_reconciliation",
        "title": "对账",
        "title_en": "Reconciliation",
        "purpose": "监管对账 / supervision",
        "purpose_code": "supervisory_reconciliation",
        "parties": [
            {
                "org_id": org, "legal_name": f"{org} 公司", "legal_name_en": org.title(), "roles": ["auditor"],
                "legal_standing": "third_party", "application": "b" * 64, "identity_key": "A" * 43 + "=",
                "sealing_key": "A" * 43 + "=", "tls_spki": "c" * 64, "url": "https://x", "channel_host": "x", "channel_port": 1,
            }
            for org in ORGS
        ],
        "platform": {"operator": "operator", "coordinator_key": "A" * 43 + "=", "ledger_origin": "x", "ledger_vkey": "x"},
        "data_sets": [
            {"data_set_id": f"{org}-rows", "owner": org, "kind": "table", "schema_digest": "d" * 64, "fields": [field], "source_kind": "direct", "legal_basis": "statutory_duty"}
            for org in ("institution", "bank")
        ],
        "computation": {
            "technique": "mpc_three_party",
            "steps": [{"step_id": "reconcile", "component": "reconcile", "code_digest": "e" * 64, "engine_version": "1", "parameters": {"match_keys": ["serial"]}}],
            "compute_parties": ["operator", "bank", "exchange"],
        },
        "outputs": [{"recipient": "regulator", "form": "row_status", "purpose_bound": "监管"}],
        "limits": {"max_uses": 9, "max_rows": 9, "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z"},
        "retention_days": 30,
        "duties": {"data_subject_contact": "bank", "incident_contact": "bank", "complaints_contact": "bank", "liability": "各自承担", "termination": "书面通知"},
        "risk_notice": "风险 / risk",
        "signing_deadline": "2026-01-08T00:00:00Z",
    }  # fmt: skip
    return Contract.model_validate({**value, **changes})


@pytest.mark.parametrize(
    ("kind", "org", "void"),
    [
        ("suspend", "bank", True),
        ("terminate", "institution", True),
        ("suspend", "regulator", False),
        ("terminate", "regulator", False),
        ("suspend", "exchange", False),
        ("resume", "bank", False),
        ("refuse", "bank", False),
        ("withdraw", "bank", False),
    ],
)
def test_the_mandate(kind: str, org: str, void: bool) -> None:
    assert is_void(contract(mandate=MANDATE), NoticeKind(kind), org) is void
    assert not is_void(contract(), NoticeKind(kind), org)


def test_a_refusal_to_sign_counts_and_is_seen() -> None:
    assert resists_mandate(contract(mandate=MANDATE), NoticeKind.REFUSE, "bank")
    assert not resists_mandate(contract(mandate=MANDATE), NoticeKind.REFUSE, "exchange")


def test_duties_come_with_the_end() -> None:
    for state in ContractState:
        ended = state in (ContractState.TERMINATED, ContractState.EXPIRED)
        assert bool(duties_after(contract(), state)) is ended
    owed: dict[str, set[str]] = {}
    for duty in duties_after(contract(), ContractState.TERMINATED):
        owed.setdefault(duty.org_id, set()).add(duty.duty)
    assert all({"stop_processing", "keep_records"} <= duties for duties in owed.values())
    assert set(owed) == set(ORGS)
    assert {org for org, duties in owed.items() if "deletion_certificate" in duties} == {
        "operator",
        "exchange",
    }
    assert "stop_using_result" in owed["regulator"]


def test_changes_are_named_by_clause() -> None:
    old = contract()
    assert compare(old, contract(version=2, previous=old.digest)) == []
    value = old.model_dump(mode="json")
    value["limits"]["max_uses"] = 10
    value["parties"][1]["url"] = "https://y"
    value["data_sets"] = [{**value["data_sets"][0], "fields": [*value["data_sets"][0]["fields"], {**value["data_sets"][0]["fields"][0], "name": "extra"}]}, value["data_sets"][1]]  # fmt: skip
    new = Contract.model_validate({**value, "version": 2, "previous": old.digest})
    assert [(c.clause, c.change) for c in compare(old, new)] == [
        ("parties.bank.url", "changed"),
        ("data_sets.institution-rows.fields.extra", "added"),
        ("limits.max_uses", "changed"),
    ]
    assert [c.change for c in compare(new, old)] == ["changed", "removed", "changed"]


def test_an_order_of_parties_that_changes_is_a_change() -> None:
    value = contract().model_dump(mode="json")
    turned = Contract.model_validate({**value, "parties": value["parties"][::-1]})
    assert [c.clause for c in compare(contract(), turned)] == ["parties"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_text_says_each_clause_in_its_language(language: Any) -> None:
    made = contract(mandate=MANDATE)
    text = render(made, language)
    assert text == render(Contract.from_bytes(made.to_bytes()), language)
    said = "\n".join(p for s in text.sections for p in s.paragraphs)
    for value in (made.contract_id, "监发 1 号", "e" * 64, "a" * 64, *ORGS, "institution-rows", "serial"):
        assert value in said
    assert ("第十三条" in said) is (language == "zh")
    assert ("article 13" in said) is (language == "en")
    assert ("监管对账" in said) is (language == "zh")
    other = render(contract(retention_days=31), language)
    assert other.sections != render(contract(), language).sections


def test_each_scenario_has_its_clauses() -> None:
    assert len(TEMPLATES) == 6
    for template in TEMPLATES.values():
        assert " / " in template.purpose
        assert " / " in template.purpose_bound
        assert all(" / " in text for text in template.necessity.values())
        assert "匿名" not in template.purpose
    assert TEMPLATES["advertising"].automated == "marketing"
    assert TEMPLATES["joint_modelling"].model
