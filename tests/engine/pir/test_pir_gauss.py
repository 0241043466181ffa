"""Errors of LWE: the distribution that the parameters ask for."""

from decimal import Decimal

import numpy as np
from hefu.engine.pir.gauss import _count, _table, errors, probabilities
from hefu.engine.pir.params import SIGMA
from hefu.engine.prg import Prg

SAMPLES = 1 << 20


def signed(words: np.ndarray) -> np.ndarray:
    return words.view(np.int32).astype(np.int64)


def test_probabilities_sum_to_one_and_have_the_stated_deviation() -> None:
    each = probabilities()
    assert abs(sum(each) - 1) < Decimal(10) ** -50
    variance = float(sum(k * k * p for k, p in enumerate(each)))
    assert abs(variance - SIGMA**2) < 1e-9
    assert each[-1] < Decimal(2) ** -65


def test_samples_follow_the_table_in_both_directions() -> None:
    sample = signed(errors(Prg(b"a" * 16), SAMPLES))
    chi, cells = 0.0, 0
    for value in range(-30, 31):
        p = float(probabilities()[abs(value)]) / (2 if value else 1)
        if p * SAMPLES < 20:
            continue
        chi += ((sample == value).sum() - p * SAMPLES) ** 2 / (p * SAMPLES)
        cells += 1
    assert (chi - cells) / np.sqrt(2 * cells) < 4
    assert abs(sample.mean()) < 4 * SIGMA / np.sqrt(SAMPLES)
    assert abs(sample).max() < 10 * SIGMA


def test_kernel_equals_search_in_the_table_at_its_edges() -> None:
    table = _table()
    words = np.concatenate((table, table - np.uint64(1), np.array([0, (1 << 63) - 1], dtype=np.uint64)))
    words = np.concatenate((words, words | np.uint64(1 << 63)))
    out = np.empty(len(words), dtype=np.uint32)
    _count(words, table, out)
    magnitude = np.searchsorted(table, words & np.uint64((1 << 63) - 1), side="right").astype(np.int64)
    sign = np.where(words >> np.uint64(63), -1, 1)
    assert (signed(out) == sign * magnitude).all()
