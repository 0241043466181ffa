"""Paillier keys under python-paillier's interface, with the fast encryption of Damgard, Jurik and Nielsen.

Keys made here have p, q = 3 mod 4 and gcd(p-1, q-1) = 2 and publish h = -x^2 mod n beside n. A ciphertext is
(1 + m n) h_s^r mod n^2 with h_s = h^n and r of |n|/2 bits: a fixed base, one table look-up per byte of r. Under a key of
another make (no h) encryption is (1 + m n) r^n with r uniform below n, as everywhere.
The owner knows p and q and works modulo p^2 and q^2: the same ciphertext from the same coins, sooner.

Hides plaintexts under the decisional composite residuosity assumption, and for keys with h that powers of h_s with
short exponents look like n-th residues. Malleable by design; not constant time; whoever gets arbitrary ciphertexts
decrypted can have any ciphertext decrypted.
Sources: Paillier, EUROCRYPT 1999; Damgard, Jurik, Nielsen, "A generalization of Paillier's public-key system", IJIS 9
(2010), section 4.2.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import phe  # type: ignore[import-untyped]  # ships no types
from numpy.typing import ArrayLike, NDArray

from hefu.engine.he.errors import CiphertextInvalid, KeyInvalid, PlaintextOverflow
from hefu.engine.he.fixed_base import FixedBase, PowerEach
from hefu.engine.he.integers import (
    draw_below,
    draw_bits,
    draw_prime,
    draw_rows,
    fresh_coins,
    gcd,
    invert,
    jacobi,
    mpz,
    powmod,
)
from hefu.engine.he.multiexp import MultiPower
from hefu.engine.prg import Prg

DEFAULT_BITS = 3072
"""128-bit security (NIST SP 800-57); 2048 bits give 112."""
MINIMUM_BITS = 2048
MAXIMUM_BITS = 16384
HIDING_SLACK_BITS = 64
_MAGIC = b"hefu paillier public v1\0"


def require_size(bits: int) -> None:
    """Raises KeyInvalid for keys that are too short to protect anything, or absurdly long."""
    if not MINIMUM_BITS <= bits <= MAXIMUM_BITS:
        raise KeyInvalid(f"a key of {bits} bits: from {MINIMUM_BITS} to {MAXIMUM_BITS} are allowed")


class PaillierPublicKey(phe.PaillierPublicKey):  # type: ignore[misc]  # phe ships no types
    """A public key of ours (with h) or of another make (without); also a phe.PaillierPublicKey.

    raises KeyInvalid when h is no candidate for this n
    """

    n: int
    nsquare: int
    max_int: int

    def __init__(self, n: int, h: int | None = None) -> None:
        super().__init__(int(n))
        self.h = None if h is None else int(h)
        self.n_mpz, self.nsquare_mpz = mpz(self.n), mpz(self.nsquare)
        if self.h is not None and (not 1 < self.h < self.n - 1 or jacobi(mpz(self.h), self.n_mpz) != 1):
            raise KeyInvalid("h is not of the form -x^2 mod n")

    def __reduce__(self) -> tuple[Any, ...]:
        return PaillierPublicKey, (self.n, self.h)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, phe.PaillierPublicKey) and self.n == other.n

    def __hash__(self) -> int:
        return hash(self.n)

    @property
    def public(self) -> PaillierPublicKey:
        """This key."""
        return self

    @property
    def bits(self) -> int:
        """|n|."""
        return self.n.bit_length()

    @property
    def ciphertext_bytes(self) -> int:
        """The length of one ciphertext as it travels."""
        return (self.nsquare.bit_length() + 7) // 8

    @cached_property
    def residue_base(self) -> int:
        """h_s = h^n mod n^2, computed here: whatever h a key's maker publishes, it is an n-th residue."""
        if self.h is None:
            raise KeyInvalid("a key of another make has no h")
        return powmod(mpz(self.h), self.n_mpz, self.nsquare_mpz)

    @cached_property
    def _table(self) -> FixedBase:
        return FixedBase(self.residue_base, self.nsquare_mpz)

    @cached_property
    def _power_each(self) -> PowerEach:
        return PowerEach(self.nsquare_mpz)

    @cached_property
    def multi_power(self) -> MultiPower:
        """Products of powers of ciphertexts."""
        return MultiPower(self.nsquare_mpz)

    @property
    def short_exponent_bytes(self) -> int:
        """|r| for a fresh ciphertext: |n|/2 bits."""
        return (self.bits // 2 + 7) // 8

    def masks(self, count: int, coins: Prg) -> list[int]:
        """Encryptions of zero for fresh ciphertexts."""
        if self.h is None:
            return self.full_masks(count, coins)
        return self._table.powers(draw_rows(coins, count, self.short_exponent_bytes))

    def hiding_masks(self, count: int, coins: Prg) -> list[int]:
        """Encryptions of zero that hide from the key's owner how a ciphertext was computed.

        The owner knows the exponents that went in; only a mask whose exponent exceeds the group's order by
        64 bits is uniform for the owner (within 2^-64, given that the owner made h by the rules).
        """
        if self.h is None:
            return self.full_masks(count, coins)
        length = (self.bits + HIDING_SLACK_BITS + 7) // 8
        return self._table.powers(draw_rows(coins, count, length))

    def full_masks(self, count: int, coins: Prg) -> list[int]:
        """r^n for r uniform below n: under any key."""
        drawn = [draw_below(coins, self.n) for _ in range(count)]
        return self._power_each(drawn, self.n_mpz)

    def nude(self, plaintext: int) -> int:
        """(1 + n)^plaintext mod n^2: no encryption yet."""
        return 1 + self.n_mpz * (plaintext % self.n_mpz)

    # phe's interface, one number at a time.

    def raw_encrypt(self, plaintext: int, r_value: int | None = None) -> int:
        """A ciphertext of an integer in [0, n); with r_value: that r^n as the mask, as in phe."""
        if not isinstance(plaintext, int):
            raise TypeError(f"an int was due, not {type(plaintext)}")
        if r_value is None:
            mask = self.masks(1, fresh_coins())[0]
        else:
            mask = 1 if r_value == 1 else powmod(mpz(r_value), self.n_mpz, self.nsquare_mpz)
        return int(self.nude(plaintext) * mask % self.nsquare_mpz)

    def encrypt_encoded(self, encoding: Any, r_value: int | None = None) -> EncryptedNumber:
        """An encrypted number of an encoded one."""
        number = EncryptedNumber(self, self.raw_encrypt(encoding.encoding, r_value), encoding.exponent)
        number.mark_obfuscated(True)
        return number

    # Whole vectors.

    def encrypt_vector(self, values: ArrayLike, **options: Any) -> Any:
        """See paillier.encrypt_vector."""
        from hefu.engine.he.paillier import encrypt_vector

        return encrypt_vector(self, values, **options)

    def vector_from_bytes(self, data: bytes, max_length: int) -> Any:
        """See paillier.PaillierVector.from_bytes."""
        from hefu.engine.he.paillier import PaillierVector

        return PaillierVector.from_bytes(self, data, max_length)

    # Travelling.

    def digest(self) -> bytes:
        """16 bytes that name this key in vectors on the wire."""
        length = (self.bits + 7) // 8
        return hashlib.blake2b(
            self.n.to_bytes(length, "big"), digest_size=16, person=b"hefu paillier"
        ).digest()

    def to_bytes(self) -> bytes:
        """Magic, length of n, n, and h where there is one."""
        length = (self.bits + 7) // 8
        h = b"" if self.h is None else self.h.to_bytes(length, "big")
        return _MAGIC + length.to_bytes(4, "big") + self.n.to_bytes(length, "big") + h

    @classmethod
    def from_bytes(cls, data: bytes) -> PaillierPublicKey:
        """The key in these bytes; raises KeyInvalid."""
        head = len(_MAGIC) + 4
        if not data.startswith(_MAGIC) or len(data) < head:
            raise KeyInvalid("these bytes are no Paillier key")
        length = int.from_bytes(data[head - 4 : head], "big")
        if len(data) not in (head + length, head + 2 * length):
            raise KeyInvalid("a Paillier key of the wrong length")
        n = int.from_bytes(data[head : head + length], "big")
        require_size(n.bit_length())
        if n % 2 == 0:
            raise KeyInvalid("an even modulus")
        h = int.from_bytes(data[head + length :], "big") if len(data) > head + length else None
        return cls(n, h)

    @classmethod
    def from_phe(cls, key: Any) -> PaillierPublicKey:
        """A key of another make: full r^n, however slow."""
        require_size(key.n.bit_length())
        return cls(key.n)


class PaillierPrivateKey(phe.PaillierPrivateKey):  # type: ignore[misc]  # phe ships no types
    """The owner's side; also a phe.PaillierPrivateKey. Raises KeyInvalid when p q is not n."""

    public_key: PaillierPublicKey
    p: int
    q: int

    def __init__(self, public_key: PaillierPublicKey, p: int, q: int) -> None:
        try:
            super().__init__(public_key, int(p), int(q))
        except (ValueError, ZeroDivisionError) as error:
            raise KeyInvalid("p and q are not the factors of this key's n") from error
        self._p, self._q = mpz(self.p), mpz(self.q)
        self._p2, self._q2 = self._p**2, self._q**2
        self._at_p2, self._at_q2 = PowerEach(self._p2), PowerEach(self._q2)
        self._p2_inverse = invert(self._p2, self._q2)
        self._p_inverse = invert(self._p, self._q)
        n = public_key.n_mpz
        self._hp = invert((powmod(n + 1, self._p - 1, self._p2) - 1) // self._p, self._p)
        self._hq = invert((powmod(n + 1, self._q - 1, self._q2) - 1) // self._q, self._q)

    def __reduce__(self) -> tuple[Any, ...]:
        return PaillierPrivateKey, (self.public_key, self.p, self.q)

    @property
    def public(self) -> PaillierPublicKey:
        """What others may have."""
        return self.public_key

    @cached_property
    def _tables(self) -> tuple[FixedBase, FixedBase]:
        base = self.public_key.residue_base
        return FixedBase(base, self._p2), FixedBase(base, self._q2)

    def masks(self, count: int, coins: Prg) -> list[int]:
        """The same as the public key's from the same coins, modulo p^2 and q^2."""
        public = self.public_key
        if public.h is None:
            return self._full_masks(count, coins)
        drawn = draw_rows(coins, count, public.short_exponent_bytes)
        modulo_p, modulo_q = self._tables
        parts = zip(modulo_p.powers(drawn), modulo_q.powers(drawn), strict=True)
        return [self._join(at_p, at_q) for at_p, at_q in parts]

    def _full_masks(self, count: int, coins: Prg) -> list[int]:
        """r^n modulo p^2 and q^2, the exponent reduced by the order of either group."""
        n = self.public_key.n_mpz
        drawn = [draw_below(coins, n) for _ in range(count)]
        at_p = self._at_p2(drawn, n % (self._p2 - self._p))
        at_q = self._at_q2(drawn, n % (self._q2 - self._q))
        return [self._join(a, b) for a, b in zip(at_p, at_q, strict=True)]

    def _join(self, at_p: int, at_q: int) -> int:
        return at_p + self._p2 * ((at_q - at_p) * self._p2_inverse % self._q2)

    def decrypt_raw_each(self, ciphertexts: list[int]) -> list[int]:
        """Plaintexts in [0, n) of ciphertexts, by the Chinese remainder theorem."""
        p, q = self._p, self._q
        at_p = self._at_p2(ciphertexts, p - 1)
        at_q = self._at_q2(ciphertexts, q - 1)
        out = []
        for a, b in zip(at_p, at_q, strict=True):
            m_p = (a - 1) // p * self._hp % p
            m_q = (b - 1) // q * self._hq % q
            out.append(m_p + p * ((m_q - m_p) * self._p_inverse % q))
        return out

    def raw_decrypt(self, ciphertext: int) -> int:
        """The plaintext in [0, n)."""
        if not isinstance(ciphertext, int):
            raise TypeError(f"an int was due, not {type(ciphertext)}")
        return int(self.decrypt_raw_each([mpz(ciphertext)])[0])

    def decrypt(self, encrypted_number: Any) -> int | float:
        """The number; raises KeyInvalid, PlaintextOverflow."""
        try:
            number: int | float = super().decrypt(encrypted_number)
        except OverflowError as error:
            raise PlaintextOverflow("the plaintext has left its range") from error
        except ValueError as error:
            raise KeyInvalid("encrypted under another key") from error
        return number

    def encrypt_vector(self, values: ArrayLike, **options: Any) -> Any:
        """See paillier.encrypt_vector; the owner's way is the faster one."""
        from hefu.engine.he.paillier import encrypt_vector

        return encrypt_vector(self, values, **options)

    def decrypt_vector(self, vector: Any, **options: Any) -> NDArray[Any]:
        """See paillier.decrypt_vector."""
        from hefu.engine.he.paillier import decrypt_vector

        return decrypt_vector(self, vector, **options)

    @classmethod
    def from_phe(cls, key: Any) -> PaillierPrivateKey:
        """A private key of another make."""
        return cls(PaillierPublicKey.from_phe(key.public_key), key.p, key.q)


class EncryptedNumber(phe.EncryptedNumber):  # type: ignore[misc]  # phe ships no types
    """phe's encrypted number under one of our keys: what leaves is re-randomised by the fast way."""

    public_key: PaillierPublicKey
    exponent: int

    def mark_obfuscated(self, done: bool) -> None:
        """Whether the ciphertext may leave as it is."""
        self._EncryptedNumber__is_obfuscated = done  # phe's own flag

    def obfuscate(self) -> None:
        """Multiply by an encryption of zero that hides, also from the key's owner, how this number was computed."""
        mask = self.public_key.hiding_masks(1, fresh_coins())[0]
        self._EncryptedNumber__ciphertext = int(self.ciphertext(False) * mask % self.public_key.nsquare_mpz)
        self.mark_obfuscated(True)

    def __mul__(self, other: Any) -> EncryptedNumber:
        return self._ours(super().__mul__(other))

    def _add_encoded(self, encoded: Any) -> EncryptedNumber:
        return self._ours(super()._add_encoded(encoded))

    def _add_encrypted(self, other: Any) -> EncryptedNumber:
        return self._ours(super()._add_encrypted(other))

    def _ours(self, number: Any) -> EncryptedNumber:
        return EncryptedNumber(self.public_key, number.ciphertext(False), number.exponent)

    @classmethod
    def from_phe(cls, key: PaillierPublicKey, number: Any) -> EncryptedNumber:
        """A number of phe's under the same n; raises KeyInvalid, CiphertextInvalid."""
        if number.public_key.n != key.n:
            raise KeyInvalid("encrypted under another key")
        ciphertext = number.ciphertext(False)
        if not 0 < ciphertext < key.nsquare or gcd(mpz(ciphertext), key.n_mpz) != 1:
            raise CiphertextInvalid("no ciphertext under this key")
        return cls(key, ciphertext, number.exponent)


def generate_paillier_keypair(
    bits: int = DEFAULT_BITS, *, coins: Prg | None = None
) -> tuple[PaillierPublicKey, PaillierPrivateKey]:
    """A new key pair; raises KeyInvalid for fewer than 2048 bits."""
    require_size(bits)
    return _generate(bits, fresh_coins() if coins is None else coins)


def _generate(bits: int, coins: Prg) -> tuple[PaillierPublicKey, PaillierPrivateKey]:
    while True:
        p = draw_prime(coins, bits // 2, residue=3, modulus=4)
        q = draw_prime(coins, bits // 2, residue=3, modulus=4)
        if p != q and gcd(p - 1, q - 1) == 2 and gcd(p * q, (p - 1) * (q - 1)) == 1:
            break
    n = p * q
    x = draw_below(coins, n)
    while gcd(x, n) != 1:
        x = draw_bits(coins, bits - 1)
    public = PaillierPublicKey(int(n), int(-x * x % n))
    return public, PaillierPrivateKey(public, int(p), int(q))
