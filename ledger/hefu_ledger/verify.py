"""Does the log keep its promises: asked of a database, or of an exported directory with no database and no network.

The verifier starts from what its caller already trusts: the log's vkey, and whose keys sign. It recomputes everything
from the entries' bytes and believes no stored hash; stored hashes and browsing columns are compared with what it computed.
The first entry that breaks a promise ends it with VerificationFailed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hefu_ledger.checker import ROOT, LogChecker
from hefu_ledger.entry import Entry
from hefu_ledger.errors import LedgerError, RollbackDetected, VerificationFailed
from hefu_ledger.evidence import Evidence, parse_evidence
from hefu_ledger.files import file_exists, read_file
from hefu_ledger.keys import KeyDirectory, KeyList
from hefu_ledger.merkle import leaf_hash
from hefu_ledger.note import Checkpoint, verify_checkpoint
from hefu_ledger.tiles import ENTRIES, TileBuilder, tile_path, unpack_entries, widths

if TYPE_CHECKING:
    import psycopg

Check = Callable[[Iterable[Evidence]], None]
Progress = Callable[[int, int], None]

CHECKPOINT_FILE, KEYS_FILE, VKEY_FILE = "checkpoint", "keys.json", "log.vkey"
_PROGRESS_STEP = 256


@dataclass(frozen=True)
class Report:
    """What was verified.

    size                entries under the signed checkpoint
    root                their root (32 bytes)
    checkpoint          the checkpoint, verified
    signatures_checked  how many parties' signatures
    signers             actor -> number of statements
    unsigned_entries    entries behind the checkpoint, checked too, but not yet signed for by the log
    trusts_own_keys     the keys came from the export itself: who holds them is not proven
    trusts_own_vkey     the log's vkey came from the export itself: another log could stand here
    """

    size: int
    root: bytes
    checkpoint: Checkpoint
    signatures_checked: int
    signers: dict[str, int]
    unsigned_entries: int = 0
    trusts_own_keys: bool = False
    trusts_own_vkey: bool = False


def verify_database(
    conn: "psycopg.Connection[Any]",
    *,
    log_vkey: str,
    keys: KeyDirectory,
    checkpoint_path: Path | None = None,
    checks: Sequence[Check] = (),
    progress: Progress | None = None,
) -> Report:
    """Verify the log in a database: every entry, signature, hash, copied column, checkpoint, the head.

    conn             outside a transaction; needs the rights of a reader
    log_vkey         the log's verifier key, known from elsewhere
    checkpoint_path  a signed checkpoint kept outside the database: only with it is a lost tail noticed
    checks           rules about the evidence as a whole; each is given all of it, in order, and raises when it is broken
    progress         is told (entries done, entries in all)

    raises  LedgerError: VerificationFailed names the first bad entry, what was expected, found, and which promise broke
    """
    from hefu_ledger import online  # psycopg is needed here only

    return online.verify_database(
        conn,
        log_vkey=log_vkey,
        keys=keys,
        checkpoint_path=checkpoint_path,
        checks=checks,
        progress=progress,
    )


def export(
    conn: "psycopg.Connection[Any]",
    directory: Path,
    *,
    log_vkey: str,
    keys: KeyDirectory,
    checkpoint_path: Path | None = None,
    progress: Progress | None = None,
) -> Checkpoint:
    """Copy the log, as far as it is signed, into a directory of C2SP tiles with `keys.json` and `log.vkey`.

    Nothing is verified but the checkpoint: a broken log can be exported, and will not verify. Exporting again into the
    same directory brings it up to date. Returns the checkpoint of the copy.

    raises  LedgerError
    """
    from hefu_ledger import online

    return online.export(
        conn,
        directory,
        log_vkey=log_vkey,
        keys=keys,
        checkpoint_path=checkpoint_path,
        progress=progress,
    )


def verify_export(
    directory: Path,
    *,
    log_vkey: str | None = None,
    keys: KeyDirectory | None = None,
    checks: Sequence[Check] = (),
    progress: Progress | None = None,
) -> Report:
    """Verify an export, offline.

    log_vkey, keys  what the caller trusts; without them the export's own are used, and the report says so
    checks          rules about the evidence as a whole; each is given all of it, in order, and raises when it is broken
    progress        is told (entries done, entries in all)

    raises  LedgerError: VerificationFailed names the first bad entry
    """
    own_vkey, own_keys = log_vkey is None, keys is None
    vkey = _own_vkey(directory) if log_vkey is None else log_vkey
    directory_of_keys = KeyList.from_bytes(read_file(directory / KEYS_FILE)) if keys is None else keys
    checkpoint = verify_checkpoint(read_file(directory / CHECKPOINT_FILE), vkey)
    checker = LogChecker(directory_of_keys, {checkpoint.size: checkpoint})
    builder = TileBuilder(lambda path, data: _compare_tile(directory, path, data))
    for body in exported_bodies(directory, checkpoint.size):
        checker.take(body)
        builder.add(leaf_hash(body))
        tell(progress, checker.size, checkpoint.size)
    builder.finish()
    checker.finish()
    run_checks(checks, lambda: exported_bodies(directory, checkpoint.size))
    return report(checker, checkpoint, trusts_own_keys=own_keys, trusts_own_vkey=own_vkey)


def exported_bodies(directory: Path, size: int) -> Iterator[bytes]:
    """The first `size` entries of an export; raises VerificationFailed when a bundle does not hold its share."""
    seq = 0
    for index, width in widths(size):
        path = tile_path(ENTRIES, index, width)
        if not file_exists(directory / path):
            raise RollbackDetected(
                "what was signed is never lost", seq=seq, expected=f"the file {path}", found="none"
            )
        try:
            bodies = list(unpack_entries(read_file(directory / path)))
        except LedgerError as error:
            raise VerificationFailed(
                "a bundle is complete", seq=seq, expected=f"{width} entries in {path}", found=error
            ) from error
        if len(bodies) != width:
            raise VerificationFailed(
                "a bundle is complete", seq=seq, expected=f"{width} entries in {path}", found=len(bodies)
            )
        yield from bodies
        seq += width


def tell(progress: Progress | None, done: int, total: int) -> None:
    """Report progress now and then, and at the end."""
    if progress is not None and (done % _PROGRESS_STEP == 0 or done == total):
        progress(done, total)


def run_checks(checks: Sequence[Check], bodies: Callable[[], Iterator[bytes]]) -> None:
    """Give every check all evidence; whatever it raises leaves as LedgerError."""
    for check in checks:
        try:
            check(parse_evidence(Entry.from_bytes(body).envelope) for body in bodies())
        except LedgerError:
            raise
        except Exception as error:
            raise LedgerError(f"a check of the evidence failed: {error}") from error


def report(
    checker: LogChecker,
    checkpoint: Checkpoint,
    *,
    trusts_own_keys: bool = False,
    trusts_own_vkey: bool = False,
) -> Report:
    """The report once everything was taken; raises RollbackDetected when the checkpoint was not reached."""
    if checker.size < checkpoint.size:
        raise RollbackDetected(
            ROOT,
            seq=checker.size,
            expected=f"{checkpoint.size} entries, as signed",
            found=f"{checker.size} entries",
        )
    return Report(
        checkpoint.size,
        checkpoint.root,
        checkpoint,
        checker.signatures_checked,
        checker.statements(),
        checker.size - checkpoint.size,
        trusts_own_keys,
        trusts_own_vkey,
    )


def _own_vkey(directory: Path) -> str:
    try:
        return read_file(directory / VKEY_FILE).decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise LedgerError(f"{VKEY_FILE} is not text") from error


def _compare_tile(directory: Path, path: str, data: bytes) -> None:
    found = read_file(directory / path)
    if found != data:
        raise VerificationFailed(
            "the tiles are the tree's", seq=None, expected=f"the tree's hashes in {path}", found="others"
        )
