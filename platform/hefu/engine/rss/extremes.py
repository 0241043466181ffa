"""The largest or smallest entry of each row, and where it stands, by a tournament; nothing is opened.

Each round halves the columns: neighbours are compared and the winner taken, with its index and whatever else is carried.
For one long column `sort.first_rows` is cheaper; this is for many short rows (the best class of each of n cases).
Who learns what: nobody anything. For (n, m): n (m - 1) comparisons and choices, about 68 + 48 bytes each with the index
48 more; 11 rounds for each of ceil(log2 m) halvings. Entries differ by less than 2^63; among equal ones the first wins.
"""

from __future__ import annotations

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.rss.compare import msb
from hefu.engine.rss.convert import to_arithmetic
from hefu.engine.rss.multiply import multiply
from hefu.engine.rss.party import Party
from hefu.engine.rss.shares import Arithmetic, concatenate, public


def maximum(party: Party, x: Arithmetic) -> tuple[Arithmetic, Arithmetic]:
    """(n,) the largest entry of each row, and (n,) the column of the first such.

    x       (n, m), m > 0
    raises  InputInvalid for another shape
    """
    if len(x.shape) != 2 or not x.shape[1]:
        raise InputInvalid(f"a maximum along rows needs rows and columns, not the shape {x.shape}")
    columns = np.arange(x.shape[1], dtype=np.uint64).reshape(1, -1)
    index = public(party, np.broadcast_to(columns, x.shape).copy())
    while x.shape[1] > 1:
        half = x.shape[1] // 2
        left, right, rest = (slice(0, 2 * half, 2), slice(1, 2 * half, 2), slice(2 * half, None))
        behind = msb(party, x[:, left] - x[:, right])
        one = to_arithmetic(party, behind)
        both = [(part[:, right] - part[:, left]) for part in (x, index)]
        moved = multiply(party, concatenate(both), concatenate([one, one]))
        n = x.shape[0]
        x, index = (
            concatenate([part[:, left] + gained, part[:, rest]], axis=1)
            for part, gained in ((x, moved[:n]), (index, moved[n:]))
        )
    return x[:, 0], index[:, 0]


def minimum(party: Party, x: Arithmetic) -> tuple[Arithmetic, Arithmetic]:
    """(n,) the smallest entry of each row, and (n,) the column of the first such."""
    value, index = maximum(party, -x)
    return -value, index
