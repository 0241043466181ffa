"""Shared noise: what the honest parties' parts alone guarantee, against the exact distributions."""

from fractions import Fraction
from math import exp, log

import numpy as np
import pytest
from hefu.engine import dp
from hefu.engine.dp import exact_loss
from hefu.engine.dp.exact_loss import delta_at, epsilon_at, pmf
from hefu.engine.errors import InputInvalid
from hefu.engine.prg import Prg
from hypothesis import given, settings
from hypothesis import strategies as st


def worst_ratio(distribution: np.ndarray, shift: int) -> float:
    """max ln P(x)/P(x - shift), where both are above rounding errors."""
    left, right = distribution[shift:], distribution[: len(distribution) - shift]
    kept = (left > 1e-13) & (right > 1e-13)
    return float(np.abs(np.log(left[kept] / right[kept])).max())


@pytest.mark.parametrize(("sensitivity", "epsilon"), [(1, 1), (1, "0.2"), (5, 1), (16, "0.5")])
@pytest.mark.parametrize("tolerated", [0, 1, 2])
def test_laplace_parts_of_each_honest_subset(sensitivity, epsilon, tolerated):
    noise = dp.shared_laplace(sensitivity, epsilon, tolerated=tolerated)
    assert noise.loss.epsilon <= Fraction(epsilon)
    for honest in (1, 2, 3):
        stated = float(noise.guarantee(honest).epsilon)
        real = worst_ratio(pmf(noise, honest), sensitivity)
        assert real <= stated * (1 + 1e-6)
        if honest + tolerated >= 3:
            assert stated <= float(Fraction(epsilon)) * (1 + 1e-12)
        else:
            assert stated > float(Fraction(epsilon))  # the loss is stated, not hidden
            assert delta_at(float(Fraction(epsilon)), pmf(noise, honest), sensitivity) > 1e-4
        assert delta_at(stated + 1e-9, pmf(noise, honest), sensitivity) < 1e-9


def test_laplace_over_many_numbers_is_worst_when_spread():
    noise = dp.shared_laplace(4, 1, dimension=4)
    spread = 4 * (0.25 + log(2))  # each number moves by one: 1/scale + ln 1/shape
    assert float(noise.guarantee(1).epsilon) == pytest.approx(spread)
    assert noise.guarantee(2).epsilon == 1
    assert dp.shared_laplace(4, 1).guarantee(1).epsilon < noise.guarantee(1).epsilon


@pytest.mark.parametrize("rho", ["2", "0.5", "0.02"])
@pytest.mark.parametrize("tolerated", [0, 1, 2])
def test_gaussian_parts_of_each_honest_subset(rho, tolerated):
    noise = dp.shared_gaussian(1, rho, tolerated=tolerated)
    assert noise.loss.rho <= Fraction(rho)
    for honest in (1, 2, 3):
        stated = float(noise.guarantee(honest).rho)
        p = pmf(noise, honest)
        left, right = p[1:], p[:-1]
        kept = (left > 0) & (right > 0)
        for alpha in (1.01, 1.5, 2, 4, 8):
            terms = alpha * np.log(left[kept]) - (alpha - 1) * np.log(right[kept])
            divergence = (terms.max() + np.log(np.exp(terms - terms.max()).sum())) / (alpha - 1)
            assert divergence <= stated * alpha * (1 + 1e-6) + 1e-9
        assert epsilon_at(1e-6, p, 1) <= float(noise.guarantee(honest).at_delta("1e-6").epsilon) + 1e-6
        if honest + tolerated >= 3:
            assert stated <= float(Fraction(rho)) * (1 + 1e-9)
        elif rho != "2":  # there the least variance of 1/4 gives everybody more than asked for
            assert stated > float(Fraction(rho))


@given(
    st.integers(1, 1000),
    st.fractions(Fraction(1, 50), 10, max_denominator=10**7),
    st.integers(1, 20),
    st.integers(1, 8),
)
@settings(max_examples=60, deadline=None)
def test_guarantees_grow_with_honest_parties(sensitivity, budget, dimension, parties):
    for tolerated in range(parties):
        laplace = dp.shared_laplace(
            sensitivity, budget, dimension=dimension, parties=parties, tolerated=tolerated
        )
        gaussian = dp.shared_gaussian(
            sensitivity, budget, dimension=dimension, parties=parties, tolerated=tolerated
        )
        assert laplace.loss.epsilon <= budget
        assert gaussian.loss.rho <= budget
        epsilons = [laplace.guarantee(h).epsilon for h in range(1, parties + 1)]
        rhos = [gaussian.guarantee(h).rho for h in range(1, parties + 1)]
        assert epsilons == sorted(epsilons, reverse=True)
        assert rhos == sorted(rhos, reverse=True)


def test_contributions_have_the_stated_sum():
    noise = dp.shared_laplace(2, "0.5", dimension=30_000)
    parts = [noise.contribution(Prg(bytes([i] * 16)), 30_000) for i in range(3)]
    assert all(part.dtype == np.uint64 for part in parts)
    honest = (parts[1] + parts[2]).view(np.int64)
    assert abs(honest.std() - 4 * 2**0.5) < 0.2
    zero = np.count_nonzero(honest == 0) / 30_000
    assert abs(zero - np.tanh(1 / 8)) < 0.01


def test_bad_plans():
    for bad in (0, -1, 1.5, True, "1"):
        with pytest.raises(InputInvalid):
            dp.shared_laplace(bad, 1)
    for parties, tolerated, dimension in ((3, 3, 1), (0, 0, 1), (3, -1, 1), (65, 1, 1), (3, 1, 0)):
        with pytest.raises(InputInvalid):
            dp.shared_laplace(1, 1, parties=parties, tolerated=tolerated, dimension=dimension)
        with pytest.raises(InputInvalid):
            dp.shared_gaussian(1, 1, parties=parties, tolerated=tolerated, dimension=dimension)
    with pytest.raises(InputInvalid, match="shared_gaussian"):
        dp.shared_laplace(1 << 20, 1)
    with pytest.raises(InputInvalid, match="deviation"):
        dp.shared_gaussian(1 << 40, 1)
    noise = dp.shared_gaussian(1, 1)
    for honest in (0, 4):
        with pytest.raises(InputInvalid):
            noise.guarantee(honest)
    with pytest.raises(InputInvalid, match="planned for at most 1"):
        noise.contribution(Prg(bytes(16)), 2)


def test_the_hockey_stick_of_a_known_case():
    """Discrete Laplace is tight: δ is zero from ε on, and (e^ε₀ - e^ε)-shaped below."""
    p = exact_loss.difference_pmf(Fraction(1), Fraction(2))
    assert delta_at(0.5 + 1e-9, p, 1) < 1e-12
    above = p[np.arange(len(p)) > len(p) // 2].sum() + p[len(p) // 2]
    below = above  # by symmetry: the half that moves away
    assert delta_at(0.0, p, 1) == pytest.approx(below - exp(-0.5) * below, rel=1e-6)
