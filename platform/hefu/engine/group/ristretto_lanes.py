"""ristretto255 on eight points at a time: decoding, the map from uniform bytes, multiplication, encoding.

The same encodings, bit for bit, as `ristretto` has from libsodium, which is the twin in the tests. One scalar for all
points: signed digits of 4 bits, a table of 8 multiples read as a whole for every digit, 252 doublings: neither branches
nor addresses depend on scalar or points. Only where `ifma.available()`.
Sources: RFC 9496, 4.2 and 4.3 (decode, map, square root of a ratio); Hamburg, and the double-and-encode in batches with
one inversion for all: de Valence, Lovecruft, Arcieri, curve25519-dalek's notes on ristretto.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.group import ifma
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
from hefu.engine.kernels import kernel

ORDER = (1 << 252) + 27742317777372353535851937790883648493
PRIME = (1 << 255) - 19

BATCH_POINTS = 4096

Words2D = NDArray[np.uint64]

_D = -121665 * pow(121666, -1, PRIME) % PRIME
_SQRT_M1 = pow(2, (PRIME - 1) // 4, PRIME)
_INVSQRT_A_MINUS_D = 54469307008909316920995813868745141605393597292927456921205312896311721017578
_SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235

_CONSTANTS = (
    0,
    1,
    _D,
    2 * _D % PRIME,
    _SQRT_M1,
    _INVSQRT_A_MINUS_D,
    _SQRT_AD_MINUS_ONE,
    (1 - _D * _D) % PRIME,
    (_D - 1) * (_D - 1) % PRIME,
    PRIME - 1,
)
_ZERO, _ONE, _DD, _D2, _I, _ISAD, _SAD, _OMDS, _DMOS, _MINUS = range(10)
_T = 10  # ten scratch rows
_U = 20  # twelve more, for one level up
_P, _Q, _R = 32, 36, 40  # points
_TABLE = 44  # eight cached points
_FIRST = 76  # rows from here on belong to the points of the batch
_PER_VECTOR = 8  # e, f, g, h, eg, fh, prefix, spare
_LIMB = np.uint64(ifma.MASK)
_1, _0 = np.uint64(1), np.uint64(0)
_13, _26, _39, _51, _38, _25, _12 = (np.uint64(k) for k in (13, 26, 39, 51, 38, 25, 12))


def _workspace(vectors: int) -> Words2D:
    w = np.zeros((_FIRST + _PER_VECTOR * vectors, ifma.ROW_WORDS), dtype=np.uint64)
    for row, value in enumerate(_CONSTANTS):
        for limb in range(ifma.LIMBS):
            w[row, limb * 8 : limb * 8 + 8] = value >> (ifma.LIMB_BITS * limb) & ifma.MASK
    return w


@kernel
def _load(w: Words2D, row: int, data: Words2D, start: int, column: int) -> None:
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
def _save(w: Words2D, row: int, data: Words2D, start: int) -> None:
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
def _negative(w: Words2D, a: int, mask: NDArray[np.uint64]) -> None:
    """All ones in the lanes whose number is odd, as its smallest form."""
    freeze(w, _T, a, 0)
    for lane in range(8):
        mask[lane] = _0 - (w[_T, lane] & _1)


@kernel
def _equal(w: Words2D, a: int, b: int, mask: NDArray[np.uint64]) -> None:
    """All ones in the lanes where the numbers are the same."""
    sub(w, _T, a, b)
    freeze(w, _T, _T, 0)
    for lane in range(8):
        bits = w[_T, lane] | w[_T, 8 + lane] | w[_T, 16 + lane] | w[_T, 24 + lane] | w[_T, 32 + lane]
        mask[lane] = ((bits | (_0 - bits)) >> np.uint64(63)) - _1


@kernel
def _blend(w: Words2D, d: int, a: int, mask: NDArray[np.uint64]) -> None:
    """d = a in the masked lanes."""
    for limb in range(0, 40, 8):
        for lane in range(8):
            w[d, limb + lane] ^= (w[d, limb + lane] ^ w[a, limb + lane]) & mask[lane]


@kernel
def _negate_if(w: Words2D, d: int, mask: NDArray[np.uint64]) -> None:
    sub(w, _T, _ZERO, d)
    _blend(w, d, _T, mask)


@kernel
def _absolute(w: Words2D, d: int, mask: NDArray[np.uint64]) -> None:
    _negative(w, d, mask)
    _negate_if(w, d, mask)


@kernel
def _power(w: Words2D, d: int, a: int, inverse: bool) -> None:
    """d = a^((p - 5) / 8), or with `inverse` a^(p - 2)."""
    t, s = _T + 1, _T + 2
    square_times(w, t, a, 1)  # 2
    square_times(w, s, t, 2)  # 8
    mul(w, s, s, a)  # 9
    mul(w, t, t, s)  # 11
    if inverse:
        mul(w, _T + 4, t, _ONE)
    square_times(w, t, t, 1)  # 22
    mul(w, s, s, t)  # 2^5 - 1
    square_times(w, t, s, 5)
    mul(w, s, t, s)  # 2^10 - 1
    square_times(w, t, s, 10)
    mul(w, t, t, s)  # 2^20 - 1
    square_times(w, _T + 3, t, 20)
    mul(w, t, _T + 3, t)  # 2^40 - 1
    square_times(w, t, t, 10)
    mul(w, s, t, s)  # 2^50 - 1
    square_times(w, t, s, 50)
    mul(w, t, t, s)  # 2^100 - 1
    square_times(w, _T + 3, t, 100)
    mul(w, t, _T + 3, t)  # 2^200 - 1
    square_times(w, t, t, 50)
    mul(w, s, t, s)  # 2^250 - 1
    if inverse:
        square_times(w, s, s, 5)
        mul(w, d, s, _T + 4)  # 2^255 - 21
    else:
        square_times(w, s, s, 2)
        mul(w, d, s, a)  # 2^252 - 3


@kernel
def _sqrt_ratio(w: Words2D, d: int, u: int, v: int, ok: NDArray[np.uint64], mask: NDArray[np.uint64]) -> None:
    """RFC 9496, SQRT_RATIO_M1: d = |sqrt(u/v)|, or of i u/v where that is no square; ok marks the squares."""
    r, c = _T + 5, _T + 6
    square_times(w, r, v, 1)
    mul(w, r, r, v)  # v^3
    square_times(w, c, r, 1)
    mul(w, c, c, v)  # v^7
    mul(w, c, c, u)
    mul(w, _T + 7, r, u)
    _power(w, c, c, False)
    mul(w, r, _T + 7, c)
    square_times(w, c, r, 1)
    mul(w, c, c, v)
    sub(w, _T + 7, _ZERO, u)
    mul(w, _T + 8, r, _I)
    _equal(w, c, u, ok)
    _equal(w, c, _T + 7, mask)
    for lane in range(8):
        ok[lane] |= mask[lane]
    _blend(w, r, _T + 8, mask)
    mul(w, _T + 7, _T + 7, _I)
    _equal(w, c, _T + 7, mask)
    _blend(w, r, _T + 8, mask)
    _absolute(w, r, mask)
    mul(w, d, r, _ONE)


@kernel
def _decode(w: Words2D, p: int, ok: NDArray[np.uint64], mask: NDArray[np.uint64]) -> None:
    """The point p whose encoding, as a number, stands in row _U; ok marks valid ones. Canonical form is for the caller."""
    s, u1, u2, v, x = _U, _U + 1, _U + 2, _U + 3, _U + 4
    square_times(w, x, s, 1)
    sub(w, u1, _ONE, x)
    add(w, u2, _ONE, x)
    square_times(w, x, u2, 1)
    square_times(w, v, u1, 1)
    mul(w, v, v, _DD)
    add(w, v, v, x)
    sub(w, v, _ZERO, v)
    mul(w, x, v, x)
    _sqrt_ratio(w, x, _ONE, x, ok, mask)
    mul(w, _U + 5, x, u2)  # den_x
    mul(w, _U + 6, x, _U + 5)
    mul(w, _U + 6, _U + 6, v)  # den_y
    mul(w, p, s, _U + 5)
    add(w, p, p, p)
    _absolute(w, p, mask)
    mul(w, p + 1, u1, _U + 6)
    mul(w, p + 2, _ONE, _ONE)
    mul(w, p + 3, p, p + 1)
    _negative(w, p + 3, mask)
    for lane in range(8):
        ok[lane] &= ~mask[lane]
    _equal(w, p + 1, _ZERO, mask)
    for lane in range(8):
        ok[lane] &= ~mask[lane]


@kernel
def _map(w: Words2D, p: int, ok: NDArray[np.uint64], mask: NDArray[np.uint64]) -> None:
    """RFC 9496, MAP: the point p of the number in row _U."""
    t, r, u, v, s = _U, _U + 1, _U + 2, _U + 3, _U + 4
    square_times(w, r, t, 1)
    mul(w, r, r, _I)
    add(w, u, r, _ONE)
    mul(w, u, u, _OMDS)
    mul(w, v, r, _DD)
    sub(w, v, _MINUS, v)
    add(w, s, r, _DD)
    mul(w, v, v, s)
    _sqrt_ratio(w, s, u, v, ok, mask)
    for lane in range(8):
        ok[lane] = ~ok[lane]
    mul(w, u, s, t)
    _absolute(w, u, mask)
    sub(w, u, _ZERO, u)
    _blend(w, s, u, ok)
    mul(w, _U + 5, _MINUS, _ONE)
    _blend(w, _U + 5, r, ok)  # c
    sub(w, r, r, _ONE)
    mul(w, r, r, _U + 5)
    mul(w, r, r, _DMOS)
    sub(w, r, r, v)  # N
    mul(w, u, s, v)
    add(w, u, u, u)  # w0
    mul(w, r, r, _SAD)  # w1
    square_times(w, s, s, 1)
    sub(w, v, _ONE, s)  # w2
    add(w, s, _ONE, s)  # w3
    mul(w, p, u, s)
    mul(w, p + 1, v, r)
    mul(w, p + 2, r, s)
    mul(w, p + 3, u, v)


@kernel
def _cache(w: Words2D, d: int, p: int) -> None:
    add(w, d, p + 1, p)
    sub(w, d + 1, p + 1, p)
    add(w, d + 2, p + 2, p + 2)
    mul(w, d + 3, p + 3, _D2)


@kernel
def _multiply(w: Words2D, p: int, digits: NDArray[np.int64]) -> None:
    """_R = the scalar of 64 signed digits, lowest first, times p."""
    _cache(w, _TABLE, p)
    for row in range(4):
        mul(w, _R + row, p + row, _ONE)
    for entry in range(1, 8):
        add_cached_t(w, _R, _R, _TABLE)
        _cache(w, _TABLE + 4 * entry, _R)
    for row in range(4):
        mul(w, _R + row, _ZERO if row in (0, 3) else _ONE, _ONE)
    for k in range(63, -1, -1):
        if k < 63:
            double(w, _R, _R, 0)
            double(w, _R, _R, 0)
            double(w, _R, _R, 0)
            double_t(w, _R, _R, 0)
        choose(w, _Q, _TABLE, digits[k])
        if k:
            add_cached(w, _R, _R, _Q)
        else:
            add_cached_t(w, _R, _R, _Q)


@kernel
def _prepare(w: Words2D, e: int) -> None:
    """What encoding twice _R needs, in the rows from e on."""
    square_times(w, _U, _R, 1)
    square_times(w, _U + 1, _R + 1, 1)
    square_times(w, _U + 2, _R + 2, 1)
    square_times(w, _U + 3, _R + 3, 1)
    mul(w, _U + 3, _U + 3, _DD)
    mul(w, e, _R, _R + 1)
    add(w, e, e, e)
    add(w, e + 1, _U + 2, _U + 3)
    add(w, e + 2, _U + 1, _U)
    sub(w, e + 3, _U + 2, _U + 3)
    mul(w, e + 4, e, e + 2)
    mul(w, e + 5, e + 1, e + 3)


@kernel
def _encode(w: Words2D, e: int, inverse: int, mask: NDArray[np.uint64]) -> None:
    """Row _U = the encoding, frozen; `inverse` is 1 / (eg fh)."""
    z, t, magic = _U + 1, _U + 2, _U + 3
    mul(w, z, e + 4, inverse)
    mul(w, t, e + 5, inverse)
    mul(w, magic, _ISAD, _ONE)
    mul(w, _U + 4, e + 4, z)
    _negative(w, _U + 4, mask)
    sub(w, _U + 4, _ZERO, e)
    mul(w, _U + 5, e + 1, _I)
    _blend(w, e, e + 2, mask)
    _blend(w, e + 2, _U + 4, mask)
    _blend(w, e + 3, _U + 5, mask)
    _blend(w, magic, _I, mask)
    mul(w, _U + 4, e + 3, e)
    mul(w, _U + 4, _U + 4, z)
    _negative(w, _U + 4, mask)
    _negate_if(w, e + 2, mask)
    mul(w, t, e + 2, t)
    mul(w, t, t, magic)
    sub(w, _U, e + 3, e + 2)
    mul(w, _U, _U, t)
    _absolute(w, _U, mask)
    freeze(w, _U, _U, 0)


@kernel
def _canonical(data: Words2D, row: int) -> bool:
    """Under p, even, and not zero."""
    a, b, c, d = data[row, 0], data[row, 1], data[row, 2], data[row, 3]
    high = np.uint64(0x7FFFFFFFFFFFFFFF)
    ones = ~_0
    over = d > high or (d == high and c == ones and b == ones and a >= np.uint64(0xFFFFFFFFFFFFFFED))
    return not over and a & _1 == _0 and (a | b | c | d) != _0


@kernel
def _multiply_batch(w: Words2D, data: Words2D, digits: NDArray[np.int64], out: Words2D) -> int:
    """out (n, 4) = encodings of twice the scalar times each point; data (n, 4) encodings, or (n, 8) uniform bytes.

    returns the first row that is no point, -1 when all are
    """
    n = len(data)
    vectors = (n + 7) // 8
    ok, mask = np.empty(8, np.uint64), np.empty(8, np.uint64)
    for k in range(vectors):
        _load(w, _U, data, 8 * k, 0)
        if data.shape[1] == 4:
            _decode(w, _P, ok, mask)
            for lane in range(min(8, n - 8 * k)):
                if ok[lane] == _0 or not _canonical(data, 8 * k + lane):
                    return 8 * k + lane
        else:
            _map(w, _R, ok, mask)
            _load(w, _U, data, 8 * k, 4)
            _map(w, _P, ok, mask)
            _cache(w, _Q, _P)
            add_cached_t(w, _P, _R, _Q)
        _multiply(w, _P, digits)
        _prepare(w, _FIRST + _PER_VECTOR * k)
    # One inversion for all: products from left to right, and back.
    total = _P
    mul(w, total, _ONE, _ONE)
    for k in range(vectors):
        e = _FIRST + _PER_VECTOR * k
        mul(w, e + 6, total, _ONE)
        mul(w, e + 7, e + 4, e + 5)
        mul(w, total, total, e + 7)
    _power(w, total, total, True)
    for k in range(vectors - 1, -1, -1):
        e = _FIRST + _PER_VECTOR * k
        mul(w, e + 6, e + 6, total)
        mul(w, total, total, e + 7)
        _encode(w, e, e + 6, mask)
        _save(w, _U, out, 8 * k)
    return -1


def signed_digits(scalar: int) -> NDArray[np.int64]:
    """64 digits in -8..8 with scalar = sum of digit[k] 16^k, for scalars under 2^255 - 2^252."""
    digits = np.zeros(64, dtype=np.int64)
    carry = 0
    for k in range(63):
        digit = (scalar >> 4 * k & 15) + carry
        carry = (digit + 8) >> 4
        digits[k] = digit - (carry << 4)
    digits[63] = (scalar >> 252) + carry
    return digits


def multiply(scalar: bytes, rows: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Encodings of scalar times each point.

    rows     (n, 32) encodings, or (n, 64) uniform bytes
    returns  (n, 32), and the first row that is no point or the identity; -1 when all are good
    """
    half = int.from_bytes(scalar, "little") * pow(2, -1, ORDER) % ORDER
    digits = signed_digits(half)
    out = np.empty((len(rows), 4), dtype=np.uint64)
    data = np.ascontiguousarray(rows).view(np.uint64)
    w = _workspace(-(-min(len(rows), BATCH_POINTS) // ifma.LANES))
    for start in range(0, len(rows), BATCH_POINTS):
        part = slice(start, start + BATCH_POINTS)
        bad = _multiply_batch(w, data[part], digits, out[part])
        if bad >= 0:
            return out.view(np.uint8), start + bad
    return out.view(np.uint8), -1
