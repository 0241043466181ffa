"""ECDH: the result is the intersection or its size, messages have the stated sizes, views look alike, a plain twin agrees."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.channel import ChannelSet
from hefu.engine.errors import FrameInvalid, PlanMismatch
from hefu.engine.group import ristretto
from hefu.engine.permutation import permutation
from hefu.engine.psi import ecdh, outcome
from hefu.engine.psi.ecdh_hash import ItemHash
from hefu.engine.session import Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def some_items(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, (n, 2), dtype=np.uint64)


def parties(r: np.ndarray, s: np.ndarray, **options: Any) -> dict[str, Callable[[Session, ChannelSet], Any]]:
    return {
        "r": lambda session, channels: ecdh.receive(session, channels["s"], r, operation=2, **options),
        "s": lambda session, channels: ecdh.send(session, channels["r"], s, operation=2, **options),
    }


def expected(mine: np.ndarray, theirs: np.ndarray) -> list[int]:
    have = set(map(tuple, theirs.tolist()))
    return [i for i, row in enumerate(mine.tolist()) if tuple(row) in have]


def check(run_parties: Any, r: np.ndarray, s: np.ndarray, both: bool = False, count: bool = False) -> Any:
    ran = run_parties(parties(r, s, both=both, cardinality=count))
    got, told = ran.values["r"], ran.values["s"]
    distinct_r, distinct_s = set(map(tuple, r.tolist())), set(map(tuple, s.tolist()))
    common = len(distinct_r & distinct_s)
    assert got.common == common
    assert told.common == (common if both else None)
    assert (None if got.rows is None else got.rows.tolist()) == (None if count else expected(r, s))
    assert (None if told.rows is None else told.rows.tolist()) == (
        expected(s, r) if both and not count else None
    )
    assert (got.own_rows, got.own_items, got.peer_items) == (len(r), len(distinct_r), len(distinct_s))
    assert (told.own_rows, told.own_items, told.peer_items) == (len(s), len(distinct_s), len(distinct_r))
    return ran


@pytest.mark.parametrize("count", [False, True])
@pytest.mark.parametrize(
    ("only_r", "only_s", "shared"),
    [
        (0, 0, 0),
        (5, 0, 0),
        (0, 5, 0),
        (1, 1, 0),
        (0, 0, 1),
        (0, 0, 30),
        (30, 20, 0),
        (60, 90, 40),
        (2, 500, 1),
    ],
)
def test_the_result_is_the_intersection(
    run_parties: Any, only_r: int, only_s: int, shared: int, count: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ecdh, "PIECE_ITEMS", 64)
    common = some_items(shared, 3)
    r = np.concatenate([some_items(only_r, 1), common])
    s = np.concatenate([common[::-1], some_items(only_s, 2)])
    check(run_parties, r, s, both=bool(only_s % 2), count=count)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 8), max_size=8),
    st.lists(st.integers(0, 8), max_size=8),
    st.booleans(),
    st.booleans(),
)
def test_repeated_rows_count_once_and_are_all_reported(
    run_parties: Any, r: list[int], s: list[int], both: bool, count: bool
) -> None:
    pool = some_items(9, 0)
    check(run_parties, pool[np.array(r, dtype=int)], pool[np.array(s, dtype=int)], both, count)


def test_one_to_a_hundred_thousand(run_parties: Any) -> None:
    r, s = some_items(1, 1), some_items(100_000, 2)
    s[77_777] = r[0]
    check(run_parties, r, s)


def test_items_become_uniform_bytes_by_blake2b() -> None:
    items, key = some_items(11, 0), bytes(range(32))
    found = ItemHash(key)(items)
    for row, item in zip(found, items, strict=True):
        assert row.tobytes() == hashlib.blake2b(item.tobytes(), key=key, person=b"hefu ecdh item 1").digest()


# Views.


@pytest.mark.parametrize("count", [False, True])
def test_sizes_depend_on_the_two_counts_only(run_parties: Any, count: bool) -> None:
    r = some_items(50, 1)
    for s in (some_items(20, 2), r[:20].copy()):
        ran = run_parties(parties(r, s, cardinality=count))
        assert ran.sizes("s") == [("r", 32), ("r", 50 * 32)]
        assert ran.sizes("r") == [("s", 32), ("s", 20 * 32), ("s", 50 * 10)]


def bit_bias(points: np.ndarray) -> float:
    """Largest standard score of any bit of the points' encodings but the first and the last, which are always 0."""
    bits = np.unpackbits(points.reshape(-1, 32), axis=1, bitorder="little")[:, 1:254].astype(float)
    n = len(bits)
    return float(np.abs(bits.sum(axis=0) - n / 2).max() / np.sqrt(n / 4))


def seen_by(run_parties: Any, party: str, items: np.ndarray, seeds: int = 6) -> np.ndarray:
    """The masked points that `party` receives, when the other one holds `items`: (seeds, n, 32)."""
    mine = some_items(1, 9)
    r, s = (mine, items) if party == "r" else (items, mine)
    views = [run_parties(parties(r, s), seed=seed).views[party][1][1] for seed in range(seeds)]
    return np.frombuffer(b"".join(views), np.uint8).reshape(seeds, len(items), 32)


@pytest.mark.parametrize("party", ["r", "s"])
def test_masked_points_look_uniform_and_never_come_twice(run_parties: Any, party: str) -> None:
    small = np.zeros((200, 2), np.uint64)
    small[:, 0] = np.arange(200)
    for items in (small, some_items(200, 1)):
        seen = seen_by(run_parties, party, items)
        assert bit_bias(seen) < 4.5
        assert len(np.unique(seen.reshape(-1, 32), axis=0)) == 6 * 200


def test_the_test_sees_a_secret_that_is_used_in_two_runs(
    run_parties: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken: secret and hash key stay the same, so the same items give the same points in another run."""
    fixed = np.frombuffer((12345).to_bytes(32, "little"), np.uint8).reshape(1, 32)
    monkeypatch.setattr(ristretto, "random_scalars", lambda prg, count: fixed)
    monkeypatch.setattr(ecdh, "ItemHash", lambda key: ItemHash(bytes(32)))
    seen = seen_by(run_parties, "s", some_items(50, 1), seeds=2)
    assert len(np.unique(seen.reshape(-1, 32), axis=0)) == 50


def place_of_first(run_parties: Any, seeds: int) -> list[int]:
    """Where the only common item stands in the list of values that R gets back, with counting only."""
    r = some_items(16, 1)
    places = []
    original = ecdh.values.find_each

    def spying(*arguments: Any) -> Any:
        found = original(*arguments)
        places.append(int(np.flatnonzero(found)[0]))
        return found

    ecdh.values.find_each = spying  # type: ignore[assignment]
    try:
        orders = []
        for seed in range(seeds):
            run_parties(parties(r, r[:1].copy(), cardinality=True), seed=seed)
            orders.append(sent_first(run_parties, r, seed))
    finally:
        ecdh.values.find_each = original
    return [int(place == first) for place, first in zip(places, orders, strict=True)]


def sent_first(run_parties: Any, r: np.ndarray, seed: int) -> int:
    """Where R sent its first item."""

    def order(session: Session, channels: ChannelSet) -> int:
        coins = session.private_prg(2, "ecdh secret")
        ristretto.random_scalars(coins, 1)
        return int(np.flatnonzero(permutation(coins, len(r)) == 0)[0])

    return int(run_parties({"r": order, "s": lambda *_: None}, seed=seed).values["r"])


def test_counting_does_not_say_which(run_parties: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The common item's value comes back at its own place about once in 16 times; without the shuffle, always."""
    assert sum(place_of_first(run_parties, 24)) <= 7
    original = ecdh.permutation
    drawn = Session.private_prg

    def plain(prg: Any, count: int) -> Any:
        return (
            np.arange(count, dtype=np.uint32) if getattr(prg, "for_return", False) else original(prg, count)
        )

    def marked(self: Session, operation: int, purpose: str) -> Any:
        prg = drawn(self, operation, purpose)
        prg.for_return = purpose == "ecdh return"  # type: ignore[attr-defined]
        return prg

    monkeypatch.setattr(Session, "private_prg", marked)
    monkeypatch.setattr(ecdh, "permutation", plain)
    assert sum(place_of_first(run_parties, 4)) == 4


# The plain twin, item by item.


def twin(session: Session, channel: Any, items: np.ndarray, receiver: bool) -> list[int]:
    count = outcome.agree(channel, len(items), "ecdh 1")
    item_key = session.key(channel.peer, 2, "ecdh items")
    value_key = session.key(channel.peer, 2, "ecdh values")
    coins = session.private_prg(2, "ecdh secret")
    secret = ristretto.random_scalars(coins, 1).tobytes()
    order = permutation(coins, len(items)).tolist()

    def point(item: np.ndarray) -> bytes:
        uniform = hashlib.blake2b(item.tobytes(), key=item_key, person=b"hefu ecdh item 1").digest()
        on_group = ristretto.points_from_uniform(np.frombuffer(uniform, np.uint8).reshape(1, 64))
        return ristretto.multiply(secret, on_group).tobytes()

    theirs = np.empty((count, 32), np.uint8)
    channel.exchange(b"".join(point(items[k]) for k in order), theirs)
    twice = [ristretto.multiply(secret, row.reshape(1, 32)).tobytes() for row in theirs]
    told = [
        hashlib.blake2b(p + bytes(8), digest_size=16, key=value_key, person=b"hefu ot hash v1").digest()[:10]
        for p in twice
    ]
    if not receiver:
        channel.send(b"".join(told))
        return []
    back = channel.recv(10 * len(items))
    mine = [back[10 * k : 10 * k + 10] for k in range(len(items))]
    return sorted(item for k, item in enumerate(order) if mine[k] in set(told))


def test_the_plain_twin_sends_the_same_bytes(run_parties: Any) -> None:
    common = some_items(7, 0)
    r = np.concatenate([some_items(13, 1), common])
    s = np.concatenate([common, some_items(6, 2)])
    fast = run_parties(parties(r, s), seed=5)
    plain = run_parties(
        {
            "r": lambda session, channels: twin(session, channels["s"], r, True),
            "s": lambda session, channels: twin(session, channels["r"], s, False),
        },
        seed=5,
    )
    assert plain.views == fast.views
    assert plain.values["r"] == fast.values["r"].rows.tolist() == expected(r, s)


# What a peer may send.


@pytest.mark.parametrize("bad", [b"\xff" * 32, bytes(32), b"\x01" + bytes(31)])
@pytest.mark.parametrize("party", ["r", "s"])
def test_strings_that_are_no_points_are_refused(run_parties: Any, bad: bytes, party: str) -> None:
    items = some_items(1, 1)
    other = "s" if party == "r" else "r"

    def hostile(session: Session, channels: ChannelSet) -> None:
        outcome.agree(channels[party], 1, "ecdh 1")
        channels[party].exchange(bad, np.empty(32, np.uint8))

    ran = run_parties({party: parties(items, items)[party], other: hostile}, may_fail=True)
    assert isinstance(ran.errors[party], FrameInvalid)


def test_other_options_are_refused(run_parties: Any) -> None:
    items = some_items(3, 1)
    programs = {"r": parties(items, items, cardinality=True)["r"], "s": parties(items, items)["s"]}
    ran = run_parties(programs, may_fail=True)
    assert isinstance(ran.errors["r"], PlanMismatch)
    assert isinstance(ran.errors["s"], PlanMismatch)
