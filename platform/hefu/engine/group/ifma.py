"""Arithmetic mod 2^255 - 19 on eight numbers at once, by the 52-bit multiply-add instructions of AVX-512 (IFMA).

A number is five limbs of 51 bits, an element of `w` eight numbers: a row of 40 words, limb by limb, one number per lane.
Every operation takes and leaves limbs under 2^51 + 2^15 ("tight"): IFMA reads the low 52 bits of a limb only.
Points are four rows X, Y, Z, T (extended twisted Edwards coordinates, a = -1), or cached for addition as Y+X, Y-X, 2Z, 2dT.
Nothing branches or loads by a secret. These are code generators: functions for use inside kernels, on x86-64 with IFMA.
Sources: Hisil, Wong, Carter, Dawson, "Twisted Edwards curves revisited", ASIACRYPT 2008 (formulas);
Gueron, Krasnov, "Software implementation of modular exponentiation, using advanced vector instructions", WAIFI 2012 (IFMA).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]  # it ships no types
from llvmlite import ir
from numba import config as numba_config
from numba import types
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

_CONFIG: Any = numba_config

LANES = 8
LIMBS = 5
ROW_WORDS = LANES * LIMBS
LIMB_BITS = 51
MASK = (1 << LIMB_BITS) - 1

_I64 = ir.IntType(64)
_VECTOR = ir.VectorType(_I64, LANES)
_POINTER = _VECTOR.as_pointer()

Number = list[Any]
"""Five vectors."""


def available() -> bool:
    """Whether kernels are compiled, and for a CPU that has the instructions: this one, unless numba is told otherwise."""
    if _CONFIG.DISABLE_JIT:
        return False
    if _CONFIG.CPU_NAME or _CONFIG.CPU_FEATURES:
        return "+avx512ifma" in (_CONFIG.CPU_FEATURES or "")
    features = llvm.get_host_cpu_features()
    return bool(features.get("avx512ifma") and features.get("avx512f"))


class Emitter:
    """Field operations on values in registers, emitted into one function."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        module, kind = builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        self._low, self._high = (
            module.globals.get(name) or ir.Function(module, kind, name)
            for name in ("llvm.x86.avx512.vpmadd52l.uq.512", "llvm.x86.avx512.vpmadd52h.uq.512")
        )

    def all(self, value: int) -> Any:
        """A constant in every lane."""
        return ir.Constant(_VECTOR, [value] * LANES)

    def spread(self, word: Any) -> Any:
        """One word in every lane."""
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        one = self.builder.insert_element(undefined, word, ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(one, undefined, lanes)

    def load(self, pointer: Any, row: int = 0) -> Number:
        """The number `row` rows behind a pointer."""
        at = [ir.Constant(_I64, row * LIMBS + k) for k in range(LIMBS)]
        return [self.builder.load(self.builder.gep(pointer, [k]), align=8) for k in at]

    def store(self, number: Number, pointer: Any, row: int = 0) -> None:
        """Write it."""
        for k, limb in enumerate(number):
            at = self.builder.gep(pointer, [ir.Constant(_I64, row * LIMBS + k)])
            self.builder.store(limb, at, align=8)

    def carry(self, r: Number) -> Number:
        """One round of carries, all limbs at once: from limbs under 2^62 to tight ones."""
        b = self.builder
        up = [b.lshr(limb, self.all(LIMB_BITS)) for limb in r]
        rest = [b.and_(limb, self.all(MASK)) for limb in r]
        first = b.call(self._low, [rest[0], up[4], self.all(19)])
        return [first, *(b.add(rest[k], up[k - 1]) for k in range(1, LIMBS))]

    def plus(self, x: Number, y: Number) -> Number:
        """x + y, limbs not carried."""
        return [self.builder.add(a, b) for a, b in zip(x, y, strict=True)]

    def minus(self, x: Number, y: Number) -> Number:
        """x - y + 2p for a tight y, limbs not carried."""
        b = self.builder
        twice = [2 * (MASK - 18), *[2 * MASK] * 4]
        return [b.sub(b.add(a, self.all(p)), c) for a, c, p in zip(x, y, twice, strict=True)]

    def add(self, x: Number, y: Number) -> Number:
        """x + y."""
        return self.carry(self.plus(x, y))

    def sub(self, x: Number, y: Number) -> Number:
        """x - y."""
        return self.carry(self.minus(x, y))

    def mul(self, x: Number, y: Number) -> Number:
        """x y."""
        b, zero = self.builder, self.all(0)
        low, high = [zero] * 9, [zero] * 9
        for i in range(LIMBS):
            for j in range(LIMBS):
                low[i + j] = b.call(self._low, [low[i + j], x[i], y[j]])
                high[i + j] = b.call(self._high, [high[i + j], x[i], y[j]])
        return self._fold(low, high)

    def square(self, x: Number) -> Number:
        """x x: each mixed product once, then doubled."""
        b, zero = self.builder, self.all(0)
        low, high = [zero] * 9, [zero] * 9
        for i in range(LIMBS):
            for j in range(i + 1, LIMBS):
                low[i + j] = b.call(self._low, [low[i + j], x[i], x[j]])
                high[i + j] = b.call(self._high, [high[i + j], x[i], x[j]])
        for k in range(1, 8):
            low[k], high[k] = b.add(low[k], low[k]), b.add(high[k], high[k])
        for i in range(LIMBS):
            low[2 * i] = b.call(self._low, [low[2 * i], x[i], x[i]])
            high[2 * i] = b.call(self._high, [high[2 * i], x[i], x[i]])
        return self._fold(low, high)

    def _fold(self, low: Number, high: Number) -> Number:
        """Products of limbs (low 52 bits at weight k, the rest at k + 1, doubled) mod p."""
        b = self.builder
        r = [low[0]]
        r += [b.add(low[k], b.add(high[k - 1], high[k - 1])) for k in range(1, 9)]
        r.append(b.add(high[8], high[8]))
        return self.carry([b.add(r[k], b.mul(r[k + LIMBS], self.all(19))) for k in range(LIMBS)])

    def freeze(self, x: Number) -> Number:
        """The one form under p, limbs under 2^51."""
        b, r = self.builder, self.carry(self.carry(x))
        over = b.lshr(b.add(r[0], self.all(19)), self.all(LIMB_BITS))
        for k in range(1, LIMBS):
            over = b.lshr(b.add(r[k], over), self.all(LIMB_BITS))
        up = b.mul(over, self.all(19))
        out = []
        for k in range(LIMBS):
            limb = b.add(r[k], up)
            out.append(b.and_(limb, self.all(MASK)))
            up = b.lshr(limb, self.all(LIMB_BITS))
        return out

    def double(self, p: list[Number], with_t: bool) -> list[Number]:
        """2P; 4 squares, 3 products and one more for T."""
        x, y, z = p[:3]
        a, b, zz = self.square(x), self.square(y), self.square(z)
        h = self.add(a, b)
        e = self.sub(h, self.square(self.add(x, y)))
        g = self.sub(a, b)
        f = self.carry(self.plus(self.plus(zz, zz), g))
        out = [self.mul(e, f), self.mul(g, h), self.mul(f, g)]
        return [*out, self.mul(e, h)] if with_t else out

    def add_cached(self, p: list[Number], q: list[Number], with_t: bool) -> list[Number]:
        """P + Q for a cached Q; 7 products and one more for T."""
        x, y, z, t = p
        a = self.mul(self.sub(y, x), q[1])
        b = self.mul(self.add(y, x), q[0])
        c, d = self.mul(t, q[3]), self.mul(z, q[2])
        e, f, g, h = self.sub(b, a), self.sub(d, c), self.add(d, c), self.add(b, a)
        out = [self.mul(e, f), self.mul(g, h), self.mul(f, g)]
        return [*out, self.mul(e, h)] if with_t else out


def _operation(name: str, rows: int, body: Callable[..., None]) -> Any:
    """An intrinsic name(w, d, a, b) that calls one function, emitted once per module.

    rows  how many of d, a, b are rows of w; the others are numbers
    body  body(emitter, pointers to the rows, numbers) fills the function
    """

    def generate(context: Any, builder: Any, signature: Signature, arguments: Any) -> Any:
        module = builder.module
        full = f"hefu_ifma_{name}"
        function = module.globals.get(full)
        if function is None:
            kind = ir.FunctionType(ir.VoidType(), [_POINTER] * rows + [_I64] * (3 - rows))
            function = ir.Function(module, kind, full)
            function.linkage = "internal"
            function.attributes.add("noinline")
            inner = ir.IRBuilder(function.append_basic_block())
            body(Emitter(inner), function.args[:rows], function.args[rows:])
            inner.ret_void()
        data = context.make_array(signature.args[0])(context, builder, value=arguments[0]).data
        base = builder.bitcast(data, _POINTER)
        size = ir.Constant(_I64, LIMBS)
        pointers = [builder.gep(base, [builder.mul(row, size)]) for row in arguments[1 : 1 + rows]]
        builder.call(function, pointers + list(arguments[1 + rows :]))
        return context.get_dummy_value()

    def operation(typingctx: Any, w: Any, d: Any, a: Any, b: Any) -> Any:
        return types.void(w, types.int64, types.int64, types.int64), generate

    return intrinsic(operation)


def _square_times(e: Emitter, pointers: list[Any], numbers: list[Any]) -> None:
    """d = a^(2^times), times >= 1, in a loop that stays in registers."""
    b = e.builder
    start = b.block
    first = e.load(pointers[1])
    loop, done = b.append_basic_block(), b.append_basic_block()
    b.branch(loop)
    b.position_at_end(loop)
    left = b.phi(_I64)
    x = [b.phi(_VECTOR) for _ in range(LIMBS)]
    squared = e.square(x)
    less = b.sub(left, ir.Constant(_I64, 1))
    left.add_incoming(numbers[0], start)
    left.add_incoming(less, b.block)
    for phi, before, after in zip(x, first, squared, strict=True):
        phi.add_incoming(before, start)
        phi.add_incoming(after, b.block)
    b.cbranch(b.icmp_signed(">", less, ir.Constant(_I64, 0)), loop, done)
    b.position_at_end(done)
    e.store(squared, pointers[0])


def _points(method: str, *, with_t: bool) -> Callable[..., None]:
    def body(e: Emitter, pointers: list[Any], numbers: list[Any]) -> None:
        points = [[e.load(pointer, k) for k in range(4)] for pointer in pointers[1:]]
        for k, number in enumerate(getattr(e, method)(*points, with_t)):
            e.store(number, pointers[0], k)

    return body


def _choose(e: Emitter, pointers: list[Any], numbers: list[Any]) -> None:
    """d = digit times the point of a table of its multiples 1..8, -8 <= digit <= 8, all cached; every entry is read.

    Masks by arithmetic: a `select` of vectors by one bit becomes a branch.
    """
    b, (digit,) = e.builder, numbers
    top = ir.Constant(_I64, 63)
    sign = b.ashr(digit, top)
    size = b.sub(b.xor(digit, sign), sign)
    negated = e.spread(sign)
    out = [[e.all(0)] * LIMBS for _ in range(4)]
    for entry in range(9):
        hit = e.spread(b.ashr(b.sub(b.xor(size, ir.Constant(_I64, entry)), ir.Constant(_I64, 1)), top))
        for k in range(4):
            number = (
                e.load(pointers[1], 4 * (entry - 1) + k)
                if entry
                else [e.all((1, 1, 2, 0)[k]), *[e.all(0)] * 4]
            )
            out[k] = [b.or_(old, b.and_(new, hit)) for new, old in zip(number, out[k], strict=True)]
    swapped = [out[1], out[0], out[2], e.sub([e.all(0)] * LIMBS, out[3])]
    for k in range(4):
        pairs = zip(swapped[k], out[k], strict=True)
        e.store([b.xor(old, b.and_(b.xor(old, new), negated)) for new, old in pairs], pointers[0], k)


def _binary(method: str) -> Callable[..., None]:
    return lambda e, p, _: e.store(getattr(e, method)(e.load(p[1]), e.load(p[2])), p[0])


mul: Any = _operation("mul", 3, _binary("mul"))
"""mul(w, d, a, b): row d = row a times row b; likewise add and sub."""
add: Any = _operation("add", 3, _binary("add"))
sub: Any = _operation("sub", 3, _binary("sub"))
square_times: Any = _operation("square_times", 2, _square_times)
"""square_times(w, d, a, times): d = a^(2^times), times >= 1."""
freeze: Any = _operation("freeze", 2, lambda e, p, _: e.store(e.freeze(e.load(p[1])), p[0]))
"""freeze(w, d, a, 0): d = a in its one form under p."""
double: Any = _operation("double", 2, _points("double", with_t=False))
"""double(w, d, p, 0): X, Y, Z of 2P, d and p first rows of points; `double_t` with T."""
double_t: Any = _operation("double_t", 2, _points("double", with_t=True))
add_cached: Any = _operation("add_cached", 3, _points("add_cached", with_t=False))
"""add_cached(w, d, p, q): X, Y, Z of P + Q, Q cached; `add_cached_t` with T."""
add_cached_t: Any = _operation("add_cached_t", 3, _points("add_cached", with_t=True))
choose: Any = _operation("choose", 2, _choose)
"""choose(w, d, table, digit): d = the cached multiple, from 8 cached points in 32 rows from `table` on."""
