"""Approvals at the coordinator: in step with the contract; withdrawal, the statutory mandate, what finishes under an old version."""

from datetime import timedelta
from typing import Any

import pytest
from hefu.coordinator import approvals, contracts, jobs, stage_checks
from hefu.store.base import now
from hefu.store.coordinator_tables import ApprovalRow, ContractNoticeRow, JournalRow
from sqlmodel import col, select

pytestmark = pytest.mark.server

MANDATE = {
    "document_number": "监发 1 号",
    "file_digest": "a" * 64,
    "authority": "regulator",
    "supervised": ["institution", "bank"],
}


@pytest.fixture
def ready(office: Any) -> Any:
    return office.everybody()


def propose(office: Any, contract: Any, by: str = "regulator") -> Any:
    contracts.propose(office.ctx, office.world.signature(contract, by), by)
    return contract


def notice(office: Any, contract: Any, kind: str, org: str) -> None:
    contracts.take_notice(office.ctx, contract.digest, office.world.notice(contract, kind, org), org)


def state(office: Any, contract: Any) -> str:
    with office.ctx.session() as session:
        return str(session.get_one(ApprovalRow, contract.digest).state)


def recorded(office: Any, kind: str) -> int:
    with office.ctx.session() as session:
        return len(session.exec(select(JournalRow).where(col(JournalRow.kind) == kind)).all())


def test_one_object_follows_the_signatures(ready: Any) -> None:
    contract = propose(ready, ready.world.contract())
    (told,) = approvals.listed(ready.ctx, "bank")
    assert told["approval"]["subject"] == contract.digest
    assert [a["org_id"] for a in told["approval"]["answers"]] == ["regulator"]
    ready.sign(contract, "bank", "institution", "operator", "exchange")
    assert state(ready, contract) == "open"
    ready.sign(contract, "auditor", "auditor")
    assert (state(ready, contract), ready.state(contract)) == ("approved", "active")
    assert recorded(ready, "approval_opened") == recorded(ready, "approval_closed") == 1
    assert approvals.listed(ready.ctx, "nobody") == []


def test_the_proposer_withdraws_and_nobody_else(ready: Any, code: Any) -> None:
    contract = propose(ready, ready.world.contract())
    assert code(notice, ready, contract, "withdraw", "bank") == "not_the_proposer"
    assert (state(ready, contract), ready.state(contract)) == ("open", "signing")
    notice(ready, contract, "withdraw", "regulator")
    assert (state(ready, contract), ready.state(contract)) == ("withdrawn", "withdrawn")
    said = code(contracts.sign, ready.ctx, contract.digest, ready.world.signature(contract, "bank"), "bank")
    assert said == "not_signing"


def test_no_withdrawal_once_it_is_in_force(ready: Any, code: Any) -> None:
    contract = ready.active()
    assert code(notice, ready, contract, "withdraw", "regulator") == "wrong_state"
    assert (state(ready, contract), ready.state(contract)) == ("approved", "active")


def test_nobody_proposes_in_anothers_name(ready: Any, code: Any) -> None:
    contract = ready.world.contract(proposer="bank")
    assert code(propose, ready, contract) == "not_the_proposer"
    assert code(propose, ready, contract, "bank") == "ok"


def test_a_refusal_is_kept_with_its_reason(ready: Any) -> None:
    contract = propose(ready, ready.world.contract())
    ready.sign(contract, "bank")
    notice(ready, contract, "refuse", "bank")  # it had signed
    assert (state(ready, contract), ready.state(contract)) == ("refused", "refused")
    answers = approvals.listed(ready.ctx, "bank")[0]["approval"]["answers"]
    assert {a["org_id"]: (a["approved"], a["reason"]) for a in answers}["bank"] == (False, "test")


def test_overdue_and_refused_after_the_deadline(ready: Any, monkeypatch: Any) -> None:
    contract = propose(ready, ready.world.contract())
    approvals.tick(ready.ctx)
    assert state(ready, contract) == "open"
    late = contract.signing_deadline + timedelta(seconds=1)
    monkeypatch.setattr(approvals, "now", lambda: late)
    monkeypatch.setattr(contracts, "now", lambda: late)
    approvals.tick(ready.ctx)
    assert state(ready, contract) == "overdue"
    notice(ready, contract, "refuse", "bank")
    assert (state(ready, contract), ready.state(contract)) == ("overdue", "refused")


@pytest.mark.parametrize("kind", ["suspend", "terminate"])
def test_a_supervised_party_does_not_stop_the_supervision(ready: Any, kind: str, monkeypatch: Any) -> None:
    contract = ready.active(mandate=MANDATE)
    notice(ready, contract, kind, "bank")
    assert ready.state(contract) == "active"
    with ready.ctx.session() as session:
        assert session.exec(select(ContractNoticeRow.kind)).all() == [kind]  # its refusal is kept
        assert contracts.active(session, contract.contract_id)[0].digest == contract.digest
    assert recorded(ready, "supervision_refused") == 1
    monkeypatch.setattr(contracts, "is_void", lambda *_: False)  # the guard removed: it would stop
    notice(ready, contract, kind, "institution")
    assert ready.state(contract) != "active"


@pytest.mark.parametrize("org", ["regulator", "exchange"])
def test_the_authority_and_those_not_supervised_can(ready: Any, org: str) -> None:
    contract = ready.active(mandate=MANDATE)
    notice(ready, contract, "suspend", "bank")  # void: resuming must not wait for it
    notice(ready, contract, "suspend", org)
    assert ready.state(contract) == "suspended"
    notice(ready, contract, "resume", org)
    assert ready.state(contract) == "active"
    notice(ready, contract, "terminate", org)
    assert ready.state(contract) == "terminated"
    assert recorded(ready, "supervision_refused") == 1


def renew(office: Any, first: Any) -> Any:
    second = propose(office, office.world.contract(version=2, previous=first.digest))
    office.sign(second, *[org for org in office.kit.ROLES if org != "regulator"])
    return second


def test_a_running_job_finishes_under_the_old_version_and_no_new_one_starts(ready: Any, days: Any) -> None:
    first = ready.active()
    running = jobs.create(ready.ctx, first.contract_id, days(3), by="regulator", reason="test").job_id
    ready.set_job(running, state="running", started_at=now())
    waiting = jobs.create(ready.ctx, first.contract_id, days(2), by="regulator", reason="test").job_id
    second = renew(ready, first)
    assert ready.state(first) == "superseded"
    fresh = jobs.create(ready.ctx, first.contract_id, days(1), by="regulator", reason="test").job_id
    assert ready.job(running).contract_digest == first.digest
    assert ready.job(waiting).contract_digest == second.digest  # had not started
    assert ready.job(fresh).contract_digest == second.digest
    rules = [f.rule for f in stage_checks.check_contract(ready.ctx, ready.job(running), first).findings]
    assert "contract_not_active" not in rules
    notice(ready, first, "suspend", "bank")
    rules = [f.rule for f in stage_checks.check_contract(ready.ctx, ready.job(running), first).findings]
    assert "contract_not_active" in rules
    notice(ready, first, "resume", "bank")
    assert (ready.state(first), ready.state(second)) == ("superseded", "active")


def test_a_version_that_never_was_in_force_runs_nothing(ready: Any) -> None:
    first = propose(ready, ready.world.contract())
    second = renew(ready, first)
    assert (ready.state(first), state(ready, first), ready.state(second)) == (
        "superseded",
        "withdrawn",
        "active",
    )
    with ready.ctx.session() as session:
        assert not contracts.runs_on(session, contracts.load(session, first.digest)[0])
