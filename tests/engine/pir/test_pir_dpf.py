"""Distributed point functions: the law, the twin, and what one key alone shows."""

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid
from hefu.engine.pir import dpf
from hefu.engine.pir.scan import as_words, scan
from hefu.engine.prg import Prg
from hypothesis import given, settings
from hypothesis import strategies as st

MMO = dpf.Mmo(b"a public key 16b")


def generate(points: int, wanted: list[int], seed: int = 0) -> tuple[dpf.DpfKeys, dpf.DpfKeys]:
    coins = Prg(seed.to_bytes(16, "big"))
    return dpf.generate(MMO, points, np.array(wanted, dtype=np.uint64), coins)


def bits(words: np.ndarray, points: int) -> np.ndarray:
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :points]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 3000), st.integers(0, 2**32), st.data())
def test_shares_xor_to_the_point_function(points: int, seed: int, data) -> None:
    wanted = data.draw(st.lists(st.integers(0, points - 1), min_size=1, max_size=4))
    left, right = generate(points, wanted, seed)
    total = dpf.evaluate_all(MMO, left, points) ^ dpf.evaluate_all(MMO, right, points)
    expected = np.zeros((len(wanted), points), dtype=np.uint8)
    expected[np.arange(len(wanted)), wanted] = 1
    assert (bits(total, points) == expected).all()
    assert not np.unpackbits(total.view(np.uint8), axis=1, bitorder="little")[:, points:].any()


@pytest.mark.parametrize("points", [1, 127, 128, 129, 1000, 1025])
def test_full_evaluation_equals_the_twin(points: int) -> None:
    for keys in generate(points, [points - 1, 0]):
        fast = bits(dpf.evaluate_all(MMO, keys, points), points)
        step = max(points // 60, 1)
        for row in range(2):
            assert [dpf.evaluate_plain(MMO, keys, row, p) for p in range(0, points, step)] == fast[
                row, ::step
            ].tolist()


def test_keys_travel(session_of) -> None:
    for points in (1, 128, 5000):
        for keys in generate(points, [0, points - 1]):
            sent = keys.to_bytes()
            assert sent.shape == (2, dpf.key_bytes(points))
            back = dpf.DpfKeys.from_bytes(sent, points)
            assert (back.to_bytes() == sent).all()
            assert (dpf.evaluate_all(MMO, back, points) == dpf.evaluate_all(MMO, keys, points)).all()


def test_bits_that_are_no_bits_are_refused() -> None:
    sent = generate(5000, [1, 2])[0].to_bytes()
    for at, value in ((16, 2), (33, 4)):
        broken = sent.copy()
        broken[1, at] = value
        with pytest.raises(InputInvalid, match="no bits"):
            dpf.DpfKeys.from_bytes(broken, 5000)


def test_positions_out_of_range_are_refused() -> None:
    with pytest.raises(InputInvalid):
        generate(10, [10])
    with pytest.raises(InputInvalid):
        generate(0, [0])


def test_one_key_is_uniform_whatever_the_point(distance, unevenness) -> None:
    points, seeds = 5000, range(300)
    for side in (0, 1):
        first = [generate(points, [0], s)[side].to_bytes() for s in seeds]
        second = [generate(points, [points - 1], 9000 + s)[side].to_bytes() for s in seeds]
        assert distance(np.array(first).tobytes(), np.array(second).tobytes()) < 4
        blocks = [np.concatenate((k[0, :16], k[0, 18:33], k[0, -16:])) for k in first]
        assert unevenness(np.array(blocks).tobytes()) < 4  # byte 17 carries a bit that is always zero
        flags = np.array(first)[:, 0, 33:-16:17]
        assert (abs(np.bincount(flags.ravel(), minlength=4) / flags.size - 0.25) < 0.03).all()


def test_one_share_of_the_bits_is_even_whatever_the_point() -> None:
    points = 1024
    for point in (0, points - 1):
        ones = np.zeros(points)
        for seed in range(200):
            ones += bits(dpf.evaluate_all(MMO, generate(points, [point], seed)[0], points), points)[0]
        assert abs(ones[point] - 100) < 5 * np.sqrt(50)
        assert abs(ones.mean() - 100) < 2


def test_an_unmasked_last_correction_is_seen(distance, unevenness, monkeypatch: pytest.MonkeyPatch) -> None:
    call = dpf.Mmo.__call__

    def bare(self: dpf.Mmo, which: int, seeds: np.ndarray) -> np.ndarray:
        return np.zeros_like(seeds) if which == 2 else call(self, which, seeds)

    monkeypatch.setattr(dpf.Mmo, "__call__", bare)
    last = [generate(5000, [0], s)[0].to_bytes()[0, -16:] for s in range(300)]
    other = [generate(5000, [4999], s)[0].to_bytes()[0, -16:] for s in range(300)]
    assert unevenness(np.array(last).tobytes()) > 100
    assert distance(np.array(last).tobytes(), np.array(other).tobytes()) > 10


def test_an_unmasked_seed_correction_is_seen() -> None:
    """A correction that is one server's losing seed alone would let that server see where the path goes."""
    points = 1000

    def path_is_visible(keys: dpf.DpfKeys, corrections: np.ndarray) -> bool:
        left, right, *_ = MMO.children(keys.roots)
        return bool((left == corrections[:, 0]).all() or (right == corrections[:, 0]).all())

    keys, _ = generate(points, [7])
    assert not path_is_visible(keys, keys.corrections)
    _, right, *_ = MMO.children(keys.roots)
    broken = keys.corrections.copy()
    broken[:, 0] = right  # the point lies left: `lose` of one server, without the other's
    assert path_is_visible(keys, broken)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 600), st.integers(1, 90), st.integers(0, 3), st.integers(0, 2**32))
def test_scan_equals_plain_xor(records: int, width: int, queries: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 256, (records, width), dtype=np.uint8)
    chosen = rng.integers(0, 2, (queries, records), dtype=np.uint8)
    padded = np.zeros((queries, -(-records // 128) * 128 or 128), dtype=np.uint8)
    padded[:, :records] = chosen
    words = np.packbits(padded, axis=1, bitorder="little").view(np.uint64)
    made = scan(as_words(data), words).view(np.uint8)[:, :width]
    for k in range(queries):
        assert (made[k] == np.bitwise_xor.reduce(data[chosen[k] == 1], axis=0)).all()
