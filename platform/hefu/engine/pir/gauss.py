"""Errors for LWE: the discrete Gaussian over the integers, from uniform words through a cumulative table.

One 64-bit word per sample: a sign bit and 63 bits that are compared with every entry of the table, so that neither
time nor memory access depends on the sample. The table is computed in integers and decimals of 60 digits, the same on
every machine; a sample's statistical distance from the true distribution is below 2^-56.
Source: the method of FrodoKEM's specification (section 2.2.4), with a table of higher precision.
"""

from decimal import Decimal, localcontext
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hefu.engine.kernels import kernel
from hefu.engine.pir.params import SIGMA
from hefu.engine.prg import Prg

_TAIL = 64  # 10 sigma: what lies beyond has probability < 2^-70
_MAGNITUDE = np.uint64((1 << 63) - 1)
_0, _1, _63 = np.uint64(0), np.uint64(1), np.uint64(63)


def probabilities(sigma: float = SIGMA) -> list[Decimal]:
    """P(|x| = 0), P(|x| = 1), ... for x with P(x) proportional to exp(-x^2 / 2 sigma^2)."""
    with localcontext() as context:
        context.prec = 60
        variance = Decimal(str(sigma)) ** 2
        weights = [(Decimal(-k * k) / (2 * variance)).exp() * (2 if k else 1) for k in range(_TAIL)]
        total = sum(weights)
        return [weight / total for weight in weights]


@cache
def _table() -> NDArray[np.uint64]:
    """Entry k is 2^63 P(|x| <= k), the last left out: |x| is the number of entries that a uniform word reaches."""
    entries, below = [], Decimal(0)
    for probability in probabilities()[:-1]:
        below += probability
        entries.append(min(int(below * (1 << 63)), (1 << 63) - 1))
    return np.array(entries, dtype=np.uint64)


@kernel
def _count(words: NDArray[np.uint64], table: NDArray[np.uint64], out: NDArray[np.uint32]) -> None:
    for i in range(len(words)):
        magnitude = words[i] & _MAGNITUDE
        count = _0
        for k in range(len(table)):
            count += _1 - ((magnitude - table[k]) >> _63)  # both below 2^63: the borrow is the comparison
        negative = _0 - (words[i] >> _63)
        out[i] = np.uint32((count ^ negative) - negative)


def errors(prg: Prg, count: int) -> NDArray[np.uint32]:
    """`count` samples mod 2^32, from as many words of the stream."""
    out = np.empty(count, dtype=np.uint32)
    _count(prg.words(count), _table(), out)
    return out
