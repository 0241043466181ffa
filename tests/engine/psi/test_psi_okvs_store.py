"""The OKVS: what is encoded is decoded, for every size, any keys; the vector says nothing; failures are as rare as claimed."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid
from hefu.engine.prg import Prg
from hefu.engine.psi import okvs
from hefu.engine.psi.okvs_bins import BIN_KEYS, Binned, plan
from hefu.engine.psi.okvs_hash import BlockHash
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Words = NDArray[np.uint64]


def blocks(seed: int, count: int) -> Words:
    return Prg(seed.to_bytes(16, "big")).words(2 * count).reshape(-1, 2)


def built(keys: Words, values: Words, seed: int = 0) -> tuple[okvs.Rows, Words]:
    sparse = okvs.sparse_columns(len(keys))
    rows = okvs.RowHash(bytes([seed % 256]) * 32).rows(keys, sparse)
    p = okvs.encode(rows, values, sparse, Prg(seed.to_bytes(16, "little")))
    assert p is not None
    assert p.shape == (sparse + okvs.DENSE, 2)
    return rows, p


def decoded_plainly(p: Words, rows: okvs.Rows, i: int) -> tuple[int, int]:
    """The twin of `decode`: one row, column by column."""
    columns = [*rows.positions[i].tolist()]
    columns += [len(p) - okvs.DENSE + j for j in range(okvs.DENSE) if int(rows.dense[i]) >> j & 1]
    low = high = 0
    for column in columns:
        low, high = low ^ int(p[column, 0]), high ^ int(p[column, 1])
    return low, high


@pytest.mark.parametrize("n", [*range(41), 100, 1000, 5000])
def test_what_is_encoded_is_decoded(n: int) -> None:
    for seed in range(3):
        values = blocks(900 + seed, n)
        rows, p = built(blocks(seed, n), values, seed)
        assert np.array_equal(okvs.decode(p, rows), values)
        for i in range(min(n, 5)):
            assert decoded_plainly(p, rows, i) == tuple(values[i].tolist())


@given(st.sets(st.integers(0, 300), max_size=60), st.integers(0, 63), st.integers(0, 255))
@settings(max_examples=40, deadline=None)
def test_keys_that_are_close_to_each_other(found: set[int], shift: int, seed: int) -> None:
    """Small integers, shifted: keys that differ in few bits."""
    numbers = np.array(sorted(found), dtype=np.uint64)
    keys = np.stack([numbers << np.uint64(shift), numbers], axis=1)
    values = np.zeros_like(keys)  # and equal values
    rows, p = built(keys, values, seed)
    assert not okvs.decode(p, rows).any()


def test_rows_are_distinct_and_even() -> None:
    for sparse in (16, 17, 1000):
        rows = okvs.RowHash(bytes(32)).rows(blocks(1, 30000), sparse)
        ordered = np.sort(rows.positions, axis=1)
        assert (ordered[:, 0] < ordered[:, 1]).all()
        assert (ordered[:, 1] < ordered[:, 2]).all()
        assert ordered.max() < sparse
        hits = np.bincount(rows.positions.reshape(-1), minlength=sparse)
        expected = 90000 / sparse
        assert ((hits - expected) ** 2 / expected).sum() < sparse + 6 * (2 * sparse) ** 0.5


def test_a_core_is_solved_with_the_dense_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the columns that peeling needs: everything is core, and the dense columns are not enough; a little more: they are."""
    keys, values = blocks(3, 120), blocks(4, 120)
    rows = okvs.RowHash(bytes(32)).rows(keys, 40)
    assert okvs.encode(rows, values, 40, Prg(bytes(16))) is None
    rows = okvs.RowHash(bytes(32)).rows(keys, 80)
    p = okvs.encode(rows, values, 80, Prg(bytes(16)))
    assert p is not None
    assert np.array_equal(okvs.decode(p, rows), values)
    monkeypatch.setattr(okvs, "CORE_LIMIT", 10)
    assert okvs.encode(rows, values, 80, Prg(bytes(16))) is None


def test_repeated_keys_have_no_encoding() -> None:
    keys = blocks(1, 50)
    keys[7] = keys[30]
    sparse = okvs.sparse_columns(50)
    assert (
        okvs.encode(okvs.RowHash(bytes(32)).rows(keys, sparse), blocks(2, 50), sparse, Prg(bytes(16))) is None
    )


def test_the_vector_is_uniform_among_all_solutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """With uniform values every bit of P is even, whatever the keys: also those that are not free. Left unfilled they are not."""
    uneven = {}
    for name, fill in (("filled", True), ("left empty", False)):
        ones = np.zeros((okvs.sparse_columns(12) + okvs.DENSE, 128))
        runs = 300
        for seed in range(runs):
            keys = blocks(5, 12)
            rows = okvs.RowHash(bytes(32)).rows(keys, len(ones) - okvs.DENSE)
            filler = Prg(seed.to_bytes(16, "big"))
            if not fill:
                monkeypatch.setattr(filler, "fill", lambda out: out.fill(0))
            p = okvs.encode(rows, blocks(1000 + seed, 12), len(ones) - okvs.DENSE, filler)
            assert p is not None
            ones += np.unpackbits(p.view(np.uint8).reshape(len(p), 16), axis=1)
        uneven[name] = float(((ones - runs / 2) ** 2 / (runs / 4)).mean())
    assert uneven["filled"] == pytest.approx(1, abs=0.05)
    assert uneven["left empty"] > 2


def test_elimination_leaves_each_solution_equally_often() -> None:
    """The same linear step over a small space, all coins enumerated: M P = v with P0 uniform gives every solution once per free choice."""
    matrix = np.array([[0b01101], [0b10110]], dtype=np.uint64)
    for value in range(4):
        seen: Counter[int] = Counter()
        for start in range(32):
            system = matrix.copy()
            wrong = np.zeros((2, 2), dtype=np.uint64)
            for r in range(2):
                wrong[r, 0] = (bin(start & int(matrix[r, 0])).count("1") & 1) ^ (value >> r & 1)
            pivots = np.empty(2, dtype=np.int64)
            assert okvs.eliminate(system, wrong, pivots)
            p = start
            for pivot, change in zip(pivots.tolist(), wrong[:, 0].tolist(), strict=True):
                p ^= int(change) << pivot
            seen[p] += 1
        assert set(seen.values()) == {4}
        assert len(seen) == 8


def test_the_expected_number_of_dependent_sets() -> None:
    """Against enumeration for pairs and for sets of four; and small for every size in use."""
    triples = list(itertools.combinations(range(6), 3))
    masks = [sum(1 << c for c in t) for t in triples]
    pairs = sum(a == b for a in masks for b in masks) / len(masks) ** 2
    assert okvs.dependent_sets(2, 6) == pytest.approx(pairs)
    fours = sum(a ^ b ^ c == d for a in masks for b in masks for c in masks for d in masks) / len(masks) ** 4
    assert okvs.dependent_sets(4, 6) == pytest.approx(6 * pairs + fours)
    for n in (1, 2, 5, 10, 12, 13, 20, 40, 100, 300):
        assert okvs.dependent_sets(n, okvs.sparse_columns(n)) < 0.5


def test_bins_cover_all_keys_and_depend_on_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan(0).bins == plan(1).bins == plan(BIN_KEYS).bins == 1
    assert plan(BIN_KEYS + 1).bins == 2
    assert plan(10**7).size * 16 < 21.2 * 10**7
    keys = blocks(8, 40000)
    one, other = Binned(keys, 3, bytes(16)), Binned(keys, 3, bytes([1] * 16))
    assert sorted(one.order.tolist()) == list(range(40000))
    assert one.starts.tolist() != other.starts.tolist()
    for number in range(3):
        assert np.array_equal(one.keys(number), keys[one.rows(number)])
        assert abs(len(one.rows(number)) - 40000 / 3) < 600
    assert Binned(keys[:0], 3, bytes(16)).starts.tolist() == [0] * 4


def test_the_block_hash_is_aes_mmo() -> None:
    """FIPS 197, appendix C.1."""
    key = bytes(range(16))
    text = bytes.fromhex("00112233445566778899aabbccddeeff")
    cipher = bytes.fromhex("69c4e0d86a7b0430d8cdb78070b4c55a")
    block = np.frombuffer(text, dtype="<u8").astype(np.uint64)[None]
    assert BlockHash(key)(block).tobytes() == bytes(a ^ b for a, b in zip(text, cipher, strict=True))
    many = blocks(1, 10000)
    assert np.array_equal(BlockHash(key)(many)[9000:9001], BlockHash(key)(many[9000:9001]))
    in_place = many.copy()
    BlockHash(key)(in_place, out=in_place)
    assert np.array_equal(in_place, BlockHash(key)(many))


def test_wrong_lengths_are_refused() -> None:
    for action in (
        lambda: BlockHash(bytes(15)),
        lambda: okvs.RowHash(bytes(16)),
        lambda: okvs.encode(okvs.RowHash(bytes(32)).rows(blocks(1, 3), 16), blocks(1, 2), 16, Prg(bytes(16))),
    ):
        with pytest.raises(InputInvalid):
            action()
