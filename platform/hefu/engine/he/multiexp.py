"""Products of many powers: prod c_i^(w_i), the heart of a dot product under encryption.

Every exponent is cut into digits of w bits; for each digit position the bases fall into 2^w buckets, and a bucket's
weight is applied by running products. Where the CPU multiplies eight numbers at once (`lanes`), eight positions are
worked on together, one in each lane: 64-bit exponents in one pass over the terms. Negative exponents fill buckets of
their own, so one inversion serves all. The window grows with the number of terms.
Source: Pippenger, "On the evaluation of powers and related problems", FOCS 1976.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hefu.engine.he.integers import invert, mpz
from hefu.engine.he.montgomery import LANES, Modulus, modulus_for_lanes

_MAX_WINDOW = 10
_FEW = 8


class MultiPower:
    """Products of powers modulo one modulus."""

    def __init__(self, modulus: int) -> None:
        self._modulus = mpz(modulus)
        self._lanes = modulus_for_lanes(modulus)

    def __call__(self, bases: Sequence[int], exponents: Sequence[int]) -> int:
        """prod bases[i]^exponents[i]; exponents of either sign, of any length.

        raises ZeroDivisionError when a base with a negative exponent has no inverse
        """
        plus = [i for i, e in enumerate(exponents) if e > 0]
        minus = [i for i, e in enumerate(exponents) if e < 0]
        result = self._positive([bases[i] for i in plus], [int(exponents[i]) for i in plus])
        if minus:
            below = self._positive([bases[i] for i in minus], [-int(exponents[i]) for i in minus])
            result = result * invert(below, self._modulus) % self._modulus
        return result

    def _positive(self, bases: list[int], exponents: list[int]) -> int:
        if not bases:
            return mpz(1)
        bits, modulus = max(exponents).bit_length(), self._modulus
        at_once = LANES if self._lanes is not None and len(bases) > _FEW else 1
        width = window_for(len(bases), bits, at_once)
        digits = _digits(exponents, bits, width)
        result = mpz(1)
        for product in reversed(self._positions(bases, digits, width, at_once)):
            for _ in range(width):
                result = result * result % modulus
            result = result * product % modulus
        return result

    def _positions(self, bases: list[int], digits: NDArray[np.uint16], width: int, at_once: int) -> list[int]:
        if at_once == 1 or self._lanes is None:
            return [_weighted(bases, row.tolist(), self._modulus) for row in digits]
        reduced = [base % self._modulus for base in bases]
        return _by_lanes(self._lanes, reduced, digits, width)


def window_for(terms: int, bits: int, at_once: int) -> int:
    """The window that needs the fewest multiplications, `at_once` positions in one pass."""

    def cost(w: int) -> int:
        return -(-bits // (w * at_once)) * (
            terms + (1 << w) + (1 << w if at_once > 1 else min(1 << w, terms))
        )

    return min(range(1, _MAX_WINDOW + 1), key=cost)


def _by_lanes(modulus: Modulus, bases: list[int], digits: NDArray[np.uint16], width: int) -> list[int]:
    positions = len(digits)
    products: list[int] = []
    for start in range(0, positions, LANES):
        part = np.zeros((len(bases), LANES), dtype=np.uint16)
        rows = digits[start : start + LANES]
        part[:, : len(rows)] = rows.T
        products += modulus.weighted_products(bases, part, width)[: len(rows)]
    return products


def _weighted(bases: list[int], digits: list[int], modulus: int) -> int:
    """prod bases[i]^digits[i]: fill the buckets, then multiply them up from the top, each once per unit of its digit."""
    buckets: dict[int, int] = {}
    for base, digit in zip(bases, digits, strict=True):
        if digit:
            held = buckets.get(digit)
            buckets[digit] = base if held is None else held * base % modulus
    total = running = mpz(1)
    for digit in range(max(buckets, default=0), 0, -1):
        held = buckets.get(digit)
        if held is not None:
            running = running * held % modulus
        total = total * running % modulus
    return total


def _digits(exponents: list[int], bits: int, width: int) -> NDArray[np.uint16]:
    """(positions, terms): the digits of `width` bits, lowest position first."""
    positions = -(-bits // width)
    if bits <= 64:
        words = np.array(exponents, dtype=np.uint64)
        low = np.uint64((1 << width) - 1)
        return np.array([(words >> np.uint64(width * j) & low).astype(np.uint16) for j in range(positions)])
    column = np.array(exponents, dtype=object)
    return np.array([(column >> width * j & (1 << width) - 1).astype(np.uint16) for j in range(positions)])
