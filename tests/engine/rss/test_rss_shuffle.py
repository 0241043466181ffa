"""Shuffle and compaction: laws, sizes, a twin that enumerates all coins in Z_2, and what broken variants would show."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
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


Coins = dict[str, Any]


def twin(shares: list[Any], coins: Coins, modulus: int, broken: str = "") -> Any:
    """The protocol in plain arrays (..., n) over Z_modulus: the message of each step, and the components of the result."""

    def kept(name: str) -> Any:
        values = coins[name]
        if name != broken:
            return values
        return np.broadcast_to(np.arange(values.shape[-1]), values.shape) if name[:2] == "pi" else 0 * values

    def ring(row: Any) -> Any:
        return row if modulus == 2**64 else row % np.uint64(modulus)  # uint64 wraps by itself

    def moved(row: Any, order: str) -> Any:
        return np.take_along_axis(row, kept(order).astype(np.int64), axis=-1)

    first = ring(moved(shares[0] + shares[1], "pi01") + kept("m1"))
    second = ring(moved(moved(shares[2], "pi01") - kept("m1"), "pi12") - kept("m2"))
    at_p2 = moved(first, "pi12") + kept("m2")
    u, v = ring(moved(second, "pi02") - kept("r1")), ring(moved(at_p2, "pi02") - kept("r2"))
    return {"0>2": first, "1>0": second, "u": u, "v": v}, (ring(u + v), kept("r1"), kept("r2"))


KNOWN = [("pi01", "m1", "r1", "pi02"), ("pi01", "m1", "pi12", "m2", "r1", "r2"), ("pi12", "m2", "r2", "pi02")]
RECEIVED = [("1>0", "v"), (), ("0>2", "u")]


def joint_views(secret_row: tuple[int, int], party: int, opened: bool, broken: str = "") -> Counter[int]:
    """All that P_party sees, over every choice of shares and coins in Z_2; with the opened result, or without."""
    names = ("x0", "x1", "m1", "m2", "r1", "r2")
    orders = ("pi01", "pi12", "pi02")
    choices = np.indices((4,) * len(names) + (2,) * len(orders)).reshape(9, -1).astype(np.uint64)
    pairs = [np.stack([c & np.uint64(1), c >> np.uint64(1)], axis=1) for c in choices[:6]]
    coins: Coins = dict(zip(names, pairs, strict=True))
    coins |= {
        name: np.stack([c, np.uint64(1) - c], axis=1) for name, c in zip(orders, choices[6:], strict=True)
    }
    x2 = (np.array(secret_row, dtype=np.uint64) - coins["x0"] - coins["x1"]) % np.uint64(2)
    shares = [coins["x0"], coins["x1"], x2]
    messages, result = twin(shares, coins, 2, broken)
    seen = [shares[party], shares[(party + 1) % 3], *(coins[c] for c in KNOWN[party])]
    seen += [messages[m] for m in RECEIVED[party]]
    if opened:
        seen.append(sum(result) % np.uint64(2))
    view = np.concatenate(seen, axis=1)
    return Counter((view << np.arange(view.shape[1], dtype=np.uint64)).sum(axis=1).tolist())


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
                held[name] = permutation(op.stream(key, "order"), n)
        for key, purpose, name in (
            (1, "mask", "m1"),
            (2, "mask", "m2"),
            (1, "result", "r1"),
            (2, "result", "r2"),
        ):
            if p.index in (key, (key - 1) % 3):
                held[name] = op.stream(key, purpose).words(n)
        return held

    def program(p: Party) -> Any:
        x = secret(p, rows, owner=0).share
        shuffle(p, x)
        return x

    coins: Coins = {}
    for held in together(run_parties, coins_of, seed=4).values.values():
        coins |= held
    ran = together(run_parties, program, seed=4)
    shares = [ran.values[name].first[:, 0] for name in NAMES]
    messages, _ = twin(shares, coins, 2**64)
    expected = {m: row.tobytes() for m, row in messages.items()}
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
