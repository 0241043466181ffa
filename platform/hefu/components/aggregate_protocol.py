"""Sums, row counts and distinct data subjects of groups on replicated shares, with suppression before anything is opened.

    rows + one public row per group and one of group 0, all of value and count 0: every group exists, none more
    1  group by (group, subject), number of groups hidden: one row per subject and group, with its sum and row count
    2  sort by (group, |sum| or count, descending); without dominance the order of step 1 serves
    3  running sums; ends of groups to the front (`flagged_first`): exactly G + 1 of them, whatever the rows are
    4  small = subjects < min_group;  dominated = denominator · largest k > numerator · total of absolute contributions
    5  the recipient knows how many rows there are in all: where one group alone is small or dominated, or all such hold fewer
       than min_group rows, the group of fewest subjects among the others is suppressed too (complementary suppression)
    6  keep = none of these; what leaves is keep · (sum, rows, subjects) and keep
Who learns what: the compute nodes n, G and how many groups were suppressed; nothing of which, nothing of a value. Semi-honest,
no two collude. Cost: two sorts of n + G + 1 rows, one `flagged_first` of as many, one of G; G - 1 comparisons in log2 G turns.
Sources: Jónsson, Kreitz, Uddin, ePrint 2011/122 (aggregation by a sort); Hundepool et al., Statistical Disclosure Control,
Wiley 2012, 4.2.1 ((n, k) dominance), 4.2.2 (secondary suppression).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

import numpy as np

from hefu.components.aggregate_input import HIGH_BITS, LOW_BITS, WORDS, Words
from hefu.engine.errors import InputInvalid
from hefu.engine.rss.compact import flagged_first
from hefu.engine.rss.compare import equal, less, msb
from hefu.engine.rss.convert import to_arithmetic
from hefu.engine.rss.extremes import minimum
from hefu.engine.rss.groups import group_by, last_of_group
from hefu.engine.rss.multiply import either, multiply
from hefu.engine.rss.opening import half, open_to_all
from hefu.engine.rss.party import Party
from hefu.engine.rss.shares import Arithmetic, add_public, concatenate, invert, public
from hefu.engine.rss.shuffle import with_columns
from hefu.engine.rss.sort import Key, sort

_GROUP, _HIGH, _LOW, _VALUE, _ONE = range(WORDS)
_SUBJECT_SUM, _SUBJECT_ROWS, _IS_SUBJECT, _CONTRIBUTION = range(1, 5)
OUT: int = 4
"""sum, rows, subjects, keep"""
_SET_APART = np.uint64(2**40)
"""Added to the size of a group that is suppressed already: more than any number of subjects."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The output gate as the protocol applies it.

    min_group     distinct subjects that a group needs
    contributors  k of dominance; 0: no dominance rule
    share         the largest k may make up at most numerator/denominator of the total, reduced
    """

    min_group: int
    contributors: int
    share: tuple[int, int] | None


def reduced(ppm: int) -> tuple[int, int]:
    """ppm / 10^6 in lowest terms: the fewer bits, the more are left to the amounts."""
    common = gcd(ppm, 1_000_000)
    return ppm // common, 1_000_000 // common


def aggregate(
    party: Party,
    rows: Arithmetic,
    groups: int,
    gate: Gate,
    *,
    by_rows: bool,
    progress: Callable[[str, int, int], None],
) -> tuple[Words | None, int]:
    """This node's half, (G, 4) words, None at N1; and the number of suppressed groups, which all three learn.

    rows     (n, 5) shares as `share_groups` makes them
    by_rows  contributions are numbers of rows, not absolute sums (where only rows are counted)
    raises   InputInvalid for another shape
    """
    if len(rows.shape) != 2 or rows.shape[1] != WORDS:
        raise InputInvalid(f"rows of {WORDS} words are aggregated, not {rows.shape}")
    progress("group", 0, 3)
    subjects = _subjects(party, rows, groups, by_rows=by_rows)
    progress("rank", 1, 3)
    key_bits = groups.bit_length() + 1
    by = [Key(0, key_bits, descending=True)]
    if gate.contributors:
        subjects = sort(party, subjects, [*by, Key(_CONTRIBUTION, 63, descending=True)])
    progress("suppress", 2, 3)
    totals = _totals(party, subjects, by, groups, gate.contributors)
    kept, suppressed = _suppress(party, totals, gate)
    progress("suppress", 3, 3)
    return half(party, kept), suppressed


def _subjects(party: Party, rows: Arithmetic, groups: int, *, by_rows: bool) -> Arithmetic:
    """One row per (group, subject), by decreasing group: group, sum, rows, whether it is a subject, contribution ≥ 0."""
    every = np.zeros((groups + 1, WORDS), dtype=np.uint64)
    every[:, _GROUP] = np.arange(groups + 1, dtype=np.uint64)
    table = concatenate([rows, public(party, every)])
    keys = [
        Key(_GROUP, groups.bit_length() + 1, descending=True),
        Key(_HIGH, HIGH_BITS + 1),
        Key(_LOW, LOW_BITS + 1),
    ]
    found = group_by(party, table, keys, sums=[_VALUE, _ONE], reveal_count=False)
    if found.valid is None:
        raise InputInvalid("the number of subjects is to stay hidden")
    sums, counts = found.sums[:, 0], found.sums[:, 1]
    if by_rows:
        contribution = counts
    else:
        negative = to_arithmetic(party, msb(party, sums))
        contribution = sums - multiply(party, negative, sums).scale(np.uint64(2))
    return with_columns(found.keys[:, 0], sums, counts, found.valid, contribution)


def _totals(party: Party, subjects: Arithmetic, by: list[Key], groups: int, top: int) -> Arithmetic:
    """(G, 5) of groups G..1: sum, rows, subjects, total contribution, that of the `top` largest."""
    last = last_of_group(party, subjects, by)
    columns = [subjects[:, c] for c in (_SUBJECT_SUM, _SUBJECT_ROWS, _IS_SUBJECT, _CONTRIBUTION)]
    columns.append(_largest(party, subjects[:, _CONTRIBUTION], last, top))
    running = with_columns(*columns).each(lambda words: words.cumsum(axis=0, dtype=np.uint64))
    ends = flagged_first(party, running, last)[:groups]
    before = concatenate([public(party, np.zeros((1, ends.shape[1]), dtype=np.uint64)), ends[:-1]])
    totals = ends - before
    one = np.zeros(totals.shape, dtype=np.uint64)
    one[:, 2] = np.uint64(0xFFFFFFFFFFFFFFFF)  # -1: the public row of each group is no subject
    return add_public(party, totals, one)


def _largest(party: Party, contribution: Arithmetic, last: Arithmetic, top: int) -> Arithmetic:
    """The contribution where it is among the first `top` of its group, else 0."""
    nothing = public(party, np.zeros(contribution.shape, dtype=np.uint64))
    if not top:
        return nothing
    first = concatenate([public(party, np.ones(1, dtype=np.uint64)), last[:-1]])
    inner = public(party, np.ones(first.shape, dtype=np.uint64)) - first
    chosen = ranked = first
    for _ in range(1, top):
        shifted = concatenate([public(party, np.zeros(1, dtype=np.uint64)), ranked[:-1]])
        ranked = multiply(party, shifted, inner)
        chosen = chosen + ranked
    return multiply(party, chosen, contribution)


def _suppress(party: Party, totals: Arithmetic, gate: Gate) -> tuple[Arithmetic, int]:
    """(G, 4) shares of groups 1..G: sum, rows, subjects where kept, else 0; keep. And how many were not kept."""
    groups = totals.shape[0]
    limit = public(party, np.full(groups, gate.min_group, dtype=np.uint64))
    withheld = less(party, totals[:, 2], limit)
    if gate.contributors and gate.share is not None:
        numerator, denominator = gate.share
        most = totals[:, 3].scale(np.uint64(numerator))
        withheld = either(party, withheld, less(party, most, totals[:, 4].scale(np.uint64(denominator))))
    keep = _complemented(party, totals, to_arithmetic(party, invert(party, withheld)), gate.min_group)
    values = multiply(party, totals[:, :3], keep.reshape((groups, 1)))
    out = with_columns(values, keep).each(lambda words: np.ascontiguousarray(words[::-1]))
    kept = int(open_to_all(party, keep.each(lambda words: words.sum(dtype=np.uint64))))
    return out, groups - kept


def _complemented(party: Party, totals: Arithmetic, keep: Arithmetic, min_group: int) -> Arithmetic:
    """(G,) `keep`, less the kept group of fewest subjects where the suppressed ones follow too closely from all rows.

    The rows of all groups are known to the recipient, so their number in the suppressed groups together is: it must not be
    that of one group, and no smaller than min_group. Of equal groups the one of the highest number goes.
    """
    groups = keep.shape[0]
    every = public(party, np.ones(groups, dtype=np.uint64))
    gone = every - keep
    number, rows = (
        x.each(lambda words: words.sum(dtype=np.uint64).reshape(1))
        for x in (gone, multiply(party, gone, totals[:, 1]))
    )
    limits = public(party, np.array([1, 2, min_group], dtype=np.uint64))
    below = to_arithmetic(party, less(party, concatenate([number, number, rows]), limits))
    none, alone, few = below[:1], below[1:2], below[2:]
    narrow = alone + few - multiply(party, alone, few)
    exposed = narrow - multiply(party, narrow, none)
    _, place = minimum(party, (totals[:, 2] + gone.scale(_SET_APART)).reshape((1, groups)))
    smallest = equal(party, place, public(party, np.arange(groups, dtype=np.uint64)))
    chosen = multiply(party, to_arithmetic(party, smallest), exposed)
    return multiply(party, keep, every - chosen)
