"""The same protocols through arrays: kinds and shapes come out right, and programs read as mathematics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.rss import Party, functions, secret
from hefu.engine.rss.sort import Key

NAMES = ["p", "q", "r"]


def computed(run_parties: Callable[..., Any], formula: Callable[..., Any], x: Any, bits: int = 0) -> Any:
    def program(session: Any, channels: Any) -> Any:
        found = formula(secret(Party(session, channels, NAMES), x, owner=1, fraction_bits=bits))
        return {k: v.reveal() for k, v in found.items()} if isinstance(found, dict) else found.reveal()

    return run_parties(dict.fromkeys(NAMES, program)).values["p"]


@pytest.mark.parametrize("bits", [0, 16, 12])
def test_functions_of_arrays(run_parties: Any, bits: int) -> None:
    x = np.array([[1.0, 2.0], [4.0, 9.0]])
    values = x if bits else x.astype(np.int64)
    unit = 2.0 ** -(bits or 16)
    for function, expected in (
        (functions.reciprocal, 1 / x),
        (functions.sqrt, np.sqrt(x)),
        (functions.inverse_sqrt, x**-0.5),
        (functions.log, np.log(x)),
        (lambda a: functions.divide(a, a + 1), x / (x + 1)),
        (lambda a: functions.divide(a, -a, signed=True), -np.ones((2, 2))),
        (lambda a: functions.sigmoid(a - 4), 1 / (1 + np.exp(4 - x))),
        (functions.mean, x.mean(0)),
        (functions.covariance, np.cov(x.T)),
        (lambda a: functions.variance(a[0], sample=False), x[0].var()),
    ):
        found = computed(run_parties, function, values, bits)
        assert np.shape(found) == np.shape(expected)
        assert np.abs(found - expected).max() <= 4 * unit
    assert np.abs(computed(run_parties, functions.exp, values, bits) - np.exp(x)).max() <= 0.01
    if bits != 12:
        fast = computed(run_parties, lambda a: functions.sigmoid(a, fast=True), values, bits)
        assert np.abs(fast - 1 / (1 + np.exp(-x))).max() <= 4e-4


def test_tables(run_parties: Any) -> None:
    rows = np.array([[3, 10], [1, 20], [3, -5], [2, 7], [1, 1]])
    found = computed(
        run_parties, lambda t: functions.sort_rows(t, [Key(0, 8), Key(1, 8, descending=True)]), rows
    )
    assert found.tolist() == [[1, 20], [1, 1], [2, 7], [3, 10], [3, -5]]
    assert computed(run_parties, lambda t: functions.first_rows(t, [Key(1, 8)], 2), rows).tolist() == [
        [3, -5],
        [1, 1],
    ]
    kept = computed(run_parties, lambda t: functions.select(t, t[:, 1] > 5), rows)
    assert kept.tolist() == [[3, 10], [1, 20], [2, 7]]


@pytest.mark.parametrize("bits", [0, 10])
@pytest.mark.parametrize("reveal", [True, False])
def test_groups_with_means(run_parties: Any, bits: int, reveal: bool) -> None:
    rows = np.array([[3, 10], [1, 20], [3, -5], [2, 7], [1, 1]])
    values = rows.astype(float) if bits else rows
    found = computed(
        run_parties,
        lambda t: functions.group(t, [Key(0, 20)], [1], Key(1, 20), reveal_count=reveal),
        values,
        bits,
    )
    assert found["keys"][:3, 0].tolist() == [1, 2, 3]
    assert found["counts"][:3].tolist() == [2, 1, 2]
    assert found["sums"][:3, 0].tolist() == [21, 7, 5]
    assert found["smallest"][:3].tolist() == [1, 7, -5]
    assert found["largest"][:3].tolist() == [20, 7, 10]
    assert np.abs(found["means"][:3, 0] - [10.5, 7, 2.5]).max() <= 4 * 2.0 ** -(bits or 16)
    if not reveal:
        assert found["valid"].tolist() == [1, 1, 1, 0, 0]
        assert not found["means"][3:].any()
