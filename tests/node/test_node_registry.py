"""What a node believes of the registry: signatures that lead back to its kit, keys that it pinned; and of nobody's word else."""

from typing import Any

import pytest
from hefu.domain.errors import DocumentInvalid
from hefu.domain.identity import APPLICATION_TYPE
from hefu.keys.keystore import NodeKeys
from hefu.keys.public import public_b64
from hefu.node import contracts, registry
from hefu.wire.errors import PeerUnreachable
from hefu.wire.refusal import Refusal

pytestmark = pytest.mark.server


def entry_of(world: Any, org: str, **changes: Any) -> dict[str, Any]:
    return {**next(e for e in world.registry() if e["org_id"] == org), **changes}


def operator_key(world: Any) -> str:
    return str(world.applications["operator"].keys.identity)


class TestAdmission:
    def code(self, ctx: Any, world: Any, entry: dict[str, Any]) -> str:
        try:
            registry.verify_admission(ctx, entry, operator_key(world))
        except Refusal as refusal:
            return str(refusal.body["code"])
        except DocumentInvalid:
            return "document_invalid"
        return "ok"

    def test_reviewed_by_the_kits_auditor_admitted_by_the_operator(self, world: Any, node: Any) -> None:
        ctx = node("bank")
        assert self.code(ctx, world, entry_of(world, "exchange")) == "ok"
        assert (
            self.code(ctx, world, entry_of(world, "auditor", review=None)) == "ok"
        )  # pinned by the kit itself
        for changes, said in (
            ({"review": None}, "not_reviewed"),
            ({"admission": None}, "not_admitted"),
            ({"review": world.review("exchange", approved=False)}, "not_reviewed"),
            ({"review": world.review("exchange", signed_by="operator")}, "document_invalid"),
            ({"review": world.review("institution")}, "not_reviewed"),
            ({"admission": world.admission("exchange", signed_by=world.coordinator)}, "document_invalid"),
            ({"admission": world.admission("institution")}, "not_admitted"),
        ):
            assert self.code(ctx, world, entry_of(world, "exchange", **changes)) == said, changes

    @pytest.mark.parametrize("org", ["exchange", "auditor", "regulator"])
    def test_keys_of_the_coordinators_own(self, world: Any, node: Any, org: str) -> None:
        """A self-signed application is easily made; the auditor never saw it."""
        ctx, keys = node("bank"), NodeKeys.generate()
        true = world.applications[org]
        update = {"identity": public_b64(keys.identity), "sealing": public_b64(keys.sealing)}
        fake = true.model_copy(update={"keys": true.keys.model_copy(update=update)})
        entry = entry_of(world, org, digest=fake.digest, application=world.sign(fake, APPLICATION_TYPE, keys))
        assert self.code(ctx, world, entry) == "not_reviewed"

    def test_a_second_auditor_in_the_kit(self, world: Any, node: Any) -> None:
        """Either of them may have reviewed: the other's signature is not missed."""
        ctx = node("bank")
        second = make_second_auditor(world)
        for applications in (
            {"a": second[1], **ctx.kit.applications},
            {**ctx.kit.applications, "z": second[1]},
        ):
            ctx.kit = ctx.kit.model_copy(update={"applications": applications})
            assert self.code(ctx, world, entry_of(world, "exchange")) == "ok"
            by_second = world.review("exchange", signed_by=second[0])
            assert self.code(ctx, world, entry_of(world, "exchange", review=by_second)) == "ok"
            by_stranger = world.review("exchange", signed_by=world.stranger)
            assert (
                self.code(ctx, world, entry_of(world, "exchange", review=by_stranger)) == "document_invalid"
            )


class TestParties:
    """What a contract says of its parties, against what was admitted; asked by a node before it signs."""

    def code(self, ctx: Any, contract: Any, entries: list[dict[str, Any]]) -> str:
        ctx.client.answers[("GET", "/api/participants")] = entries
        try:
            contracts.verify_parties(ctx, contract)
        except Refusal as refusal:
            return str(refusal.body["code"])
        return "ok"

    def test_as_admitted(self, world: Any, node: Any) -> None:
        assert self.code(node("institution"), world.contract(), world.registry()) == "ok"

    def test_one_organisation_in_anothers_name(self, world: Any, node: Any) -> None:
        """The registry shows the exchange's admission as the bank's, and the contract pins the exchange's keys for it."""
        entries = [
            {**entry_of(world, "exchange"), "org_id": "bank"} if e["org_id"] == "bank" else e
            for e in world.registry()
        ]
        value = world.contract_value()
        parties = [
            {**world.party("exchange"), "org_id": "bank"} if p["org_id"] == "bank" else p
            for p in value["parties"]
        ]
        assert self.code(node("institution"), world.contract(parties=parties), entries) == "pin_mismatch"

    def test_a_name_that_was_not_reviewed(self, world: Any, node: Any) -> None:
        value = world.contract_value()
        parties = [
            {**p, "legal_name": "中国人民银行"} if p["org_id"] == "exchange" else p for p in value["parties"]
        ]
        contract = world.contract(parties=parties)
        assert self.code(node("institution"), contract, world.registry()) == "pin_mismatch"

    def test_a_contract_of_others_is_not_proposed(self, world: Any, node: Any) -> None:
        """Else it would be kept here and signed, and stand in our journal, before the coordinator refuses it."""
        ctx, value = node("institution"), world.contract_value()
        ctx.client.answers["GET", "/api/participants"] = world.registry()
        parties = [{**p} for p in value["parties"] if p["org_id"] != "institution"]
        duties = {"data_subject_contact": "bank"}
        contract = world.contract(parties=parties, data_sets=value["data_sets"][1:], duties=duties)
        with pytest.raises(Refusal) as caught:
            contracts.propose(ctx, contract, "tester")
        assert caught.value.body["code"] == "not_a_party"
        with pytest.raises(Refusal):
            contracts.stored(ctx, contract.digest)

    def test_an_operator_of_the_proposers_choice(self, world: Any, node: Any) -> None:
        """The operator admits: under a contract that names another, that one would have admitted everybody."""
        entries = [
            {**e, "admission": world.admission(e["org_id"], signed_by="exchange")} for e in world.registry()
        ]
        contract = world.contract(platform={"operator": "exchange"})
        assert self.code(node("institution"), contract, entries) == "platform_mismatch"


def make_second_auditor(world: Any) -> tuple[NodeKeys, str]:
    keys = NodeKeys.generate()
    true = world.applications["auditor"]
    update = {"identity": public_b64(keys.identity), "sealing": public_b64(keys.sealing)}
    application = true.model_copy(update={"org_id": "auditor2", "keys": true.keys.model_copy(update=update)})
    return keys, world.sign(application, APPLICATION_TYPE, keys)


class TestSync:
    def test_a_notice_from_somebody_unknown_does_not_stop_it(self, world: Any, node: Any) -> None:
        """A node that is new knows nobody but the kit's two: it must get its certificate all the same."""
        ctx = node("bank")
        client: Any = ctx.client
        client.answers["POST", "/api/applications"] = {}
        registry.apply(ctx)
        entries = world.registry()
        entries[0]["standing_notice"] = world.standing("institution", "suspended", issued_by="operator")
        entries.sort(key=lambda e: e["org_id"] == "bank")
        client.answers["GET", "/api/participants"] = entries
        assert registry.sync(ctx, None) is True

    def test_a_certificate_for_another_key_is_not_taken(self, world: Any, node: Any) -> None:
        ctx = node("bank", world.contract())
        registry.sync(ctx, None)
        before = ctx.directory.certificate("exchange")
        entries = world.registry()
        other = world.certificate("institution")
        client: Any = ctx.client
        client.answers["GET", "/api/participants"] = [
            {**e, "certificate": other} if e["org_id"] == "exchange" else e for e in entries
        ]
        registry.sync(ctx, None)
        assert ctx.directory.certificate("exchange") == before

    def test_one_bad_contract_does_not_keep_the_others_away(self, world: Any, node: Any) -> None:
        ctx = node("bank")
        bad, good = world.contract(contract_id="HF-BAD"), world.contract()
        client: Any = ctx.client
        client.answers["GET", "/api/contracts"] = [
            {"digest": c.digest, "state": "signing"} for c in (bad, good)
        ]
        client.answers["GET", f"/api/contracts/{bad.digest}"] = {
            **world.bundle(bad),
            "signatures": {"bank": "AAAA"},
        }
        client.answers["GET", f"/api/contracts/{good.digest}"] = world.bundle(good, ["regulator"])
        contracts.sync(ctx)
        assert contracts.stored(ctx, good.digest)[1] == good

    def test_a_signature_that_never_arrived_is_handed_in_again(self, world: Any, node: Any) -> None:
        """Signed here, committed here, and then the coordinator was not reached: nobody can sign a second time."""
        ctx, contract = node("bank"), world.contract()
        client: Any = ctx.client
        client.answers["GET", "/api/participants"] = world.registry()
        contracts.take_bundle(ctx, contract.digest, world.bundle(contract, ["regulator"]))
        with pytest.raises(PeerUnreachable):
            contracts.sign(ctx, contract.digest, "tester")
        path = f"/api/contracts/{contract.digest}/signatures"
        lost = client.sent(path)
        unsigned = world.contract(contract_id="HF-UNSIGNED")
        contracts.take_bundle(ctx, unsigned.digest, world.bundle(unsigned, ["regulator"]))
        client.answers["GET", "/api/contracts"] = [
            {"digest": c.digest, "state": "signing", "waits_for": ["bank"]} for c in (unsigned, contract)
        ]
        contracts.sync(ctx)  # still silent there: tried, and the others are taken all the same
        client.answers["POST", path] = {}
        contracts.sync(ctx)
        assert client.sent(path) == [*lost, *lost, *lost]
        assert client.sent(f"/api/contracts/{unsigned.digest}/signatures") == []
        client.answers["GET", "/api/contracts"] = [
            {"digest": contract.digest, "state": "signing", "waits_for": ["exchange"]}
        ]
        contracts.sync(ctx)
        assert len(client.sent(path)) == 3


class TestStanding:
    @pytest.fixture
    def ctx(self, world: Any, node: Any) -> Any:
        return node("bank", world.contract())

    def take(self, ctx: Any, envelope: str) -> str:
        try:
            registry.take_standing(ctx, envelope)
        except Refusal as refusal:
            return str(refusal.body["code"])
        except DocumentInvalid:
            return "document_invalid"
        return "ok"

    def test_the_newest_number_wins(self, world: Any, ctx: Any) -> None:
        suspended = world.standing("exchange", "suspended", issued_by="auditor")
        assert self.take(ctx, suspended) == "ok"
        assert self.take(ctx, world.standing("exchange", "active", sequence=2)) == "ok"
        assert self.take(ctx, suspended) == "stale_notice"
        assert ctx.directory.standing("exchange") == "active"

    def test_who_may(self, world: Any, ctx: Any) -> None:
        for issuer, said in {
            "exchange": "ok",
            "auditor": "ok",
            "operator": "ok",
            "institution": "not_entitled",
            "regulator": "not_entitled",
        }.items():
            sequence = {"exchange": 1, "auditor": 2, "operator": 3}.get(issuer, 9)
            notice = world.standing("exchange", "suspended", issued_by=issuer, sequence=sequence)
            assert self.take(ctx, notice) == said, issuer
        forged = world.standing("exchange", "revoked", sequence=9, signed_by=world.coordinator)
        assert self.take(ctx, forged) == "document_invalid"

    def test_who_is_revoked_does_not_become_merely_suspended(self, world: Any, ctx: Any) -> None:
        """By a notice of its own, with a number so high that the revocation never counts again."""
        assert self.take(ctx, world.standing("exchange", "revoked", issued_by="auditor")) == "ok"
        own = world.standing("exchange", "suspended", sequence=9, issued_by="exchange")
        assert self.take(ctx, own) == "not_entitled"
        assert ctx.directory.standing("exchange") == "revoked"

    def test_nobody_lifts_his_own(self, world: Any, ctx: Any) -> None:
        assert self.take(ctx, world.standing("exchange", "revoked", issued_by="auditor")) == "ok"
        own = world.standing("exchange", "active", sequence=2, issued_by="exchange")
        assert self.take(ctx, own) == "not_entitled"
        assert ctx.directory.standing("exchange") == "revoked"
