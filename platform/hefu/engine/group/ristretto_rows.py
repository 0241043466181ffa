"""Rows of eight numbers mod 2^255 - 19: how the workspace of `ristretto_lanes` is laid out, and what is done lane by lane.

`w` (rows, 40) uint64 holds constants, scratch, a few points, and the points of the batch. Masks are (8,) uint64, all ones
or zero per lane, so that nothing branches.
Source: RFC 9496, 4.1 (constants) and 4.2 (square root of a ratio).
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.group import ifma
from hefu.engine.group.ifma import freeze, mul, square_times, sub
from hefu.engine.kernels import kernel

PRIME = (1 << 255) - 19

Words2D = NDArray[np.uint64]

EDWARDS_D = -121665 * pow(121666, -1, PRIME) % PRIME
SQRT_MINUS_ONE = pow(2, (PRIME - 1) // 4, PRIME)
INVSQRT_A_MINUS_D = 54469307008909316920995813868745141605393597292927456921205312896311721017578
SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235

_CONSTANTS = (
    0,
    1,
    EDWARDS_D,
    2 * EDWARDS_D % PRIME,
    SQRT_MINUS_ONE,
    INVSQRT_A_MINUS_D,
    SQRT_AD_MINUS_ONE,
    (1 - EDWARDS_D * EDWARDS_D) % PRIME,
    (EDWARDS_D - 1) * (EDWARDS_D - 1) % PRIME,
    PRIME - 1,
)
ZERO, ONE, D, D2, ROOT, INVSQRT_AD, SQRT_AD, ONE_MINUS_D2, D_MINUS_ONE2, MINUS_ONE = range(10)
SCRATCH = 10  # ten scratch rows
UPPER = 20  # twelve more, for one level up
P, Q, R = 32, 36, 40  # points
TABLE = 44  # eight cached points
FIRST = 76  # rows from here on belong to the points of the batch
PER_VECTOR = 8  # e, f, g, h, eg, fh, prefix, spare
_LIMB = np.uint64(ifma.MASK)
_1, _0 = np.uint64(1), np.uint64(0)
_13, _26, _39, _51, _38, _25, _12 = (np.uint64(k) for k in (13, 26, 39, 51, 38, 25, 12))


def workspace(vectors: int) -> Words2D:
    """Rows for a batch of so many vectors, the constants filled in."""
    w = np.zeros((FIRST + PER_VECTOR * vectors, ifma.ROW_WORDS), dtype=np.uint64)
    for row, value in enumerate(_CONSTANTS):
        for limb in range(ifma.LIMBS):
            w[row, limb * 8 : limb * 8 + 8] = value >> (ifma.LIMB_BITS * limb) & ifma.MASK
    return w


@kernel
def load(w: Words2D, row: int, data: Words2D, start: int, column: int) -> None:
    """Eight numbers of 255 bits (the top bit is dropped) from rows start.. of data, four words from `column` on."""
    for lane in range(8):
        at = min(start + lane, len(data) - 1)
        a, b, c, d = data[at, column], data[at, column + 1], data[at, column + 2], data[at, column + 3]
        w[row, lane] = a & _LIMB
        w[row, 8 + lane] = ((a >> _51) | (b << _13)) & _LIMB
        w[row, 16 + lane] = ((b >> _38) | (c << _26)) & _LIMB
        w[row, 24 + lane] = ((c >> _25) | (d << _39)) & _LIMB
        w[row, 32 + lane] = (d >> _12) & _LIMB


@kernel
def save(w: Words2D, row: int, data: Words2D, start: int) -> None:
    """The opposite, for a frozen number."""
    for lane in range(min(8, len(data) - start)):
        l0, l1, l2, l3, l4 = (
            w[row, lane],
            w[row, 8 + lane],
            w[row, 16 + lane],
            w[row, 24 + lane],
            w[row, 32 + lane],
        )
        data[start + lane, 0] = l0 | (l1 << _51)
        data[start + lane, 1] = (l1 >> _13) | (l2 << _38)
        data[start + lane, 2] = (l2 >> _26) | (l3 << _25)
        data[start + lane, 3] = (l3 >> _39) | (l4 << _12)


@kernel
def negative(w: Words2D, a: int, mask: NDArray[np.uint64]) -> None:
    """All ones in the lanes whose number is odd, as its smallest form."""
    freeze(w, SCRATCH, a, 0)
    for lane in range(8):
        mask[lane] = _0 - (w[SCRATCH, lane] & _1)


@kernel
def equal(w: Words2D, a: int, b: int, mask: NDArray[np.uint64]) -> None:
    """All ones in the lanes where the numbers are the same."""
    sub(w, SCRATCH, a, b)
    freeze(w, SCRATCH, SCRATCH, 0)
    for lane in range(8):
        bits = (
            w[SCRATCH, lane]
            | w[SCRATCH, 8 + lane]
            | w[SCRATCH, 16 + lane]
            | w[SCRATCH, 24 + lane]
            | w[SCRATCH, 32 + lane]
        )
        mask[lane] = ((bits | (_0 - bits)) >> np.uint64(63)) - _1


@kernel
def blend(w: Words2D, d: int, a: int, mask: NDArray[np.uint64]) -> None:
    """d = a in the masked lanes."""
    for limb in range(0, 40, 8):
        for lane in range(8):
            w[d, limb + lane] ^= (w[d, limb + lane] ^ w[a, limb + lane]) & mask[lane]


@kernel
def negate_if(w: Words2D, d: int, mask: NDArray[np.uint64]) -> None:
    sub(w, SCRATCH, ZERO, d)
    blend(w, d, SCRATCH, mask)


@kernel
def absolute(w: Words2D, d: int, mask: NDArray[np.uint64]) -> None:
    negative(w, d, mask)
    negate_if(w, d, mask)


@kernel
def power(w: Words2D, d: int, a: int, inverse: bool) -> None:
    """d = a^((p - 5) / 8), or with `inverse` a^(p - 2)."""
    t, s = SCRATCH + 1, SCRATCH + 2
    square_times(w, t, a, 1)  # 2
    square_times(w, s, t, 2)  # 8
    mul(w, s, s, a)  # 9
    mul(w, t, t, s)  # 11
    if inverse:
        mul(w, SCRATCH + 4, t, ONE)
    square_times(w, t, t, 1)  # 22
    mul(w, s, s, t)  # 2^5 - 1
    square_times(w, t, s, 5)
    mul(w, s, t, s)  # 2^10 - 1
    square_times(w, t, s, 10)
    mul(w, t, t, s)  # 2^20 - 1
    square_times(w, SCRATCH + 3, t, 20)
    mul(w, t, SCRATCH + 3, t)  # 2^40 - 1
    square_times(w, t, t, 10)
    mul(w, s, t, s)  # 2^50 - 1
    square_times(w, t, s, 50)
    mul(w, t, t, s)  # 2^100 - 1
    square_times(w, SCRATCH + 3, t, 100)
    mul(w, t, SCRATCH + 3, t)  # 2^200 - 1
    square_times(w, t, t, 50)
    mul(w, s, t, s)  # 2^250 - 1
    if inverse:
        square_times(w, s, s, 5)
        mul(w, d, s, SCRATCH + 4)  # 2^255 - 21
    else:
        square_times(w, s, s, 2)
        mul(w, d, s, a)  # 2^252 - 3


@kernel
def sqrt_ratio(w: Words2D, d: int, u: int, v: int, ok: NDArray[np.uint64], mask: NDArray[np.uint64]) -> None:
    """RFC 9496, SQRT_RATIO_M1: d = |sqrt(u/v)|, or of i u/v where that is no square; ok marks the squares."""
    r, c = SCRATCH + 5, SCRATCH + 6
    square_times(w, r, v, 1)
    mul(w, r, r, v)  # v^3
    square_times(w, c, r, 1)
    mul(w, c, c, v)  # v^7
    mul(w, c, c, u)
    mul(w, SCRATCH + 7, r, u)
    power(w, c, c, False)
    mul(w, r, SCRATCH + 7, c)
    square_times(w, c, r, 1)
    mul(w, c, c, v)
    sub(w, SCRATCH + 7, ZERO, u)
    mul(w, SCRATCH + 8, r, ROOT)
    equal(w, c, u, ok)
    equal(w, c, SCRATCH + 7, mask)
    for lane in range(8):
        ok[lane] |= mask[lane]
    blend(w, r, SCRATCH + 8, mask)
    mul(w, SCRATCH + 7, SCRATCH + 7, ROOT)
    equal(w, c, SCRATCH + 7, mask)
    blend(w, r, SCRATCH + 8, mask)
    absolute(w, r, mask)
    mul(w, d, r, ONE)
