"""Items: what the intersection protocols compare. 128 bits each, hashed from canonical bytes or integers.

Both parties hash under one key that they share and nobody else has (`shared_key`): equal inputs give equal items, and
a helper that sees items cannot guess what they were. Two different inputs among n give the same item with probability
below n^2 / 2^129: 2^-81 at 2^24 rows. The kind of input goes into the key: the integer 7 and the bytes b"7" differ.
Equal rows give equal items; `distinct` finds them, protocols work on the distinct ones and answer for all rows.
Source of the hash: BLAKE2b-128, keyed and personalised (RFC 7693), over an 8-byte zero and the row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hefu.engine.blake2b import midstate
from hefu.engine.errors import InputInvalid
from hefu.engine.psi.items_hash import hash_rows
from hefu.engine.psi.lookup import MAX_ROWS, Table
from hefu.engine.session import Session, derive_key

ITEM_WORDS = 2

Items = NDArray[np.uint64]

_PERSON = b"hefu psi item v1"


def shared_key(session: Session, peer: str, operation: int) -> bytes:
    """The key under which we and `peer` hash; raises LabelReused the second time."""
    return session.key(peer, operation, "psi items")


def from_bytes(key: bytes, offsets: NDArray[np.int64], data: NDArray[np.uint8]) -> Items:
    """Items of byte strings.

    key      32 bytes, the same at all parties
    offsets  (n+1,) int64, rising; row i is data[offsets[i]:offsets[i+1]]
    returns  (n, 2) uint64
    raises   InputInvalid
    """
    return _hashed(derive_key(key, b"hefu psi item, bytes"), offsets, data)


def from_strings(key: bytes, values: Sequence[str | bytes]) -> Items:
    """Items of a list of strings, text as UTF-8: (n, 2) uint64. For large inputs use `from_bytes`."""
    rows = [value.encode() if isinstance(value, str) else bytes(value) for value in values]
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return from_bytes(key, offsets, np.frombuffer(bytearray(b"".join(rows)), dtype=np.uint8))


def from_integers(key: bytes, values: NDArray[Any]) -> Items:
    """Items of an integer array (n,); any width, the value counts. Raises InputInvalid for unsigned values over 2^63 - 1."""
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise InputInvalid("integers are needed, in one dimension")
    if values.dtype.kind == "u" and len(values) and int(values.max()) >= 1 << 63:
        raise InputInvalid("an integer is over 2^63 - 1")
    data = np.ascontiguousarray(values, dtype="<i8").view(np.uint8)
    offsets = np.arange(len(values) + 1, dtype=np.int64) * 8
    return _hashed(derive_key(key, b"hefu psi item, integer"), offsets, data)


def require_items(items: Items) -> Items:
    """C-contiguous (n, 2) uint64; raises InputInvalid."""
    if items.ndim != 2 or items.shape[1] != ITEM_WORDS or items.dtype != np.uint64:
        raise InputInvalid("items are (n, 2) uint64: make them with hefu.engine.psi.items")
    if len(items) > MAX_ROWS:
        raise InputInvalid(f"{len(items)} items at once: at most {MAX_ROWS}")
    return np.ascontiguousarray(items)


@dataclass(frozen=True, slots=True)
class Distinct:
    """The distinct items of an input.

    items  (k, 2) uint64, in the order of their first rows
    rows   (n,) int32: which of them each input row is; None when all rows differ
    """

    items: Items
    rows: NDArray[np.int32] | None

    def expand(self, found: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Rows of the input, rising, whose item is marked in `found` (k,)."""
        marked = found if self.rows is None else found[self.rows]
        return np.flatnonzero(marked).astype(np.int64, copy=False)


def distinct(items: Items) -> Distinct:
    """Each item once. No copy is made when all rows differ."""
    items = require_items(items)
    first = Table(items).first
    is_first = first == np.arange(len(items), dtype=first.dtype)
    if is_first.all():
        return Distinct(items, None)
    number = (np.cumsum(is_first) - 1).astype(np.int32)
    return Distinct(np.ascontiguousarray(items[is_first]), number[first])


def _hashed(key: bytes, offsets: NDArray[np.int64], data: NDArray[np.uint8]) -> Items:
    n = len(offsets) - 1
    if n < 0:
        raise InputInvalid("offsets have one entry more than there are rows")
    offsets = np.require(offsets, dtype=np.int64, requirements=["C", "W"])
    data = np.require(data, dtype=np.uint8, requirements=["C", "W"])
    if offsets[0] < 0 or offsets[-1] > len(data) or np.any(offsets[1:] < offsets[:-1]):
        raise InputInvalid("offsets don't rise within the data")
    out = np.empty((n, ITEM_WORDS), dtype=np.uint64)
    hash_rows(offsets, data, midstate(key, 8 * ITEM_WORDS, _PERSON), out)
    return out
