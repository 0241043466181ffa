"""Okamoto-Uchiyama with a subgroup of known prime order: additive encryption, several times as fast as Paillier.

n = p^2 q, p - 1 = t u with t a prime of 256 bits. Public: n, G = g^u, H = g'^(n u). A ciphertext is
c = G^m H^r mod n; the owner computes c^t mod p^2 = (1 + p)^(m k) with a known k, hence m modulo p.

Limits, all of them weightier than Paillier's:
- the plaintext space is one third of |n|: here |m| < 2^(|n|/3 - 2) (680 bits for 2048, 1022 for 3072);
- one-wayness rests on factoring n = p^2 q, secrecy on the p-subgroup assumption in the variant with short exponents;
- **a chosen-ciphertext attack gives the key**: the decryption of G^M for M > p shows a multiple of p. Never tell the
  maker of a ciphertext what it decrypts to, in any form, unless the value was theirs to know; use Paillier there;
- plaintexts wrap modulo p, which only the owner knows.
|t| = 256 (baby steps in the subgroup cost 2^128), |r| = 384: uniform modulo t within 2^-128. Not constant time.
Sources: Okamoto, Uchiyama, EUROCRYPT 1998; Coron, Naccache, Paillier, "Accelerating Okamoto-Uchiyama's public-key
cryptosystem", Electronics Letters 35 (1999).
"""

from __future__ import annotations

import hashlib
import struct
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hefu.engine.he import paillier_keys
from hefu.engine.he.errors import CiphertextInvalid, KeyInvalid, NotSupported, PlaintextOverflow
from hefu.engine.he.fixed_base import FixedBase, PowerEach
from hefu.engine.he.integers import (
    draw_below,
    draw_bits,
    draw_prime,
    draw_rows,
    fresh_coins,
    gcd,
    invert,
    invert_each,
    is_prime,
    mpz,
    powmod,
)
from hefu.engine.he.multiexp import MultiPower
from hefu.engine.he.vectors import plain_list
from hefu.engine.prg import Prg

SUBGROUP_BITS = 256
EXPONENT_BYTES = (SUBGROUP_BITS + 128) // 8
_KEY_MAGIC = b"hefu okamoto public v1\0\0"
_MAGIC = b"hOv1"
_HEADER = struct.Struct(">4s16sI")


class OkamotoPublicKey:
    """n, G, H and the number of bits that plaintexts may have; raises KeyInvalid for elements that are no units."""

    def __init__(self, n: int, g: int, h: int) -> None:
        self.n, self.g, self.h = mpz(n), mpz(g), mpz(h)
        if any(not 1 < x < self.n - 1 or gcd(x, self.n) != 1 for x in (self.g, self.h)):
            raise KeyInvalid("G or H is no useful element modulo n")
        self._g_table = FixedBase(self.g, self.n)
        self._h_table = FixedBase(self.h, self.n)

    def __reduce__(self) -> tuple[Any, ...]:
        return OkamotoPublicKey, (int(self.n), int(self.g), int(self.h))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OkamotoPublicKey):
            return NotImplemented
        return (self.n, self.g, self.h) == (other.n, other.g, other.h)

    def __hash__(self) -> int:
        return hash((self.n, self.g, self.h))

    @property
    def public(self) -> OkamotoPublicKey:
        """This key."""
        return self

    @property
    def bits(self) -> int:
        """|n|."""
        return int(self.n).bit_length()

    @property
    def plaintext_bits(self) -> int:
        """|m| < 2^this: under p/2 with two bits to spare (|p| = floor(|n|/3) + 1)."""
        return self.bits // 3 - 2

    @property
    def ciphertext_bytes(self) -> int:
        """The length of one ciphertext as it travels."""
        return (self.bits + 7) // 8

    @cached_property
    def _digest(self) -> bytes:
        return hashlib.blake2b(self.to_bytes(), digest_size=16, person=b"hefu okamoto").digest()

    @cached_property
    def multi_power(self) -> MultiPower:
        """Products of powers of ciphertexts."""
        return MultiPower(self.n)

    def masks(self, count: int, coins: Prg) -> list[int]:
        """Encryptions of zero."""
        return self._h_table.powers(draw_rows(coins, count, EXPONENT_BYTES))

    def nude(self, plaintexts: list[int]) -> list[int]:
        """G^m, all tables walked to the length of the longest m: no encryption yet. raises PlaintextOverflow"""
        longest = max((abs(m).bit_length() for m in plaintexts), default=0)
        if longest > self.plaintext_bits:
            raise PlaintextOverflow(f"a plaintext has more than {self.plaintext_bits} bits")
        length = (longest + 7) // 8
        digits = b"".join(abs(m).to_bytes(length, "little") for m in plaintexts)
        powers = self._g_table.powers(np.frombuffer(digits, dtype=np.uint8).reshape(len(plaintexts), length))
        below = [i for i, m in enumerate(plaintexts) if m < 0]
        for i, inverse in zip(below, invert_each([powers[i] for i in below], self.n), strict=True):
            powers[i] = inverse
        return powers

    def encrypt_vector(self, values: ArrayLike, *, coins: Prg | None = None) -> OkamotoVector:
        """Encrypt (k,) integers of either sign; raises PlaintextOverflow."""
        plain = [_whole(v) for v in plain_list(values)]
        masks = self.masks(len(plain), fresh_coins() if coins is None else coins)
        ciphertexts = [a * b % self.n for a, b in zip(self.nude(plain), masks, strict=True)]
        return OkamotoVector(self, ciphertexts, fresh=True)

    def vector_from_bytes(self, data: bytes, max_length: int) -> OkamotoVector:
        """The vector in these bytes; raises CiphertextInvalid, KeyInvalid."""
        if len(data) < _HEADER.size:
            raise CiphertextInvalid("these bytes are no Okamoto-Uchiyama vector")
        magic, digest, count = _HEADER.unpack_from(data)
        width = self.ciphertext_bytes
        if magic != _MAGIC or count > max_length or len(data) != _HEADER.size + count * width:
            raise CiphertextInvalid(f"no Okamoto-Uchiyama vector of at most {max_length} elements")
        if digest != self._digest:
            raise KeyInvalid("a vector under another key")
        body = data[_HEADER.size :]
        ciphertexts = [mpz(int.from_bytes(body[i * width : (i + 1) * width], "big")) for i in range(count)]
        if any(not 0 < c < self.n or gcd(c, self.n) != 1 for c in ciphertexts):
            raise CiphertextInvalid("a ciphertext that is no unit modulo n")
        return OkamotoVector(self, ciphertexts)

    def to_bytes(self) -> bytes:
        """Magic, length, n, G, H."""
        width = self.ciphertext_bytes
        parts = (int(x).to_bytes(width, "big") for x in (self.n, self.g, self.h))
        return _KEY_MAGIC + width.to_bytes(4, "big") + b"".join(parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> OkamotoPublicKey:
        """The key in these bytes; raises KeyInvalid."""
        head = len(_KEY_MAGIC) + 4
        if not data.startswith(_KEY_MAGIC) or len(data) < head:
            raise KeyInvalid("these bytes are no Okamoto-Uchiyama key")
        width = int.from_bytes(data[head - 4 : head], "big")
        if len(data) != head + 3 * width:
            raise KeyInvalid("an Okamoto-Uchiyama key of the wrong length")
        n, g, h = (int.from_bytes(data[head + i * width : head + (i + 1) * width], "big") for i in range(3))
        paillier_keys.require_size(n.bit_length())
        return cls(n, g, h)


class OkamotoPrivateKey:
    """The owner's side: p and t."""

    def __init__(self, public: OkamotoPublicKey, p: int, t: int) -> None:
        self.public = public
        self._p, self._t = mpz(p), mpz(t)
        self._p2 = self._p**2
        self._at_p2 = PowerEach(self._p2)
        if public.n % self._p2 or (self._p - 1) % self._t:
            raise KeyInvalid("p and t don't belong to this n")
        self._k_inverse = invert(self._log(powmod(public.g, self._t, self._p2)), self._p)

    def __reduce__(self) -> tuple[Any, ...]:
        return OkamotoPrivateKey, (self.public, int(self._p), int(self._t))

    def _log(self, power: int) -> int:
        return (power - 1) // self._p

    def decrypt_vector(self, vector: OkamotoVector) -> NDArray[Any]:
        """int64 where all numbers fit, else Python integers (dtype object). Never for the maker of the ciphertexts.

        raises KeyInvalid, PlaintextOverflow
        """
        if vector.public_key != self.public:
            raise KeyInvalid("a vector under another key")
        p = self._p
        powers = self._at_p2(vector.ciphertexts, self._t)
        numbers = []
        for power in powers:
            m = int(self._log(power) * self._k_inverse % p)
            m = m if 2 * m < p else m - int(p)
            if abs(m).bit_length() > self.public.plaintext_bits:
                raise PlaintextOverflow("a plaintext has left its range")
            numbers.append(m)
        fits = all(-(1 << 63) <= m < 1 << 63 for m in numbers)
        return np.array(numbers, dtype=np.int64 if fits else object)


class OkamotoVector:
    """Integers under one key; see vectors.Vector. What was computed with is re-randomised before it leaves."""

    def __init__(self, key: OkamotoPublicKey, ciphertexts: list[int], *, fresh: bool = False) -> None:
        self.public_key = key
        self.ciphertexts = ciphertexts
        self.fresh = fresh

    def __len__(self) -> int:
        return len(self.ciphertexts)

    def __add__(self, other: OkamotoVector | ArrayLike) -> OkamotoVector:
        n = self.public_key.n
        return self._like([a * b % n for a, b in zip(self.ciphertexts, self._operand(other), strict=True)])

    def __sub__(self, other: OkamotoVector | ArrayLike) -> OkamotoVector:
        n = self.public_key.n
        inverses = invert_each(self._operand(other), n)
        return self._like([a * b % n for a, b in zip(self.ciphertexts, inverses, strict=True)])

    def __mul__(self, other: ArrayLike) -> OkamotoVector:
        if isinstance(other, OkamotoVector):
            raise NotSupported("Okamoto-Uchiyama multiplies by plain numbers only; take BFV or CKKS")
        factors = [_whole(v) for v in plain_list(other, len(self))]
        n = self.public_key.n
        return self._like([powmod(c, k, n) for c, k in zip(self.ciphertexts, factors, strict=True)])

    __rmul__ = __mul__

    def dot(self, other: ArrayLike) -> OkamotoVector:
        """sum_i self[i] w[i], a vector of length 1."""
        if isinstance(other, OkamotoVector):
            raise NotSupported("Okamoto-Uchiyama multiplies by plain numbers only; take BFV or CKKS")
        weights = [_whole(v) for v in plain_list(other, len(self))]
        return self._like([self.public_key.multi_power(self.ciphertexts, weights)])

    def sum(self) -> OkamotoVector:
        """A vector of length 1."""
        total = mpz(1)
        for ciphertext in self.ciphertexts:
            total = total * ciphertext % self.public_key.n
        return self._like([total])

    def rerandomised(self, coins: Prg | None = None) -> OkamotoVector:
        """The same plaintexts under fresh masks."""
        key = self.public_key
        masks = key.masks(len(self), fresh_coins() if coins is None else coins)
        return OkamotoVector(
            key, [c * m % key.n for c, m in zip(self.ciphertexts, masks, strict=True)], fresh=True
        )

    def to_bytes(self, coins: Prg | None = None) -> bytes:
        """Magic, key, count and ciphertexts of fixed width; re-randomised first unless fresh."""
        vector = self if self.fresh else self.rerandomised(coins)
        key = self.public_key
        header = _HEADER.pack(_MAGIC, key._digest, len(self))
        width = key.ciphertext_bytes
        return header + b"".join(int(c).to_bytes(width, "big") for c in vector.ciphertexts)

    def _like(self, ciphertexts: list[int]) -> OkamotoVector:
        return OkamotoVector(self.public_key, ciphertexts)

    def _operand(self, other: OkamotoVector | ArrayLike) -> list[int]:
        if not isinstance(other, OkamotoVector):
            return self.public_key.nude([_whole(v) for v in plain_list(other, len(self))])
        if other.public_key != self.public_key:
            raise KeyInvalid("the vectors are under different keys")
        if len(other) != len(self):
            raise PlaintextOverflow(f"vectors of {len(self)} and {len(other)} elements")
        return other.ciphertexts


def _whole(value: int | float) -> int:
    if isinstance(value, float):
        raise PlaintextOverflow("Okamoto-Uchiyama holds integers; scale floats first")
    return value


def generate_okamoto_keypair(
    bits: int = paillier_keys.DEFAULT_BITS, *, coins: Prg | None = None
) -> tuple[OkamotoPublicKey, OkamotoPrivateKey]:
    """A new key pair; raises KeyInvalid for fewer than 2048 bits."""
    paillier_keys.require_size(bits)
    return _generate(bits, fresh_coins() if coins is None else coins)


def _generate(
    bits: int, coins: Prg, subgroup_bits: int = SUBGROUP_BITS
) -> tuple[OkamotoPublicKey, OkamotoPrivateKey]:
    p_bits = bits // 3 + 1
    t = draw_prime(coins, subgroup_bits)
    while True:
        u = draw_bits(coins, p_bits - subgroup_bits) & ~1
        p = t * u + 1
        square_bits = int(p * p).bit_length()
        # p^2 is at least 2/3 of its power of two and q at least 3/4: their product has exactly as many bits as asked for.
        if int(p).bit_length() == p_bits and 3 * p * p >= 2 << square_bits and u % t and is_prime(p):
            break
    while True:
        q = draw_prime(coins, bits - square_bits)
        if q != p and (q - 1) % p and (q - 1) % t:
            break
    n = p * p * q
    while True:
        g = draw_below(coins, n)
        if gcd(g, n) == 1 and powmod(g, p - 1, p * p) != 1:
            break
    h = draw_below(coins, n)
    public = OkamotoPublicKey(int(n), int(powmod(g, u, n)), int(powmod(h, n * u, n)))
    return public, OkamotoPrivateKey(public, int(p), int(t))
