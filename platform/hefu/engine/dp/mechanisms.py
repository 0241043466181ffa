"""Noise on numbers that the caller holds in the clear: Laplace and Gaussian, on floats and on integers, by OpenDP.

Each function makes a `Mechanism`: it states its scale and its loss, and calling it on an array gives the noisy array,
of the same shape. The sensitivity is the caller's claim about the query, over the whole array: how far (l1 or l2) its
result can move when one unit of privacy changes. Nothing is clamped here: where the sensitivity rests on bounds, say
`clamp` first. The noise on integers is exact; that on floats is rounded to OpenDP's granularity, not to the float's.
Results at the ends of int64 saturate.
Sources: Dwork et al., TCC 2006 (Laplace); Ghosh, Roughgarden, Sundararajan, STOC 2009 (geometric); Canonne, Kamath,
Steinke, NeurIPS 2020 (discrete Gaussian and the samplers).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hefu.engine.dp import rounding
from hefu.engine.dp.inputs import as_finite_floats, as_int64
from hefu.engine.dp.library import called, fitted, opendp
from hefu.engine.dp.loss import Loss
from hefu.engine.dp.rounding import Real
from hefu.engine.errors import InputInvalid


@dataclass(frozen=True, slots=True)
class Mechanism:
    """name, scale of the noise, loss per call; call it on an array."""

    name: str
    scale: float
    loss: Loss
    _run: Callable[[NDArray[Any]], NDArray[Any]] = field(repr=False)

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        """The noisy array; every call costs `loss` anew. raises InputInvalid for NaN, inf, or the wrong kind of number."""
        return self._run(values)


def laplace(sensitivity: Real, epsilon: Real) -> Mechanism:
    """Laplace noise on floats; `sensitivity` in l1."""
    s, e = _parameters(sensitivity, epsilon, "epsilon")
    dp = opendp()
    space = dp.vector_domain(dp.atom_domain(T="f64", nan=False)), dp.l1_distance(T="f64")
    build = partial(dp.m.make_laplace, *space)
    measurement, scale, cost = fitted(build, s / e, rounding.to_float(s, up=True), e)
    return Mechanism("laplace", scale, Loss.pure(cost), _on_floats(measurement))


def discrete_laplace(sensitivity: int, epsilon: Real) -> Mechanism:
    """Laplace noise on integers, P(x) ∝ exp(-ε|x|/sensitivity); `sensitivity` in l1, an integer."""
    s, e = _parameters(_whole(sensitivity), epsilon, "epsilon")
    dp = opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    build = partial(dp.m.make_laplace, *space)
    measurement, scale, cost = fitted(build, s / e, int(s), e)
    return Mechanism("discrete laplace", scale, Loss.pure(cost), _on_integers(measurement))


def geometric(sensitivity: int, epsilon: Real, bounds: tuple[int, int]) -> Mechanism:
    """The same distribution, cut to public `bounds` and drawn in nearly constant time; values must lie within."""
    s, e = _parameters(_whole(sensitivity), epsilon, "epsilon")
    low, high = bounds
    if not -(1 << 62) <= low < high <= 1 << 62:
        raise InputInvalid(f"bounds are two integers in order within ±2^62, not {bounds!r}")
    dp = opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    build = partial(dp.m.make_geometric, *space, bounds=(low, high))
    measurement, scale, cost = fitted(build, s / e, int(s), e)
    return Mechanism("geometric", scale, Loss.pure(cost), _on_integers(measurement, bounds))


def gaussian(sensitivity: Real, rho: Real) -> Mechanism:
    """Gaussian noise on floats; `sensitivity` in l2; costs ρ of zCDP."""
    s, r = _parameters(sensitivity, rho, "rho")
    dp = opendp()
    space = dp.vector_domain(dp.atom_domain(T="f64", nan=False)), dp.l2_distance(T="f64")
    build = partial(dp.m.make_gaussian, *space)
    target = s / rounding.sqrt(2 * r, up=False)
    measurement, scale, cost = fitted(build, target, rounding.to_float(s, up=True), r)
    return Mechanism("gaussian", scale, Loss.concentrated(cost), _on_floats(measurement))


def discrete_gaussian(sensitivity: Real, rho: Real) -> Mechanism:
    """Gaussian noise on integers, P(x) ∝ exp(-x²/2σ²); `sensitivity` in l2; costs ρ of zCDP."""
    s, r = _parameters(sensitivity, rho, "rho")
    dp = opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    build = partial(dp.m.make_gaussian, *space)
    target = s / rounding.sqrt(2 * r, up=False)
    measurement, scale, cost = fitted(build, target, rounding.to_float(s, up=True), r)
    return Mechanism("discrete gaussian", scale, Loss.concentrated(cost), _on_integers(measurement))


def clamp(values: NDArray[Any], low: Real, high: Real) -> NDArray[Any]:
    """Values moved into [low, high]: the caller's own step, before the query whose sensitivity rests on it."""
    if rounding.exact(low, "low") > rounding.exact(high, "high"):
        raise InputInvalid("the bounds are not in order")
    if values.dtype.kind == "f":
        as_finite_floats(values)
    return np.asarray(np.clip(values, values.dtype.type(low), values.dtype.type(high)))


def _parameters(sensitivity: Real, budget: Real, name: str) -> tuple[Fraction, Fraction]:
    return rounding.positive(sensitivity, "sensitivity"), rounding.positive(budget, name)


def _whole(sensitivity: int) -> int:
    if isinstance(sensitivity, bool) or not isinstance(sensitivity, (int, np.integer)):
        raise InputInvalid(f"on integers the l1 sensitivity is an integer, not {sensitivity!r}")
    if sensitivity >= 1 << 62:
        raise InputInvalid("the sensitivity is 2^62 or more")
    return int(sensitivity)


def _on_integers(
    measurement: Any, bounds: tuple[int, int] | None = None
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def run(values: NDArray[Any]) -> NDArray[Any]:
        flat = as_int64(values, bounds)
        if not flat.size:
            return flat.copy()
        noisy = called(measurement, flat.reshape(-1))
        return np.array(noisy, dtype=np.int64).reshape(flat.shape)

    return run


def _on_floats(measurement: Any) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def run(values: NDArray[Any]) -> NDArray[Any]:
        flat = as_finite_floats(values)
        if not flat.size:
            return flat.copy()
        return np.array(called(measurement, flat.reshape(-1)), dtype=np.float64).reshape(flat.shape)

    return run
