"""Choosing the best of several candidates by noisy scores: the exponential mechanism and report noisy max, by OpenDP.

The scores are integers or floats; `sensitivity` is how far any single score can move (l∞). Scores need not be
monotonic. Who calls learns only the index.
Sources: McSherry, Talwar, FOCS 2007 (exponential mechanism; the Gumbel form draws from it exactly); Rogers, Steinke,
"A Better Privacy Analysis of the Exponential Mechanism", 2021 (ρ = ε²/8); McKenna, Sheldon, NeurIPS 2020 (permute and
flip, which is noisy max with exponential noise: never worse at the same ε).
"""

from __future__ import annotations

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
class Selection:
    """Call it on a vector of scores: the indices of the chosen ones, best first."""

    name: str
    scale: float
    loss: Loss
    count: int
    _measurement: Any = field(repr=False)

    def __call__(self, scores: NDArray[Any]) -> NDArray[np.int64]:
        """(count,) indices; raises InputInvalid for NaN, inf, floats that are none, or fewer scores than asked for."""
        if not isinstance(scores, np.ndarray) or scores.ndim != 1 or len(scores) < self.count:
            raise InputInvalid(f"a vector of at least {self.count} scores is needed")
        given = as_finite_floats(scores) if scores.dtype.kind == "f" else _exact_floats(scores)
        chosen = called(self._measurement, given)
        return np.array(chosen if self.count > 1 else [chosen], dtype=np.int64).reshape(-1)


def exponential_mechanism(sensitivity: Real, epsilon: Real) -> Selection:
    """One index with P(i) ∝ exp(ε·scoreᵢ / 2·sensitivity); costs ε, and only ε²/8 of zCDP."""
    dp = opendp()
    s, e = _parameters(sensitivity, epsilon)
    build = partial(dp.m.make_noisy_max, *_scores(), dp.zero_concentrated_divergence())
    measurement, used, rho = fitted(build, 2 * s / e, rounding.to_float(s, up=True), e * e / 8)
    # Gumbel noise of this scale is the exponential mechanism of 2·sensitivity/scale, a pure ε.
    pure = 2 * s / Fraction(used)
    return Selection("exponential", used, Loss(pure, Fraction(0), rho), 1, measurement)


def noisy_max(sensitivity: Real, epsilon: Real) -> Selection:
    """The index of the largest score after exponential noise (permute and flip)."""
    dp = opendp()
    s, e = _parameters(sensitivity, epsilon)
    build = partial(dp.m.make_noisy_max, *_scores(), dp.max_divergence())
    measurement, used, cost = fitted(build, 2 * s / e, rounding.to_float(s, up=True), e)
    return Selection("noisy max", used, Loss.pure(cost), 1, measurement)


def noisy_top(count: int, sensitivity: Real, epsilon: Real) -> Selection:
    """The `count` largest after exponential noise, in order, peeled off one by one: ε in all."""
    if count < 2:
        raise InputInvalid("two or more are chosen here; for one take noisy_max")
    dp = opendp()
    s, e = _parameters(sensitivity, epsilon)
    build = partial(dp.m.make_noisy_top_k, *_scores(), dp.max_divergence(), count)
    measurement, used, cost = fitted(build, 2 * count * s / e, rounding.to_float(s, up=True), e)
    return Selection("noisy top", used, Loss.pure(cost), count, measurement)


def _scores() -> tuple[Any, Any]:
    dp = opendp()
    return dp.vector_domain(dp.atom_domain(T="f64", nan=False)), dp.linf_distance(T="f64")


def _parameters(sensitivity: Real, epsilon: Real) -> tuple[Fraction, Fraction]:
    return rounding.positive(sensitivity, "sensitivity"), rounding.positive(epsilon, "epsilon")


def _exact_floats(scores: NDArray[Any]) -> NDArray[np.float64]:
    whole = as_int64(scores)
    if whole.size and (whole.max() > 1 << 53 or whole.min() < -(1 << 53)):
        raise InputInvalid("integer scores must lie within ±2^53")
    return whole.astype(np.float64)
