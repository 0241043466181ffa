"""VOLE between two parties: the correlation, piece by piece; what travels; broken variants that would be noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.errors import FrameInvalid
from hefu.engine.field import add_scaled, multiply, plain
from hefu.engine.prg import Prg
from hefu.engine.psi import vole_code, vole_ggm, vole_silent
from hefu.engine.psi.vole_code import EXPANDER_WEIGHT, TAPS, Code
from hefu.engine.psi.vole_silent import DIRECT_ENTRIES, NOISE_WEIGHT, SilentReceiver, SilentSender, shape
from hefu.engine.psi.vole_small import SmallReceiver, SmallSender
from hefu.engine.session import Session
from numpy.typing import NDArray

Run = Callable[..., Any]
Words = NDArray[np.uint64]


def blocks(seed: int, *sizes: int) -> Words:
    return Prg(seed.to_bytes(16, "big")).words(2 * int(np.prod(sizes))).reshape(*sizes, 2)


def sides() -> vole_ggm.Sides:
    return vole_ggm.Sides(Session(bytes(32), "a", {"b": bytes(32)}), "b", 0, "test")


@pytest.mark.parametrize(("depth", "trees"), [(1, 1), (4, 32), (7, 5)])
def test_a_punctured_tree_lacks_one_leaf(depth: int, trees: int) -> None:
    leaves, sums = vole_ggm.grow(blocks(1, trees), depth, sides())
    choices = (blocks(2, depth, trees)[..., 0] & np.uint64(1)).astype(np.uint8)
    chosen = np.where(choices[..., None] == 1, sums[:, 1], sums[:, 0])
    partial, missing = vole_ggm.grow_punctured(choices, chosen, sides())
    expected = leaves.copy()
    expected[missing, np.arange(trees)] = 0
    assert np.array_equal(partial, expected)
    path = sum((1 - choices[level].astype(np.int64)) << level for level in range(depth))
    assert np.array_equal(missing, path)
    assert len(np.unique(leaves.reshape(-1, 2), axis=0)) == trees << depth


def small(bits: int, elements: int) -> dict[str, Any]:
    def receive(session: Session, channels: Any) -> Any:
        return SmallReceiver(session, channels["s"], 0).extend(bits, elements)

    def send(session: Session, channels: Any) -> Any:
        sender = SmallSender(session, channels["r"], 0)
        return sender.delta, *sender.extend(bits, elements)

    return {"r": receive, "s": send}


def scaled(a: Words, delta: Words) -> Words:
    out = np.zeros_like(a)
    add_scaled(out, a, delta)
    return out


@pytest.mark.parametrize(("bits", "elements"), [(0, 0), (1, 0), (0, 1), (300, 70), (128, 3)])
def test_the_small_correlation(run_parties: Run, bits: int, elements: int) -> None:
    ran = run_parties(small(bits, elements), seed=bits)
    choices, v_bits, u, v = ran.values["r"]
    delta, w_bits, w = ran.values["s"]
    assert np.array_equal(w_bits, v_bits ^ choices[:, None].astype(np.uint64) * delta)
    assert np.array_equal(w, v ^ scaled(u, delta))
    assert u.shape == (elements, 2)
    assert choices.shape == (bits,)
    words = 8 * -(-bits // 512) + 2 * elements
    assert ran.sizes("s") == [("r", 32), ("r", 4096), ("r", 31 * 8 * words)]
    assert ran.sizes("r") == [("s", 128 * 64)]


def test_random_choices_elements_and_deltas(run_parties: Run) -> None:
    ones, words = 0, []
    for seed in range(6):
        ran = run_parties(small(2000, 200), seed=seed)
        choices, v_bits, u, v = ran.values["r"]
        ones += int(choices.sum())
        words += [v_bits, u, v, ran.values["s"][0][None]]
    assert abs(ones - 6000) < 5 * 3000**0.5
    values = np.frombuffer(b"".join(w.tobytes() for w in words), dtype=np.uint8)
    counts = np.bincount(values, minlength=256)
    expected = len(values) / 256
    assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 5 * (2 * 255) ** 0.5
    assert len({w.tobytes() for w in words[3::4]}) == 6


def silent(count: int, takes: list[int]) -> dict[str, Any]:
    def receive(session: Session, channels: Any) -> Any:
        vole = SilentReceiver(session, channels["s"], count, operation=0)
        taken = [vole.take(k) for k in takes]
        return np.concatenate([a for a, _ in taken]), np.concatenate([c for _, c in taken])

    def send(session: Session, channels: Any) -> Any:
        vole = SilentSender(session, channels["r"], count, operation=0)
        return vole.delta, np.concatenate([vole.take(k) for k in takes])

    return {"r": receive, "s": send}


@pytest.mark.parametrize(
    ("count", "takes", "part"),
    [(80, [80], 0), (10, [3, 7], 0), (1500, [1, 1499], 0), (5000, [3000, 2000], 2000)],
)
def test_the_silent_correlation(
    run_parties: Run, monkeypatch: pytest.MonkeyPatch, count: int, takes: list[int], part: int
) -> None:
    if part:
        monkeypatch.setattr(vole_silent, "MAX_PART", part)
        assert shape(count).parts >= 3
    ran = run_parties(silent(count, takes))
    (a, c), (delta, b) = ran.values["r"], ran.values["s"]
    assert np.array_equal(b, c ^ scaled(a, delta))
    assert len(np.unique(a, axis=0)) == len(np.unique(c, axis=0)) == count
    counts = np.bincount(np.concatenate([a, c]).view(np.uint8).reshape(-1), minlength=256)
    expected = counts.sum() / 256
    assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 5 * (2 * 255) ** 0.5


def test_shapes_keep_the_noise_and_the_rate() -> None:
    for count in (0, 1, DIRECT_ENTRIES, DIRECT_ENTRIES + 1, 5000, 10**5, 1365216, 10**7):
        s = shape(count)
        if not s.parts:
            assert count <= DIRECT_ENTRIES
            continue
        assert s.parts * s.entries >= count
        assert s.trees >= NOISE_WEIGHT
        assert s.trees << s.depth >= 2 * s.entries
        assert s.depth <= 12
    assert 0.8**NOISE_WEIGHT < 2.0**-128


def test_the_code_is_its_definition() -> None:
    """Against Python's integers, tap by tap."""
    seed, n = bytes(range(32)), 60
    noise = blocks(9, n)
    coefficients = Prg(seed[:16]).words(3 * n).reshape(-1, 3).tolist()
    y: list[int] = []
    for i, e in enumerate(plain.to_integers(noise)):
        value = e
        low, high, bits = coefficients[i]
        if i >= TAPS:
            for j in range(2, TAPS + 1):
                value ^= y[i - j] * (bits >> (j - 2) & 1)
        if i:
            value ^= plain.product(low | high << 64, y[i - 1])
        y.append(value)
    words = Prg(seed[16:]).words((EXPANDER_WEIGHT + 1) // 2 * 30).reshape(30, -1).view(np.uint32)
    expected = []
    for row in words[:, :EXPANDER_WEIGHT].tolist():
        total = 0
        for word in row:
            total ^= y[word * n >> 32]
        expected.append(total)
    code = Code(seed, noise.copy())
    assert plain.to_integers(np.concatenate([code.take(11), code.take(19)])) == expected
    assert plain.to_integers(Code(seed, noise.copy()).take(30)) == expected


def test_the_code_is_linear_over_the_field() -> None:
    seed = bytes(32)
    one, other, factor = blocks(1, 500), blocks(2, 500), blocks(3, 1)
    many = np.repeat(factor, 500, axis=0)
    combined = Code(seed, multiply(one, many) ^ other).take(250)
    separate = multiply(Code(seed, one.copy()).take(250), many[:250]) ^ Code(seed, other.copy()).take(250)
    assert np.array_equal(combined, separate)
    side_by_side = Code(seed, np.concatenate([one, other], axis=1)).take(250)
    assert np.array_equal(side_by_side[:, :2], Code(seed, one.copy()).take(250))


def rank_over_bits(elements: Words) -> int:
    """The rank over GF(2) of (n, 2) elements as vectors of 128 bits."""
    basis: dict[int, int] = {}
    for value in plain.to_integers(elements):
        while value:
            top = value.bit_length()
            if top not in basis:
                basis[top] = value
                break
            value ^= basis[top]
    return len(basis)


def test_noise_in_few_places_does_not_show_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """60 noisy places: the outputs of a code over GF(2) span 60 dimensions, its noise stands open; with taps in the field, 128."""
    noise = np.zeros((2000, 2), dtype=np.uint64)
    noise[::34] = blocks(4, 59)
    assert rank_over_bits(Code(bytes(32), noise.copy()).take(400)) == 128

    class Binary(Prg):
        def words(self, count: int) -> Words:
            drawn = super().words(count)
            if count % 3 == 0:
                drawn.reshape(-1, 3)[:, 0] &= np.uint64(1)
                drawn.reshape(-1, 3)[:, 1] = 0
            return drawn

    monkeypatch.setattr(vole_code, "Prg", Binary)
    monkeypatch.setattr(vole_code, "_WORDS", 11)
    assert rank_over_bits(Code(bytes(32), noise.copy()).take(400)) <= 59


def test_the_tree_of_a_block_stays_closed(run_parties: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that takes both sides of the first level for the children has the whole tree, unless the pads are there."""

    def opened(seed: int) -> bool:
        ran = run_parties(silent(1500, [1500]), seed=seed)
        told = np.frombuffer(ran.views["r"][-1][1], dtype=np.uint64)
        told = told.reshape(-1, shape(1500).trees, 2)
        hashes = vole_ggm.Sides(Session(*coins(seed)), "s", 0, "silent")
        children = hashes.children(told[:2])  # (side, node, tree, 2)
        sums = np.bitwise_xor.reduce(children, axis=1)
        return bool((sums == told[2:4]).all(axis=2).any())

    assert not opened(1)
    monkeypatch.setattr(vole_silent._Keys, "pad", lambda self, x: np.zeros_like(x))
    assert opened(1)


def coins(seed: int) -> tuple[bytes, str, dict[str, bytes]]:
    """The receiver's session under fixed coins."""
    import hashlib

    def coin(*names: str) -> bytes:
        return hashlib.sha256(repr((seed, sorted(names))).encode()).digest()

    return coin(), "r", {"s": coin("r", "s")}


def test_a_noise_value_left_out_breaks_the_correlation(
    run_parties: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were w not in the last row of a part, the receiver would have the missing leaf, and the law would show it."""
    monkeypatch.setattr(SmallSender, "extend", without_w(SmallSender.extend))
    ran = run_parties(silent(1500, [1500]))
    (a, c), (delta, b) = ran.values["r"], ran.values["s"]
    assert not np.array_equal(b, c ^ scaled(a, delta))


def without_w(real: Any) -> Any:
    def extend(self: Any, bits: int, elements: int) -> Any:
        pads, w = real(self, bits, elements)
        return pads, np.zeros_like(w)

    return extend


def test_messages_are_even_and_of_fixed_size(run_parties: Run) -> None:
    views = [run_parties(silent(1500, [1500]), seed=seed) for seed in range(3)]
    s = shape(1500)
    words = 8 * -(-s.trees * s.depth // 512) + 2 * s.trees
    for ran in views:
        assert ran.sizes("r") == [("s", 8192), ("s", 16 * (2 * s.depth + 1) * s.trees)]
        assert ran.sizes("s") == [("r", 32), ("r", 4096), ("r", 31 * 8 * words)]
    for party, which in (("r", 1), ("s", 1), ("s", 2)):
        values = np.frombuffer(b"".join(ran.views[party][which][1] for ran in views), dtype=np.uint8)
        counts = np.bincount(values, minlength=256)
        expected = len(values) / 256
        assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 5 * (2 * 255) ** 0.5


def test_a_short_message_is_refused(run_parties: Run) -> None:
    def liar(session: Session, channels: Any) -> None:
        sender = SmallSender(session, channels["r"], 0)
        s = shape(1500)
        sender.extend(s.trees * s.depth, s.trees)
        channels["r"].send(bytes(100))

    ran = run_parties(silent(1500, [1500]) | {"s": liar}, may_fail=True)
    assert isinstance(ran.errors["r"], FrameInvalid)
