"""Base transfers: the chosen message and no other, uniform points whatever the choices, malformed points refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.channel import ChannelSet
from hefu.engine.errors import EngineError, FrameInvalid, InputInvalid
from hefu.engine.group import ristretto
from hefu.engine.ot import base
from hefu.engine.session import Session


def parties(choices: np.ndarray, count: int | None = None) -> dict[str, Callable[[Session, ChannelSet], Any]]:
    n = len(choices) if count is None else count
    return {
        "s": lambda session, channels: base.send(session, channels["r"], n, operation=3),
        "r": lambda session, channels: base.receive(session, channels["s"], choices, operation=3),
    }


def coins(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, count).astype(bool)


@pytest.mark.parametrize("count", [0, 1, 2, 37])
def test_the_receiver_gets_exactly_the_chosen_messages(run_parties: Any, count: int) -> None:
    choices = coins(count)
    ran = run_parties(parties(choices))
    both, chosen = ran.values["s"], ran.values["r"]
    assert both.shape == (count, 2, 2)
    assert chosen.shape == (count, 2)
    rows = np.arange(count)
    assert np.array_equal(both[rows, choices.astype(int)], chosen)
    assert not (both[rows, 1 - choices.astype(int)] == chosen).any()
    words = both.reshape(-1)
    assert len(np.unique(words)) == len(words)


def test_sizes_say_how_many_and_nothing_else(run_parties: Any) -> None:
    for choices in (np.zeros(9, bool), np.ones(9, bool), coins(9)):
        ran = run_parties(parties(choices))
        assert ran.sizes("s") == [("r", 9 * 64)]
        assert ran.sizes("r") == [("s", 32)]


def views(run_parties: Any, choice: bool, seeds: int = 60) -> np.ndarray:
    """What the sender saw under many coins: (seeds, transfer, which, 32) bytes."""
    seen = [run_parties(parties(np.full(4, choice)), seed=seed).views["s"][0][1] for seed in range(seeds)]
    return np.frombuffer(b"".join(seen), dtype=np.uint8).reshape(seeds, 4, 2, 32)


def bit_bias(points: np.ndarray) -> float:
    """Largest standard score of any bit of the encodings (the top bit is always 0, the lowest too: left out)."""
    bits = np.unpackbits(points.reshape(-1, 32), axis=1, bitorder="little")[:, 1:254].astype(float)
    n = len(bits)
    return float(np.abs(bits.sum(axis=0) - n / 2).max() / np.sqrt(n / 4))


def test_both_points_look_uniform_for_either_choice(run_parties: Any) -> None:
    for choice in (False, True):
        seen = views(run_parties, choice)
        assert bit_bias(seen[:, :, 0]) < 4.5
        assert bit_bias(seen[:, :, 1]) < 4.5


def test_the_test_sees_a_receiver_whose_other_point_is_known(
    run_parties: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken: the point that is not chosen is not drawn anew, so the sender can tell it apart."""
    fixed = ristretto.points_from_uniform(np.ones((1, 64), np.uint8))
    monkeypatch.setattr(ristretto, "random_points", lambda prg, count: np.repeat(fixed, count, axis=0))
    assert bit_bias(views(run_parties, False, seeds=8)[:, :, 1]) > 4.5


def test_a_receiver_that_leaves_the_hash_out_gets_nothing_it_shares(
    run_parties: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without H both keys could be computed by a receiver that knows both logarithms: the key must depend on it."""
    choices = coins(5)
    honest = run_parties(parties(choices)).values
    monkeypatch.setattr(base, "_onto_group", lambda context, choice, points: np.array(points))
    broken = run_parties(parties(choices)).values
    assert not (honest["s"] == broken["s"]).any()


def test_other_operations_and_other_sessions_give_other_messages(run_parties: Any) -> None:
    choices = coins(3)

    def twice(session: Session, channels: ChannelSet) -> Any:
        return [base.send(session, channels["r"], 3, operation=k) for k in (0, 1)]

    def twice_received(session: Session, channels: ChannelSet) -> Any:
        return [base.receive(session, channels["s"], choices, operation=k) for k in (0, 1)]

    first = run_parties({"s": twice, "r": twice_received}).values["s"]
    second = run_parties({"s": twice, "r": twice_received}, seed=1).values["s"]
    words = np.concatenate([part.reshape(-1) for part in first + second])
    assert len(np.unique(words)) == len(words)


NO_POINTS = [b"\xff" * 32, bytes(32), b"\x01" + bytes(31), (2**255 - 19).to_bytes(32, "little")]


@pytest.mark.parametrize("bad", NO_POINTS)
def test_malformed_points_are_refused_by_both(run_parties: Any, bad: bytes) -> None:
    def hostile(session: Session, channels: ChannelSet) -> None:
        good = ristretto.random_points(session.private_prg(0, "x"), 3).tobytes()
        channels["s"].exchange(good + bad, np.empty(32, np.uint8))

    ran = run_parties({"s": parties(coins(2))["s"], "r": hostile}, may_fail=True)
    assert isinstance(ran.errors["s"], FrameInvalid)

    def hostile_sender(session: Session, channels: ChannelSet) -> None:
        channels["r"].exchange(bad, np.empty(2 * 64, np.uint8))

    ran = run_parties({"r": parties(coins(2))["r"], "s": hostile_sender}, may_fail=True)
    assert isinstance(ran.errors["r"], FrameInvalid)


def test_a_peer_with_another_count_is_refused(run_parties: Any) -> None:
    ran = run_parties(parties(coins(4), count=5), may_fail=True)
    assert isinstance(ran.errors["s"], EngineError)


def test_too_many_at_once_are_refused() -> None:
    with pytest.raises(InputInvalid, match="extend"):
        base._require_count(base.MAX_TRANSFERS + 1)


# The sender's view in a group of five elements, exactly: all coins enumerated.


def point_pairs(choice: int, fresh: bool) -> list[tuple[int, int]]:
    """(r0, r1) for every secret b and every other point, under an arbitrary fixed function H onto the group."""
    onto = {
        (0, 0): 3,
        (0, 1): 1,
        (0, 2): 4,
        (0, 3): 1,
        (0, 4): 0,
        (1, 0): 2,
        (1, 1): 2,
        (1, 2): 0,
        (1, 3): 3,
        (1, 4): 4,
    }
    pairs = []
    for b in range(5):
        for other in range(5) if fresh else [2] * 5:
            mine = (b - onto[choice, other]) % 5
            pairs.append((mine, other) if choice == 0 else (other, mine))
    return sorted(pairs)


def test_the_senders_view_is_exactly_the_same_for_both_choices() -> None:
    assert point_pairs(0, fresh=True) == point_pairs(1, fresh=True)
    assert point_pairs(0, fresh=False) != point_pairs(1, fresh=False)
