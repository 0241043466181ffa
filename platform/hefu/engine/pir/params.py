"""Parameters of SimplePIR, and how likely an answer is to decode to a wrong byte.

Plain LWE with n = 1024, q = 2^32, errors from the discrete Gaussian with sigma = 6.4, uniform secrets: 128 bits of
security for up to 2^20 columns by the paper's estimate (section 4.2, table of plaintext moduli p: 991 at 2^13 columns,
294 at 2^20, 247 at 2^21). We take p = 256 throughout: a digit is a byte, nothing is re-coded, and the table's bound
holds for up to 2^20 columns. Bytes are read as signed (-128..127), which halves the noise.
Source: Henzinger, Hong, Corrigan-Gibbs, Meiklejohn, Vaikuntanathan, "One server for the price of two: simple and fast
single-server private information retrieval", USENIX Security 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hefu.engine.errors import InputInvalid

DIMENSION = 1024
SIGMA = 6.4
MAX_COLUMNS = 1 << 20
WORD_BYTES = 4
DELTA_BITS = 24  # q / p = 2^24
LARGEST_DIGIT = 128


@dataclass(frozen=True, slots=True)
class Shape:
    """A database as a matrix of bytes: `columns` columns of `per_column` records below one another.

    Record i is number i % per_column of column i // per_column: a column is a run of the owner's own array.
    """

    records: int
    record_bytes: int
    per_column: int

    def __post_init__(self) -> None:
        if self.records < 0 or self.record_bytes < 1 or self.per_column < 1:
            raise InputInvalid("a database has records of at least one byte, at least one to a column")
        if self.columns > MAX_COLUMNS:
            raise InputInvalid(
                f"{self.columns} columns, over the {MAX_COLUMNS} for which the parameters are secure and exact:"
                " put more records in a column"
            )

    @property
    def columns(self) -> int:
        """m, the length of a query."""
        return -(-self.records // self.per_column)

    @property
    def rows(self) -> int:
        """The length of an answer: the bytes of one column."""
        return self.per_column * self.record_bytes

    @property
    def hint_bytes(self) -> int:
        """Downloaded once per version of the database."""
        return self.rows * DIMENSION * WORD_BYTES

    @property
    def query_bytes(self) -> int:
        """Asker to owner, per query."""
        return self.columns * WORD_BYTES

    @property
    def answer_bytes(self) -> int:
        """Owner to asker, per query."""
        return self.rows * WORD_BYTES


def choose_shape(records: int, record_bytes: int, queries: int = 16) -> Shape:
    """The shape that moves the fewest bytes in all, hint included, when `queries` are asked of one version.

    hint + queries (up + down) = 4 rows (1024 + queries) + 4 queries S / rows is least at
    rows = sqrt(queries S / (1024 + queries)), S the bytes of the database.
    """
    if record_bytes < 1 or queries < 1:
        raise InputInvalid("records have at least one byte, and at least one query is planned")
    rows = math.sqrt(queries * max(records, 1) * record_bytes / (DIMENSION + queries))
    least = max(-(-records // MAX_COLUMNS), 1)
    per_column = min(max(round(rows / record_bytes), least), max(records, 1))
    return Shape(records, record_bytes, per_column)


def failure_bits(columns: int, digits: int = 1) -> float:
    """b such that any of `digits` bytes decodes wrongly with probability at most 2^-b.

    The noise of a byte is sum d_i e_i, |d_i| <= 128; the discrete Gaussian is sub-Gaussian with its own sigma
    (Micciancio, Peikert, EUROCRYPT 2012, lemma 2.8), so P(|noise| >= t) <= 2 exp(-t^2 / (2 sigma^2 128^2 m)), and a
    byte is wrong only when |noise| >= 2^23.
    """
    if not columns:
        return math.inf
    exponent = 2.0 ** (2 * DELTA_BITS - 2) / (2 * SIGMA**2 * LARGEST_DIGIT**2 * columns)
    return exponent / math.log(2) - 1 - math.log2(max(digits, 1))
