"""Products of shared ring elements, and AND of shared bits: one message of the result's size from each party.

P_i computes z_i = x_i y_i + x_i y_{i+1} + x_{i+1} y_i + F(k_i) - F(k_{i+1}) and sends it to P_{i-1}: the z_i are fresh
shares of the product, and what P_{i-1} receives is uniform to it (it does not know k_{i+1}). The same with xor for AND.
Who learns what: nobody anything. 24 bytes an element in all, one round.
Source: Araki, Furukawa, Lindell, Nof, Ohara, CCS 2016, protocol 3.1.
"""

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel
from hefu.engine.rss.matrix import ring_product
from hefu.engine.rss.party import Operation, Party, Words
from hefu.engine.rss.shares import Arithmetic, Bits, broadcast, flat, invert, require_equal_shapes


@kernel
def local_products(
    x: Words, x2: Words, y: Words, y2: Words, mine: Words, following: Words, start: int, out: Words
) -> None:
    """z_i for one chunk of elements."""
    n = len(mine)
    a, a2 = x[start : start + n], x2[start : start + n]
    b, b2 = y[start : start + n], y2[start : start + n]
    z = out[start : start + n]
    for i in range(n):
        z[i] = a[i] * (b[i] + b2[i]) + a2[i] * b[i] + mine[i] - following[i]


@kernel
def local_ands(
    x: Words, x2: Words, y: Words, y2: Words, mine: Words, following: Words, start: int, out: Words
) -> None:
    """The same over Z_2, 64 elements to a word."""
    n = len(mine)
    a, a2 = x[start : start + n], x2[start : start + n]
    b, b2 = y[start : start + n], y2[start : start + n]
    z = out[start : start + n]
    for i in range(n):
        z[i] = (a[i] & (b[i] ^ b2[i])) ^ (a2[i] & b[i]) ^ mine[i] ^ following[i]


@kernel
def add_zero(words: Words, mine: Words, following: Words, start: int) -> None:
    """words += F(k_i) - F(k_{i+1}), in place."""
    z = words[start : start + len(mine)]
    for i in range(len(mine)):
        z[i] += mine[i] - following[i]


def multiply(party: Party, x: Arithmetic, y: Arithmetic) -> Arithmetic:
    """x * y mod 2^64, element by element; shapes broadcast."""
    op = party.begin("multiply")
    x, y = broadcast(x, y)
    out = np.empty(x.shape, dtype=np.uint64)
    row, (xs, ys) = out.reshape(-1), ((flat(v.first), flat(v.second)) for v in (x, y))
    for start, mine, following in op.zero().chunks(row.size):
        local_products(*xs, *ys, mine, following, start, row)
    return hand_back(party, out)


def matmul(party: Party, x: Arithmetic, y: Arithmetic) -> Arithmetic:
    """x @ y mod 2^64 for (m, k) and (k, n); 8 m n bytes from each party, whatever k is."""
    op = party.begin("matmul")
    out = local_matmul(x, y)
    reshare(op, out)
    return hand_back(party, out)


def local_matmul(x: Arithmetic, y: Arithmetic) -> Words:
    """P_i's additive share of x @ y, not yet masked: never send it as it is."""
    if len(x.shape) != 2 or len(y.shape) != 2 or x.shape[1] != y.shape[0]:
        raise InputInvalid(f"no matrix product of shapes {x.shape} and {y.shape}")
    left = np.concatenate([x.first, x.second], axis=1)
    right = np.concatenate([y.first + y.second, y.first], axis=0)
    return ring_product(left, right)


def dot(party: Party, x: Arithmetic, y: Arithmetic) -> Arithmetic:
    """The inner product of two vectors of equal length: one word from each party."""
    if len(x.shape) != 1 or x.shape != y.shape:
        raise InputInvalid(f"no inner product of shapes {x.shape} and {y.shape}")
    return matmul(party, x.reshape((1, x.size)), y.reshape((y.size, 1))).reshape(())


def both(party: Party, x: Bits, y: Bits) -> Bits:
    """x AND y; words_for(n) words for each plane from each party."""
    op = party.begin("and")
    require_equal_shapes(x, y)
    out = np.empty(x.first.shape, dtype=np.uint64)
    row, (xs, ys) = out.reshape(-1), ((flat(v.first), flat(v.second)) for v in (x, y))
    for start, mine, following in op.zero().chunks(row.size):
        local_ands(*xs, *ys, mine, following, start, row)
    second = np.empty_like(out)
    party.pass_back(out, second)
    return Bits(out, second, x.shape)


def either(party: Party, x: Bits, y: Bits) -> Bits:
    """x OR y, at the price of an AND."""
    return invert(party, both(party, invert(party, x), invert(party, y)))


def reshare(op: Operation, additive: Words, purpose: str = "zero") -> None:
    """Add this party's share of zero, in place: additive shares become fit to be sent."""
    row = additive.reshape(-1)
    for start, mine, following in op.zero(purpose).chunks(row.size):
        add_zero(row, mine, following, start)


def hand_back(party: Party, component: Words) -> Arithmetic:
    """Replicated shares from fresh additive ones: each sends its component to the party before it."""
    second = np.empty_like(component)
    party.pass_back(component, second)
    return Arithmetic(component, second)
