"""Floats as elements of a ring, so that sums over all clients cannot wrap.

x becomes round(x 2^f) modulo 2^ring_bits, for |x| <= clip. n such numbers stay under 2^(ring_bits - 1) in magnitude; a
decoded sum of k clients' numbers is off by at most k 2^-(f+1), plus a float's own rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hefu.engine.aggregation.errors import RangeExceeded

_CHUNK = 1 << 15
_MAX_FRACTION_BITS = 52


class Quantiser:
    """Fixed point for sums of at most `clients` vectors with entries within +-clip.

    fraction_bits  by default the most that the ring allows, 52 at most
    raises         RangeExceeded when the sums might wrap
    """

    def __init__(
        self, clip: float, clients: int, ring_bits: int = 32, fraction_bits: int | None = None
    ) -> None:
        if not (math.isfinite(clip) and clip > 0 and clients >= 1 and ring_bits in (32, 64)):
            raise RangeExceeded("clip is positive and finite, clients at least 1, the ring 32 or 64 bits")
        most = (1 << (ring_bits - 1)) - 1
        room = math.floor(math.log2(most / clients / clip)) if clip < most / clients else -1
        self.fraction_bits = min(room, _MAX_FRACTION_BITS) if fraction_bits is None else fraction_bits
        largest = math.ceil(clip * 2.0**self.fraction_bits)
        if not 0 <= self.fraction_bits <= _MAX_FRACTION_BITS or largest * clients > most:
            raise RangeExceeded(
                f"{clients} clients with entries within +-{clip:g} leave no room for "
                f"{self.fraction_bits} fraction bits in a ring of {ring_bits} bits"
            )
        self.clip = float(clip)
        self.clients = clients
        self.dtype: np.dtype[Any] = np.dtype("<u4" if ring_bits == 32 else "<u8")

    def error_bound(self, clients: int) -> float:
        """How far a sum over so many clients may be off."""
        return clients * 2.0 ** -(self.fraction_bits + 1)

    def encode(self, values: ArrayLike, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """(n,) floats as ring elements; raises RangeExceeded for entries beyond the clip, infinite or NaN."""
        array = np.asarray(values, dtype=np.float64).reshape(-1)
        result = np.empty(len(array), dtype=self.dtype) if out is None else out
        signed = result.view("<i4" if self.dtype.itemsize == 4 else "<i8")
        scaled = np.empty(min(_CHUNK, len(array)))
        for start in range(0, len(array), _CHUNK):
            part = array[start : start + _CHUNK]
            within = float(np.max(part)) <= self.clip and float(np.min(part)) >= -self.clip
            if not within:  # NaN compares false
                raise RangeExceeded(f"an entry is not within +-{self.clip:g}: clip before")
            room = scaled[: len(part)]
            np.multiply(part, 2.0**self.fraction_bits, out=room)
            np.rint(room, out=room)
            signed[start : start + _CHUNK] = room
        return result

    def decode(self, total: NDArray[Any]) -> NDArray[np.float64]:
        """(n,) floats from a sum of encoded vectors."""
        signed = total.view("<i4" if self.dtype.itemsize == 4 else "<i8")
        return signed * 2.0**-self.fraction_bits
