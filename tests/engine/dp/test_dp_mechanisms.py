"""Noise on numbers in the clear: the loss is what was asked for, the noise what was promised, bad input is refused."""

from fractions import Fraction

import numpy as np
import pytest
from hefu.engine import dp
from hefu.engine.errors import InputInvalid
from hypothesis import given, settings
from hypothesis import strategies as st

INTEGER = {
    "discrete laplace": lambda: dp.discrete_laplace(2, "0.5"),
    "geometric": lambda: dp.geometric(2, "0.5", (-60, 60)),
    "discrete gaussian": lambda: dp.discrete_gaussian(2, "0.125"),
}
FLOAT = {"laplace": lambda: dp.laplace(2.0, 0.5), "gaussian": lambda: dp.gaussian(2.0, 0.125)}


@pytest.mark.parametrize("name", INTEGER)
def test_integers_keep_shape_and_get_noise(name):
    mechanism = INTEGER[name]()
    values = np.arange(6000, dtype=np.int32).reshape(20, 300) % 7 - 3
    noisy = mechanism(values)
    assert noisy.shape == values.shape
    assert noisy.dtype == np.int64
    noise = noisy - values
    deviation = mechanism.scale * (2**0.5 if "laplace" in name or name == "geometric" else 1)
    assert abs(noise.mean()) < deviation * 6 / 6000**0.5
    assert 0.8 < noise.std() / deviation < 1.2


@pytest.mark.parametrize("name", FLOAT)
def test_floats_keep_shape_and_get_noise(name):
    mechanism = FLOAT[name]()
    noise = mechanism(np.zeros((40, 100)))
    assert noise.shape == (40, 100)
    deviation = mechanism.scale * (2**0.5 if name == "laplace" else 1)
    assert 0.8 < noise.std() / deviation < 1.2


@given(
    sensitivity=st.integers(1, 1 << 40),
    budget=st.fractions(Fraction(1, 1000), 20, max_denominator=10**6),
)
@settings(max_examples=40, deadline=None)
def test_the_loss_never_exceeds_what_was_asked_for(sensitivity, budget):
    for mechanism in (dp.discrete_laplace(sensitivity, budget), dp.laplace(sensitivity, budget)):
        assert mechanism.loss.epsilon <= budget
        assert mechanism.loss.epsilon >= budget * Fraction(999_999, 1_000_000)
        assert Fraction(sensitivity) / Fraction(mechanism.scale) <= budget
    for mechanism in (dp.discrete_gaussian(sensitivity, budget), dp.gaussian(sensitivity, budget)):
        assert mechanism.loss.epsilon is None
        assert budget * Fraction(999_999, 1_000_000) <= mechanism.loss.rho <= budget
        assert Fraction(sensitivity) ** 2 / (2 * Fraction(mechanism.scale) ** 2) <= budget


@pytest.mark.parametrize("name", INTEGER)
def test_bad_integers_are_refused(name):
    mechanism = INTEGER[name]()
    for bad in (
        np.array([0.5]),
        np.array([True]),
        np.array(["1"]),
        np.array([1 << 63], dtype=np.uint64),
        [1, 2],
        3,
    ):
        with pytest.raises(InputInvalid):
            mechanism(bad)
    assert mechanism(np.zeros((0, 3), dtype=np.int64)).shape == (0, 3)


@pytest.mark.parametrize("name", FLOAT)
def test_bad_floats_are_refused(name):
    mechanism = FLOAT[name]()
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(InputInvalid, match="NaN or infinite"):
            mechanism(np.array([1.0, bad]))
    with pytest.raises(InputInvalid):
        mechanism(np.array([1, 2]))
    assert mechanism(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), "many", None, True])
def test_bad_parameters_are_refused(bad):
    for make in (
        dp.discrete_laplace,
        dp.laplace,
        dp.gaussian,
        dp.discrete_gaussian,
        dp.exponential_mechanism,
        dp.noisy_max,
    ):
        with pytest.raises(InputInvalid):
            make(1, bad)
        with pytest.raises(InputInvalid):
            make(bad, 1)


def test_bounds_are_the_callers():
    mechanism = dp.geometric(1, 1, (0, 10))
    with pytest.raises(InputInvalid, match="clamp them first"):
        mechanism(np.array([11]))
    inside = mechanism(dp.clamp(np.array([-5, 3, 99]), 0, 10))
    assert ((inside >= 0) & (inside <= 10)).all()
    for bounds in ((3, 3), (4, 3), (0, 1 << 63)):
        with pytest.raises(InputInvalid):
            dp.geometric(1, 1, bounds)
    with pytest.raises(InputInvalid):
        dp.clamp(np.array([np.nan]), 0, 1)
    assert dp.clamp(np.array([0.5, 7.0]), 0, 1).tolist() == [0.5, 1.0]


def test_results_saturate_instead_of_wrapping():
    top = np.iinfo(np.int64).max
    noisy = dp.discrete_laplace(1, "0.01")(np.full(50, top))
    assert (noisy > top - 100_000).all()


def test_selection():
    scores = np.array([0, 1, 2, 100])
    for mechanism in (dp.exponential_mechanism(1, 2), dp.noisy_max(1, 2)):
        assert mechanism(scores).tolist() == [3]
        assert mechanism(scores.astype(float)).tolist() == [3]
        assert mechanism.loss.epsilon <= 2
        for bad in (np.array([np.nan, 1.0]), np.array([]), np.array([[1]]), np.array([1 << 60])):
            with pytest.raises(InputInvalid):
                mechanism(bad)
    assert dp.noisy_top(2, 1, 4)(np.array([500, 1000, 2, 100])).tolist() == [1, 0]
    assert dp.exponential_mechanism(1, 2).loss.rho <= Fraction(1, 2)  # ε²/8, not ε²/2


def test_the_exponential_mechanism_has_its_odds():
    mechanism = dp.exponential_mechanism(1, 2)
    chosen = np.concatenate([mechanism(np.array([0.0, 1.0])) for _ in range(3000)])
    assert abs(chosen.mean() - np.e / (1 + np.e)) < 0.06
