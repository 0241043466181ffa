"""ristretto255: a group of prime order l (about 2^252), points as 32 bytes, in batches.

Every element has one encoding, and every string that isn't an encoding is refused: no cofactor, no small subgroups, no
second form of a point. The identity is refused as well, because no honest party ever sends it. Multiplication does not
depend on the scalar in time. The code is libsodium's, through rbcl; many points under one scalar go eight at a time where
the CPU can (`fast`), to the same bytes.
Source: RFC 9496 (encodings, 4.3.4 the map from 64 uniform bytes to a point).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import rbcl  # type: ignore[import-untyped]  # it ships no types
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.prg import Prg

Bytes2D = NDArray[np.uint8]

POINT_BYTES = 32
SCALAR_BYTES = 32
UNIFORM_BYTES = 64
FAST_POINTS = 1024
"""Fewer points at once go by libsodium: loading the compiled code would cost more than it saves."""


def random_scalars(prg: Prg, count: int) -> Bytes2D:
    """(count, 32) uniform scalars, none of them zero: 64 bytes of stream each, reduced mod l."""
    wide = np.empty((count, UNIFORM_BYTES), dtype=np.uint8)
    prg.fill(wide)
    scalars = _map(rbcl.crypto_core_ristretto255_scalar_reduce, wide)
    if not scalars.any(axis=1).all():
        raise InputInvalid("a stream gave the scalar zero")  # chance 2^-252: a broken generator
    return scalars


def random_points(prg: Prg, count: int) -> Bytes2D:
    """(count, 32) uniform points whose logarithms nobody knows."""
    wide = np.empty((count, UNIFORM_BYTES), dtype=np.uint8)
    prg.fill(wide)
    return points_from_uniform(wide)


def points_from_uniform(uniform: Bytes2D) -> Bytes2D:
    """RFC 9496's map: (n, 64) uniform bytes, as a hash gives them -> (n, 32) points."""
    return _map(rbcl.crypto_core_ristretto255_from_hash, _shaped(uniform, UNIFORM_BYTES))


@cache
def fast() -> bool:
    """Whether this CPU multiplies eight points at a time (x86-64 with AVX-512 IFMA)."""
    from hefu.engine.group import ifma

    return ifma.available()


def multiply_uniform(scalar: bytes, uniform: Bytes2D) -> Bytes2D:
    """One scalar times the points of (n, 64) uniform bytes: `multiply(scalar, points_from_uniform(uniform))`."""
    if len(uniform) >= FAST_POINTS and fast():
        return _eight_at_a_time(scalar, _shaped(uniform, UNIFORM_BYTES))
    return multiply(scalar, points_from_uniform(uniform))


def multiply(scalar: bytes, points: Bytes2D) -> Bytes2D:
    """One scalar times each of (n, 32) points; raises InputInvalid for a string that is no point, or the identity."""
    if len(points) >= FAST_POINTS and fast():
        return _eight_at_a_time(scalar, _shaped(points, POINT_BYTES))
    return _points(lambda point: rbcl.crypto_scalarmult_ristretto255(scalar, point), points)


def multiply_each(scalars: Bytes2D, point: bytes) -> Bytes2D:
    """Each of (n, 32) scalars times one point; raises InputInvalid as `multiply` does."""
    return _points(lambda scalar: rbcl.crypto_scalarmult_ristretto255(scalar, point), scalars)


def multiply_base(scalars: Bytes2D) -> Bytes2D:
    """Each of (n, 32) scalars times the group's generator."""
    return _points(rbcl.crypto_scalarmult_ristretto255_base, scalars)


def add(left: Bytes2D, right: Bytes2D) -> Bytes2D:
    """Sums of (n, 32) valid points, row by row."""
    return _pairs(rbcl.crypto_core_ristretto255_add, left, right)


def subtract(left: Bytes2D, right: Bytes2D) -> Bytes2D:
    """Differences of (n, 32) valid points, row by row."""
    return _pairs(rbcl.crypto_core_ristretto255_sub, left, right)


def verify_points(points: Bytes2D) -> None:
    """Each row must be the encoding of a point other than the identity; raises InputInvalid with the first that isn't."""
    data = _shaped(points, POINT_BYTES).tobytes()
    for at in range(0, len(data), POINT_BYTES):
        point = data[at : at + POINT_BYTES]
        if not any(point) or not rbcl.crypto_core_ristretto255_is_valid_point(point):
            raise InputInvalid(f"row {at // POINT_BYTES} is no point of ristretto255 other than the identity")


def _shaped(rows: Bytes2D, width: int) -> Bytes2D:
    if rows.ndim != 2 or rows.shape[1] != width or rows.dtype != np.uint8:
        raise InputInvalid(f"rows of {width} bytes are needed")
    return rows


def _eight_at_a_time(scalar: bytes, rows: Bytes2D) -> Bytes2D:
    from hefu.engine.group import ristretto_lanes

    out, bad = ristretto_lanes.multiply(scalar, rows)
    if bad >= 0:
        raise InputInvalid(f"row {bad} is no point of ristretto255 other than the identity")
    return out


def _map(function: Callable[[bytes], bytes], rows: Bytes2D) -> Bytes2D:
    data, width = rows.tobytes(), rows.shape[1]
    out = b"".join(function(data[at : at + width]) for at in range(0, len(data), width))
    return np.frombuffer(bytearray(out), dtype=np.uint8).reshape(-1, POINT_BYTES)


def _points(function: Callable[[bytes], bytes], rows: Bytes2D) -> Bytes2D:
    try:
        return _map(function, _shaped(rows, POINT_BYTES))
    except RuntimeError as error:
        raise InputInvalid("a string is no point of ristretto255, or the product is the identity") from error


def _pairs(function: Callable[[bytes, bytes], bytes], left: Bytes2D, right: Bytes2D) -> Bytes2D:
    a, b = _shaped(left, POINT_BYTES).tobytes(), _shaped(right, POINT_BYTES).tobytes()
    if len(a) != len(b):
        raise InputInvalid("as many points on the left as on the right")
    steps = range(0, len(a), POINT_BYTES)
    out = b"".join(function(a[at : at + POINT_BYTES], b[at : at + POINT_BYTES]) for at in steps)
    return np.frombuffer(bytearray(out), dtype=np.uint8).reshape(-1, POINT_BYTES)
