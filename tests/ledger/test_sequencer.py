"""The sequencer on a real PostgreSQL: order, retries, crashes, rollback."""

import threading
import time

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu_ledger import note, store
from hefu_ledger.errors import (
    CheckpointInvalid,
    LedgerError,
    RollbackDetected,
    SequencerBusy,
    StoreUnavailable,
    VerificationFailed,
)
from hefu_ledger.merkle import EMPTY_ROOT, Tree
from hefu_ledger.verify import export, verify_database, verify_export

pytestmark = pytest.mark.server


def verify(ledger, **options):
    with ledger.connect("reader") as connection:
        return verify_database(
            connection,
            **{
                "log_vkey": ledger.vkey,
                "keys": ledger.keys,
                "checkpoint_path": ledger.checkpoint_path,
                **options,
            },
        )


def test_from_stage_to_receipt_and_offline_copy(ledger, tmp_path):
    bank, lender = ledger.party("bank"), ledger.party("lender")
    sequencer = ledger.sequencer()
    assert sequencer.run_once() is None
    envelopes = [party.say(body={"n": n, "text": "对账 ✓"}) for n in range(5) for party in (bank, lender)]
    ledger.stage(*envelopes)
    checkpoint = sequencer.run_once()
    assert checkpoint.size == 10
    assert note.verify_checkpoint(ledger.checkpoint_path.read_bytes(), ledger.vkey) == checkpoint
    assert sequencer.run_once() is None
    report = verify(ledger)
    assert (report.size, report.root, report.signatures_checked) == (10, checkpoint.root, 10)
    with ledger.connect("reader") as reader:
        for envelope in envelopes:
            receipt = store.inclusion_receipt(reader, envelope.id)
            assert receipt.verify(envelope, ledger.vkey) == checkpoint
        reader.rollback()
        export(reader, tmp_path / "copy", log_vkey=ledger.vkey, keys=ledger.keys)
    copy = verify_export(tmp_path / "copy", log_vkey=ledger.vkey, keys=ledger.keys)
    assert (copy.size, copy.root) == (10, checkpoint.root)


def test_an_export_is_brought_up_to_date(ledger, tmp_path):
    bank, sequencer = ledger.party("bank"), ledger.sequencer()
    for size in (3, 256, 300):
        ledger.stage(*(bank.say() for _ in range(size - bank.signer_seq)))
        sequencer.run_once()
        with ledger.connect("reader") as reader:
            assert export(reader, tmp_path / "copy", log_vkey=ledger.vkey, keys=ledger.keys).size == size
        assert verify_export(tmp_path / "copy", log_vkey=ledger.vkey, keys=ledger.keys).size == size


def test_browsing(ledger):
    bank, lender = ledger.party("bank"), ledger.party("lender")
    ledger.stage(
        bank.say("input_shared", job="j1", at="2026-01-01T00:00:00.000000Z"),
        bank.say("channel_transcript", job="j2", at="2026-01-02T00:00:00.000000Z"),
        lender.say("input_shared", job=None, contract=None, stage=None, at="2026-01-03T00:00:00.000000Z"),
    )
    ledger.sequencer().run_once()
    with ledger.connect("reader") as reader:

        def seqs(**options):
            count = {
                name: value
                for name, value in options.items()
                if name not in ("start", "limit", "order", "before")
            }
            found = [one.seq for one in store.read_entries(reader, **options)]
            if not {"limit", "start", "before"} & options.keys():
                assert store.entry_count(reader, **count) == len(found)
            return found

        assert seqs() == [2, 1, 0]
        assert seqs(order="asc") == [0, 1, 2]
        assert seqs(order="asc", start=1, limit=1) == [1]
        assert seqs(kind="input_shared") == [2, 0]
        assert seqs(before=2, limit=1) == [1]
        assert seqs(kind="input_shared", before=2) == [0]
        assert seqs(actor="bank", job="j2") == [1]
        assert seqs(contract="contract-1") == [1, 0]
        assert seqs(since="2026-01-02T00:00:00.000000Z", until="2026-01-03T00:00:00.000000Z") == [1]
        assert seqs(before=2, limit=1) == [1]
        assert seqs(before=2, limit=9, kind="input_shared") == [0]
        assert seqs(actor="x' or 'a'='a") == []
        assert store.read_entry(reader, 1).evidence.kind == "channel_transcript"
        assert store.read_entry(reader, 3) is None
        assert store.latest_checkpoint(reader).size == 3
        with pytest.raises(LedgerError):
            store.find_entry(reader, "no digest")
        assert store.inclusion_receipt(reader, "00" * 32) is None


def test_many_receipts_read_the_log_once(ledger, monkeypatch):
    bank, trees = ledger.party("bank"), []
    said = [bank.say() for _ in range(5)]
    ledger.stage(*said[:4])
    ledger.sequencer().run_once()
    monkeypatch.setattr(store, "Tree", lambda leaves: trees.append(Tree(leaves)) or trees[-1])
    with ledger.connect("reader") as reader:
        receipts = store.inclusion_receipts(reader, [one.id for one in said])
    assert [one is not None for one in receipts] == [True] * 4 + [False]
    for envelope, receipt in zip(said[:4], receipts[:4], strict=True):
        receipt.verify(envelope, ledger.vkey)
    assert len(trees) == 1


def test_state_and_evidence_commit_together(ledger):
    bank, sequencer = ledger.party("bank"), ledger.sequencer()
    with ledger.connect() as connection:
        connection.execute("create table job (id int)")
    envelope = bank.say()
    with ledger.connect() as connection:
        connection.execute("insert into job values (1)")
        store.stage(connection, envelope)
        assert sequencer.run_once() is None, "not committed yet"
        connection.rollback()
    assert sequencer.run_once() is None
    with ledger.connect() as connection:
        connection.execute("insert into job values (1)")
        assert connection.execute("select ledger.stage(%s)", [envelope.to_bytes()]).fetchone() == (
            envelope.id,
        )
    assert sequencer.run_once().size == 1


def test_an_envelope_is_logged_once(ledger):
    bank, sequencer = ledger.party("bank"), ledger.sequencer()
    envelope = bank.say()
    ledger.stage(envelope, envelope)
    assert sequencer.run_once().size == 1
    ledger.stage(envelope)
    assert sequencer.run_once() is None
    with ledger.connect() as connection:
        assert store.waiting_count(connection) == 0
        assert store.read_rejected(connection) == []
    assert verify(ledger).size == 1


def test_staged_again_while_it_is_being_logged(ledger):
    """The retry's transaction saw no entry, and commits after the entry is there."""
    bank, sequencer = ledger.party("bank"), ledger.sequencer()
    envelope = bank.say()
    ledger.stage(envelope)
    with ledger.superuser() as connection:
        sequencer.run_once()
        connection.execute(
            "insert into ledger.outbox (envelope_id, envelope) values (sha256(%b), %b)",
            [envelope.to_bytes()] * 2,
        )
    assert sequencer.run_once() is None
    assert verify(ledger).size == 1
    with ledger.connect() as connection:
        assert store.waiting_count(connection) == 0


def test_a_lower_id_that_commits_later_is_not_passed_over(ledger):
    bank, lender, sequencer = ledger.party("bank"), ledger.party("lender"), ledger.sequencer()
    with ledger.connect() as slow:
        store.stage(slow, bank.say())
        ledger.stage(lender.say())
        assert sequencer.run_once().size == 1
        slow.commit()
    assert sequencer.run_once().size == 2


def test_rejected_envelopes_do_not_hold_up_the_rest(ledger, signer):
    bank, stranger, sequencer = ledger.party("bank"), signer("stranger"), ledger.sequencer()
    unknown, good = stranger.say(), bank.say()
    with ledger.connect("writer") as connection:
        connection.execute("select ledger.stage(%s)", [b"garbage"])
        connection.execute("select ledger.stage(%s)", [b"\x00\xff" * 100])
        store.stage(connection, unknown)
        store.stage(connection, good)
    assert sequencer.run_once().size == 1
    with ledger.connect("reader") as connection:
        reasons = {one.envelope_id: one.reason for one in store.read_rejected(connection)}
        assert len(reasons) == 3
        assert "unknown key id" in reasons[unknown.id]
    ledger.keys.add(stranger.key_entry)
    ledger.stage(unknown)
    assert sequencer.run_once().size == 2, "accepted once the key is known"


def test_out_of_order_and_in_small_batches(ledger):
    bank, sequencer = ledger.party("bank"), ledger.sequencer(batch_size=3)
    envelopes = [bank.say() for _ in range(10)]
    ledger.stage(*reversed(envelopes))
    assert sequencer.run_once().size == 10
    assert verify(ledger).size == 10


def test_nul_in_text_cannot_jam_the_database(ledger):
    from hefu_ledger import dsse
    from hefu_ledger.evidence import EVIDENCE_TYPE

    bank, sequencer = ledger.party("bank"), ledger.sequencer()
    payload = bank.evidence().to_bytes().replace("对".encode(), b"\\u0000")
    ledger.stage(dsse.sign(EVIDENCE_TYPE, payload, bank.key), bank.say())
    assert sequencer.run_once().size == 1


def test_one_sequencer_at_a_time(ledger):
    first = ledger.sequencer()
    first.run_once()
    with pytest.raises(SequencerBusy):
        ledger.sequencer().run_once()
    first.close()
    ledger.sequencer().run_once()


def test_restart_goes_on_where_it_stopped(ledger):
    bank = ledger.party("bank")
    for size in (1, 2, 3):
        sequencer = ledger.sequencer()
        ledger.stage(bank.say())
        assert sequencer.run_once().size == size
        sequencer.close()
    assert verify(ledger).size == 3


def test_a_clock_that_goes_back(ledger):
    from datetime import UTC, datetime

    bank = ledger.party("bank")
    times = iter([datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 11, tzinfo=UTC)])
    sequencer = ledger.sequencer(clock=lambda: next(times))
    for _ in range(2):
        ledger.stage(bank.say())
        sequencer.run_once()
    with ledger.connect() as connection:
        assert {one.entry.logged_at for one in store.read_entries(connection)} == {
            "2026-01-01T12:00:00.000000Z"
        }
    assert verify(ledger).size == 2


class CrashNow(Exception):
    pass


@pytest.mark.parametrize("point", ["_check_committed", "_sign_new", "_publish"])
def test_crash_between_commit_and_publication(ledger, monkeypatch, point):
    bank, sequencer = ledger.party("bank"), ledger.sequencer()
    ledger.stage(bank.say())
    sequencer.run_once()
    ledger.stage(bank.say())

    def crash(*_):
        raise CrashNow

    monkeypatch.setattr(sequencer, point, crash)
    with pytest.raises(CrashNow):
        sequencer.run_once()
    after = ledger.sequencer()
    after.run_once()
    report = verify(ledger)
    assert (report.size, report.unsigned_entries) == (2, 0)
    with ledger.connect() as connection:
        assert store.latest_checkpoint(connection).size == 2


def test_entries_behind_the_checkpoint_are_verified_before_they_are_signed_for(ledger, monkeypatch):
    """Somebody alters what was committed while the sequencer was down."""
    bank, sequencer = ledger.party("bank"), ledger.sequencer()
    sequencer.run_once()
    ledger.stage(bank.say())
    monkeypatch.setattr(sequencer, "_check_committed", lambda state: (_ for _ in ()).throw(CrashNow()))
    with pytest.raises(CrashNow):
        sequencer.run_once()
    ledger.keys.add(type(bank.key_entry)("lender", bank.key.public_key()))
    with pytest.raises(VerificationFailed, match="belongs to the actor"):
        ledger.sequencer().run_once()


def test_what_was_committed_differs_from_what_was_hashed(ledger, monkeypatch):
    """A bit flips between hash and disk: no checkpoint may be signed over it."""
    from hefu_ledger import sequencer as module

    bank, sequencer = ledger.party("bank"), ledger.sequencer()
    sequencer.run_once()
    before = ledger.checkpoint_path.read_bytes()
    ledger.stage(bank.say())
    real = module.read_bodies
    monkeypatch.setattr(
        module, "read_bodies", lambda *given: (one.replace(b"1", b"3", 1) for one in real(*given))
    )
    with pytest.raises(VerificationFailed, match="what was committed"):
        sequencer.run_once()
    assert ledger.checkpoint_path.read_bytes() == before


def test_a_database_rolled_back_is_refused(ledger):
    bank, sequencer = ledger.party("bank"), ledger.sequencer()
    ledger.stage(bank.say(), bank.say())
    sequencer.run_once()
    sequencer.close()
    with ledger.lawless() as connection:
        for statement in (
            "delete from ledger.entry where seq = 1",
            "delete from ledger.checkpoint where size > 1",
            "update ledger.head set size = 1, chain_hash = (select chain_hash from ledger.entry)",
        ):
            connection.execute(statement)
    with pytest.raises(RollbackDetected, match="2 entries"):
        ledger.sequencer().run_once()
    with pytest.raises(RollbackDetected):
        verify(ledger)


def test_a_lost_or_older_outside_checkpoint_is_refused(ledger):
    bank, sequencer = ledger.party("bank"), ledger.sequencer()
    ledger.stage(bank.say())
    sequencer.run_once()
    older = ledger.checkpoint_path.read_bytes()
    ledger.stage(bank.say())
    sequencer.run_once()
    ledger.stage(bank.say())
    ledger.checkpoint_path.write_bytes(older)
    with pytest.raises(RollbackDetected):
        sequencer.run_once()
    with pytest.raises(RollbackDetected, match="outside"):
        ledger.sequencer().run_once()
    ledger.checkpoint_path.unlink()
    with pytest.raises(RollbackDetected, match="no file"):
        ledger.sequencer().run_once()


def test_an_outside_checkpoint_of_another_key_is_refused(ledger):
    ledger.checkpoint_path.parent.mkdir(parents=True)
    other = note.sign_checkpoint("log.example/hefu", 0, EMPTY_ROOT, Ed25519PrivateKey.generate())
    ledger.checkpoint_path.write_bytes(other.note)
    with pytest.raises(CheckpointInvalid):
        ledger.sequencer().run_once()


def test_runs_until_stopped(ledger):
    bank, sequencer = ledger.party("bank"), ledger.sequencer()
    stop, wake = threading.Event(), threading.Event()
    thread = threading.Thread(target=sequencer.run_forever, args=(stop, wake, 30.0))
    thread.start()
    try:
        ledger.stage(bank.say())
        deadline = time.monotonic() + 20
        with ledger.connect("reader", autocommit=True) as reader:
            while store.entry_count(reader) < 1 and time.monotonic() < deadline:
                wake.set()
                time.sleep(0.05)
            assert store.entry_count(reader) == 1
    finally:
        stop.set()
        wake.set()
        thread.join(20)
    assert not thread.is_alive()
    ledger.sequencer().run_once()


def test_a_lost_connection_neither_loses_nor_doubles(ledger):
    bank, sequencer = ledger.party("bank"), ledger.sequencer()
    ledger.stage(bank.say())
    sequencer.run_once()
    with ledger.superuser() as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = %s",
            [f"{ledger.name}_app"],
        )
    with psycopg.connect(ledger.cluster.dsn(ledger.name, f"{ledger.name}_app", ledger.password)) as again:
        store.stage(again, bank.say())
    with pytest.raises(StoreUnavailable):
        sequencer.run_once()
    assert sequencer.run_once().size == 2
    assert verify(ledger).size == 2


def test_a_server_without_fsync_is_refused_when_asked_to(ledger):
    with pytest.raises(StoreUnavailable, match="fsync"):
        ledger.sequencer(require_durable=True).run_once()
