"""The distributions of shared noise as numbers, and the δ that each leaves at a given ε.

For tables and for judging what a corrupted party costs; floating point (relative error about 10⁻⁹, tails below 10⁻¹⁵
counted as lost), where `distributed` states bounds that are rounded up.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, exp, lgamma, log, log1p, sqrt

import numpy as np
from numpy.typing import NDArray

from hefu.engine.dp.distributed import SharedGaussian, SharedLaplace, SharedNoise
from hefu.engine.errors import InputInvalid

_MAX_REACH = 1 << 20

Pmf = NDArray[np.float64]
"""P(-reach) … P(reach); an odd length."""


def pmf(noise: SharedNoise, honest: int) -> Pmf:
    """The sum of `honest` parties' parts; raises InputInvalid when it spreads over more than 2^20 values."""
    noise.guarantee(honest)
    if isinstance(noise, SharedLaplace):
        return difference_pmf(honest * noise.shape, noise.scale)
    if isinstance(noise, SharedGaussian):
        return gaussian_sum_pmf(noise.variance, honest)
    raise InputInvalid("no exact distribution is known for this noise")


def difference_pmf(shape: Fraction, scale: Fraction) -> Pmf:
    """X - X', both negative binomial."""
    reach = _checked(ceil(float(scale) * (50 + 10 * float(shape))) + 20)
    r, a = float(shape), -1 / float(scale)
    k = np.arange(reach + 1)
    gammas = np.array([lgamma(i + r) - lgamma(i + 1) for i in range(reach + 1)])
    single = np.exp(gammas - lgamma(r) + k * a + r * log1p(-exp(a)))
    return _convolved(single, single[::-1])


def gaussian_sum_pmf(variance: Fraction, count: int) -> Pmf:
    """The sum of `count` discrete Gaussians."""
    reach = _checked(ceil(9 * sqrt(float(variance))) + 9)
    x = np.arange(-reach, reach + 1)
    single = np.exp(-(x**2) / (2 * float(variance)))
    single /= single.sum()
    total = single
    for _ in range(count - 1):
        total = _convolved(total, single)
    return total


def delta_at(epsilon: float, distribution: Pmf, shift: int) -> float:
    """Σ max(0, P(x) - e^ε P(x - shift)), and what the table leaves out: the (ε, δ) of one number with this sensitivity."""
    padded = np.concatenate([np.zeros(shift), distribution, np.zeros(shift)])
    moved = np.roll(padded, shift)
    inside = np.maximum(padded - exp(epsilon) * moved, 0.0).sum()
    return float(inside + max(1.0 - distribution.sum(), 0.0))


def epsilon_at(delta: float, distribution: Pmf, shift: int) -> float:
    """The least ε, to 10⁻⁶, whose δ is no more than this; raises InputInvalid when there is none below 100."""
    low, high = 0.0, 100.0
    if delta_at(high, distribution, shift) > delta:
        raise InputInvalid(f"δ {delta:g} is below what the table can show")
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if delta_at(middle, distribution, shift) <= delta else (middle, high)
    return high


def _checked(reach: int) -> int:
    if reach > _MAX_REACH:
        raise InputInvalid(f"the noise spreads over ±{reach}: too wide for a table")
    return reach


def _convolved(left: Pmf, right: Pmf) -> Pmf:
    """By FFT where direct sums would take too long; negative rounding errors are zero."""
    if len(left) <= 1 << 12:
        return np.convolve(left, right)
    size = 1 << ceil(log(len(left) + len(right), 2))
    product = np.fft.irfft(np.fft.rfft(left, size) * np.fft.rfft(right, size), size)
    return np.maximum(product[: len(left) + len(right) - 1], 0.0)
