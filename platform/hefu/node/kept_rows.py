"""Prepared rows on the disk, encrypted, below the job's folder, from the check of the day's data until the job is over.

Apart from `inputs`: a worker that computes reads them without what reads files (DuckDB, Arrow, PostgreSQL).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hefu.components.reconcile import OwnerRows, rows_digest
from hefu.engine.errors import EngineError
from hefu.keys.at_rest import EncryptingWriter, open_decrypted


def save_rows(path: Path, rows: OwnerRows, key: bytes) -> None:
    """Keep prepared rows below the job's folder, under the job's storage key, until the job is over."""
    with EncryptingWriter(path, key) as file:
        np.savez(
            file,
            head=np.array([rows.owner, rows.side, str(rows.batch)]),
            institution=rows.institution,
            key_offsets=rows.key_offsets,
            key_data=rows.key_data,
            occurrence=rows.occurrence,
            amount_cents=rows.amount_cents,
            row=rows.row,
            transit=rows.transit,
        )


class InputChanged(EngineError):
    """The rows on the disk are not those that a use was counted for: they were prepared anew in the meantime."""

    code = "input_changed"

    def __init__(self) -> None:
        super().__init__("输入已变更，与承诺不符 / the input is not the one that was committed to")


def load_committed(path: Path, commitment: str, salt: bytes, key: bytes) -> OwnerRows:
    """Rows kept by `save_rows`, if they are the committed ones. Raises InputChanged, FileSealInvalid."""
    rows = load_rows(path, key)
    if rows_digest(rows, salt) != commitment:
        raise InputChanged
    return rows


def load_rows(path: Path, key: bytes) -> OwnerRows:
    """Rows kept by `save_rows`. Raises FileSealInvalid when the key is another, or was shredded."""
    with open_decrypted(path, key) as plain, np.load(plain, allow_pickle=False) as kept:
        owner, side, batch = (str(v) for v in kept["head"])
        names = ("institution", "key_offsets", "key_data", "occurrence", "amount_cents", "row", "transit")
        return OwnerRows(
            owner, "institution" if side == "institution" else "bank", int(batch), *(kept[n] for n in names)
        )
