"""Many numbers in one Paillier ciphertext: signed slots of 96 bits, 21 of them under a 2048-bit key, 31 under 3072.

A slot holds |v| < 2^95. Fresh values take at most 63 bits and a sign, so 2^32 vectors of extreme values can be added
before slots could run into each other; every vector carries the bound that its slots cannot exceed, and an operation
that would pass 2^95 is refused. The bound travels with the vector: a party that states one too low spoils its own sums,
which the decryptor notices only where a slot exceeds the stated bound.
Multiplication is by one plain integer for all slots; a dot product or a product slot by slot needs one number per
ciphertext (paillier.PaillierVector).
Source: the packing of Ge and Zdonik, "Answering aggregation queries in a secure system model", VLDB 2007.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hefu.engine.he.errors import CiphertextInvalid, HeadroomExceeded, PlaintextOverflow
from hefu.engine.he.integers import mpz
from hefu.engine.he.paillier import (
    PaillierKey,
    PaillierVector,
    decrypt_raw,
    encrypt_raw,
)
from hefu.engine.he.paillier_keys import PaillierPrivateKey, PaillierPublicKey
from hefu.engine.he.vectors import as_array
from hefu.engine.he.workers import Workers
from hefu.engine.prg import Prg

SLOT_BITS = 96
SLOT_LIMIT = 1 << (SLOT_BITS - 1)
_SLOT_BYTES = SLOT_BITS // 8
_MAGIC = b"hPk1"
_HEADER = struct.Struct(">4sI12s")


def slots_per_ciphertext(key: PaillierPublicKey) -> int:
    """So many that a full plaintext stays under n/3."""
    return (key.bits - 3) // SLOT_BITS


class PackedVector:
    """`length` integers in ceil(length / slots) ciphertexts; no slot's magnitude exceeds `bound`."""

    def __init__(self, vector: PaillierVector, length: int, bound: int) -> None:
        self.vector = vector
        self.length = length
        self.bound = bound

    def __len__(self) -> int:
        return self.length

    def __add__(self, other: PackedVector) -> PackedVector:
        self._require_fit(other)
        bound = _within(self.bound + other.bound)
        return PackedVector(self.vector + other.vector, self.length, bound)

    def __sub__(self, other: PackedVector) -> PackedVector:
        self._require_fit(other)
        bound = _within(self.bound + other.bound)
        return PackedVector(self.vector - other.vector, self.length, bound)

    def __mul__(self, factor: int) -> PackedVector:
        """Every slot by the same integer."""
        bound = _within(self.bound * abs(int(factor)))
        return PackedVector(self.vector * int(factor), self.length, bound)

    def to_bytes(self, coins: Prg | None = None) -> bytes:
        """Length, bound and ciphertexts; re-randomised first unless fresh."""
        header = _HEADER.pack(_MAGIC, self.length, self.bound.to_bytes(_SLOT_BYTES, "big"))
        return header + self.vector.to_bytes(coins)

    @classmethod
    def from_bytes(cls, key: PaillierPublicKey, data: bytes, max_length: int) -> PackedVector:
        """The vector in these bytes; raises CiphertextInvalid, KeyInvalid."""
        if len(data) < _HEADER.size:
            raise CiphertextInvalid("these bytes are no packed vector")
        magic, length, raw_bound = _HEADER.unpack_from(data)
        bound = int.from_bytes(raw_bound, "big")
        if magic != _MAGIC or length > max_length or bound >= SLOT_LIMIT:
            raise CiphertextInvalid(f"no packed vector of at most {max_length} elements")
        count = -(-length // slots_per_ciphertext(key))
        vector = PaillierVector.from_bytes(key, data[_HEADER.size :], count)
        if len(vector) != count or vector.exponent != 0:
            raise CiphertextInvalid("a packed vector whose parts don't fit together")
        return cls(vector, length, bound)

    def _require_fit(self, other: PackedVector) -> None:
        if self.length != other.length:
            raise PlaintextOverflow(f"packed vectors of {self.length} and {other.length} elements")


def encrypt_packed(
    key: PaillierKey, values: ArrayLike, *, coins: Prg | None = None, workers: Workers | None = None
) -> PackedVector:
    """Encrypt (n,) integers of at most 63 bits and a sign; raises PlaintextOverflow."""
    array = as_array(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise PlaintextOverflow("packed are one-dimensional arrays of integers")
    if array.dtype.kind == "u" and array.size and int(array.max()) >> 63:
        raise PlaintextOverflow("a value has more than 63 bits and a sign")
    signed = array.astype("<i8")
    bound = max(-int(signed.min()), int(signed.max())) if len(signed) else 0
    plaintexts = pack(signed, slots_per_ciphertext(key.public))
    bound = 1 << bound.bit_length()  # a power of two: the exact maximum is nobody's business
    vector = PaillierVector(key.public, encrypt_raw(key, plaintexts, coins, workers), fresh=True)
    return PackedVector(vector, len(signed), bound)


def decrypt_packed(
    key: PaillierPrivateKey, packed: PackedVector, *, workers: Workers | None = None
) -> NDArray[Any]:
    """int64 where all values fit, else Python integers (dtype object); raises PlaintextOverflow, KeyInvalid."""
    values = unpack(decrypt_raw(key, packed.vector, workers), packed.length, slots_per_ciphertext(key.public))
    if any(abs(int(v)) > packed.bound for v in (values.min(initial=0), values.max(initial=0))):
        raise PlaintextOverflow("a slot exceeds the bound that its vector states")
    return values


def pack(values: NDArray[np.int64], slots: int) -> list[int]:
    """sum_j v_j 2^(96 j) for every `slots` values; each is shifted by 2^95 to be laid down as bytes."""
    rows = -(-len(values) // slots)
    low = np.zeros(rows * slots, dtype="<i8")
    low[: len(values)] = values
    high = np.full(rows * slots, 1 << 31, dtype="<u4") - (low < 0).astype("<u4")
    laid = np.empty((rows * slots, _SLOT_BYTES), dtype=np.uint8)
    laid[:, :8] = low.view(np.uint8).reshape(-1, 8)
    laid[:, 8:] = high.view(np.uint8).reshape(-1, 4)
    offset, width = _offset(slots), slots * _SLOT_BYTES
    data = laid.tobytes()
    return [mpz(int.from_bytes(data[i * width : (i + 1) * width], "little")) - offset for i in range(rows)]


def unpack(plaintexts: list[int], length: int, slots: int) -> NDArray[Any]:
    """The inverse of `pack` for slots of |v| < 2^95; raises PlaintextOverflow for numbers that no slots make up."""
    offset, width = _offset(slots), slots * _SLOT_BYTES
    try:
        data = b"".join((int(m) + offset).to_bytes(width, "little") for m in plaintexts)
    except OverflowError:
        raise PlaintextOverflow("a plaintext that is no row of slots") from None
    laid = np.frombuffer(data, dtype=np.uint8).reshape(-1, _SLOT_BYTES)[:length]
    low = np.ascontiguousarray(laid[:, :8]).view("<i8").reshape(-1)
    high = np.ascontiguousarray(laid[:, 8:]).view("<u4").reshape(-1)
    if np.array_equal(high, np.uint32(1 << 31) - (low < 0).astype(np.uint32)):
        return low.astype(np.int64)
    wide = [
        (int(h) << 64 | int(w)) - SLOT_LIMIT
        for h, w in zip(high.tolist(), low.view("<u8").tolist(), strict=True)
    ]
    return np.array(wide, dtype=object)


def _offset(slots: int) -> int:
    return sum(SLOT_LIMIT << (SLOT_BITS * j) for j in range(slots))


def _within(bound: int) -> int:
    if bound >= SLOT_LIMIT:
        raise HeadroomExceeded("the slots of 96 bits might run into each other: decrypt before going on")
    return bound
