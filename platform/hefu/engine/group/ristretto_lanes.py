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
from hefu.engine.group.ifma import add_cached_t, mul
from hefu.engine.group.ristretto_formulas import (
    cache_point,
    decode,
    encode,
    map_to_point,
    multiply_point,
    prepare,
)
from hefu.engine.group.ristretto_rows import (
    FIRST,
    ONE,
    PER_VECTOR,
    UPPER,
    P,
    Q,
    R,
    Words2D,
    load,
    power,
    save,
    workspace,
)
from hefu.engine.kernels import kernel

ORDER = (1 << 252) + 27742317777372353535851937790883648493
BATCH_POINTS = 4096

_0, _1 = np.uint64(0), np.uint64(1)


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
        load(w, UPPER, data, 8 * k, 0)
        if data.shape[1] == 4:
            decode(w, P, ok, mask)
            for lane in range(min(8, n - 8 * k)):
                if ok[lane] == _0 or not _canonical(data, 8 * k + lane):
                    return 8 * k + lane
        else:
            map_to_point(w, R, ok, mask)
            load(w, UPPER, data, 8 * k, 4)
            map_to_point(w, P, ok, mask)
            cache_point(w, Q, P)
            add_cached_t(w, P, R, Q)
        multiply_point(w, P, digits)
        prepare(w, FIRST + PER_VECTOR * k)
    # One inversion for all: products from left to right, and back.
    total = P
    mul(w, total, ONE, ONE)
    for k in range(vectors):
        e = FIRST + PER_VECTOR * k
        mul(w, e + 6, total, ONE)
        mul(w, e + 7, e + 4, e + 5)
        mul(w, total, total, e + 7)
    power(w, total, total, True)
    for k in range(vectors - 1, -1, -1):
        e = FIRST + PER_VECTOR * k
        mul(w, e + 6, e + 6, total)
        mul(w, total, total, e + 7)
        encode(w, e, e + 6, mask)
        save(w, UPPER, out, 8 * k)
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
    w = workspace(-(-min(len(rows), BATCH_POINTS) // ifma.LANES))
    for start in range(0, len(rows), BATCH_POINTS):
        part = slice(start, start + BATCH_POINTS)
        bad = _multiply_batch(w, data[part], digits, out[part])
        if bad >= 0:
            return out.view(np.uint8), start + bad
    return out.view(np.uint8), -1
