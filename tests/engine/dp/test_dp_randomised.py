"""Randomised response: the stated probabilities, the stated loss, unbiased estimates."""

from fractions import Fraction
from math import exp

import numpy as np
import pytest
from hefu.engine import dp
from hefu.engine.dp.randomised import uniform
from hefu.engine.errors import InputInvalid
from hefu.engine.prg import Prg

KEY = bytes(range(16))


@pytest.mark.parametrize("epsilon", ["0.1", "1", "5"])
def test_the_loss_is_within_what_was_asked_for(epsilon):
    for mechanism in (dp.randomised_bool(epsilon), dp.randomised_category(7, epsilon)):
        assert mechanism.loss.epsilon <= Fraction(epsilon) * (1 + Fraction(1, 10**12))
        assert mechanism.loss.epsilon > Fraction(epsilon) * (1 - Fraction(1, 10**9))
    assert dp.randomised_bool(epsilon).truth == pytest.approx(exp(float(epsilon)) / (1 + exp(float(epsilon))))


def test_bools():
    mechanism = dp.randomised_bool(1)
    values = np.zeros((101, 297), dtype=bool)
    values[:, :100] = True
    answers = mechanism(values)
    assert answers.shape == values.shape
    assert abs((answers == values).mean() - mechanism.truth) < 0.02
    assert abs(mechanism.estimate(answers) - values.sum()) < 6 * (values.size * 0.2) ** 0.5 / 0.46
    assert mechanism(values[:0]).shape == (0, 297)
    for bad in (np.array([0, 1]), [True], np.array([0.0])):
        with pytest.raises(InputInvalid):
            mechanism(bad)


def test_categories():
    mechanism = dp.randomised_category(5, "1.5")
    values = np.repeat(np.arange(5), 12_000).reshape(5, 12_000)
    answers = mechanism(values, Prg(KEY))
    lie = (1 - mechanism.truth) / 4
    for row, category in zip(answers, range(5), strict=True):
        shares = np.bincount(row, minlength=5) / 12_000
        due = np.full(5, lie)
        due[category] = mechanism.truth
        statistic = (12_000 * (shares - due) ** 2 / due).sum()
        assert statistic < 25  # 4 degrees of freedom: one in 20,000, and the coins are fixed
    assert np.abs(mechanism.estimate(answers) - 12_000).max() < 1500
    assert (mechanism(values, Prg(KEY)) == answers).all()
    assert (mechanism(values) != mechanism(values)).any()
    assert mechanism(np.zeros(0, dtype=np.int64)).shape == (0,)
    for bad in (np.array([5]), np.array([-1]), np.array([0.0])):
        with pytest.raises(InputInvalid):
            mechanism(bad)


def test_uniform_draws_again():
    class Scripted:
        def __init__(self, *blocks):
            self.blocks = list(blocks)

        def words(self, count):
            block = self.blocks.pop(0)
            assert len(block) == count
            return np.array(block, dtype=np.uint64)

    top = (1 << 64) - 1  # 2^64 mod 3 = 1: the last word has no full stretch
    assert uniform(Scripted([5, top, 7], [top], [4]), 3, 3).tolist() == [2, 1, 1]


@pytest.mark.parametrize("bad", [0, -1, 37, float("nan"), "much"])
def test_bad_parameters(bad):
    with pytest.raises(InputInvalid):
        dp.randomised_bool(bad)
    with pytest.raises(InputInvalid):
        dp.randomised_category(4, bad)
    for k in (1, 257):
        with pytest.raises(InputInvalid):
            dp.randomised_category(k, 1)
