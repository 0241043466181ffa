"""The ledger in PostgreSQL: setting it up, handing envelopes over, reading.

Writers call `stage` inside their own transaction, so that a change of state and the evidence of it commit together.
Nothing here verifies: what a database says about itself is believed only after `hefu_ledger.verify`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from hefu_ledger.dsse import Envelope
from hefu_ledger.encoding import is_digest
from hefu_ledger.entry import Entry
from hefu_ledger.errors import LedgerError, StoreUnavailable, VerificationFailed
from hefu_ledger.evidence import Evidence, parse_evidence
from hefu_ledger.merkle import Tree
from hefu_ledger.note import Checkpoint
from hefu_ledger.proof import Receipt, build_receipt

Connection = psycopg.Connection[Any]

OWNER = "ledger_owner"
GROUPS = ("ledger_submit", "ledger_read", "ledger_sequencer")
_INSTALL_LOCK = 0x4865667501


@dataclass(frozen=True)
class StoredEntry:
    """An entry as the database holds it, not verified. `leaf_hash` is the stored column."""

    entry: Entry
    evidence: Evidence
    leaf_hash: bytes

    @property
    def seq(self) -> int:
        """Index in the log, from 0."""
        return self.entry.seq

    @property
    def envelope_id(self) -> str:
        """SHA-256 (hex) of the envelope."""
        return self.entry.envelope.id


@dataclass(frozen=True)
class RejectedEnvelope:
    """An envelope that the sequencer would not log; `rejected_at` is RFC 3339."""

    envelope_id: str
    envelope: bytes
    reason: str
    rejected_at: str


def install(
    conn: Connection,
    *,
    submit_roles: Sequence[str],
    read_roles: Sequence[str],
    sequencer_roles: Sequence[str],
) -> None:
    """Set the ledger up in the connected database and give existing roles their rights; harmless when repeated.

    conn  a superuser's, outside a transaction (event triggers need a superuser)

    PUBLIC loses every right on the database; the roles named here may connect.

    raises  StoreUnavailable
    """
    with database_errors(), conn.transaction(), conn.cursor(row_factory=tuple_row) as cursor:
        cursor.execute("select pg_advisory_xact_lock(%s)", [_INSTALL_LOCK])
        for role in (OWNER, *GROUPS):
            _ensure_role(cursor, role)
        row = cursor.execute(
            "select to_regclass('ledger.head') is not null, current_setting('server_encoding'), current_database()"
        ).fetchone()
        installed, encoding, database = row or (False, "", "")
        if encoding != "UTF8":
            raise StoreUnavailable(f"the database is {encoding}; the ledger needs UTF8")
        if not installed:
            cursor.execute(files("hefu_ledger").joinpath("schema.sql").read_bytes())
            cursor.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(database)))
        for group, roles in zip(GROUPS, (submit_roles, read_roles, sequencer_roles), strict=True):
            for role in roles:
                cursor.execute(sql.SQL("grant {} to {}").format(sql.Identifier(group), sql.Identifier(role)))
                cursor.execute(
                    sql.SQL("grant connect on database {} to {}").format(
                        sql.Identifier(database), sql.Identifier(role)
                    )
                )


def _ensure_role(cursor: psycopg.Cursor[Any], role: str) -> None:
    if cursor.execute("select from pg_roles where rolname = %s", [role]).fetchone() is None:
        cursor.execute(sql.SQL("create role {} nologin").format(sql.Identifier(role)))


def stage(conn: Connection, envelope: Envelope) -> str:
    """Hand an envelope over within the caller's transaction; returns its id. The same one twice is once."""
    with database_errors(), conn.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute("select ledger.stage(%s)", [envelope.to_bytes()]).fetchone()
    return str(row[0]) if row else envelope.id


def read_entries(
    conn: Connection,
    *,
    start: int = 0,
    limit: int = 100,
    contract: str | None = None,
    job: str | None = None,
    actor: str | None = None,
    kind: str | None = None,
    since: str | None = None,
    until: str | None = None,
    before: int | None = None,
    order: Literal["asc", "desc"] = "desc",
) -> list[StoredEntry]:
    """Entries that match every given filter, newest first unless `order` is "asc".

    start         how many matching entries to pass over
    before        only entries with a smaller `seq`: how pages walk backwards
    since, until  bounds of the evidence's `at`, RFC 3339 UTC with microseconds; until is exclusive
    """
    where, values = _filters(
        contract=contract, job=job, actor=actor, kind=kind, since=since, until=until, before=before
    )
    direction = {"asc": sql.SQL("asc"), "desc": sql.SQL("desc")}.get(order)
    if direction is None or start < 0 or limit < 0:
        raise LedgerError("order is asc or desc, start and limit are not negative")
    query = sql.SQL(
        "select body, leaf_hash from only ledger.entry {} order by seq {} offset %s limit %s"
    ).format(where, direction)
    with database_errors(), conn.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute(query, [*values, start, limit]).fetchall()
    return [_stored(*row) for row in rows]


def entry_count(
    conn: Connection,
    *,
    contract: str | None = None,
    job: str | None = None,
    actor: str | None = None,
    kind: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> int:
    """How many entries match every given filter."""
    where, values = _filters(contract=contract, job=job, actor=actor, kind=kind, since=since, until=until)
    query = sql.SQL("select count(*) from only ledger.entry {}").format(where)
    return int(_one(conn, query, values)[0])


def read_entry(conn: Connection, seq: int) -> StoredEntry | None:
    """The entry at index `seq`."""
    row = _maybe(conn, "select body, leaf_hash from only ledger.entry where seq = %s", [seq])
    return None if row is None else _stored(*row)


def find_entry(conn: Connection, envelope_id: str) -> StoredEntry | None:
    """The entry that holds the envelope."""
    row = _maybe(
        conn,
        "select body, leaf_hash from only ledger.entry where envelope_id = %s",
        [_digest(envelope_id)],
    )
    return None if row is None else _stored(*row)


def latest_checkpoint(conn: Connection) -> Checkpoint | None:
    """The newest checkpoint in the database; its note is not verified here."""
    row = _maybe(conn, "select size, root, note from only ledger.checkpoint order by size desc limit 1", [])
    return None if row is None else stored_checkpoint(*row)


def stored_checkpoint(size: int, root: bytes, note: bytes) -> Checkpoint:
    """A row of ledger.checkpoint as a value; the note stays to be verified."""
    origin = bytes(note).split(b"\n", 1)[0].decode("utf-8", "replace")
    return Checkpoint(origin, size, bytes(root), bytes(note))


def inclusion_receipt(conn: Connection, envelope_id: str) -> Receipt | None:
    """Proof that the envelope is in the log, under the newest checkpoint; None until a checkpoint covers it.

    Reads every leaf hash.
    """
    return inclusion_receipts(conn, [envelope_id])[0]


def inclusion_receipts(conn: Connection, envelope_ids: Sequence[str]) -> list[Receipt | None]:
    """`inclusion_receipt` of several envelopes at the cost of one."""
    found, checkpoint = [find_entry(conn, one) for one in envelope_ids], latest_checkpoint(conn)
    size = 0 if checkpoint is None else checkpoint.size
    covered = [one for one in found if one is not None and one.seq < size]
    if checkpoint is None or not covered:
        return [None] * len(found)
    with database_errors(), conn.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(
            "select leaf_hash from only ledger.entry where seq < %s order by seq", [checkpoint.size]
        )
        tree = Tree(bytes(row[0]) for row in cursor)
    return [
        build_receipt(one.entry, tree.inclusion(one.seq), checkpoint)
        if one is not None and one.seq < size
        else None
        for one in found
    ]


def waiting_count(conn: Connection) -> int:
    """Envelopes handed over and not yet logged (needs the sequencer's rights)."""
    return int(_one(conn, sql.SQL("select count(*) from only ledger.outbox"), [])[0])


def read_rejected(conn: Connection, *, limit: int = 100) -> list[RejectedEnvelope]:
    """The envelopes last rejected, newest first."""
    query = """
        select encode(envelope_id, 'hex'), envelope, reason,
               to_char(rejected_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        from only ledger.rejected order by id desc limit %s
    """
    with database_errors(), conn.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute(query, [limit]).fetchall()
    return [RejectedEnvelope(row[0], bytes(row[1]), row[2], row[3]) for row in rows]


@contextmanager
def database_errors() -> Iterator[None]:
    """Whatever the database says leaves as StoreUnavailable."""
    try:
        yield
    except psycopg.Error as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error


@contextmanager
def snapshot(conn: Connection) -> Iterator[None]:
    """One read-only view of the whole database for as long as it lasts; `conn` must be outside a transaction.

    What no column of the schema can hold (a NULL, another type, an endless number) leaves as VerificationFailed.
    """
    if conn.info.transaction_status != TransactionStatus.IDLE:
        raise StoreUnavailable("the connection is inside a transaction")
    with database_errors(), conn.transaction():
        conn.execute("set transaction isolation level repeatable read, read only")
        try:
            yield
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise VerificationFailed(
                "the tables are the schema's",
                seq=None,
                expected="columns of its types, without NULL",
                found=f"{type(error).__name__}: {error}",
            ) from error


def _filters(**wanted: str | int | None) -> tuple[sql.Composable, list[str | int]]:
    conditions: list[sql.Composable] = []
    values: list[str | int] = []
    for name, value in wanted.items():
        if value is None:
            continue
        bounds = {"since": ("at", ">="), "until": ("at", "<"), "before": ("seq", "<")}
        column, operator = bounds.get(name, (name, "="))
        conditions.append(sql.SQL("{} {} %s").format(sql.Identifier(column), sql.SQL(operator)))
        values.append(value)
    if not conditions:
        return sql.SQL(""), []
    return sql.SQL("where ") + sql.SQL(" and ").join(conditions), values


def _stored(body: bytes, leaf: bytes) -> StoredEntry:
    entry = Entry.from_bytes(bytes(body))
    return StoredEntry(entry, parse_evidence(entry.envelope), bytes(leaf))


def _maybe(conn: Connection, query: Any, values: Sequence[Any]) -> tuple[Any, ...] | None:
    with database_errors(), conn.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query, values).fetchone()


def _one(conn: Connection, query: Any, values: Sequence[Any]) -> tuple[Any, ...]:
    row = _maybe(conn, query, values)
    if row is None:
        raise StoreUnavailable("the database gave no answer")
    return row


def _digest(text: str) -> bytes:
    if not is_digest(text):
        raise LedgerError("an envelope id has 64 hexadecimal digits")
    return bytes.fromhex(text)
