"""Rows picked by secret flags: those with a flag first, both parts in their old order.

Each row's new position is a running sum of flags (or of what lacks one): local, but for one product. The rows are shuffled
along with these positions, which are then opened: a permutation in a secret uniform order is a uniform permutation.
Who learns what: nobody anything; with `select_rows` everybody learns how many rows have the flag.
24 bytes a row for the product, 32 (w + 1) for the shuffle, 24 for the opening; 5 rounds.
Source: Chida, Hamada, Ikarashi, Kikuchi, Kiribuchi, Pinkas, "An efficient secure three-party sorting protocol with an
honest majority", ePrint 2019/695 (one step of radix sort).
"""

import numpy as np

from hefu.engine.errors import InputInvalid, ResultInvalid
from hefu.engine.rss.convert import to_arithmetic
from hefu.engine.rss.multiply import multiply
from hefu.engine.rss.opening import open_to_all
from hefu.engine.rss.party import Party
from hefu.engine.rss.shares import Arithmetic, Bits, add_public
from hefu.engine.rss.shuffle import shuffle, with_columns


def flagged_first(party: Party, rows: Arithmetic, flags: Arithmetic) -> Arithmetic:
    """The rows whose flag is 1, then those whose flag is 0, each in their old order.

    rows, flags  (n, w) and (n,) shares; a flag is 0 or 1
    raises       InputInvalid for other shapes, ResultInvalid when the positions are no permutation
    """
    n = flags.size
    if len(rows.shape) != 2 or flags.shape != rows.shape[:1]:
        raise InputInvalid(f"rows {rows.shape} and flags {flags.shape} do not go together")
    if not n:
        return rows
    ones = flags.each(lambda words: words.cumsum(dtype=np.uint64))
    counted = np.arange(n, dtype=np.uint64)
    without = add_public(party, ones[-1:] - ones, counted)  # position of a row without the flag
    with_flag = add_public(party, ones, np.uint64(0xFFFFFFFFFFFFFFFF))
    positions = without + multiply(party, flags, with_flag - without)
    mixed = shuffle(party, with_columns(rows, positions))
    places = open_to_all(party, mixed[:, -1])
    order = np.empty(n, dtype=np.int64)
    order.fill(-1)
    within = places < np.uint64(n)
    order[places[within].astype(np.int64)] = np.flatnonzero(within)
    if bool((order < 0).any()):
        raise ResultInvalid("the opened positions are no permutation: a flag was neither 0 nor 1")
    return mixed.each(lambda words: words[order, :-1])


def select_rows(party: Party, rows: Arithmetic, condition: Bits) -> Arithmetic:
    """The rows for which the condition holds, in their order. Everybody learns how many there are."""
    flags = to_arithmetic(party, condition.reshape((condition.size,)))
    count = int(open_to_all(party, flags.each(lambda words: words.sum(dtype=np.uint64))))
    return flagged_first(party, rows, flags)[:count]
