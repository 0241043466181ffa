"""Randomised response: every person's own answer is noisy before it leaves them (local differential privacy).

Whoever collects the answers learns of each person no more than ε, and estimates counts from many. Each answer costs its
loss for the person who gave it. Truth values go through OpenDP as one bit vector; of several categories OpenDP takes one
value at a time, so those are drawn here, exactly, with OpenDP's bound as the loss.
Sources: Warner, JASA 1965; Kairouz, Oh, Viswanath, JMLR 2016 (k-ary randomised response).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hefu.engine.dp import rounding
from hefu.engine.dp.inputs import as_int64
from hefu.engine.dp.library import called, loss_of, opendp
from hefu.engine.dp.loss import Loss
from hefu.engine.dp.rounding import Real
from hefu.engine.errors import InputInvalid
from hefu.engine.prg import KEY_BYTES, Prg

MAX_CATEGORIES = 256


@dataclass(frozen=True, slots=True)
class RandomisedBool:
    """Tells the truth with `truth` (at least 1/2), the opposite otherwise; call it on an array of bool."""

    truth: float
    loss: Loss

    def __call__(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """The noisy answers, of the same shape."""
        if not isinstance(values, np.ndarray) or values.dtype != np.bool_:
            raise InputInvalid("an array of bool is needed")
        if not values.size:
            return values.copy()
        dp = opendp()
        # OpenDP flips each bit with probability f/2; 1 - truth is exact in floats above 1/2.
        measurement = called(
            dp.m.make_randomized_response_bitvec,
            dp.bitvector_domain(max_weight=values.size),
            dp.discrete_distance(),
            f=2 * (1 - self.truth),
        )
        answered = called(measurement, np.packbits(values.reshape(-1)).tobytes())
        bits = np.unpackbits(np.frombuffer(answered, dtype=np.uint8), count=values.size)
        return bits.astype(np.bool_).reshape(values.shape)

    def estimate(self, answers: NDArray[np.bool_]) -> float:
        """How many of those who answered meant True; unbiased, may fall outside 0..n."""
        return float((np.count_nonzero(answers) - answers.size * (1 - self.truth)) / (2 * self.truth - 1))


@dataclass(frozen=True, slots=True)
class RandomisedCategory:
    """Tells the truth with `truth`, otherwise one of the other categories, all alike; call it on categories 0..k-1."""

    categories: int
    truth: float
    loss: Loss

    def __call__(self, values: NDArray[Any], prg: Prg | None = None) -> NDArray[np.int64]:
        """The noisy answers, of the same shape; coins from the operating system unless a stream of own coins is given."""
        given = as_int64(values, (0, self.categories - 1))
        coins = Prg(secrets.token_bytes(KEY_BYTES)) if prg is None else prg
        numerator, denominator = self.truth.as_integer_ratio()
        bits = denominator.bit_length() - 1  # a float's denominator is a power of two
        draws = coins.words(given.size)
        honest = np.ones(given.shape, dtype=np.bool_)
        if bits:
            honest = ((draws >> np.uint64(64 - bits)) < np.uint64(numerator)).reshape(given.shape)
        other = uniform(coins, self.categories - 1, given.size).reshape(given.shape)
        return np.where(honest, given, (given + 1 + other) % self.categories)

    def estimate(self, answers: NDArray[Any]) -> NDArray[np.float64]:
        """(k,) how many meant each category; unbiased, entries may be negative."""
        seen = np.bincount(as_int64(answers, (0, self.categories - 1)).reshape(-1), minlength=self.categories)
        lie = (1 - self.truth) / (self.categories - 1)
        return np.asarray((seen - answers.size * lie) / (self.truth - lie), dtype=np.float64)


def randomised_bool(epsilon: Real) -> RandomisedBool:
    """Randomised response on truth values at ε for each answer; raises InputInvalid for ε outside (0, 36]."""
    truth = _truth(epsilon, 2)
    cost = loss_of(called(opendp().m.make_randomized_response_bool, truth), 1)
    return RandomisedBool(truth, Loss.pure(cost))


def randomised_category(categories: int, epsilon: Real) -> RandomisedCategory:
    """Randomised response on 2 to 256 categories at ε for each answer; raises InputInvalid for ε outside (0, 36]."""
    if not 2 <= categories <= MAX_CATEGORIES:
        raise InputInvalid(f"between 2 and {MAX_CATEGORIES} categories, not {categories}")
    truth = _truth(epsilon, categories)
    cost = loss_of(called(opendp().m.make_randomized_response, list(range(categories)), truth), 1)
    return RandomisedCategory(categories, truth, Loss.pure(cost))


def uniform(prg: Prg, bound: int, count: int) -> NDArray[np.int64]:
    """`count` integers in [0, bound), without bias: words in the incomplete last stretch below 2^64 are drawn again."""
    last = np.uint64((1 << 64) - 1 - (1 << 64) % bound)
    words = prg.words(count)
    while (bad := np.flatnonzero(words > last)).size:
        words[bad] = prg.words(bad.size)
    return (words % np.uint64(bound)).astype(np.int64)


def _truth(epsilon: Real, categories: int) -> float:
    """e^ε/(e^ε + k - 1), a float below it."""
    e = rounding.positive(epsilon, "epsilon")
    if e > 36:
        raise InputInvalid(
            "ε above 36 is no privacy: the answer would be the truth to the last bit of a float"
        )
    odds = rounding.exp(e, up=False)
    truth = rounding.to_float(odds / (odds + categories - 1), up=False)
    if Fraction(truth) <= Fraction(1, categories):
        raise InputInvalid("ε is so small that the answers would carry nothing")
    return truth
