"""Long integers in and out of the eight lanes: one odd modulus, with all that depends on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hefu.engine.he.integers import mpz

LANES = 8
LIMB_BITS = 52
SHORTEST_BITS = 448
_WINDOW = 5
_CHUNK = 1024


def modulus_for_lanes(modulus: int) -> Modulus | None:
    """The modulus prepared for eight lanes; None where the CPU has none, or gmpy2 is as quick."""
    from hefu.engine.he import lanes

    if int(modulus).bit_length() < SHORTEST_BITS or modulus % 2 == 0 or not lanes.available():
        return None
    return Modulus(modulus)


class Modulus:
    """An odd modulus of at least two limbs; raises ValueError for others."""

    def __init__(self, modulus: int) -> None:
        self.modulus = int(modulus)
        bits = self.modulus.bit_length()
        if self.modulus % 2 == 0 or bits <= LIMB_BITS:
            raise ValueError("an odd modulus of more than 52 bits")
        self.limbs = -(-(bits + 2) // LIMB_BITS)
        self.words = -(-bits // 64)
        self.r = 1 << (LIMB_BITS * self.limbs)
        self.k = np.uint64(-pow(self.modulus, -1, 1 << LIMB_BITS) % (1 << LIMB_BITS))
        self.n = np.repeat(self.to_limbs([self.modulus])[0][:, None], LANES, axis=1)
        self.one = self.to_limbs([self.r % self.modulus])[0]
        self.square_of_r = self.to_limbs([self.r * self.r % self.modulus])[0]

    def to_limbs(self, values: Sequence[int]) -> NDArray[np.uint64]:
        """(count, limbs) of 52 bits."""
        mask, out = (1 << LIMB_BITS) - 1, np.empty((len(values), self.limbs), dtype=np.uint64)
        for i, value in enumerate(values):
            whole = int(value)
            out[i] = [whole >> (LIMB_BITS * j) & mask for j in range(self.limbs)]
        return out

    def into_form(self, values: Sequence[int]) -> NDArray[np.uint64]:
        """(count, limbs) in Montgomery form."""
        return self.to_limbs([int(value) * self.r % self.modulus for value in values])

    def to_words(self, values: Sequence[int]) -> NDArray[np.uint64]:
        """(count, words) of 64 bits of reduced numbers."""
        data = b"".join(int(value).to_bytes(8 * self.words, "little") for value in values)
        return np.frombuffer(data, dtype="<u8").reshape(-1, self.words)

    def from_words(self, words: NDArray[np.uint64]) -> list[int]:
        """The numbers, reduced (a lane may hold the modulus itself for 0)."""
        data, width = words.tobytes(), 8 * self.words
        return [
            mpz(int.from_bytes(data[i : i + width], "little")) % self.modulus
            for i in range(0, len(data), width)
        ]

    def power_each(self, values: Sequence[int], exponent: int) -> list[int]:
        """All values, reduced, to one exponent > 0."""
        if not values:
            return []
        whole, digits = int(exponent), []
        while whole:
            digits.append(whole & ((1 << _WINDOW) - 1))
            whole >>= _WINDOW
        from hefu.engine.he import lanes

        out = np.empty((len(values), self.words), dtype=np.uint64)
        lanes.power_each(
            self.to_words(values),
            np.array(digits[::-1], dtype=np.uint8),
            self.square_of_r,
            self.n,
            self.k,
            out,
        )
        return self.from_words(out)

    def rows_of_powers(self, bases: Sequence[int]) -> NDArray[np.uint64]:
        """(rows, 256, limbs): base^d for d = 0..255, in Montgomery form."""
        from hefu.engine.he import lanes

        table = np.empty((len(bases), 256, self.limbs), dtype=np.uint64)
        lanes.fill_rows(self.into_form(bases), self.one, self.n, self.k, table)
        return table

    def power_by_table(self, table: NDArray[np.uint64], digits: NDArray[np.uint8]) -> list[int]:
        """prod_j table[j, digits[i, j]] for each i."""
        from hefu.engine.he import lanes

        out = np.empty((len(digits), self.words), dtype=np.uint64)
        lanes.power_by_table(table, digits, self.n, self.k, out)
        return self.from_words(out)

    def weighted_products(self, values: Sequence[int], digits: NDArray[np.uint16], width: int) -> list[int]:
        """prod_i values[i]^digits[i, position] for each of 8 positions; digits (count, 8) below 2^width."""
        from hefu.engine.he import lanes

        buckets = np.empty((1 << width, self.limbs, LANES), dtype=np.uint64)
        buckets[:] = self.one[:, None]
        for start in range(0, len(values), _CHUNK):
            words = self.to_words(values[start : start + _CHUNK])
            part = digits[start : start + _CHUNK]
            lanes.fill_buckets(words, part, self.square_of_r, self.n, self.k, buckets)
        out = np.empty((LANES, self.words), dtype=np.uint64)
        lanes.drain_buckets(buckets, self.n, self.k, out)
        return self.from_words(out)
