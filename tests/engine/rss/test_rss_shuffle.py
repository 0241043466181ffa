"""Shuffle and compaction: laws, sizes, a twin that enumerates all coins in Z_2, and what broken variants would show."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid, ResultInvalid
from hefu.engine.permutation import permutation
from hefu.engine.rss import Party, compact, secret, secret_bits
from hefu.engine.rss.compact import flagged_first, select_rows
from hefu.engine.rss.opening import open_to_all
from hefu.engine.rss.shuffle import shuffle

NAMES = ["p", "q", "r"]


def together(run_parties: Callable[..., Any], program: Callable[[Party], Any], seed: int = 0) -> Any:
    return run_parties(dict.fromkeys(NAMES, lambda s, c: program(Party(s, c, NAMES))), seed=seed)


@pytest.mark.parametrize(("n", "width"), [(0, 2), (1, 1), (2, 3), (65, 2), (9000, 3)])
def test_rows_stay_whole(run_parties: Any, n: int, width: int) -> None:
    rows = np.random.default_rng(n).integers(-(2**62), 2**62, (n, width))
    ran = together(
        run_parties, lambda p: open_to_all(p, shuffle(p, secret(p, rows, owner=1).share)).view(np.int64)
    )
    found = ran.values["p"]
    assert np.array_equal(found[np.lexsort(found.T)], rows[np.lexsort(rows.T)])
    assert n < 65 or not np.array_equal(found, rows)
    assert all(np.array_equal(found, ran.values[name]) for name in NAMES)


def test_a_shuffle_takes_rows(run_parties: Any) -> None:
    with pytest.raises(InputInvalid):
        together(run_parties, lambda p: shuffle(p, secret(p, np.arange(3), owner=0).share))


def test_every_order_is_equally_likely(run_parties: Any) -> None:
    """Chi-square with 5 degrees of freedom: 20.5 is passed once in a thousand; the coins are fixed."""
    runs = 300

    def program(p: Party) -> Any:
        x = secret(p, np.arange(3).reshape(3, 1), owner=0).share
        return [tuple(open_to_all(p, shuffle(p, x))[:, 0].tolist()) for _ in range(runs)]

    seen = Counter(together(run_parties, program).values["p"])
    assert len(seen) == 6
    assert sum((count - runs / 6) ** 2 / (runs / 6) for count in seen.values()) < 20.5


@pytest.mark.parametrize(("n", "width"), [(1, 1), (64, 2), (300, 5)])
def test_sizes_of_the_views(run_parties: Any, n: int, width: int) -> None:
    for content in (np.zeros((n, width), np.int64), np.full((n, width), -(2**62))):

        def program(p: Party, content: Any = content) -> None:
            x = secret(p, content, owner=0).share
            shuffle(p, x)

        ran = together(run_parties, program)
        size = 8 * n * width
        assert ran.sizes("p") == [("q", size), ("r", size)]
        assert ran.sizes("q") == [("p", size)]  # the input; of the shuffle nothing
        assert ran.sizes("r") == [("p", size), ("p", size)]


Coins = dict[str, tuple[int, ...]]


def twin(shares: list[tuple[int, ...]], coins: Coins, ring: int, broken: str = "") -> Any:
    """The protocol in plain lists over Z_ring: the message of each step, and the components of the result."""

    def kept(name: str) -> tuple[int, ...]:
        values = coins[name]
        if name != broken:
            return values
        return tuple(range(len(values))) if name.startswith("pi") else (0,) * len(values)

    def step(row: tuple[int, ...], order: str, mask: str, sign: int) -> tuple[int, ...]:
        return tuple((row[j] + sign * m) % ring for j, m in zip(kept(order), kept(mask), strict=True))

    a = tuple((x + y) % ring for x, y in zip(shares[0], shares[1], strict=True))
    first = step(a, "pi01", "m1", 1)
    second = step(step(shares[2], "pi01", "m1", -1), "pi12", "m2", -1)
    at_p2 = step(first, "pi12", "m2", 1)
    u, v = step(second, "pi02", "r1", -1), step(at_p2, "pi02", "r2", -1)
    y0 = tuple((x + y) % ring for x, y in zip(u, v, strict=True))
    return {"0>2": first, "1>0": second, "u": u, "v": v}, (y0, kept("r1"), kept("r2"))


KNOWN = [("pi01", "m1", "r1", "pi02"), ("pi01", "m1", "pi12", "m2", "r1", "r2"), ("pi12", "m2", "r2", "pi02")]
RECEIVED = [("1>0", "v"), (), ("0>2", "u")]


@lru_cache
def joint_views(secret_row: tuple[int, int], party: int, opened: bool, broken: str = "") -> Counter[Any]:
    """All that P_party sees, over every choice of shares and coins in Z_2; with the opened result, or without."""
    seen: Counter[Any] = Counter()
    bits, orders = list(itertools.product(range(2), repeat=2)), [(0, 1), (1, 0)]
    for x0, x1 in itertools.product(bits, repeat=2):
        x2 = tuple((s - p - q) % 2 for s, p, q in zip(secret_row, x0, x1, strict=True))
        shares = [x0, x1, x2]
        for pis in itertools.product(orders, repeat=3):
            for masks in itertools.product(bits, repeat=4):
                coins = dict(zip(("pi01", "pi12", "pi02", "m1", "m2", "r1", "r2"), pis + masks, strict=True))
                messages, result = twin(shares, coins, 2, broken)
                view = (
                    shares[party],
                    shares[(party + 1) % 3],
                    *(coins[c] for c in KNOWN[party]),
                    *(messages[m] for m in RECEIVED[party]),
                )
                total = tuple(sum(c) % 2 for c in zip(*result, strict=True))
                seen[view + (total if opened else ())] += 1
    return seen


@pytest.mark.parametrize("party", [0, 1, 2])
def test_twin_a_view_tells_nothing_of_the_rows(party: int) -> None:
    expected = joint_views((0, 0), party, opened=False)
    assert joint_views((0, 1), party, opened=False) == expected
    assert joint_views((1, 1), party, opened=False) == expected


@pytest.mark.parametrize("party", [0, 1, 2])
def test_twin_an_opened_result_tells_nothing_of_the_order(party: int) -> None:
    assert joint_views((0, 1), party, opened=True) == joint_views((1, 0), party, opened=True)


@pytest.mark.parametrize(
    ("broken", "party", "opened", "pair"),
    [
        ("m1", 2, False, ((0, 0), (0, 1))),
        ("r1", 2, False, ((0, 0), (0, 1))),
        ("r2", 0, False, ((0, 0), (0, 1))),
        ("m2", 0, True, ((0, 1), (1, 0))),
        ("pi12", 0, True, ((0, 1), (1, 0))),
        ("pi02", 1, True, ((0, 1), (1, 0))),
        ("pi01", 2, True, ((0, 1), (1, 0))),
    ],
)
def test_twin_sees_what_is_left_out(broken: str, party: int, opened: bool, pair: Any) -> None:
    left, right = (joint_views(row, party, opened, broken) for row in pair)
    assert left != right


def test_the_fast_path_sends_what_the_twin_sends(run_parties: Any) -> None:
    n = 5
    rows = np.array([[3], [-1], [2**62 - 1], [0], [7]])

    def coins_of(p: Party) -> Any:
        p.begin("share")
        op = p.begin("shuffle")
        held: Any = {}
        for key, name in ((1, "pi01"), (2, "pi12"), (0, "pi02")):
            if p.index in (key, (key - 1) % 3):
                held[name] = tuple(permutation(op.stream(key, "order"), n).tolist())
        for key, purpose, name in (
            (1, "mask", "m1"),
            (2, "mask", "m2"),
            (1, "result", "r1"),
            (2, "result", "r2"),
        ):
            if p.index in (key, (key - 1) % 3):
                held[name] = tuple(op.stream(key, purpose).words(n).tolist())
        return held

    def program(p: Party) -> Any:
        x = secret(p, rows, owner=0).share
        shuffle(p, x)
        return x

    coins: Coins = {}
    for held in together(run_parties, coins_of, seed=4).values.values():
        coins |= held
    ran = together(run_parties, program, seed=4)
    shares = [tuple(ran.values[name].first[:, 0].tolist()) for name in NAMES]
    messages, _ = twin(shares, coins, 2**64)
    expected = {m: np.array(row, dtype=np.uint64).tobytes() for m, row in messages.items()}
    assert ran.views["p"] == [("q", expected["1>0"]), ("r", expected["v"])]
    assert ran.views["r"] == [("p", expected["0>2"]), ("p", expected["u"])]


@pytest.mark.parametrize("n", [0, 1, 2, 70, 500])
def test_compaction_is_stable(run_parties: Any, n: int) -> None:
    rng = np.random.default_rng(n)
    rows, flags = rng.integers(-(2**62), 2**62, (n, 2)), rng.random(n) < 0.3

    def program(p: Party) -> Any:
        x, f = secret(p, rows, owner=0).share, secret_bits(p, flags, owner=1)
        ordered = flagged_first(p, x, f.to_integer().share)
        return open_to_all(p, ordered).view(np.int64), open_to_all(p, select_rows(p, x, f.bits)).view(
            np.int64
        )

    all_rows, some = together(run_parties, program).values["q"]
    assert np.array_equal(all_rows, np.concatenate([rows[flags], rows[~flags]]))
    assert np.array_equal(some, rows[flags])


@pytest.mark.parametrize("flags", [[1, 1, 1], [0, 1, 0]])
def test_compaction_opens_a_uniform_order_whatever_the_flags(
    run_parties: Any, monkeypatch: pytest.MonkeyPatch, flags: list[int]
) -> None:
    """Chi-square with 5 degrees of freedom, fixed coins; and equal sizes."""
    runs = 200
    opened: list[tuple[int, ...]] = []

    def recorded(party: Party, x: Any) -> Any:
        places = open_to_all(party, x)
        if party.index == 0:
            opened.append(tuple(places.tolist()))
        return places

    monkeypatch.setattr(compact, "open_to_all", recorded)

    def program(p: Party) -> None:
        rows = secret(p, np.arange(3).reshape(3, 1), owner=0).share
        f = secret(p, np.array(flags), owner=0).share
        for _ in range(runs):
            flagged_first(p, rows, f)

    ran = together(run_parties, program)
    seen = Counter(opened)
    assert sum(seen.values()) == runs
    assert sum((seen[o] - runs / 6) ** 2 / (runs / 6) for o in itertools.permutations(range(3))) < 20.5
    assert ran.sizes("q") == [("p", 24)] * 2 + [("r", 24), ("p", 24)] * runs  # product, opening


def test_a_flag_that_is_no_bit_is_noticed(run_parties: Any) -> None:
    def program(p: Party) -> None:
        rows = secret(p, np.arange(4).reshape(4, 1), owner=0).share
        flagged_first(p, rows, secret(p, np.array([0, 3, 1, 1]), owner=0).share)

    with pytest.raises(ResultInvalid):
        together(run_parties, program)
