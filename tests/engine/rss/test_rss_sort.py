"""Sort: laws against numpy, what its opened bits tell, and a public tie-break caught giving group sizes away."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.errors import EngineError, InputInvalid
from hefu.engine.rss import Arithmetic, Party, secret
from hefu.engine.rss import sort as module
from hefu.engine.rss.opening import open_to_all
from hefu.engine.rss.order import ascending, smallest
from hefu.engine.rss.shares import public
from hefu.engine.rss.shuffle import shuffle, with_columns
from hefu.engine.rss.sort import HiddenKeys, Key, first_rows, index_bits, sort
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = ["p", "q", "r"]
law = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def together(run_parties: Callable[..., Any], program: Callable[[Party], Any], seed: int = 0) -> Any:
    return run_parties(dict.fromkeys(NAMES, lambda s, c: program(Party(s, c, NAMES))), seed=seed)


def sorted_rows(run_parties: Any, rows: Any, keys: list[Key], k: int | None = None, seed: int = 0) -> Any:
    def program(p: Party) -> Any:
        x = secret(p, rows, owner=0).share
        return open_to_all(p, sort(p, x, keys) if k is None else first_rows(p, x, keys, k)).view(np.int64)

    return together(run_parties, program, seed).values["r"]


def plain(rows: Any, keys: list[Key]) -> Any:
    """Stable, by the last key first."""
    order = np.arange(len(rows))
    for key in reversed(keys):
        values = rows[order, key.column]
        order = order[np.argsort(~values if key.descending else values, kind="stable")]
    return rows[order]


ints = st.one_of(st.sampled_from([0, 1, -1, 2**30 - 1, -(2**30)]), st.integers(-5, 5))


@law
@given(rows=st.lists(st.tuples(ints, ints), max_size=40), down=st.tuples(st.booleans(), st.booleans()))
def test_sort_equals_numpy(run_parties: Any, rows: list[tuple[int, int]], down: tuple[bool, bool]) -> None:
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    table = np.concatenate([table, np.arange(len(table)).reshape(-1, 1)], axis=1)
    for keys in ([Key(0, 31, down[0])], [Key(1, 31, down[1]), Key(0, 31, down[0])]):
        assert np.array_equal(sorted_rows(run_parties, table, keys), plain(table, keys))


@pytest.mark.parametrize("n", [1, 2, 3, 64, 65, 200, 2500])
@pytest.mark.parametrize("content", ["equal", "ascending", "descending", "few"])
def test_sort_of_what_is_already_in_some_order(run_parties: Any, n: int, content: str) -> None:
    key = {
        "equal": np.full(n, -7),
        "ascending": np.arange(n) - n // 2,
        "descending": n - np.arange(n),
        "few": np.random.default_rng(n).integers(-2, 2, n),
    }[content]
    rows = np.stack([key, np.arange(n)], axis=1)
    if n < 2500 or content == "few":
        assert np.array_equal(sorted_rows(run_parties, rows, [Key(0, 40)]), plain(rows, [Key(0, 40)]))


@pytest.mark.parametrize("n", [5, 300])
def test_wide_keys_take_more_words(run_parties: Any, n: int) -> None:
    rng = np.random.default_rng(n)
    edges = np.array([-(2**62), 2**62 - 1, 0, -1, 1])
    rows = np.stack([rng.choice(edges, n), rng.choice(edges, n), np.arange(n)], axis=1)
    for keys in (
        [Key(0, 63)],
        [Key(1, 63, descending=True), Key(0, 63)],
        [Key(0, 63), Key(2, 20), Key(1, 63)],
    ):
        assert np.array_equal(sorted_rows(run_parties, rows, keys), plain(rows, keys))


@pytest.mark.parametrize("bits", [62, 63, 60, 61])
def test_the_key_range_at_its_edge(run_parties: Any, bits: int) -> None:
    """Four rows: 61 bits are left in one word."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    rows = np.array([[high], [low], [high], [low]])
    assert sorted_rows(run_parties, rows, [Key(0, bits)])[:, 0].tolist() == [low, low, high, high]


@pytest.mark.parametrize("keys", [[], [Key(2, 10)], [Key(-1, 10)], [Key(0, 0)], [Key(0, 64)]])
def test_keys_that_do_not_fit_are_refused(run_parties: Any, keys: list[Key]) -> None:
    with pytest.raises(InputInvalid):
        sorted_rows(run_parties, np.zeros((3, 2), dtype=np.int64), keys)


@pytest.mark.parametrize("n", [0, 1, 5, 64, 300, 2000])
def test_first_rows(run_parties: Any, n: int) -> None:
    rng = np.random.default_rng(n)
    rows = np.stack([rng.integers(-9, 9, n), np.arange(n)], axis=1)
    keys = [Key(0, 8, descending=True)]
    for k in {0, min(n, 1), min(n, 7), n // 2, n}:
        assert np.array_equal(sorted_rows(run_parties, rows, keys, k), plain(rows, keys)[:k])
    with pytest.raises(InputInvalid):
        sorted_rows(run_parties, rows, keys, n + 1)


@pytest.mark.parametrize("n", [0, 1, 2, 90, 5000, 40000])
def test_order_from_comparisons_alone(n: int) -> None:
    keys = np.random.default_rng(n).permutation(n)
    asked = 0

    def below(left: Any, right: Any) -> Any:
        nonlocal asked
        asked += len(left)
        assert not (left == right).any()
        return np.asarray(keys[left] < keys[right])

    assert np.array_equal(keys[ascending(np.arange(n), below)], np.arange(n))
    assert asked <= max(2100, n * (np.log2(max(n, 2)) + 0.3))
    asked = 0
    assert np.array_equal(keys[smallest(np.arange(n), min(n, 10), below)], np.arange(min(n, 10)))
    assert asked <= max(4100, 2 * n)


# What the opened bits tell.


def recorder(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every batch of outcomes that P0 sees."""
    seen: list[Any] = []
    below = HiddenKeys.below

    def recorded(self: HiddenKeys, left: Any, right: Any) -> Any:
        answer = below(self, left, right)
        if self._party.index == 0:
            seen.append((left.tolist(), right.tolist(), answer.tolist()))
        return answer

    monkeypatch.setattr(HiddenKeys, "below", recorded)
    return seen


def test_equal_keys_open_the_same_bits_as_different_ones(
    run_parties: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the same coins the tie-break makes equal keys the same order as ascending ones: bit for bit, byte for byte."""
    n, seen, sizes = 150, recorder(monkeypatch), []
    for key in (np.full(n, 5), np.arange(n) * 1000, np.arange(n) // 10, np.repeat([-(2**39), 2**38], n // 2)):
        seen.append("next")

        def program(p: Party, key: Any = key) -> None:
            sort(p, secret(p, key.reshape(n, 1), owner=2).share, [Key(0, 40)])

        ran = together(run_parties, program)
        sizes.append([ran.sizes(name) for name in NAMES])
    cuts = [i for i, entry in enumerate(seen) if entry == "next"] + [len(seen)]
    parts = [seen[i + 1 : j] for i, j in itertools.pairwise(cuts)]
    assert parts[0]
    assert all(part == parts[0] for part in parts)
    assert all(size == sizes[0] for size in sizes)


def patterns(run_parties: Any, seen: list[Any], key: list[int], runs: int) -> Counter[Any]:
    """How often each pattern of opened bits shows, over many sorts of these keys."""
    del seen[:]

    def program(p: Party) -> None:
        x = secret(p, np.array(key).reshape(-1, 1), owner=0).share
        for _ in range(runs):
            sort(p, x, [Key(0, 8)])

    together(run_parties, program)
    return Counter(tuple(bits) for _, _, bits in seen)


def chi_square(seen: Counter[Any], kinds: int, runs: int) -> float:
    return (
        sum((c - runs / kinds) ** 2 / (runs / kinds) for c in seen.values())
        + (kinds - len(seen)) * runs / kinds
    )


@pytest.mark.parametrize("key", [[0, 0, 0], [3, 2, 1], [1, 1, -4], [-1, 5, 5]])
def test_opened_bits_are_uniform_whatever_the_keys(
    run_parties: Any, monkeypatch: pytest.MonkeyPatch, key: list[int]
) -> None:
    """Three keys have six patterns; 20.5 is passed once in a thousand, and the coins are fixed."""
    assert chi_square(patterns(run_parties, recorder(monkeypatch), key, 180), 6, 180) < 20.5


def _tie_after_shuffle(party: Party, rows: Arithmetic, keys: Any) -> Any:
    """Broken: the tie-break is the public position after the shuffle."""
    n, width = rows.shape
    mixed = shuffle(party, with_columns(rows, public(party, np.zeros(n, dtype=np.uint64))))
    words, _ = module.key_words(party, mixed, keys)
    position = public(party, np.arange(n, dtype=np.uint64))
    return mixed[:, :width], HiddenKeys(party, [words[0].scale(np.uint64(1 << index_bits(n))) + position])


def _no_shuffle(party: Party, rows: Arithmetic, keys: Any) -> Any:
    """Broken: the rows stand where they stood."""
    n = len(rows.first)
    words, _ = module.key_words(party, rows, keys)
    position = public(party, np.arange(n, dtype=np.uint64))
    return rows, HiddenKeys(party, [words[0].scale(np.uint64(1 << index_bits(n))) + position])


def _no_tie(party: Party, rows: Arithmetic, keys: Any) -> Any:
    """Broken: equal keys stay equal."""
    mixed = shuffle(party, rows)
    return mixed, HiddenKeys(party, module.key_words(party, mixed, keys)[0])


@pytest.mark.parametrize("broken", [_tie_after_shuffle, _no_shuffle, _no_tie])
def test_a_broken_sort_is_seen(run_parties: Any, monkeypatch: pytest.MonkeyPatch, broken: Any) -> None:
    """It still sorts; its opened bits betray how many keys are equal."""
    seen = recorder(monkeypatch)
    monkeypatch.setattr(module, "_shuffled", broken)
    rows = np.array([[2], [0], [2], [1]])
    assert sorted_rows(run_parties, rows, [Key(0, 8)])[:, 0].tolist() == [0, 1, 2, 2]
    assert chi_square(patterns(run_parties, seen, [0, 0, 0], 60), 6, 60) > 100


@pytest.mark.parametrize("n", [40, 400])
@pytest.mark.parametrize("k", [None, 5])
def test_a_party_that_lies_about_outcomes_ends_in_garbage_or_an_error_of_ours(
    run_parties: Any, monkeypatch: pytest.MonkeyPatch, n: int, k: int | None
) -> None:
    """P2 hears other bits than P0: the two may come to ask for different batches. Nobody hangs or breaks otherwise."""
    opened = module.open_bits_to_all

    def lying(party: Party, bits: Any) -> Any:
        if party.index == 1:
            noise = np.random.default_rng(bits.size).integers(0, 2**63, bits.first.shape, dtype=np.uint64)
            bits = module.Bits(bits.first ^ noise, bits.second, bits.shape)
        return opened(party, bits)

    monkeypatch.setattr(module, "open_bits_to_all", lying)
    x = np.arange(n).reshape(n, 1)

    def program(p: Party) -> Any:
        a = secret(p, x, owner=0).share
        return sort(p, a, [Key(0, 20)]) if k is None else first_rows(p, a, [Key(0, 20)], k)

    ran = run_parties(dict.fromkeys(NAMES, lambda s, c: program(Party(s, c, NAMES))), may_fail=True)
    assert len(ran.values) + len(ran.errors) == 3
    assert all(isinstance(error, EngineError) for error in ran.errors.values())
