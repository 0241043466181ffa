"""Exponential and logistic function of fixed-point secrets, to nearly all their bits.

exp(x) = 2^y with y = x log2 e, split into k = floor(y), five secret bits, and v = y - k: 2^v by a polynomial of degree 6,
2^k as a product of five factors 1 or 2^(2^i). sigma(x) = 1 / (1 + exp(-|x|)), reflected by the sign of x.
Error bounds (u = 2^-f; held by tests over the whole range), results with f <= 20 fraction bits:
  exponential(x)   x < (31 - f) ln 2 (10.39 for f = 16)    2^-22 exp(x) + 2 u      0 where x < -(f + 1) ln 2
  sigmoid(x)       any                                     2^-19 + 2 u
Above its end the exponential is wrong without notice; below there is no end (|x| < 2^61 as a ring element).
Who learns what: nobody anything. About 950 and 1400 bytes an element.
"""

from math import e, log2

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.rss.compare import msb
from hefu.engine.rss.convert import to_arithmetic
from hefu.engine.rss.decompose import to_bits
from hefu.engine.rss.division import inverse_of_half
from hefu.engine.rss.leading import planes_to_ring
from hefu.engine.rss.multiply import multiply
from hefu.engine.rss.party import Party
from hefu.engine.rss.polynomial import polynomial, word
from hefu.engine.rss.shares import Arithmetic, Bits, add_public, concatenate, flat, invert
from hefu.engine.rss.truncate import multiply_fixed, truncate

_POWER_OF_TWO = (
    1.41421356316,
    0.490129089537,
    0.084932882592,
    0.00981168778938,
    0.000850162345877,
    5.92198895997e-05,
    3.3909774351e-06,
)
_WORKING_BITS = 28
_EXPONENT_BITS = 5
_FACTOR_BITS = 29


def exponential(party: Party, x: Arithmetic, input_bits: int, fraction_bits: int) -> Arithmetic:
    """exp(x), from input_bits (8 to 28) to fraction_bits (8 to 26)."""
    if not 8 <= input_bits <= 28 or not 8 <= fraction_bits <= 26:
        raise InputInvalid(f"no exponential from {input_bits} to {fraction_bits} fraction bits")
    shape, n, g = x.shape, x.size, _WORKING_BITS
    x = Arithmetic(flat(x.first), flat(x.second))
    lowest = fraction_bits + 1
    too_low = msb(party, add_public(party, x, word(int(lowest / log2(e) * (1 << input_bits)))))
    y = x.scale(np.uint64(round(log2(e) * (1 << _FACTOR_BITS))))
    y = truncate(party, y, input_bits + _FACTOR_BITS - g)
    y = add_public(party, y, np.uint64(lowest << g))
    bits = to_bits(party, y).plane(g, g + _EXPONENT_BITS)
    kept = invert(party, too_low)
    planes = Bits(np.concatenate([bits.first, kept.first]), np.concatenate([bits.second, kept.second]), (n,))
    ring = planes_to_ring(party, planes)
    k = ring[:_EXPONENT_BITS].each(lambda words: np.array([1, 2, 4, 8, 16], dtype=np.uint64) @ words)
    v = y - k.scale(np.uint64(1 << g))
    t = add_public(party, v.scale(np.uint64(2)), word(-1 << g))
    mantissa = polynomial(party, t, _POWER_OF_TWO, g, g)
    factors = [
        add_public(party, ring[i].scale(np.uint64((1 << (1 << i)) - 1)), np.uint64(1))
        for i in range(_EXPONENT_BITS)
    ]
    products = multiply(
        party,
        concatenate([factors[0], factors[2], factors[4]]),
        concatenate([factors[1], factors[3], ring[_EXPONENT_BITS]]),
    )
    power = multiply(party, products[:n], products[n : 2 * n])
    power = multiply(party, power, products[2 * n :])
    return multiply_fixed(party, power, mantissa, g + 1).reshape(shape)


def sigmoid(party: Party, x: Arithmetic, input_bits: int, fraction_bits: int) -> Arithmetic:
    """1 / (1 + exp(-x)), from input_bits (8 to 28) to fraction_bits (1 to 24); `logistic.fast_sigmoid` is 3 times as cheap."""
    if not 1 <= fraction_bits <= 24:
        raise InputInvalid(f"no sigmoid with {fraction_bits} fraction bits")
    inner, shape = 26, x.shape
    x = Arithmetic(flat(x.first), flat(x.second))
    negative = to_arithmetic(party, msb(party, x))
    sign = add_public(party, -negative.scale(np.uint64(2)), np.uint64(1))
    power = exponential(party, -multiply(party, x, sign), input_bits, inner)
    half = truncate(party, add_public(party, power, np.uint64(1 << inner)), 1)  # (1 + exp) / 2
    above = inverse_of_half(
        party, half, inner
    )  # twice the result, so the same words with one more fraction bit
    reflected = multiply_fixed(party, above, sign, inner + 1 - fraction_bits)
    return (reflected + negative.scale(np.uint64(1 << fraction_bits))).reshape(shape)
