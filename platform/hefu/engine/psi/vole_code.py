"""The linear code of the silent VOLE: an expand-convolute code over GF(2^128), in its dual form.

A noise vector e of N = 2 n elements is convoluted from left to right,
    y_i = e_i + a_i y_(i-1) + sum over 2 <= j <= 24 of b_ij y_(i-j),    a_i in GF(2^128), b_ij bits, all random and public,
and an output is the sum of 21 random entries of y. The code is drawn from a public seed of the session.

The tap a_i over the whole field is essential. A code with coefficients in GF(2) acts on the 128 bits of the elements
separately: 128 syndromes with noise in the same places, and some combination of them is free of noise wherever fewer
than 128 places were hit: the positions then fall to linear algebra when the noise weight is near 256.
Source: Raghuraman, Rindal, Tanguy, "Expand-convolute codes for pseudorandom correlation generators from LPN", CRYPTO
2023: expander weight 21, 24 taps are its conservative choice. Porwal et al., "Interleaved Prange", PQCrypto 2022, for
noise in the same places.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hefu.engine.field.gf128 import mul
from hefu.engine.kernels import kernel
from hefu.engine.prg import Prg

EXPANDER_WEIGHT = 21
TAPS = 24
_CHUNK = 1 << 13
_WORDS = (EXPANDER_WEIGHT + 1) // 2
_1, _32 = np.uint64(1), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@kernel
def _convolute(y: NDArray[np.uint64], start: int, coefficients: NDArray[np.uint64]) -> None:
    """Entries start .. start + len(coefficients) - 1 of y, in place; each row holds (a low, a high, bits of b)."""
    width = y.shape[1]
    for i in range(start, start + len(coefficients)):
        c = coefficients[i - start]
        for k in range(0, width, 2):
            s0, s1 = y[i, k], y[i, k + 1]
            if i >= TAPS:
                bits = c[2]
                for j in range(2, TAPS + 1):
                    mask = np.uint64(0) - (bits & _1)
                    bits >>= _1
                    s0 ^= y[i - j, k] & mask
                    s1 ^= y[i - j, k + 1] & mask
            if i >= 1:
                p0, p1 = mul(c[0], c[1], y[i - 1, k], y[i - 1, k + 1])
                s0 ^= p0
                s1 ^= p1
            y[i, k], y[i, k + 1] = s0, s1


@kernel
def _expand(y: NDArray[np.uint64], words: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    """out[i] = sum of EXPANDER_WEIGHT entries of y that words[i] names."""
    n = np.uint64(len(y))
    for i in range(len(out)):
        s0, s1, s2, s3 = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
        for j in range(EXPANDER_WEIGHT):
            word = words[i, j >> 1]
            part = word >> _32 if j & 1 else word & _LOW
            place = (part * n) >> _32
            s0 ^= y[place, 0]
            s1 ^= y[place, 1]
            if y.shape[1] == 4:
                s2 ^= y[place, 2]
                s3 ^= y[place, 3]
        out[i, 0], out[i, 1] = s0, s1
        if y.shape[1] == 4:
            out[i, 2], out[i, 3] = s2, s3


class Code:
    """One code. The noise is convoluted in place, then outputs are taken from left to right.

    noise  (N, 2 w) uint64: w = 1 or 2 vectors side by side; overwritten
    """

    def __init__(self, seed: bytes, noise: NDArray[np.uint64]) -> None:
        self._y = noise
        self._expander = Prg(seed[16:])
        coefficients = Prg(seed[:16])
        for start in range(0, len(noise), _CHUNK):
            rows = min(_CHUNK, len(noise) - start)
            _convolute(noise, start, coefficients.words(3 * rows).reshape(-1, 3))

    def take(self, count: int) -> NDArray[np.uint64]:
        """The next outputs: (count, 2 w)."""
        out = np.empty((count, self._y.shape[1]), dtype=np.uint64)
        for start in range(0, count, _CHUNK):
            rows = min(_CHUNK, count - start)
            words = self._expander.words(_WORDS * rows).reshape(-1, _WORDS)
            _expand(self._y, words, out[start : start + rows])
        return out
