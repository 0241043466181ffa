"""What the tests of private retrieval share: sessions with fixed coins, and tests of distributions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
from hefu.engine.session import Session


@pytest.fixture(name="session_of")
def session_of_fixture() -> Callable[[int], Session]:
    """A party's session whose coins come from a number."""

    def make(seed: int) -> Session:
        coin = hashlib.sha256(b"pir test %d" % seed).digest()
        return Session(bytes(32), "me", {}, own_key=coin)

    return make


@pytest.fixture(name="distance")
def distance_fixture() -> Callable[[bytes, bytes], float]:
    """How far two samples of bytes are from one distribution: chi-square in standard deviations above its mean."""

    def measure(left: bytes, right: bytes) -> float:
        a = np.bincount(np.frombuffer(left, dtype=np.uint8), minlength=256).astype(float)
        b = np.bincount(np.frombuffer(right, dtype=np.uint8), minlength=256).astype(float)
        seen = a + b > 0
        a, b = a[seen], b[seen]
        ratio = np.sqrt(b.sum() / a.sum())
        chi = float((((a * ratio - b / ratio) ** 2) / (a + b)).sum())
        freedom = max(len(a) - 1, 1)
        return (chi - freedom) / np.sqrt(2 * freedom)

    return measure


@pytest.fixture(name="unevenness")
def unevenness_fixture() -> Callable[[bytes], float]:
    """How far a sample of bytes is from uniform: chi-square in standard deviations above its mean."""

    def measure(sample: bytes) -> float:
        counts = np.bincount(np.frombuffer(sample, dtype=np.uint8), minlength=256)
        expected = len(sample) / 256
        return float((((counts - expected) ** 2) / expected).sum() - 255) / np.sqrt(510)

    return measure
