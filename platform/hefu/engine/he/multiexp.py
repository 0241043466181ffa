"""Products of many powers: prod c_i^(w_i), the heart of a dot product under encryption.

Every exponent is cut into digits of w bits; for each digit position the bases fall into 2^w buckets, and a bucket's
weight is applied by running products. Negative exponents fill buckets of their own, so one inversion serves all.
The window grows with the number of terms (64-bit exponents: w = 6 at 500 terms, 8 at 1000).
Source: Pippenger, "On the evaluation of powers and related problems", FOCS 1976.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hefu.engine.he.integers import invert, mpz

_MAX_WINDOW = 14


def window_for(terms: int, bits: int) -> int:
    """The window that needs the fewest multiplications."""

    def cost(w: int) -> int:
        return -(-bits // w) * (terms + (1 << w) + min(1 << w, terms))

    return min(range(1, _MAX_WINDOW + 1), key=cost)


def multi_power(bases: Sequence[int], exponents: Sequence[int], modulus: int) -> int:
    """prod bases[i]^exponents[i] mod modulus; exponents of either sign, of any length.

    raises ZeroDivisionError when a base with a negative exponent has no inverse
    """
    modulus = mpz(modulus)
    plus = [i for i, e in enumerate(exponents) if e > 0]
    minus = [i for i, e in enumerate(exponents) if e < 0]
    result = _positive([bases[i] for i in plus], [int(exponents[i]) for i in plus], modulus)
    if minus:
        below = _positive([bases[i] for i in minus], [-int(exponents[i]) for i in minus], modulus)
        result = result * invert(below, modulus) % modulus
    return result


def _positive(bases: list[int], exponents: list[int], modulus: int) -> int:
    if not bases:
        return mpz(1)
    bits = max(exponents).bit_length()
    width = window_for(len(bases), bits)
    digits = _digits(exponents, bits, width)
    result = mpz(1)
    for row in digits[::-1]:
        for _ in range(width):
            result = result * result % modulus
        result = result * _weighted(bases, row.tolist(), modulus) % modulus
    return result


def _weighted(bases: list[int], digits: list[int], modulus: int) -> int:
    """prod bases[i]^digits[i]: fill the buckets, then sum them from the top, each once per unit of its digit."""
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


def _digits(exponents: list[int], bits: int, width: int) -> NDArray[np.int64]:
    """(positions, terms): the digits of `width` bits, lowest position first."""
    positions = -(-bits // width)
    if bits <= 64:
        words = np.array(exponents, dtype=np.uint64)
        low = np.uint64((1 << width) - 1)
        return np.array([(words >> np.uint64(width * j) & low).astype(np.int64) for j in range(positions)])
    column = np.array(exponents, dtype=object)
    return np.array([(column >> width * j & (1 << width) - 1).astype(np.int64) for j in range(positions)])
