"""Single-server retrieval by position: laws, noise, refusals."""

import math
import struct

import numpy as np
import pytest
from hefu.engine.errors import EngineError, FrameInvalid, InputInvalid, LabelReused
from hefu.engine.pir import lattice, single
from hefu.engine.pir.gauss import _table
from hefu.engine.pir.params import (
    DELTA_BITS,
    DIMENSION,
    MAX_COLUMNS,
    SIGMA,
    Shape,
    choose_shape,
    failure_bits,
)
from hypothesis import given, settings
from hypothesis import strategies as st

RNG = np.random.default_rng(20230809)


def database(records: int, width: int) -> np.ndarray:
    data = RNG.integers(0, 256, (records, width), dtype=np.uint8)
    if records:
        data[0] = 0x80  # the most negative digits
        data[-1] = 0xFF
    return data


def run(run_parties, data, positions, *, shape=None, seed=0):
    def owner(session, channels):
        prepared = lattice.prepare(session, data, shape=shape, queries=max(len(positions), 1))
        single.serve_hint(session, channels["asker"], prepared)
        return single.serve_queries(session, channels["asker"], prepared)

    def asker(session, channels):
        hint = single.fetch_hint(session, channels["owner"])
        return single.retrieve(session, channels["owner"], hint, positions)

    return run_parties({"owner": owner, "asker": asker}, seed=seed)


@pytest.mark.parametrize(
    ("records", "width", "per_column"),
    [(1, 1, 1), (1, 40, 1), (2, 3, 2), (7, 5, 3), (17, 1, 1), (300, 8, 4), (1000, 33, 13), (64, 600, 1)],
)
def test_retrieved_equals_plaintext(run_parties, records: int, width: int, per_column: int) -> None:
    data = database(records, width)
    positions = [0, records - 1, records // 2, *RNG.integers(0, records, 7).tolist()]
    ran = run(run_parties, data, positions, shape=Shape(records, width, per_column))
    assert (ran.values["asker"] == data[positions]).all()
    assert ran.values["owner"] == len(positions)


def test_no_query_and_an_empty_database(run_parties) -> None:
    assert run(run_parties, database(5, 3), []).values["asker"].shape == (0, 3)
    assert run(run_parties, np.empty((0, 3), dtype=np.uint8), []).values["asker"].shape == (0, 3)
    with pytest.raises(InputInvalid, match="0 records"):
        run(run_parties, np.empty((0, 3), dtype=np.uint8), [0])


@settings(deadline=None, max_examples=40)
@given(columns=st.integers(1, 40), rows=st.integers(1, 70), queries=st.integers(1, 5), data=st.data())
def test_kernels_equal_plain_products(columns: int, rows: int, queries: int, data) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    cells = rng.integers(-128, 128, (columns, rows), dtype=np.int8)
    asked = rng.integers(0, 2**32, (queries, columns), dtype=np.uint32)
    shape = Shape(columns, rows, 1)
    made = lattice.respond(lattice.LatticeDatabase(shape, cells, b"", np.zeros((0, 0), np.uint32)), asked)
    expected = asked.astype(object) @ cells.astype(object) % 2**32
    assert (made == expected.astype(np.uint32)).all()
    sums = np.ones(queries, dtype=np.uint32)
    lattice.dots(asked, asked[0].copy(), sums)
    assert (sums == (asked.astype(object) @ asked[0].astype(object) + 1) % 2**32).all()


def test_a_query_equals_its_plain_twin(session_of) -> None:
    columns, seed = 300, b"seed of a matrix"
    made = lattice.encrypt(seed, columns, [299], [lattice.QuerySecret(session_of(8), 2, 5)])
    coins = session_of(8)
    secret = coins.private_prg(2, "pir secret 5").words(DIMENSION // 2).view(np.uint32)
    table = [int(entry) for entry in _table()]
    query = []
    ((_, matrix),) = lattice.matrix_blocks(seed, columns, columns)
    noise = coins.private_prg(2, "pir error 5").words(columns).tolist()
    for column in range(columns):
        size = sum(noise[column] % 2**63 >= entry for entry in table)
        error = -size if noise[column] >> 63 else size
        product = sum(a * s for a, s in zip(matrix[column].tolist(), secret.tolist(), strict=True))
        query.append((product + error + (column == 299) * 2**DELTA_BITS) % 2**32)
    assert made[0].tolist() == query


def test_hint_is_exact_for_the_largest_digits(session_of) -> None:
    data = np.full((4100, 3), 0x80, dtype=np.uint8)  # more than two tiles of columns
    made = lattice.prepare(session_of(1), data, shape=Shape(4100, 3, 1))
    total = np.zeros(DIMENSION, dtype=np.uint64)
    for _, block in lattice.matrix_blocks(made.seed, 4100, 1000):
        total += block.astype(np.uint64).sum(axis=0)
    expected = (np.uint64(2**64 - 128) * total).astype(np.uint32)
    assert (made.hint == expected).all()


def test_sums_of_a_tile_are_exact_doubles() -> None:
    assert 128 * 2**31 * lattice._TILE < 2**53


def test_noise_keeps_within_the_computed_bound(session_of) -> None:
    columns, rows = 1 << 14, 64
    data = RNG.integers(0, 256, (columns, rows), dtype=np.uint8)
    data[:, :8] = 0x80
    made = lattice.prepare(session_of(2), data, shape=Shape(columns, rows, 1))
    secrets = [lattice.QuerySecret(session_of(3), 0, k) for k in range(20)]
    queries = lattice.encrypt(made.seed, columns, [5] * 20, secrets)
    answers = lattice.respond(made, queries)
    masks = np.array([made.hint.astype(np.uint64) @ s.words.astype(np.uint64) for s in secrets])
    exact = made.cells[5].astype(np.int64) << DELTA_BITS
    noise = (answers - masks.astype(np.uint32) - exact.astype(np.uint32)).view(np.int32).astype(float)
    norms = np.sqrt((made.cells.astype(float) ** 2).sum(axis=0))
    ratio = noise / (SIGMA * norms)
    assert 0.9 < ratio.std() < 1.1
    assert abs(ratio).max() < 6
    worst = 128 * SIGMA * math.sqrt(columns)
    assert 6 * worst < 2 ** (DELTA_BITS - 1) / 5  # the margin at this size


def test_failure_bound_covers_every_allowed_size() -> None:
    assert failure_bits(MAX_COLUMNS, 1 << 20) > 50
    assert failure_bits(1 << 16, 1 << 30) > 900
    assert failure_bits(0) == math.inf
    assert failure_bits(1 << 21) < failure_bits(1 << 20)


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 5000), st.integers(1, 10**5))
def test_chosen_shapes_hold_the_database(records: int, width: int, queries: int) -> None:
    shape = choose_shape(records, width, queries)
    assert shape.columns * shape.per_column >= records
    assert shape.columns <= MAX_COLUMNS


def test_a_secret_serves_one_query(session_of) -> None:
    session = session_of(4)
    secret = lattice.QuerySecret(session, 0, 0)
    lattice.encrypt(b"s" * 16, 10, [3], [secret])
    with pytest.raises(LabelReused, match="draw another"):
        lattice.encrypt(b"s" * 16, 10, [4], [secret])
    with pytest.raises(LabelReused):
        lattice.QuerySecret(session, 0, 0)


def test_one_operation_asks_once(run_parties) -> None:
    data = database(20, 4)

    def owner(session, channels):
        prepared = lattice.prepare(session, data)
        single.serve_hint(session, channels["asker"], prepared)
        for _ in range(2):
            single.serve_queries(session, channels["asker"], prepared)

    def asker(session, channels):
        hint = single.fetch_hint(session, channels["owner"])
        single.retrieve(session, channels["owner"], hint, [1], operation=7)
        single.retrieve(session, channels["owner"], hint, [2], operation=7)

    ran = run_parties({"owner": owner, "asker": asker}, may_fail=True)
    assert isinstance(ran.errors["asker"], LabelReused)


@pytest.mark.parametrize("bad", [-1, 20])
def test_positions_out_of_range_are_refused(run_parties, bad: int) -> None:
    with pytest.raises(InputInvalid, match="positions from 0 to 19"):
        run(run_parties, database(20, 4), [bad])


def test_shapes_out_of_range_are_refused() -> None:
    with pytest.raises(InputInvalid, match="more records in a column"):
        Shape(MAX_COLUMNS + 1, 1, 1)
    with pytest.raises(InputInvalid):
        Shape(1, 0, 1)
    with pytest.raises(InputInvalid, match="array of bytes"):
        lattice.prepare(None, np.zeros((2, 2)))  # type: ignore[arg-type]


HEADERS = [
    b"",
    b"x" * 39,
    struct.pack("<QQQ16s", 10, 0, 1, b""),
    struct.pack("<QQQ16s", 10, 1, 0, b""),
    struct.pack("<QQQ16s", 2**63, 1, 1, b""),
    struct.pack("<QQQ16s", 10, 2**60, 1, b""),
]


@pytest.mark.parametrize("header", HEADERS)
def test_an_owner_with_an_impossible_database_is_refused(run_parties, header: bytes) -> None:
    ran = run_parties(
        {
            "owner": lambda session, channels: channels["asker"].send(header),
            "asker": lambda session, channels: single.fetch_hint(session, channels["owner"]),
        },
        may_fail=True,
    )
    assert isinstance(ran.errors["asker"], FrameInvalid)
    assert "owner" in str(ran.errors["asker"])


@pytest.mark.parametrize(
    "frames",
    [
        [b"1"],
        [struct.pack("<Q", 2**40)],
        [struct.pack("<Q", 1), bytes(76)],
        [struct.pack("<Q", 2), bytes(80)],
    ],
)
def test_an_asker_with_wrong_shapes_is_refused(run_parties, frames: list[bytes]) -> None:
    def owner(session, channels):
        prepared = lattice.prepare(session, database(20, 4), shape=Shape(20, 4, 1))
        single.serve_queries(session, channels["asker"], prepared)

    def asker(session, channels):
        for frame in frames:
            channels["owner"].send(frame)
        channels["owner"].recv(10)

    ran = run_parties({"owner": owner, "asker": asker}, may_fail=True)
    assert isinstance(ran.errors["owner"], FrameInvalid)


def test_an_answer_of_another_length_is_refused(run_parties) -> None:
    def owner(session, channels):
        single.serve_hint(session, channels["asker"], lattice.prepare(session, database(20, 4)))
        channels["asker"].recv(1 << 20)
        channels["asker"].recv(1 << 20)
        channels["asker"].send(b"short")

    def asker(session, channels):
        hint = single.fetch_hint(session, channels["owner"])
        return single.retrieve(session, channels["owner"], hint, [3])

    ran = run_parties({"owner": owner, "asker": asker}, may_fail=True)
    assert isinstance(ran.errors["asker"], EngineError)
