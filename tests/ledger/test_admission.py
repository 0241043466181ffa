"""Who gets into the log, in which order, and who does not."""

import dataclasses

import pytest
from hefu_ledger import dsse
from hefu_ledger.admission import Admission
from hefu_ledger.errors import StoreUnavailable
from hefu_ledger.evidence import EVIDENCE_TYPE
from hefu_ledger.keys import KeyList

ROOT = "cd" * 32


@pytest.fixture
def bank(signer):
    return signer("bank")


@pytest.fixture
def admission(bank):
    return Admission(KeyList([bank.key_entry]))


def rows(*envelopes, first=1):
    return [(first + place, one.to_bytes()) for place, one in enumerate(envelopes)]


def sort(admission, rows, signers=None, roots=None):
    return admission.sort(rows, signers or {}, roots or {})


def test_in_order(admission, bank):
    envelopes = [bank.say() for _ in range(4)]
    outcome = sort(admission, rows(*envelopes))
    assert [one.envelope for one in outcome.accepted] == envelopes
    assert not outcome.rejected
    assert not admission.waiting


def test_out_of_order_within_a_run(admission, bank):
    first, second, third = bank.say(), bank.say(), bank.say()
    outcome = sort(admission, rows(third, first, second))
    assert [one.envelope for one in outcome.accepted] == [first, second, third]


def test_a_successor_waits_for_its_predecessor(admission, bank):
    first, second, third = bank.say(), bank.say(), bank.say()
    early = sort(admission, rows(second, third))
    assert not early.accepted
    assert not early.rejected
    assert admission.waiting == [1, 2]
    late = sort(admission, rows(first, first=9), early.signers)
    assert [one.envelope for one in late.accepted] == [first, second, third]
    assert not admission.waiting


def test_one_who_waits_holds_up_nobody_else(admission, bank, signer):
    other = signer("exchange")
    admission._keys.add(other.key_entry)
    bank.say()
    outcome = sort(admission, rows(bank.say(), other.say()))
    assert [one.evidence.actor for one in outcome.accepted] == ["exchange"]


def rejected(admission, envelope, **options):
    outcome = sort(
        admission, [(1, envelope if isinstance(envelope, bytes) else envelope.to_bytes())], **options
    )
    assert not outcome.accepted
    assert not admission.waiting
    ((outbox_id, reason),) = outcome.rejected
    assert outbox_id == 1
    return reason


def test_unknown_key(admission, signer):
    assert "unknown key id" in rejected(admission, signer("bank").say())


def test_revoked_key(admission, bank):
    admission._keys.add(dataclasses.replace(bank.key_entry, valid=False))
    assert "may not sign any more" in rejected(admission, bank.say())


def test_actor_is_not_the_signer(admission, bank):
    bank.actor = "regulator"
    assert "belongs to 'bank'" in rejected(admission, bank.say())


def test_wrong_signature(admission, bank, signer):
    forged = signer("bank").say().signatures[0].signature
    good = bank.say()
    bad = dsse.Envelope(good.payload_type, good.payload, (dsse.Signature(good.signatures[0].key_id, forged),))
    assert "is wrong" in rejected(admission, bad)


def test_another_payload_type(admission, bank):
    assert "payload type" in rejected(
        admission, dsse.sign("application/json", bank.evidence().to_bytes(), bank.key)
    )


def test_altered_payload(admission, bank):
    good = bank.say()
    bad = dsse.Envelope(EVIDENCE_TYPE, good.payload.replace(b"compute", b"release"), good.signatures)
    assert "is wrong" in rejected(admission, bad)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xff", b"x" * 70_000, b'{"payload":"","payloadType":"a","signatures":[]}']
)
def test_garbage(admission, data):
    assert rejected(admission, data)


def test_a_number_that_is_taken(admission, bank):
    first = bank.say()
    state = sort(admission, rows(first)).signers
    bank.signer_seq, bank.prev = 0, None
    assert "is taken" in rejected(admission, bank.say("another_story"), signers=state)


def test_two_with_one_number_in_one_run(admission, bank):
    one = bank.say()
    bank.signer_seq, bank.prev = 0, None
    two = bank.say("another_story")
    outcome = sort(admission, rows(one, two))
    assert [taken.envelope for taken in outcome.accepted] == [one]
    assert [outbox_id for outbox_id, _ in outcome.rejected] == [2]


def test_a_false_predecessor(admission, bank):
    state = sort(admission, rows(bank.say())).signers
    bank.prev = "ef" * 32
    assert "last envelope is" in rejected(admission, bank.say(), signers=state)


def test_a_checkpoint_that_was_never_signed(admission, bank):
    envelope = bank.say(checkpoint={"size": 3, "root": ROOT})
    assert "never signed" in rejected(admission, envelope, roots={3: "ef" * 32})


def test_a_signer_does_not_go_back_to_an_older_checkpoint(admission, bank):
    roots = {3: ROOT, 5: ROOT}
    state = sort(admission, rows(bank.say(checkpoint={"size": 5, "root": ROOT})), roots=roots).signers
    envelope = bank.say(checkpoint={"size": 3, "root": ROOT})
    assert "older checkpoint" in rejected(admission, envelope, signers=state, roots=roots)


def test_a_directory_that_fails_is_no_verdict(bank):
    class Broken:
        def resolve(self, key_id):
            raise OSError("connection lost")

    with pytest.raises(StoreUnavailable, match="connection lost"):
        Admission(Broken()).sort(rows(bank.say()), {}, {})
