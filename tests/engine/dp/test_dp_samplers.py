"""The samplers: the twin draws the same numbers from the same words; the numbers have exactly the stated distribution."""

from fractions import Fraction

import numpy as np
import pytest
from hefu.engine.dp import samplers
from hefu.engine.dp.exact_loss import difference_pmf, gaussian_sum_pmf
from hefu.engine.dp.samplers import GAUSSIAN, NEGATIVE_BINOMIAL, draw
from hefu.engine.dp.samplers_plain import draw_plain
from hefu.engine.prg import Prg

KEY = bytes(range(16))
CASES = [
    (NEGATIVE_BINOMIAL, (1, 1, 1, 1)),
    (NEGATIVE_BINOMIAL, (1, 5, 1, 2)),
    (NEGATIVE_BINOMIAL, (10, 1, 1, 2)),
    (NEGATIVE_BINOMIAL, (7, 3, 1, 3)),
    (NEGATIVE_BINOMIAL, (65536 * 3 + 1, 65536, 1, 2)),
    (GAUSSIAN, (1, 4, 1)),
    (GAUSSIAN, (9, 1, 4)),
    (GAUSSIAN, (30, 7, 3)),
    (GAUSSIAN, (1 << 40, 1, (1 << 20) + 1)),
]


def surprise(samples: np.ndarray, pmf: np.ndarray) -> float:
    """A chi-square statistic in standard deviations (Wilson-Hilferty); bins with under 8 expected are joined."""
    reach = len(pmf) // 2
    observed = np.bincount(np.clip(samples, -reach, reach) + reach, minlength=len(pmf)).astype(float)
    expected = pmf * len(samples)
    seen, due, o, e = [], [], 0.0, 0.0
    for a, b in zip(observed, expected, strict=True):
        o, e = o + a, e + b
        if e >= 8:
            seen.append(o)
            due.append(e)
            o, e = 0.0, 0.0
    seen[-1] += o
    due[-1] += e
    due_array = np.array(due)
    statistic = float(((np.array(seen) - due_array) ** 2 / due_array).sum())
    freedom = len(due) - 1
    return ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5


@pytest.mark.parametrize(("kind", "parameters"), CASES)
def test_the_twin_draws_the_same(kind, parameters):
    fast = draw(kind, parameters, Prg(KEY), 700)
    assert fast.tolist() == draw_plain(kind, parameters, Prg(KEY), 700)


def test_a_sample_goes_on_over_the_end_of_a_block(monkeypatch):
    monkeypatch.setattr(samplers, "_CHUNK_WORDS", 3)
    for kind, parameters in CASES[:4]:
        assert draw(kind, parameters, Prg(KEY), 60).tolist() == draw_plain(kind, parameters, Prg(KEY), 60)


@pytest.mark.parametrize(
    ("num", "den", "s"), [(1, 1, 1), (3, 1, 1), (1, 2, 1), (3, 1, 2), (10, 1, 2), (5, 2, 3), (20, 1, 8)]
)
def test_differences_of_negative_binomials(num, den, s):
    samples = draw(NEGATIVE_BINOMIAL, (num, den, 1, s), Prg(KEY), 60_000)
    assert surprise(samples, difference_pmf(Fraction(1, s), Fraction(num, den))) < 4


@pytest.mark.parametrize("s", [2, 3])
def test_the_parts_add_up_to_discrete_laplace(s):
    parts = [draw(NEGATIVE_BINOMIAL, (4, 1, 1, s), Prg(bytes([i] * 16)), 60_000) for i in range(s)]
    x = np.arange(-200, 201)
    laplace = np.exp(-np.abs(x) / 4) * np.tanh(1 / 8)  # (1-α)/(1+α) = tanh(1/2t)
    assert surprise(np.sum(parts, axis=0), laplace) < 4


@pytest.mark.parametrize(("p", "q", "t"), [(1, 4, 1), (1, 1, 2), (30, 7, 3), (100, 1, 11), (1000, 3, 19)])
def test_discrete_gaussians(p, q, t):
    samples = draw(GAUSSIAN, (p, q, t), Prg(KEY), 60_000)
    assert surprise(samples, gaussian_sum_pmf(Fraction(p, q), 1)) < 4


def test_the_test_sees_a_wrong_distribution():
    """Another shape, a slightly different scale, samples cut short at the end of a block thrown away."""
    right = difference_pmf(Fraction(1, 2), Fraction(10))
    assert surprise(draw(NEGATIVE_BINOMIAL, (10, 1, 1, 3), Prg(KEY), 60_000), right) > 20
    assert surprise(draw(NEGATIVE_BINOMIAL, (21, 2, 1, 2), Prg(KEY), 60_000), right) > 5
    assert surprise(draw(GAUSSIAN, (33, 1, 6), Prg(KEY), 60_000), gaussian_sum_pmf(Fraction(30), 1)) > 5

    prg, cut, given = Prg(KEY), [], np.array((10, 1, 1, 2), dtype=np.uint64)
    while len(cut) < 60_000:
        out = np.empty(64, dtype=np.uint64)
        _, position = samplers._draw(NEGATIVE_BINOMIAL, given, prg.words(200), 0, out, 0)
        cut.extend(out[:position].view(np.int64).tolist())
    assert surprise(np.array(cut), right) > 5


def test_large_deviations_are_drawn_without_overflow():
    samples = draw(GAUSSIAN, ((1 << 54), 1, (1 << 27) + 1), Prg(KEY), 20_000) / (1 << 27)
    assert abs(samples.mean()) < 0.03
    assert abs(samples.std() - 1) < 0.03
    assert 3 < np.abs(samples).max() < 6


def test_none_and_replay():
    assert draw(GAUSSIAN, (4, 1, 3), Prg(KEY), 0).tolist() == []
    a, b = (draw(GAUSSIAN, (4, 1, 3), Prg(key), 50).tolist() for key in (KEY, bytes(16)))
    assert a != b
    assert a == draw(GAUSSIAN, (4, 1, 3), Prg(KEY), 50).tolist()
