"""Carry-less product of two 64-bit words, as one instruction where the CPU has it, else by integer multiplications.

The portable form spreads each operand's bits four apart, so that the carries of an ordinary product fall into holes and
are masked off; the high half comes from the product of the reversed words. No table and no branch: its time does not
depend on the operands.
Sources: Intel, "Carry-less multiplication instruction" (PCLMULQDQ), 2014; the bits with holes are those of constant-time
GHASH (Pornin, "Constant-time crypto", 2018).
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm  # type: ignore[import-untyped]
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from hefu.engine.kernels import kernel


def cpu_has(feature: str) -> bool:
    """Whether the code that numba compiles here may use a CPU feature (LLVM's name for it)."""
    config: Any = numba.config
    if config.DISABLE_JIT:
        return False
    chosen = config.CPU_FEATURES
    if config.CPU_NAME or chosen is not None:
        return f"+{feature}" in (chosen or "").split(",")
    try:
        return bool(llvm.get_host_cpu_features().get(feature, False))
    except RuntimeError:  # llvmlite cannot tell on this platform
        return False


_Words = tuple[np.uint64, np.uint64]
_32 = np.uint64(32)
_M0 = np.uint64(0x1111111111111111)
_M1 = np.uint64(0x2222222222222222)
_M2 = np.uint64(0x4444444444444444)
_M3 = np.uint64(0x8888888888888888)
_ONE = np.uint64(1)
_SWAPS = tuple(
    (np.uint64(shift), np.uint64(mask))
    for shift, mask in (
        (1, 0x5555555555555555),
        (2, 0x3333333333333333),
        (4, 0x0F0F0F0F0F0F0F0F),
        (8, 0x00FF00FF00FF00FF),
        (16, 0x0000FFFF0000FFFF),
    )
)
(_S1, _R1), (_S2, _R2), (_S4, _R4), (_S8, _R8), (_S16, _R16) = _SWAPS


def _pclmul(typingctx: Any, a: Any, b: Any) -> Any:
    """(low, high) by the CPU's own instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, index = ir.IntType(64), ir.IntType(32)
        vector = ir.VectorType(word, 2)
        kind = ir.FunctionType(vector, [vector, vector, ir.IntType(8)])
        insert: Any = cgutils.get_or_insert_function
        instruction = insert(builder.module, kind, "llvm.x86.pclmulqdq")
        first, second = (
            builder.insert_element(ir.Constant(vector, [0, 0]), x, ir.Constant(index, 0)) for x in arguments
        )
        product = builder.call(instruction, [first, second, ir.Constant(ir.IntType(8), 0)])
        halves = [builder.extract_element(product, ir.Constant(index, i)) for i in range(2)]
        return context.make_tuple(builder, signature.return_type, halves)

    pair: Any = types.UniTuple
    return pair(types.uint64, 2)(types.uint64, types.uint64), generate


_instruction: Any = intrinsic(_pclmul)


@kernel
def _by_instruction(a: np.uint64, b: np.uint64) -> _Words:
    return _instruction(a, b)  # type: ignore[no-any-return]


@kernel
def _low(a: np.uint64, b: np.uint64) -> np.uint64:
    a0, a1, a2, a3 = a & _M0, a & _M1, a & _M2, a & _M3
    b0, b1, b2, b3 = b & _M0, b & _M1, b & _M2, b & _M3
    c0 = (a0 * b0) ^ (a1 * b3) ^ (a2 * b2) ^ (a3 * b1)
    c1 = (a0 * b1) ^ (a1 * b0) ^ (a2 * b3) ^ (a3 * b2)
    c2 = (a0 * b2) ^ (a1 * b1) ^ (a2 * b0) ^ (a3 * b3)
    c3 = (a0 * b3) ^ (a1 * b2) ^ (a2 * b1) ^ (a3 * b0)
    return (c0 & _M0) | (c1 & _M1) | (c2 & _M2) | (c3 & _M3)


@kernel
def _reversed(x: np.uint64) -> np.uint64:
    x = ((x & _R1) << _S1) | ((x >> _S1) & _R1)
    x = ((x & _R2) << _S2) | ((x >> _S2) & _R2)
    x = ((x & _R4) << _S4) | ((x >> _S4) & _R4)
    x = ((x & _R8) << _S8) | ((x >> _S8) & _R8)
    x = ((x & _R16) << _S16) | ((x >> _S16) & _R16)
    return (x << _32) | (x >> _32)


@kernel
def by_integers(a: np.uint64, b: np.uint64) -> _Words:
    """(low, high) of the carry-less product on any CPU."""
    return _low(a, b), _reversed(_low(_reversed(a), _reversed(b))) >> _ONE


HAS_INSTRUCTION = cpu_has("pclmul")

clmul: Callable[[np.uint64, np.uint64], _Words] = _by_instruction if HAS_INSTRUCTION else by_integers
"""(low, high) of the carry-less product; for use inside kernels."""
