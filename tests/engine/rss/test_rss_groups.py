"""Group-by: laws against numpy, and views that do not depend on the groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid
from hefu.engine.rss import Party, secret
from hefu.engine.rss.groups import group_by
from hefu.engine.rss.opening import open_to_all
from hefu.engine.rss.sort import Key

NAMES = ["p", "q", "r"]


def together(run_parties: Callable[..., Any], program: Callable[[Party], Any], seed: int = 0) -> Any:
    return run_parties(dict.fromkeys(NAMES, lambda s, c: program(Party(s, c, NAMES))), seed=seed)


def grouped(
    run_parties: Any, rows: Any, keys: list[Key], sums: list[int], extremes: Key | None, *, reveal: bool
) -> Any:
    def program(p: Party) -> Any:
        found = group_by(p, secret(p, rows, owner=0).share, keys, sums, extremes, reveal_count=reveal)
        parts = (found.keys, found.sums, found.counts, found.smallest, found.largest, found.valid)
        return [None if part is None else open_to_all(p, part).view(np.int64) for part in parts]

    return together(run_parties, program).values["q"]


def plain(rows: Any, keys: list[Key], sums: list[int], extremes: Key | None) -> Any:
    columns = [key.column for key in keys]
    signs = np.array([-1 if key.descending else 1 for key in keys])
    found, member = np.unique(rows[:, columns] * signs, axis=0, return_inverse=True)
    member = member.reshape(-1)
    every = range(len(found))
    totals = np.array([[rows[member == g, c].sum() for c in sums] for g in every], np.int64).reshape(
        len(found), len(sums)
    )
    counts = np.array([(member == g).sum() for g in every], np.int64)
    if extremes is None:
        return found * signs, totals, counts, None, None
    values = [rows[member == g, extremes.column] for g in every]
    least, most = (np.array([f(v) for v in values], np.int64) for f in (np.min, np.max))
    return found * signs, totals, counts, least, most


def check(run_parties: Any, rows: Any, keys: list[Key], sums: list[int], extremes: Key | None) -> None:
    expected = plain(rows, keys, sums, extremes)
    groups = len(expected[2])
    opened = grouped(run_parties, rows, keys, sums, extremes, reveal=True)
    hidden = grouped(run_parties, rows, keys, sums, extremes, reveal=False)
    assert opened[5] is None
    assert hidden[5].tolist() == [1] * groups + [0] * (len(rows) - groups)
    for e, o, h in zip(expected, opened[:5], hidden[:5], strict=True):
        if e is None:
            assert o is None
            assert h is None
            continue
        assert np.array_equal(o, e)
        assert np.array_equal(h[:groups], e)
        assert not h[groups:].any()


@pytest.mark.parametrize("n", [0, 1, 2, 64, 300])
@pytest.mark.parametrize("kind", ["one", "all", "some"])
def test_groups_equal_numpy(run_parties: Any, n: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    key = {"one": np.full(n, -3), "all": rng.permutation(n) - n // 2, "some": rng.integers(-4, 4, n)}[kind]
    rows = np.stack([rng.integers(-(2**30), 2**30, n), key, rng.integers(-(2**50), 2**50, n)], axis=1)
    check(run_parties, rows, [Key(1, 20)], [0, 2], None)
    check(run_parties, rows, [Key(1, 20)], [2], Key(0, 31))


def test_several_keys_and_words(run_parties: Any) -> None:
    rng = np.random.default_rng(2)
    n = 200
    rows = np.stack(
        [rng.choice([-(2**62), 0, 2**62 - 1], n), rng.integers(0, 3, n), rng.integers(-9, 9, n)], axis=1
    )
    check(run_parties, rows, [Key(0, 63), Key(1, 4)], [2], Key(2, 63))
    check(run_parties, rows, [Key(1, 4, descending=True), Key(0, 63)], [], None)


@pytest.mark.parametrize("sums", [[2], [-1]])
def test_columns_that_are_not_there_are_refused(run_parties: Any, sums: list[int]) -> None:
    with pytest.raises(InputInvalid):
        grouped(run_parties, np.zeros((3, 2), np.int64), [Key(0, 5)], sums, None, reveal=True)


@pytest.mark.parametrize("reveal", [True, False])
def test_sizes_of_the_views(run_parties: Any, reveal: bool) -> None:
    """Keys whose order is the same under the tie-break: the same opened bits, so the sizes tell at most the number of groups."""
    n = 100
    equal_counts = [np.arange(n) // 50, (np.arange(n) > 0) * 7]
    contents = equal_counts if reveal else [*equal_counts, np.zeros(n, np.int64), np.arange(n)]
    sizes = []
    for key in contents:
        rows = np.stack([key, np.arange(n)], axis=1)

        def program(p: Party, rows: Any = rows) -> None:
            group_by(p, secret(p, rows, owner=0).share, [Key(0, 20)], [1], reveal_count=reveal)

        ran = together(run_parties, program)
        sizes.append([ran.sizes(name) for name in NAMES])
    assert all(size == sizes[0] for size in sizes)


def test_all_that_is_opened_is_the_number_of_groups(
    run_parties: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Besides the outcomes of comparisons and the places of shuffled rows, which are uniform."""
    from hefu.engine.rss import groups

    opened: list[list[int]] = []

    def recorded(party: Party, x: Any) -> Any:
        value = open_to_all(party, x)
        if party.index == 0:
            opened.append(np.atleast_1d(value).tolist())
        return value

    monkeypatch.setattr(groups, "open_to_all", recorded)
    rows = np.stack([np.array([4, 4, 9, -2, 9, 9]), np.arange(6)], axis=1)
    for reveal in (True, False):

        def program(p: Party, reveal: bool = reveal) -> None:
            group_by(p, secret(p, rows, owner=0).share, [Key(0, 20)], [1], reveal_count=reveal)

        together(run_parties, program)
    assert opened == [[3]]
