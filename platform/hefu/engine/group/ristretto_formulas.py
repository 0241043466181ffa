"""The formulas of ristretto255 on rows of eight: decode, map, multiply, encode. Used by `ristretto_lanes`.

Sources: RFC 9496, 4.3; the double-and-encode: de Valence, Lovecruft, Arcieri, curve25519-dalek's notes on ristretto.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.group.ifma import (
    add,
    add_cached,
    add_cached_t,
    choose,
    double,
    double_t,
    freeze,
    mul,
    square_times,
    sub,
)
from hefu.engine.group.ristretto_rows import (
    D2,
    D_MINUS_ONE2,
    INVSQRT_AD,
    MINUS_ONE,
    ONE,
    ONE_MINUS_D2,
    ROOT,
    SQRT_AD,
    TABLE,
    UPPER,
    ZERO,
    D,
    Q,
    R,
    Words2D,
    absolute,
    blend,
    equal,
    negate_if,
    negative,
    sqrt_ratio,
)
from hefu.engine.kernels import kernel


@kernel
def decode(w: Words2D, p: int, ok: NDArray[np.uint64], mask: NDArray[np.uint64]) -> None:
    """The point p whose encoding, as a number, stands in row UPPER; ok marks valid ones. Canonical form is for the caller."""
    s, u1, u2, v, x = UPPER, UPPER + 1, UPPER + 2, UPPER + 3, UPPER + 4
    square_times(w, x, s, 1)
    sub(w, u1, ONE, x)
    add(w, u2, ONE, x)
    square_times(w, x, u2, 1)
    square_times(w, v, u1, 1)
    mul(w, v, v, D)
    add(w, v, v, x)
    sub(w, v, ZERO, v)
    mul(w, x, v, x)
    sqrt_ratio(w, x, ONE, x, ok, mask)
    mul(w, UPPER + 5, x, u2)  # den_x
    mul(w, UPPER + 6, x, UPPER + 5)
    mul(w, UPPER + 6, UPPER + 6, v)  # den_y
    mul(w, p, s, UPPER + 5)
    add(w, p, p, p)
    absolute(w, p, mask)
    mul(w, p + 1, u1, UPPER + 6)
    mul(w, p + 2, ONE, ONE)
    mul(w, p + 3, p, p + 1)
    negative(w, p + 3, mask)
    for lane in range(8):
        ok[lane] &= ~mask[lane]
    equal(w, p + 1, ZERO, mask)
    for lane in range(8):
        ok[lane] &= ~mask[lane]


@kernel
def map_to_point(w: Words2D, p: int, ok: NDArray[np.uint64], mask: NDArray[np.uint64]) -> None:
    """RFC 9496, MAP: the point p of the number in row UPPER."""
    t, r, u, v, s = UPPER, UPPER + 1, UPPER + 2, UPPER + 3, UPPER + 4
    square_times(w, r, t, 1)
    mul(w, r, r, ROOT)
    add(w, u, r, ONE)
    mul(w, u, u, ONE_MINUS_D2)
    mul(w, v, r, D)
    sub(w, v, MINUS_ONE, v)
    add(w, s, r, D)
    mul(w, v, v, s)
    sqrt_ratio(w, s, u, v, ok, mask)
    for lane in range(8):
        ok[lane] = ~ok[lane]
    mul(w, u, s, t)
    absolute(w, u, mask)
    sub(w, u, ZERO, u)
    blend(w, s, u, ok)
    mul(w, UPPER + 5, MINUS_ONE, ONE)
    blend(w, UPPER + 5, r, ok)  # c
    sub(w, r, r, ONE)
    mul(w, r, r, UPPER + 5)
    mul(w, r, r, D_MINUS_ONE2)
    sub(w, r, r, v)  # N
    mul(w, u, s, v)
    add(w, u, u, u)  # w0
    mul(w, r, r, SQRT_AD)  # w1
    square_times(w, s, s, 1)
    sub(w, v, ONE, s)  # w2
    add(w, s, ONE, s)  # w3
    mul(w, p, u, s)
    mul(w, p + 1, v, r)
    mul(w, p + 2, r, s)
    mul(w, p + 3, u, v)


@kernel
def cache_point(w: Words2D, d: int, p: int) -> None:
    add(w, d, p + 1, p)
    sub(w, d + 1, p + 1, p)
    add(w, d + 2, p + 2, p + 2)
    mul(w, d + 3, p + 3, D2)


@kernel
def multiply_point(w: Words2D, p: int, digits: NDArray[np.int64]) -> None:
    """R = the scalar of 64 signed digits, lowest first, times p."""
    cache_point(w, TABLE, p)
    for row in range(4):
        mul(w, R + row, p + row, ONE)
    for entry in range(1, 8):
        add_cached_t(w, R, R, TABLE)
        cache_point(w, TABLE + 4 * entry, R)
    for row in range(4):
        mul(w, R + row, ZERO if row in (0, 3) else ONE, ONE)
    for k in range(63, -1, -1):
        if k < 63:
            double(w, R, R, 0)
            double(w, R, R, 0)
            double(w, R, R, 0)
            double_t(w, R, R, 0)
        choose(w, Q, TABLE, digits[k])
        if k:
            add_cached(w, R, R, Q)
        else:
            add_cached_t(w, R, R, Q)


@kernel
def prepare(w: Words2D, e: int) -> None:
    """What encoding twice R needs, in the rows from e on."""
    square_times(w, UPPER, R, 1)
    square_times(w, UPPER + 1, R + 1, 1)
    square_times(w, UPPER + 2, R + 2, 1)
    square_times(w, UPPER + 3, R + 3, 1)
    mul(w, UPPER + 3, UPPER + 3, D)
    mul(w, e, R, R + 1)
    add(w, e, e, e)
    add(w, e + 1, UPPER + 2, UPPER + 3)
    add(w, e + 2, UPPER + 1, UPPER)
    sub(w, e + 3, UPPER + 2, UPPER + 3)
    mul(w, e + 4, e, e + 2)
    mul(w, e + 5, e + 1, e + 3)


@kernel
def encode(w: Words2D, e: int, inverse: int, mask: NDArray[np.uint64]) -> None:
    """Row UPPER = the encoding, frozen; `inverse` is 1 / (eg fh)."""
    z, t, magic = UPPER + 1, UPPER + 2, UPPER + 3
    mul(w, z, e + 4, inverse)
    mul(w, t, e + 5, inverse)
    mul(w, magic, INVSQRT_AD, ONE)
    mul(w, UPPER + 4, e + 4, z)
    negative(w, UPPER + 4, mask)
    sub(w, UPPER + 4, ZERO, e)
    mul(w, UPPER + 5, e + 1, ROOT)
    blend(w, e, e + 2, mask)
    blend(w, e + 2, UPPER + 4, mask)
    blend(w, e + 3, UPPER + 5, mask)
    blend(w, magic, ROOT, mask)
    mul(w, UPPER + 4, e + 3, e)
    mul(w, UPPER + 4, UPPER + 4, z)
    negative(w, UPPER + 4, mask)
    negate_if(w, e + 2, mask)
    mul(w, t, e + 2, t)
    mul(w, t, t, magic)
    sub(w, UPPER, e + 3, e + 2)
    mul(w, UPPER, UPPER, t)
    absolute(w, UPPER, mask)
    freeze(w, UPPER, UPPER, 0)
