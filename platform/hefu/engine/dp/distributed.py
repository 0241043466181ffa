"""Noise that several parties add together, so that none of them can take it off again.

Each party draws a contribution from its own coins and puts it in as a shared value; the sum is added to a result that
nobody sees without it. Whoever knows its own contribution still faces those of the others: the guarantee that counts
against `tolerated` colluding parties is that of the noise of the remaining ones, and it is calibrated to them.

    discrete Laplace    each party: X - X', X and X' negative binomial of shape 1/(parties - tolerated); that many of
                        them sum to P(x) ∝ exp(-|x|/scale) exactly
    discrete Gaussian   each party: variance σ²/(parties - tolerated); the sum is not quite a discrete Gaussian, the
                        difference is bounded (τ)

With more honest parties than counted on there is more noise than needed, never less privacy; with fewer, `guarantee`
says what is left. A party that contributes a wrong value makes the result wrong, but takes nothing from the noise of
the others.
Sources: Ács, Castelluccia, IH 2011 (infinitely divisible Laplace by gamma shares); Goryczka, Xiong, IEEE TDSC 2017
(its discrete form, by Pólya variables); Kairouz, Liu, Steinke, "The Distributed Discrete Gaussian Mechanism", ICML
2021, proposition 14 and corollary 12.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isqrt

import numpy as np
from numpy.typing import NDArray

from hefu.engine.dp import rounding
from hefu.engine.dp.loss import Loss
from hefu.engine.dp.rounding import Real
from hefu.engine.dp.samplers import GAUSSIAN, NEGATIVE_BINOMIAL, draw
from hefu.engine.errors import InputInvalid
from hefu.engine.prg import Prg

_DENOMINATOR = 1 << 16
_MAX_SCALE = 1 << 17  # a number takes a time that grows like the scale: some 10 ms there
_MAX_SCALE_ALONE = 1 << 40
_MAX_DEVIATION = 1 << 27
_MAX_PARTIES = 64


@dataclass(frozen=True, slots=True)
class SharedNoise(ABC):
    """A noise and who adds it.

    parties    how many contribute
    tolerated  how many may collude and still meet the full guarantee: each of them sees its own contribution
    dimension  how many numbers one release has at most
    """

    parties: int
    tolerated: int
    dimension: int

    @property
    def loss(self) -> Loss:
        """Per release, against anybody who colludes with up to `tolerated` of the parties."""
        return self.guarantee(self.parties - self.tolerated)

    @abstractmethod
    def guarantee(self, honest: int) -> Loss:
        """What the noise of `honest` parties alone gives; raises InputInvalid for none, who give nothing."""

    @abstractmethod
    def _sample(self, prg: Prg, count: int) -> NDArray[np.int64]:
        """One party's part for `count` numbers."""

    def contribution(self, prg: Prg, count: int) -> NDArray[np.uint64]:
        """One party's part for `count` numbers, mod 2^64, from a stream of its own coins that serves nothing else.

        raises  InputInvalid when the release has more numbers than the loss was stated for
        """
        if not 0 <= count <= self.dimension:
            raise InputInvalid(f"{count} numbers in a release that was planned for at most {self.dimension}")
        return self._sample(prg, count).view(np.uint64)

    def _check_honest(self, honest: int) -> None:
        if not 1 <= honest <= self.parties:
            raise InputInvalid(
                f"{honest} honest of {self.parties} parties: without an honest one nothing is private"
            )


@dataclass(frozen=True, slots=True)
class SharedLaplace(SharedNoise):
    """Discrete Laplace; `sensitivity` in l1, an integer; `scale` = sensitivity/ε, rounded up."""

    sensitivity: int
    scale: Fraction

    @property
    def shape(self) -> Fraction:
        """Of each party's two negative binomials."""
        return Fraction(1, self.parties - self.tolerated)

    def guarantee(self, honest: int) -> Loss:
        """Pure ε: sensitivity/scale when the shapes reach 1, more below.

        Below 1, NB(j)/NB(j+d) = e^(d/scale) ∏ (j+i)/(j+i-1+shape), i = 1..d, is largest at j = 0, and the difference of
        two such variables inherits the bound term by term. It is concave in d: the worst is a sensitivity spread over
        all numbers evenly.
        """
        self._check_honest(honest)
        shape, epsilon = honest * self.shape, self.sensitivity / self.scale
        if shape < 1:
            each, rest = divmod(self.sensitivity, self.dimension)
            epsilon += rest * _shortfall(each + 1, shape) + (self.dimension - rest) * _shortfall(each, shape)
        return Loss.pure(epsilon)

    def _sample(self, prg: Prg, count: int) -> NDArray[np.int64]:
        s = self.scale
        return draw(
            NEGATIVE_BINOMIAL, (s.numerator, s.denominator, 1, self.parties - self.tolerated), prg, count
        )


@dataclass(frozen=True, slots=True)
class SharedGaussian(SharedNoise):
    """Discrete Gaussian; `sensitivity` in l2; `variance` of each party's part."""

    sensitivity: Fraction
    variance: Fraction

    def guarantee(self, honest: int) -> Loss:
        """ρ-zCDP of the best of the sums of up to that many parts: further parts are noise on noise."""
        self._check_honest(honest)
        return Loss.concentrated(
            min(_rho(self.sensitivity, self.variance, n, self.dimension) for n in range(1, honest + 1))
        )

    def _sample(self, prg: Prg, count: int) -> NDArray[np.int64]:
        p, q = self.variance.numerator, self.variance.denominator
        return draw(GAUSSIAN, (p, q, isqrt(p // q) + 1), prg, count)


def shared_laplace(
    sensitivity: int, epsilon: Real, *, dimension: int = 1, parties: int = 3, tolerated: int = 1
) -> SharedLaplace:
    """Discrete Laplace noise that costs ε against anybody and up to `tolerated` of the parties.

    raises  InputInvalid for a scale above 2^17 (2^40 where a single honest party is to suffice): there Gaussian noise
            is the better choice, or coarser units
    """
    _check_parties(parties, tolerated, dimension)
    if isinstance(sensitivity, bool) or not isinstance(sensitivity, int) or sensitivity < 1:
        raise InputInvalid(f"the l1 sensitivity is a whole number from 1, not {sensitivity!r}")
    scale = sensitivity / rounding.positive(epsilon, "epsilon")
    if scale.denominator > _DENOMINATOR:
        scale = Fraction(ceil(scale * _DENOMINATOR), _DENOMINATOR)
    most = _MAX_SCALE if parties - tolerated > 1 else _MAX_SCALE_ALONE
    if scale > most:
        raise InputInvalid(
            f"a scale of {float(scale):.3g} is above the sampler's {most}: take shared_gaussian"
        )
    return SharedLaplace(parties, tolerated, dimension, sensitivity, scale)


def shared_gaussian(
    sensitivity: Real, rho: Real, *, dimension: int = 1, parties: int = 3, tolerated: int = 1
) -> SharedGaussian:
    """Discrete Gaussian noise that costs ρ of zCDP against anybody and up to `tolerated` of the parties.

    raises  InputInvalid when each part would have a deviation above 2^27, or ρ is so large that it falls below 1/2
    """
    _check_parties(parties, tolerated, dimension)
    s, r = rounding.positive(sensitivity, "sensitivity"), rounding.positive(rho, "rho")
    honest = parties - tolerated
    variance = max(s * s / (2 * r * honest), Fraction(1, 4))
    for step in range(32):
        unit = _DENOMINATOR if variance < _DENOMINATOR else 1
        variance = Fraction(ceil(variance * unit), unit)
        if variance > _MAX_DEVIATION**2:
            raise InputInvalid(
                f"a deviation of {float(variance) ** 0.5:.3g} is above the sampler's {_MAX_DEVIATION}"
            )
        if _rho(s, variance, honest, dimension) <= r:
            return SharedGaussian(parties, tolerated, dimension, s, variance)
        variance *= 1 + Fraction(1 << step, 1 << 16)
    raise InputInvalid("no variance gives this ρ")


def _check_parties(parties: int, tolerated: int, dimension: int) -> None:
    if not 0 <= tolerated < parties <= _MAX_PARTIES or dimension < 1:
        raise InputInvalid(
            f"{tolerated} of {parties} parties tolerated, {dimension} numbers: needs 0 <= tolerated < parties <= "
            f"{_MAX_PARTIES} and at least one number"
        )


def _shortfall(distance: int, shape: Fraction) -> Fraction:
    """ln ∏ i/(i-1+shape), i = 1..distance = ln Γ(shape)Γ(distance+1)/Γ(distance+shape); rounded up."""
    if distance == 0:
        return Fraction(0)
    return (
        rounding.log_gamma(shape, up=True)
        + rounding.log_gamma(Fraction(distance + 1), up=True)
        - rounding.log_gamma(distance + shape, up=False)
    )


def _rho(sensitivity: Fraction, variance: Fraction, honest: int, dimension: int) -> Fraction:
    """½(Δ/(√n σ) + τ√d)², τ = 10 Σ exp(-2π²σ² k/(k+1)), k = 1..n-1; rounded up."""
    if honest == 1:
        return sensitivity**2 / (2 * variance)
    nearly_2_pi_squared = Fraction(1973, 100)  # from below: 2π² = 19.739…
    tau = 10 * sum(
        (
            rounding.exp(-nearly_2_pi_squared * variance * Fraction(k, k + 1), up=True)
            for k in range(1, honest)
        ),
        Fraction(0),
    )
    root = sensitivity / rounding.sqrt(honest * variance, up=False) + tau * rounding.sqrt(
        Fraction(dimension), up=True
    )
    return root * root / 2
