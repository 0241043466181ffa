"""CKKS and BFV behind the vector interface: sums, products and dot products of encrypted vectors, to a chosen depth.

TenSEAL over Microsoft SEAL, parameters of at least 128 bits (SEAL's tables, which follow HomomorphicEncryption.org's
standard; SEAL refuses others). BFV computes exactly modulo a prime t, values in [-t/2, t/2]; results wrap silently. CKKS
computes on floats with the errors that `ckks_error_bound` states. A product, plain or encrypted, costs one level; SEAL
does not notice an exhausted BFV ciphertext, so levels are counted here and a product too many is refused.

Not promised: circuit privacy (the noise of a result tells the key's owner about the plain factors); and a CKKS result
that is shown to anybody but the key's owner can give the key away (Li, Micciancio, EUROCRYPT 2021): add noise
first. Coins are SEAL's own. The secret key has no serialised form here.
Sources: Fan, Vercauteren, IACR 2012/144; Cheon, Kim, Kim, Song, ASIACRYPT 2017.
"""

from __future__ import annotations

import operator
import secrets
import struct
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hefu.engine.he.errors import CiphertextInvalid, KeyInvalid, NotSupported, PlaintextOverflow
from hefu.engine.he.integers import is_prime
from hefu.engine.he.vectors import plain_list

Scheme = Literal["ckks", "bfv"]
CKKS_SCALE_BITS = 40
CKKS_RANGE = float(1 << 18)
MAX_DEPTH: dict[str, int] = {"ckks": 7, "bfv": 4}
MAX_PLAIN_BITS = 40
_KEY_MAGIC = b"hefu lattice public v1\0\0"
_KEY_HEADER = struct.Struct(">24s16sBBBBQ")
_MAGIC = b"hLv1"
_HEADER = struct.Struct(">4s16sIBI")
_BLOB = struct.Struct(">I")
_MAX_BLOB_BYTES = 1 << 24


class LatticePublicKey:
    """The public context: encrypts and computes.

    scheme, depth  what was chosen; depth counts products one after the other
    slots          numbers per ciphertext
    modulus        t for BFV, 0 for CKKS
    rotations      whether `sum` and `dot` are possible (their keys are the bulk of the public context)
    """

    def __init__(
        self, context: Any, identity: bytes, scheme: Scheme, depth: int, rotations: bool, modulus: int
    ) -> None:
        self._context = context
        self._identity = identity
        self.scheme: Scheme = scheme
        self.depth = depth
        self.rotations = rotations
        self.modulus = modulus
        self.slots = _degree(scheme, depth) // 2

    def encrypt_vector(self, values: ArrayLike) -> LatticeVector:
        """Encrypt (n,) numbers, n >= 1: integers within +-t/2 for BFV, floats within +-2^18 for CKKS; raises PlaintextOverflow."""
        plain = self._plain(plain_list(values))
        if not plain:
            raise PlaintextOverflow("an empty vector has no ciphertext")
        parts = [self._encrypt(plain[i : i + self.slots]) for i in range(0, len(plain), self.slots)]
        return LatticeVector(self, parts, len(plain), 0)

    def vector_from_bytes(self, data: bytes, max_length: int) -> LatticeVector:
        """The vector in these bytes; raises CiphertextInvalid, KeyInvalid."""
        if len(data) < _HEADER.size:
            raise CiphertextInvalid("these bytes are no lattice vector")
        magic, identity, length, level, count = _HEADER.unpack_from(data)
        if magic != _MAGIC or not 0 < length <= max_length or level > self.depth:
            raise CiphertextInvalid(f"no lattice vector of at most {max_length} elements")
        if identity != self._identity:
            raise KeyInvalid("a vector under another key")
        if count != -(-length // self.slots):
            raise CiphertextInvalid("a lattice vector of the wrong number of parts")
        parts, at = [], _HEADER.size
        for i in range(count):
            size = _BLOB.unpack_from(data, at)[0] if len(data) >= at + _BLOB.size else 0
            at += _BLOB.size
            if not 0 < size <= _MAX_BLOB_BYTES or at + size > len(data):
                raise CiphertextInvalid("a lattice vector that ends too early")
            parts.append(self._load(data[at : at + size], min(self.slots, length - i * self.slots)))
            at += size
        if at != len(data):
            raise CiphertextInvalid("a lattice vector with bytes left over")
        return LatticeVector(self, parts, length, level)

    def to_bytes(self) -> bytes:
        """Header and public context: never the secret key. Tens of megabytes with rotations (BFV depth 3: 450 MB)."""
        body: bytes = self._context.serialize(
            save_public_key=True,
            save_secret_key=False,
            save_galois_keys=self.rotations,
            save_relin_keys=True,
        )
        header = _KEY_HEADER.pack(
            _KEY_MAGIC,
            self._identity,
            self.scheme == "bfv",
            self.depth,
            self.rotations,
            0,
            self.modulus,
        )
        return header + body

    @classmethod
    def from_bytes(cls, data: bytes) -> LatticePublicKey:
        """The key in these bytes; raises KeyInvalid, also for one that carries a secret key."""
        if len(data) < _KEY_HEADER.size or not data.startswith(_KEY_MAGIC):
            raise KeyInvalid("these bytes are no lattice key")
        _, identity, is_bfv, depth, rotations, _, modulus = _KEY_HEADER.unpack_from(data)
        scheme: Scheme = "bfv" if is_bfv else "ckks"
        if is_bfv > 1 or rotations > 1 or not 1 <= depth <= MAX_DEPTH[scheme]:
            raise KeyInvalid("a lattice key of unknown parameters")
        try:
            context = _tenseal().context_from(data[_KEY_HEADER.size :])
            complete = (
                context.has_public_key()
                and context.has_relin_keys()
                and bool(rotations) == context.has_galois_keys()
            )
            private = context.has_secret_key()
        except (ValueError, RuntimeError, TypeError) as error:
            raise KeyInvalid("these bytes are no lattice key") from error
        if private or not complete:
            raise KeyInvalid("a lattice key with a secret key in it, or without its public ones")
        return cls(context, identity, scheme, depth, bool(rotations), modulus)

    def _plain(self, values: list[int] | list[float]) -> list[int] | list[float]:
        if self.scheme == "ckks":
            if any(abs(v) >= CKKS_RANGE for v in values):
                raise PlaintextOverflow("CKKS here holds numbers within +-2^18")
            return [float(v) for v in values]
        if any(isinstance(v, float) for v in values):
            raise PlaintextOverflow("BFV holds integers; scale floats first, or take CKKS")
        if any(abs(v) > self.modulus // 2 for v in values):
            raise PlaintextOverflow(f"BFV here holds integers within +-{self.modulus // 2}")
        return values

    def _encrypt(self, values: list[Any]) -> Any:
        ts = _tenseal()
        return (ts.ckks_vector if self.scheme == "ckks" else ts.bfv_vector)(self._context, values)

    def _load(self, blob: bytes, size: int) -> Any:
        ts = _tenseal()
        load = ts.ckks_vector_from if self.scheme == "ckks" else ts.bfv_vector_from
        try:
            part = load(self._context, blob)
            found = part.size()
        except (ValueError, RuntimeError, TypeError, IndexError) as error:
            raise CiphertextInvalid("a part that is no ciphertext under this key") from error
        if found != size:
            raise CiphertextInvalid(f"a part of {found} numbers where {size} were due")
        return part


class LatticePrivateKey:
    """The owner's side; lives in memory only."""

    def __init__(self, context: Any, public: LatticePublicKey) -> None:
        self._secret = context.secret_key()
        self.public = public

    def decrypt_vector(self, vector: LatticeVector) -> NDArray[Any]:
        """int64 for BFV, float64 for CKKS; raises KeyInvalid, CiphertextInvalid."""
        if vector.key._identity != self.public._identity:
            raise KeyInvalid("a vector under another key")
        try:
            numbers = [x for part in vector.parts for x in part.decrypt(self._secret)]
        except (ValueError, RuntimeError) as error:
            raise CiphertextInvalid("a part that does not decrypt") from error
        return np.array(numbers, dtype=np.float64 if self.public.scheme == "ckks" else np.int64)


class LatticeVector:
    """Numbers under one key; see vectors.Vector. `level` counts the products that went into it."""

    def __init__(self, key: LatticePublicKey, parts: list[Any], length: int, level: int) -> None:
        self.key = key
        self.parts = parts
        self.length = length
        self.level = level

    def __len__(self) -> int:
        return self.length

    def __add__(self, other: LatticeVector | ArrayLike) -> LatticeVector:
        return self._combine(other, operator.add, product=False)

    def __sub__(self, other: LatticeVector | ArrayLike) -> LatticeVector:
        return self._combine(other, operator.sub, product=False)

    def __mul__(self, other: LatticeVector | ArrayLike) -> LatticeVector:
        return self._combine(other, operator.mul, product=True)

    __rmul__ = __mul__

    def dot(self, other: LatticeVector | ArrayLike) -> LatticeVector:
        """sum_i self[i] other[i], a vector of length 1; costs one level."""
        return (self * other).sum()

    def sum(self) -> LatticeVector:
        """A vector of length 1; raises NotSupported without rotation keys."""
        if not self.key.rotations:
            raise NotSupported("this key was made without rotations: no sums within a vector")
        sums = [self._guarded(lambda part, _: part.sum(), part, None, 1) for part in self.parts]
        total = sums[0]
        for part in sums[1:]:
            total = self._guarded(operator.add, total, part, 1)
        return LatticeVector(self.key, [total], 1, self.level)

    def to_bytes(self) -> bytes:
        """Header, then each ciphertext after its length. Carries no context and no key."""
        blobs = [part.serialize() for part in self.parts]
        header = _HEADER.pack(_MAGIC, self.key._identity, self.length, self.level, len(blobs))
        return header + b"".join(_BLOB.pack(len(blob)) + blob for blob in blobs)

    def _combine(
        self, other: LatticeVector | ArrayLike, operation: Callable[[Any, Any], Any], *, product: bool
    ) -> LatticeVector:
        if isinstance(other, LatticeVector):
            if other.key._identity != self.key._identity:
                raise KeyInvalid("the vectors are under different keys")
            if len(other) != len(self):
                raise PlaintextOverflow(f"vectors of {len(self)} and {len(other)} elements")
            level = max(self.level, other.level) + product
            operands = other.parts if other.level == self.level else other._copies()
        else:
            level = self.level + product
            plain = self.key._plain(plain_list(other, len(self)))
            slots = self.key.slots
            operands = [plain[i : i + slots] for i in range(0, len(plain), slots)]
        if level > self.key.depth:
            raise NotSupported(f"one product too many: this key was made for {self.key.depth}")
        slots = self.key.slots
        parts = [
            self._guarded(operation, mine, theirs, min(slots, len(self) - i * slots))
            for i, (mine, theirs) in enumerate(zip(self.parts, operands, strict=True))
        ]
        return LatticeVector(self.key, parts, self.length, level)

    def _copies(self) -> list[Any]:
        """TenSEAL lowers the second operand in place to the first one's level; its own `copy` copies all keys too."""
        slots = self.key.slots
        return [
            self.key._load(part.serialize(), min(slots, len(self) - i * slots))
            for i, part in enumerate(self.parts)
        ]

    def _guarded(self, operation: Callable[[Any, Any], Any], mine: Any, theirs: Any, size: int) -> Any:
        """Where all randomness cancels (x - x, 0 x), SEAL refuses the transparent result: fresh zeros stand in for it."""
        try:
            return operation(mine, theirs)
        except (ValueError, RuntimeError) as error:
            if "transparent" in str(error):
                return self.key._encrypt([0] * size)
            raise CiphertextInvalid(f"the library refuses: {error}") from error


def generate_lattice_keypair(
    scheme: Scheme, *, depth: int = 1, plain_bits: int = MAX_PLAIN_BITS, rotations: bool = True
) -> tuple[LatticePublicKey, LatticePrivateKey]:
    """A new key pair for `depth` products one after the other.

    scheme      "ckks" (depth 1..7) or "bfv" (depth 1..4)
    plain_bits  BFV: the bits of t, 20..40
    rotations   needed for `sum` and `dot`
    raises      KeyInvalid
    """
    if (
        scheme not in MAX_DEPTH
        or not 1 <= depth <= MAX_DEPTH[scheme]
        or not 20 <= plain_bits <= MAX_PLAIN_BITS
    ):
        raise KeyInvalid("CKKS takes a depth of 1 to 7, BFV of 1 to 4 and plaintexts of 20 to 40 bits")
    ts = _tenseal()
    degree = _degree(scheme, depth)
    modulus = 0
    if scheme == "ckks":
        primes = [60, *[CKKS_SCALE_BITS] * depth, 60]
        context = ts.context(ts.SCHEME_TYPE.CKKS, degree, -1, primes)
        context.global_scale = float(1 << CKKS_SCALE_BITS)
    else:
        modulus = _batching_prime(plain_bits, degree)
        context = ts.context(ts.SCHEME_TYPE.BFV, degree, modulus)
    if rotations:
        context.generate_galois_keys()
    open_context = context.copy()
    open_context.make_context_public()
    public = LatticePublicKey(open_context, secrets.token_bytes(16), scheme, depth, rotations, modulus)
    return public, LatticePrivateKey(context, public)


def ckks_error_bound(magnitude: float, products: int, terms: int = 1) -> float:
    """How far a decrypted number may be off: `products` one after the other, of numbers within +-magnitude, then `terms` of them added."""
    size = max(magnitude, 1.0) ** (products + 1)
    return terms * size * (products * 2.0**-17 + 2.0**-22)


def _degree(scheme: Scheme, depth: int) -> int:
    """The smallest ring that holds the modulus at 128 bits of security: 218 bits at 8192, 438 at 16384."""
    return 8192 if depth <= (2 if scheme == "ckks" else 1) else 16384


def _batching_prime(bits: int, degree: int) -> int:
    """The largest prime of so many bits that is 1 modulo twice the degree."""
    step = 2 * degree
    prime = ((1 << bits) - 2) // step * step + 1
    while not is_prime(prime):
        prime -= step
    return prime


def _tenseal() -> Any:
    import tenseal  # type: ignore[import-untyped]  # ships no types; loaded when first needed: 0.2 s

    return tenseal
