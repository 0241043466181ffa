"""Fixed-point functions: the stated error bounds hold over the stated ranges, against float64; statistics against numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid
from hefu.engine.rss import Party, secret
from hefu.engine.rss.division import divide, inverse_root, logarithm, reciprocal, square_root
from hefu.engine.rss.exponent import exponential, sigmoid
from hefu.engine.rss.extremes import maximum, minimum
from hefu.engine.rss.leading import normalise
from hefu.engine.rss.opening import open_to_all
from hefu.engine.rss.polynomial import polynomial
from hefu.engine.rss.statistics import covariance, mean, variance

NAMES = ["p", "q", "r"]
F = 16
UNIT = 2.0**-F


def together(run_parties: Callable[..., Any], program: Callable[[Party], Any], seed: int = 0) -> Any:
    return run_parties(dict.fromkeys(NAMES, lambda s, c: program(Party(s, c, NAMES))), seed=seed)


def applied(run_parties: Any, function: Callable[..., Any], *inputs: Any, bits: int = F, out: int = F) -> Any:
    """function(party, shares of the inputs) as numbers; the inputs carry `bits` fraction bits."""

    def program(p: Party) -> Any:
        held = [secret(p, x, owner=k, fraction_bits=bits).share for k, x in enumerate(inputs)]
        return np.ldexp(open_to_all(p, function(p, *held)).view(np.int64).astype(np.float64), -out)

    return together(run_parties, program).values["q"]


def dense(low: float, high: float, count: int = 3000, bits: int = F) -> Any:
    """Spread evenly over the orders of magnitude and, for a third, over the range; multiples of a unit."""
    even = np.linspace(low, high, count // 3)
    geometric = np.geomspace(low, high, count) if low > 0 else even
    powers = 2.0 ** np.arange(np.ceil(np.log2(low)), np.floor(np.log2(high)) + 1) if low > 0 else even[:0]
    return np.unique(np.ldexp(np.rint(np.ldexp(np.concatenate([geometric, even, powers]), bits)), -bits))


def test_the_leading_one(run_parties: Any) -> None:
    x = np.array(
        [0, 1, 2, 3, 4, 2**62 - 1, 2**61, 2**60 + 5, *(2 ** np.arange(62)), *(2 ** np.arange(1, 62) - 1)]
    )

    def program(p: Party) -> Any:
        found = normalise(p, secret(p, x, owner=0).share)
        return [open_to_all(p, part).view(np.int64) for part in (found.pairs, found.upper, found.z)]

    pairs, upper, z = together(run_parties, program).values["p"]
    lengths = np.array([int(v).bit_length() for v in x])
    assert np.array_equal(pairs.sum(axis=0), x > 0)
    assert np.array_equal(pairs.argmax(axis=0)[x > 0], (lengths[x > 0] - 1) // 2)
    assert np.array_equal(upper, (lengths % 2 == 0) & (x > 0))
    assert np.array_equal(
        z, [int(v) << (62 - n) if v else 0 for v, n in zip(x.tolist(), lengths.tolist(), strict=True)]
    )


def test_reciprocal(run_parties: Any) -> None:
    x = dense(UNIT, 2.0**45)
    found = applied(run_parties, lambda p, a: reciprocal(p, a, F), x)
    assert (np.abs(found - 1 / x) <= 2.0**-22 / x + 2 * UNIT).all()


@pytest.mark.parametrize("quotient_bits", [8, 16, 24])
def test_divide(run_parties: Any, quotient_bits: int) -> None:
    rng = np.random.default_rng(quotient_bits)
    b = dense(UNIT, 2.0 ** (43 - quotient_bits))
    q = rng.choice([-1, 1], len(b)) * np.exp2(rng.uniform(-8, quotient_bits, len(b)))
    a = np.clip(np.ldexp(np.trunc(np.ldexp(q * b, F)), -F), -(2.0**45), 2.0**45)
    found = applied(run_parties, lambda p, x, y: divide(p, x, y, F, quotient_bits), a, b)
    relative = 2.0 ** -min(20, 40 - quotient_bits)
    assert (np.abs(found - a / b) <= relative * np.abs(a / b) + 3 * UNIT).all()


def test_divide_by_negative_numbers_and_zero(run_parties: Any) -> None:
    a, b = np.array([[3.0, -3.0], [7.5, 0.0]]), np.array([-2.0, 0.5])
    found = applied(run_parties, lambda p, x, y: divide(p, x, y, F, signed=True), a, b)
    assert np.abs(found - a / b).max() <= 3 * UNIT
    assert applied(run_parties, lambda p, x, y: divide(p, x, y, F), a, np.zeros(2)).any() == np.False_


def test_roots(run_parties: Any) -> None:
    x = dense(UNIT, 2.0**45)
    found = applied(run_parties, lambda p, a: inverse_root(p, a, F), x)
    assert (np.abs(found - x**-0.5) <= 2.0**-22 * x**-0.5 + 2 * UNIT).all()
    x = np.append(dense(UNIT, 2.0**33.9), 0.0)
    found = applied(run_parties, lambda p, a: square_root(p, a, F), x)
    assert (np.abs(found - np.sqrt(x)) <= 2.0**-22 * np.sqrt(x) + 2 * UNIT).all()


def test_logarithm(run_parties: Any) -> None:
    x = dense(UNIT, 2.0**45)
    assert (
        np.abs(applied(run_parties, lambda p, a: logarithm(p, a, F), x) - np.log(x)).max() <= 2.0**-22 + UNIT
    )


def test_exponential(run_parties: Any) -> None:
    x = np.append(dense(-14.0, 10.39, 4500), [-(2.0**30), -1000.0])
    found = applied(run_parties, lambda p, a: exponential(p, a, F, F), x)
    assert (np.abs(found - np.exp(x)) <= 2.0**-22 * np.exp(x) + 2 * UNIT).all()
    assert not found[-2:].any()
    fine = applied(run_parties, lambda p, a: exponential(p, a, F, 26), x[x < 3], out=26)
    assert (np.abs(fine - np.exp(x[x < 3])) <= 2.0**-22 * np.exp(x[x < 3]) + 2.0**-25).all()


@pytest.mark.parametrize("bits", [16, 20])
def test_sigmoid(run_parties: Any, bits: int) -> None:
    x = np.append(dense(-20.0, 20.0, 4500), [2.0**29, -(2.0**29)])
    found = applied(run_parties, lambda p, a: sigmoid(p, a, F, bits), x, out=bits)
    assert np.abs(found - (0.5 + 0.5 * np.tanh(x / 2))).max() <= 2.0**-19 + 2 * 2.0**-bits


@pytest.mark.parametrize("bits", [8, 12, 20])
def test_other_precisions(run_parties: Any, bits: int) -> None:
    unit = 2.0**-bits
    x = dense(0.05, 50.0, 300, bits)
    for function, reference in (
        (reciprocal, lambda v: 1 / v),
        (inverse_root, lambda v: v**-0.5),
        (square_root, np.sqrt),
        (logarithm, np.log),
    ):
        found = applied(run_parties, lambda p, a, g=function: g(p, a, bits), x, bits=bits, out=bits)
        assert np.abs(found - reference(x)).max() <= 2.0**-14 * 20 + 2 * unit


@pytest.mark.parametrize("shape", [(0,), (1,), (2, 3)])
def test_shapes(run_parties: Any, shape: tuple[int, ...]) -> None:
    x = np.full(shape, 4.0)
    for function, expected in (
        (reciprocal, 0.25),
        (square_root, 2.0),
        (logarithm, np.log(4)),
        (inverse_root, 0.5),
    ):
        found = applied(run_parties, lambda p, a, g=function: g(p, a, F), x)
        assert found.shape == shape
        assert (np.abs(found - expected) <= 3 * UNIT).all()
    for function in (exponential, sigmoid):
        assert applied(run_parties, lambda p, a, g=function: g(p, a, F, F), x).shape == shape


def test_sizes_do_not_depend_on_the_numbers(run_parties: Any) -> None:
    sizes = []
    for x in (np.zeros(70), np.geomspace(UNIT, 1000, 70)):

        def program(p: Party, x: Any = x) -> None:
            a = secret(p, x, owner=0, fraction_bits=F).share
            divide(p, a, a, F, signed=True)
            logarithm(p, a, F)
            sigmoid(p, a, F, F)

        ran = together(run_parties, program)
        sizes.append([ran.sizes(name) for name in NAMES])
    assert sizes[0] == sizes[1]


def test_polynomial(run_parties: Any) -> None:
    x, c = np.linspace(-1, 1, 500), (0.5, -1.0, 0.25, 0.0, 0.125, -0.5)
    found = applied(run_parties, lambda p, a: polynomial(p, a, c, 28, 28), x, bits=28, out=28)
    assert np.abs(found - np.polynomial.polynomial.polyval(x, c)).max() < 2.0**-25


@pytest.mark.parametrize("bits", [7, 21])
def test_what_is_not_offered_is_refused(run_parties: Any, bits: int) -> None:
    with pytest.raises(InputInvalid):
        applied(run_parties, lambda p, a: reciprocal(p, a, bits), np.ones(2))
    with pytest.raises(InputInvalid):
        applied(run_parties, lambda p, a: divide(p, a, a, F, bits + 20), np.ones(2))


@pytest.mark.parametrize("n", [2, 3, 64, 1000])
def test_statistics_equal_numpy(run_parties: Any, n: int) -> None:
    x = np.random.default_rng(n).normal(3, 2, (n, 3))
    assert np.abs(applied(run_parties, mean, x) - x.mean(axis=0)).max() <= 3 * UNIT
    found = applied(run_parties, lambda p, a: covariance(p, a, F), x)
    assert np.abs(found - np.cov(x.T)).max() <= 8 * UNIT * np.abs(x).max()
    assert (
        abs(applied(run_parties, lambda p, a: variance(p, a, F, sample=False), x[:, 0]) - x[:, 0].var())
        <= 1e-3
    )


def test_statistics_of_one_and_of_nothing(run_parties: Any) -> None:
    assert applied(run_parties, mean, np.array([2.5])) == 2.5
    for function, x in ((mean, np.zeros(0)), (lambda p, a: variance(p, a, F), np.zeros(1))):
        with pytest.raises(InputInvalid):
            applied(run_parties, function, x)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (50, 7), (2, 64), (0, 3)])
def test_largest_and_smallest_of_each_row(run_parties: Any, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(shape[1]).integers(-3, 4, shape) * 2**60

    def program(p: Party) -> Any:
        a = secret(p, x, owner=0).share
        found = (*maximum(p, a), *minimum(p, a))
        return [open_to_all(p, part).view(np.int64) for part in found]

    found = together(run_parties, program).values["r"]
    for part, expected in zip(found, (x.max(1), x.argmax(1), x.min(1), x.argmin(1)), strict=True):
        assert np.array_equal(part, expected)
    with pytest.raises(InputInvalid):
        together(run_parties, lambda p: maximum(p, secret(p, np.zeros((2, 0), np.int64), owner=0).share))
