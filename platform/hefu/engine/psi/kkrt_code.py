"""KKRT's pseudo-random code and the values that are compared, as kernels.

C(x, h) = four blocks AES(b) xor b with b = x xor (4 h + i), i = 0..3, under a key drawn for the run: 512 bits. Code words
of two different (x, h) are random to each other: they differ in fewer than 128 places with probability 2^-96 per pair,
2^-48 in a run with 2^23.5 items on both sides. The hash's number is in the code: otherwise a sender's item with two equal
bins would show.
Source: Kolesnikov, Kumaresan, Rosulek, Trieu, CCS 2016, sections 3.1 (pseudo-random codes) and 5.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.blake2b import BLOCK_BYTES
from hefu.engine.kernels import kernel
from hefu.engine.ot.lanes import hash_eight
from hefu.engine.psi.aes import Permutation
from hefu.engine.psi.items import Items

CODE_WORDS = 8

Words2D = NDArray[np.uint64]

_HASHED_BYTES = np.uint64(BLOCK_BYTES + 8 * (CODE_WORDS + 1))


@kernel
def _code_inputs(items: Words2D, chosen: NDArray[np.int32], which: np.uint64, out: Words2D) -> None:
    for i in range(len(chosen)):
        low, high = np.uint64(0), np.uint64(0)
        if chosen[i] >= 0:
            low, high = items[chosen[i], 0], items[chosen[i], 1]
        for k in range(4):
            out[i, 2 * k] = low ^ (np.uint64(4) * which + np.uint64(k))
            out[i, 2 * k + 1] = high


class Code:
    """C under one key."""

    def __init__(self, key: bytes) -> None:
        self._permute = Permutation(key)
        self._inputs = np.empty((0, CODE_WORDS), dtype=np.uint64)

    def __call__(self, items: Items, chosen: NDArray[np.int32], which: int) -> Words2D:
        """(k, 8) code words of items[chosen] for hash `which`, in a buffer that the next call overwrites.

        chosen  (k,) int32; where it is negative (an empty bin) the word of zero is given
        """
        if len(self._inputs) < len(chosen):
            self._inputs = np.empty((len(chosen), CODE_WORDS), dtype=np.uint64)
        inputs = self._inputs[: len(chosen)]
        _code_inputs(items, chosen, np.uint64(which), inputs)
        inputs ^= self._permute(inputs)
        return inputs


@kernel
def sender_values(
    q: Words2D,
    first_bin: int,
    codes: Words2D,
    secret: NDArray[np.uint64],
    chosen: NDArray[np.int32],
    bins: NDArray[np.uint32],
    offset: int,
    state: NDArray[np.uint64],
    order: NDArray[np.uint32],
    out: NDArray[np.uint8],
) -> None:
    """out[order[y]] = H(bin, q[bin] xor (C(y) and s)) for the items y in `chosen`.

    q          (B, 8) rows of the bins from first_bin on, within this region
    codes      (k, 8) of the chosen items
    bins       (n,) every item's bin within this region; `offset` is the region's first bin in the whole table
    order      (n,) where each item goes in out (n, width)
    """
    width = out.shape[1]
    blocks = np.zeros((16, 8), np.uint64)
    counts = np.full(8, _HASHED_BYTES)
    digests = np.empty((2, 8), np.uint64)
    for start in range(0, len(chosen), 8):
        filled = min(8, len(chosen) - start)
        for lane in range(filled):
            at = np.int64(bins[chosen[start + lane]])
            for k in range(8):
                blocks[k, lane] = q[at - first_bin, k] ^ (codes[start + lane, k] & secret[k])
            blocks[8, lane] = np.uint64(at + offset)
        hash_eight(state, blocks, counts, digests)
        for lane in range(filled):
            place = order[chosen[start + lane]]
            word = digests[0, lane]
            for k in range(8):
                out[place, k] = np.uint8(word & np.uint64(255))
                word >>= np.uint64(8)
            word = digests[1, lane]
            for k in range(8, width):
                out[place, k] = np.uint8(word & np.uint64(255))
                word >>= np.uint64(8)


@kernel
def by_batch(bins: NDArray[np.uint32], size: int, starts: NDArray[np.int64], out: NDArray[np.int32]) -> None:
    """Items by batch of bins: out (n,) lists those of batch b in out[starts[b]:starts[b + 1]]; starts is overwritten."""
    starts[:] = 0
    for i in range(len(bins)):
        starts[np.int64(bins[i]) // size + 1] += 1
    for b in range(1, len(starts)):
        starts[b] += starts[b - 1]
    for i in range(len(bins)):
        batch = np.int64(bins[i]) // size
        out[starts[batch]] = i
        starts[batch] += 1
    for b in range(len(starts) - 1, 0, -1):
        starts[b] = starts[b - 1]
    starts[0] = 0
