"""Mean, variance and covariance of shared columns; sums and inner products are in `array` and `multiply`.

The sums are exact in the ring: only what comes out is truncated. Counts are public.
Who learns what: nobody anything.
Error: one unit, and 2^-21 of the result. Range: sums, of squares with 2f fraction bits too, below 2^62 as ring elements, and
results below 2^37; means are taken off first, so large offsets do no harm.
"""

import numpy as np

from hefu.engine.errors import InputInvalid
from hefu.engine.rss.multiply import matmul
from hefu.engine.rss.party import Party
from hefu.engine.rss.shares import Arithmetic
from hefu.engine.rss.truncate import truncate

_FACTOR_BITS, _KEPT_BITS = 20, 4


def mean(party: Party, x: Arithmetic) -> Arithmetic:
    """The mean along the first axis, with the fraction bits of x."""
    if not x.shape or not x.shape[0]:
        raise InputInvalid("no mean of nothing")
    total = x.each(lambda words: words.sum(axis=0, dtype=np.uint64))
    return _divide_by(party, total, x.shape[0], 0)


def covariance(party: Party, x: Arithmetic, fraction_bits: int, *, sample: bool = True) -> Arithmetic:
    """(d, d) covariances of the columns of (n, d) rows; divided by n - 1, or n when they are no sample."""
    if len(x.shape) != 2 or x.shape[0] <= int(sample):
        raise InputInvalid(f"no covariance of rows of the shape {x.shape}")
    centred = x - mean(party, x).reshape((1, x.shape[1]))
    product = matmul(party, centred.each(lambda words: words.T), centred)
    return _divide_by(party, product, x.shape[0] - int(sample), fraction_bits)


def variance(party: Party, x: Arithmetic, fraction_bits: int, *, sample: bool = True) -> Arithmetic:
    """The variance of one column (n,)."""
    return covariance(party, x.reshape((x.size, 1)), fraction_bits, sample=sample).reshape(())


def _divide_by(party: Party, total: Arithmetic, count: int, drop: int) -> Arithmetic:
    """total / count / 2^drop: first most of 2^ceil(log2 count) is taken off, then a factor of 1/2 to 1 and the rest."""
    halvings = (count - 1).bit_length() + drop
    if not halvings:
        return total
    kept = min(halvings, _KEPT_BITS)
    if halvings > kept:
        total = truncate(party, total, halvings - kept)
    factor = round((1 << (count - 1).bit_length()) / count * (1 << _FACTOR_BITS))
    return truncate(party, total.scale(np.uint64(factor)), kept + _FACTOR_BITS)
