"""Powers of one base from a table: one multiplication per byte of the exponent, no squarings.

Row j of the table holds base^(d 256^j) for d = 0..255 (window w = 8); rows are made when an exponent first needs them.
A 2048-bit Paillier key's table for 1024-bit exponents takes 21 MB. Eight exponents at a time where the CPU can
(`lanes`), else one by one with gmpy2: the results are the same.
Source: Brickell, Gordon, McCurley, Wilson, "Fast exponentiation with precomputation", EUROCRYPT 1992.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hefu.engine.he.integers import mpz, powmod, powmod_list
from hefu.engine.he.montgomery import Modulus, modulus_for_lanes

_FEW = 3


class FixedBase:
    """The powers of `base` modulo `modulus`."""

    def __init__(self, base: int, modulus: int) -> None:
        self._modulus = mpz(modulus)
        self._next = mpz(base) % self._modulus
        self._lanes = modulus_for_lanes(modulus)
        self._rows: list[list[int]] = []
        self._table = np.empty((0, 256, self._lanes.limbs if self._lanes else 0), dtype=np.uint64)

    def powers(self, exponents: NDArray[np.uint8]) -> list[int]:
        """base^e for each row (count, bytes) of little-endian bytes."""
        count, length = exponents.shape
        if not length or not count:
            return [mpz(1)] * count
        if self._lanes is None:
            return self._one_by_one(exponents)
        if len(self._table) < length:
            self._grow_table(self._lanes, length)
        return self._lanes.power_by_table(self._table, np.ascontiguousarray(exponents))

    def _one_by_one(self, exponents: NDArray[np.uint8]) -> list[int]:
        while len(self._rows) < exponents.shape[1]:
            self._add_row()
        out, modulus = [], self._modulus
        for exponent in exponents:
            result = mpz(1)
            for row, digit in zip(self._rows, exponent.tobytes(), strict=False):
                result = result * row[digit] % modulus
            out.append(result)
        return out

    def _add_row(self) -> None:
        base, modulus = self._next, self._modulus
        row = [mpz(1), base]
        for _ in range(254):
            row.append(row[-1] * base % modulus)
        self._next = row[-1] * base % modulus
        self._rows.append(row)

    def _grow_table(self, modulus: Modulus, rows: int) -> None:
        bases = []
        for _ in range(rows - len(self._table)):
            bases.append(self._next)
            self._next = powmod(self._next, 256, self._modulus)
        self._table = np.concatenate([self._table, modulus.rows_of_powers(bases)])


class PowerEach:
    """Many numbers to one exponent, modulo one modulus."""

    def __init__(self, modulus: int) -> None:
        self._modulus = mpz(modulus)
        self._lanes = modulus_for_lanes(modulus)

    def __call__(self, values: Sequence[int], exponent: int) -> list[int]:
        """values[i]^exponent for an exponent > 0."""
        reduced = [value % self._modulus for value in values]
        if self._lanes is None or len(reduced) <= _FEW:
            return powmod_list(reduced, exponent, self._modulus)
        return self._lanes.power_each(reduced, exponent)
