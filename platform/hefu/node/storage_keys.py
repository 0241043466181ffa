"""The keys of files at rest: made here, kept wrapped under the node's own secret, destroyed one by one (crypto-shred).

One key for a job's folder, one for each file of a data set, one for a job's results, one for the subjects of each statistic. What was encrypted under a key is
unreadable once its row is gone, wherever copies of the ciphertext are; `docs/retention.md` says what that does not reach.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlmodel import Session, col, select

from hefu.keys.at_rest import EncryptingWriter, key_digest, new_key, open_decrypted
from hefu.keys.errors import FileSealInvalid
from hefu.node.context import NodeContext
from hefu.store.base import now
from hefu.store.node_keeping import StoredKeyRow

_NONCE_BYTES = 12


def key_for(
    ctx: NodeContext,
    session: Session,
    path: Path,
    what: str,
    *,
    job: str | None = None,
    data_set_id: str | None = None,
    contract_id: str | None = None,
) -> bytes:
    """The key of a folder or file; made now, in the caller's transaction, where there is none yet."""
    place = _place(ctx, path)
    # two that ask at once for a thing's first key get the same one
    session.connection().exec_driver_sql(
        "select pg_advisory_xact_lock(hashtext(%s))", (f"hefu.stored_key {place}",)
    )
    row = find(ctx, session, path)
    if row is not None:
        return unwrap(ctx, row)
    key = new_key()
    adopt(ctx, session, path, what, key, job=job, data_set_id=data_set_id, contract_id=contract_id)
    return key


def job_key(ctx: NodeContext, session: Session, folder: Path, job: str, contract_id: str) -> bytes:
    """The key of a job's folder: prepared input, rejected rows' numbers, sealed halves."""
    return key_for(ctx, session, folder, "job_work", job=job, contract_id=contract_id)


def result_place(ctx: NodeContext, job: str) -> Path:
    """What the key of a job's result is kept under: its halves as they came and the opened table share it."""
    return ctx.paths.results / job


def result_key(ctx: NodeContext, session: Session, job: str, contract_id: str) -> bytes:
    """The key of a job's result."""
    return key_for(ctx, session, result_place(ctx, job), "result", job=job, contract_id=contract_id)


def read_stored(ctx: NodeContext, session: Session, path: Path, keyed: Path | None = None) -> bytes:
    """The content of a file that lies encrypted under the key of `keyed` (itself, where none is named).

    raises  OSError · FileSealInvalid. What was stored before there were keys is read as it is
    """
    key = open_key(ctx, session, keyed or path)
    if key is None:
        return path.read_bytes()
    with open_decrypted(path, key) as plain:
        return plain.read()


def write_stored(path: Path, content: bytes, key: bytes) -> None:
    """Write a file under a key, in one step."""
    temporary = path.with_name(path.name + ".new")
    with EncryptingWriter(temporary, key) as out:
        out.write(content)
    temporary.replace(path)


def adopt(
    ctx: NodeContext,
    session: Session,
    path: Path,
    what: str,
    key: bytes,
    *,
    job: str | None = None,
    data_set_id: str | None = None,
    contract_id: str | None = None,
) -> None:
    """Keep a key that something was encrypted under already. A thing has one key at a time."""
    place = _place(ctx, path)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    digest = key_digest(key)
    session.add(
        StoredKeyRow(
            key_digest=digest,
            what=what,
            path=place,
            job=job,
            data_set_id=data_set_id,
            contract_id=contract_id,
            wrapped=nonce + AESGCM(ctx.keys.storage).encrypt(nonce, key, _bound(digest, place)),
            made_at=now(),
        )
    )
    session.flush()


def find(ctx: NodeContext, session: Session, path: Path) -> StoredKeyRow | None:
    """The row of a folder's or file's key; None for what was stored before there were keys, or was shredded."""
    live = select(StoredKeyRow).where(
        StoredKeyRow.path == _place(ctx, path), col(StoredKeyRow.destroyed_at).is_(None)
    )
    return session.exec(live).first()


def destroy(session: Session, row: StoredKeyRow, reason: str) -> None:
    """Destroy a key, in the caller's transaction; afterwards `sweep_pages` takes the old row's page out of the table."""
    row.wrapped, row.destroyed_at, row.reason = b"", now(), reason
    session.add(row)


def sweep_pages(ctx: NodeContext) -> None:
    """Let PostgreSQL forget the rows as they were before `destroy` (it keeps old versions until a vacuum)."""
    with ctx.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("vacuum stored_key")


def open_key(ctx: NodeContext, session: Session, path: Path) -> bytes | None:
    """The key of a folder or file; None as for `find`. Raises FileSealInvalid when the row was altered."""
    row = find(ctx, session, path)
    return None if row is None else unwrap(ctx, row)


def unwrap(ctx: NodeContext, row: StoredKeyRow) -> bytes:
    """The key in a row. Raises FileSealInvalid when the row was altered, or is of another node."""
    nonce, sealed = row.wrapped[:_NONCE_BYTES], row.wrapped[_NONCE_BYTES:]
    try:
        return AESGCM(ctx.keys.storage).decrypt(nonce, sealed, _bound(row.key_digest, row.path))
    except (InvalidTag, ValueError) as error:
        raise FileSealInvalid("has a key that was altered") from error


def located(ctx: NodeContext, row: StoredKeyRow) -> Path:
    """Where the folder or file of a key lies."""
    return ctx.paths.root / row.path


def _place(ctx: NodeContext, path: Path) -> str:
    return path.relative_to(ctx.paths.root).as_posix()


def _bound(digest: str, place: str) -> bytes:
    return f"hefu stored key v1\n{digest}\n{place}".encode()
