"""The fast sigmoid over its whole range, regressions against plaintext, and views with a mask left out caught."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid
from hefu.engine.prg import Prg
from hefu.engine.rss import Party, secret
from hefu.engine.rss.logistic import fast_sigmoid
from hefu.engine.rss.opening import open_to_all
from hefu.engine.rss.party import Operation
from hefu.engine.rss.regression import linear_regression, logistic_regression
from hefu.engine.rss.waves import sum_of_sines

NAMES = ["p", "q", "r"]


def together(run_parties: Callable[..., Any], program: Callable[[Party], Any], seed: int = 0) -> Any:
    return run_parties(dict.fromkeys(NAMES, lambda s, c: program(Party(s, c, NAMES))), seed=seed)


def sigma(x: Any) -> Any:
    return 0.5 + 0.5 * np.tanh(x / 2)


def reals(party: Party, share: Any, bits: int) -> Any:
    return np.ldexp(open_to_all(party, share).view(np.int64).astype(np.float64), -bits)


@pytest.mark.parametrize(("input_bits", "bits"), [(16, 16), (32, 16), (40, 24)])
def test_the_error_of_the_fast_sigmoid_stays_below_its_bound(
    run_parties: Any, input_bits: int, bits: int
) -> None:
    far = [30.0, -30.0, 8.0, -8.0, 0.0, 2.0**20, -(2.0**20), 22.2, -22.3]
    x = np.concatenate([np.linspace(-9, 9, 6001), far])

    def program(p: Party) -> Any:
        return reals(
            p, fast_sigmoid(p, secret(p, x, owner=0, fraction_bits=input_bits).share, input_bits, bits), bits
        )

    found = together(run_parties, program).values["r"]
    assert np.abs(found - sigma(x)).max() < 4e-4


@pytest.mark.parametrize("shape", [(0,), (1,), (2, 3)])
def test_shapes_of_the_fast_sigmoid(run_parties: Any, shape: tuple[int, ...]) -> None:
    def program(p: Party) -> Any:
        return reals(
            p, fast_sigmoid(p, secret(p, np.zeros(shape), owner=0, fraction_bits=16).share, 16, 16), 16
        )

    found = together(run_parties, program).values["p"]
    assert found.shape == shape
    assert (np.abs(found - 0.5) < 1e-3).all()


@pytest.mark.parametrize("input_bits", [14, 49])
def test_a_sigmoid_that_is_not_offered(run_parties: Any, input_bits: int) -> None:
    with pytest.raises(InputInvalid):
        together(
            run_parties, lambda p: fast_sigmoid(p, secret(p, np.arange(2), owner=0).share, input_bits, 16)
        )


def test_sums_of_sines(run_parties: Any) -> None:
    x = np.random.default_rng(1).integers(-(2**62), 2**62, 1000)
    found = together(
        run_parties,
        lambda p: reals(p, sum_of_sines(p, secret(p, x, owner=0).share, 30, (1 << 19, -(1 << 18))), 40),
    ).values["q"]
    angle = 2 * np.pi * (x % 2**30) / 2**30
    assert np.abs(found - (0.5 * np.sin(angle) - 0.25 * np.sin(2 * angle))).max() < 1e-5


PERIOD_BITS = 30


def opened_by(run_parties: Any, x: Any, party: str) -> Any:
    """What P0 or P2 can make of the other's angle and its own part of x: low bytes; and the sizes of all views."""

    def program(p: Party) -> Any:
        share = secret(p, x, owner=1).share
        sum_of_sines(p, share, PERIOD_BITS, (1 << 19, 1 << 18))
        return share.first + share.second if p.index == 0 else share.first

    ran = together(run_parties, program)
    (theirs,) = [payload for _, payload in ran.views[party] if len(payload) == 4 * (len(x) + len(x) % 2)]
    own = ran.values[party] >> np.uint64(PERIOD_BITS - 24)
    low = (np.frombuffer(theirs, dtype=np.uint32)[: len(x)] + own) & np.uint64(0xFF)
    return low, [ran.sizes(name) for name in NAMES]


def uneven(values: Any) -> float:
    """Chi-square of bytes, 255 degrees of freedom: mean 255, deviation 22.6."""
    counts = np.bincount(values.astype(np.int64), minlength=256)
    return float(((counts - counts.mean()) ** 2 / counts.mean()).sum())


@pytest.mark.parametrize("party", ["p", "r"])
def test_views_of_the_waves(run_parties: Any, monkeypatch: pytest.MonkeyPatch, party: str) -> None:
    n = 6001
    zeros, ramp = np.zeros(n, dtype=np.int64), np.arange(n) * 12345
    sizes = []
    for x in (zeros, ramp):
        low, size = opened_by(run_parties, x, party)
        sizes.append(size)
        assert uneven(low) < 350
    assert sizes[0] == sizes[1]
    angles, waves, back = 4 * (n + 1), 8 * n * 4, 8 * n
    assert sizes[0][0][-2:] == [("r", angles), ("r", back)]
    assert sizes[0][2][-3:] == [("p", angles), ("q", waves), ("p", back)]
    plain = Operation.stream

    class Silent(Prg):
        def fill(self, out: Any) -> None:
            out[...] = 0

    def broken(self: Operation, key: int, purpose: str) -> Prg:
        return Silent(bytes(16)) if purpose == "r" else plain(self, key, purpose)

    monkeypatch.setattr(Operation, "stream", broken)
    assert uneven(opened_by(run_parties, zeros, party)[0]) > 10000  # the mask left out


def wave_views(x: int, party: int, broken: str = "") -> Counter[int]:
    """The dealt waves on paper, over Z_4 with w(r) = r^2 for a wave and g(c) = 2c + 1 for a factor: P_party's joint view."""
    names = ("x0", "x1", "r0", "r2", "share", "t1", "t2")
    coins = dict(zip(names, np.indices((4,) * len(names)).reshape(len(names), -1), strict=True))
    if broken:
        coins[broken] = 0 * coins[broken]
    x0, x1, r0, r2, share, t1, t2 = (coins[name] for name in names)
    x2 = (x - x0 - x1) % 4
    to_p2, to_p0 = (x0 + x1 + r0) % 4, (x2 + r2) % 4
    factor, dealt = 2 * (to_p0 + to_p2) + 1, ((r0 + r2) ** 2 - share) % 4
    back0, back2 = (factor * share - t1) % 4, (factor * dealt - t2) % 4
    view = {
        0: (x0, x1, r0, share, t1, to_p0, back2),
        1: (x1, x2, r0, r2, share, t1, t2),
        2: (x2, x0, r2, t2, to_p2, dealt, back0),
    }[party]
    return Counter(sum(part << (2 * k) for k, part in enumerate(view)).tolist())


@pytest.mark.parametrize("party", [0, 1, 2])
def test_twin_the_view_of_the_waves_tells_nothing(party: int) -> None:
    assert all(wave_views(x, party) == wave_views(0, party) for x in (1, 2, 3))


@pytest.mark.parametrize(("broken", "party"), [("r0", 2), ("r2", 0), ("share", 2), ("t1", 2), ("t2", 0)])
def test_twin_sees_a_mask_of_the_waves_left_out(broken: str, party: int) -> None:
    assert any(wave_views(x, party, broken) != wave_views(0, party, broken) for x in (1, 2, 3))


def rows_of(n: int, d: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(n, d)), rng.normal(size=d)
    return (
        x,
        (rng.random(n) < 1 / (1 + np.exp(-x @ w))).astype(np.int64),
        x @ w + 0.5 + rng.normal(size=n) / 10,
    )


def descend(x: Any, y: Any, steps: int, rate: float, ridge: float, link: Callable[[Any], Any]) -> Any:
    w = np.zeros(x.shape[1])
    for _ in range(steps):
        w -= rate * (x.T @ (link(x @ w) - y) / len(x) + ridge * w)
    return w


@pytest.mark.parametrize(("intercept", "ridge"), [(True, 0.0), (False, 0.1)])
def test_logistic_regression_equals_plaintext(run_parties: Any, intercept: bool, ridge: float) -> None:
    x, y, _ = rows_of(1500, 5, 1)

    def program(p: Party) -> Any:
        features, labels = secret(p, x, owner=0, fraction_bits=16).share, secret(p, y, owner=1).share
        return reals(
            p,
            logistic_regression(
                p, features, labels, 16, steps=10, rate=1.0, ridge=ridge, intercept=intercept
            ),
            16,
        )

    found = together(run_parties, program).values["q"]
    full = np.c_[x, np.ones(len(x))] if intercept else x
    expected = descend(full, y, 10, 1.0, ridge, sigma)
    assert np.abs(found - expected).max() < 1e-3
    assert abs(np.mean((full @ found > 0) == y) - np.mean((full @ expected > 0) == y)) < 1e-3


def test_linear_regression_equals_plaintext(run_parties: Any) -> None:
    x, _, y = rows_of(1100, 4, 2)

    def program(p: Party) -> Any:
        features, targets = (secret(p, v, owner=0, fraction_bits=16).share for v in (x, y))
        return reals(p, linear_regression(p, features, targets, 16, steps=40, rate=0.5), 16)

    full = np.c_[x, np.ones(len(x))]
    found = together(run_parties, program).values["q"]
    assert np.abs(found - np.linalg.lstsq(full, y, rcond=None)[0]).max() < 1e-3
    assert np.abs(found - descend(full, y, 40, 0.5, 0.0, lambda z: z)).max() < 5e-4


def test_sizes_of_the_views_of_a_regression(run_parties: Any) -> None:
    sizes = []
    for x, y in (
        (np.zeros((70, 2)), np.zeros(70, np.int64)),
        (np.full((70, 2), -3.5), np.ones(70, np.int64)),
    ):

        def program(p: Party, x: Any = x, y: Any = y) -> None:
            features, labels = secret(p, x, owner=0, fraction_bits=16).share, secret(p, y, owner=1).share
            logistic_regression(p, features, labels, 16, steps=2, rate=0.5)

        ran = together(run_parties, program)
        sizes.append([ran.sizes(name) for name in NAMES])
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("features", "labels", "bits", "rate"),
    [
        ((4, 2), (3,), 16, 1.0),
        ((4,), (4,), 16, 1.0),
        ((0, 2), (0,), 16, 1.0),
        ((4, 2), (4,), 30, 1.0),
        ((4, 2), (4,), 16, 0.0),
    ],
)
def test_what_does_not_fit_is_refused(
    run_parties: Any, features: Any, labels: Any, bits: int, rate: float
) -> None:
    def program(p: Party) -> None:
        x, y = (
            secret(p, np.zeros(features), owner=0, fraction_bits=16),
            secret(p, np.zeros(labels, np.int64), owner=0),
        )
        logistic_regression(p, x.share, y.share, bits, steps=1, rate=rate)

    with pytest.raises(InputInvalid):
        together(run_parties, program)
