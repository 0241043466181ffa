"""The protocols of this package on `SecretArray`s, so that a program reads as mathematics.

    functions.log(x) / ...      sort_rows(table, [Key(0, 32)])      group(table, [Key(0, 16)], sums=[1])
Bounds and ranges are those of `division`, `exponent`, `logistic`, `statistics`, `sort` and `groups`. Results have the fraction
bits of their arguments; integers go to 16 first where the result is no integer.
Who learns what: nobody anything, but for the number of rows that `select` keeps and of groups that `group` finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hefu.engine.rss import compact, division, exponent, groups, logistic, sort, statistics
from hefu.engine.rss.array import SecretArray, SecretBits
from hefu.engine.rss.fixed import DEFAULT_FRACTION_BITS
from hefu.engine.rss.party import Party
from hefu.engine.rss.shares import Arithmetic
from hefu.engine.rss.sort import Key


def _fixed(x: SecretArray) -> SecretArray:
    return x if x.fraction_bits else x.to_fixed(DEFAULT_FRACTION_BITS)


def _apply(function: Callable[[Party, Arithmetic, int], Arithmetic], x: SecretArray) -> SecretArray:
    x = _fixed(x)
    return SecretArray(x.party, function(x.party, x.share, x.fraction_bits), x.fraction_bits)


def reciprocal(x: SecretArray) -> SecretArray:
    """1 / x for x > 0."""
    return _apply(division.reciprocal, x)


def divide(a: SecretArray, b: SecretArray, quotient_bits: int = 16, *, signed: bool = False) -> SecretArray:
    """a / b for b > 0 (any b != 0 with `signed`) and |a / b| < 2^quotient_bits."""
    bits = max(_fixed(a).fraction_bits, _fixed(b).fraction_bits)
    a, b = a.to_fixed(bits), b.to_fixed(bits)
    return SecretArray(
        a.party, division.divide(a.party, a.share, b.share, bits, quotient_bits, signed=signed), bits
    )


def sqrt(x: SecretArray) -> SecretArray:
    """The square root for x >= 0."""
    return _apply(division.square_root, x)


def inverse_sqrt(x: SecretArray) -> SecretArray:
    """1 / sqrt(x) for x > 0."""
    return _apply(division.inverse_root, x)


def log(x: SecretArray) -> SecretArray:
    """ln x for x > 0."""
    return _apply(division.logarithm, x)


def exp(x: SecretArray) -> SecretArray:
    """e^x for x below 10.39 (16 fraction bits)."""
    return _apply(lambda party, share, bits: exponent.exponential(party, share, bits, bits), x)


def sigmoid(x: SecretArray, *, fast: bool = False) -> SecretArray:
    """1 / (1 + e^-x); `fast` has an error of up to 4e-4, at a third of the cost."""
    function = logistic.fast_sigmoid if fast else exponent.sigmoid
    return _apply(lambda party, share, bits: function(party, share, bits, bits), x)


def mean(x: SecretArray) -> SecretArray:
    """The mean along the first axis."""
    return _apply(lambda party, share, _: statistics.mean(party, share), x)


def variance(x: SecretArray, *, sample: bool = True) -> SecretArray:
    """The variance of one column."""
    return _apply(lambda party, share, bits: statistics.variance(party, share, bits, sample=sample), x)


def covariance(x: SecretArray, *, sample: bool = True) -> SecretArray:
    """The covariances of the columns of (n, d) rows."""
    return _apply(lambda party, share, bits: statistics.covariance(party, share, bits, sample=sample), x)


def sort_rows(table: SecretArray, keys: Sequence[Key]) -> SecretArray:
    """The rows by their keys; a key's width counts the bits of the scaled number, fraction bits included."""
    return SecretArray(table.party, sort.sort(table.party, table.share, keys), table.fraction_bits)


def first_rows(table: SecretArray, keys: Sequence[Key], k: int) -> SecretArray:
    """The first k rows by their keys."""
    return SecretArray(table.party, sort.first_rows(table.party, table.share, keys, k), table.fraction_bits)


def select(table: SecretArray, condition: SecretBits) -> SecretArray:
    """The rows for which the condition holds. Everybody learns how many there are."""
    return SecretArray(
        table.party, compact.select_rows(table.party, table.share, condition.bits), table.fraction_bits
    )


def group(
    table: SecretArray,
    keys: Sequence[Key],
    sums: Sequence[int] = (),
    extremes: Key | None = None,
    *,
    reveal_count: bool = True,
) -> dict[str, SecretArray]:
    """One row for each group: keys, sums, counts, means, and smallest, largest, valid where there are any."""
    party, bits = table.party, table.fraction_bits
    found = groups.group_by(party, table.share, keys, sums, extremes, reveal_count=reveal_count)
    mean_bits = bits or DEFAULT_FRACTION_BITS
    out = {
        "keys": SecretArray(party, found.keys, bits),
        "sums": SecretArray(party, found.sums, bits),
        "counts": SecretArray(party, found.counts),
    }
    if sums:
        out["means"] = SecretArray(party, groups.group_means(party, found, bits, mean_bits), mean_bits)
    for name, part, part_bits in (
        ("smallest", found.smallest, bits),
        ("largest", found.largest, bits),
        ("valid", found.valid, 0),
    ):
        if part is not None:
            out[name] = SecretArray(party, part, part_bits)
    return out
