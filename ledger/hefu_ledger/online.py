"""Verifying the log in PostgreSQL, and copying it out of there. Public through `hefu_ledger.verify`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from psycopg.rows import tuple_row

from hefu_ledger import canonical
from hefu_ledger.checker import GENESIS, ORDER, LogChecker, chain_hash
from hefu_ledger.entry import Entry
from hefu_ledger.errors import NotCanonical, RollbackDetected, VerificationFailed
from hefu_ledger.evidence import Evidence
from hefu_ledger.files import read_file, write_atomically
from hefu_ledger.keys import KeyDirectory, KeyList
from hefu_ledger.merkle import leaf_hash
from hefu_ledger.note import Checkpoint, VerifierKey, verify_checkpoint
from hefu_ledger.source import read_bodies, read_checkpoints
from hefu_ledger.store import Connection, database_errors, snapshot
from hefu_ledger.tiles import ENTRIES, WIDTH, TileBuilder, pack_entries, tile_path
from hefu_ledger.verify import (
    CHECKPOINT_FILE,
    KEYS_FILE,
    VKEY_FILE,
    Check,
    Progress,
    Report,
    report,
    run_checks,
    tell,
)

COPIES = "what is shown is what was signed"
_COLUMNS = (
    "seq", "body", "leaf_hash", "prev_hash", "chain_hash", "envelope_id", "logged_at",
    "payload", "kind", "actor", "contract", "job", "stage", "at",
)  # fmt: skip
_ROWS_AT_A_TIME = 1000


def verify_database(
    conn: Connection,
    *,
    log_vkey: str,
    keys: KeyDirectory,
    checkpoint_path: Path | None = None,
    checks: Sequence[Check] = (),
    progress: Progress | None = None,
) -> Report:
    """See `hefu_ledger.verify.verify_database`."""
    outside = None
    if checkpoint_path is not None:
        outside = verify_checkpoint(read_file(checkpoint_path), log_vkey)
    with snapshot(conn), database_errors():
        checkpoints = _checkpoints(conn, log_vkey, outside)
        newest = checkpoints[max(checkpoints)]
        size, head_chain, head_root = _head(conn)
        if size < newest.size:
            raise RollbackDetected(
                "what was signed is never lost",
                seq=size,
                expected=f"{newest.size} entries, as signed",
                found=f"a head at {size}",
            )
        checker = LogChecker(keys, checkpoints)
        for row in _rows(conn):
            _take_row(checker, row)
            tell(progress, checker.size, size)
        checker.finish()
        found = report(checker, newest)
        expected = (checker.size, checker.chain, checker.frontier.root())
        if (size, head_chain, head_root) != expected:
            raise VerificationFailed(
                "the head says where the log ends",
                seq=None,
                expected=f"size {expected[0]}, chain {expected[1].hex()}, root {expected[2].hex()}",
                found=f"size {size}, chain {head_chain.hex()}, root {head_root.hex()}",
            )
        run_checks(checks, lambda: read_bodies(conn))
    return found


def export(
    conn: Connection,
    directory: Path,
    *,
    log_vkey: str,
    keys: KeyDirectory,
    checkpoint_path: Path | None = None,
    progress: Progress | None = None,
) -> Checkpoint:
    """See `hefu_ledger.verify.export`."""
    outside = None
    if checkpoint_path is not None:
        outside = verify_checkpoint(read_file(checkpoint_path), log_vkey)
    used = KeyList()
    with snapshot(conn), database_errors():
        checkpoints = _checkpoints(conn, log_vkey, outside)
        newest = checkpoints[max(checkpoints)]
        builder = TileBuilder(lambda path, data: write_atomically(directory / path, data))
        bundle: list[bytes] = []
        done = 0
        for body in read_bodies(conn):
            if done == newest.size:
                break
            bundle.append(body)
            builder.add(leaf_hash(body))
            _note_keys(used, keys, body)
            done += 1
            if len(bundle) == WIDTH or done == newest.size:
                path = tile_path(ENTRIES, (done - 1) // WIDTH, len(bundle))
                write_atomically(directory / path, pack_entries(bundle))
                bundle = []
            tell(progress, done, newest.size)
        if done < newest.size:
            raise RollbackDetected(
                "what was signed is never lost", seq=done, expected=f"{newest.size} entries", found=done
            )
        builder.finish()
    write_atomically(directory / KEYS_FILE, used.to_bytes())
    write_atomically(directory / VKEY_FILE, f"{VerifierKey.parse(log_vkey)}\n".encode())
    write_atomically(directory / CHECKPOINT_FILE, newest.note)
    return newest


def _checkpoints(conn: Connection, log_vkey: str, outside: Checkpoint | None) -> dict[int, Checkpoint]:
    found = read_checkpoints(conn, log_vkey)
    if outside is not None:
        stored = found.setdefault(outside.size, outside)
        if stored.root != outside.root:
            raise RollbackDetected(
                "one size, one signed root",
                seq=None,
                expected=f"root {outside.root.hex()} at size {outside.size}",
                found=f"root {stored.root.hex()}, signed too",
            )
    if not found:
        raise VerificationFailed(
            "a log has a signed checkpoint", seq=None, expected="at least one", found="none"
        )
    return found


def _head(conn: Connection) -> tuple[int, bytes, bytes]:
    with conn.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute("select size, chain_hash, root from only ledger.head").fetchall()
    if len(rows) != 1:
        raise VerificationFailed(
            "the head says where the log ends", seq=None, expected="one row", found=len(rows)
        )
    return int(rows[0][0]), bytes(rows[0][1]), bytes(rows[0][2])


def _rows(conn: Connection) -> Iterator[dict[str, Any]]:
    with conn.cursor("ledger_rows", row_factory=tuple_row) as cursor:
        cursor.itersize = _ROWS_AT_A_TIME
        names = ", ".join(_COLUMNS)
        cursor.execute(f"select {names} from only ledger.entry order by seq", binary=True)  # noqa: S608
        for row in cursor:
            yield dict(zip(_COLUMNS, row, strict=True))


def _take_row(checker: LogChecker, row: dict[str, Any]) -> None:
    seq, previous, body = checker.size, checker.chain if checker.size else GENESIS, bytes(row["body"])
    if row["seq"] != seq:
        raise VerificationFailed(ORDER, seq=seq, expected=f"seq {seq}", found=f"seq {row['seq']}")
    leaf = leaf_hash(body)
    hashes = {"leaf_hash": leaf, "prev_hash": previous, "chain_hash": chain_hash(previous, leaf)}
    for name, expected in hashes.items():
        if bytes(row[name]) != expected:
            raise VerificationFailed(
                f"the stored {name} is the entry's",
                seq=seq,
                expected=expected.hex(),
                found=bytes(row[name]).hex(),
            )
    entry, evidence = checker.take(body)
    _compare_copies(row, entry, evidence)


def _compare_copies(row: dict[str, Any], entry: Entry, evidence: Evidence) -> None:
    copies = {
        "envelope_id": bytes.fromhex(entry.envelope.id),
        "logged_at": entry.logged_at,
        "kind": evidence.kind,
        "actor": evidence.actor,
        "contract": evidence.contract,
        "job": evidence.job,
        "stage": evidence.stage,
        "at": evidence.at,
    }
    for name, expected in copies.items():
        if row[name] != expected:
            raise VerificationFailed(
                f"{COPIES}: column {name}", seq=entry.seq, expected=repr(expected), found=repr(row[name])
            )
    try:
        same = canonical.encode(row["payload"]) == entry.envelope.payload
    except NotCanonical:
        same = False
    if not same:
        raise VerificationFailed(
            f"{COPIES}: column payload", seq=entry.seq, expected="the signed payload", found="another"
        )


def _note_keys(used: KeyList, keys: KeyDirectory, body: bytes) -> None:
    for signature in Entry.from_bytes(body).envelope.signatures:
        if used.resolve(signature.key_id) is None:
            key = keys.resolve(signature.key_id)
            if key is not None:
                used.add(key)
