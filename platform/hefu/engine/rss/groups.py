"""Group by secret keys: sum, count, smallest and largest value of each group.

The rows are sorted by their keys (and by the value whose extremes are asked for), running sums are taken, and the last row
of each group is found by comparing neighbours for equality. These rows are brought to the front by their secret flags
(`compact`); what a group holds is the difference of its last row's running sums to those of the group before.
Who learns what: with `reveal_count` everybody learns the number of groups, nobody anything else, no group's size. Without
it nobody learns anything: n rows come back, with a secret flag for those that are groups; the others are zero.
Cost: one sort, 31.6 bytes a row and key word for equality, 24 for the flags, and `compact` over the columns that are left.
Source: Jónsson, Kreitz, Uddin, "Secure multi-party sorting and applications", ePrint 2011/122 (aggregation by a sort).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.rss.compact import flagged_first
from hefu.engine.rss.compare import is_zero
from hefu.engine.rss.convert import to_arithmetic
from hefu.engine.rss.division import divide
from hefu.engine.rss.multiply import both, multiply
from hefu.engine.rss.opening import open_to_all
from hefu.engine.rss.party import Party
from hefu.engine.rss.shares import Arithmetic, Bits, concatenate, public
from hefu.engine.rss.shuffle import with_columns
from hefu.engine.rss.sort import Key, key_words, sort


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """One row for each group, by increasing (or decreasing) keys; shares.

    keys              (g, number of keys)
    sums              (g, number of summed columns)
    counts            (g,)
    smallest, largest (g,), where extremes were asked for
    valid             (g,) 1 for groups, 0 for what follows the last; None where the number of groups was opened
    """

    keys: Arithmetic
    sums: Arithmetic
    counts: Arithmetic
    smallest: Arithmetic | None
    largest: Arithmetic | None
    valid: Arithmetic | None


def group_by(
    party: Party,
    rows: Arithmetic,
    keys: Sequence[Key],
    sums: Sequence[int] = (),
    extremes: Key | None = None,
    *,
    reveal_count: bool = True,
) -> Groups:
    """Aggregate the rows that have equal keys.

    rows      (n, w) shares
    keys      what makes a group
    sums      columns to add up, mod 2^64
    extremes  the column whose smallest and largest values are wanted, and its width
    raises    InputInvalid when a column or width does not fit
    """
    if any(not 0 <= column < rows.shape[1] for column in sums):
        raise InputInvalid(f"rows of {rows.shape[1]} columns do not have all of the columns {list(sums)}")
    columns = [key.column for key in keys]
    ranked = [extremes] if extremes else []
    kept = with_columns(rows[:, [*columns, *sums, *(key.column for key in ranked)]])
    k, s, n = len(columns), len(sums), rows.shape[0]
    moved = [Key(number, key.bits, key.descending) for number, key in enumerate(keys)]
    by = moved + [Key(k + s, key.bits) for key in ranked]
    ordered = sort(party, kept, by)
    flags = last_of_group(party, ordered, moved)
    running = ordered[:, k : k + s].each(lambda words: words.cumsum(axis=0, dtype=np.uint64))
    position = public(party, np.arange(1, n + 1, dtype=np.uint64))
    carried = [ordered[:, :k], running, position]
    if extremes:
        value = ordered[:, k + s]
        carried += [value, _shifted(value, -1)]  # the next row's is the smallest of the next group
    if not reveal_count:
        carried.append(flags)
    first_value = ordered[:1, k + s] if extremes else None
    packed = flagged_first(party, with_columns(*carried), flags)
    if reveal_count:
        packed = packed[: int(open_to_all(party, flags.each(lambda words: words.sum(dtype=np.uint64))))]
    return _differences(party, packed, (k, s), first_value, reveal_count)


def group_means(
    party: Party, groups: Groups, sum_bits: int, fraction_bits: int, quotient_bits: int = 20
) -> Arithmetic:
    """(g, number of summed columns): sums over counts, with fraction_bits; 0 where there is no group.

    sum_bits       how many fraction bits the summed columns have
    quotient_bits  every mean is below 2^quotient_bits; error at most 2^-min(20, 40 - that) of it and 3 units
    """
    counts = groups.counts.scale(np.uint64(1 << sum_bits)).reshape((groups.counts.size, 1))
    return divide(party, groups.sums, counts, fraction_bits, quotient_bits)


def last_of_group(party: Party, ordered: Arithmetic, keys: Sequence[Key]) -> Arithmetic:
    """(n,) 1 where the next row has other keys, or there is none."""
    words, _ = key_words(party, ordered, keys)
    n = ordered.shape[0]
    same: Bits | None = None
    for word in words:
        equal = is_zero(party, word[1:] - word[:-1]) if n > 1 else None
        if equal is not None:
            same = equal if same is None else both(party, same, equal)
    ones = public(party, np.ones(n, dtype=np.uint64))
    if same is None:
        return ones
    return ones - concatenate([to_arithmetic(party, same), public(party, np.zeros(1, dtype=np.uint64))])


def _shifted(column: Arithmetic, by: int) -> Arithmetic:
    return column.each(lambda words: np.roll(words, by, axis=0))


def _differences(
    party: Party, packed: Arithmetic, widths: tuple[int, int], first_value: Arithmetic | None, revealed: bool
) -> Groups:
    k, s = widths
    totals = packed[:, k : k + s + 1]
    before = concatenate(
        [totals[:0], public(party, np.zeros((min(1, totals.shape[0]), s + 1), np.uint64)), totals[:-1]]
    )
    found = [packed[:, :k], totals - before]
    if first_value is not None:
        largest, following = packed[:, k + s + 1], packed[:, k + s + 2]
        smallest = concatenate([first_value, following[:-1]]) if following.size else following
        found += [with_columns(smallest, largest)]
    out = with_columns(*found)
    valid = None
    if not revealed:
        valid = packed[:, -1]
        out = multiply(party, out, valid.reshape((valid.size, 1)))
    return Groups(
        out[:, :k],
        out[:, k : k + s],
        out[:, k + s],
        out[:, k + s + 1] if first_value is not None else None,
        out[:, k + s + 2] if first_value is not None else None,
        valid,
    )
