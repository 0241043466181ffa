"""Reading the log out of PostgreSQL for checking: exact bytes in order, every checkpoint verified."""

from collections.abc import Iterator

from psycopg.rows import tuple_row

from hefu_ledger.errors import VerificationFailed
from hefu_ledger.note import Checkpoint, verify_checkpoint
from hefu_ledger.store import Connection

_ROWS_AT_A_TIME = 2000


def read_bodies(conn: Connection, start: int = 0) -> Iterator[bytes]:
    """The bodies of all entries from index `start`, in order, within the caller's transaction.

    FROM ONLY: rows of a table that inherits from this one are not entries.
    """
    with conn.cursor("ledger_bodies", row_factory=tuple_row) as cursor:
        cursor.itersize = _ROWS_AT_A_TIME
        cursor.execute(
            "select body from only ledger.entry where seq >= %s order by seq", [start], binary=True
        )
        for row in cursor:
            yield bytes(row[0])


def read_checkpoints(conn: Connection, log_vkey: str) -> dict[int, Checkpoint]:
    """All stored checkpoints by size, each verified under the log's key and equal to its row.

    raises  CheckpointInvalid, VerificationFailed
    """
    with conn.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute("select size, root, note from only ledger.checkpoint order by size").fetchall()
    found: dict[int, Checkpoint] = {}
    for size, root, note in rows:
        checkpoint = verify_checkpoint(bytes(note), log_vkey)
        if (checkpoint.size, checkpoint.root) != (size, bytes(root)):
            raise VerificationFailed(
                "the stored checkpoint is the signed one",
                seq=None,
                expected=f"size {checkpoint.size}, root {checkpoint.root.hex()}",
                found=f"size {size}, root {bytes(root).hex()}",
            )
        found[size] = checkpoint
    return found
