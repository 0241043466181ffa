"""The offline verifier: a good copy passes, every forgery is named. No database, no network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu_ledger.entry import Entry
from hefu_ledger.errors import (
    CheckpointInvalid,
    LedgerError,
    RollbackDetected,
    StoreUnavailable,
    VerificationFailed,
)
from hefu_ledger.keys import KeyEntry, KeyList
from hefu_ledger.merkle import EMPTY_ROOT, Frontier, Tree, leaf_hash
from hefu_ledger.note import vkey
from hefu_ledger.second import second_hash, second_root
from hefu_ledger.tiles import pack_entries, tile_path, unpack_entries
from hefu_ledger.verify import verify_export
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader

AT = "2026-01-31T09:30:00.000000Z"


@pytest.fixture
def parties(signer):
    return [signer("bank"), signer("lender")]


@pytest.fixture
def keys(parties):
    return KeyList(one.key_entry for one in parties)


@pytest.fixture
def envelopes(parties):
    return [parties[number % 2].say(body={"n": number}) for number in range(12)]


@pytest.fixture
def good(exported, keys, envelopes, bodies_of):
    bodies = bodies_of(envelopes)
    exported.write(bodies, keys)
    return bodies


def test_a_good_copy(exported, keys, good):
    seen = []
    report = verify_export(
        exported.directory,
        log_vkey=exported.vkey,
        keys=keys,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert report.size == report.signatures_checked == 12
    assert report.root == Tree(map(leaf_hash, good)).root()
    assert report.signers == {"bank": 6, "lender": 6}
    assert not report.trusts_own_keys
    assert not report.trusts_own_vkey
    assert seen[-1] == (12, 12)


def test_keys_that_come_with_the_copy_are_said_to(exported, good):
    report = verify_export(exported.directory)
    assert report.trusts_own_keys
    assert report.trusts_own_vkey


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600])
def test_another_implementation_reads_the_tiles(exported, keys, parties, bodies_of, size):
    bodies = bodies_of([parties[0].say(body={}) for _ in range(size)])
    checkpoint = exported.write(bodies, keys)
    report = verify_export(exported.directory, log_vkey=exported.vkey, keys=keys)
    assert report.size == size
    reader = TilesReader(LocalBackend(exported.directory))
    assert reader.get_checkpoint().root_hash == checkpoint.root
    if size:
        assert reader.calculate_root_hash() == checkpoint.root
        assert reader.get_entry(size - 1) == bodies[-1]
        proof = reader.get_inclusion_proof(size // 2, size)
        assert proof.node_hashes == Tree(map(leaf_hash, bodies)).inclusion(size // 2)


def test_paths_of_the_specification():
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path("entries", 5, 112) == "tile/entries/005.p/112"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data())
def test_every_flipped_bit_in_every_file_is_noticed(exported, keys, good, data):
    paths = sorted(
        one
        for one in exported.directory.rglob("*")
        if one.is_file() and one.name not in ("keys.json", "log.vkey")
    )
    path = data.draw(st.sampled_from(paths))
    whole = path.read_bytes()
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    bad = bytearray(whole)
    bad[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bad)
    try:
        with pytest.raises(LedgerError):
            verify_export(exported.directory, log_vkey=exported.vkey, keys=keys)
    finally:
        path.write_bytes(whole)


def fails(exported, keys, error=VerificationFailed):
    with pytest.raises(error) as caught:
        verify_export(exported.directory, log_vkey=exported.vkey, keys=keys)
    return caught.value


def bundle(exported):
    return exported.directory / tile_path("entries", 0, 12)


def test_a_changed_entry_is_named(exported, keys, good):
    bodies = [*good[:4], good[4].replace(b'"logged_at":"2026-01-31', b'"logged_at":"2026-02-01'), *good[5:]]
    bundle(exported).write_bytes(pack_entries(bodies))
    failure = fails(exported, keys)
    assert failure.seq == 5
    assert "clock" in failure.promise


def test_a_changed_statement_is_named(exported, keys, parties, envelopes, bodies_of, good):
    """The payload altered, everything after it recomputed and even signed by the log: the party's signature is missing."""
    from hefu_ledger.dsse import Envelope

    forged = Envelope(
        envelopes[4].payload_type, envelopes[4].payload.replace(b'"n":4', b'"n":5'), envelopes[4].signatures
    )
    exported.write(bodies_of([*envelopes[:4], forged, *envelopes[5:]]), keys)
    failure = fails(exported, keys)
    assert failure.seq == 4
    assert "signed" in failure.promise


def test_a_history_signed_anew_under_a_stolen_log_key_differs_from_a_kept_checkpoint(
    exported, keys, signer, bodies_of
):
    """A party and the operator together: signatures are right, signer chains are right; only the tree tells."""
    bank = signer("bank")
    keys.add(bank.key_entry)
    exported.write(bodies_of([bank.say(body={"n": n}) for n in range(3)]), keys)
    kept = (exported.directory / "checkpoint").read_bytes()
    bank.signer_seq, bank.prev = 0, None
    exported.write(bodies_of([bank.say(body={"n": n + 1}) for n in range(3)]), keys)
    verify_export(exported.directory, log_vkey=exported.vkey, keys=keys)
    (exported.directory / "checkpoint").write_bytes(kept)
    assert "root" in fails(exported, keys).promise


def test_a_dropped_statement_leaves_a_gap(exported, keys, envelopes, bodies_of):
    exported.write(bodies_of([*envelopes[:4], *envelopes[5:]]), keys)
    failure = fails(exported, keys)
    assert failure.seq == 5
    assert "without a gap" in failure.promise


def test_swapped_statements_of_one_signer(exported, keys, envelopes, bodies_of):
    envelopes[4], envelopes[6] = envelopes[6], envelopes[4]
    exported.write(bodies_of(envelopes), keys)
    assert fails(exported, keys).seq == 4


def test_swapped_entries(exported, keys, good):
    good[4], good[5] = good[5], good[4]
    bundle(exported).write_bytes(pack_entries(good))
    failure = fails(exported, keys)
    assert (failure.seq, failure.expected, failure.found) == (4, "seq 4", "seq 5")


def test_the_same_envelope_twice(exported, keys, envelopes, bodies_of):
    exported.write(bodies_of([*envelopes, envelopes[-1]]), keys)
    assert fails(exported, keys).seq == 12


def test_a_tail_cut_off(exported, keys, good):
    bundle(exported).write_bytes(pack_entries(good[:-1]))
    assert "complete" in fails(exported, keys).promise
    bundle(exported).unlink()
    fails(exported, keys, RollbackDetected)


def test_a_bundle_that_ends_within_an_entry(exported, keys, good):
    bundle(exported).write_bytes(pack_entries(good)[:-1])
    assert "complete" in fails(exported, keys).promise
    with pytest.raises(LedgerError):
        list(unpack_entries(b"\x00"))


def test_more_entries_than_signed_for(exported, keys, good):
    bundle(exported).write_bytes(pack_entries([*good, good[-1]]))
    assert "complete" in fails(exported, keys).promise


def test_a_missing_tile(exported, keys, good):
    (exported.directory / tile_path(0, 0, 12)).unlink()
    fails(exported, keys, LedgerError)


def test_another_log(exported, keys, good):
    other = vkey("log.example/hefu", Ed25519PrivateKey.generate().public_key())
    with pytest.raises(CheckpointInvalid):
        verify_export(exported.directory, log_vkey=other, keys=keys)


def test_unknown_signer_and_foreign_actor(exported, good, parties):
    assert "unknown key" in fails(exported, KeyList([parties[0].key_entry])).found
    stolen = KeyList([parties[0].key_entry, KeyEntry("somebody", parties[1].key.public_key())])
    assert "belongs to the actor" in fails(exported, stolen).promise


def test_a_key_used_after_its_end(exported, good, parties):
    def until(time):
        return KeyList([KeyEntry("bank", parties[0].key.public_key(), False, time), parties[1].key_entry])

    verify_export(exported.directory, log_vkey=exported.vkey, keys=until(AT))
    assert fails(exported, until("2026-01-31T09:29:59.999999Z")).seq == 0


def test_a_party_that_was_shown_another_history(exported, keys, parties, bodies_of):
    bank, lender = parties
    first = [bank.say(), lender.say()]
    root = Tree(map(leaf_hash, bodies_of(first))).root().hex()
    exported.write(bodies_of([*first, bank.say(checkpoint={"size": 2, "root": root})]), keys)
    verify_export(exported.directory, log_vkey=exported.vkey, keys=keys)
    more = [*first, lender.say(checkpoint={"size": 2, "root": "ab" * 32})]
    exported.write(bodies_of(more), keys)
    failure = fails(exported, keys)
    assert failure.seq == 2
    assert "this history" in failure.promise


def test_a_checkpoint_from_the_future_or_an_older_one(exported, keys, parties, bodies_of):
    bank = parties[0]
    exported.write(bodies_of([bank.say(checkpoint={"size": 1, "root": "ab" * 32})]), keys)
    assert fails(exported, keys).seq == 0


def test_a_rule_about_all_evidence(exported, keys, good):
    seen = []
    verify_export(
        exported.directory,
        log_vkey=exported.vkey,
        keys=keys,
        checks=[lambda all_of_it: seen.extend(all_of_it)],
    )
    assert [one.body["n"] for one in seen] == list(range(12))

    def broken(all_of_it):
        raise ValueError("the two ends of a channel differ")

    with pytest.raises(LedgerError, match="two ends"):
        verify_export(exported.directory, log_vkey=exported.vkey, keys=keys, checks=[broken])


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"keys":[],"v":2}', b'{"keys":[{}],"v":1}', b'{"keys":{},"v":1}', b"\xff"]
)
def test_bad_keys_file(exported, good, data):
    exported.put("keys.json", data)
    with pytest.raises(LedgerError):
        verify_export(exported.directory, log_vkey=exported.vkey)


def test_keys_are_read_back(keys, parties):
    again = KeyList.from_bytes(keys.to_bytes())
    for one in parties:
        found = again.resolve(one.say().signatures[0].key_id)
        assert found is not None
        assert found.actor == one.actor


def test_an_empty_key_is_no_key(exported, good):
    """A caller whose own source of the key came up empty must not be given the copy's."""
    with pytest.raises(LedgerError):
        verify_export(exported.directory, log_vkey="")


def test_a_folder_that_cannot_be_looked_into(exported, good, monkeypatch):
    def closed(self, **options):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "exists", closed)
    with pytest.raises(StoreUnavailable, match="Permission denied"):
        verify_export(exported.directory, log_vkey=exported.vkey)


def test_an_empty_folder(tmp_path):
    with pytest.raises(LedgerError):
        verify_export(tmp_path)


def test_the_verifier_needs_neither_a_database_driver_nor_a_network(exported, keys, good):
    """In a process that can import neither psycopg nor the platform, and cannot open a socket."""
    script = """
import sys
for name in ("psycopg", "sqlalchemy", "hefu", "pydantic"):
    sys.modules[name] = None
import socket
def refuse(*args, **options):
    raise RuntimeError("network")
socket.socket = refuse
from pathlib import Path
from hefu_ledger.verify import verify_export
print(verify_export(Path(sys.argv[1]), log_vkey=sys.argv[2]).size)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(exported.directory), exported.vkey],
        capture_output=True, text=True, check=True, cwd=Path("/"),
    )  # fmt: skip
    assert done.stdout == "12\n"


def test_entries_in_the_copy_are_the_logged_bytes(exported, good):
    bodies = list(unpack_entries(bundle(exported).read_bytes()))
    assert bodies == good
    assert [Entry.from_bytes(one).seq for one in bodies] == list(range(12))


def test_the_readmes_code_runs(exported, keys, good, capsys):
    readme = (Path(__file__).parents[2] / "ledger" / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(block, {"directory": exported.directory, "vkey": exported.vkey, "keys": keys})  # noqa: S102
    assert capsys.readouterr().out.startswith("12 ")


def test_two_ways_to_the_root_agree():
    leaves = [leaf_hash(b"%d" % number) for number in range(130)]
    for start in range(131):
        frontier = Frontier()
        frontier.extend(leaves[:start])
        assert second_root(frontier.peaks(), leaves[start:]) == Tree(leaves).root()
    assert second_root([], []) == EMPTY_ROOT
    assert second_hash(b"\x00", b"x") == leaf_hash(b"x")
