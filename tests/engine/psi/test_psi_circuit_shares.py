"""Circuit intersection: shares that open to the truth, totals, gates; nothing opened that should not be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hefu.engine.errors import FrameInvalid, InputInvalid, PlanMismatch
from hefu.engine.psi import circuit, circuit_bits, circuit_dealt
from hefu.engine.psi import sum as totals
from hefu.engine.psi.circuit_bits import Chooser, Offerer, conjunction, equal
from hefu.engine.psi.items import from_integers
from hefu.engine.psi.outcome import agree
from numpy.typing import NDArray

Run = Callable[..., Any]


def items(values: Any) -> NDArray[np.uint64]:
    return from_integers(bytes(range(32)), np.asarray(list(values), dtype=np.int64))


def programs(
    x: Any, y: Any, values: NDArray[np.uint64] | None = None, module: Any = circuit
) -> dict[str, Any]:
    mine, theirs, brings = items(x), items(y), values is not None
    return {
        "r": lambda session, channels: module.receive(
            session, channels["s"], mine, operation=0, values=brings
        ),
        "s": lambda session, channels: module.send(session, channels["r"], theirs, values, operation=0),
    }


def dealt(x: Any, y: Any, values: NDArray[np.uint64] | None = None, module: Any = circuit) -> dict[str, Any]:
    mine, theirs, brings = items(x), items(y), values is not None
    return {
        "r": lambda session, channels: module.receive(
            session, channels["s"], mine, operation=0, values=brings, dealer=channels["d"]
        ),
        "s": lambda session, channels: module.send(
            session, channels["r"], theirs, values, operation=0, dealer=channels["d"]
        ),
        "d": lambda session, channels: circuit_dealt.deal(
            session, channels, receiver="r", sender="s", operation=0, values=brings
        ),
    }


CASES = [
    ([], []),
    ([], [1, 2]),
    ([1, 2], []),
    ([5], [5]),
    ([5], [6]),
    ([3, 3, 1, 3], [3, 2, 3, 1, 1]),
    (range(300), range(300)),
    (range(300), range(300, 600)),
    (range(1500), range(700, 4000)),
    ([8], range(3000)),
]


@pytest.mark.parametrize("setting", [programs, dealt])
@pytest.mark.parametrize(("x", "y"), CASES)
def test_shares_open_to_the_truth(run_parties: Run, x: Any, y: Any, setting: Any) -> None:
    x, y = np.array(list(x), dtype=np.int64), np.array(list(y), dtype=np.int64)
    values = np.arange(len(y), dtype=np.uint64) * np.uint64(2**61 + 3) + np.uint64(1)
    ran = run_parties(setting(x, y, values))
    mine, theirs = ran.values["r"], ran.values["s"]
    flags = mine.flags ^ theirs.flags
    assert flags[mine.rows].tolist() == np.isin(x, y).astype(int).tolist()
    assert flags.sum() == len(np.intersect1d(x, y)) == (int(mine.common) + int(theirs.common)) % 2**64
    opened = mine.values + theirs.values
    expected = [int(values[y == key].sum(dtype=np.uint64)) for key in x]
    assert opened[mine.rows].tolist() == expected
    assert not opened[flags == 0].any()
    assert (mine.peer_items, theirs.peer_items) == (len(np.unique(y)), len(np.unique(x)))


@pytest.mark.parametrize("setting", [programs, dealt])
def test_totals_without_values(run_parties: Run, setting: Any) -> None:
    ran = run_parties(setting(range(50), range(20, 90), module=totals))
    assert (ran.values["r"].common, ran.values["r"].sum, ran.values["s"]) == (30, None, 50)
    assert ran.sizes("r")[-1] == ("s", 16)


def test_totals_of_negative_values(run_parties: Run) -> None:
    values = np.array([-5, 7, -(2**40)], dtype=np.int64).view(np.uint64)
    ran = run_parties(programs([1, 2, 3, 4], [4, 9, 1], values, module=totals))
    assert (ran.values["r"].common, ran.values["r"].sum) == (2, -5 - 2**40)


def test_parties_that_disagree_or_bring_too_little(run_parties: Run) -> None:
    with_values = programs([1], [1], np.ones(1, dtype=np.uint64))
    ran = run_parties({"r": programs([1], [1])["r"], "s": with_values["s"]}, may_fail=True)
    assert isinstance(ran.errors["r"], PlanMismatch)
    ran = run_parties(programs([1], [1], np.ones(2, dtype=np.uint64)), may_fail=True)
    assert isinstance(ran.errors["s"], InputInvalid)


def both(use: Callable[..., Any]) -> dict[str, Any]:
    return {
        "r": lambda session, channels: use(channels["s"], Chooser(session, channels["s"], 0, "test"), 0),
        "s": lambda session, channels: use(channels["r"], Offerer(session, channels["r"], 0, "test"), 1),
    }


def test_gates(run_parties: Run) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 2, (2, 2, 3, 77), dtype=np.uint8)
    ran = run_parties(both(lambda channel, gates, who: conjunction(channel, gates, x[who], y[who])))
    z = ran.values["r"] ^ ran.values["s"]
    assert np.array_equal(z, (x[0] ^ x[1]) & (y[0] ^ y[1]))
    words = rng.integers(0, 1 << 64, (2, 70), dtype=np.uint64)
    words[1, :6] = words[0, :6] ^ np.array([0, 1, 1 << 63, 1 << 32, 0, (1 << 64) - 1], dtype=np.uint64)
    ran = run_parties(both(lambda channel, gates, who: equal(channel, gates, words[who])))
    flags = ran.values["r"] ^ ran.values["s"]
    assert np.array_equal(flags, (words[0] == words[1]).astype(np.uint8))
    assert flags.sum() == 2
    for width in (1, 2, 51, 63):
        ran = run_parties(both(lambda channel, gates, who, w=width: equal(channel, gates, words[who], w)))
        low = np.uint64((1 << width) - 1)
        expected = (words[0] & low) == (words[1] & low)
        assert np.array_equal(ran.values["r"] ^ ran.values["s"], expected.astype(np.uint8))


def test_targets_are_long_enough() -> None:
    assert [circuit.target_bits(bins) for bins in (1302, 1 << 20, 1 << 24)] == [51, 61, 64]


def test_products_of_bits_and_numbers(run_parties: Run) -> None:
    bits = np.array([0, 1, 1, 0, 1], dtype=np.uint8)
    numbers = np.array([5, (1 << 64) - 1, 0, 1 << 63, 1 << 63], dtype=np.uint64)
    ran = run_parties(both(lambda channel, gates, who: gates.multiply(numbers if who else bits)))
    assert np.array_equal(ran.values["r"] + ran.values["s"], bits * numbers)


def test_triples_over_all_coins(run_parties: Run) -> None:
    """Every combination of the two parties' a and b occurs, evenly, and c is always right."""
    ran = run_parties(both(lambda channel, gates, who: gates.triples(8000)))
    (a0, b0, c0), (a1, b1, c1) = ran.values["r"], ran.values["s"]
    assert np.array_equal(c0 ^ c1, (a0 ^ a1) & (b0 ^ b1))
    counts = np.bincount(a0 + 2 * b0 + 4 * a1 + 8 * b1 + 16 * c0, minlength=32)
    assert ((counts - 250) ** 2 / 250).sum() < 70  # 31 degrees of freedom


def chi(frames: list[bytes]) -> float:
    counts = np.bincount(np.frombuffer(b"".join(frames), dtype=np.uint8), minlength=256)
    expected = counts.sum() / 256
    return float(((counts - expected) ** 2 / expected).sum() - 255) / (2 * 255) ** 0.5


def bodies(view: list[tuple[str, bytes]]) -> list[bytes]:
    """All of a view but counts, bin keys, points, and the row of a bin's row key."""
    plain = [payload[16:] for _, payload in view[2:]]
    return [payload for payload in plain if len(payload) != 8192 - 16]


def test_views_are_of_one_size_and_even_whatever_is_common(run_parties: Run) -> None:
    shapes = set()
    for y in (range(200), range(1000, 1200)):
        ran = run_parties(programs(range(150), y, np.full(200, 9, dtype=np.uint64)), seed=4)
        shapes.add((tuple(ran.sizes("r")), tuple(ran.sizes("s"))))
        for party in ("r", "s"):
            assert abs(chi(bodies(ran.views[party]))) < 5
    assert len(shapes) == 1


def test_views_with_a_dealer(run_parties: Run) -> None:
    shapes = set()
    for y in (range(200), range(1000, 1200)):
        ran = run_parties(dealt(range(150), y, np.full(200, 9, dtype=np.uint64)), seed=4)
        shapes.add(tuple(tuple(ran.sizes(party)) for party in ("r", "s", "d")))
        assert ran.sizes("d") == [("r", 8)]
        for party in ("r", "s"):
            assert abs(chi([payload[16:] for _, payload in ran.views[party]])) < 5
    assert len(shapes) == 1


def test_a_dealer_for_one_party_only_is_noticed(run_parties: Run) -> None:
    ran = run_parties(dealt([1], [1]) | {"s": programs([1], [1])["s"]}, may_fail=True)
    assert isinstance(ran.errors["s"], PlanMismatch)


def test_masks_left_out_of_a_conjunction_are_noticed(
    run_parties: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without triples the opened bits are the shares themselves."""
    for name in ("Chooser", "Offerer"):
        kind = getattr(circuit_bits, name)
        monkeypatch.setattr(kind, "triples", lambda self, n: (np.zeros(n, dtype=np.uint8),) * 3)
    ran = run_parties(programs(range(150), range(200)), seed=4)
    exchanged = [payload for _, payload in ran.views["r"] if len(payload) > 2 * 63 * 100]
    assert exchanged
    ran = run_parties(both(lambda channel, gates, who: equal(channel, gates, np.zeros(700, dtype=np.uint64))))
    assert abs(chi([payload for _, payload in ran.views["s"]][-6:])) > 50


# One AND, in plain bits: the twin, with every coin enumerated.


def plain_and(
    x: tuple[int, int], y: tuple[int, int], coins: tuple[int, ...], masked: bool = True
) -> tuple[Any, Any]:
    """Party 0's and 1's outputs, and what party 0 saw: its own triple and what it was sent."""
    a0, a1, b0, b1, c0 = coins if masked else (0, 0, 0, 0, 0)
    c1 = c0 ^ ((a0 ^ a1) & (b0 ^ b1))
    d, e = x[0] ^ a0 ^ x[1] ^ a1, y[0] ^ b0 ^ y[1] ^ b1
    outputs = c0 ^ (d & b0) ^ (e & a0) ^ (d & e), c1 ^ (d & b1) ^ (e & a1)
    return outputs, (a0, b0, c0, x[1] ^ a1, y[1] ^ b1)


def test_one_and_shows_nothing_of_the_other_s_shares() -> None:
    for masked in (True, False):
        views = []
        for x1, y1 in product((0, 1), repeat=2):
            seen: Counter[Any] = Counter()
            for coins in product((0, 1), repeat=5):
                outputs, view = plain_and((1, x1), (0, y1), coins, masked)
                assert outputs[0] ^ outputs[1] == (1 ^ x1) & y1
                seen[view] += 1
            views.append(seen)
        assert all(view == views[0] for view in views) is masked


def test_the_gates_are_the_twin(run_parties: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """All inputs and all coins at once through the real gate."""
    cases = np.array(list(product((0, 1), repeat=9)), dtype=np.uint8).T
    x, y, (a0, a1, b0, b1, c0) = cases[0:2], cases[2:4], cases[4:9]
    triples = ((a0, b0, c0), (a1, b1, c0 ^ ((a0 ^ a1) & (b0 ^ b1))))
    monkeypatch.setattr(Chooser, "triples", lambda self, count: triples[0])
    monkeypatch.setattr(Offerer, "triples", lambda self, count: triples[1])
    ran = run_parties(both(lambda channel, gates, who: conjunction(channel, gates, x[who], y[who])))
    for i, case in enumerate(cases.T.tolist()):
        outputs, view = plain_and((case[0], case[1]), (case[2], case[3]), tuple(case[4:]))
        assert (ran.values["r"][i], ran.values["s"][i]) == outputs
        sent = np.unpackbits(np.frombuffer(ran.views["r"][-1][1], dtype=np.uint8))
        assert (sent[i], sent[512 + i]) == view[3:]


def test_a_bins_key_that_was_not_agreed_is_refused(run_parties: Run) -> None:
    def liar(session: Any, channels: Any) -> None:
        agree(channels["s"], 1, "circuit 1")
        channels["s"].send(bytes([200]))

    ran = run_parties(programs([1], [1]) | {"r": liar}, may_fail=True)
    assert isinstance(ran.errors["s"], FrameInvalid)


def test_a_claim_beyond_the_limit_costs_nothing(run_parties: Run) -> None:
    def liar(session: Any, channels: Any) -> None:
        channels["d"].send(np.array([circuit.MAX_ITEMS + 1], dtype=np.uint64))
        agree(channels["s"], circuit.MAX_ITEMS + 1, "circuit 1 dealt")

    ran = run_parties(dealt([1], [1]) | {"r": liar}, may_fail=True)
    assert isinstance(ran.errors["s"], FrameInvalid)
    assert isinstance(ran.errors["d"], FrameInvalid)
