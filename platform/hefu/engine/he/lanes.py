"""Eight Montgomery multiplications at once, with the CPU's 52-bit multiply-add instructions (AVX-512 IFMA).

Numbers are limbs of 52 bits, eight numbers side by side: an array (limbs, 8). With R = 2^(52 limbs) > 4 n the product
a b / R mod n of numbers under 2 n stays under 2 n, so nothing is ever subtracted. Sums of partial products stay under
2^64 for moduli of up to 32,768 bits and are normalised once per product. Only moduli are public here: no branch and no
address depends on a number, except that a fixed base's table is read at the exponent's digits.
`available()` says whether this CPU has the instructions; otherwise the callers use gmpy2, with the same results.
Sources: Montgomery, Math. Comp. 44 (1985); Gueron, Krasnov, "Accelerating big integer arithmetic using Intel IFMA
extensions", ARITH 2016.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding, ir  # type: ignore[import-untyped]  # ships no types
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from hefu.engine.he.montgomery import LANES, LIMB_BITS
from hefu.engine.kernels import kernel

cgutils: Any = _cgutils
_MASK = (1 << LIMB_BITS) - 1
_VECTOR = ir.VectorType(ir.IntType(64), LANES)


@cache
def available() -> bool:
    """Whether this CPU multiplies eight limbs at once."""
    features = binding.get_host_cpu_features()
    return bool(features.get("avx512f") and features.get("avx512ifma"))


def _multiplication(typing: Any, out: Any, a: Any, b: Any, n: Any, k: Any, limbs: Any) -> Any:
    """out = a b / R mod n, all of them addresses of (limbs, 8) words; k = -1/n mod 2^52. out is none of the others."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        out, a, b, n, k, limbs = arguments
        word = ir.IntType(64)
        pointer = _VECTOR.as_pointer()
        target, left, right, modulus = (builder.inttoptr(x, pointer) for x in (out, a, b, n))
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        low_name, high_name = (f"llvm.x86.avx512.vpmadd52{part}.uq.512" for part in "lh")
        low_of = cgutils.get_or_insert_function(builder.module, kind, low_name)
        high_of = cgutils.get_or_insert_function(builder.module, kind, high_name)
        zero = ir.Constant(_VECTOR, [0] * LANES)
        shift = ir.Constant(_VECTOR, [LIMB_BITS] * LANES)
        mask = ir.Constant(_VECTOR, [_MASK] * LANES)
        one = ir.Constant(word, 1)

        def low(t: Any, x: Any, y: Any) -> Any:
            return builder.call(low_of, [t, x, y])

        def high(t: Any, x: Any, y: Any) -> Any:
            return builder.call(high_of, [t, x, y])

        def load(base: Any, at: Any) -> Any:
            return builder.load(builder.gep(base, [at]), align=8)

        def store(value: Any, base: Any, at: Any) -> None:
            builder.store(value, builder.gep(base, [at]), align=8)

        first = ir.Constant(word, 0)
        last = builder.sub(limbs, one)
        spread = zero
        for lane in range(LANES):
            spread = builder.insert_element(spread, k, ir.Constant(ir.IntType(32), lane))
        with cgutils.for_range(builder, limbs, intp=word) as loop:
            store(zero, target, loop.index)
        b_before, n_before, carried = (cgutils.alloca_once(builder, _VECTOR) for _ in range(3))
        with cgutils.for_range(builder, limbs, intp=word) as outer:
            digit = load(left, outer.index)
            b_first, n_first = load(right, first), load(modulus, first)
            total = low(load(target, first), digit, b_first)
            m = low(zero, total, spread)
            total = low(total, m, n_first)
            store(builder.add(load(target, one), builder.lshr(total, shift)), target, one)
            builder.store(b_first, b_before)
            builder.store(n_first, n_before)
            with cgutils.for_range_slice(builder, one, limbs, one, intp=word) as (index, _):
                b_here, n_here = load(right, index), load(modulus, index)
                by_digit = high(low(load(target, index), digit, b_here), digit, builder.load(b_before))
                by_m = high(low(zero, m, n_here), m, builder.load(n_before))
                store(builder.add(by_digit, by_m), target, builder.sub(index, one))
                builder.store(b_here, b_before)
                builder.store(n_here, n_before)
            top = high(high(zero, digit, builder.load(b_before)), m, builder.load(n_before))
            store(top, target, last)
        builder.store(zero, carried)
        with cgutils.for_range(builder, limbs, intp=word) as loop:
            total = builder.add(load(target, loop.index), builder.load(carried))
            store(builder.and_(total, mask), target, loop.index)
            builder.store(builder.lshr(total, shift), carried)
        return context.get_dummy_value()

    signature = types.void(types.uintp, types.uintp, types.uintp, types.uintp, types.uint64, types.intp)
    return signature, generate


_multiply: Any = intrinsic(_multiplication)


@kernel
def _enter(values: NDArray[np.uint64], start: int, x: NDArray[np.uint64]) -> None:
    """Eight numbers from 64-bit words, the last one again where there are no more."""
    mask = np.uint64(0xFFFFFFFFFFFFF)
    words = values.shape[1]
    for lane in range(8):
        i = min(start + lane, len(values) - 1)
        for j in range(len(x)):
            at = 52 * j
            word = at >> 6
            shift = np.uint64(at & 63)
            value = np.uint64(0)
            if word < words:
                value = values[i, word] >> shift
                if shift > np.uint64(12) and word + 1 < words:
                    value |= values[i, word + 1] << (np.uint64(64) - shift)
            x[j, lane] = value & mask


@kernel
def fill_rows(
    bases: NDArray[np.uint64],
    one: NDArray[np.uint64],
    n: NDArray[np.uint64],
    k: np.uint64,
    table: NDArray[np.uint64],
) -> None:
    """table[j, d] = base_j^d for d = 0..255. bases (rows, limbs), table (rows, 256, limbs), one (limbs,): Montgomery."""
    rows, limbs = bases.shape
    x = np.empty((limbs, 8), np.uint64)
    y = np.empty((limbs, 8), np.uint64)
    b = np.empty((limbs, 8), np.uint64)
    for start in range(0, rows, 8):
        for lane in range(8):
            row = min(start + lane, rows - 1)
            for j in range(limbs):
                b[j, lane] = bases[row, j]
                x[j, lane] = one[j]
        for d in range(256):
            for lane in range(min(8, rows - start)):
                for j in range(limbs):
                    table[start + lane, d, j] = x[j, lane]
            _multiply(y.ctypes.data, x.ctypes.data, b.ctypes.data, n.ctypes.data, k, limbs)
            x, y = y, x


@kernel
def power_by_table(
    table: NDArray[np.uint64],
    digits: NDArray[np.uint8],
    n: NDArray[np.uint64],
    k: np.uint64,
    out: NDArray[np.uint64],
) -> None:
    """out[i] = prod_j table[j, digits[i, j]], as 64-bit words. digits (count, rows), out (count, words)."""
    count, rows = digits.shape
    limbs = table.shape[2]
    x = np.empty((limbs, 8), np.uint64)
    y = np.empty((limbs, 8), np.uint64)
    b = np.empty((limbs, 8), np.uint64)
    for start in range(0, count, 8):
        for lane in range(8):
            i = min(start + lane, count - 1)
            for j in range(limbs):
                x[j, lane] = table[0, digits[i, 0], j]
        for row in range(1, rows):
            for lane in range(8):
                i = min(start + lane, count - 1)
                d = digits[i, row]
                for j in range(limbs):
                    b[j, lane] = table[row, d, j]
            _multiply(y.ctypes.data, x.ctypes.data, b.ctypes.data, n.ctypes.data, k, limbs)
            x, y = y, x
        _leave(x, y, b, n, k, start, out)


@kernel
def power_each(
    values: NDArray[np.uint64],
    digits: NDArray[np.uint8],
    square_of_r: NDArray[np.uint64],
    n: NDArray[np.uint64],
    k: np.uint64,
    out: NDArray[np.uint64],
) -> None:
    """out[i] = values[i]^e, as 64-bit words; e in digits of 5 bits, highest first. values (count, words), reduced."""
    count = len(values)
    limbs = len(square_of_r)
    powers = np.empty((32, limbs, 8), np.uint64)
    x = np.empty((limbs, 8), np.uint64)
    y = np.empty((limbs, 8), np.uint64)
    b = np.empty((limbs, 8), np.uint64)
    for start in range(0, count, 8):
        _enter(values, start, x)
        for j in range(limbs):
            for lane in range(8):
                b[j, lane] = square_of_r[j]
                y[j, lane] = np.uint64(1 if j == 0 else 0)
        _multiply(powers[1].ctypes.data, x.ctypes.data, b.ctypes.data, n.ctypes.data, k, limbs)
        _multiply(powers[0].ctypes.data, y.ctypes.data, b.ctypes.data, n.ctypes.data, k, limbs)
        for d in range(2, 32):
            _multiply(
                powers[d].ctypes.data,
                powers[d - 1].ctypes.data,
                powers[1].ctypes.data,
                n.ctypes.data,
                k,
                limbs,
            )
        x[:] = powers[digits[0]]
        for position in range(1, len(digits)):
            for _ in range(5):
                _multiply(y.ctypes.data, x.ctypes.data, x.ctypes.data, n.ctypes.data, k, limbs)
                x, y = y, x
            _multiply(
                y.ctypes.data, x.ctypes.data, powers[digits[position]].ctypes.data, n.ctypes.data, k, limbs
            )
            x, y = y, x
        _leave(x, y, b, n, k, start, out)


@kernel
def _leave(
    x: NDArray[np.uint64],
    y: NDArray[np.uint64],
    b: NDArray[np.uint64],
    n: NDArray[np.uint64],
    k: np.uint64,
    start: int,
    out: NDArray[np.uint64],
) -> None:
    """Out of Montgomery form (times 1) and into 64-bit words; the result is at most n."""
    limbs = len(x)
    for j in range(limbs):
        for lane in range(8):
            b[j, lane] = np.uint64(1 if j == 0 else 0)
    _multiply(y.ctypes.data, x.ctypes.data, b.ctypes.data, n.ctypes.data, k, limbs)
    for lane in range(min(8, len(out) - start)):
        for w in range(out.shape[1]):
            out[start + lane, w] = np.uint64(0)
        for j in range(limbs):
            at = 52 * j
            word = at >> 6
            shift = np.uint64(at & 63)
            if word < out.shape[1]:
                out[start + lane, word] |= y[j, lane] << shift
            if shift > np.uint64(12) and word + 1 < out.shape[1]:
                out[start + lane, word + 1] |= y[j, lane] >> (np.uint64(64) - shift)


@kernel
def fill_buckets(
    values: NDArray[np.uint64],
    digits: NDArray[np.uint16],
    square_of_r: NDArray[np.uint64],
    n: NDArray[np.uint64],
    k: np.uint64,
    buckets: NDArray[np.uint64],
) -> None:
    """buckets[digits[i, lane], :, lane] *= values[i]. A lane is a digit's position. values (count, words), reduced."""
    limbs = len(square_of_r)
    x = np.empty((limbs, 8), np.uint64)
    y = np.empty((limbs, 8), np.uint64)
    b = np.empty((limbs, 8), np.uint64)
    v = np.empty((limbs, 8), np.uint64)
    for start in range(0, len(values), 8):
        _enter(values, start, x)
        for j in range(limbs):
            for lane in range(8):
                b[j, lane] = square_of_r[j]
        _multiply(v.ctypes.data, x.ctypes.data, b.ctypes.data, n.ctypes.data, k, limbs)
        for i in range(start, min(start + 8, len(values))):
            for j in range(limbs):
                value = v[j, i - start]
                for lane in range(8):
                    b[j, lane] = value
                    x[j, lane] = buckets[digits[i, lane], j, lane]
            _multiply(y.ctypes.data, x.ctypes.data, b.ctypes.data, n.ctypes.data, k, limbs)
            for j in range(limbs):
                for lane in range(8):
                    buckets[digits[i, lane], j, lane] = y[j, lane]


@kernel
def drain_buckets(
    buckets: NDArray[np.uint64], n: NDArray[np.uint64], k: np.uint64, out: NDArray[np.uint64]
) -> None:
    """out[lane] = prod_d buckets[d, :, lane]^d for d >= 1, as 64-bit words; out (8, words)."""
    limbs = buckets.shape[1]
    running = buckets[len(buckets) - 1].copy()
    total = running.copy()
    y = np.empty((limbs, 8), np.uint64)
    b = np.empty((limbs, 8), np.uint64)
    for d in range(len(buckets) - 2, 0, -1):
        _multiply(y.ctypes.data, running.ctypes.data, buckets[d].ctypes.data, n.ctypes.data, k, limbs)
        running, y = y, running
        _multiply(y.ctypes.data, total.ctypes.data, running.ctypes.data, n.ctypes.data, k, limbs)
        total, y = y, total
    _leave(total, y, b, n, k, 0, out)
