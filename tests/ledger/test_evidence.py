"""Evidence and entries: read back as written; everything out of form refused."""

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu_ledger import canonical, dsse
from hefu_ledger.dsse import Envelope
from hefu_ledger.encoding import is_time
from hefu_ledger.entry import MAX_ENTRY_BYTES, MAX_ENVELOPE_BYTES, Entry
from hefu_ledger.errors import EntryInvalid, EvidenceInvalid, LedgerError
from hefu_ledger.evidence import EVIDENCE_TYPE, Evidence, parse_evidence
from hypothesis import given
from hypothesis import strategies as st

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
AT = "2026-01-31T09:30:00.000000Z"
DIGEST = "ab" * 32
FULL = Evidence(
    kind="input_shared", actor="bank", at=AT, contract="c", job="j", attempt=2, stage="compute",
    body={"rows": 10, "commitment": DIGEST}, signer_seq=7, prev=DIGEST, checkpoint={"size": 3, "root": DIGEST},
)  # fmt: skip
BARE = Evidence(kind="node_started", actor="bank", at=AT, signer_seq=1)


@pytest.mark.parametrize("evidence", [FULL, BARE], ids=["full", "bare"])
def test_read_back_as_written(evidence):
    envelope = evidence.sign(KEY)
    dsse.verify_envelope(envelope, KEY.public_key(), payload_type=EVIDENCE_TYPE)
    assert parse_evidence(Envelope.from_bytes(envelope.to_bytes())) == evidence


def test_midnight_has_one_spelling_whatever_python_reads(monkeypatch):
    """Python 3.14 takes 24:00 for the next day, 3.11 refuses it: a log that holds it must not verify for one only."""

    class Newer:
        fromisoformat = staticmethod(lambda text: None)

    monkeypatch.setattr("hefu_ledger.encoding.datetime", Newer)
    assert is_time("2026-01-31T00:00:00.000000Z")
    assert not is_time("2026-01-31T24:00:00.000000Z")


def test_the_form_of_the_first_entry_is_the_form_for_ever():
    """A golden vector: these bytes must not change, or evidence already logged no longer verifies."""
    body = Entry(0, AT, BARE.sign(KEY)).to_bytes()
    assert BARE.to_bytes() == (
        b'{"actor":"bank","at":"2026-01-31T09:30:00.000000Z","attempt":null,"body":{},"checkpoint":null,'
        b'"contract":null,"job":null,"kind":"node_started","prev":null,"signer_seq":1,"stage":null,"v":1}'
    )
    assert body.startswith(b'{"envelope":{"payload":"eyJhY3RvciI6ImJhbmsi')
    assert body.endswith(b',"logged_at":"2026-01-31T09:30:00.000000Z","seq":0,"v":1}')
    assert Entry(0, AT, BARE.sign(KEY)).leaf_hash.hex() == GOLDEN_LEAF


GOLDEN_LEAF = "5610fe5cc0572e10de4e04f1bf029879768ef59eccfc00507fcf85ae3b164d63"


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": ""}, {"kind": None}, {"kind": "x" * 201}, {"actor": 5}, {"contract": ""}, {"job": 1}, {"stage": []},
        {"at": "2026-01-31T09:30:00Z"}, {"at": "2026-01-31T09:30:00.000000+00:00"}, {"at": "2026-02-30T09:30:00.000000Z"},
        {"at": "2026-01-31T09:30:00.000000000Z"}, {"at": "2026-01-31t09:30:00.000000z"}, {"at": None}, {"at": ""},
        {"at": "２026-01-31T09:30:00.000000Z"}, {"attempt": 0}, {"attempt": True}, {"attempt": "1"}, {"body": []},
        {"body": None}, {"body": {"x": 0.5}}, {"body": {"x": float("nan")}}, {"body": {"x": 2**53}},
        {"body": {"x": "\ud800"}}, {"body": {"x": "\0"}}, {"body": {"键": 1}}, {"signer_seq": 0}, {"signer_seq": True},
        {"signer_seq": 1}, {"prev": None}, {"prev": "AB" * 32}, {"prev": "ab"}, {"checkpoint": {"size": 1}},
        {"checkpoint": {"size": -1, "root": DIGEST}}, {"checkpoint": {"size": 1, "root": DIGEST, "more": 1}},
        {"checkpoint": {"size": 1, "root": "x"}}, {"checkpoint": [1, DIGEST]}, {"checkpoint": {"size": True, "root": DIGEST}},
    ],
    ids=lambda changes: str(changes)[:60].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_out_of_form_is_neither_signed_nor_read(changes):
    with pytest.raises(EvidenceInvalid):
        dataclasses.replace(FULL, **changes).sign(KEY)
    value = {**canonical.decode(FULL.to_bytes()), **changes}
    try:
        payload = canonical.encode(value)
    except LedgerError:
        return
    with pytest.raises(EvidenceInvalid):
        parse_evidence(dsse.sign(EVIDENCE_TYPE, payload, KEY))


def test_the_first_statement_has_no_predecessor():
    with pytest.raises(EvidenceInvalid, match="prev"):
        dataclasses.replace(BARE, prev=DIGEST).sign(KEY)


def test_not_evidence():
    good = canonical.decode(BARE.to_bytes())
    for payload in (b"", b"[]", b"{}", canonical.encode({**good, "more": 1}), canonical.encode({**good, "v": 2}),
                    canonical.encode({**good, "v": True}), BARE.to_bytes() + b" "):  # fmt: skip
        with pytest.raises(EvidenceInvalid):
            parse_evidence(dsse.sign(EVIDENCE_TYPE, payload, KEY))
    with pytest.raises(EvidenceInvalid, match="payload type"):
        parse_evidence(dsse.sign("application/json", BARE.to_bytes(), KEY))
    with pytest.raises(EvidenceInvalid, match="one signature"):
        parse_evidence(dsse.add_signature(BARE.sign(KEY), Ed25519PrivateKey.generate()))


@given(
    st.integers(0, 2**53 - 1),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50),
)
def test_entries_are_read_back(seq, text):
    entry = Entry(seq, AT, dataclasses.replace(FULL, body={"text": text}).sign(KEY))
    assert Entry.from_bytes(entry.to_bytes()) == entry
    assert canonical.encode(canonical.decode(entry.to_bytes())) == entry.to_bytes()


def test_an_entry_fits_into_two_bytes_of_length():
    def body(count):
        return dsse.sign(EVIDENCE_TYPE, b"x" * count, KEY)

    largest = max(
        range(48_600, 49_200), key=lambda count: (len(body(count).to_bytes()) <= MAX_ENVELOPE_BYTES, count)
    )
    assert len(Entry(2**53 - 1, AT, body(largest)).to_bytes()) <= MAX_ENTRY_BYTES
    with pytest.raises(EntryInvalid, match="65535"):
        Entry(0, AT, body(49_300)).to_bytes()
    with pytest.raises(EntryInvalid, match="65535"):
        Entry.from_bytes(b"x" * 65_536)


def test_not_an_entry():
    value = canonical.decode(Entry(1, AT, BARE.sign(KEY)).to_bytes())
    for changes in (
        {"v": 2},
        {"seq": -1},
        {"seq": "1"},
        {"seq": True},
        {"logged_at": "now"},
        {"more": 1},
        {"envelope": {}},
    ):
        with pytest.raises(EntryInvalid):
            Entry.from_bytes(canonical.encode({**value, **changes}))
    for data in (b"", b"[]", b'{"v":1}', b"\xff"):
        with pytest.raises(EntryInvalid):
            Entry.from_bytes(data)
