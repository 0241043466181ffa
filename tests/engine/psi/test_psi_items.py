"""Items and the table that finds equal ones, against Python's own hashing, dictionaries and sets."""

import hashlib

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid, LabelReused
from hefu.engine.psi import items
from hefu.engine.psi.lookup import Table
from hefu.engine.session import Session, derive_key
from hypothesis import given
from hypothesis import strategies as st

KEY = bytes(range(32))


def expected(key: bytes, kind: bytes, row: bytes) -> tuple[int, int]:
    digest = hashlib.blake2b(
        bytes(8) + row, digest_size=16, key=derive_key(key, kind), person=b"hefu psi item v1"
    ).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_strings_become_keyed_blake2b(values: list[bytes]) -> None:
    found = items.from_strings(KEY, values)
    assert found.shape == (len(values), 2)
    assert [tuple(map(int, row)) for row in found] == [
        expected(KEY, b"hefu psi item, bytes", value) for value in values
    ]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_integers_become_keyed_blake2b(values: list[int]) -> None:
    found = items.from_integers(KEY, np.array(values, dtype=np.int64))
    assert [tuple(map(int, row)) for row in found] == [
        expected(KEY, b"hefu psi item, integer", value.to_bytes(8, "little", signed=True)) for value in values
    ]


def test_the_value_counts_and_not_its_width() -> None:
    wide = items.from_integers(KEY, np.array([0, 7, 200], dtype=np.int64))
    for dtype in (np.uint8, np.int16, np.uint64):
        assert np.array_equal(items.from_integers(KEY, np.array([0, 7, 200], dtype=dtype)), wide)
    assert not (items.from_strings(KEY, ["7"]) == wide[1]).any()
    assert not (items.from_strings(KEY, [(7).to_bytes(8, "little")]) == wide[1]).any()


def test_other_keys_give_other_items() -> None:
    values = np.arange(1000)
    whole = items.from_integers(KEY, values)
    assert not np.isin(items.from_integers(bytes(32), values), whole).any()


@pytest.mark.parametrize("length", [0, 1, 7, 8, 119, 120, 121, 127, 128, 247, 248, 249, 376, 500])
def test_lengths_around_blocks(length: int) -> None:
    rows = [bytes([k]) * length for k in range(9)] + [b"x", b""]
    found = items.from_strings(KEY, rows)
    assert [tuple(map(int, row)) for row in found] == [
        expected(KEY, b"hefu psi item, bytes", row) for row in rows
    ]


def test_bad_inputs_are_refused() -> None:
    for bad in (np.zeros(3), np.zeros((2, 2), np.int64), np.array([1 << 63], np.uint64)):
        with pytest.raises(InputInvalid):
            items.from_integers(KEY, bad)
    for shape in (np.zeros((3, 3), np.uint64), np.zeros((3, 2), np.int64), np.zeros(4, np.uint64)):
        with pytest.raises(InputInvalid):
            items.require_items(shape)
    with pytest.raises(InputInvalid):
        items.from_bytes(KEY, np.empty(0, np.int64), np.empty(0, np.uint8))
    with pytest.raises(InputInvalid):
        items.from_bytes(KEY, np.array([0, 9]), np.zeros(3, np.uint8))
    with pytest.raises(InputInvalid):
        items.from_bytes(KEY, np.array([0, 3, 2]), np.zeros(3, np.uint8))


def test_both_parties_hash_under_one_key_that_a_third_does_not_have() -> None:
    pair, other = bytes(32), b"\1" * 32
    a = Session(KEY, "a", {"b": pair, "c": other})
    b = Session(KEY, "b", {"a": pair, "c": other})
    key = items.shared_key(a, "b", 4)
    assert items.shared_key(b, "a", 4) == key
    assert items.shared_key(a, "c", 4) != key
    with pytest.raises(LabelReused):
        items.shared_key(a, "b", 4)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_distinct_and_expand(rows: list[tuple[int, int]]) -> None:
    given_items = np.array(rows, dtype=np.uint64).reshape(-1, 2)
    found = items.distinct(given_items)
    kept = [tuple(map(int, row)) for row in found.items]
    assert kept == list(dict.fromkeys(rows))
    if len(kept) == len(rows):
        assert found.rows is None
    else:
        assert found.rows is not None
        assert np.array_equal(found.items[found.rows], given_items)
    wanted = set(rows[::3])
    marked = np.array([row in wanted for row in kept], dtype=bool)
    assert found.expand(marked).tolist() == [i for i, row in enumerate(rows) if row in wanted]


@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**64 - 1])), max_size=60),
    st.lists(st.tuples(st.integers(0, 3), st.just(0)), max_size=9),
)
def test_the_table_finds_the_first_row(rows: list[tuple[int, int]], asked: list[tuple[int, int]]) -> None:
    table = Table(np.array(rows, dtype=np.uint64).reshape(-1, 2))
    where: dict[tuple[int, int], int] = {}
    for i, row in enumerate(rows):
        where.setdefault(row, i)
    queries = rows[::2] + asked
    found = table.find(np.array(queries, dtype=np.uint64).reshape(-1, 2))
    assert found.tolist() == [where.get(query, -1) for query in queries]
