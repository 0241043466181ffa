"""GF(2^128) = GF(2)[x] / (x^128 + x^7 + x^2 + x + 1), on arrays.

An element is two little-endian uint64 words: bit i of word j is the coefficient of x^(64 j + i). Arrays of elements have
shape (n, 2); addition is xor. (GHASH has the same polynomial with the bits of every byte reversed.)
The multiplication takes the same time for all operands.
Source: NIST SP 800-38D, 6.3, for the polynomial; Gueron and Kounavis, "Intel carry-less multiplication instruction and
its usage for computing the GCM mode", 2010, for the reduction.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.field.clmul import clmul
from hefu.engine.kernels import kernel

Elements = NDArray[np.uint64]
"""(n, 2) uint64."""

_1, _2, _7 = np.uint64(1), np.uint64(2), np.uint64(7)
_63, _62, _57 = np.uint64(63), np.uint64(62), np.uint64(57)


@kernel
def reduce(r0: np.uint64, r1: np.uint64, r2: np.uint64, r3: np.uint64) -> tuple[np.uint64, np.uint64]:
    """A polynomial of degree < 256 modulo x^128 + x^7 + x^2 + x + 1."""
    r2 ^= (r3 >> _63) ^ (r3 >> _62) ^ (r3 >> _57)
    r1 ^= r3 ^ (r3 << _1) ^ (r3 << _2) ^ (r3 << _7) ^ (r2 >> _63) ^ (r2 >> _62) ^ (r2 >> _57)
    r0 ^= r2 ^ (r2 << _1) ^ (r2 << _2) ^ (r2 << _7)
    return r0, r1


@kernel
def wide(
    a0: np.uint64, a1: np.uint64, b0: np.uint64, b1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """The product of two elements before its reduction, by Karatsuba."""
    l0, l1 = clmul(a0, b0)
    h0, h1 = clmul(a1, b1)
    m0, m1 = clmul(a0 ^ a1, b0 ^ b1)
    m0 ^= l0 ^ h0
    m1 ^= l1 ^ h1
    return l0, l1 ^ m0, h0 ^ m1, h1


@kernel
def mul(a0: np.uint64, a1: np.uint64, b0: np.uint64, b1: np.uint64) -> tuple[np.uint64, np.uint64]:
    """The product of two elements; for use inside kernels."""
    r0, r1, r2, r3 = wide(a0, a1, b0, b1)
    return reduce(r0, r1, r2, r3)


@kernel
def _multiply(a: Elements, b: Elements, out: Elements) -> None:
    for i in range(len(out)):
        out[i, 0], out[i, 1] = mul(a[i, 0], a[i, 1], b[i, 0], b[i, 1])


@kernel
def _add_scaled(into: Elements, a: Elements, s0: np.uint64, s1: np.uint64) -> None:
    for i in range(len(into)):
        p0, p1 = mul(a[i, 0], a[i, 1], s0, s1)
        into[i, 0] ^= p0
        into[i, 1] ^= p1


@kernel
def _dot(a: Elements, b: Elements) -> tuple[np.uint64, np.uint64]:
    s0, s1, s2, s3 = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
    for i in range(len(a)):
        r0, r1, r2, r3 = wide(a[i, 0], a[i, 1], b[i, 0], b[i, 1])
        s0 ^= r0
        s1 ^= r1
        s2 ^= r2
        s3 ^= r3
    return reduce(s0, s1, s2, s3)


def _require(*arrays: Elements) -> None:
    if any(a.dtype != np.uint64 or a.ndim != 2 or a.shape != (len(arrays[0]), 2) for a in arrays):
        raise InputInvalid("elements of GF(2^128) come as uint64 arrays of shape (n, 2), all of one length")


def multiply(a: Elements, b: Elements, out: Elements | None = None) -> Elements:
    """a[i] b[i]; `out` may be one of the operands. raises InputInvalid"""
    result = np.empty_like(a) if out is None else out
    _require(a, b, result)
    _multiply(a, b, result)
    return result


def add_scaled(into: Elements, a: Elements, scalar: Elements) -> None:
    """into[i] += a[i] scalar, in place; scalar has shape (2,). raises InputInvalid"""
    _require(into, a)
    _add_scaled(into, a, scalar[0], scalar[1])


def dot(a: Elements, b: Elements) -> Elements:
    """The sum of a[i] b[i], shape (2,), reduced once. raises InputInvalid"""
    _require(a, b)
    return np.array(_dot(a, b), dtype=np.uint64)


def inverse(a: Elements) -> Elements:
    """1 / a[i], and 0 for 0: the power 2^128 - 2. raises InputInvalid"""
    _require(a)
    square, result = a.copy(), np.zeros_like(a)
    result[:, 0] = 1
    for _ in range(127):
        multiply(square, square, out=square)
        multiply(result, square, out=result)
    return result
