"""Logistic and linear regression on shares, by full-batch gradient descent; nothing is opened.

Logistic: w <- w - rate (X^T (sigma(X w) - y) / n + ridge w). The rows are put side by side once, [x_i, x_{i+1}], and both
products of a step read them as they lie; X w is not truncated, because the sigmoid takes any number of fraction bits; the
gradient is truncated as a vector of d words. Linear: the d x d matrix X^T X and X^T y are computed once; each step is then
the same full-batch step on d words.
Who learns what: nobody anything; n, d, the number of steps and the rates are public.
Bytes for a row and step of the logistic one: 24 for X w, 400 for the sigmoid. Rounds: about 25 a step.
Ranges (16 fraction bits): |x| < 64, |w| < 2^10, n <= 2^20; features should be scaled to about unit variance.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel
from hefu.engine.rss.logistic import fast_sigmoid
from hefu.engine.rss.matrix import ring_product
from hefu.engine.rss.multiply import hand_back, matmul, reshare
from hefu.engine.rss.party import Party, Words
from hefu.engine.rss.shares import Arithmetic, concatenate, public
from hefu.engine.rss.truncate import truncate

_RATE_BITS = 16


@kernel
def _transposed_product(rows: Words, u: Words, v: Words, out: Words) -> None:
    """out = left half of the rows, transposed, times u, plus the right half times v."""
    width = len(out)
    for r in range(len(rows)):
        a, b = u[r], v[r]
        for k in range(width):
            out[k] += rows[r, k] * a + rows[r, width + k] * b


class SharedRows:
    """Rows whose shares are kept side by side, for many products with them."""

    def __init__(self, party: Party, x: Arithmetic, one: int = 0) -> None:
        """`one` not 0: a last column that holds it in every row."""
        if len(x.shape) != 2:
            raise InputInvalid(f"a regression takes rows of features, not the shape {x.shape}")
        self._party = party
        self.count, given = x.shape
        self.width = given + bool(one)
        self._rows = np.empty((self.count, 2 * self.width), dtype=np.uint64)
        self._rows[:, :given], self._rows[:, self.width : self.width + given] = x.first, x.second
        if one:
            self._rows[:, given] = one if party.index == 0 else 0
            self._rows[:, -1] = one if party.index == 2 else 0

    def times(self, w: Arithmetic) -> Arithmetic:
        """X w, (n,): 8 n bytes from each party."""
        op = self._party.begin("rows times vector")
        column = np.concatenate([w.first + w.second, w.first]).reshape(-1, 1)
        out = ring_product(self._rows, column).reshape(-1)
        reshare(op, out)
        return hand_back(self._party, out)

    def transposed_times(self, e: Arithmetic) -> Arithmetic:
        """X^T e, (d,): 8 d bytes from each party."""
        op = self._party.begin("rows transposed times vector")
        out = np.zeros(self.width, dtype=np.uint64)
        first = np.ascontiguousarray(e.first)
        _transposed_product(self._rows, first + e.second, first, out)
        reshare(op, out)
        return hand_back(self._party, out)


def logistic_regression(
    party: Party,
    x: Arithmetic,
    y: Arithmetic,
    fraction_bits: int,
    *,
    steps: int,
    rate: float,
    ridge: float = 0.0,
    intercept: bool = True,
) -> Arithmetic:
    """Weights (d,), or (d + 1,) with the intercept last, with as many fraction bits as the features have.

    x, y    (n, d) features in fixed point, (n,) labels as integers 0 or 1
    raises  InputInvalid for shapes that don't fit and rates out of range
    """
    _require(x, y, fraction_bits)
    one = 1 << fraction_bits
    rows, labels = SharedRows(party, x, one if intercept else 0), y.scale(np.uint64(one))

    def gradient(w: Arithmetic) -> Arithmetic:
        predicted = fast_sigmoid(party, rows.times(w), 2 * fraction_bits, fraction_bits)
        return rows.transposed_times(predicted - labels)

    return _descend(party, gradient, rows.width, rows.count, fraction_bits, (steps, rate, ridge))


def _require(x: Arithmetic, y: Arithmetic, fraction_bits: int) -> None:
    if len(x.shape) != 2 or y.shape != x.shape[:1] or not x.shape[0]:
        raise InputInvalid(f"features {x.shape} and targets {y.shape} do not go together")
    if not 8 <= fraction_bits <= 20:
        raise InputInvalid(f"a regression works with 8 to 20 fraction bits, not {fraction_bits}")


def _descend(
    party: Party,
    gradient: Callable[[Arithmetic], Arithmetic],
    width: int,
    count: int,
    fraction_bits: int,
    plan: tuple[int, float, float],
) -> Arithmetic:
    """Steps from zero; the gradient comes as a sum over the rows with 2f fraction bits."""
    steps, rate, ridge = plan
    halvings = max(1, ceil(log2(count)))
    scale = round(rate * 2.0**halvings / count * 2**_RATE_BITS)
    shrink = round(rate * ridge * 2**_RATE_BITS)
    if not 0 < scale < 1 << 22 or not 0 <= shrink <= 1 << _RATE_BITS:
        raise InputInvalid(
            f"the rate {rate:g} (ridge {ridge:g}) is out of range: rate 2^-16 to 32, rate times ridge at most 1"
        )
    w = public(party, np.zeros(width, dtype=np.uint64))
    for _ in range(steps):
        mean = truncate(party, gradient(w), halvings)
        step = mean.scale(np.uint64(scale))
        if shrink:
            step += w.scale(np.uint64(shrink << fraction_bits))
        w = w - truncate(party, step, fraction_bits + _RATE_BITS)
    return w


def linear_regression(
    party: Party,
    x: Arithmetic,
    y: Arithmetic,
    fraction_bits: int,
    *,
    steps: int,
    rate: float,
    ridge: float = 0.0,
    intercept: bool = True,
) -> Arithmetic:
    """Weights of the least-squares problem, after so many full-batch steps; targets in fixed point, else as logistic_regression."""
    _require(x, y, fraction_bits)
    if intercept:
        ones = public(party, np.full((x.shape[0], 1), 1 << fraction_bits, dtype=np.uint64))
        x = concatenate([x, ones], axis=1)
    width, count = x.shape[1], x.shape[0]
    turned = x.each(lambda words: words.T)
    both = matmul(party, turned, concatenate([x, y.reshape((count, 1))], axis=1))
    halvings = max(1, ceil(log2(count)))
    means = truncate(
        party, both, halvings
    )  # of 2f fraction bits, and small: n divided out but for count / 2^halvings
    square, target = truncate(party, means[:, :width], fraction_bits), means[:, width]

    def gradient(w: Arithmetic) -> Arithmetic:
        product = matmul(party, square, w.reshape((width, 1))).reshape((width,))
        return (product - target).scale(np.uint64(1 << halvings))

    return _descend(party, gradient, width, count, fraction_bits, (steps, rate, ridge))
