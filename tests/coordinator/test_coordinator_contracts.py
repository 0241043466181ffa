"""Contracts at the coordinator: versions follow each other, pins hold, the last signature activates once, suspenders resume."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hefu.coordinator import contracts
from hefu.domain.contract import Contract
from hefu.domain.errors import DocumentInvalid
from hefu.keys.public import public_b64
from hefu.store.base import now
from hefu.store.coordinator_tables import JournalRow
from sqlmodel import col, select

pytestmark = pytest.mark.server


@pytest.fixture
def ready(office: Any) -> Any:
    return office.everybody()


def propose(office: Any, contract: Any, by: str = "regulator") -> str:
    return contracts.propose(office.ctx, office.world.signature(contract, by), by)


def test_versions_follow_each_other(ready: Any, code: Any) -> None:
    first = ready.active()
    for changes in (
        {"version": 3, "previous": first.digest},
        {"version": 2, "previous": "0" * 64},
        {"version": 1, "title": "another first version"},
    ):
        assert code(propose, ready, ready.world.contract(**changes)) == "version_conflict", changes
    assert code(propose, ready, ready.world.contract(contract_id="HF-NEW", version=2, previous="0" * 64)) == (
        "version_conflict"
    )
    second = ready.world.contract(version=2, previous=first.digest)
    assert propose(ready, second) == propose(ready, second) == second.digest


def test_a_version_proposed_twenty_times_at_once(ready: Any, code: Any) -> None:
    rivals = [ready.world.contract(title=f"版本 {n}") for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        said = sorted(pool.map(lambda c: code(propose, ready, c), rivals))
    assert said == ["ok"] + ["version_conflict"] * 19


def test_a_stranger_does_not_continue_anothers_contract(ready: Any, code: Any) -> None:
    value = ready.world.contract_value()
    without = [p for p in value["parties"] if p["org_id"] != "auditor"]
    first = ready.world.contract(parties=without, outputs=[{**value["outputs"][0], "reviewers": []}])
    propose(ready, first)
    second = ready.world.contract(version=2, previous=first.digest)
    assert code(propose, ready, second, "auditor") == "not_a_party"
    assert code(propose, ready, second) == "ok"


@pytest.mark.parametrize("clause", ["identity_key", "sealing_key", "tls_spki", "application"])
def test_pinned_keys_are_those_of_the_admitted_application(ready: Any, code: Any, clause: str) -> None:
    value = ready.world.contract_value()
    other = "0" * 64 if clause in ("tls_spki", "application") else public_b64(ready.world.stranger.identity)
    value["parties"][1][clause] = other
    assert code(propose, ready, Contract.model_validate(value)) == "pin_mismatch"


def test_names_and_addresses_are_those_of_the_admitted_application(ready: Any, code: Any) -> None:
    value = ready.world.contract_value()
    for clause, other in (("legal_name", "中国人民银行"), ("channel_host", "elsewhere.example")):
        parties = [{**p, clause: other} if p["org_id"] == "bank" else p for p in value["parties"]]
        assert code(propose, ready, ready.world.contract(parties=parties)) == "pin_mismatch"


def test_a_contract_of_another_platform(ready: Any, code: Any) -> None:
    """Whoever signs admissions is the operator: a contract does not choose another one."""
    foreign = ready.world.contract(platform={"operator": "exchange"})
    assert code(propose, ready, foreign) == "platform_mismatch"


def test_a_party_that_is_not_admitted(office: Any, code: Any) -> None:
    office.apply(*office.kit.ROLES)
    office.admit("auditor", "operator", "regulator", "institution", "bank")
    assert code(propose, office, office.world.contract()) == "not_admitted"


def test_unknown_component_or_parameter(ready: Any) -> None:
    value = ready.world.contract_value()
    step = value["computation"]["steps"][0]
    for change, clause in (
        ({"component": "mining"}, "computation.steps.component"),
        ({"parameters": {"match_keys": ["serial"], "leak": True}}, "computation.steps.parameters.leak"),
    ):
        made = ready.world.contract(computation={"steps": [{**step, **change}]})
        with pytest.raises(DocumentInvalid) as caught:
            propose(ready, made)
        assert caught.value.clause == clause


def test_signatures_of_others(ready: Any, code: Any) -> None:
    contract, w = ready.world.contract(), ready.world
    with pytest.raises(DocumentInvalid):
        contracts.propose(ready.ctx, w.signature(contract, w.stranger), "regulator")
    propose(ready, contract)
    value = w.contract_value(contract_id="HF-OTHER")
    other = Contract.model_validate(value)
    said = code(contracts.sign, ready.ctx, contract.digest, w.signature(other, "bank"), "bank")
    assert said == "signature_of_another"
    with pytest.raises(DocumentInvalid):
        contracts.sign(ready.ctx, contract.digest, w.signature(contract, "exchange"), "bank")
    assert code(contracts.sign, ready.ctx, "0" * 64, w.signature(contract, "bank"), "bank") == "not_found"


def test_a_signature_of_no_party(ready: Any, code: Any) -> None:
    value = ready.world.contract_value()
    parties = [p for p in value["parties"] if p["org_id"] != "auditor"]
    contract = ready.world.contract(parties=parties, outputs=[{**value["outputs"][0], "reviewers": []}])
    by_auditor = ready.world.signature(contract, "auditor")
    assert code(contracts.propose, ready.ctx, by_auditor, "auditor") == "not_a_party"
    propose(ready, contract)
    said = code(contracts.sign, ready.ctx, contract.digest, by_auditor, "auditor")
    assert said == "signature_of_another"


def test_the_last_signature_activates_once(ready: Any) -> None:
    contract = ready.world.contract()
    propose(ready, contract)
    ready.sign(contract, "bank", "institution", "operator")
    assert ready.state(contract) == "signing"
    last = ["exchange", "auditor"] * 5
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda org: ready.sign(contract, org), last))
    assert ready.state(contract) == "active"
    with ready.ctx.session() as session:
        found = session.exec(select(JournalRow).where(col(JournalRow.kind) == "contract_active")).all()
    assert len(found) == 1


def test_the_signing_deadline(ready: Any, code: Any) -> None:
    soon = (now() - timedelta(seconds=1)).isoformat()
    contract = ready.world.contract(signing_deadline=soon)
    propose(ready, contract)
    said = code(contracts.sign, ready.ctx, contract.digest, ready.world.signature(contract, "bank"), "bank")
    assert said == "deadline_passed"
    assert ready.state(contract) == "signing"


def test_a_new_version_supersedes_when_it_is_signed(ready: Any, code: Any) -> None:
    first = ready.active()
    second = ready.world.contract(version=2, previous=first.digest)
    propose(ready, second)
    assert (ready.state(first), ready.state(second)) == ("active", "signing")
    ready.sign(second, *[org for org in ready.kit.ROLES if org != "regulator"])
    assert (ready.state(first), ready.state(second)) == ("superseded", "active")
    said = code(contracts.sign, ready.ctx, first.digest, ready.world.signature(first, "bank"), "bank")
    assert said == "not_signing"


def test_an_unsigned_version_is_not_signed_behind_a_newer_one(ready: Any, code: Any) -> None:
    first = ready.world.contract()
    propose(ready, first)
    second = ready.world.contract(version=2, previous=first.digest)
    propose(ready, second)
    ready.sign(second, *[org for org in ready.kit.ROLES if org != "regulator"])
    said = code(contracts.sign, ready.ctx, first.digest, ready.world.signature(first, "bank"), "bank")
    assert (said, ready.state(first), ready.state(second)) == ("not_signing", "superseded", "active")


def notice(office: Any, contract: Any, kind: str, org: str, **how: Any) -> None:
    envelope = office.world.notice(contract, kind, org, **how)
    contracts.take_notice(office.ctx, contract.digest, envelope, org)


def test_only_the_suspender_resumes(ready: Any, code: Any) -> None:
    contract = ready.active()
    notice(ready, contract, "suspend", "bank")
    notice(ready, contract, "suspend", "institution")
    notice(ready, contract, "resume", "operator")
    notice(ready, contract, "resume", "bank")
    assert ready.state(contract) == "suspended"
    with ready.ctx.session() as session:
        assert code(contracts.active, session, contract.contract_id) == "contract_not_active"
    notice(ready, contract, "resume", "institution")
    assert ready.state(contract) == "active"
    assert code(notice, ready, contract, "resume", "bank") == "wrong_state"
    assert code(notice, ready, contract, "refuse", "bank") == "wrong_state"
    notice(ready, contract, "terminate", "auditor")
    assert code(notice, ready, contract, "resume", "auditor") == "wrong_state"


def test_notices_of_others(ready: Any, code: Any) -> None:
    contract, w = ready.active(), ready.world
    carried = w.notice(contract, "suspend", "bank")
    with pytest.raises(DocumentInvalid):
        contracts.take_notice(ready.ctx, contract.digest, carried, "exchange")
    in_anothers_name = w.notice(contract, "suspend", "bank", signed_by="exchange")
    said = code(contracts.take_notice, ready.ctx, contract.digest, in_anothers_name, "exchange")
    assert said == "notice_of_another"
    assert ready.state(contract) == "active"


def test_expiry(ready: Any, monkeypatch: Any) -> None:
    contract = ready.active()
    contracts.expire(ready.ctx)
    assert ready.state(contract) == "active"
    monkeypatch.setattr(contracts, "now", lambda: contract.limits.valid_until + timedelta(seconds=1))
    contracts.expire(ready.ctx)
    assert ready.state(contract) == "expired"
