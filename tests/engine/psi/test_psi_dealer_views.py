"""What each party of the dealt intersection sees: sizes, distributions, and that broken variants would be noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hefu.engine.field import add_scaled
from hefu.engine.psi import dealer, okvs_shared, rr22
from hefu.engine.psi.items import from_integers
from hefu.engine.psi.okvs import RowHash, decode
from hefu.engine.psi.okvs_bins import plan
from hefu.engine.psi.okvs_hash import BlockHash
from hefu.engine.psi.values import value_bytes
from hefu.engine.session import Session
from numpy.typing import NDArray

KEY = bytes(32)
NAMES = ["d", "r", "s"]
Run = Callable[..., Any]
Words = NDArray[np.uint64]


def items(values: Any) -> Words:
    return from_integers(KEY, np.asarray(list(values), dtype=np.int64))


def programs(x: Any, y: Any) -> dict[str, Any]:
    mine, theirs = items(x), items(y)
    return {
        "r": lambda session, channels: dealer.receive(
            session, channels, mine, sender="s", dealer="d", operation=0
        ),
        "s": lambda session, channels: dealer.send(
            session, channels, theirs, receiver="r", dealer="d", operation=0
        ),
        "d": lambda session, channels: dealer.deal(session, channels, receiver="r", sender="s", operation=0),
    }


def fresh(seed: int, party: str) -> Session:
    """A party's session with the same coins once more."""
    import hashlib

    def coin(*names: str) -> bytes:
        return hashlib.sha256(repr((seed, sorted(names))).encode()).digest()

    pairs = {peer: coin(party, peer) for peer in NAMES if peer != party}
    return Session(coin(), party, pairs, own_key=coin(party))


def test_sizes_depend_on_counts_only(run_parties: Run) -> None:
    shapes = set()
    for x, y in [(range(30), range(20)), (range(30), range(100, 120)), (range(900, 930), range(910, 930))]:
        ran = run_parties(programs(x, y), seed=3)
        shapes.add(tuple(tuple(ran.sizes(party)) for party in NAMES))
    columns = plan(30).columns
    width = value_bytes(30, 20)
    assert shapes == {
        (
            (("r", 8),),
            (("s", 32), ("s", 20 * width)),
            (("r", 32), ("d", 16 * columns), ("r", 16 * (columns + 1))),
        )
    }


def byte_statistics(frames: list[bytes]) -> float:
    """Chi-square of all bytes against even, as standard deviations from its mean."""
    counts = np.bincount(np.frombuffer(b"".join(frames), dtype=np.uint8), minlength=256)
    expected = counts.sum() / 256
    return float((((counts - expected) ** 2 / expected).sum() - 255) / (2 * 255) ** 0.5)


def test_views_have_the_same_distribution_for_different_sets(run_parties: Run) -> None:
    """Every frame with content is even in every byte, over two very different inputs."""
    for x, y in [(range(8), range(8)), ([2**62 - i for i in range(8)], range(500, 508))]:
        vectors, dealt, values = [], [], []
        for seed in range(40):
            ran = run_parties(programs(x, y), seed=seed)
            dealt.append(ran.views["s"][1][1])
            vectors.append(ran.views["s"][2][1][16:])
            values.append(ran.views["r"][1][1])
        for frames in (vectors, dealt, values):
            assert abs(byte_statistics(frames)) < 5


class Attack:
    """What a curious party can compute from its own view and its own streams."""

    def __init__(self, run_parties: Run, seed: int, x: Any, y: Any) -> None:
        self.ran = run_parties(programs(x, y), seed=seed)
        self.shape = plan(len(set(x)))
        receiver, sender = fresh(seed, "r"), fresh(seed, "s")
        self.rows = RowHash(receiver.key("s", 0, "psi rows 0", 32))
        self.item = BlockHash(receiver.key("s", 0, "psi item hash", 16))
        self.output = BlockHash(receiver.key("s", 0, "psi output hash", 16))
        self.c = receiver.prg("d", 0, "psi vole c").words(2 * self.shape.columns).reshape(-1, 2)
        self.delta = sender.prg("d", 0, "psi vole delta").words(2)
        self.width = value_bytes(len(set(x)), len(set(y)))

    def sender_recognises(self, guesses: Words) -> bool:
        """S: does the vector it got hold h(guess)?"""
        message = np.frombuffer(self.ran.views["s"][2][1], dtype=np.uint64).reshape(-1, 2)[1:]
        rows = self.rows.rows(guesses, self.shape.sparse)
        return bool((decode(message, rows) == self.item(guesses)).all(axis=1).any())

    def receiver_recognises(self, guesses: Words) -> bool:
        """R: is H(Decode(C, guess)) in the list it got?"""
        told = self.ran.views["r"][1][1]
        rows = self.rows.rows(guesses, self.shape.sparse)
        values = self.output(decode(self.c, rows)).view(np.uint8).reshape(-1, 16)[:, : self.width]
        listed = {told[i : i + self.width] for i in range(0, len(told), self.width)}
        return any(value.tobytes() in listed for value in values)


X, Y = list(range(20)), list(range(15, 35))


def test_guesses_of_the_other_s_items_are_not_confirmed(run_parties: Run) -> None:
    attack = Attack(run_parties, 5, X, Y)
    assert not attack.sender_recognises(items(X))
    assert not attack.receiver_recognises(items(range(20, 35)))
    assert attack.receiver_recognises(items([17]))  # a common one: the attack itself works


def test_a_vector_without_its_mask_is_noticed(run_parties: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = dealer.DealtReceiver.take

    def bare(self: Any, count: int) -> Any:
        a, c = real(self, count)
        return np.zeros_like(a), c

    monkeypatch.setattr(dealer.DealtReceiver, "take", bare)
    attack = Attack(run_parties, 5, X, Y)
    assert attack.ran.values["r"].rows.tolist() == [15, 16, 17, 18, 19]  # the result alone would not show it
    assert attack.sender_recognises(items(X))


def test_an_item_hash_left_out_is_noticed(run_parties: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that fills its vector with zeros: h keeps guesses out, without it every guess is confirmed."""

    class Zeros:
        def fill(self, out: Words) -> None:
            out.fill(0)

    real_encode = okvs_shared.encode
    monkeypatch.setattr(
        okvs_shared, "encode", lambda rows, values, sparse, filler: real_encode(rows, values, sparse, Zeros())
    )
    attack = Attack(run_parties, 5, X, Y)
    assert not attack.receiver_recognises(items(range(20, 35)))

    class Nothing(BlockHash):
        def __call__(self, blocks: Words, out: Words | None = None) -> Words:
            return np.zeros_like(blocks)

    real = rr22.SharedHashes.__init__

    def without(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        self.item = Nothing(bytes(16))

    monkeypatch.setattr(rr22.SharedHashes, "__init__", without)
    attack = Attack(run_parties, 5, X, Y)
    assert attack.ran.values["r"].rows.tolist() == [15, 16, 17, 18, 19]
    assert attack.receiver_recognises(items(range(20, 35)))


def test_a_delta_of_zero_is_noticed(run_parties: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(into: Words, a: Words, scalar: Words) -> None:
        add_scaled(into, a, np.zeros_like(scalar))

    monkeypatch.setattr(rr22, "add_scaled", none)
    monkeypatch.setattr(dealer, "add_scaled", none)
    attack = Attack(run_parties, 5, X, Y)
    assert attack.receiver_recognises(items(range(20, 35)))


def places(run_parties: Run) -> list[int]:
    """Where the value of the sender's first item stands in the list, over many coins."""
    found = []
    for seed in range(200):
        attack = Attack(run_parties, seed, [0], range(10))
        told = attack.ran.views["r"][1][1]
        values = attack.output(decode(attack.c, attack.rows.rows(items([0]), attack.shape.sparse)))
        found.append(told.index(values.tobytes()[: attack.width]) // attack.width)
    return found


def test_the_list_says_nothing_about_the_sender_s_order(
    run_parties: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = np.bincount(places(run_parties), minlength=10)
    assert ((counts - 20) ** 2 / 20).sum() < 30  # 9 degrees of freedom
    monkeypatch.setattr(rr22, "permutation", lambda prg, count: np.arange(count, dtype=np.uint32))
    assert set(places(run_parties)) == {0}


def test_streams_of_one_operation_are_given_out_once(run_parties: Run) -> None:
    def twice(session: Any, channels: Any) -> Any:
        for _ in range(2):
            dealer.receive(session, channels, items(X), sender="s", dealer="d", operation=0)

    def again(session: Any, channels: Any) -> Any:
        for _ in range(2):
            dealer.send(session, channels, items(Y), receiver="r", dealer="d", operation=0)

    ran = run_parties(programs(X, Y) | {"r": twice, "s": again}, may_fail=True)
    assert type(ran.errors["r"]).__name__ == "LabelReused"


# The sender's joint view over GF(4), all coins enumerated.

_TIMES = [[0, 0, 0, 0], [0, 1, 2, 3], [0, 2, 3, 1], [0, 3, 1, 2]]


def joint_views(vectors: list[tuple[int, ...]], variant: str = "") -> Counter[tuple[int, ...]]:
    """(Delta, then B and A + P of each run) over all Delta, A, C in GF(4)."""
    seen: Counter[tuple[int, ...]] = Counter()
    length = len(vectors[0])
    coins = range(4)
    for delta in coins:
        for drawn in product(coins, repeat=2 * length * len(vectors)):
            view = [delta]
            for number, p in enumerate(vectors):
                mine = drawn[2 * length * number :] if variant != "streams reused" else drawn
                a, c = mine[:length], mine[length : 2 * length]
                if variant == "no A":
                    a = (0,) * length
                if variant == "no C":
                    c = (0,) * length
                view += [x ^ _TIMES[delta][y] for x, y in zip(c, a, strict=True)]
                view += [x ^ y for x, y in zip(a, p, strict=True)]
            seen[tuple(view)] += 1
    return seen


def test_the_sender_s_joint_view_is_the_same_for_every_vector() -> None:
    for variant, independent in (("", True), ("no A", False), ("no C", False)):
        assert (joint_views([(0, 0)], variant) == joint_views([(1, 3)], variant)) is independent
    for variant, independent in (("", True), ("streams reused", False)):
        assert (joint_views([(0,), (0,)], variant) == joint_views([(2,), (3,)], variant)) is independent


def test_the_messages_are_those_of_the_twin(run_parties: Run) -> None:
    """Under the same coins, from Python's integers: B = C + Delta A, and A + P with P holding h(x)."""
    from hefu.engine.field import plain

    attack = Attack(run_parties, 9, X, Y)
    receiver = fresh(9, "r")
    a = receiver.prg("d", 0, "psi vole a").words(2 * attack.shape.columns).reshape(-1, 2)
    (delta,) = plain.to_integers(attack.delta[None])
    told = plain.to_integers(np.frombuffer(attack.ran.views["s"][1][1], dtype=np.uint64).reshape(-1, 2))
    assert told == [
        c ^ plain.product(delta, x)
        for c, x in zip(plain.to_integers(attack.c), plain.to_integers(a), strict=True)
    ]
    message = np.frombuffer(attack.ran.views["s"][2][1], dtype=np.uint64).reshape(-1, 2)
    p = message[1:] ^ a
    rows = attack.rows.rows(items(X), attack.shape.sparse)
    assert np.array_equal(decode(p, rows), attack.item(items(X)))
