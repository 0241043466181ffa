"""Reciprocal, quotient, square root, its inverse and logarithm of fixed-point secrets: normalise, approximate, scale back.

Every number is brought to z in [1/2, 1) by its leading one (`leading`); there a short polynomial in t = 4z - 3 is near
enough for a few steps of Goldschmidt's or Newton's; the power of two that was taken out comes back by the same secret pairs.
Error bounds (u = 2^-f is one unit; the tests hold them over the whole range), for f = 16:
  reciprocal(x)    u <= x < 2^45                    2^-22 / x + 2 u
  divide(a, b)     u <= b < 2^(43-c), |a/b| < 2^c   2^-min(20, 40-c) |a/b| + 3 u     c = quotient_bits
  square_root(x)   u <= x < 2^33.9, or 0            2^-22 sqrt(x) + 2 u
  inverse_root(x)  u <= x < 2^45                    2^-22 / sqrt(x) + 2 u
  logarithm(x)     u <= x < 2^45                    2^-22 + u
Out of range the result is wrong without notice. Zero gives 0 for all but the logarithm, where it means nothing.
Who learns what: nobody anything. 1000 bytes for normalising, 56 for each product; about 45 rounds.
Sources: Goldschmidt, MIT thesis, 1964; Catrina, Saxena, "Secure computation with fixed-point numbers", FC 2010.
"""

from math import log, sqrt

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.rss.compare import msb
from hefu.engine.rss.convert import to_arithmetic
from hefu.engine.rss.leading import LIMIT_BITS, PAIRS, Normalised, normalise
from hefu.engine.rss.multiply import multiply
from hefu.engine.rss.party import Party, Words
from hefu.engine.rss.polynomial import polynomial, word
from hefu.engine.rss.shares import Arithmetic, add_public, broadcast, flat
from hefu.engine.rss.truncate import multiply_fixed, truncate

_INVERSE = (1.33333336253, -0.484848705774, 0.16161617698)
_INVERSE_ROOT = (1.15423115477, -0.203259011649, 0.0522154501889)
_LOGARITHM = (
    -0.287682081297,
    0.333333082978,
    -0.0555551970732,
    0.0123489693724,
    -0.00308882610306,
    0.00081147820184,
    -0.000222876621326,
    8.00303994386e-05,
    -2.46091851224e-05,
)
_WORKING_BITS = 28


def reciprocal(party: Party, x: Arithmetic, fraction_bits: int) -> Arithmetic:
    """1 / x for x > 0."""
    _require(fraction_bits)
    f, g = fraction_bits, min(_WORKING_BITS, 60 - 2 * fraction_bits)
    found, shape = normalise(party, _row(x)), x.shape
    w = inverse_of_half(party, _mantissa(party, found, g), g)
    doubled = multiply(party, found.by_pair(_powers(2 * f - 1, -2)), _two_less(party, found.upper))
    return multiply_fixed(party, w, doubled, g + 1).reshape(shape)


def divide(
    party: Party,
    a: Arithmetic,
    b: Arithmetic,
    fraction_bits: int,
    quotient_bits: int = 16,
    *,
    signed: bool = False,
) -> Arithmetic:
    """a / b for b > 0, or any b != 0 with `signed`; shapes broadcast."""
    _require(fraction_bits)
    f, c = fraction_bits, quotient_bits
    if not 1 <= c <= 42 - f:
        raise InputInvalid(f"a quotient has 1 to {42 - f} bits before the point, not {c}")
    a, b = broadcast(a, b)
    shape, a, b = a.shape, _row(a), _row(b)
    if signed:
        sign = _sign(party, b)
        b, a = multiply(party, b, sign), multiply(party, a, sign)
    g = min(_WORKING_BITS, 59 - c - f)
    found = normalise(party, b)
    w = inverse_of_half(party, _mantissa(party, found, g), g)
    scale = multiply(party, found.by_pair(_powers(60 - c, -2)), _two_less(party, found.upper))
    aligned = multiply_fixed(party, a, scale, g + 1)
    return multiply_fixed(party, aligned, w, 61 - c - f).reshape(shape)


def inverse_root(party: Party, x: Arithmetic, fraction_bits: int) -> Arithmetic:
    """1 / sqrt(x) for x > 0."""
    _require(fraction_bits)
    f, g = fraction_bits, _WORKING_BITS
    extra = 59 - g - (3 * f + 1) // 2
    found, shape = normalise(party, _row(x)), x.shape
    w = _inverse_root_of(party, _mantissa(party, found, g), g)
    scale = _by_pair_and_half(party, found, 1.5 * f - 1 + extra, -1, sqrt(2))
    return multiply_fixed(party, w, scale, g + extra).reshape(shape)


def square_root(party: Party, x: Arithmetic, fraction_bits: int) -> Arithmetic:
    """sqrt(x) for x >= 0."""
    _require(fraction_bits)
    f, g = fraction_bits, _WORKING_BITS
    found, shape = normalise(party, _row(x)), x.shape
    z = _mantissa(party, found, g)
    root = multiply_fixed(party, z, _inverse_root_of(party, z, g), g)
    scale = _by_pair_and_half(party, found, 0.5 * f + 1, 1, sqrt(0.5))
    return multiply_fixed(party, root, scale, g).reshape(shape)


def logarithm(party: Party, x: Arithmetic, fraction_bits: int) -> Arithmetic:
    """ln x for x > 0."""
    _require(fraction_bits)
    g, shape = _WORKING_BITS, x.shape
    found = normalise(party, _row(x))
    mantissa = polynomial(party, _centred(party, _mantissa(party, found, g), g), _LOGARITHM, g, g)
    exponent = found.by_pair(np.arange(0, 2 * PAIRS, 2, dtype=np.uint64)) + found.upper
    exponent = add_public(party, exponent, word(1 - fraction_bits))
    total = mantissa + exponent.scale(np.uint64(round(log(2) * (1 << g))))
    return truncate(party, total, g - fraction_bits).reshape(shape)


def inverse_of_half(party: Party, z: Arithmetic, bits: int) -> Arithmetic:
    """1 / z for 1/2 <= z <= 1, with so many fraction bits: relative error 2^-26 and 4 units."""
    near = polynomial(party, _centred(party, z, bits), _INVERSE, bits, bits)
    one = np.uint64(1 << bits)
    error = add_public(party, -multiply_fixed(party, z, near, bits), one)
    square = multiply_fixed(party, error, error, bits)
    near = near + multiply_fixed(party, near, error, bits)
    return near + multiply_fixed(party, near, square, bits)


def _inverse_root_of(party: Party, z: Arithmetic, bits: int) -> Arithmetic:
    """1 / sqrt(z) for 1/2 <= z < 1: the fit is off by 3.2e-3, two steps of Newton's leave 4e-10."""
    w = polynomial(party, _centred(party, z, bits), _INVERSE_ROOT, bits, bits)
    for _ in range(2):
        zw = multiply_fixed(party, z, w, bits)
        rest = add_public(party, -multiply_fixed(party, zw, w, bits), np.uint64(3 << bits))
        w = multiply_fixed(party, w, rest, bits + 1)
    return w


def _mantissa(party: Party, found: Normalised, bits: int) -> Arithmetic:
    return truncate(party, found.z, LIMIT_BITS - bits)


def _centred(party: Party, z: Arithmetic, bits: int) -> Arithmetic:
    """t = 4z - 3, in [-1, 1]."""
    return add_public(party, z.scale(np.uint64(4)), word(-3 << bits))


def _two_less(party: Party, upper: Arithmetic) -> Arithmetic:
    return add_public(party, -upper, np.uint64(2))


def _powers(start: int, step: int) -> Words:
    """2^(start + step j) for pair j, 0 where that is no integer or beyond the ring."""
    return np.array(
        [1 << e if 0 <= (e := start + step * j) < 63 else 0 for j in range(PAIRS)], dtype=np.uint64
    )


def _by_pair_and_half(party: Party, found: Normalised, start: float, step: int, half: float) -> Arithmetic:
    """2^(start + step j), times `half` where the leading one is the lower of its pair."""
    powers = [2.0 ** (start + step * j) for j in range(PAIRS)]
    kept = [p if p < 2.0**34 or step < 0 else 0.0 for p in powers]
    whole = np.array([round(p) for p in kept], dtype=np.uint64)
    other = np.array([round(p * half) for p in kept], dtype=np.uint64)
    lower = add_public(party, -found.upper, np.uint64(1))
    return found.by_pair(whole) + multiply(party, lower, found.by_pair(other - whole))


def _sign(party: Party, x: Arithmetic) -> Arithmetic:
    """1 or -1."""
    negative = to_arithmetic(party, msb(party, x))
    return add_public(party, -negative.scale(np.uint64(2)), np.uint64(1))


def _row(x: Arithmetic) -> Arithmetic:
    return Arithmetic(flat(x.first), flat(x.second))


def _require(fraction_bits: int) -> None:
    if not 8 <= fraction_bits <= 20:
        raise InputInvalid(f"these functions work with 8 to 20 fraction bits, not {fraction_bits}")
