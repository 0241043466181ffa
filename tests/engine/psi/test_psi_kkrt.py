"""KKRT: the result is the intersection, messages have the stated sizes, views look alike, a plain twin sends the same bytes."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hefu.engine.channel import ChannelSet
from hefu.engine.errors import EngineError, FrameInvalid, InputInvalid, PlanMismatch
from hefu.engine.launch import measure
from hefu.engine.ot import base, extension
from hefu.engine.permutation import permutation
from hefu.engine.prg import Prg
from hefu.engine.psi import cuckoo, ecdh, items, kkrt, kkrt_code, outcome, values
from hefu.engine.psi.cuckoo import Bins, place, region_bins
from hefu.engine.session import Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def some_items(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, (n, 2), dtype=np.uint64)


def parties(r: np.ndarray, s: np.ndarray, **options: Any) -> dict[str, Callable[[Session, ChannelSet], Any]]:
    return {
        "r": lambda session, channels: kkrt.receive(session, channels["s"], r, operation=2, **options),
        "s": lambda session, channels: kkrt.send(session, channels["r"], s, operation=2, **options),
    }


def expected(mine: np.ndarray, theirs: np.ndarray) -> list[int]:
    have = set(map(tuple, theirs.tolist()))
    return [i for i, row in enumerate(mine.tolist()) if tuple(row) in have]


def check(run_parties: Any, r: np.ndarray, s: np.ndarray, both: bool = False) -> Any:
    ran = run_parties(parties(r, s, both=both))
    got, told = ran.values["r"], ran.values["s"]
    assert got.rows.tolist() == expected(r, s)
    distinct_r, distinct_s = set(map(tuple, r.tolist())), set(map(tuple, s.tolist()))
    assert got.common == len(distinct_r & distinct_s)
    assert (got.own_rows, got.own_items, got.peer_items) == (len(r), len(distinct_r), len(distinct_s))
    assert (told.own_rows, told.own_items, told.peer_items) == (len(s), len(distinct_s), len(distinct_r))
    if both:
        assert told.rows.tolist() == expected(s, r)
        assert told.common == got.common
    else:
        assert told.rows is None
        assert told.common is None
    return ran


@pytest.mark.parametrize(
    ("only_r", "only_s", "shared"),
    [
        (0, 0, 0),
        (5, 0, 0),
        (0, 5, 0),
        (1, 1, 0),
        (0, 0, 1),
        (0, 0, 300),
        (300, 200, 0),
        (700, 900, 400),
        (3, 5000, 2),
    ],
)
def test_the_result_is_the_intersection(run_parties: Any, only_r: int, only_s: int, shared: int) -> None:
    common = some_items(shared, 3)
    r = np.concatenate([some_items(only_r, 1), common])
    s = np.concatenate([common[::-1], some_items(only_s, 2)])
    check(run_parties, r, s, both=bool(only_r % 2))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.integers(0, 12), max_size=12),
    st.lists(st.integers(0, 12), max_size=12),
    st.booleans(),
)
def test_repeated_rows_count_once_and_are_all_reported(
    run_parties: Any, r: list[int], s: list[int], both: bool
) -> None:
    pool = some_items(13, 0)
    check(run_parties, pool[np.array(r, dtype=int)], pool[np.array(s, dtype=int)], both)


def test_edge_values_are_items_like_others(run_parties: Any) -> None:
    words = np.array([0, 1, 2**62, 2**63, 2**64 - 1], dtype=np.uint64)
    r = np.stack(np.meshgrid(words, words), axis=-1).reshape(-1, 2)
    check(run_parties, r, r[::2].copy())


def test_one_to_a_hundred_thousand(run_parties: Any) -> None:
    r, s = some_items(1, 1), some_items(100_000, 2)
    s[77_777] = r[0]
    check(run_parties, r, s)
    check(run_parties, s, r)


@pytest.mark.server
@pytest.mark.parametrize("protocol", [kkrt, ecdh])
def test_two_processes_over_tls(protocol: Any) -> None:
    """Sessions from fresh keys, items hashed under the key that the two then share."""

    def receive(session: Session, channels: ChannelSet) -> Any:
        mine = items.from_integers(items.shared_key(session, "s", 0), np.arange(0, 900))
        return protocol.receive(session, channels["s"], mine, operation=1).rows.tolist()

    def send(session: Session, channels: ChannelSet) -> Any:
        mine = items.from_integers(items.shared_key(session, "r", 0), np.arange(600, 2000))
        return protocol.send(session, channels["r"], mine, operation=1).peer_items

    reports = measure({"r": receive, "s": send}, tls=True, timeout_seconds=120)
    assert reports["r"].value == list(range(600, 900))
    assert reports["s"].value == 900
    assert reports["r"].links["s"].agrees_with(reports["s"].links["r"])


def test_many_batches_give_what_one_gives(run_parties: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kkrt, "BATCH_BINS", 512)
    monkeypatch.setattr(kkrt, "_CHUNK_ITEMS", 100)
    monkeypatch.setattr(values, "_CHUNK_ROWS", 333)
    common = some_items(800, 0)
    check(
        run_parties,
        np.concatenate([some_items(2000, 1), common]),
        np.concatenate([common, some_items(1500, 2)]),
    )


def test_a_key_that_does_not_place_the_items_is_passed_over(
    run_parties: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def fails_twice(*arguments: Any) -> Any:
        tried.append(1)
        return None if len(tried) < 3 else place(*arguments)

    monkeypatch.setattr(kkrt, "place", fails_twice)
    ran = check(run_parties, some_items(50, 1), some_items(50, 1))
    assert ran.views["s"][1] == ("r", b"\2")


def test_when_no_key_does_it_is_said(run_parties: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kkrt, "place", lambda *_: None)
    ran = run_parties(parties(some_items(5, 1), some_items(5, 1)), may_fail=True)
    assert isinstance(ran.errors["r"], InputInvalid)
    assert isinstance(ran.errors["s"], EngineError)


# Views.


def test_sizes_depend_on_the_two_counts_only(run_parties: Any) -> None:
    r = some_items(2000, 1)
    runs = [run_parties(parties(r, s)) for s in (some_items(700, 2), r[:700].copy())]
    runs.append(run_parties(parties(some_items(2000, 5), some_items(700, 2))))
    rows = -(-region_bins(2000) // 512) * 512
    for ran in runs:
        assert ran.sizes("s") == [("r", 32), ("r", 1), ("r", 32)] + [("r", 64 * rows)] * 3
        assert ran.sizes("r") == [("s", 32), ("s", 64 * 512)] + [("s", 700 * 10)] * 3


def chi_square(data: bytes) -> float:
    """Standard score of the bytes' chi-square against uniform."""
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    mean = len(data) / 256
    return float((((counts - mean) ** 2 / mean).sum() - 255) / np.sqrt(510))


def u_rows(run_parties: Any, r: np.ndarray, seed: int) -> bytes:
    ran = run_parties(parties(r, some_items(20, 9)), seed=seed)
    return b"".join(payload for _, payload in ran.views["s"][3:])


def test_what_the_sender_sees_is_uniform_whatever_the_receiver_has(run_parties: Any) -> None:
    small = np.zeros((1000, 2), np.uint64)
    small[:, 0] = np.arange(1000)
    for r in (small, some_items(1000, 4)):
        assert all(abs(chi_square(u_rows(run_parties, r, seed))) < 5 for seed in range(3))


def test_what_the_receiver_sees_is_uniform_whatever_the_sender_has(run_parties: Any) -> None:
    r = some_items(1000, 1)
    for s in (r, some_items(1000, 2)):
        for seed in range(3):
            ran = run_parties(parties(r, s), seed=seed)
            lists = b"".join(payload for _, payload in ran.views["r"][2:])
            assert len(lists) == 3 * 1000 * 10
            assert abs(chi_square(lists)) < 5


def positions(run_parties: Any) -> np.ndarray:
    """Where the receiver finds common items in the lists, in the order of the sender's rows."""
    both = some_items(1500, 1)
    found: list[np.ndarray] = []
    original = values.find

    def spying(channel: Any, count: int, width: int, table: Any) -> Any:
        told = np.empty((count, width), np.uint8)
        channel.recv_into(told)
        room = np.zeros((count, 16), np.uint8)
        room[:, :width] = told
        found.append(table.find(room.view(np.uint64)))
        return np.ones(len(table.first), bool)

    values.find = spying  # type: ignore[assignment]
    try:
        run_parties(parties(both, both))
    finally:
        values.find = original
    return np.stack(found)


def test_the_three_lists_are_shuffled_apart(run_parties: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each list the matches stand at random places, and the places of one list say nothing of the next one's."""
    hits = positions(run_parties) >= 0
    assert hits.sum() == 1500

    def runs(marks: np.ndarray) -> float:
        return abs(np.corrcoef(marks[0], marks[1])[0, 1]) * np.sqrt(marks.shape[1])

    assert runs(hits) < 4.5
    monkeypatch.setattr(kkrt, "permutation", lambda prg, count: np.arange(count, dtype=np.uint32))
    assert (
        runs(positions(run_parties) >= 0) > 10
    )  # an item sits in one list only: unshuffled lists exclude each other


def test_a_sender_whose_secret_is_zero_is_seen(run_parties: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken: without s every item of S in an occupied bin gives that bin's value, and the result is wrong."""

    def broken(self: Any, session: Session, channel: Any, words: int, *, operation: int) -> None:
        self._channel = channel
        self.secret = np.zeros(words, np.uint64)
        keys = base.receive(session, channel, np.zeros(64 * words, bool), operation=operation)
        self._streams = extension._Columns(keys)

    monkeypatch.setattr(extension.ExtensionSender, "__init__", broken)
    r, s = some_items(1000, 1), some_items(1000, 2)
    ran = run_parties(parties(r, s))
    assert len(ran.values["r"].rows) > 0 == len(expected(r, s))


# The plain twin: the same protocol in Python's integers and hashlib.


def aes(key: bytes, block: int) -> int:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  # one block
    return int.from_bytes(encryptor.update(block.to_bytes(16, "little")), "little")


def twin_code(key: bytes, x: int, h: int) -> int:
    return sum((aes(key, x ^ (4 * h + i)) ^ x ^ (4 * h + i)) << 128 * i for i in range(4))


def twin_rows(keys: np.ndarray, sizes: list[int]) -> list[list[int]]:
    """For each batch of so many rows: row b's bit c is bit b of column c."""
    prgs = [Prg(key.tobytes()) for key in keys]
    made = []
    for size in sizes:
        columns = [int.from_bytes(prg.words(size // 64).tobytes(), "little") for prg in prgs]
        made.append([sum((column >> b & 1) << c for c, column in enumerate(columns)) for b in range(size)])
    return made


def twin_hash(key: bytes, number: int, row: int) -> bytes:
    message = row.to_bytes(64, "little") + number.to_bytes(8, "little")
    return hashlib.blake2b(message, digest_size=16, key=key, person=b"hefu ot hash v1").digest()


def twin_keys(session: Session, peer: str) -> tuple[bytes, bytes, bytes]:
    return (
        session.key(peer, 2, "kkrt code", 16),
        session.key(peer, 2, "kkrt hash"),
        session.key(peer, 2, "kkrt bins 0", 16),
    )


def whole(items: np.ndarray) -> list[int]:
    return [int(low) | int(high) << 64 for low, high in items]


def twin_receive(session: Session, channel: Any, items: np.ndarray) -> list[int]:
    count = outcome.agree(channel, len(items), "kkrt 1")
    code_key, hash_key, bins_key = twin_keys(session, "s")
    region = region_bins(len(items))
    table = place(items, Bins(bins_key, region), session.private_prg(2, "kkrt walk").words(1)[0])
    assert table is not None
    channel.send(b"\0")
    pairs = base.send(session, channel, 512, operation=2)
    padded = -(-region // 512) * 512
    t0, t1 = (twin_rows(pairs[:, choice], [padded] * 3) for choice in (0, 1))
    x = whole(items)
    mine: list[dict[bytes, int]] = [{}, {}, {}]
    for h in range(3):
        sent = b""
        for b in range(padded):
            code = 0
            if b < region:
                item = int(table[h * region + b])
                code = twin_code(code_key, x[item] if item >= 0 else 0, h)
                if item >= 0:
                    mine[h][twin_hash(hash_key, h * region + b, t0[h][b])[:10]] = item
            sent += (t0[h][b] ^ t1[h][b] ^ code).to_bytes(64, "little")
        channel.send(sent)
    found = set()
    for h in range(3):
        told = channel.recv(10 * count)
        found |= {mine[h].get(told[at : at + 10], -1) for at in range(0, len(told), 10)}
    return sorted(found - {-1})


def twin_send(session: Session, channel: Any, items: np.ndarray) -> None:
    count = outcome.agree(channel, len(items), "kkrt 1")
    code_key, hash_key, bins_key = twin_keys(session, "r")
    region = region_bins(count)
    bins = Bins(bins_key, region)
    assert channel.recv(1) == b"\0"
    secret = session.private_prg(2, "extension secret").words(8).tobytes()
    s = int.from_bytes(secret, "little")
    choices = np.array([s >> c & 1 for c in range(512)], dtype=bool)
    padded = -(-region // 512) * 512
    known = twin_rows(base.receive(session, channel, choices, operation=2), [padded] * 3)
    coins = session.private_prg(2, "kkrt shuffles")
    lists = []
    for h in range(3):
        received = channel.recv(64 * padded)
        u = [int.from_bytes(received[64 * b : 64 * b + 64], "little") for b in range(padded)]
        order = permutation(coins, len(items))
        told = [b""] * len(items)
        for i, y in enumerate(whole(items)):
            b = int(bins.of(items[i : i + 1], h)[0])
            row = known[h][b] ^ (u[b] & s) ^ (twin_code(code_key, y, h) & s)
            told[order[i]] = twin_hash(hash_key, h * region + b, row)[:10]
        lists.append(b"".join(told))
    for told_list in lists:
        channel.send(told_list)


def test_the_plain_twin_sends_the_same_bytes(run_parties: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuckoo, "SMALLEST_ITEMS", 60)
    common = some_items(20, 0)
    r = np.concatenate([some_items(30, 1), common])
    s = np.concatenate([common, some_items(15, 2)])
    fast = run_parties(parties(r, s), seed=11)
    plain = run_parties(
        {
            "r": lambda session, channels: twin_receive(session, channels["s"], r),
            "s": lambda session, channels: twin_send(session, channels["r"], s),
        },
        seed=11,
    )
    assert plain.views == fast.views
    assert plain.values["r"] == fast.values["r"].rows.tolist() == expected(r, s)


def test_code_words_are_far_apart() -> None:
    code = kkrt_code.Code(bytes(16))
    items = some_items(300, 0)
    items[1] = items[0] ^ np.array([1, 0], np.uint64)
    words = [code(items, np.arange(300, dtype=np.int32), h).copy() for h in range(3)]
    bits = np.unpackbits(np.concatenate(words).view(np.uint8), axis=1).astype(np.int64)
    agree = bits @ bits.T + (1 - bits) @ (1 - bits).T
    np.fill_diagonal(agree, 0)
    assert agree.max() < 512 - 128


# What a peer may send.


def test_other_options_are_refused(run_parties: Any) -> None:
    items = some_items(3, 1)
    programs = {"r": parties(items, items, both=True)["r"], "s": parties(items, items)["s"]}
    ran = run_parties(programs, may_fail=True)
    assert isinstance(ran.errors["r"], PlanMismatch)
    assert isinstance(ran.errors["s"], PlanMismatch)


def hello(count: int) -> bytes:
    return count.to_bytes(8, "little") + b"kkrt 1".ljust(24, b"\0")


@pytest.mark.parametrize("attempt", [b"", b"\x08", b"\xff"])
def test_a_key_that_is_none_is_refused(run_parties: Any, attempt: bytes) -> None:
    def hostile(session: Session, channels: ChannelSet) -> None:
        channels["s"].exchange(hello(5), np.empty(32, np.uint8))
        channels["s"].send(attempt)

    ran = run_parties({"r": hostile, "s": parties(some_items(1, 1), some_items(5, 1))["s"]}, may_fail=True)
    assert isinstance(ran.errors["s"], FrameInvalid)


def test_an_absurd_count_is_refused(run_parties: Any) -> None:
    def hostile(session: Session, channels: ChannelSet) -> None:
        channels["s"].exchange(hello(2**62), np.empty(32, np.uint8))

    ran = run_parties({"r": hostile, "s": parties(some_items(1, 1), some_items(5, 1))["s"]}, may_fail=True)
    assert isinstance(ran.errors["s"], FrameInvalid)


@pytest.mark.parametrize(
    "frames", [[bytes(8), bytes(16)], [b"\xff" * 8], [(1).to_bytes(8, "little"), b"\1" * 16]]
)
def test_a_false_result_is_refused(run_parties: Any, frames: list[bytes]) -> None:
    from hefu.engine.psi.tell_back import hear_common

    def hostile(session: Session, channels: ChannelSet) -> None:
        for frame in frames:
            channels["s"].send(frame)

    def listen(session: Session, channels: ChannelSet) -> Any:
        return hear_common(session, channels["r"], some_items(5, 1), 5, operation=0)

    ran = run_parties({"r": hostile, "s": listen}, may_fail=True)
    assert isinstance(ran.errors["s"], FrameInvalid)


def test_items_of_another_shape_are_refused(run_parties: Any) -> None:
    bad = np.zeros((3, 2), np.int64)
    ran = run_parties(parties(bad, some_items(3, 1)), may_fail=True)
    assert isinstance(ran.errors["r"], InputInvalid)
