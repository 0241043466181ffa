"""Long integers: gmpy2's functions with types, coins from a keystream, primes.

None of it runs in constant time: whoever measures the time of single operations on the machine that holds a private key
learns about the key. Between organisations only whole messages are seen.
"""

import secrets
from collections.abc import Callable, Sequence

import gmpy2  # type: ignore[import-untyped]  # ships no types
import numpy as np
from numpy.typing import NDArray

from hefu.engine.prg import KEY_BYTES, Prg

mpz: Callable[[int], int] = gmpy2.mpz
powmod: Callable[[int, int, int], int] = gmpy2.powmod
gcd: Callable[[int, int], int] = gmpy2.gcd
jacobi: Callable[[int, int], int] = gmpy2.jacobi
powmod_list: Callable[[list[int], int, int], list[int]] = gmpy2.powmod_base_list

_PRIME_ROUNDS = 40


def invert(value: int, modulus: int) -> int:
    """The inverse of `value`; raises ZeroDivisionError when there is none."""
    inverse: int = gmpy2.invert(value, modulus)
    return inverse


def invert_each(values: Sequence[int], modulus: int) -> list[int]:
    """All inverses for one inversion and three multiplications each (Montgomery's trick); raises ZeroDivisionError."""
    if not values:
        return []
    prefix = [values[0]]
    for value in values[1:]:
        prefix.append(prefix[-1] * value % modulus)
    rest = invert(prefix[-1], modulus)
    out = list(values)
    for i in range(len(values) - 1, 0, -1):
        out[i] = rest * prefix[i - 1] % modulus
        rest = rest * values[i] % modulus
    out[0] = rest
    return out


def is_prime(value: int) -> bool:
    """Baillie-PSW and Miller-Rabin; a composite passes with probability < 4^-40."""
    found: bool = gmpy2.is_prime(value, _PRIME_ROUNDS)
    return found


def fresh_coins() -> Prg:
    """A keystream under a key from the system."""
    return Prg(secrets.token_bytes(KEY_BYTES))


def draw_bytes(coins: Prg, count: int) -> bytes:
    """The next bytes of a keystream."""
    out = np.empty(count, dtype=np.uint8)
    coins.fill(out)
    return out.tobytes()


def draw_rows(coins: Prg, count: int, length: int) -> NDArray[np.uint8]:
    """(count, length) uniform bytes."""
    out = np.empty((count, length), dtype=np.uint8)
    coins.fill(out)
    return out


def draw_bits(coins: Prg, bits: int) -> int:
    """A uniform integer of at most `bits` bits."""
    length = (bits + 7) // 8
    return mpz(int.from_bytes(draw_bytes(coins, length), "little") >> (8 * length - bits))


def draw_below(coins: Prg, bound: int) -> int:
    """A uniform integer in [1, bound), by rejection."""
    bits = int(bound).bit_length()
    while True:
        value = draw_bits(coins, bits)
        if 0 < value < bound:
            return value


def draw_prime(coins: Prg, bits: int, *, residue: int = 1, modulus: int = 2) -> int:
    """A random prime of exactly `bits` bits with its two upper bits set, congruent to `residue`.

    Candidates are drawn afresh, not searched upwards from one: no prime is likelier for the gap before it."""
    while True:
        candidate = draw_bits(coins, bits) | (3 << (bits - 2))
        candidate += (residue - candidate) % modulus
        if int(candidate).bit_length() == bits and is_prime(candidate):
            return candidate
