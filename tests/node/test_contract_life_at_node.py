"""The life of a contract as a node sees it by itself: mandate, withdrawal, jobs that finish under a superseded version."""

from typing import Any

import pytest
from hefu.domain.contract import NoticeKind
from hefu.node import approvals, contract_pdf, contracts, orders
from hefu.store.node_tables import AlarmRow, ContractNoticeRow
from hefu.wire.refusal import Refusal
from sqlmodel import select

pytestmark = pytest.mark.server

MANDATE = {
    "document_number": "监发 1 号",
    "file_digest": "a" * 64,
    "authority": "regulator",
    "supervised": ["institution", "bank"],
}


def code(call: Any, *args: Any, **named: Any) -> str:
    try:
        call(*args, **named)
    except Refusal as refusal:
        return str(refusal.body["code"])
    return "ok"


def state(ctx: Any, contract: Any) -> str:
    with ctx.session() as session:
        return contracts.state_of(session, contract).value


@pytest.mark.parametrize("kind", ["suspend", "terminate"])
def test_the_regulator_sees_a_supervised_partys_refusal_and_nothing_stops(
    world: Any, node: Any, world_kit: Any, kind: str, monkeypatch: Any
) -> None:
    contract = world.contract(mandate=MANDATE)
    ctx = node("regulator", contract)
    contracts.take_notice(ctx, world.notice(contract, kind, "bank"))
    assert state(ctx, contract) == "active"
    with ctx.session() as session:
        alarm = session.exec(select(AlarmRow)).one()
        assert session.exec(select(ContractNoticeRow.kind)).all() == [kind]
    assert (alarm.rule, alarm.party) == ("supervision_refused", "bank")
    assert len(world_kit.journal(ctx, "supervision_refused")) == 1
    monkeypatch.setattr(contracts, "effective", lambda contract, notices: list(notices))  # guard removed
    assert state(ctx, contract) != "active"


def test_every_node_goes_on_and_the_authority_can_end_it(world: Any, node: Any) -> None:
    contract = world.contract(mandate=MANDATE)
    ctx = node("bank", contract)
    contracts.take_notice(ctx, world.notice(contract, "suspend", "institution"))
    assert contracts.give_notice(ctx, contract.digest, NoticeKind.TERMINATE, "不配合", "li")
    assert state(ctx, contract) == "active"
    with ctx.session() as session:
        assert session.exec(select(AlarmRow)).all() == []  # alarms are the regulator's
    orders.accept(ctx, world.order(contract, "check_data", "bank"), "check_data")
    contracts.take_notice(ctx, world.notice(contract, "terminate", "regulator"))
    assert state(ctx, contract) == "terminated"


def test_withdrawal_is_the_proposers_and_before_completion(world: Any, node: Any, monkeypatch: Any) -> None:
    contract = world.contract(proposer="regulator")
    ctx = node("bank")
    others = [org for org in world.keys if org != "bank"]
    contracts.take_bundle(ctx, contract.digest, world.bundle(contract, others))
    contracts.take_notice(ctx, world.notice(contract, "withdraw", "exchange"))
    assert state(ctx, contract) == "signing"
    assert (
        code(contracts.give_notice, ctx, contract.digest, NoticeKind.WITHDRAW, "x", "li")
        == "not_the_proposer"
    )
    contracts.take_notice(ctx, world.notice(contract, "withdraw", "regulator"))
    assert state(ctx, contract) == "withdrawn"
    contracts.take_bundle(
        ctx, contract.digest, world.bundle(contract)
    )  # the coordinator completes it all the same
    assert state(ctx, contract) == "withdrawn"
    assert (
        code(orders.accept, ctx, world.order(contract, "check_data", "bank"), "check_data")
        == "contract_not_active"
    )


def test_a_withdrawal_after_completion_changes_nothing(world: Any, node: Any) -> None:
    contract = world.contract(proposer="regulator")
    ctx = node("bank", contract)
    contracts.take_notice(ctx, world.notice(contract, "withdraw", "regulator"))
    assert state(ctx, contract) == "active"


def test_only_what_ran_before_finishes_under_a_superseded_version(
    world: Any, node: Any, monkeypatch: Any
) -> None:
    contract = world.contract()
    ctx = node("bank", contract)
    orders.accept(ctx, world.order(contract, "check_data", "bank"), "check_data")
    newer = world.contract(version=2, previous=contract.digest)
    world.put_in_force(ctx, newer)
    assert state(ctx, contract) == "superseded"
    orders.accept(ctx, world.order(contract, "prepare", "bank"), "prepare")
    new = "J20260302BBBBBBBB"
    for kind in ("check_data", "prepare"):
        order = world.order(contract, kind, "bank", job=new)
        assert code(orders.accept, ctx, order, kind) == "contract_not_active"
    under_newer = world.order(newer, "check_data", "bank", job=new)
    orders.accept(ctx, under_newer, "check_data")  # an order after the change is no proof for the old version
    order = world.order(contract, "prepare", "bank", job=new)
    assert code(orders.accept, ctx, order, "prepare") == "contract_not_active"
    monkeypatch.setattr(contracts, "began_before", lambda *_: True)  # guard removed
    orders.accept(ctx, world.order(contract, "prepare", "bank", job="J20260302CCCCCCCC"), "prepare")


def test_a_suspended_old_version_finishes_nothing(world: Any, node: Any) -> None:
    contract = world.contract()
    ctx = node("bank", contract)
    orders.accept(ctx, world.order(contract, "check_data", "bank"), "check_data")
    world.put_in_force(ctx, world.contract(version=2, previous=contract.digest))
    contracts.take_notice(ctx, world.notice(contract, "suspend", "institution"))
    assert (
        code(orders.accept, ctx, world.order(contract, "prepare", "bank"), "prepare") == "contract_not_active"
    )


def approval(contract: Any, *signed: str, **changes: Any) -> dict[str, Any]:
    at = contract.limits.valid_from.isoformat()
    value = {
        "kind": "contract_signature",
        "subject": contract.digest,
        "requested_by": "regulator",
        "asked": [p.org_id for p in contract.parties],
        "opened_at": at,
        "deadline": contract.signing_deadline.isoformat(),
        "answers": [{"org_id": org, "approved": True, "reason": "", "at": at} for org in signed],
    }
    return {"contract_id": contract.contract_id, "approval": {**value, **changes}}


def test_both_sides_see_the_same_state_or_the_difference(world: Any, node: Any) -> None:
    contract = world.contract()
    ctx = node("bank")
    contracts.take_bundle(ctx, contract.digest, world.bundle(contract, ["regulator", "operator"]))
    ctx.client.answers["GET", "/api/approvals"] = [approval(contract, "regulator", "operator")]
    (view,) = approvals.list_views(ctx)
    assert (view.differences, view.urgency, view.waits_for_us) == ([], "due", True)
    assert view.days_left in (6, 7)
    ctx.client.answers["GET", "/api/approvals"] = [approval(contract, "regulator", "auditor")]
    (view,) = approvals.list_views(ctx)
    assert [line.split("：")[0] for line in view.differences] == ["auditor", "operator"]
    lie = approval(
        contract,
        *[p.org_id for p in contract.parties],
        state="approved",
        closed_at=contract.limits.valid_from.isoformat(),
    )
    ctx.client.answers["GET", "/api/approvals"] = [lie]
    (view,) = approvals.list_views(ctx)
    assert any(line.startswith("状态") for line in view.differences)


def test_the_pdf_bears_every_signature(world: Any, node: Any) -> None:
    contract = world.contract()
    ctx = node("bank", contract)
    with ctx.session() as session:
        lines = contract_pdf.signature_lines(ctx, session, contract)
    assert [line.org_id for line in lines] == [p.org_id for p in contract.parties]
    assert len({line.key_id for line in lines}) == len(lines)
    assert contract_pdf.make_pdf(contract, "zh", lines).startswith(b"%PDF")
