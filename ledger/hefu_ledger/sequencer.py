"""The one process that appends to the log and signs its checkpoints.

Order of deeds, each durable before the next: append and commit; re-read what was committed and hash it again by other
code; compare with the last signed checkpoint, which lies outside the database; sign; persist the checkpoint outside;
store it in the database. Never sign before the commit is durable: a log that signed what it does not hold is dead.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg.rows import tuple_row

from hefu_ledger.admission import Admission, Candidate
from hefu_ledger.checker import ROOT, LogChecker, SignerState, chain_hash
from hefu_ledger.encoding import format_time
from hefu_ledger.entry import Entry
from hefu_ledger.errors import (
    AppendRefused,
    LedgerError,
    RollbackDetected,
    SequencerBusy,
    StoreUnavailable,
    VerificationFailed,
)
from hefu_ledger.files import file_exists, read_file, write_atomically
from hefu_ledger.keys import KeyDirectory
from hefu_ledger.merkle import EMPTY_ROOT, Frontier, leaf_hash
from hefu_ledger.note import Checkpoint, sign_checkpoint, verify_checkpoint, vkey
from hefu_ledger.second import second_hash, second_root
from hefu_ledger.source import read_bodies, read_checkpoints
from hefu_ledger.store import Connection, database_errors, snapshot

LOCK = 0x4865667502  # session advisory lock: one sequencer per database
DURABLE = ("fsync", "full_page_writes")


@dataclass
class _State:
    """What the sequencer knows to be in the log, up to the last signed checkpoint."""

    connection: Connection
    signed: Checkpoint
    signed_frontier: Frontier
    frontier: Frontier
    chain: bytes
    signers: dict[str, SignerState]
    roots: dict[int, str]
    logged_at: str


class Sequencer:
    """Appends what `ledger.stage` took in and signs checkpoints.

    connect          gives a new connection whose role has the sequencer's rights
    log_key          the log's own key; it signs checkpoints, nothing else
    origin           the log's name, first line of every checkpoint
    keys             whose signatures count
    checkpoint_path  file outside the database that holds the newest signed checkpoint
    require_durable  refuse a server that runs without fsync or full_page_writes
    clock            the time that entries carry
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        log_key: Ed25519PrivateKey,
        origin: str,
        keys: KeyDirectory,
        checkpoint_path: Path,
        *,
        batch_size: int = 5000,
        require_durable: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connect, self._key, self._origin, self._keys = connect, log_key, origin, keys
        self._path, self._batch_size, self._require_durable = checkpoint_path, batch_size, require_durable
        self._clock = clock
        self._vkey = vkey(origin, log_key.public_key())
        self._state: _State | None = None
        self._admission = Admission(keys)

    @property
    def vkey(self) -> str:
        """The log's verifier key string."""
        return self._vkey

    def run_once(self) -> Checkpoint | None:
        """Append everything that waits and is in order; the new checkpoint, or None when nothing was to be signed.

        raises  SequencerBusy, RollbackDetected, VerificationFailed, AppendRefused, StoreUnavailable
        """
        try:
            with database_errors():
                return self._run()
        except BaseException:
            self.close()
            raise

    def run_forever(
        self,
        stop: threading.Event,
        wake: threading.Event,
        idle_seconds: float = 0.2,
        on_error: Callable[[LedgerError], None] | None = None,
    ) -> None:
        """Run until `stop`; looks for work whenever `wake` is set, else every `idle_seconds`.

        A database that fails is tried again. Everything else ends the loop: a log that does not verify must not grow.

        on_error  is told of failures that are tried again

        raises  SequencerBusy, RollbackDetected, VerificationFailed
        """
        try:
            while not stop.is_set():
                wake.clear()
                try:
                    self.run_once()
                except (StoreUnavailable, AppendRefused) as error:
                    if on_error is not None:
                        on_error(error)
                    stop.wait(max(idle_seconds, 1.0))
                    continue
                wake.wait(idle_seconds)
        finally:
            self.close()

    def close(self) -> None:
        """Give up the connection and the lock; the next run starts from what is stored."""
        state, self._state = self._state, None
        self._admission = Admission(self._keys)
        if state is not None:
            state.connection.close()

    def _run(self) -> Checkpoint | None:
        if self._state is None:
            self._state = self._load()
        state = self._state
        before = state.signed
        self._sign(state)  # entries that were committed before a crash
        while self._append_waiting(state):
            self._sign(state)
        return state.signed if state.signed != before else None

    # -- start -------------------------------------------------------------------------------------------------------

    def _load(self) -> _State:
        connection = self._connect()
        try:
            self._prepare(connection)
            return self._read_log(connection)
        except BaseException:
            connection.close()
            raise

    def _prepare(self, connection: Connection) -> None:
        connection.rollback()
        connection.autocommit = True
        connection.execute("set synchronous_commit = on")
        connection.execute("set idle_in_transaction_session_timeout = '60s'")
        if self._require_durable:
            for name in DURABLE:
                if _value(connection, "select current_setting(%s)", [name]) != "on":
                    raise StoreUnavailable(f"PostgreSQL runs with {name} off: evidence could be lost")
        if not _value(connection, "select pg_try_advisory_lock(%s)", [LOCK]):
            raise SequencerBusy("another sequencer appends to this log")

    def _read_log(self, connection: Connection) -> _State:
        outside = self._read_outside()
        with snapshot(connection):
            stored = read_checkpoints(connection, self._vkey)
            size = int(_value(connection, "select size from only ledger.head", []))
            if outside is None:
                if size or stored:
                    raise RollbackDetected(
                        "the newest checkpoint is kept outside the database",
                        seq=None,
                        expected=f"the file {self._path.name} of a log with {size} entries",
                        found="no file",
                    )
                outside = self._sign_new(0, EMPTY_ROOT)
            _compare_outside(outside, size, stored)
            checker = LogChecker(None, stored | {outside.size: outside})
            signed_frontier = checker.frontier.copy()
            for body in read_bodies(connection):
                if checker.size == outside.size:
                    checker.keys = self._keys  # what nobody has signed for yet is verified in full
                checker.take(body)
                if checker.size == outside.size:
                    signed_frontier = checker.frontier.copy()
            checker.finish()
        if checker.size != size:
            raise VerificationFailed(
                "the head says where the log ends",
                seq=None,
                expected=f"size {checker.size}",
                found=f"size {size}",
            )
        roots = {one.size: one.root.hex() for one in (*stored.values(), outside)}
        self._publish(connection, outside)
        return _State(
            connection,
            outside,
            signed_frontier,
            checker.frontier,
            checker.chain,
            checker.signers,
            roots,
            checker.logged_at,
        )

    def _read_outside(self) -> Checkpoint | None:
        if not file_exists(self._path):
            return None
        return verify_checkpoint(read_file(self._path), self._vkey)

    # -- one batch ---------------------------------------------------------------------------------------------------

    def _append_waiting(self, state: _State) -> bool:
        connection = state.connection
        rows = connection.execute(
            """
            select o.id, o.envelope, e.seq is not null
            from only ledger.outbox o left join only ledger.entry e using (envelope_id)
            where not o.id = any (%s::bigint[]) order by o.id limit %s
            """,
            [self._admission.waiting, self._batch_size],
        ).fetchall()
        if not rows:
            return False
        logged = [row[0] for row in rows if row[2]]
        if logged:
            connection.execute("select ledger.drop_logged(%s::bigint[])", [logged])
        outcome = self._admission.sort(
            [(row[0], bytes(row[1])) for row in rows if not row[2]], state.signers, state.roots
        )
        if outcome.rejected:
            ids, reasons = (list(column) for column in zip(*outcome.rejected, strict=True))
            connection.execute("select ledger.reject(%s::bigint[], %s::text[])", [ids, reasons])
        if outcome.accepted:
            self._append(state, outcome.accepted)
            state.signers = outcome.signers
        return True

    def _append(self, state: _State, candidates: list[Candidate]) -> None:
        first, chain = state.frontier.size, state.chain
        logged_at = max(format_time(self._clock()), state.logged_at)
        frontier = state.frontier.copy()
        bodies: list[bytes] = []
        leaves: list[bytes] = []
        chains: list[bytes] = []
        for place, candidate in enumerate(candidates):
            body = Entry(first + place, logged_at, candidate.envelope).to_bytes()
            leaf = leaf_hash(body)
            chain = chain_hash(chain, leaf)
            bodies.append(body)
            leaves.append(leaf)
            chains.append(chain)
        frontier.extend(leaves)
        ids = [bytes.fromhex(one.envelope.id) for one in candidates]
        try:
            state.connection.execute(
                "select ledger.append_batch(%s, %b::bytea[], %b::bytea[], %b::bytea[], %b::bytea[], %s, %s::bigint[], %b)",
                [
                    first, bodies, leaves, chains, ids,
                    logged_at, [one.outbox_id for one in candidates], frontier.root(),
                ],
            )  # fmt: skip
        except psycopg.OperationalError:
            raise  # the outcome is unknown; the next run reads what is there
        except psycopg.Error as error:
            raise AppendRefused(f"the database refused a batch at {first}: {error}") from error
        state.frontier, state.chain, state.logged_at = frontier, chain, logged_at

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def _sign(self, state: _State) -> None:
        if state.frontier.size == state.signed.size:
            return
        self._check_committed(state)
        outside = self._read_outside()
        if outside != state.signed:
            raise RollbackDetected(
                "the newest checkpoint is kept outside the database",
                seq=None,
                expected=f"the checkpoint of size {state.signed.size}",
                found="no file" if outside is None else f"a checkpoint of size {outside.size}",
            )
        signed = self._sign_new(state.frontier.size, state.frontier.root())
        state.signed, state.signed_frontier = signed, state.frontier.copy()
        state.roots[signed.size] = signed.root.hex()
        self._publish(state.connection, signed)

    def _sign_new(self, size: int, root: bytes) -> Checkpoint:
        """Sign and persist outside the database."""
        checkpoint = sign_checkpoint(self._origin, size, root, self._key)
        write_atomically(self._path, checkpoint.note)
        return checkpoint

    def _publish(self, connection: Connection, checkpoint: Checkpoint) -> None:
        connection.execute(
            "select ledger.publish_checkpoint(%s, %s, %s)",
            [checkpoint.size, checkpoint.root, checkpoint.note],
        )

    def _check_committed(self, state: _State) -> None:
        """Re-read the rows behind the last signed checkpoint and reach the root by other code."""
        if second_root(state.signed_frontier.peaks(), []) != state.signed.root:
            raise VerificationFailed(
                ROOT, seq=None, expected=f"root {state.signed.root.hex()}", found="another in memory"
            )
        with snapshot(state.connection):
            leaves = [second_hash(b"\x00", body) for body in read_bodies(state.connection, state.signed.size)]
        root, wanted = second_root(state.signed_frontier.peaks(), leaves), state.frontier.root()
        size = state.signed.size + len(leaves)
        if (size, root) != (state.frontier.size, wanted):
            raise VerificationFailed(
                "what was committed is what was hashed",
                seq=state.signed.size,
                expected=f"root {wanted.hex()} at size {state.frontier.size}",
                found=f"root {root.hex()} at size {size}",
            )


def _compare_outside(outside: Checkpoint, size: int, stored: dict[int, Checkpoint]) -> None:
    newest = max(stored, default=0)
    if size < outside.size:
        raise RollbackDetected(
            "what was signed is never lost",
            seq=size,
            expected=f"{outside.size} entries, as signed",
            found=f"{size} entries in the database",
        )
    if newest > outside.size:
        raise RollbackDetected(
            "the newest checkpoint is kept outside the database",
            seq=None,
            expected=f"size {newest}, as the database holds it signed",
            found=f"size {outside.size}",
        )


def _value(connection: Connection, query: str, values: list[Any]) -> Any:
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(query, values).fetchone()
    if row is None:
        raise StoreUnavailable("the database gave no answer")
    return row[0]
