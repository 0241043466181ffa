"""GF(2^128) in Python's integers, bit by bit: the twin of `gf128`."""

from collections.abc import Iterable

import numpy as np

from hefu.engine.field.gf128 import Elements

MODULUS = (1 << 128) | 0b10000111


def product(a: int, b: int) -> int:
    """a b modulo x^128 + x^7 + x^2 + x + 1; bit i is the coefficient of x^i."""
    result = 0
    while b:
        if b & 1:
            result ^= a
        b >>= 1
        a <<= 1
        if a >> 128:
            a ^= MODULUS
    return result


def to_integers(elements: Elements) -> list[int]:
    """(n, 2) words as integers."""
    return [int(low) | int(high) << 64 for low, high in elements.tolist()]


def to_elements(integers: Iterable[int]) -> Elements:
    """Integers under 2^128 as (n, 2) words."""
    data = b"".join(x.to_bytes(16, "little") for x in integers)
    return np.frombuffer(data, dtype="<u8").reshape(-1, 2).astype(np.uint64)
