"""OpenDP, loaded when first needed, with its failures turned into ours.

OpenDP draws its coins from the operating system; a release through it cannot be replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any, TypeVar

from hefu.engine.dp import rounding
from hefu.engine.errors import InputInvalid

T = TypeVar("T")


@cache
def opendp() -> Any:
    """The library, with the features that it keeps behind a switch."""
    import opendp.prelude as library

    library.enable_features("contrib")
    return library


def called(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Call into OpenDP; raises InputInvalid with its reason, the first line of it."""
    try:
        return function(*arguments, **named)
    except Exception as error:
        if isinstance(error, (opendp().OpenDPException, TypeError, ValueError, OverflowError)):
            reason = next(
                (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
            )
            raise InputInvalid(f"OpenDP refuses: {reason}") from error
        raise


def loss_of(measurement: Any, sensitivity: float | int) -> Fraction:
    """What OpenDP says the measurement costs at this sensitivity (its rounding is conservative)."""
    return Fraction(called(measurement.map, sensitivity))


def epsilon_of_concentrated(rho: Fraction, delta: Fraction) -> Fraction:
    """The ε at which ρ-zCDP is (ε, δ)-DP; rounded up."""
    if delta <= 0:
        raise InputInvalid("zCDP converts to (ε, δ) only for a δ above zero")
    if rho == 0:
        return Fraction(0)
    dp = opendp()
    # A Gaussian of scale 1 at l2 distance d is d²/2-zCDP: at d = √(2ρ) OpenDP's conversion is that of ρ.
    unit = dp.m.make_gaussian(dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64"), scale=1.0)
    distance = rounding.to_float(rounding.sqrt(2 * rho, up=True), up=True)
    profile = called(dp.c.make_zCDP_to_approxDP(unit).map, distance)
    return Fraction(called(profile.epsilon, rounding.to_float(delta, up=False)))


def fitted(
    build: Callable[[float], Any], target: Fraction, sensitivity: float, most: Fraction
) -> tuple[Any, float, Fraction]:
    """The measurement of the least scale (to a few parts in 10^15) at which OpenDP's own map stays within `most`.

    returns  measurement, its scale, its loss
    raises   InputInvalid when there is none
    """
    scale = rounding.to_float(target, up=True)
    for _ in range(64):
        measurement = called(build, scale)
        cost = loss_of(measurement, sensitivity)
        if cost <= most:
            return measurement, scale, cost
        scale *= 1 + 2**-51
    raise InputInvalid(f"no scale near {float(target):g} keeps the loss within {float(most):g}")
