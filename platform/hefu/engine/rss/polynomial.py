"""A polynomial with public coefficients in a shared fixed-point number.

Powers are made by doubling, all of a level in one batch; the sum of coefficients times powers is local, with one truncation.
Who learns what: nobody anything. 56 (d - 1) + 48 bytes an element for degree d, 3 (ceil(log2 d) + 1) rounds.
"""

from collections.abc import Sequence

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.rss.party import Party
from hefu.engine.rss.shares import Arithmetic, add_public, concatenate
from hefu.engine.rss.truncate import multiply_fixed, truncate

_COEFFICIENT_BITS = 28


def polynomial(
    party: Party, x: Arithmetic, coefficients: Sequence[float], bits: int, result_bits: int
) -> Arithmetic:
    """c_0 + c_1 x + c_2 x^2 + ... for |x| <= 1 and sum |c_k| < 4.

    x            (n,) fixed point with `bits` (at most 30) fraction bits
    raises       InputInvalid when the result is to have more fraction bits than the sum
    """
    if bits > 30 or result_bits >= bits + _COEFFICIENT_BITS:
        raise InputInvalid(f"no polynomial from {bits} to {result_bits} fraction bits")
    n, powers = x.size, [x]
    while len(powers) < len(coefficients) - 1:
        missing = len(coefficients) - 1 - len(powers)
        lower = powers[: min(missing, len(powers))]
        top = powers[-1]
        product = multiply_fixed(party, concatenate(lower), concatenate([top] * len(lower)), bits)
        powers += [product[k * n : (k + 1) * n] for k in range(len(lower))]
    scaled = [round(c * 2**_COEFFICIENT_BITS) for c in coefficients]
    total = powers[0].scale(word(scaled[1]))
    for power, factor in zip(powers[1:], scaled[2:], strict=True):
        total += power.scale(word(factor))
    total = add_public(party, total, word(scaled[0] << bits))
    return truncate(party, total, bits + _COEFFICIENT_BITS - result_bits)


def word(value: int) -> np.uint64:
    """A signed integer as a ring element."""
    return np.uint64(value % (1 << 64))
