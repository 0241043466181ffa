"""Which orders a node obeys. For each guard, the same attack with the guard removed: it passes, so the guard is what stops it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hefu.domain.contract import Contract
from hefu.domain.errors import DocumentInvalid
from hefu.keys.public import public_b64
from hefu.node import contracts, orders, registry
from hefu.store.base import now
from hefu.store.node_tables import ContractRow, ContractSignatureRow
from hefu.store.signed import decode_envelope
from hefu.wire.refusal import Refusal
from sqlmodel import select

pytestmark = pytest.mark.server


@pytest.fixture
def bank(world: Any, node: Any) -> Any:
    """The bank's node and the contract that is in force there."""
    contract = world.contract()
    return node("bank", contract), contract


def refused(ctx: Any, envelope: str, kind: Any = "prepare") -> str:
    with pytest.raises(Refusal) as caught:
        orders.accept(ctx, envelope, kind)
    return str(caught.value.body["code"])


class TestTheOrderItself:
    def test_a_good_order_is_obeyed_and_kept(self, world: Any, world_kit: Any, bank: Any) -> None:
        ctx, contract = bank
        order, under = orders.accept(ctx, world.order(contract, "prepare", "bank"), "prepare")
        assert (under.digest, order.recipient) == (contract.digest, "bank")
        assert [(r.accepted, r.code) for r in world_kit.order_rows(ctx)] == [(True, "ok")]
        assert world_kit.refused_orders(ctx) == []

    def test_signed_by_another_key(self, world: Any, world_kit: Any, bank: Any, monkeypatch: Any) -> None:
        ctx, contract = bank
        forged = world.order(contract, "prepare", "bank", signed_by=world.stranger)
        assert refused(ctx, forged) == "order_invalid"
        assert refused(ctx, world.order(contract, "prepare", "bank", signed_by="operator")) == "order_invalid"
        assert world_kit.refused_orders(ctx) == ["order_invalid", "order_invalid"]
        monkeypatch.setattr(orders, "read_signed", lambda *_: None)
        orders.accept(ctx, world.order(contract, "prepare", "bank", signed_by=world.stranger), "prepare")

    def test_every_flipped_byte_is_caught(self, world: Any, bank: Any) -> None:
        """One byte in each part of the envelope; the signature covers all of them."""
        import base64

        ctx, contract = bank
        raw = base64.b64decode(world.order(contract, "prepare", "bank"))
        for place in range(5, len(raw), len(raw) // 12):
            altered = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
            assert refused(ctx, base64.b64encode(altered).decode()) == "order_invalid", place

    @pytest.mark.parametrize(
        ("changes", "kind"), [({"recipient": "exchange"}, "prepare"), ({}, "finish"), ({}, "compute")]
    )
    def test_for_another_node_or_another_route(
        self, world: Any, world_kit: Any, bank: Any, monkeypatch: Any, changes: Any, kind: Any
    ) -> None:
        ctx, contract = bank
        order = world.order(contract, "prepare", changes.get("recipient", "bank"))
        assert refused(ctx, order, kind) == "order_misdirected"
        assert world_kit.refused_orders(ctx) == ["order_misdirected"]
        monkeypatch.setattr(orders, "_check_form", lambda *_: None)
        orders.accept(ctx, world.order(contract, "prepare", changes.get("recipient", "bank")), kind)

    def test_expired_or_from_the_future(self, world: Any, bank: Any, monkeypatch: Any) -> None:
        ctx, contract = bank
        past = {"issued_at": now() - timedelta(hours=1), "expires_at": now() - timedelta(seconds=1)}
        future = {"issued_at": now() + timedelta(minutes=5), "expires_at": now() + timedelta(minutes=6)}
        assert refused(ctx, world.order(contract, "prepare", "bank", **past)) == "order_expired"
        assert refused(ctx, world.order(contract, "prepare", "bank", **future)) == "order_expired"
        monkeypatch.setattr(orders, "_check_form", lambda *_: None)
        orders.accept(ctx, world.order(contract, "prepare", "bank", **past), "prepare")

    def test_replayed(self, world: Any, world_kit: Any, bank: Any) -> None:
        ctx, contract = bank
        order = world.order(contract, "prepare", "bank")
        orders.accept(ctx, order, "prepare")
        assert refused(ctx, order) == "order_replayed"
        assert world_kit.refused_orders(ctx) == ["order_replayed"]

    def test_replayed_in_another_envelope(self, world: Any, bank: Any) -> None:
        """A second signature makes other bytes of the same order: its number counts, not its bytes."""
        from hefu.store.signed import encode_envelope
        from hefu_ledger.dsse import add_signature

        ctx, contract = bank
        order = world.order(contract, "prepare", "bank")
        orders.accept(ctx, order, "prepare")
        again = encode_envelope(add_signature(decode_envelope(order), world.stranger.identity))
        assert again != order
        assert refused(ctx, again) == "order_replayed"

    def test_twenty_times_at_once_is_obeyed_once(self, world: Any, world_kit: Any, bank: Any) -> None:
        ctx, contract = bank
        order = world.order(contract, "prepare", "bank")

        def one(_: int) -> str:
            try:
                orders.accept(ctx, order, "prepare")
            except Refusal as refusal:
                return str(refusal.body["code"])
            return "ok"

        with ThreadPoolExecutor(20) as pool:
            said = sorted(pool.map(one, range(20)))
        assert said == ["ok"] + ["order_replayed"] * 19
        assert world_kit.refused_orders(ctx) == ["order_replayed"] * 19

    def test_replay_passes_without_the_memory_of_orders(
        self, world: Any, bank: Any, monkeypatch: Any
    ) -> None:
        ctx, contract = bank
        order = world.order(contract, "prepare", "bank")
        orders.accept(ctx, order, "prepare")
        from hefu.store.node_tables import OrderRow
        from sqlmodel import delete

        with ctx.session() as session:
            session.exec(delete(OrderRow))
            session.commit()
        orders.accept(ctx, order, "prepare")

    def test_garbage_is_refused_and_the_node_serves_on(self, world: Any, world_kit: Any, bank: Any) -> None:
        ctx, contract = bank
        for garbage in ("", "%%%", "AAAA", world.notice(contract, "suspend", "bank")):
            assert refused(ctx, garbage) == "order_invalid"
        assert world_kit.refused_orders(ctx) == ["order_invalid"] * 4
        orders.accept(ctx, world.order(contract, "prepare", "bank"), "prepare")


class TestTheContract:
    def test_unknown(self, world: Any, world_kit: Any, bank: Any) -> None:
        ctx, _ = bank
        other = world.contract(contract_id="HF-TEST-OTHER")
        assert refused(ctx, world.order(other, "check_data", "bank"), "check_data") == "contract_unknown"
        assert refused(ctx, world.order(other, "abort", "bank"), "abort") == "not_found"
        assert world_kit.refused_orders(ctx) == ["contract_unknown", "not_found"]

    @pytest.mark.parametrize("missing", ["institution", "regulator", "auditor", "bank"])
    def test_one_signature_missing(self, world: Any, node: Any, monkeypatch: Any, missing: str) -> None:
        """The auditor computes nothing: its signature is needed as everybody's is."""
        contract = world.contract()
        ctx = node("bank")
        others = [org for org in world.keys if org != missing]
        contracts.take_bundle(ctx, contract.digest, world.bundle(contract, others))
        order = world.order(contract, "prepare", "bank")
        assert refused(ctx, order) == "contract_not_signed"
        monkeypatch.setattr(contracts, "in_force", lambda ctx, session, digest, job=None: contract)
        monkeypatch.setattr(ctx.directory, "standing", lambda org: "active")  # nobody is pinned here yet
        orders.accept(ctx, world.order(contract, "prepare", "bank"), "prepare")

    def test_unsigned_altogether_is_not_even_taken(self, world: Any, node: Any) -> None:
        contract = world.contract()
        ctx = node("bank")
        bundle = {"summary": {"proposed_by": "regulator"}, "signatures": {}, "notices": []}
        with pytest.raises(DocumentInvalid):
            contracts.take_bundle(ctx, contract.digest, bundle)
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "contract_unknown"

    def test_signatures_of_another_or_by_another_count_for_nothing(self, world: Any, node: Any) -> None:
        contract, other = world.contract(), world.contract(contract_id="HF-TEST-OTHER")
        ctx = node("bank")
        bundle = world.bundle(contract, ["institution", "regulator", "operator", "exchange"])
        bundle["signatures"]["auditor"] = world.signature(other, "auditor")
        bundle["signatures"]["bank"] = world.signature(contract, world.stranger)
        bundle["signatures"]["nobody"] = world.signature(contract, "auditor")
        contracts.take_bundle(ctx, contract.digest, bundle)
        with ctx.session() as session:
            kept = {s.org_id for s in session.exec(select(ContractSignatureRow))}
        assert kept == {"institution", "regulator", "operator", "exchange"}
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "contract_not_signed"

    def test_forged_whole_with_keys_of_the_coordinators_own(
        self, world: Any, node: Any, world_kit: Any
    ) -> None:
        """The contract pins keys that the coordinator made for everybody, this node included, and all "sign"."""
        true = world.contract()
        ctx = node("bank", true)
        fake = world_kit.make_world()
        fake.coordinator, fake.ledger_key = world.coordinator, world.ledger_key
        forged = fake.contract(contract_id="HF-FORGED")
        with pytest.raises(DocumentInvalid, match=r"parties\.bank\.identity_key"):
            contracts.take_bundle(ctx, forged.digest, fake.bundle(forged))
        assert refused(ctx, world.order(forged, "check_data", "bank"), "check_data") == "contract_unknown"

    def test_forged_whole_even_where_it_got_into_the_tables(
        self, world: Any, node: Any, world_kit: Any, monkeypatch: Any
    ) -> None:
        true = world.contract()
        ctx = node("bank", true)
        fake = world_kit.make_world()
        fake.coordinator, fake.ledger_key = world.coordinator, world.ledger_key
        forged = fake.contract(contract_id="HF-FORGED")
        own_key = ctx.keys
        ctx.keys = fake.keys["bank"]  # the guard on the way in, removed
        contracts.take_bundle(ctx, forged.digest, fake.bundle(forged))
        orders.accept(ctx, world.order(forged, "check_data", "bank"), "check_data")  # both removed: it passes
        ctx.keys = own_key
        assert refused(ctx, world.order(forged, "check_data", "bank"), "check_data") == "contract_altered"

    def test_altered_by_one_byte_after_signing(self, world: Any, bank: Any) -> None:
        ctx, contract = bank
        with ctx.session() as session:
            row = session.get_one(ContractRow, contract.digest)
            row.document = row.document.replace(b'"max_uses":100', b'"max_uses":900')
            session.add(row)
            session.commit()
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "contract_altered"

    def test_signature_altered_by_one_byte(self, world: Any, bank: Any) -> None:
        ctx, contract = bank
        with ctx.session() as session:
            row = session.get_one(ContractSignatureRow, (contract.digest, "auditor"))
            at = row.envelope.index(b'"sig":"') + 10
            row.envelope = row.envelope[:at] + bytes([row.envelope[at] ^ 1]) + row.envelope[at + 1 :]
            session.add(row)
            session.commit()
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "contract_altered"

    def test_altered_contract_has_another_digest(self, world: Any, bank: Any) -> None:
        """The coordinator alters the contract and keeps the signatures: nothing of it verifies."""
        ctx, contract = bank
        value = contract.model_dump(mode="json")
        value["limits"]["max_uses"] = 101
        altered = Contract.model_validate(value)
        with pytest.raises(DocumentInvalid):
            contracts.take_bundle(ctx, altered.digest, world.bundle(contract))
        assert refused(ctx, world.order(altered, "prepare", "bank")) == "contract_unknown"

    def test_expired_and_not_yet_valid(self, world: Any, node: Any, monkeypatch: Any) -> None:
        contract = world.contract()
        ctx = node("bank", contract)
        for moment, code in (
            (contract.limits.valid_until + timedelta(seconds=1), "contract_not_active"),
            (contract.limits.valid_from - timedelta(seconds=1), "contract_expired"),
        ):
            monkeypatch.setattr(contracts, "now", lambda moment=moment: moment)
            assert refused(ctx, world.order(contract, "prepare", "bank")) == code
        monkeypatch.setattr(contracts, "now", now)
        orders.accept(ctx, world.order(contract, "prepare", "bank"), "prepare")

    def test_superseded_by_a_newer_version(self, world: Any, bank: Any) -> None:
        ctx, contract = bank
        newer = world.contract(version=2, previous=contract.digest)
        world.put_in_force(ctx, newer)
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "contract_not_active"
        orders.accept(ctx, world.order(newer, "prepare", "bank"), "prepare")

    def test_abort_is_obeyed_under_a_contract_that_is_over(self, world: Any, bank: Any) -> None:
        """What stops use is never refused for the sake of a suspension."""
        ctx, contract = bank
        contracts.take_notice(ctx, world.notice(contract, "suspend", "institution"))
        registry.take_standing(ctx, world.standing("institution", "suspended"))
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "contract_not_active"
        orders.accept(ctx, world.order(contract, "abort", "bank"), "abort")
        orders.accept(ctx, world.order(contract, "finish", "bank"), "finish")

    def test_a_job_stays_with_its_contract_and_day(self, world: Any, bank: Any, monkeypatch: Any) -> None:
        """Input prepared under one contract is not computed on under another that the owner signed too."""
        ctx, contract = bank
        other = world.contract(contract_id="HF-TEST-OTHER", limits={"max_uses": 1})
        world.put_in_force(ctx, other)
        world.prepared(ctx, contract)
        assert refused(ctx, world.order(other, "compute", "bank"), "compute") == "order_misdirected"
        elsewhen = world.order(contract, "compute", "bank", business_date="2026-03-03")
        assert refused(ctx, elsewhen, "compute") == "order_misdirected"
        mixed = world.order(contract, "compute", "bank", contract_id="HF-TEST-OTHER")
        assert refused(ctx, mixed, "compute") == "order_misdirected"
        monkeypatch.setattr(orders, "_check_job", lambda *_: None)
        orders.accept(ctx, world.order(other, "compute", "bank"), "compute")

    def test_another_coordinators_contract(self, world: Any, node: Any, world_kit: Any) -> None:
        """A contract of another platform, even fully signed: neither this coordinator nor that one may order under it here."""
        platform = world.contract_value()["platform"]
        foreign = world.contract(
            contract_id="HF-FOREIGN",
            platform={**platform, "coordinator_key": public_b64(world.stranger.identity)},
        )
        ctx = node("bank", world.contract())
        with pytest.raises(Refusal) as caught:
            world.put_in_force(ctx, foreign)
        assert caught.value.body["code"] == "platform_mismatch"
        contracts.take_bundle(ctx, foreign.digest, world.bundle(foreign))
        assert refused(ctx, world.order(foreign, "prepare", "bank")) == "order_invalid"
        by_them = world.order(foreign, "prepare", "bank", signed_by=world.stranger)
        assert refused(ctx, by_them) == "order_invalid"


class TestSuspension:
    def test_hidden_by_the_coordinator_told_by_the_party(
        self, world: Any, bank: Any, monkeypatch: Any
    ) -> None:
        """The coordinator goes on saying `active`; the party told the node directly."""
        ctx, contract = bank
        contracts.take_notice(ctx, world.notice(contract, "suspend", "institution"))
        contracts.take_bundle(ctx, contract.digest, world.bundle(contract))
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "contract_not_active"
        from hefu.domain.contract import ContractState

        monkeypatch.setattr(contracts, "state_of", lambda *_: ContractState.ACTIVE)
        orders.accept(ctx, world.order(contract, "prepare", "bank"), "prepare")

    def test_terminated_for_good(self, world: Any, bank: Any) -> None:
        ctx, contract = bank
        contracts.take_notice(ctx, world.notice(contract, "terminate", "auditor"))
        contracts.take_notice(ctx, world.notice(contract, "resume", "auditor"))
        contracts.take_bundle(ctx, contract.digest, world.bundle(contract))
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "contract_not_active"

    def test_lifted_by_the_suspender_alone(self, world: Any, bank: Any) -> None:
        ctx, contract = bank
        contracts.take_notice(ctx, world.notice(contract, "suspend", "institution"))
        contracts.take_notice(ctx, world.notice(contract, "resume", "operator"))
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "contract_not_active"
        contracts.take_notice(ctx, world.notice(contract, "resume", "institution"))
        orders.accept(ctx, world.order(contract, "prepare", "bank"), "prepare")

    def test_an_old_resumption_in_a_new_envelope(self, world: Any, bank: Any) -> None:
        """Suspended, resumed, suspended again; the coordinator hands the old resumption in once more, re-wrapped."""
        from hefu.store.signed import encode_envelope
        from hefu_ledger.dsse import add_signature

        ctx, contract = bank
        resumed = world.notice(contract, "resume", "institution", at=now() - timedelta(minutes=2))
        earlier, later = now() - timedelta(minutes=3), now() - timedelta(minutes=1)
        contracts.take_notice(ctx, world.notice(contract, "suspend", "institution", at=earlier))
        contracts.take_notice(ctx, resumed)
        contracts.take_notice(ctx, world.notice(contract, "suspend", "institution", at=later))
        wrapped = encode_envelope(add_signature(decode_envelope(resumed), world.stranger.identity))
        contracts.take_notice(ctx, wrapped)
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "contract_not_active"

    def test_a_resumption_that_was_held_back(self, world: Any, bank: Any) -> None:
        """The coordinator keeps a resumption for itself and delivers it after the next suspension."""
        ctx, contract = bank
        held_back = world.notice(contract, "resume", "institution", at=now() - timedelta(minutes=2))
        contracts.take_notice(ctx, world.notice(contract, "suspend", "institution"))
        contracts.take_notice(ctx, held_back)
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "contract_not_active"

    def test_notices_of_strangers_and_forged_ones(self, world: Any, bank: Any) -> None:
        ctx, contract = bank
        with pytest.raises(DocumentInvalid):
            contracts.take_notice(
                ctx, world.notice(contract, "terminate", "institution", signed_by=world.stranger)
            )
        with pytest.raises(Refusal) as caught:
            contracts.take_notice(ctx, world.notice(contract, "terminate", "mallory", signed_by="auditor"))
        assert caught.value.body["code"] == "not_a_party"
        orders.accept(ctx, world.order(contract, "prepare", "bank"), "prepare")

    def test_one_notice_ten_times_at_once_is_kept_once(self, world: Any, world_kit: Any, bank: Any) -> None:
        """From the party itself and relayed by the coordinator, at the same moment."""
        ctx, contract = bank
        notice = world.notice(contract, "suspend", "institution")
        with ThreadPoolExecutor(10) as pool:
            list(pool.map(lambda _: contracts.take_notice(ctx, notice), range(10)))
        assert len(world_kit.journal(ctx, "contract_notice_received")) == 1

    def test_a_clock_set_back_does_not_undo_a_suspension(
        self, world: Any, bank: Any, monkeypatch: Any
    ) -> None:
        from hefu.domain.contract import NoticeKind

        ctx, contract = bank
        contracts.give_notice(ctx, contract.digest, NoticeKind.SUSPEND, "1", "u")
        contracts.give_notice(ctx, contract.digest, NoticeKind.RESUME, "2", "u")
        monkeypatch.setattr(contracts, "now", lambda: now() - timedelta(hours=1))
        contracts.give_notice(ctx, contract.digest, NoticeKind.SUSPEND, "3", "u")
        monkeypatch.setattr(contracts, "now", now)
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "contract_not_active"

    @pytest.mark.parametrize("standing", ["suspended", "revoked"])
    @pytest.mark.parametrize("org", ["institution", "auditor", "regulator"])
    def test_a_party_that_is_suspended(
        self, world: Any, bank: Any, monkeypatch: Any, org: str, standing: str
    ) -> None:
        ctx, contract = bank
        registry.take_standing(ctx, world.standing(org, standing, issued_by="operator"))
        assert refused(ctx, world.order(contract, "prepare", "bank")) == "participant_suspended"
        monkeypatch.setattr(orders, "_check_cast", lambda *_: None)
        orders.accept(ctx, world.order(contract, "prepare", "bank"), "prepare")
