"""Which rows of one list carry equal 128-bit tokens, in pairs.

Plain computation on opened tokens. The outcome depends on positions and on which tokens are equal, never on their
values: what is derived from it says nothing of the tokens' order. Tokens that share a first word by someone's design
cost a second sort, not more.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hefu.engine.kernels import kernel

SINGLE = -1
CONFLICT = -2


class Join(NamedTuple):
    """Positions, all in rising order.

    partner    (n,) int64: the position of the row that met this one, SINGLE, or CONFLICT
    first      (p,) int64; second (p,) int64: the p pairs, first < second, by first
    single     (s,) int64; conflict (c,) int64: met nobody; met more than one
    """

    partner: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    single: NDArray[np.int64]
    conflict: NDArray[np.int64]


@kernel
def _mark(order: NDArray[np.int64], tokens: NDArray[np.uint64], partner: NDArray[np.int64]) -> None:
    n = len(order)
    start = 0
    while start < n:
        a = order[start]
        stop = start + 1
        while stop < n and tokens[order[stop], 0] == tokens[a, 0] and tokens[order[stop], 1] == tokens[a, 1]:
            stop += 1
        if stop - start == 1:
            partner[a] = SINGLE
        elif stop - start == 2:
            b = order[start + 1]
            partner[a] = b
            partner[b] = a
        else:
            for k in range(start, stop):
                partner[order[k]] = CONFLICT
        start = stop


def join(tokens: NDArray[np.uint64]) -> Join:
    """The pairs of equal tokens among (n, 2) uint64; a token met more than twice is a conflict."""
    first_word = np.ascontiguousarray(tokens[:, 0])
    order = np.argsort(first_word)
    by_word = first_word[order]
    crowded = np.flatnonzero(by_word[2:] == by_word[:-2])
    if len(crowded):  # three or more share the first word: there the second word decides
        spots = np.unique(np.concatenate((crowded, crowded + 1, crowded + 2)))
        rows = order[spots]
        order[spots] = rows[np.lexsort((tokens[rows, 1], first_word[rows]))]
    del by_word, first_word
    partner = np.empty(len(tokens), dtype=np.int64)
    _mark(order, tokens, partner)
    first = np.flatnonzero(partner > np.arange(len(partner)))
    return Join(
        partner, first, partner[first], np.flatnonzero(partner == SINGLE), np.flatnonzero(partner == CONFLICT)
    )
