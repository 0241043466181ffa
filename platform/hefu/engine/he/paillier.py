"""Arrays under Paillier encryption: encrypt, add, multiply by plain numbers, dot products, decrypt.

One exponent (phe's, base 16) belongs to a whole vector, so that it says nothing about single numbers. A vector that was
computed with is re-randomised before it leaves (`to_bytes`, `to_phe`), as in phe: otherwise the owner of the key could
test guesses of the plain factors. Long arrays go through `workers.Workers`; with or without them the same coins give
the same ciphertexts.
Source: Paillier, EUROCRYPT 1999; see paillier_keys.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import phe  # type: ignore[import-untyped]  # ships no types
from numpy.typing import ArrayLike, NDArray

from hefu.engine.he.errors import CiphertextInvalid, KeyInvalid, NotSupported, PlaintextOverflow
from hefu.engine.he.integers import draw_bytes, fresh_coins, gcd, invert_each, mpz, powmod
from hefu.engine.he.paillier_keys import EncryptedNumber, PaillierPrivateKey, PaillierPublicKey
from hefu.engine.he.vectors import as_array, plain_list
from hefu.engine.he.workers import Workers
from hefu.engine.prg import KEY_BYTES, Prg

DEFAULT_PRECISION = 2.0**-40
CHUNK = 64
_MAGIC = b"hPv1"
_HEADER = struct.Struct(">4s16siI")
_MAX_EXPONENT = 1 << 16
PaillierKey = PaillierPublicKey | PaillierPrivateKey


class PaillierVector:
    """Ciphertexts under one key with one exponent: element i is m_i 16^exponent, m_i in (-n/3, n/3).

    fresh  whether the ciphertexts may leave as they are
    """

    def __init__(
        self, key: PaillierPublicKey, ciphertexts: Sequence[int], exponent: int = 0, *, fresh: bool = False
    ) -> None:
        self.public_key = key
        self.ciphertexts = list(ciphertexts)
        self.exponent = exponent
        self.fresh = fresh

    def __len__(self) -> int:
        return len(self.ciphertexts)

    def __getitem__(self, part: slice) -> PaillierVector:
        return PaillierVector(self.public_key, self.ciphertexts[part], self.exponent, fresh=self.fresh)

    def __add__(self, other: PaillierVector | ArrayLike) -> PaillierVector:
        left, right = self._aligned(other)
        n2 = self.public_key.nsquare_mpz
        return self._like(
            [a * b % n2 for a, b in zip(left.ciphertexts, right.ciphertexts, strict=True)], left.exponent
        )

    def __sub__(self, other: PaillierVector | ArrayLike) -> PaillierVector:
        left, right = self._aligned(other)
        n2 = self.public_key.nsquare_mpz
        inverses = self._inverses(right.ciphertexts)
        return self._like(
            [a * b % n2 for a, b in zip(left.ciphertexts, inverses, strict=True)], left.exponent
        )

    def __mul__(self, other: ArrayLike) -> PaillierVector:
        if isinstance(other, PaillierVector):
            raise NotSupported("Paillier multiplies ciphertexts by plain numbers only; take BFV or CKKS")
        factors, exponent = encode(self.public_key, plain_list(other, len(self)))
        n2 = self.public_key.nsquare_mpz
        try:
            products = [powmod(c, k, n2) for c, k in zip(self.ciphertexts, factors, strict=True)]
        except ZeroDivisionError:
            raise CiphertextInvalid("a ciphertext has no inverse under this key") from None
        return self._like(products, self.exponent + exponent)

    __rmul__ = __mul__

    def dot(self, other: ArrayLike) -> PaillierVector:
        """sum_i self[i] w[i] for weights (n,); for weights (n, k): k of them, one per column."""
        if isinstance(other, PaillierVector):
            raise NotSupported("Paillier multiplies ciphertexts by plain numbers only; take BFV or CKKS")
        weights = as_array(other)
        if weights.ndim != 2:
            weights = weights.reshape(-1, 1)
        if len(weights) != len(self):
            raise PlaintextOverflow(f"{len(weights)} weights for {len(self)} ciphertexts")
        flat, exponent = encode(self.public_key, plain_list(weights.T.reshape(-1)))
        n = len(self)
        columns = [flat[i * n : (i + 1) * n] for i in range(weights.shape[1])]
        try:
            products = [self.public_key.multi_power(self.ciphertexts, column) for column in columns]
        except ZeroDivisionError:
            raise CiphertextInvalid("a ciphertext has no inverse under this key") from None
        return self._like(products, self.exponent + exponent)

    def sum(self) -> PaillierVector:
        """A vector of length 1."""
        n2 = self.public_key.nsquare_mpz
        total = mpz(1)
        for ciphertext in self.ciphertexts:
            total = total * ciphertext % n2
        return self._like([total], self.exponent)

    def rerandomised(self, coins: Prg | None = None) -> PaillierVector:
        """The same plaintexts; nothing of how they were computed shows, not even to the key's owner."""
        key = self.public_key
        masks = key.hiding_masks(len(self), fresh_coins() if coins is None else coins)
        hidden = [c * m % key.nsquare_mpz for c, m in zip(self.ciphertexts, masks, strict=True)]
        return PaillierVector(key, hidden, self.exponent, fresh=True)

    def to_bytes(self, coins: Prg | None = None) -> bytes:
        """Header (magic, key, exponent, count) and ciphertexts of fixed width; re-randomised first unless fresh."""
        vector = self if self.fresh else self.rerandomised(coins)
        width = self.public_key.ciphertext_bytes
        header = _HEADER.pack(_MAGIC, self.public_key.digest(), self.exponent, len(self))
        return header + b"".join(int(c).to_bytes(width, "big") for c in vector.ciphertexts)

    @classmethod
    def from_bytes(cls, key: PaillierPublicKey, data: bytes, max_length: int) -> PaillierVector:
        """The vector in these bytes; raises CiphertextInvalid, or KeyInvalid for another key's."""
        if len(data) < _HEADER.size:
            raise CiphertextInvalid("these bytes are no Paillier vector")
        magic, digest, exponent, count = _HEADER.unpack_from(data)
        width = key.ciphertext_bytes
        if magic != _MAGIC or count > max_length or abs(exponent) > _MAX_EXPONENT:
            raise CiphertextInvalid(f"no Paillier vector of at most {max_length} elements")
        if digest != key.digest():
            raise KeyInvalid("a vector under another key")
        if len(data) != _HEADER.size + count * width:
            raise CiphertextInvalid("a Paillier vector of the wrong length")
        body = memoryview(data)[_HEADER.size :]
        ciphertexts = [mpz(int.from_bytes(body[i * width : (i + 1) * width], "big")) for i in range(count)]
        require_ciphertexts(key, ciphertexts)
        return cls(key, ciphertexts, exponent)

    def to_phe(self, coins: Prg | None = None) -> list[EncryptedNumber]:
        """phe's encrypted numbers; re-randomised first unless fresh."""
        vector = self if self.fresh else self.rerandomised(coins)
        numbers = [EncryptedNumber(self.public_key, int(c), self.exponent) for c in vector.ciphertexts]
        for number in numbers:
            number.mark_obfuscated(True)
        return numbers

    @classmethod
    def from_phe(cls, key: PaillierPublicKey, numbers: Sequence[Any]) -> PaillierVector:
        """phe's encrypted numbers, brought to their lowest exponent; raises KeyInvalid, CiphertextInvalid."""
        if any(number.public_key.n != key.n for number in numbers):
            raise KeyInvalid("encrypted under another key")
        exponent = min((number.exponent for number in numbers), default=0)
        n2 = key.nsquare_mpz
        raw = [mpz(number.ciphertext(False)) for number in numbers]
        require_ciphertexts(key, raw)
        base = phe.EncodedNumber.BASE
        ciphertexts = [
            c if number.exponent == exponent else powmod(c, base ** (number.exponent - exponent), n2)
            for c, number in zip(raw, numbers, strict=True)
        ]
        return cls(key, ciphertexts, exponent)

    def _like(self, ciphertexts: list[int], exponent: int) -> PaillierVector:
        return PaillierVector(self.public_key, ciphertexts, exponent)

    def _inverses(self, ciphertexts: list[int]) -> list[int]:
        try:
            return invert_each(ciphertexts, self.public_key.nsquare_mpz)
        except ZeroDivisionError:
            raise CiphertextInvalid("a ciphertext has no inverse under this key") from None

    def _lowered(self, exponent: int) -> PaillierVector:
        if exponent == self.exponent:
            return self
        factor = phe.EncodedNumber.BASE ** (self.exponent - exponent)
        n2 = self.public_key.nsquare_mpz
        return self._like([powmod(c, factor, n2) for c in self.ciphertexts], exponent)

    def _aligned(self, other: PaillierVector | ArrayLike) -> tuple[PaillierVector, PaillierVector]:
        if not isinstance(other, PaillierVector):
            plain = plain_list(other, len(self))
            encoded, exponent = encode(self.public_key, plain, max_exponent=self.exponent)
            other = self._like([self.public_key.nude(m) for m in encoded], exponent)
        if other.public_key != self.public_key:
            raise KeyInvalid("the vectors are under different keys")
        if len(other) != len(self):
            raise PlaintextOverflow(f"vectors of {len(self)} and {len(other)} elements")
        lowest = min(self.exponent, other.exponent)
        return self._lowered(lowest), other._lowered(lowest)


def encrypt_vector(
    key: PaillierKey,
    values: ArrayLike,
    *,
    precision: float = DEFAULT_PRECISION,
    coins: Prg | None = None,
    workers: Workers | None = None,
) -> PaillierVector:
    """Encrypt a one-dimensional array.

    values     integers within +-n/3, of any length; or floats, rounded to multiples of the power of 16 under `precision`
    coins      the same coins give the same ciphertexts; fresh ones by default
    raises     PlaintextOverflow
    """
    encoded, exponent = encode(key.public, plain_list(values), precision=precision)
    return PaillierVector(key.public, encrypt_raw(key, encoded, coins, workers), exponent, fresh=True)


def encrypt_raw(
    key: PaillierKey, plaintexts: list[int], coins: Prg | None = None, workers: Workers | None = None
) -> list[int]:
    """Fresh ciphertexts of integers. Chunks have coins of their own, so that workers need only a seed each."""
    coins = fresh_coins() if coins is None else coins
    chunks = [plaintexts[i : i + CHUNK] for i in range(0, len(plaintexts), CHUNK)]
    jobs = [(chunk, draw_bytes(coins, KEY_BYTES)) for chunk in chunks]
    if workers is None:
        done = [encrypt_chunk(key, chunk, seed) for chunk, seed in jobs]
    else:
        done = workers.map(key, encrypt_chunk, jobs)
    return [ciphertext for chunk in done for ciphertext in chunk]


def encrypt_chunk(key: PaillierKey, plaintexts: list[int], seed: bytes) -> list[int]:
    """One worker's share of `encrypt_raw`."""
    public = key.public
    masks = key.masks(len(plaintexts), Prg(seed))
    n2 = public.nsquare_mpz
    return [public.nude(m) * mask % n2 for m, mask in zip(plaintexts, masks, strict=True)]


def decrypt_vector(
    key: PaillierPrivateKey, vector: PaillierVector, *, workers: Workers | None = None
) -> NDArray[Any]:
    """int64 where all numbers are whole and fit, else Python integers (dtype object), or float64 below the point."""
    numbers = decrypt_raw(key, vector, workers)
    base: int = phe.EncodedNumber.BASE
    if vector.exponent < 0:
        scale = base**-vector.exponent
        try:
            return np.array([m / scale for m in numbers], dtype=np.float64)
        except OverflowError:
            raise PlaintextOverflow("a number is too large for a float") from None
    numbers = [m * base**vector.exponent for m in numbers]
    if all(-(1 << 63) <= m < 1 << 63 for m in numbers):
        return np.array(numbers, dtype=np.int64)
    return np.array(numbers, dtype=object)


def decrypt_raw(key: PaillierPrivateKey, vector: PaillierVector, workers: Workers | None = None) -> list[int]:
    """Signed plaintexts; raises PlaintextOverflow between n/3 and 2n/3, KeyInvalid for another key's vector."""
    public = key.public
    if vector.public_key != public:
        raise KeyInvalid("a vector under another key")
    chunks = [vector.ciphertexts[i : i + CHUNK] for i in range(0, len(vector), CHUNK)]
    if workers is None:
        raw = [decrypt_chunk(key, chunk) for chunk in chunks]
    else:
        raw = workers.map(key, decrypt_chunk, [(chunk,) for chunk in chunks])
    n, limit = public.n, public.max_int
    numbers = [int(m) if m <= limit else int(m) - n for chunk in raw for m in chunk]
    if any(m < -limit for m in numbers):
        raise PlaintextOverflow("a plaintext has left its range of +-n/3")
    return numbers


def decrypt_chunk(key: PaillierPrivateKey, ciphertexts: list[int]) -> list[int]:
    """One worker's share of `decrypt_raw`."""
    return key.decrypt_raw_each(ciphertexts)


def encode(
    key: PaillierPublicKey,
    values: list[int] | list[float],
    *,
    precision: float = DEFAULT_PRECISION,
    max_exponent: int = 0,
) -> tuple[list[int], int]:
    """Integers m and one exponent e with value = m 16^e: e = 0 for integers, floor(log16(precision)) for floats."""
    base: int = phe.EncodedNumber.BASE
    exponent = min(max_exponent, 0)
    if any(isinstance(v, float) for v in values):
        exponent = min(exponent, math.floor(math.log(precision, base)))
    scale = base**-exponent
    try:
        encoded = [round(v * float(scale)) if isinstance(v, float) else v * scale for v in values]
    except OverflowError:
        raise PlaintextOverflow("a number is too large") from None
    if any(abs(m) > key.max_int for m in encoded):
        raise PlaintextOverflow(f"a number is over n/3 (a key of {key.bits} bits)")
    return encoded, exponent


def require_ciphertexts(key: PaillierPublicKey, ciphertexts: Sequence[int]) -> None:
    """Raises CiphertextInvalid unless all are units modulo n^2."""
    n = key.n_mpz
    product = mpz(1)
    for ciphertext in ciphertexts:
        if not 0 < ciphertext < key.nsquare_mpz:
            raise CiphertextInvalid("a ciphertext out of range")
        product = product * ciphertext % n
    if gcd(product, n) != 1:
        raise CiphertextInvalid("a ciphertext that is no unit")
