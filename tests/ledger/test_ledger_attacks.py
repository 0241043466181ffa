"""Attacks on a ledger in a real PostgreSQL: prevented by rights, or detected by verification."""

import contextlib
import hashlib

import psycopg
import pytest
from hefu_ledger.checker import GENESIS, chain_hash
from hefu_ledger.entry import Entry
from hefu_ledger.errors import LedgerError, RollbackDetected, VerificationFailed
from hefu_ledger.merkle import leaf_hash, root_of
from hefu_ledger.verify import export, verify_database

pytestmark = pytest.mark.server


@pytest.fixture
def filled(ledger):
    """Six entries of two parties under two checkpoints."""
    bank, lender = ledger.party("bank"), ledger.party("lender")
    sequencer = ledger.sequencer()
    for _ in range(2):
        ledger.stage(bank.say(), lender.say(), bank.say())
        sequencer.run_once()
    sequencer.close()
    ledger.bank = bank
    return ledger


def verify(ledger, **options):
    with ledger.superuser() as connection:
        return verify_database(
            connection,
            **{
                "log_vkey": ledger.vkey,
                "keys": ledger.keys,
                "checkpoint_path": ledger.checkpoint_path,
                **options,
            },
        )


def fails(ledger, error=VerificationFailed, **options):
    with pytest.raises(error) as caught:
        verify(ledger, **options)
    return caught.value


ATTACKS = {
    "update": "update ledger.entry set body = body",
    "update a copy": "update ledger.entry set payload = '{}'",
    "delete": "delete from ledger.entry where seq = 5",
    "truncate": "truncate ledger.entry",
    "truncate cascade": "truncate ledger.head, ledger.entry, ledger.checkpoint cascade",
    "insert": "insert into ledger.entry default values",
    "insert past head": "insert into ledger.entry (seq, body, leaf_hash, prev_hash, chain_hash, envelope_id, logged_at, payload)"
    " select seq + 1, body, leaf_hash, prev_hash, chain_hash, envelope_id, logged_at, payload from ledger.entry where seq = 5",
    "upsert": "insert into ledger.head values (true, 0, sha256(''), sha256('')) on conflict (only_row) do update set size = 0",
    "merge": "merge into ledger.head h using (select 1) s on true when matched then update set size = 0",
    "copy": "copy ledger.entry (seq) from stdin",
    "head": "update ledger.head set size = 0",
    "head deleted": "delete from ledger.head",
    "checkpoint": "update ledger.checkpoint set root = root",
    "checkpoint deleted": "delete from ledger.checkpoint",
    "rejected": "delete from ledger.rejected",
    "outbox": "delete from ledger.outbox",
    "outbox written": "insert into ledger.outbox (envelope_id, envelope) values (sha256('x'), 'x')",
    "drop": "drop table ledger.entry cascade",
    "replace guard": "create or replace function ledger_guard.guard_drops() returns event_trigger language plpgsql as"
    " 'begin return; end'",
    "drop schema": "drop schema ledger cascade",
    "disable trigger": "alter table ledger.entry disable trigger all",
    "drop trigger": "drop trigger no_change on ledger.entry",
    "replace function": "create or replace function ledger.refuse_change() returns trigger language plpgsql as"
    " 'begin return new; end'",
    "drop function": "drop function ledger.stage(bytea)",
    "alter function": "alter function ledger.append_batch security invoker",
    "drop check": "alter table ledger.entry drop constraint entry_seq_check",
    "rule": "create rule nothing as on insert to ledger.entry do instead nothing",
    "new trigger": "create trigger mine before insert on ledger.entry for each row"
    " execute function suppress_redundant_updates_trigger()",
    "row security": "alter table ledger.entry enable row level security",
    "policy": "create policy mine on ledger.entry using (false)",
    "inherit": "create table public.phantom () inherits (ledger.entry)",
    "rename": "alter table ledger.entry rename to other",
    "rename schema": "alter schema ledger rename to other",
    "move": "alter table ledger.entry set schema public",
    "own table in the schema": "create table ledger.mine (x int)",
    "owner": "alter table ledger.entry owner to current_user",
    "owner of the schema": "alter schema ledger owner to current_user",
    "index": "drop index ledger.entry_by_kind",
    "column": "alter table ledger.entry drop column chain_hash cascade",
    "generated column": "alter table ledger.entry alter column kind drop expression",
}
BY_RIGHTS_ONLY = {
    "drop guards": "drop schema ledger_guard cascade",
    "replica mode": "set session_replication_role = replica",
    "set role": "set role ledger_owner",
    "event trigger": "alter event trigger ledger_guard_drops disable",
    "own event trigger": "drop event trigger ledger_guard_definitions",
    "become a member": "grant ledger_owner to current_user",
}
BELOW_TRIGGERS = {
    "insert",
    "insert past head",
    "copy",
    "rejected",
    "outbox",
    "outbox written",
}  # no trigger stands here


def outcome(connection, statement):
    """The error that a statement meets; "done" if it meets none."""
    try:
        connection.execute(statement)
    except psycopg.Error as error:
        return error
    return "done"


@pytest.mark.parametrize("role", ["app", "writer", "reader", "stranger"])
def test_prevented_for_every_role(filled, role):
    """One ledger for all attempts: had one succeeded, the last line would see it too."""
    refused = (psycopg.errors.InsufficientPrivilege, psycopg.errors.WrongObjectType)
    with filled.connect(role, autocommit=True) as connection:
        met = {name: outcome(connection, text) for name, text in {**ATTACKS, **BY_RIGHTS_ONLY}.items()}
    assert {name: error for name, error in met.items() if not isinstance(error, refused)} == {}
    assert verify(filled).size == 6


@pytest.mark.parametrize("mode", ["origin", "replica"])
def test_even_a_superuser_has_to_disarm_first(filled, mode):
    attempts = {name: text for name, text in ATTACKS.items() if name not in BELOW_TRIGGERS}
    with filled.superuser() as connection:
        connection.execute(f"set session_replication_role = {mode}")
        met = {name: outcome(connection, text) for name, text in attempts.items()}
    unhindered = {name: str(error) for name, error in met.items() if "refused" not in str(error)}
    assert unhindered == {}
    assert verify(filled).size == 6


def test_no_temporary_table_no_shadow(filled):
    with filled.connect("writer") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("create temp table head (size bigint)")
    with filled.connect("app") as connection:
        connection.execute("create schema shadow")
        connection.execute(
            "create function shadow.sha256(bytea) returns bytea language sql as $$ select 'x'::bytea $$"
        )
        connection.execute("set search_path = shadow, pg_catalog, public")
        envelope = filled.bank.say()
        assert connection.execute("select ledger.stage(%s)", [envelope.to_bytes()]).fetchone() == (
            envelope.id,
        )
    assert filled.sequencer().run_once().size == 7
    assert verify(filled).size == 7


@pytest.mark.parametrize("role", ["writer", "reader", "stranger"])
@pytest.mark.parametrize(
    "call",
    [
        "select ledger.append_batch(6, array['x'::bytea], array['x'::bytea], array['x'::bytea], array['x'::bytea], '',"
        " array[1::bigint], 'x')",
        "select ledger.reject(array[1::bigint], array['because'])",
        "select ledger.drop_logged(array[1::bigint])",
        "select ledger.publish_checkpoint(1, 'x', 'x')",
    ],
)
def test_only_the_sequencer_may_call(filled, role, call):
    with filled.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(call)


def test_who_may_stage_and_read(filled):
    for role in ("reader", "stranger"):
        with filled.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select ledger.stage('x')")
    for role in ("writer", "stranger"):
        with filled.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from ledger.entry")


def test_nobody_passes_rights_on(filled):
    """PostgreSQL answers such a GRANT by a warning, or not at all; what counts is that nothing was granted."""
    with filled.connect("reader", autocommit=True) as connection:
        outcome(connection, "grant all on ledger.entry to public")
        outcome(connection, "grant ledger_read to public")
    with filled.connect("stranger") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select * from ledger.entry")


def test_injection_through_stage(filled):
    with filled.connect("writer") as connection:
        connection.execute("select ledger.stage(%s)", [b"'); delete from ledger.entry; --"])
    filled.sequencer().run_once()
    assert verify(filled).size == 6


def batch(envelope, first, previous, **changes):
    body = Entry(first, "2099-01-01T00:00:00.000000Z", envelope).to_bytes()
    given = {
        "first": first,
        "bodies": [body],
        "leaves": [leaf_hash(body)],
        "chains": [chain_hash(previous, leaf_hash(body))],
        "ids": [bytes.fromhex(envelope.id)],
        "at": "2099-01-01T00:00:00.000000Z",
        "outbox": [1],
        "root": bytes(32),
    }
    return list({**given, **changes}.values())


CALL = (
    "select ledger.append_batch(%s, %b::bytea[], %b::bytea[], %b::bytea[], %b::bytea[], %s, %s::bigint[], %b)"
)


@pytest.mark.parametrize("first", [0, 5, 7, -1])
def test_a_fork_is_refused(filled, first):
    """The application's role may append, but only at the end."""
    envelope = filled.bank.say()
    filled.stage(envelope)
    with filled.connect() as connection:
        (outbox,) = connection.execute("select id from ledger.outbox").fetchone()
        with pytest.raises(psycopg.errors.SerializationFailure, match="ends at 6"):
            connection.execute(CALL, batch(envelope, first, GENESIS, outbox=[outbox]))


@pytest.mark.parametrize(
    "changes",
    [
        {"leaves": [bytes(32)]}, {"chains": [bytes(32)]}, {"ids": [bytes(32)]}, {"at": "2098-01-01T00:00:00.000000Z"},
        {"outbox": [10**6]}, {"bodies": []}, {"outbox": []}, {"root": b"short"}, {"bodies": [b"{}"]},
    ],
    ids=str,
)  # fmt: skip
def test_a_batch_with_wrong_hashes_is_refused(filled, changes):
    envelope = filled.bank.say()
    filled.stage(envelope)
    with filled.connect() as connection:
        (outbox,) = connection.execute("select id from ledger.outbox").fetchone()
        (previous,) = connection.execute("select chain_hash from ledger.head").fetchone()
        good = batch(envelope, 6, previous, outbox=[outbox])
        with pytest.raises(psycopg.Error):
            connection.execute(CALL, batch(envelope, 6, previous, **{"outbox": [outbox], **changes}))
        connection.rollback()
        assert connection.execute(CALL, good).fetchone() == (7,), "nothing but the change was wrong"
        connection.rollback()


def test_another_checkpoint_of_one_size_is_refused(filled):
    with filled.connect() as connection:
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("select ledger.publish_checkpoint(3, %b, 'x')", [bytes(32)])
        connection.rollback()
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            connection.execute("select ledger.publish_checkpoint(7, %b, 'x')", [bytes(32)])


# -- a superuser who has disarmed everything: detected --------------------------------------------------------------


def rows(connection):
    return [
        bytes(row[0]) for row in connection.execute("select body from ledger.entry order by seq").fetchall()
    ]


def rewrite(connection, bodies, *, first=0):
    """Everything after `first` anew, with right hashes, chain and head: a self-consistent lie."""
    connection.execute("delete from ledger.entry where seq >= %s", [first])
    found = connection.execute("select chain_hash from ledger.entry order by seq desc limit 1").fetchone()
    previous = bytes(found[0]) if found else GENESIS
    for seq, body in enumerate(bodies[first:], first):
        entry, leaf = Entry.from_bytes(body), leaf_hash(body)
        chain = chain_hash(previous, leaf)
        connection.execute(
            "insert into ledger.entry (seq, body, leaf_hash, prev_hash, chain_hash, envelope_id, logged_at, payload)"
            " values (%s, %b, %b, %b, %b, %b, %s, ledger.payload_of(%b))",
            [seq, body, leaf, previous, chain, bytes.fromhex(entry.envelope.id), entry.logged_at, body],
        )
        previous = chain
    connection.execute(
        "update ledger.head set size = %s, chain_hash = %b, root = %b",
        [len(bodies), previous, root_of([leaf_hash(one) for one in bodies])],
    )


def test_a_body_edited(filled):
    with filled.lawless() as connection:
        connection.execute("update ledger.entry set body = overlay(body placing 'X' from 60) where seq = 2")
    failure = fails(filled)
    assert failure.seq == 2
    assert "leaf_hash" in failure.promise


def test_a_body_edited_with_its_own_hash(filled):
    with filled.lawless() as connection:
        body = rows(connection)[2].replace(b'"seq":2', b'"seq":9')
        connection.execute(
            "update ledger.entry set body = %b, leaf_hash = %b where seq = 2", [body, leaf_hash(body)]
        )
    assert fails(filled).seq == 2


def test_the_whole_chain_recomputed_after_an_edit(filled):
    """Every stored hash is right again; the party's signature is not."""
    from hefu_ledger.dsse import Envelope

    with filled.lawless() as connection:
        bodies = rows(connection)
        entry = Entry.from_bytes(bodies[2])
        payload = entry.envelope.payload.replace(b'"compute"', b'"release"')
        forged = Envelope(entry.envelope.payload_type, payload, entry.envelope.signatures)
        bodies[2] = Entry(2, entry.logged_at, forged).to_bytes()
        rewrite(connection, bodies)
    failure = fails(filled)
    assert failure.seq == 2
    assert "signed the exact bytes" in failure.promise


def test_the_whole_chain_recomputed_with_other_times(filled):
    """No party signs logged_at: only the checkpoints tell, and between which."""
    with filled.lawless() as connection:
        bodies = [body.replace(b'"logged_at":"20', b'"logged_at":"19') for body in rows(connection)]
        rewrite(connection, bodies)
    failure = fails(filled)
    assert "entries 0 to 2" in failure.promise


def test_the_whole_chain_recomputed_and_the_checkpoints_deleted(filled):
    with filled.lawless() as connection:
        bodies = [body.replace(b'"logged_at":"20', b'"logged_at":"19') for body in rows(connection)]
        rewrite(connection, bodies)
        connection.execute("delete from ledger.checkpoint")
    assert "root" in fails(filled).promise
    with pytest.raises(VerificationFailed):
        filled.sequencer().run_once()


def test_a_statement_dropped_and_the_rest_moved_up(filled):
    with filled.lawless() as connection:
        bodies = rows(connection)
        kept = [Entry.from_bytes(body) for place, body in enumerate(bodies) if place != 2]
        rewrite(
            connection, [Entry(seq, one.logged_at, one.envelope).to_bytes() for seq, one in enumerate(kept)]
        )
    fails(filled, RollbackDetected)


def test_a_row_in_the_middle_deleted(filled):
    with filled.lawless() as connection:
        connection.execute("delete from ledger.entry where seq = 2")
    failure = fails(filled)
    assert (failure.seq, failure.expected, failure.found) == (2, "seq 2", "seq 3")


def test_the_tail_deleted_and_the_head_fixed(filled):
    """Everything inside the database agrees: only the checkpoint outside shows it."""
    with filled.lawless() as connection:
        rewrite(connection, rows(connection)[:3])
        connection.execute("delete from ledger.checkpoint where size > 3")
    assert verify(filled, checkpoint_path=None).size == 3
    failure = fails(filled, RollbackDetected)
    assert (failure.seq, failure.expected) == (3, "6 entries, as signed")
    with pytest.raises(RollbackDetected):
        filled.sequencer().run_once()


def test_two_rows_swapped(filled):
    with filled.lawless() as connection:
        bodies = rows(connection)
        for seq, other in ((2, 3), (3, 2)):
            connection.execute(
                "update ledger.entry set body = %b, leaf_hash = %b where seq = %s",
                [bodies[other], leaf_hash(bodies[other]), seq],
            )
    assert fails(filled).seq == 2


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("payload", """'{"kind":"other"}'"""),
        ("payload", 'payload || \'{"body": {"note": "对账", "count": true}}\''),
        ("logged_at", "'2000-01-01T00:00:00.000000Z'"),
        ("envelope_id", "sha256('x')"),
        ("prev_hash", "sha256('x')"),
        ("chain_hash", "sha256('x')"),
        ("leaf_hash", "sha256('x')"),
    ],
)
def test_a_copied_column_edited(filled, column, value):
    with filled.lawless() as connection:
        connection.execute("alter table ledger.entry alter column kind drop not null")
        connection.execute("alter table ledger.entry alter column actor drop not null")
        connection.execute("alter table ledger.entry alter column at drop not null")
        connection.execute(f"update ledger.entry set {column} = {value} where seq = 2")
    assert fails(filled).seq == 2


@pytest.mark.parametrize("column", ["kind", "actor", "contract", "job", "stage", "at"])
def test_a_generated_column_made_a_plain_one_and_edited(filled, column):
    with filled.lawless() as connection:
        connection.execute(f"alter table ledger.entry alter column {column} drop expression")
        connection.execute(f"update ledger.entry set {column} = 'other' where seq = 4")
    failure = fails(filled)
    assert failure.seq == 4
    assert column in failure.promise


def test_phantom_rows_by_inheritance_are_not_entries(filled):
    with filled.lawless() as connection:
        connection.execute("create table public.phantom () inherits (ledger.entry)")
        connection.execute(
            "insert into public.phantom (seq, body, leaf_hash, prev_hash, chain_hash, envelope_id, logged_at, payload)"
            " select seq + 6, body, leaf_hash, prev_hash, chain_hash, envelope_id, logged_at, payload from only ledger.entry"
        )
    assert verify(filled).size == 6


@pytest.mark.parametrize(
    "statement",
    [
        "update ledger.checkpoint set root = sha256('x') where size = 3",
        "update ledger.checkpoint set note = 'x' where size = 3",
        "update ledger.checkpoint set size = 4 where size = 3",
        "update ledger.checkpoint set note = (select note from ledger.checkpoint where size = 6) where size = 3",
        "update ledger.head set size = 7",
        "update ledger.head set size = 0",
        "update ledger.head set root = sha256('x')",
        "update ledger.head set chain_hash = sha256('x')",
        "delete from ledger.head",
    ],
)
def test_checkpoints_and_head_edited(filled, statement):
    with filled.lawless() as connection:
        connection.execute(statement)
    fails(filled, LedgerError)


def test_an_older_state_with_a_head_of_its_own(filled):
    """The head set back: a sequencer would otherwise write a second history."""
    with filled.lawless() as connection:
        connection.execute("update ledger.head set size = 3")
    with pytest.raises(RollbackDetected):
        filled.sequencer().run_once()


def test_an_entry_slipped_in_behind_the_sequencers_back(filled, signer):
    """A superuser appends an entry of a key that nobody knows; the sequencer will not sign for it."""
    stranger = signer("bank")
    with filled.lawless() as connection:
        bodies = rows(connection)
        rewrite(connection, [*bodies, Entry(6, "2099-01-01T00:00:00.000000Z", stranger.say()).to_bytes()])
    before = filled.checkpoint_path.read_bytes()
    with pytest.raises(VerificationFailed, match="unknown key"):
        filled.sequencer().run_once()
    assert filled.checkpoint_path.read_bytes() == before


def test_the_schemas_own_words_for_the_hashes(filled):
    """What SQL recomputes is what this test computes by hashlib alone."""
    with filled.superuser() as connection:
        for body, leaf, previous, chain in connection.execute(
            "select body, leaf_hash, prev_hash, chain_hash from ledger.entry order by seq"
        ):
            assert leaf == hashlib.sha256(b"\x00" + body).digest()
            assert chain == hashlib.sha256(b"\x02" + previous + leaf).digest()


@pytest.mark.parametrize(
    "deed",
    [
        "alter table ledger.entry alter leaf_hash drop not null; update ledger.entry set leaf_hash = null where seq = 3",
        "alter table ledger.entry alter body drop not null; update ledger.entry set body = null where seq = 3",
        "update ledger.entry set payload = payload || ('{\"n\":' || repeat('9', 5000) || '}')::jsonb where seq = 3",
        "alter table ledger.head alter root drop not null; update ledger.head set root = null",
        "alter table ledger.checkpoint alter note drop not null; update ledger.checkpoint set note = null",
    ],
)
def test_rows_that_the_schema_cannot_hold_are_our_error(filled, deed, tmp_path):
    with filled.lawless() as connection:
        connection.execute(deed)
    fails(filled)
    with filled.superuser() as connection, contextlib.suppress(LedgerError):
        export(connection, tmp_path / "copy", log_vkey=filled.vkey, keys=filled.keys)
    with contextlib.suppress(LedgerError):
        filled.sequencer().run_once()
