"""Real functions whose error has a known sign, and exact rationals.

A privacy loss is an exact rational; where a root or a logarithm comes in, it is rounded in the direction that makes
the stated loss larger. Computed by MPFR, which rounds correctly in a chosen direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import gmpy2  # type: ignore[import-untyped]  # ships no types

from hefu.engine.errors import InputInvalid

Real = int | float | str | Decimal | Fraction
"""What a caller may give as ε, δ, a scale: a float stands for the binary fraction that it is."""

_BITS = 128
_MAX_EXPONENT = 500


def exact(value: Real, name: str) -> Fraction:
    """The rational that a caller's number stands for; raises InputInvalid for anything that is none."""
    try:
        if isinstance(value, bool):
            raise ValueError
        return Fraction(value)
    except (ValueError, OverflowError, TypeError, ZeroDivisionError):
        raise InputInvalid(f"{name} is not a finite number: {value!r}") from None


def positive(value: Real, name: str) -> Fraction:
    """The same, above zero."""
    found = exact(value, name)
    if found <= 0:
        raise InputInvalid(f"{name} must be above zero, not {value!r}")
    return found


def probability(value: Real, name: str) -> Fraction:
    """The same, in [0, 1)."""
    found = exact(value, name)
    if not 0 <= found < 1:
        raise InputInvalid(f"{name} must be at least 0 and below 1, not {value!r}")
    return found


def _rounded(function: Callable[[Any], Any], value: Fraction, *, up: bool) -> Fraction:
    mode = gmpy2.RoundUp if up else gmpy2.RoundDown
    with gmpy2.context(precision=_BITS, round=mode):
        found = function(gmpy2.mpfr(gmpy2.mpq(value.numerator, value.denominator)))
        numerator, denominator = found.as_integer_ratio()
        return Fraction(int(numerator), int(denominator))


def sqrt(value: Fraction, *, up: bool) -> Fraction:
    """√value, not below it (up) or not above it."""
    return _rounded(gmpy2.sqrt, value, up=up)


def log(value: Fraction, *, up: bool) -> Fraction:
    """ln value."""
    return _rounded(gmpy2.log, value, up=up)


def exp(value: Fraction, *, up: bool) -> Fraction:
    """e^value; far below zero, a bound that still is a short number."""
    if value < -_MAX_EXPONENT:
        return Fraction(1, 1 << _MAX_EXPONENT) if up else Fraction(0)
    return _rounded(gmpy2.exp, value, up=up)


def log_gamma(value: Fraction, *, up: bool) -> Fraction:
    """ln Γ(value) for values up to 2^60; where it falls, the rounding of the argument is made up for by 2^-60."""
    margin = Fraction(1, 1 << 60)
    return _rounded(lambda v: gmpy2.lgamma(v)[0], value, up=up) + (margin if up else -margin)


def to_float(value: Fraction, *, up: bool) -> float:
    """The nearest float that is not below (up) or not above the value."""
    try:
        near = float(value)
    except OverflowError:
        raise InputInvalid("a number is too large for a float") from None
    if up and Fraction(near) < value:
        return math.nextafter(near, math.inf)
    if not up and Fraction(near) > value:
        return math.nextafter(near, -math.inf)
    return near
