"""SimplePIR on arrays: the owner's hint and answers, the asker's queries and decoding. No channels.

The database is a matrix D of bytes, a record within one column; A is public, from a seed. The hint is H = D A.
A query for column j is A s + e + 2^24 u_j (u_j: one at j), its answer D query, and
answer - H s = 2^24 (column j) + D e: rounding takes the noise D e away.

Hides j from the owner under LWE, given a secret s of its own for each query. An owner that answers wrongly is not
detected. The asker can decode all of column j, so it can learn the `per_column` records that lie there, not only its own.
A is expanded by AES-128 in counter mode from a public seed, as FrodoKEM does it, with AES taken for an ideal cipher.
Source: Henzinger et al., USENIX Security 2023, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid, LabelReused
from hefu.engine.pir.gauss import errors
from hefu.engine.pir.lattice_kernels import answer, dots
from hefu.engine.pir.params import DELTA_BITS, DIMENSION, Shape, choose_shape
from hefu.engine.prg import KEY_BYTES, Prg
from hefu.engine.session import Session, derive_key, encode

SEED_BYTES = 16
_BLOCK_COLUMNS = 256  # of A on the asker's side: 1 MiB, stays in the cache
_TILE = 2048  # of A and D in the hint; 128 * 2^31 * 2048 < 2^53, so doubles are exact
_HALF = np.uint32(1 << (DELTA_BITS - 1))
_SHIFT = np.uint32(DELTA_BITS)


def matrix_blocks(seed: bytes, columns: int, block: int) -> Iterator[tuple[int, NDArray[np.uint32]]]:
    """A, `block` of its rows at a time (one row per column of the database), in a buffer that is used again."""
    prg = Prg(derive_key(seed, encode(b"hefu pir matrix v1", columns.to_bytes(8, "big")), KEY_BYTES))
    buffer = np.empty((min(block, max(columns, 1)), DIMENSION), dtype="<u4")
    for start in range(0, columns, block):
        part = buffer[: min(block, columns - start)]
        prg.fill(part)
        yield start, part


@dataclass(frozen=True, slots=True)
class LatticeDatabase:
    """What the owner keeps: the columns (m, rows) as signed bytes, A's seed, and the hint (rows, 1024)."""

    shape: Shape
    cells: NDArray[np.int8]
    seed: bytes
    hint: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Hint:
    """What the asker keeps for one version of the database."""

    shape: Shape
    seed: bytes
    matrix: NDArray[np.uint32]


class QuerySecret:
    """A uniform LWE secret from the session's own coins. Good for one query: the difference of two queries under one
    secret is two small errors and both columns."""

    def __init__(self, session: Session, operation: int, number: int) -> None:
        self._words = np.empty(DIMENSION, dtype="<u4")
        session.private_prg(operation, f"pir secret {number}").fill(self._words)
        self._noise = session.private_prg(operation, f"pir error {number}")
        self._spent = False

    def spend(self, columns: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """The secret and `columns` errors, for a query; raises LabelReused the second time."""
        if self._spent:
            raise LabelReused("this secret has already made a query: draw another")
        self._spent = True
        return self._words, errors(self._noise, columns)

    @property
    def words(self) -> NDArray[np.uint32]:
        """(1024,) for decoding."""
        return self._words


def prepare(
    session: Session,
    records: NDArray[np.uint8],
    *,
    queries: int = 16,
    shape: Shape | None = None,
    operation: int = 0,
) -> LatticeDatabase:
    """The owner's preparation, once per version of the database; rows * columns * 1024 multiplications.

    records  (N, L) uint8, L >= 1; not copied when it is contiguous, writeable and fills the columns
    queries  how many are expected of this version: decides the shape, unless it is given
    """
    if records.ndim != 2 or records.dtype != np.uint8:
        raise InputInvalid("a database is an array of bytes, one row per record")
    count, width = records.shape
    shape = choose_shape(count, width, queries) if shape is None else shape
    if (shape.records, shape.record_bytes) != (count, width):
        raise InputInvalid("the shape is one of another database")
    if count == shape.columns * shape.per_column:
        cells = np.require(np.asarray(records), requirements=["C", "W"])
    else:
        cells = np.zeros((shape.columns * shape.per_column, width), dtype=np.uint8)
        cells[:count] = records
    matrix = cells.view(np.int8).reshape(shape.columns, shape.rows)
    seed = session.key(session.party, operation, "pir matrix seed", SEED_BYTES)
    return LatticeDatabase(shape, matrix, seed, _hint(matrix, seed))


def _hint(cells: NDArray[np.int8], seed: bytes) -> NDArray[np.uint32]:
    """D A mod 2^32, through products of doubles that are exact in any order of summation."""
    columns, rows = cells.shape
    hint = np.zeros((rows, DIMENSION), dtype=np.uint32)
    for start, block in matrix_blocks(seed, columns, _TILE):
        words = block.view(np.int32).astype(np.float64)
        for row in range(0, rows, _TILE):
            tile = cells[start : start + len(block), row : row + _TILE].astype(np.float64)
            hint[row : row + _TILE] += (tile.T @ words).astype(np.int64).astype(np.uint32)
    return hint


def encrypt(
    seed: bytes, columns: int, wanted: Sequence[int], secrets: Sequence[QuerySecret]
) -> NDArray[np.uint32]:
    """(k, columns): one query per wanted column, each under a secret of its own.

    raises  InputInvalid for a column out of range, LabelReused for a secret that has made a query
    """
    if len(wanted) != len(secrets) or any(not 0 <= column < columns for column in wanted):
        raise InputInvalid(f"one secret per wanted column, and columns between 0 and {columns - 1}")
    queries = np.zeros((len(wanted), columns), dtype=np.uint32)
    words = []
    for k, secret in enumerate(secrets):
        secret_words, queries[k] = secret.spend(columns)
        words.append(secret_words)
        queries[k, wanted[k] : wanted[k] + 1] += np.uint32(
            1 << DELTA_BITS
        )  # a slice: wraps without a warning
    for start, block in matrix_blocks(seed, columns, _BLOCK_COLUMNS):
        for k in range(len(wanted)):
            dots(block, words[k], queries[k, start : start + len(block)])
    return queries


def respond(database: LatticeDatabase, queries: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """(k, rows): D times each query, mod 2^32, in one pass over the database."""
    if queries.ndim != 2 or queries.shape[1] != database.shape.columns or queries.dtype != np.uint32:
        raise InputInvalid("queries have one word per column")
    answers = np.zeros((len(queries), database.shape.rows), dtype=np.uint32)
    answer(database.cells, np.require(queries, requirements=["C", "W"]), answers)
    return answers


def decode(
    hint: Hint, answers: NDArray[np.uint32], secrets: Sequence[QuerySecret], start: Sequence[int], count: int
) -> NDArray[np.uint8]:
    """(k, count): the bytes start[k] .. start[k] + count of each wanted column."""
    out = np.empty((len(secrets), count), dtype=np.uint8)
    for k, secret in enumerate(secrets):
        rows = slice(start[k], start[k] + count)
        mask = np.zeros(count, dtype=np.uint32)
        dots(hint.matrix[rows], secret.words, mask)
        out[k] = (answers[k, rows] - mask + _HALF) >> _SHIFT
    return out
