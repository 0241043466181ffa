"""What a party holds of a secret: two of its three components.

Arithmetic shares are over Z_2^64, one word per element, any shape. Bits are xor shares, 64 elements to a word: plane b of
a sliced value holds bit b of every element. Both are plain data; the operations stand in modules of their own.
Linear operations need no message; adding a public constant changes component 0 only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.rss.party import Party, Words

Shape = tuple[int, ...]


def words_for(count: int) -> int:
    """How many words hold one bit of each of `count` elements."""
    return (count + 63) // 64


def flat(words: Words) -> Words:
    """The words in one C-contiguous, writeable row, as kernels take them; copies only where it must."""
    row = np.ascontiguousarray(words).reshape(-1)
    return row if row.flags.writeable else row.copy()


@dataclass(frozen=True, slots=True, eq=False)
class Arithmetic:
    """P_i's components x_i (first) and x_{i+1} (second) of x = x_0 + x_1 + x_2 mod 2^64; uint64, one shape."""

    first: Words
    second: Words

    @property
    def shape(self) -> Shape:
        """The shape of the secret."""
        return self.first.shape

    @property
    def size(self) -> int:
        """How many elements."""
        return self.first.size

    def each(self, function: Callable[[Words], Any]) -> Arithmetic:
        """A linear function (slicing, reshaping, summing, ...) of both components."""
        return Arithmetic(np.asarray(function(self.first)), np.asarray(function(self.second)))

    def __add__(self, other: Arithmetic) -> Arithmetic:
        return Arithmetic(np.asarray(self.first + other.first), np.asarray(self.second + other.second))

    def __sub__(self, other: Arithmetic) -> Arithmetic:
        return Arithmetic(np.asarray(self.first - other.first), np.asarray(self.second - other.second))

    def __neg__(self) -> Arithmetic:
        return Arithmetic(np.asarray(-self.first), np.asarray(-self.second))

    def scale(self, factor: Words | np.uint64) -> Arithmetic:
        """Multiply by public ring elements; raises InputInvalid when the shapes do not go together."""
        common_shape(self.shape, np.shape(factor))
        return Arithmetic(np.asarray(self.first * factor), np.asarray(self.second * factor))

    def reshape(self, shape: Shape) -> Arithmetic:
        """The same elements in another shape."""
        return self.each(lambda words: words.reshape(shape))

    def __getitem__(self, key: Any) -> Arithmetic:
        return self.each(lambda words: words[key])


@dataclass(frozen=True, slots=True, eq=False)
class Bits:
    """P_i's components of xor-shared bits: (planes, words_for(n)) uint64 each, for n elements of the given shape.

    Element e of plane b is bit e % 64 of word e // 64 of row b. What stands beyond the last element has no meaning and is
    independent of any secret.
    """

    first: Words
    second: Words
    shape: Shape

    @property
    def size(self) -> int:
        """How many elements."""
        return prod(self.shape)

    @property
    def planes(self) -> int:
        """How many bits each element has."""
        return len(self.first)

    def plane(self, start: int, stop: int | None = None) -> Bits:
        """Planes start..stop-1 (one plane unless `stop` is given)."""
        rows = slice(start, start + 1 if stop is None else stop)
        return Bits(self.first[rows], self.second[rows], self.shape)

    def reshape(self, shape: Shape) -> Bits:
        """The same elements in another shape."""
        if prod(shape) != self.size:
            raise InputInvalid(f"{self.size} elements do not fit the shape {shape}")
        return Bits(self.first, self.second, shape)

    def __xor__(self, other: Bits) -> Bits:
        require_equal_shapes(self, other)
        return Bits(self.first ^ other.first, self.second ^ other.second, self.shape)


def require_equal_shapes(*shares: Arithmetic | Bits) -> None:
    """Raises InputInvalid unless all have the same shape (and planes)."""
    found = {(share.shape, share.first.shape) for share in shares}
    if len(found) > 1:
        raise InputInvalid("shares of different shapes: " + ", ".join(sorted(str(s) for s, _ in found)))


def broadcast(x: Arithmetic, y: Arithmetic) -> tuple[Arithmetic, Arithmetic]:
    """Both in their common shape; raises InputInvalid where there is none."""
    if x.shape == y.shape:
        return x, y
    shape = common_shape(x.shape, y.shape)
    return (
        x.each(lambda words: np.broadcast_to(words, shape)),
        y.each(lambda words: np.broadcast_to(words, shape)),
    )


def common_shape(one: Shape, other: Shape) -> Shape:
    """The shape that both broadcast to; raises InputInvalid where there is none."""
    try:
        return np.broadcast_shapes(one, other)
    except ValueError as error:
        raise InputInvalid(f"shapes {one} and {other} do not go together") from error


def public(party: Party, words: Words) -> Arithmetic:
    """Public ring elements as shares: component 0, the others zero. No message."""
    nothing = np.zeros(words.shape, dtype=np.uint64)
    return Arithmetic(
        words if party.index == 0 else nothing,
        words if party.index == 2 else nothing,
    )


def add_public(party: Party, x: Arithmetic, words: Words | np.uint64) -> Arithmetic:
    """x plus public ring elements. No message."""
    shape = common_shape(x.shape, np.shape(words))
    first = x.first + words if party.index == 0 else np.broadcast_to(x.first, shape)
    second = x.second + words if party.index == 2 else np.broadcast_to(x.second, shape)
    return Arithmetic(np.asarray(first), np.asarray(second))


def xor_public(party: Party, x: Bits, words: Words | np.uint64) -> Bits:
    """x xor public words, in the layout of its planes. No message."""
    first = x.first ^ words if party.index == 0 else x.first
    second = x.second ^ words if party.index == 2 else x.second
    return Bits(first, second, x.shape)


def invert(party: Party, x: Bits) -> Bits:
    """NOT x. No message."""
    return xor_public(party, x, np.uint64(0xFFFFFFFFFFFFFFFF))


def concatenate(parts: Sequence[Arithmetic], axis: int = 0) -> Arithmetic:
    """Shares joined along an axis."""
    return Arithmetic(
        np.concatenate([part.first for part in parts], axis),
        np.concatenate([part.second for part in parts], axis),
    )


def pack(bits: np.ndarray[Any, np.dtype[np.bool_]]) -> Words:
    """(words_for(n),) uint64 from n truth values of any shape."""
    padded = np.zeros(words_for(bits.size) * 8, dtype=np.uint8)
    packed = np.packbits(bits.reshape(-1), bitorder="little")
    padded[: len(packed)] = packed
    return padded.view(np.uint64)


def unpack(words: Words, shape: Shape) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Truth values of one plane: the other end of `pack`."""
    row = np.ascontiguousarray(words).reshape(-1).view(np.uint8)
    return np.unpackbits(row, count=prod(shape), bitorder="little").view(np.bool_).reshape(shape)
