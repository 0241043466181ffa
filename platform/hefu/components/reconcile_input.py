"""What the owners of a reconciliation put in: rows, the keys of their tokens, shares and the commitment to them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hefu.engine import refs
from hefu.engine.errors import InputInvalid
from hefu.engine.frames import Payload, as_view
from hefu.engine.halves import MAX_HALF_ROWS
from hefu.engine.prg import KEY_BYTES, Prg
from hefu.engine.session import derive_key, encode

Side = Literal["institution", "bank"]
Share = NDArray[np.uint64]
"""(n, 4) uint64: token, token, amount, reference, masked"""
WORDS: Final = 4
SEED_BYTES: Final = 32
MAX_AMOUNT: Final = 1 << 62
_CHUNK_ROWS: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class OwnerRows:
    """One owner's rows of one business day, ready to be shared. n rows.

    institution   (n,) int32: the institution that the row belongs to, an index into the job's list of institutions
    key_offsets   (n+1,) int64; key_data uint8: row i's canonical match keys are key_data[key_offsets[i]:key_offsets[i+1]]
    occurrence    (n,) uint32: 0, 1, ... among the owner's rows of equal institution and key, by increasing amount
    amount_cents  (n,) int64, |amount| < 2^62
    row           (n,) uint64, 1-based data row in the owner's file, < 2^40 (with `sum`: the first row of the key)
    transit       (n,) bool: belongs to a neighbouring day; takes part, is not reported
    batch         this owner's number in the job, 0..65535, the same at every party
    """

    owner: str
    side: Side
    batch: int
    institution: NDArray[np.int32]
    key_offsets: NDArray[np.int64]
    key_data: NDArray[np.uint8]
    occurrence: NDArray[np.uint32]
    amount_cents: NDArray[np.int64]
    row: NDArray[np.uint64]
    transit: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.amount_cents)


class Batch(NamedTuple):
    """What everybody knows of one owner's rows: `rows` counts those in transit too."""

    owner: str
    side: Side
    batch: int
    rows: int


def make_keys(institutions: Sequence[str]) -> dict[str, bytes]:
    """K_p of every institution under a key K drawn now and forgotten; call it anew for each attempt."""
    master = secrets.token_bytes(32)
    return {
        name: hashlib.blake2b(name.encode(), digest_size=32, key=master, person=b"hefu K_p v1").digest()
        for name in institutions
    }


def share_rows(
    rows: OwnerRows, keys: Mapping[int, bytes], *, sorted_for: int | None = None
) -> tuple[bytes, Share]:
    """Split the rows into a seed (32 bytes, for N0) and masked rows ((n, 4) uint64, for N1); fresh at every call.

    keys        index of an institution -> its K_p, at least for the institutions that occur in `rows`
    sorted_for  design S: the number of owners in the job; the first word of a token becomes a sort key
    raises      InputInvalid when arrays don't fit each other or a value is out of range
    """
    from hefu.engine.tokens import (
        tokens,
    )  # numba takes a second and 100 MB: whoever only reads parameters is spared

    n = len(rows)
    if any(len(a) != n for a in (rows.institution, rows.occurrence, rows.row, rows.transit)):
        raise InputInvalid(f"{rows.owner}: the columns differ in length")
    if n and (int(rows.amount_cents.max()) >= MAX_AMOUNT or int(rows.amount_cents.min()) <= -MAX_AMOUNT):
        raise InputInvalid(f"{rows.owner}: an amount is out of range")
    masked = np.empty((n, WORDS), dtype=np.uint64)
    tokens(rows.key_offsets, rows.key_data, rows.occurrence, rows.institution, keys, out=masked[:, :2])
    if sorted_for is not None:
        _make_sort_keys(masked[:, 0], rows.batch, sorted_for)
    masked[:, 2] = rows.amount_cents.view(np.uint64)
    masked[:, 3] = refs.pack(rows.side == "bank", rows.transit, rows.batch, rows.row)
    seed = secrets.token_bytes(SEED_BYTES)
    prg = input_stream(seed)
    for start in range(0, n, _CHUNK_ROWS):
        part = masked[start : start + _CHUNK_ROWS]
        part -= prg.words(part.size).reshape(part.shape)
    return seed, masked


def _make_sort_keys(words: NDArray[np.uint64], batch: int, owners: int) -> None:
    """In place: a prefix of the token, then the owner's number, 63 bits in all: rows that meet have different keys."""
    if not 0 <= batch < owners:
        raise InputInvalid(f"owner number {batch} is not within 0..{owners - 1}")
    tie_bits = (owners - 1).bit_length()
    words >>= np.uint64(1 + tie_bits)
    words <<= np.uint64(tie_bits)
    words |= np.uint64(batch)


@dataclass(frozen=True, slots=True)
class InputCommitment:
    """Salted SHA-256 digests (hex) of the two parts of an owner's input; opened to N0, N1, and later the auditor."""

    seed_digest: str
    masked_digest: str


def input_commitment(seed: bytes, masked: Share, salt: bytes) -> InputCommitment:
    """Commit to what goes to N0 and to N1. salt: 32 fresh bytes, handed over with each part."""
    return InputCommitment(_digest(b"seed", salt, seed), _digest(b"masked", salt, masked))


def verify_seed(commitment: InputCommitment, seed: bytes, salt: bytes) -> None:
    """What N0 received is what the owner committed to, or InputInvalid."""
    if not hmac.compare_digest(commitment.seed_digest, _digest(b"seed", salt, seed)):
        raise InputInvalid("the seed differs from the owner's commitment")


def verify_masked(commitment: InputCommitment, masked: Share, salt: bytes) -> None:
    """What N1 received is what the owner committed to, or InputInvalid."""
    if not hmac.compare_digest(commitment.masked_digest, _digest(b"masked", salt, masked)):
        raise InputInvalid("the masked rows differ from the owner's commitment")


def rows_digest(rows: OwnerRows, salt: bytes) -> str:
    """Salted SHA-256 (hex) of the rows themselves: equal for a retry with the same data and salt, whatever the shares."""
    header = encode(rows.owner.encode(), rows.side.encode(), str(rows.batch).encode())
    columns = (
        rows.institution.astype("<i4"),
        rows.key_offsets.astype("<i8"),
        np.ascontiguousarray(rows.key_data, dtype=np.uint8),
        rows.occurrence.astype("<u4"),
        rows.amount_cents.astype("<i8"),
        rows.row.astype("<u8"),
        rows.transit.astype(np.uint8),
    )
    return _digest(b"rows", salt, header, *columns)


def in_order(batches: Sequence[Batch]) -> list[Batch]:
    ordered = sorted(batches, key=lambda b: b.batch)
    if len({b.batch for b in ordered}) != len(ordered) or len({b.owner for b in ordered}) != len(ordered):
        raise InputInvalid("two batches share a number or an owner")
    if any(not 0 <= b.batch <= refs.MAX_BATCH or b.rows < 0 for b in ordered):
        raise InputInvalid("a batch's number or size is out of range")
    if sum(b.rows for b in ordered) > MAX_HALF_ROWS:
        raise InputInvalid(f"more than {MAX_HALF_ROWS} rows in one job")
    return ordered


def input_stream(seed: bytes) -> Prg:
    if len(seed) != SEED_BYTES:
        raise InputInvalid(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    return Prg(derive_key(seed, b"hefu reconcile input v1", KEY_BYTES))


def _digest(label: bytes, salt: bytes, *parts: Payload) -> str:
    """SHA-256 over label, salt and parts, each with its length."""
    if len(salt) < 16:
        raise InputInvalid("a salt has at least 16 bytes")
    digest = hashlib.sha256(encode(b"hefu reconcile commitment v1", label, salt))
    for part in parts:
        view = as_view(part)
        digest.update(len(view).to_bytes(8, "big"))
        digest.update(view)
    return digest.hexdigest()
