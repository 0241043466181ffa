"""Oblivious key-value store: a vector P of field elements, linear in its values, with decode(P, key_i) = value_i.

A key's row has three ones among `sparse` columns and a random bit in each of 64 dense columns; decoding adds what the
row selects. Encoding peels columns that one row alone touches; the rest of the rows (the 2-core, mostly empty) are
solved together with the dense columns by Gaussian elimination. All that the values leave open is filled from `filler`:
then P is uniform among the solutions, and with uniform values uniform altogether: it says nothing about the keys.

Encoding fails when rows are linearly dependent, or when the core is over CORE_LIMIT rows; then another row key is
tried. The first has probability below 2^-64 times the expected number of dependent sets of sparse parts
(`dependent_sets`: under 1 for every n, 2^-13 at n = 2^14). The second: peeling works while a bin's rows stay under
0.818 of its columns; with expansion 1.30 that is ten standard deviations away (docs/protocols/psi-okvs-dealer.md).
Sources: Garimella, Pinkas, Rosulek, Trieu, Yanai, CRYPTO 2021 (three positions and dense columns); Raghuraman, Rindal,
"Blazing fast PSI", CCS 2022, sections 3 and 4; Molloy, "The pure literal rule threshold", SODA 2004.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import EngineError, InputInvalid
from hefu.engine.prg import Prg
from hefu.engine.psi.okvs_hash import BlockHash
from hefu.engine.psi.okvs_kernels import add_selected, back_substitute, eliminate, locate, peel, tabulate

DENSE = 64
EXPANSION = 1.30
MIN_SPARSE = 16
CORE_LIMIT = 4096


class OkvsFailed(EngineError):
    """No row key worked: happens by chance less than once in 2^40, or when keys repeat."""

    code = "okvs_failed"


def sparse_columns(keys: int) -> int:
    """How many sparse columns serve so many keys."""
    return max(MIN_SPARSE, math.ceil(EXPANSION * keys))


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of n keys.

    positions  (n, 3) uint32, distinct within a row, under `sparse`
    dense      (n,) uint64, bit j selects dense column j
    """

    positions: NDArray[np.uint32]
    dense: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.dense)


class RowHash:
    """Which columns a key touches, under a row key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise InputInvalid("a row key has 32 bytes")
        self._first, self._second = BlockHash(key[:16]), BlockHash(key[16:])

    def rows(self, keys: NDArray[np.uint64], sparse: int) -> Rows:
        """The rows of (n, 2) keys among `sparse` columns."""
        n = len(keys)
        rows = Rows(np.empty((n, 3), dtype=np.uint32), np.empty(n, dtype=np.uint64))
        locate(self._first(keys), self._second(keys), np.uint64(sparse), rows.positions, rows.dense)
        return rows


def encode(rows: Rows, values: NDArray[np.uint64], sparse: int, filler: Prg) -> NDArray[np.uint64] | None:
    """P (sparse + 64, 2) with decode(P, rows[i]) = values[i], uniform among all such; None when there is none.

    values  (n, 2) uint64
    """
    n = len(rows)
    if values.shape != (n, 2) or values.dtype != np.uint64:
        raise InputInvalid("an OKVS maps n keys to n values of 128 bits")
    p = np.empty((sparse + DENSE, 2), dtype=np.uint64)
    filler.fill(p)
    order = np.empty((n, 2), dtype=np.uint32)
    is_core = np.ones(n, dtype=np.bool_)
    peeled = peel(rows.positions, sparse, order, is_core)
    if peeled < n and not _solve_core(rows, values, np.flatnonzero(is_core), sparse, p):
        return None
    back_substitute(rows.positions, rows.dense, values, order[:peeled], tabulate(p[sparse:]), p)
    return p


def decode(p: NDArray[np.uint64], rows: Rows, out: NDArray[np.uint64] | None = None) -> NDArray[np.uint64]:
    """What P (sparse + 64, 2) holds for each row: (n, 2)."""
    result = np.empty((len(rows), 2), dtype=np.uint64) if out is None else out
    result[:] = 0
    add_selected(p, rows.positions, rows.dense, tabulate(p[-DENSE:]), result)
    return result


def _solve_core(
    rows: Rows, values: NDArray[np.uint64], core: NDArray[np.int64], sparse: int, p: NDArray[np.uint64]
) -> bool:
    """Change P on the core's columns and the dense ones until the core's rows hold their values."""
    if len(core) > CORE_LIMIT:
        return False
    some = Rows(rows.positions[core], rows.dense[core])
    wrong = decode(p, some) ^ values[core]
    columns, local = np.unique(some.positions, return_inverse=True)
    width = len(columns) + DENSE
    bits = np.zeros((len(core), width), dtype=np.bool_)
    bits[np.arange(len(core))[:, None], local.reshape(-1, 3)] = True
    bits[:, len(columns) :] = (some.dense[:, None] >> np.arange(DENSE, dtype=np.uint64)) & np.uint64(1)
    packed = np.zeros((len(core), -(-width // 64) * 8), dtype=np.uint8)
    packed[:, : -(-width // 8)] = np.packbits(bits, axis=1, bitorder="little")
    pivots = np.empty(len(core), dtype=np.int64)
    if not eliminate(packed.view(np.uint64), wrong, pivots):
        return False
    where = np.concatenate([columns.astype(np.int64), np.arange(sparse, sparse + DENSE)])
    p[where[pivots]] ^= wrong
    return True


def dependent_sets(keys: int, sparse: int, up_to: int | None = None) -> float:
    """The expected number of nonempty sets of keys whose sparse parts add up to zero; times 2^-64: that encoding fails.

    By Krawtchouk polynomials: a sum of k rows is zero with probability 2^-m sum_w C(m, w) (K_3(w) / C(m, 3))^k.
    up_to  sets of so many keys at most (all of them unless given)
    """
    m = sparse
    weights = np.arange(m + 1)
    log_choose = np.array([math.lgamma(m + 1) - math.lgamma(w + 1) - math.lgamma(m - w + 1) for w in weights])
    w = weights.astype(np.float64)
    x = m - w
    krawtchouk = (
        x * (x - 1) * (x - 2) / 6 - x * (x - 1) / 2 * w + x * w * (w - 1) / 2 - w * (w - 1) * (w - 2) / 6
    )
    eigen = krawtchouk / (m * (m - 1) * (m - 2) / 6)
    total = 0.0
    for k in range(2, (up_to or keys) + 1, 2):  # an odd number of rows of odd weight never adds up to zero
        log_sets = math.lgamma(keys + 1) - math.lgamma(k + 1) - math.lgamma(keys - k + 1)
        with np.errstate(divide="ignore"):
            logs = log_choose - m * math.log(2) + k * np.log(np.abs(eigen)) + log_sets
        total += float(np.exp(logs).sum())
    return total
