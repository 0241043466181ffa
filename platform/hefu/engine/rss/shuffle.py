"""Shuffle of secret rows: a uniform permutation that no party knows.

P0 holds a = x_0 + x_1 and P1 b = x_2. Three permutations follow each other, each known to two parties:
  pi_01 (k_1)  P0: a' = pi_01(a) + m_1, sent to P2       P1: b' = pi_01(b) - m_1
  pi_12 (k_2)  P1: b'' = pi_12(b') - m_2, sent to P0     P2: a'' = pi_12(a') + m_2
  pi_02 (k_0)  P0 sends P2 u = pi_02(b'') - r_1, P2 sends P0 v = pi_02(a'') - r_2, and the new shares are
               y_1 = r_1 = PRG(k_1), y_2 = r_2 = PRG(k_2), y_0 = u + v.
The masks r_1, r_2 of the way back also hide the last step, so it needs no mask of its own.
Who learns what: nobody anything; P1 receives nothing at all, and each party lacks one of the three permutations.
32 bytes a word, three rounds. All columns of a row travel together.
Source: Laur, Willemson, Zhang, "Round-efficient oblivious database manipulation", ISC 2011, section 4.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.kernels import kernel
from hefu.engine.permutation import permutation
from hefu.engine.rss.party import Party, Words
from hefu.engine.rss.shares import Arithmetic
from hefu.engine.shuffle import permute_and_mask


@kernel
def _gather_less(rows: Words, order: NDArray[np.uint32], mask: Words, out: Words) -> None:
    """out[i] = rows[order[i]] - mask[i]"""
    for i in range(len(order)):
        source = order[i]
        for k in range(rows.shape[1]):
            out[i, k] = rows[source, k] - mask[i, k]


def shuffle(party: Party, rows: Arithmetic) -> Arithmetic:
    """The rows in a secret uniform order.

    rows     (n, w) shares
    raises   InputInvalid for another shape, or more than 2^31 - 1 rows
    """
    if len(rows.shape) != 2:
        raise InputInvalid(f"a shuffle takes rows of columns, not the shape {rows.shape}")
    op = party.begin("shuffle")
    n = rows.shape[0]
    fresh, mine, theirs = (np.empty(rows.shape, dtype=np.uint64) for _ in range(3))
    if party.index == 1:
        held = np.ascontiguousarray(rows.second)
        for key in (1, 2):
            order = permutation(op.stream(key, "order"), n)
            held = permute_and_mask(held, order, op.stream(key, "mask"), negative=True)
        party.send(0, held)
        op.stream(1, "result").fill(fresh)
        op.stream(2, "result").fill(mine)
        return Arithmetic(fresh, mine)
    if party.index == 0:
        order = permutation(op.stream(1, "order"), n)
        held = np.ascontiguousarray(rows.first + rows.second)
        held = permute_and_mask(held, order, op.stream(1, "mask"), negative=False)
        party.send(2, held)
        party.receive(1, theirs)
        peer, key = 2, 1
    else:
        party.receive(0, theirs)
        order = permutation(op.stream(2, "order"), n)
        theirs = permute_and_mask(theirs, order, op.stream(2, "mask"), negative=False)
        peer, key = 0, 2
    op.stream(key, "result").fill(fresh)
    _gather_less(theirs, permutation(op.stream(0, "order"), n), fresh, mine)
    party.exchange(peer, mine, theirs)
    mine += theirs
    return Arithmetic(mine, fresh) if party.index == 0 else Arithmetic(fresh, mine)


def with_columns(*columns: Arithmetic) -> Arithmetic:
    """(n, w) rows from columns of shape (n,) or blocks of shape (n, k), side by side."""
    blocks = [c.reshape((c.shape[0], 1)) if len(c.shape) == 1 else c for c in columns]
    shape = blocks[0].shape[0], sum(b.shape[1] for b in blocks)
    first, second = (np.empty(shape, dtype=np.uint64) for _ in range(2))  # C order, whatever the columns' is
    np.concatenate([b.first for b in blocks], axis=1, out=first)
    np.concatenate([b.second for b in blocks], axis=1, out=second)
    return Arithmetic(first, second)
