"""Shamir secret sharing of integers over a prime field.

Any `threshold` shares give the secret, fewer say nothing about it. A false share is not noticed here: whoever combines
checks the secret against something public.
Source: Shamir, "How to share a secret", CACM 22(11), 1979.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hefu.engine.aggregation.errors import AggregationError
from hefu.engine.prg import Prg

PRIME = 2**256 + 297
"""The smallest prime above 2^256: every 32-byte secret is a field element."""
SHARE_BYTES = 33


def split(secret: int, threshold: int, points: Sequence[int], coins: Prg, prime: int = PRIME) -> list[int]:
    """The shares f(point) of a random polynomial f of degree threshold - 1 with f(0) = secret.

    points  distinct, not 0 modulo the prime
    raises  AggregationError
    """
    if not 1 <= threshold <= len(points) or not 0 <= secret < prime:
        raise AggregationError("a threshold from 1 to the number of points, and a secret below the prime")
    _require_points(points, prime)
    coefficients = [secret, *(_draw(coins, prime) for _ in range(threshold - 1))]
    return [evaluate(coefficients, point, prime) for point in points]


def evaluate(coefficients: Sequence[int], point: int, prime: int = PRIME) -> int:
    """The polynomial's value, constant term first (Horner)."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * point + coefficient) % prime
    return value


def weights_at_zero(points: Sequence[int], prime: int = PRIME) -> list[int]:
    """Lagrange's weights: f(0) = sum_i w_i f(points[i]) for every f of degree < len(points)."""
    _require_points(points, prime)
    weights = []
    for i, mine in enumerate(points):
        above = below = 1
        for j, other in enumerate(points):
            if i != j:
                above = above * other % prime
                below = below * (other - mine) % prime
        weights.append(above * pow(below, -1, prime) % prime)
    return weights


def combine(shares: Mapping[int, int], prime: int = PRIME) -> int:
    """The secret from point -> share, all of which are used: as many as the threshold at least."""
    points = list(shares)
    weights = weights_at_zero(points, prime)
    return sum(weight * shares[point] for point, weight in zip(points, weights, strict=True)) % prime


def _require_points(points: Sequence[int], prime: int) -> None:
    if not points or len({point % prime for point in points} - {0}) != len(points):
        raise AggregationError("the points of shares are distinct and not zero")


def _draw(coins: Prg, prime: int) -> int:
    """Uniform below the prime, by rejection."""
    bits = prime.bit_length()
    buffer = np.empty((bits + 7) // 8, dtype=np.uint8)
    while True:
        coins.fill(buffer)
        value = int.from_bytes(buffer.tobytes(), "little") >> (8 * len(buffer) - bits)
        if value < prime:
            return value
