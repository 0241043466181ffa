"""An opened result at rest: the receiver's table of statuses, sealed to the receiver's own key.

The file is an envelope of `hefu.keys.sealing` from this organisation to itself, so it is signed, bound to its job, and
unreadable without the node's sealing key; it lies under the result's storage key, so that it can be shredded. It holds the arrays of a ReconcileResult in numpy's npz form.
"""

from __future__ import annotations

import dataclasses
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from sqlmodel import Session

from hefu.components.reconcile import ReconcileResult
from hefu.keys.sealing import SealHeader, open_sealed, seal
from hefu.node import storage_keys
from hefu.node.context import NodeContext
from hefu.store.node_tables import ResultRow

_ARRAYS = ("owner", "row", "status", "partner_owner", "partner_row", "partner_transit", "difference_cents")


class TableDamaged(Exception):
    """The file opened under our key, and is not a result's table."""


def table_header(ctx: NodeContext, row: ResultRow) -> SealHeader:
    """What a stored table is for."""
    return SealHeader(
        sender=ctx.org_id,
        recipient=ctx.org_id,
        contract=row.contract,
        job=row.job,
        attempt=row.attempt,
        date=row.business_date.isoformat(),
        kind="result-table",
    )


def write_table(ctx: NodeContext, session: Session, row: ResultRow, result: ReconcileResult) -> Path:
    """Seal and write a result's table (0600); answers its path."""
    path = ctx.paths.results / f"{row.job}-{row.attempt}.table"
    header = table_header(ctx, row)
    own = ctx.keys.sealing.public_key()
    sealed = seal(header, pack(result), sender_key=ctx.keys.identity, recipient_key=own)
    storage_keys.write_stored(path, sealed, storage_keys.result_key(ctx, session, row.job, row.contract_id))
    return path


def read_table(ctx: NodeContext, session: Session, row: ResultRow) -> ReconcileResult:
    """The table of an opened result. Raises SealInvalid, FileSealInvalid, TableDamaged, OSError."""
    keyed = storage_keys.result_place(ctx, row.job)
    sealed = storage_keys.read_stored(ctx, session, Path(row.table_path or ""), keyed=keyed)
    header = table_header(ctx, row)
    own = ctx.keys.identity.public_key()
    return unpack(open_sealed(sealed, expected=header, recipient_key=ctx.keys.sealing, sender_key=own))


def pack(result: ReconcileResult) -> bytes:
    """A result as npz bytes; the same result gives the same bytes only within one run (zip keeps times)."""
    out = io.BytesIO()
    arrays: dict[str, Any] = {name: getattr(result, name) for name in _ARRAYS}
    arrays["names"] = np.array(result.owners, dtype=np.str_)
    arrays["revealed"] = np.bool_(result.difference_revealed)
    np.savez(out, **arrays)
    return out.getvalue()


def unpack(data: bytes) -> ReconcileResult:
    """Undo `pack`. Raises TableDamaged."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in _ARRAYS}
            owners = tuple(str(name) for name in stored["names"])
            return ReconcileResult(owners=owners, difference_revealed=bool(stored["revealed"]), **arrays)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TableDamaged(str(error)) from error


def digest_bytes(result: ReconcileResult) -> bytes:
    """Canonical bytes of a result, for its digest: the owners' names, then the arrays in little-endian order."""
    parts = ["\0".join(result.owners).encode(), bytes([result.difference_revealed])]
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if isinstance(value, np.ndarray):
            parts.append(np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<")).tobytes())
    return b"\0\0".join(parts)
