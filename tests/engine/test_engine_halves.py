"""Halves and references: exact bytes, and nothing but a typed error for anything else."""

import os

import numpy as np
import pytest
from hefu.engine.errors import HalfInvalid, InputInvalid, ResultInvalid
from hefu.engine.halves import Half, open_halves
from hefu.engine.refs import pack, unpack
from hypothesis import given
from hypothesis import strategies as st


def words(n: int) -> np.ndarray:
    return np.frombuffer(os.urandom(8 * n), dtype="<u8")


def a_half(pairs: int = 2, singles: int = 3, conflicts: int = 1, node: int = 0, reveal: bool = False) -> Half:
    refs = words(2 * pairs).reshape(pairs, 2)
    return Half(b"s" * 32, b"d" * 32, node, reveal, refs, words(pairs), words(singles), words(conflicts))


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.sampled_from([0, 2]), st.booleans())
def test_reading_reverses_writing(pairs: int, singles: int, conflicts: int, node: int, reveal: bool) -> None:
    half = a_half(pairs, singles, conflicts, node, reveal)
    data = half.to_bytes()
    again = Half.from_bytes(data)
    assert again.to_bytes() == data
    assert (again.node, again.reveal, again.session_id) == (node, reveal, half.session_id)
    for name in ("pair_refs", "pair_values", "single_refs", "conflict_refs"):
        assert np.array_equal(getattr(again, name), getattr(half, name))


def test_every_truncation_and_extension_is_refused() -> None:
    data = a_half().to_bytes()
    for cut in range(len(data)):
        with pytest.raises(HalfInvalid):
            Half.from_bytes(data[:cut])
    with pytest.raises(HalfInvalid):
        Half.from_bytes(data + b"\0")


def test_every_flipped_header_bit_is_refused_or_seen_in_the_fields() -> None:
    half = a_half()
    data = half.to_bytes()
    for place in range(104):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            try:
                read = Half.from_bytes(bytes(changed))
            except HalfInvalid:
                continue
            assert 8 <= place < 74  # only session id, digest, node and reveal may differ and still be a half
            assert read.to_bytes() == bytes(changed)


@given(st.binary(max_size=300))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(HalfInvalid):
        Half.from_bytes(data)


def test_a_half_over_the_limit_is_refused() -> None:
    data = a_half(2, 3, 1).to_bytes()
    assert Half.from_bytes(data, max_rows=8)
    with pytest.raises(HalfInvalid, match="more than 7"):
        Half.from_bytes(data, max_rows=7)


def test_counts_that_overflow_are_refused() -> None:
    data = bytearray(a_half(0, 0, 0).to_bytes())
    data[80:88] = b"\xff" * 8
    with pytest.raises(HalfInvalid):
        Half.from_bytes(bytes(data))


def test_halves_open_to_what_was_shared() -> None:
    first = a_half(3, 2, 1, 0)
    refs, singles, conflicts = words(6).reshape(3, 2), words(2), words(1)
    values = first.pair_values.copy()
    values[1] += np.uint64(1)
    second = Half(
        b"s" * 32,
        b"d" * 32,
        2,
        False,
        refs - first.pair_refs,
        values,
        singles - first.single_refs,
        conflicts - first.conflict_refs,
    )
    opened = open_halves(first, second)
    assert np.array_equal(opened.pair_refs, refs)
    assert np.array_equal(opened.single_refs, singles)
    assert np.array_equal(opened.conflict_refs, conflicts)
    assert opened.equal.tolist() == [True, False, True]
    assert not opened.difference.any()


@pytest.mark.parametrize(
    "spoil", ["nodes", "swapped", "session", "digest", "reveal", "pairs", "singles", "values"]
)
def test_halves_that_do_not_belong_together_are_refused(spoil: str) -> None:
    first, second = a_half(2, 3, 1, 0), a_half(2, 3, 1, 2)
    fields = {name: getattr(second, name) for name in Half.__slots__}
    if spoil == "swapped":
        first, fields = a_half(2, 3, 1, 2), {name: getattr(first, name) for name in Half.__slots__}
    elif spoil == "values":
        first = Half(**{n: getattr(first, n) for n in Half.__slots__} | {"pair_values": words(1)})
        fields["pair_values"] = words(1)
    else:
        changes = {
            "nodes": {"node": 0},
            "session": {"session_id": bytes(32)},
            "digest": {"join_digest": bytes(32)},
            "reveal": {"reveal": True},
            "pairs": {"pair_refs": words(6).reshape(3, 2), "pair_values": words(3)},
            "singles": {"single_refs": words(4)},
        }
        fields |= changes[spoil]
    with pytest.raises(ResultInvalid):
        open_halves(first, Half(**fields))


@given(st.booleans(), st.integers(0, 65535), st.lists(st.tuples(st.booleans(), st.integers(1, 2**40 - 1))))
def test_references_come_apart_as_they_were_packed(
    bank: bool, batch: int, rows: list[tuple[bool, int]]
) -> None:
    transit = np.array([t for t, _ in rows], dtype=bool)
    numbers = np.array([r for _, r in rows], dtype=np.uint64)
    got = unpack(pack(bank, transit, batch, numbers))
    assert (got.second_side == bank).all()
    assert np.array_equal(got.transit, transit)
    assert (got.batch == batch).all()
    assert np.array_equal(got.row, numbers.astype(np.int64))


@pytest.mark.parametrize(("batch", "row"), [(-1, 1), (65536, 1), (0, 0), (0, 2**40)])
def test_references_refuse_what_does_not_fit(batch: int, row: int) -> None:
    with pytest.raises(InputInvalid):
        pack(False, np.zeros(1, dtype=bool), batch, np.array([row], dtype=np.uint64))


@pytest.mark.parametrize("word", [1 << 58, 1 << 63, 0, 1 << 56])
def test_references_with_reserved_bits_or_row_zero_are_refused(word: int) -> None:
    with pytest.raises(ResultInvalid):
        unpack(np.array([word | (1 if word == 1 << 63 else 0)], dtype=np.uint64))
