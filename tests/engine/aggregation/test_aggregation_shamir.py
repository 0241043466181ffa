"""Shamir sharing: known answers, the law, and by enumeration that too few shares say nothing."""

from collections import Counter
from itertools import combinations, product
from typing import Any

import pytest
from hefu.engine.aggregation import AggregationError, shamir
from hefu.engine.aggregation.shamir import PRIME, combine, evaluate, split, weights_at_zero
from hefu.engine.he.integers import is_prime
from hefu.engine.prg import Prg
from hefu.engine.session import derive_key
from hypothesis import given
from hypothesis import strategies as st

COINS = b"coins of a test."
# The worked example of the article "Shamir's secret sharing" in Wikipedia: 1234 + 166 x + 94 x^2 modulo 1613.
EXAMPLE = {1: 1494, 2: 329, 3: 965, 4: 176, 5: 1188, 6: 775}


def test_known_answer_of_the_worked_example() -> None:
    assert {x: evaluate([1234, 166, 94], x, 1613) for x in EXAMPLE} == EXAMPLE
    for points in combinations(EXAMPLE, 3):
        assert combine({x: EXAMPLE[x] for x in points}, 1613) == 1234


def test_known_answer_of_hkdf() -> None:
    """RFC 5869, A.1: the derivation behind every mask."""
    found = derive_key(
        b"\x0b" * 22, bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), 42, bytes.fromhex("000102030405060708090a0b0c")
    )
    assert found.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_the_prime_is_the_first_above_two_to_the_256() -> None:
    assert is_prime(PRIME)
    assert not any(is_prime(2**256 + k) for k in range(1, 297))


@given(st.integers(0, PRIME - 1), st.integers(1, 7), st.integers(0, 5), st.randoms(use_true_random=False))
def test_any_threshold_of_shares_gives_the_secret(
    secret: int, threshold: int, more: int, random: Any
) -> None:
    points = random.sample(range(1, 60), threshold + more)
    shares = dict(zip(points, split(secret, threshold, points, Prg(COINS)), strict=True))
    chosen = random.sample(points, threshold)
    assert combine({x: shares[x] for x in chosen}) == secret
    assert combine(shares) == secret
    assert sum(weights_at_zero(points)) % PRIME == 1


def test_fewer_shares_are_uniform_whatever_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """All coins of GF(5): two shares of a threshold of three are every pair once, for every secret."""

    def views(secret: int, coefficients: int) -> Counter[tuple[int, ...]]:
        counts: Counter[tuple[int, ...]] = Counter()
        for coins in product(range(5), repeat=coefficients):
            drawn = iter(coins)
            monkeypatch.setattr(shamir, "_draw", lambda _, __, drawn=drawn: next(drawn))
            shares = split(secret, coefficients + 1, [1, 2, 3], Prg(COINS), 5)
            counts[tuple(shares[:2])] += 1
        return counts

    assert all(views(secret, 2) == Counter(product(range(5), repeat=2)) for secret in range(5))
    assert views(0, 1) != views(1, 1)  # one coefficient too few, which the test sees


def test_what_makes_no_sense_is_refused() -> None:
    for threshold, points in (
        (0, [1]),
        (3, [1, 2]),
        (1, [0]),
        (2, [1, 1]),
        (2, [1, 1 + PRIME]),
        (1, [PRIME]),
    ):
        with pytest.raises(AggregationError):
            split(5, threshold, points, Prg(COINS))
    for secret in (-1, PRIME):
        with pytest.raises(AggregationError):
            split(secret, 1, [1], Prg(COINS))
    with pytest.raises(AggregationError):
        combine({})
