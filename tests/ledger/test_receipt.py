"""Receipts: what proves inclusion, and what does not."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu_ledger.dsse import Envelope
from hefu_ledger.entry import Entry
from hefu_ledger.errors import LedgerError
from hefu_ledger.merkle import Tree
from hefu_ledger.note import sign_checkpoint, vkey
from hefu_ledger.proof import Receipt, build_receipt
from hypothesis import given
from hypothesis import strategies as st

AT = "2026-01-31T09:30:00.000000Z"
KEY = Ed25519PrivateKey.generate()
LOG = vkey("log.example", KEY.public_key())


@pytest.fixture(scope="module")
def log():
    from hefu_ledger.dsse import sign

    entries = [Entry(seq, AT, sign("text/plain", b"%d" % seq, KEY)) for seq in range(13)]
    tree = Tree(one.leaf_hash for one in entries)
    return entries, tree, sign_checkpoint("log.example", 13, tree.root(), KEY)


@pytest.mark.parametrize("seq", range(13))
def test_built_read_back_and_verified(log, seq):
    entries, tree, checkpoint = log
    receipt = build_receipt(entries[seq], tree.inclusion(seq), checkpoint)
    again = Receipt.from_bytes(receipt.to_bytes())
    assert again == receipt
    assert again.verify(entries[seq].envelope, LOG) == checkpoint
    assert again.verify_entry(entries[seq].to_bytes(), LOG) == checkpoint


def test_the_text_is_the_specified_one(log):
    entries, tree, checkpoint = log
    lines = build_receipt(entries[5], tree.inclusion(5), checkpoint).to_bytes().decode().split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1].startswith("extra ")
    assert lines[2] == "index 5"
    assert lines[7:10] == ["", "log.example", "13"]


def test_for_another_envelope(log):
    entries, tree, checkpoint = log
    receipt = build_receipt(entries[3], tree.inclusion(3), checkpoint)
    with pytest.raises(LedgerError):
        receipt.verify(entries[4].envelope, LOG)


def test_under_another_log(log):
    entries, tree, checkpoint = log
    receipt = build_receipt(entries[3], tree.inclusion(3), checkpoint)
    for other in (
        vkey("log.example", Ed25519PrivateKey.generate().public_key()),
        vkey("other", KEY.public_key()),
    ):
        with pytest.raises(LedgerError):
            receipt.verify(entries[3].envelope, other)


def test_a_proof_is_not_built_against_a_root_that_nobody_signed(log):
    from hefu_ledger.note import Checkpoint

    entries, tree, checkpoint = log
    with pytest.raises(LedgerError, match="signed"):
        build_receipt(entries[0], tree.inclusion(0), Checkpoint("log.example", 13, tree.root()))
    with pytest.raises(LedgerError):
        build_receipt(entries[1], tree.inclusion(0), checkpoint)


@given(st.data())
def test_every_flipped_bit_is_noticed(log, data):
    entries, tree, checkpoint = log
    seq = data.draw(st.integers(0, 12))
    good = build_receipt(entries[seq], tree.inclusion(seq), checkpoint).to_bytes()
    bit = data.draw(st.integers(0, 8 * len(good) - 1))
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(LedgerError):
        Receipt.from_bytes(bytes(bad)).verify(entries[seq].envelope, LOG)


@given(st.binary(max_size=200))
def test_garbage(data):
    with pytest.raises(LedgerError):
        Receipt.from_bytes(data)


def test_bad_lines(log):
    entries, tree, checkpoint = log
    good = build_receipt(entries[5], tree.inclusion(5), checkpoint).to_bytes()
    sibling = good.split(b"\n")[3]
    for bad in (
        good.replace(b"index 5", b"index 05"), good.replace(b"index 5", b"index +5"), good.replace(b"index 5", b"index 13"),
        good.replace(b"index 5\n", b""), good.replace(sibling + b"\n", b""), good.replace(sibling, sibling + b"\n" + sibling),
        good.replace(b"v1", b"v2", 1), good.replace(b"\n", b"\r\n"), good.replace(b"extra ", b"extra  "),
        good.replace(sibling, b"AAAA"), good[: good.index(b"\n\n")], good.split(b"\n\n", 1)[1],
    ):  # fmt: skip
        assert bad != good
        with pytest.raises(LedgerError):
            Receipt.from_bytes(bad).verify(entries[5].envelope, LOG)


def test_a_proof_made_by_others_needs_the_entry(log):
    entries, tree, checkpoint = log
    bare = Receipt.from_bytes(Receipt(2, tuple(tree.inclusion(2)), checkpoint.note).to_bytes())
    bare.verify_entry(entries[2].to_bytes(), LOG)
    with pytest.raises(LedgerError, match="logged_at"):
        bare.verify(entries[2].envelope, LOG)
    assert isinstance(entries[2].envelope, Envelope)
