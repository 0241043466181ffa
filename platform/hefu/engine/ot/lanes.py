"""BLAKE2b's compression of eight blocks at once, one block per lane of a vector.

Written as vector instructions of LLVM: eight 64-bit lanes fill one AVX-512 register; on other CPUs (AVX2, aarch64) the
compiler splits them by itself, with the same results. Equal to eight calls of `engine.blake2b.compress` on last blocks.
Source: RFC 7693, 3.2.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # it ships no types
from numba import config as numba_config
from numba import types
from numba.core.typing.templates import Signature
from numba.extending import intrinsic
from numpy.typing import NDArray

from hefu.engine.blake2b import _IV, _SIGMA

_CONFIG: Any = numba_config

LANES = 8

Lanes = NDArray[np.uint64]

_VECTOR = ir.VectorType(ir.IntType(64), LANES)
_MIXES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))  # fmt: skip


def _all(value: int) -> ir.Constant:
    return ir.Constant(_VECTOR, [value] * LANES)


def _rotate(builder: Any, value: Any, count: int) -> Any:
    return builder.or_(builder.lshr(value, _all(count)), builder.shl(value, _all(64 - count)))


def _spread(builder: Any, word: Any) -> Any:
    """The same 64-bit word in every lane."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(undefined, word, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(
        one, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    )


def _compress(builder: Any, h: list[Any], m: list[Any], count: Any) -> list[Any]:
    """The eight digests, word by word."""
    v = [*h, *(_all(int(word)) for word in _IV)]
    v[12] = builder.xor(v[12], count)
    v[14] = builder.not_(v[14])
    for r in range(12):
        for g, (a, b, c, d) in enumerate(_MIXES):
            for which, first, second in ((0, 32, 24), (1, 16, 63)):
                word = m[int(_SIGMA[r][2 * g + which])]
                v[a] = builder.add(builder.add(v[a], v[b]), word)
                v[d] = _rotate(builder, builder.xor(v[d], v[a]), first)
                v[c] = builder.add(v[c], v[d])
                v[b] = _rotate(builder, builder.xor(v[b], v[c]), second)
    return [builder.xor(h[k], builder.xor(v[k], v[k + 8])) for k in range(8)]


def _hash(words: int) -> Any:
    """The intrinsic that leaves the first `words` words of each digest."""

    def hash_eight(typingctx: Any, state: Any, blocks: Any, counts: Any, digests: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Signature, arguments: Any) -> Any:
            state_words, block_data, count_words, out = (
                context.make_array(kind)(context, builder, value=value).data
                for kind, value in zip(signature.args, arguments, strict=True)
            )
            block_vectors, count_pointer, out_vectors = (
                builder.bitcast(data, _VECTOR.as_pointer()) for data in (block_data, count_words, out)
            )

            def at(pointer: Any, index: int) -> Any:
                return builder.gep(pointer, [ir.Constant(ir.IntType(64), index)])

            h = [_spread(builder, builder.load(at(state_words, k))) for k in range(8)]
            m = [builder.load(at(block_vectors, k), align=8) for k in range(16)]
            count_vector = builder.load(count_pointer, align=8)
            for k, digest in enumerate(_compress(builder, h, m, count_vector)[:words]):
                builder.store(digest, at(out_vectors, k), align=8)
            return context.get_dummy_value()

        return types.void(state, blocks, counts, digests), generate

    return _plain(words) if _CONFIG.DISABLE_JIT else intrinsic(hash_eight)


def _plain(words: int) -> Any:
    """The same by numpy, eight lanes an array: where kernels run uncompiled, and the twin in the tests."""

    def turned(value: Lanes, count: int) -> Lanes:
        return (value >> np.uint64(count)) | (value << np.uint64(64 - count))

    def hash_eight(state: Lanes, blocks: Lanes, counts: Lanes, digests: Lanes) -> None:
        v = [np.full(LANES, word, dtype=np.uint64) for word in (*state, *_IV)]
        v[12] ^= counts
        v[14] = ~v[14]
        for r in range(12):
            for g, (a, b, c, d) in enumerate(_MIXES):
                for which, first, second in ((0, 32, 24), (1, 16, 63)):
                    v[a] = v[a] + v[b] + blocks[_SIGMA[r][2 * g + which]]
                    v[d] = turned(v[d] ^ v[a], first)
                    v[c] = v[c] + v[d]
                    v[b] = turned(v[b] ^ v[c], second)
        for k in range(words):
            digests[k] = state[k] ^ v[k] ^ v[k + 8]

    return hash_eight


hash_eight: Any = _hash(2)
"""hash_eight(state (8,), blocks (16, 8), counts (8,), digests (2, 8)) inside a kernel, all uint64, C-contiguous: 128-bit
digests of eight last blocks, one per column, from one state; counts: bytes so far, the block's included."""

hash_eight_long: Any = _hash(8)
"""The same with whole digests: (8, 8)."""
