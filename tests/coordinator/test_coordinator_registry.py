"""Who gets into the registry: applicants by their own keys, reviewed by the kit's auditor, admitted by the operator."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hefu.coordinator import jobs, ledger, registry, views
from hefu.domain.errors import DocumentInvalid
from hefu.domain.identity import APPLICATION_TYPE
from hefu.keys.certificates import load_certificate, self_signed, to_pem
from hefu.keys.keystore import NodeKeys
from hefu.keys.public import key_id, public_b64, spki_digest
from hefu.store.signed import encode_envelope
from hefu_ledger.evidence import Evidence
from sqlalchemy import text

pytestmark = pytest.mark.server


def submit(office: Any, org: str) -> None:
    registry.submit(office.ctx, office.world.application_envelope(org), office.world.own_certificate(org))


def test_from_application_to_certificate(office: Any) -> None:
    office.apply("auditor", "operator", "bank")
    office.admit("bank")
    entry = next(e for e in registry.registry(office.ctx) if e["org_id"] == "bank")
    assert entry["state"] == "admitted"
    assert (
        spki_digest(load_certificate(entry["certificate"])) == office.world.applications["bank"].keys.tls_spki
    )
    assert "CN" in load_certificate(entry["certificate"]).issuer.rfc4514_string()


def test_the_same_application_again_is_no_change(office: Any) -> None:
    office.apply("bank", "bank")
    assert len(registry.registry(office.ctx)) == 1


def test_another_application_under_the_same_org_id(office: Any, code: Any) -> None:
    office.apply("bank")
    fake = office.kit.make_application("bank", office.world.stranger, 7, (9000, 9001))
    pem = to_pem(self_signed(office.world.stranger.tls, "bank", sans=("127.0.0.1",)))
    envelope = office.world.sign(fake, APPLICATION_TYPE, office.world.stranger)
    assert code(registry.submit, office.ctx, envelope, pem) == "organisation_exists"


@pytest.mark.parametrize("org", ["auditor", "regulator"])
def test_an_organisation_of_the_kit_is_the_one_in_the_kit(office: Any, code: Any, org: str) -> None:
    """Whoever applies first as `auditor` would else review everybody."""
    keys = NodeKeys.generate()
    fake = office.kit.make_application(org, keys, 8, (9000, 9001))
    pem = to_pem(self_signed(keys.tls, org, sans=("127.0.0.1",)))
    assert (
        code(registry.submit, office.ctx, office.world.sign(fake, APPLICATION_TYPE, keys), pem)
        == "pin_mismatch"
    )
    office.apply(org)


def test_an_application_signed_by_another(office: Any) -> None:
    application = office.world.applications["bank"]
    forged = office.world.sign(application, APPLICATION_TYPE, office.world.stranger)
    with pytest.raises(DocumentInvalid):
        registry.submit(office.ctx, forged, office.world.own_certificate("bank"))


def test_a_certificate_of_another_key(office: Any, code: Any) -> None:
    other = office.world.own_certificate("exchange")
    said = code(registry.submit, office.ctx, office.world.application_envelope("bank"), other)
    assert said == "key_mismatch"
    assert registry.registry(office.ctx) == []


def test_only_the_kits_auditor_reviews(office: Any, code: Any) -> None:
    office.apply("auditor", "operator", "bank", "exchange", "regulator")
    w, digest = office.world, office.world.applications["bank"].digest
    for org in ("operator", "exchange", "bank", "regulator", "nobody"):
        signer = org if org in w.keys else w.stranger
        assert (
            code(registry.review, office.ctx, digest, w.review("bank", signed_by=signer), org)
            == "not_auditor"
        )
    with pytest.raises(DocumentInvalid):  # in the auditor's name
        registry.review(office.ctx, digest, w.review("bank", signed_by="operator"), "auditor")
    assert code(registry.review, office.ctx, digest, w.review("exchange"), "auditor") == "digest_mismatch"
    assert {e["state"] for e in registry.registry(office.ctx)} == {"submitted"}


def test_only_the_operator_admits_and_only_the_reviewed(office: Any, code: Any) -> None:
    office.apply("auditor", "operator", "bank", "exchange")
    w, digest = office.world, office.world.applications["bank"].digest
    assert code(registry.admit, office.ctx, digest, w.admission("bank"), "operator") == "not_reviewed"
    registry.review(office.ctx, digest, w.review("bank", approved=False), "auditor")
    assert code(registry.admit, office.ctx, digest, w.admission("bank"), "operator") == "not_reviewed"
    registry.review(office.ctx, digest, w.review("bank"), "auditor")
    by_exchange = w.admission("bank", signed_by="exchange")
    assert code(registry.admit, office.ctx, digest, by_exchange, "exchange") == "not_operator"
    with pytest.raises(DocumentInvalid):
        registry.admit(office.ctx, digest, by_exchange, "operator")
    assert code(registry.admit, office.ctx, digest, w.admission("exchange"), "operator") == "not_reviewed"
    assert code(registry.admit, office.ctx, digest, w.admission("bank"), "operator") == "ok"
    assert code(registry.review, office.ctx, digest, w.review("bank"), "auditor") == "already_admitted"


def test_a_replayed_or_foreign_standing_notice(office: Any, code: Any) -> None:
    office.everybody()
    w, ctx = office.world, office.ctx
    first, second = w.standing("bank", "suspended"), w.standing("bank", "active", sequence=2)
    assert code(registry.change_standing, ctx, "bank", first, "operator") == "ok"
    assert ctx.directory.registered("bank").standing == "suspended"
    assert code(registry.change_standing, ctx, "bank", second, "operator") == "ok"
    assert code(registry.change_standing, ctx, "bank", first, "operator") == "stale_notice"
    assert ctx.directory.registered("bank").standing == "active"
    third = w.standing("bank", "suspended", sequence=3, issued_by="exchange")
    assert code(registry.change_standing, ctx, "bank", third, "exchange") == "not_entitled"
    for_another = w.standing("exchange", "suspended", sequence=3)
    assert code(registry.change_standing, ctx, "bank", for_another, "operator") == "not_entitled"
    carried = w.standing("bank", "suspended", sequence=3)
    assert code(registry.change_standing, ctx, "bank", carried, "exchange") == "not_entitled"
    with pytest.raises(DocumentInvalid):
        forged = w.standing("bank", "suspended", sequence=3, signed_by=w.stranger)
        registry.change_standing(ctx, "bank", forged, "operator")


def test_whoever_is_suspended_does_not_lift_it_himself(office: Any, code: Any) -> None:
    office.everybody()
    w, ctx = office.world, office.ctx
    own = w.standing("bank", "suspended", issued_by="bank")
    assert code(registry.change_standing, ctx, "bank", own, "bank") == "ok"
    lift = w.standing("bank", "active", sequence=2, issued_by="bank")
    assert code(registry.change_standing, ctx, "bank", lift, "bank") == "not_entitled"
    by_auditor = w.standing("bank", "active", sequence=2, issued_by="auditor")
    assert code(registry.change_standing, ctx, "bank", by_auditor, "auditor") == "ok"


def apply_as(office: Any, org: str, keys: NodeKeys, number: int = 7) -> str:
    application = office.kit.make_application(org, keys, number, (9000, 9001))
    pem = to_pem(self_signed(keys.tls, org, sans=("127.0.0.1",)))
    registry.submit(office.ctx, office.world.sign(application, APPLICATION_TYPE, keys), pem)
    return str(application.digest)


def test_an_identity_key_belongs_to_one_organisation(office: Any, code: Any) -> None:
    """Else what the first one signed would be read as the second one's, and the ledger no longer verify."""
    office.everybody()
    bank = office.world.keys["bank"]
    assert code(apply_as, office, "shell", bank) == "key_taken"
    entry = office.ctx.directory.ledger_keys().resolve(key_id(bank.identity))
    assert entry is not None
    assert entry.actor == "bank"


def test_two_applications_for_one_name_at_once(office: Any, code: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda n: code(apply_as, office, "bank", NodeKeys.generate(), n), range(20, 28)))
    assert sorted(said) == ["ok"] + ["organisation_exists"] * 7


def test_a_certificate_that_is_none(office: Any) -> None:
    envelope = office.world.application_envelope("bank")
    for pem in ("", "no certificate", office.world.own_certificate("bank")[:200]):
        with pytest.raises(DocumentInvalid, match="certificate"):
            registry.submit(office.ctx, envelope, pem)


def test_an_applicant_leaves_no_evidence(office: Any, code: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has checked yet that it is who it says: what it signs must not stand in the ledger under that name."""
    staged: list[Any] = []
    monkeypatch.setattr(ledger, "stage_envelope", lambda _session, envelope: staged.append(envelope))
    monkeypatch.setattr(ledger.store, "inclusion_receipts", lambda _connection, ids: [None] * len(ids))
    office.apply("bank", "auditor", "operator")

    def said(org: str, kind: str) -> str:
        evidence = Evidence(
            kind=kind,
            actor=org,
            at="2026-03-02T00:00:00.000000Z",
            contract=None,
            job=None,
            attempt=None,
            stage=None,
            body={},
            signer_seq=1,
            prev=None,
            checkpoint=None,
        )
        envelope = encode_envelope(evidence.sign(office.world.keys[org].identity))
        return str(code(ledger.take_envelopes, office.ctx, [envelope], org))

    for org, kind in (
        ("bank", "contract_signed"),
        ("bank", "application_submitted"),
        ("auditor", "application_reviewed"),
    ):
        assert said(org, kind) == "not_admitted"
    assert staged == []
    office.admit("bank")
    assert said("bank", "application_submitted") == "ok"
    assert len(staged) == 1


def test_the_ledger_takes_the_keys_of_the_admitted_only(office: Any) -> None:
    """What an applicant signs never enters the log: once refused, its key is gone and the log would not verify again."""

    def known(org: str) -> Any:
        key = office.world.keys[org].identity.public_key()
        return office.ctx.directory.ledger_keys().resolve(key_id(key))

    office.apply("auditor", "operator", "bank", "exchange")
    assert known("bank") is None
    registry.review(
        office.ctx,
        office.world.applications["exchange"].digest,
        office.world.review("exchange", approved=False),
        "auditor",
    )
    assert known("exchange") is None
    office.admit("bank")
    assert known("bank").valid
    revoked = office.world.standing("bank", "revoked")
    registry.change_standing(office.ctx, "bank", revoked, "operator")
    assert known("bank") is not None
    assert not known("bank").valid


def test_a_key_is_read_from_the_signed_application(office: Any) -> None:
    """Whoever writes to the database's column does not thereby sign for the organisation."""
    office.everybody()
    other = public_b64(office.world.stranger.identity)
    with office.ctx.engine.begin() as connection:
        connection.execute(
            text("update application set identity_key = :k where org_id = 'bank'"), {"k": other}
        )
    office.ctx.directory.load()
    stranger = key_id(office.world.stranger.identity.public_key())
    assert office.ctx.directory.ledger_keys().resolve(stranger) is None


def test_the_change_counter_moves_with_contracts_and_not_with_jobs(office: Any, days: Any) -> None:
    before = views.change_counter(office.everybody().ctx)
    contract = office.active()
    signed = views.change_counter(office.ctx)
    jobs.create(office.ctx, contract.contract_id, days(1), by="bank", reason="manual")
    assert before < signed == views.change_counter(office.ctx)


def test_every_step_of_an_admission_moves_the_change_counter(office: Any) -> None:
    seen = [views.change_counter(office.ctx)]
    digest = office.world.applications["bank"].digest
    for step in (
        lambda: office.apply("auditor", "operator", "bank"),
        lambda: registry.review(office.ctx, digest, office.world.review("bank"), "auditor"),
        lambda: registry.admit(office.ctx, digest, office.world.admission("bank"), "operator"),
    ):
        step()
        seen.append(views.change_counter(office.ctx))
    assert seen[0] == 0
    assert seen == sorted(set(seen))
