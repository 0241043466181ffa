"""Arrays of secrets with operators, so that a program reads as mathematics.

    x = secret(party, values, owner=0)               # the other two pass an array of the same shape; only P0's counts
    y = (x * x + 1).sum()
    ((x < 3) & (x > 0)).where(x, 0).reveal()

`SecretArray` holds integers, or fixed-point numbers where `fraction_bits` > 0; `SecretBits` holds truth values. Operands may
be secret or public (numbers, numpy arrays). Shapes, kinds and public operands must be the same at all three parties.
Ranges: see `fixed`; fixed-point products are off by at most one unit in the last place (`truncate`).
Who learns what: nobody anything, until `reveal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.rss import compare, convert, fixed, multiply, opening, shares, sharing, truncate
from hefu.engine.rss.matrix import ring_product
from hefu.engine.rss.party import Party
from hefu.engine.rss.shares import Arithmetic, Bits, Shape


class SecretArray:
    """Shared integers or fixed-point numbers of any shape.

    party, share   whose components, and which
    fraction_bits  0 for integers
    """

    __array_ufunc__: ClassVar[None] = None  # numpy leaves `public * secret` to us
    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # `==` is a protocol here

    def __init__(self, party: Party, share: Arithmetic, fraction_bits: int = 0) -> None:
        self.party = party
        self.share = share
        self.fraction_bits = fraction_bits

    def __repr__(self) -> str:
        kind = f"fixed({self.fraction_bits})" if self.fraction_bits else "integer"
        return f"<SecretArray {kind} {self.shape}>"

    # Shape: no messages.

    @property
    def shape(self) -> Shape:
        """The secret's shape, which is public."""
        return self.share.shape

    @property
    def size(self) -> int:
        """How many elements."""
        return self.share.size

    @property
    def T(self) -> SecretArray:
        """Transposed."""
        return self._like(self.share.each(lambda words: words.T))

    def __len__(self) -> int:
        return len(self.share.first)

    def __getitem__(self, key: Any) -> SecretArray:
        return self._like(self.share[key])

    def reshape(self, *shape: int) -> SecretArray:
        """The same elements in another shape."""
        return self._like(self.share.each(lambda words: words.reshape(shape)))

    def sum(self, axis: int | None = None) -> SecretArray:
        """The sum of all elements, or along an axis."""
        return self._like(self.share.each(lambda words: words.sum(axis=axis, dtype=np.uint64)))

    def cumsum(self, axis: int = 0) -> SecretArray:
        """Running sums along an axis."""
        return self._like(self.share.each(lambda words: words.cumsum(axis=axis, dtype=np.uint64)))

    def to_fixed(self, fraction_bits: int = fixed.DEFAULT_FRACTION_BITS) -> SecretArray:
        """The same numbers with more fraction bits; raises InputInvalid for fewer."""
        extra = fraction_bits - self.fraction_bits
        if extra < 0:
            raise InputInvalid(
                f"fewer fraction bits need a truncation: {self.fraction_bits} to {fraction_bits}"
            )
        if not extra:
            return self
        return SecretArray(self.party, self.share.scale(np.uint64(1 << extra)), fraction_bits)

    # Linear: no messages.

    def __add__(self, other: Any) -> SecretArray:
        if isinstance(other, SecretArray):
            x, y = _aligned(self, other)
            return x._like(_broadcast(x.share, y.share, "+"))
        return self._like(shares.add_public(self.party, self.share, self._encode(other)))

    __radd__ = __add__

    def __neg__(self) -> SecretArray:
        return self._like(-self.share)

    def __sub__(self, other: Any) -> SecretArray:
        if isinstance(other, SecretArray):
            x, y = _aligned(self, other)
            return x._like(_broadcast(x.share, y.share, "-"))
        return self._like(shares.add_public(self.party, self.share, np.negative(self._encode(other))))

    def __rsub__(self, other: Any) -> SecretArray:
        return (-self).__add__(other)

    # Products.

    def __mul__(self, other: Any) -> SecretArray:
        if isinstance(other, SecretBits):
            other = other.to_integer()
        if not isinstance(other, SecretArray):
            scaled = self.share.scale(self._factor(other))
            return self._like(self._shorten(scaled) if _is_real(other) else scaled)
        if self.fraction_bits and other.fraction_bits:
            x, y = _aligned(self, other)
            return x._like(truncate.multiply_fixed(self.party, x.share, y.share, x.fraction_bits))
        bits = self.fraction_bits or other.fraction_bits
        return SecretArray(self.party, multiply.multiply(self.party, self.share, other.share), bits)

    __rmul__ = __mul__

    def __matmul__(self, other: Any) -> SecretArray:
        if not isinstance(other, SecretArray):
            factor = self._factor(other)
            product = self.share.each(lambda words: _ring_matmul(words, factor))
            return self._like(self._shorten(product) if _is_real(other) else product)
        left = self.reshape(1, self.size) if len(self.shape) == 1 else self
        right = other.reshape(other.size, 1) if len(other.shape) == 1 else other
        if self.fraction_bits and other.fraction_bits:
            left, right = _aligned(left, right)
            share = truncate.matmul_fixed(self.party, left.share, right.share, left.fraction_bits)
        else:
            share = multiply.matmul(self.party, left.share, right.share)
        bits = max(left.fraction_bits, right.fraction_bits)
        return SecretArray(self.party, share.reshape(_product_shape(self.shape, other.shape)), bits)

    def __rmatmul__(self, other: Any) -> SecretArray:
        factor = self._factor(other)
        product = self.share.each(lambda words: _ring_matmul(factor, words))
        return self._like(self._shorten(product) if _is_real(other) else product)

    def dot(self, other: SecretArray) -> SecretArray:
        """The inner product of two vectors, or the matrix product."""
        return self @ other

    # Comparisons.

    def __lt__(self, other: Any) -> SecretBits:
        if isinstance(other, SecretArray):
            x, y = _aligned(self, other)
            return SecretBits(self.party, compare.less(self.party, x.share, y.share))
        return SecretBits(self.party, compare.msb(self.party, self.__sub__(other).share))

    def __gt__(self, other: Any) -> SecretBits:
        if isinstance(other, SecretArray):
            return other < self
        return SecretBits(self.party, compare.msb(self.party, self.__rsub__(other).share))

    def __le__(self, other: Any) -> SecretBits:
        return self.__gt__(other).__invert__()

    def __ge__(self, other: Any) -> SecretBits:
        return self.__lt__(other).__invert__()

    def __eq__(self, other: Any) -> SecretBits:  # type: ignore[override]  # a protocol, not a verdict
        if isinstance(other, SecretArray):
            x, y = _aligned(self, other)
            return SecretBits(self.party, compare.equal(self.party, x.share, y.share))
        return SecretBits(self.party, compare.is_zero(self.party, self.__sub__(other).share))

    def __ne__(self, other: Any) -> SecretBits:  # type: ignore[override]
        return self.__eq__(other).__invert__()

    # Opening.

    def reveal(self, to: int | None = None) -> NDArray[Any] | None:
        """The numbers (int64 or float64), at every party or at P_to only (None at the others)."""
        if to is None:
            return self.decode(opening.open_to_all(self.party, self.share))
        words = opening.open_to(self.party, self.share, to)
        return None if words is None else self.decode(words)

    def decode(self, words: NDArray[np.uint64]) -> NDArray[Any]:
        """Opened ring elements as the numbers that this array holds."""
        if self.fraction_bits:
            return fixed.decode_reals(words, self.fraction_bits)
        return fixed.decode_integers(words)

    def _like(self, share: Arithmetic) -> SecretArray:
        return SecretArray(self.party, share, self.fraction_bits)

    def _encode(self, values: Any) -> NDArray[np.uint64]:
        return fixed.encode(values, self.fraction_bits)

    def _factor(self, values: Any) -> NDArray[np.uint64]:
        if _is_real(values) and not self.fraction_bits:
            raise InputInvalid(
                "an integer secret times a real number: make it fixed point first, with to_fixed()"
            )
        return fixed.encode(values, self.fraction_bits if _is_real(values) else 0)

    def _shorten(self, share: Arithmetic) -> Arithmetic:
        return truncate.truncate(self.party, share, self.fraction_bits)


class SecretBits:
    """Shared truth values of any shape, one plane of packed xor shares."""

    __array_ufunc__: ClassVar[None] = None

    def __init__(self, party: Party, bits: Bits) -> None:
        self.party = party
        self.bits = bits

    def __repr__(self) -> str:
        return f"<SecretBits {self.shape}>"

    @property
    def shape(self) -> Shape:
        """The secret's shape, which is public."""
        return self.bits.shape

    @property
    def size(self) -> int:
        """How many elements."""
        return self.bits.size

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> SecretBits:
        first, second = (shares.unpack(c[0], self.shape)[key] for c in (self.bits.first, self.bits.second))
        one, two = (shares.pack(np.asarray(c)).reshape(1, -1) for c in (first, second))
        return SecretBits(self.party, Bits(one, two, np.shape(first)))

    def reshape(self, *shape: int) -> SecretBits:
        """The same elements in another shape."""
        return SecretBits(self.party, self.bits.reshape(np.empty(self.shape, np.bool_).reshape(shape).shape))

    def __xor__(self, other: Any) -> SecretBits:
        if isinstance(other, SecretBits):
            return SecretBits(self.party, self.bits ^ other.bits)
        return SecretBits(self.party, shares.xor_public(self.party, self.bits, self._pack(other)))

    __rxor__ = __xor__

    def __invert__(self) -> SecretBits:
        return SecretBits(self.party, shares.invert(self.party, self.bits))

    def __and__(self, other: Any) -> SecretBits:
        if isinstance(other, SecretBits):
            return SecretBits(self.party, multiply.both(self.party, self.bits, other.bits))
        words = self._pack(other)
        return SecretBits(self.party, Bits(self.bits.first & words, self.bits.second & words, self.shape))

    __rand__ = __and__

    def __or__(self, other: Any) -> SecretBits:
        neither = ~other if isinstance(other, SecretBits) else np.logical_not(other)
        return self.__invert__().__and__(neither).__invert__()

    __ror__ = __or__

    def to_integer(self) -> SecretArray:
        """0 or 1 for each."""
        return SecretArray(self.party, convert.to_arithmetic(self.party, self.bits))

    def sum(self, axis: int | None = None) -> SecretArray:
        """How many are true."""
        return self.to_integer().sum(axis)

    def where(self, x: Any, y: Any) -> SecretArray:
        """x where true, else y; at least one of the two is secret."""
        secret_one = x if isinstance(x, SecretArray) else y
        if not isinstance(secret_one, SecretArray):
            raise InputInvalid("one of the two choices must be a SecretArray")
        difference: SecretArray = x - y
        return difference.__mul__(self).__add__(y)

    def reveal(self, to: int | None = None) -> NDArray[np.bool_] | None:
        """The truth values, at every party or at P_to only (None at the others)."""
        if to is None:
            return shares.unpack(opening.open_bits_to_all(self.party, self.bits)[0], self.shape)
        words = opening.open_bits_to(self.party, self.bits, to)
        return None if words is None else shares.unpack(words[0], self.shape)

    def _pack(self, values: Any) -> NDArray[np.uint64]:
        return shares.pack(np.broadcast_to(np.asarray(values, np.bool_), self.shape))


def secret(party: Party, values: Any, *, owner: int, fraction_bits: int = 0) -> SecretArray:
    """Share the owner's values. The others pass anything of the same shape: only the shape counts there.

    raises  InputInvalid when the owner's values are out of range
    """
    mine = party.index == owner % 3
    words = fixed.encode(values, fraction_bits) if mine else None
    return SecretArray(party, sharing.share_from(party, owner, words, np.shape(values)), fraction_bits)


def secret_bits(party: Party, values: Any, *, owner: int) -> SecretBits:
    """Share the owner's truth values. The others pass anything of the same shape."""
    shape = np.shape(values)
    planes = shares.pack(np.asarray(values, np.bool_)).reshape(1, -1) if party.index == owner % 3 else None
    return SecretBits(party, sharing.share_bits_from(party, owner, planes, shape))


def concatenate(arrays: Sequence[SecretArray], axis: int = 0) -> SecretArray:
    """Arrays joined along an axis; integers become fixed point where others are."""
    bits = max(array.fraction_bits for array in arrays)
    return SecretArray(
        arrays[0].party, shares.concatenate([array.to_fixed(bits).share for array in arrays], axis), bits
    )


def stack(arrays: Sequence[SecretArray]) -> SecretArray:
    """Arrays of one shape as the rows of a new first axis."""
    return concatenate([array.reshape(1, *array.shape) for array in arrays])


def _aligned(x: SecretArray, y: SecretArray) -> tuple[SecretArray, SecretArray]:
    bits = max(x.fraction_bits, y.fraction_bits)
    return x.to_fixed(bits), y.to_fixed(bits)


def _broadcast(x: Arithmetic, y: Arithmetic, sign: str) -> Arithmetic:
    x, y = shares.broadcast(x, y)
    return x + y if sign == "+" else x - y


def _ring_matmul(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return ring_product(left, right) if left.ndim == right.ndim == 2 else np.asarray(left @ right)


def _is_real(values: Any) -> bool:
    return np.asarray(values).dtype.kind == "f"


def _product_shape(left: Shape, right: Shape) -> Shape:
    """The shape of left @ right; a vector on either side drops its axis."""
    return (left[:-1] if len(left) > 1 else ()) + (right[1:] if len(right) > 1 else ())
