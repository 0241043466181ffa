"""What the parties see: exact joint views over small rings, and the same bytes as the twin at 64 bits.

Over Z_2, Z_4, Z_8 every coin and every sharing is enumerated, so "uniform" and "independent" are counted, not estimated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pytest
from hefu.engine.rss import (
    Arithmetic,
    Bits,
    Party,
    compare,
    convert,
    decompose,
    multiply,
    opening,
    sharing,
    truncate,
)
from hefu.engine.rss.party import Operation, ZeroShares
from hefu.engine.rss.plain import Plain
from hefu.engine.rss.shares import pack, words_for

NAMES = ["p", "q", "r"]
U = np.uint64


# Exact views.


class EveryCoin:
    """Each draw is an axis of its own on which all its values stand: numpy's broadcasting makes the joint distribution."""

    def __init__(self, k: int, *, left_out: str = "", reused: bool = False) -> None:
        self.k, self.left_out, self.reused = k, left_out, reused
        self.drawn: list[tuple[int, Any]] = []
        self.widest = 1
        self._axes = 0
        self._by_label: dict[tuple[int, str, int], Any] = {}
        self._counts: dict[tuple[int, str], int] = {}

    def begin(self, name: str) -> None:
        self._counts = {}

    def axis(self, size: int) -> Any:
        values = np.arange(size, dtype=U).reshape((size,) + (1,) * self._axes)
        self._axes += 1
        return values

    def draw(self, key: int, purpose: str, bits: int) -> Any:
        if purpose == self.left_out:
            return np.zeros((), dtype=U)
        label = (key % 3, purpose)
        self._counts[label] = count = self._counts.get(label, 0) + 1
        if not self.reused or (*label, count) not in self._by_label:
            self.widest = max(self.widest, bits)
            self._by_label[*label, count] = self.axis(1 << bits)
            self.drawn.append((key % 3, self._by_label[*label, count]))
        return self._by_label[*label, count]

    def ring(self, key: int, purpose: str) -> Any:
        return self.draw(key, purpose, self.k)

    def bits(self, key: int, purpose: str, planes: int) -> list[Any]:
        word = self.draw(key, purpose, planes)
        return [(word >> U(b)) & U(1) for b in range(planes)]

    def sharing_of(self, value: int) -> list[Any]:
        x0, x1 = self.axis(1 << self.k), self.axis(1 << self.k)
        return [x0, x1, (U(value) - x0 - x1) & U((1 << self.k) - 1)]

    def bit_sharing_of(self, value: int) -> list[Any]:
        x0, x1 = self.axis(2), self.axis(2)
        return [x0, x1, U(value) ^ x0 ^ x1]


@dataclass
class Case:
    """What went in (a sharing each), who else held what, the shares that came out, and what they must open to."""

    inputs: list[list[Any]]
    output: list[Any]
    expected: int | None
    of_bits: bool = False
    known: dict[int, list[Any]] = field(default_factory=dict)

    def opened(self, plain: Plain) -> Any:
        z = self.output
        return z[0] ^ z[1] ^ z[2] if self.of_bits else plain.mod(z[0] + z[1] + z[2])


Protocol = Callable[[Plain, EveryCoin, tuple[int, ...]], Case]


def distribution(parts: list[Any], bits: int) -> Any:
    """Every value of the joint variable with its count."""
    assert bits * len(parts) < 64
    number = np.zeros((), dtype=U)
    for part in parts:
        number = (number << U(bits)) + part
    return np.unique(number, return_counts=True)


def views(k: int, protocol: Protocol, secrets: tuple[int, ...], **broken: Any) -> tuple[list[Any], Any, Case]:
    """For each party the distribution of all that it holds, draws and receives; the opened result; the case."""
    coins = EveryCoin(k, **broken)
    plain = Plain(k, coins)
    case = protocol(plain, coins, secrets)
    found = []
    for i in range(3):
        j = (i + 1) % 3
        parts = [c for x in case.inputs for c in (x[i], x[j])] + case.known.get(i, [])
        parts += [c for key, c in coins.drawn if key in (i, j)]
        parts += [w for _, receiver, what in plain.messages if receiver == i for w in what]
        found.append(distribution(parts, max(k, coins.widest)))
    return found, case.opened(plain), case


def views_differ(k: int, protocol: Protocol, choices: list[tuple[int, ...]], **broken: Any) -> bool:
    """Whether some party's view tells two secrets apart."""
    first, *others = [views(k, protocol, s, **broken)[0] for s in choices]
    return any(
        not all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
        for other in others
        for mine, theirs in zip(first, other, strict=True)
    )


def multiplying(plain: Plain, coins: EveryCoin, s: tuple[int, ...]) -> Case:
    x, y = (coins.sharing_of(v) for v in s)
    return Case([x, y], plain.multiply(x, y), (s[0] * s[1]) % (1 << plain.k))


def multiplying_twice(plain: Plain, coins: EveryCoin, s: tuple[int, ...]) -> Case:
    x, y = (coins.sharing_of(v) for v in s)
    plain.multiply(x, x)
    return Case([x, y], plain.multiply(x, y), (s[0] * s[1]) % (1 << plain.k))


def anding(plain: Plain, coins: EveryCoin, s: tuple[int, ...]) -> Case:
    x, y = (coins.bit_sharing_of(v) for v in s)
    return Case([x, y], plain.both([x], [y])[0], s[0] & s[1], of_bits=True)


def signing(plain: Plain, coins: EveryCoin, s: tuple[int, ...]) -> Case:
    x = coins.sharing_of(s[0])
    return Case([x], plain.msb(x), s[0] >> (plain.k - 1), of_bits=True)


def zero_testing(plain: Plain, coins: EveryCoin, s: tuple[int, ...]) -> Case:
    x = coins.sharing_of(s[0])
    return Case([x], plain.is_zero(x), int(s[0] == 0), of_bits=True)


def splitting(plain: Plain, coins: EveryCoin, s: tuple[int, ...]) -> Case:
    """The highest bit comes last, and hangs on all others."""
    x = coins.sharing_of(s[0])
    return Case([x], plain.to_bits(x)[-1], s[0] >> (plain.k - 1), of_bits=True)


def lifting(plain: Plain, coins: EveryCoin, s: tuple[int, ...]) -> Case:
    x = coins.bit_sharing_of(s[0])
    return Case([x], plain.to_arithmetic(x), s[0])


def truncating(plain: Plain, coins: EveryCoin, s: tuple[int, ...]) -> Case:
    x = coins.sharing_of(s[0])
    return Case([x], plain.truncate(x, 1), None)


def inputting(plain: Plain, coins: EveryCoin, s: tuple[int, ...]) -> Case:
    """Of the owner's view, the input itself is left out."""
    return Case([], plain.share_from(0, np.asarray(s[0], dtype=U)), s[0])


def inputting_from_outside(plain: Plain, coins: EveryCoin, s: tuple[int, ...]) -> Case:
    seeded = coins.axis(1 << plain.k)
    masked = (U(s[0]) - seeded) & U((1 << plain.k) - 1)
    return Case([], plain.share_from_outside(seeded, masked, 0), s[0], known={0: [seeded], 1: [masked]})


def ring(k: int, count: int) -> list[tuple[int, ...]]:
    return list(product(range(1 << k), repeat=count))


EXACT = [
    *[(multiplying, k, ring(k, 2)) for k in (1, 2)],
    (multiplying, 3, [(0, 0), (1, 1), (7, 4), (3, 5)]),
    *[(multiplying_twice, k, ring(k, 2)) for k in (1,)],
    (anding, 1, ring(1, 2)),
    *[(signing, k, ring(k, 1)) for k in (1, 2, 3)],
    *[(splitting, k, ring(k, 1)) for k in (2, 3)],
    *[(zero_testing, k, ring(k, 1)) for k in (1, 2)],
    *[(lifting, k, ring(1, 1)) for k in (1, 2, 3)],
    (truncating, 2, ring(2, 1)),
    *[(inputting, k, ring(k, 1)) for k in (1, 2, 3)],
    *[(inputting_from_outside, k, ring(k, 1)) for k in (1, 2, 3)],
]


@pytest.mark.parametrize(("protocol", "k", "choices"), EXACT)
def test_no_view_depends_on_the_secrets(protocol: Protocol, k: int, choices: list[tuple[int, ...]]) -> None:
    for secrets in choices:
        _, opened, case = views(k, protocol, secrets)
        assert case.expected is None or bool(np.all(opened == case.expected)), secrets
    assert not views_differ(k, protocol, choices)


AFRESH = [
    (p, k, c)
    for p, k, c in EXACT
    if p not in (truncating, inputting) and not (k == 1 and p in (signing, zero_testing))
]  # over Z_2 the sign is the number itself; an input has a zero component


@pytest.mark.parametrize(("protocol", "k", "choices"), AFRESH)
def test_results_are_shared_afresh(protocol: Protocol, k: int, choices: list[tuple[int, ...]]) -> None:
    """Given the sharing that went in, what comes out is each sharing of the result equally often."""
    for secrets in choices[:2]:
        _, _, case = views(k, protocol, secrets)
        parts = [c for x in case.inputs for c in x[:2]]
        values, counts = distribution([*parts, *case.output[:2]], k)
        bits = 1 if case.of_bits else k
        assert len(values) == len(distribution(parts, k)[0]) << 2 * bits
        assert len(set(counts.tolist())) == 1


def test_a_result_that_is_not_afresh_is_seen() -> None:
    _, _, case = views(2, multiplying, (1, 2), left_out="zero")
    parts = [c for x in case.inputs for c in x[:2]]
    assert len(distribution([*parts, *case.output[:2]], 2)[0]) < 4**6


@pytest.mark.parametrize(
    ("protocol", "k", "choices", "purpose"),
    [
        (multiplying, 1, ring(1, 2), "zero"),
        (multiplying, 2, ring(2, 2), "zero"),
        (anding, 1, ring(1, 2), "zero"),
        (signing, 2, ring(2, 1), "planes"),
        (signing, 2, ring(2, 1), "carries"),
        (signing, 3, ring(3, 1), "zero"),
        (splitting, 3, ring(3, 1), "zero"),
        (zero_testing, 2, ring(2, 1), "zero"),
        (zero_testing, 1, ring(1, 1), "planes"),
        (lifting, 2, ring(1, 1), "input"),
        (lifting, 2, ring(1, 1), "product"),
        (truncating, 2, ring(2, 1), "r"),
        (truncating, 2, ring(2, 1), "result"),
        (inputting, 2, ring(2, 1), "mask"),
        (inputting_from_outside, 2, ring(2, 1), "share"),
    ],
)
def test_a_mask_left_out_is_seen(
    protocol: Protocol, k: int, choices: list[tuple[int, ...]], purpose: str
) -> None:
    assert views_differ(k, protocol, choices, left_out=purpose)


def test_a_stream_used_twice_is_seen() -> None:
    assert views_differ(1, multiplying_twice, ring(1, 2), reused=True)


def test_opening_shows_the_value_and_nothing_else() -> None:
    def opening_sum(plain: Plain, coins: EveryCoin, s: tuple[int, ...]) -> Case:
        x, y = (coins.sharing_of(v) for v in s)
        total = [plain.mod(a + b) for a, b in zip(x, y, strict=True)]
        plain.open_to_all(total)
        return Case([x, y], total, (s[0] + s[1]) % 4)

    assert not views_differ(2, opening_sum, [(0, 3), (1, 2), (3, 0), (2, 1)])
    assert views_differ(2, opening_sum, [(0, 3), (1, 1)])


# The fast path against the twin, under the same coins.


class SessionCoins:
    """The streams of three sessions, in words as the fast path draws them."""

    def __init__(self, sessions: dict[str, Any], count: int) -> None:
        self.sessions, self.count, self.number = sessions, count, 0

    def begin(self, name: str) -> None:
        self.number += 1
        self.name, self.streams = name, {}

    def words(self, key: int, purpose: str, count: int) -> Any:
        key %= 3
        if (key, purpose) not in self.streams:
            self.streams[key, purpose] = self.sessions[NAMES[key]].prg(
                NAMES[key - 1], self.number, f"{self.name}: {purpose}"
            )
        return self.streams[key, purpose].words(count)

    def ring(self, key: int, purpose: str) -> Any:
        return self.words(key, purpose, self.count)

    def bits(self, key: int, purpose: str, planes: int) -> list[Any]:
        width = words_for(self.count)
        rows = self.words(key, purpose, planes * width).reshape(planes, width)
        return [np.unpackbits(r.view(np.uint8), bitorder="little").astype(U) for r in rows]


def random_sharing(rng: Any, values: Any) -> list[Any]:
    x0, x1 = (rng.integers(0, 2**64, values.shape, dtype=U) for _ in range(2))
    return [x0, x1, values - x0 - x1]


def fast(run_parties: Any, seed: int, program: Callable[[Party], Any]) -> Any:
    return run_parties(dict.fromkeys(NAMES, lambda s, c: program(Party(s, c, NAMES))), seed=seed)


def held(party: Party, x: list[Any]) -> Arithmetic:
    i = party.index
    return Arithmetic(x[i].copy(), x[(i + 1) % 3].copy())


def held_bits(party: Party, x: list[Any], count: int) -> Bits:
    rows = [pack(c.astype(np.bool_)).reshape(1, -1) for c in x]
    return Bits(rows[party.index], rows[(party.index + 1) % 3], (count,))


def as_bytes(what: list[Any], of_bits: bool) -> bytes:
    if of_bits:
        return b"".join(pack(w.astype(np.bool_)).tobytes() for w in what)
    return b"".join(np.ascontiguousarray(w).tobytes() for w in what)


def assert_same_messages(ran: Any, plain: Plain, of_bits: Callable[[int], bool]) -> None:
    for sender, receiver in product(range(3), repeat=2):
        expected = [
            as_bytes(what, of_bits(n))
            for n, (s, r, what) in enumerate(plain.messages)
            if (s, r) == (sender, receiver)
        ]
        assert [w for s, w in ran.views[NAMES[receiver]] if s == NAMES[sender]] == expected, (
            sender,
            receiver,
        )


FAST: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[[int], bool]]] = {
    "multiply": (
        lambda p, x, y, b: multiply.multiply(p, held(p, x), held(p, y)),
        lambda t, x, y, b: t.multiply(x, y),
        lambda n: False,
    ),
    "and": (
        lambda p, x, y, b: multiply.both(p, held_bits(p, b, len(x[0])), held_bits(p, b[::-1], len(x[0]))),
        lambda t, x, y, b: t.both([b], [b[::-1]]),
        lambda n: True,
    ),
    "msb": (lambda p, x, y, b: compare.msb(p, held(p, x)), lambda t, x, y, b: t.msb(x), lambda n: True),
    "is zero": (lambda p, x, y, b: compare.is_zero(p, held(p, x)), lambda t, x, y, b: t.is_zero(x), lambda n: True),
    "to bits": (lambda p, x, y, b: decompose.to_bits(p, held(p, x)), lambda t, x, y, b: t.to_bits(x), lambda n: True),
    "to arithmetic": (
        lambda p, x, y, b: convert.to_arithmetic(p, held_bits(p, b, len(x[0]))),
        lambda t, x, y, b: t.to_arithmetic(b),
        lambda n: False,
    ),
    "truncate": (
        lambda p, x, y, b: truncate.truncate(p, held(p, x), 13),
        lambda t, x, y, b: t.truncate(x, 13),
        lambda n: False,
    ),
    "multiply fixed": (
        lambda p, x, y, b: truncate.multiply_fixed(p, held(p, x), held(p, y), 20),
        lambda t, x, y, b: t.multiply_fixed(x, y, 20),
        lambda n: False,
    ),
    "share": (
        lambda p, x, y, b: sharing.share_from(p, 1, x[0], x[0].shape),
        lambda t, x, y, b: t.share_from(1, x[0]),
        lambda n: False,
    ),
    "open": (lambda p, x, y, b: opening.open_to_all(p, held(p, x)), lambda t, x, y, b: t.open_to_all(x), lambda n: False),
}  # fmt: skip


def both_ways(run_parties: Any, name: str, count: int, seed: int) -> tuple[Any, Plain, Any, Any]:
    quick, slow, of_bits = FAST[name]
    rng = np.random.default_rng(seed)
    x, y = (
        random_sharing(rng, rng.integers(-(2**61), 2**61, count).astype(np.int64).view(U)) for _ in range(2)
    )
    for component in x:
        component[::3] = 0
    b = [rng.integers(0, 2, count).astype(U) for _ in range(3)]
    ran = fast(run_parties, seed, lambda p: quick(p, x, y, b))
    sessions = run_parties(dict.fromkeys(NAMES, lambda s, c: s), seed=seed).values
    plain = Plain(64, SessionCoins(sessions, count))
    padded = -(-count // 64) * 64 if of_bits(0) else count
    wide = [[np.pad(c, (0, padded - count)) for c in v] for v in (x, y, b)]
    return ran, plain, slow(plain, *wide), of_bits


@pytest.mark.parametrize(
    ("name", "count"),
    [
        *product(FAST, (1, 64, 200)),
        *product(("multiply", "msb", "multiply fixed", "to arithmetic"), (17_000,)),  # several chunks
    ],
)
def test_messages_and_results_equal_the_twins(run_parties: Any, name: str, count: int) -> None:
    ran, plain, result, of_bits = both_ways(run_parties, name, count, seed=count)
    assert_same_messages(ran, plain, of_bits)
    for i, party in enumerate(NAMES):
        found = ran.values[party]
        if isinstance(found, np.ndarray):
            assert np.array_equal(found, result)
        else:
            expected = result[0] if name == "and" else result
            if name == "to bits":
                expected = [np.concatenate(planes) for planes in zip(*result, strict=True)]
            for mine, c in ((found.first, expected[i]), (found.second, expected[(i + 1) % 3])):
                c = pack(c.astype(np.bool_)) if of_bits(0) else np.broadcast_to(c, mine.shape)
                assert np.array_equal(mine.reshape(-1), c)


def without_masks(self: ZeroShares, count: int) -> Any:
    nothing = np.zeros(count, dtype=U)
    yield 0, nothing, nothing


def test_a_fast_path_without_masks_or_with_a_reused_label_is_seen(run_parties: Any, monkeypatch: Any) -> None:
    with monkeypatch.context() as m:
        m.setattr(ZeroShares, "chunks", without_masks)
        for name in ("multiply", "and", "msb", "is zero"):
            ran, plain, _, of_bits = both_ways(run_parties, name, 64, seed=5)
            with pytest.raises(AssertionError):
                assert_same_messages(ran, plain, of_bits)
    stream = Operation.stream
    with monkeypatch.context() as m:
        m.setattr(Operation, "stream", lambda self, key, purpose: stream(self, key, "same for all"))
        ran = run_parties(
            dict.fromkeys(
                NAMES, lambda s, c: compare.msb(p := Party(s, c, NAMES), held(p, [np.zeros(4, dtype=U)] * 3))
            ),
            may_fail=True,
        )
        assert "LabelReused" in {type(e).__name__ for e in ran.errors.values()}


# Sizes, and bytes that look the same for different secrets.

W = words_for(100) * 8
SIZES = {
    "multiply": [[("q", 800)], [("r", 800)], [("p", 800)]],
    "and": [[("q", W)], [("r", W)], [("p", W)]],
    "msb": [
        [("q", 63 * W), *[("q", rows * W) for rows in (61, 31, 15, 7, 3, 1)]],
        [("p", 64 * W), ("r", 63 * W), *[("r", rows * W) for rows in (61, 31, 15, 7, 3, 1)]],
        [("p", rows * W) for rows in (61, 31, 15, 7, 3, 1)],
    ],
    "is zero": [
        [("q", rows * W) for rows in (32, 16, 8, 4, 2, 1)],
        [("p", 64 * W), *[("r", rows * W) for rows in (32, 16, 8, 4, 2, 1)]],
        [("p", rows * W) for rows in (32, 16, 8, 4, 2, 1)],
    ],
    "to bits": [
        [("q", 63 * W), *[("q", rows * W) for rows in (61, 60, 58, 54, 46, 31)]],
        [("p", 64 * W), ("r", 63 * W), *[("r", rows * W) for rows in (61, 60, 58, 54, 46, 31)]],
        [("p", rows * W) for rows in (61, 60, 58, 54, 46, 31)],
    ],
    "to arithmetic": [[("q", 800)], [("p", 800), ("r", 800)], []],
    "truncate": [[("r", 800), ("r", 800)], [], [("p", 800), ("q", 1600), ("p", 800)]],
    "multiply fixed": [[("q", 800), ("r", 800), ("r", 800)], [], [("p", 800), ("q", 1600), ("p", 800)]],
    "share": [[], [], [("q", 800)]],
    "open": [[("r", 800)], [("p", 800)], [("q", 800)]],
}


@pytest.mark.parametrize("name", FAST)
def test_messages_have_the_stated_sizes_whatever_the_secrets(run_parties: Any, name: str) -> None:
    quick = FAST[name][0]
    for value in (0, 2**61 - 1):
        x = [np.full(100, value, dtype=U), np.zeros(100, dtype=U), np.zeros(100, dtype=U)]
        b = [c & U(1) for c in x]
        ran = fast(run_parties, 3, lambda p, x=x, b=b: quick(p, x, x, b))
        assert [ran.sizes(party) for party in NAMES] == SIZES[name]


def chi_square(data: bytes) -> float:
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    mean = len(data) / 256
    return float(((counts - mean) ** 2 / mean).sum())


@pytest.mark.parametrize("name", [n for n in FAST if n != "open"])
def test_received_bytes_are_uniform_for_very_different_secrets(
    run_parties: Any, monkeypatch: Any, name: str
) -> None:
    """255 degrees of freedom: 400 is exceeded once in 10^8 runs; the coins are fixed, so this cannot flicker."""
    quick = FAST[name][0]

    def worst(value: int) -> float:
        x = [np.full(640, value, dtype=U), np.zeros(640, dtype=U), np.zeros(640, dtype=U)]
        b = [c & U(1) for c in x]
        seen: dict[str, list[bytes]] = {party: [] for party in NAMES}
        for seed in range(6):
            ran = fast(run_parties, seed, lambda p: quick(p, x, x, b))
            for party in NAMES:
                seen[party] += [payload for _, payload in ran.views[party]]
        return max([chi_square(b"".join(parts)) for parts in seen.values() if parts], default=0.0)

    assert worst(0) < 400
    assert worst(2**61 - 1) < 400
    monkeypatch.setattr(ZeroShares, "chunks", without_masks)
    if name in ("multiply", "and", "msb", "is zero", "to bits"):
        assert max(worst(0), worst(2**61 - 1)) > 400
