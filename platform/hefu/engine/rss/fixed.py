"""Numbers as ring elements: signed integers, and fixed point with f fraction bits (x stands for round(x 2^f)).

The range is checked here, once, because nothing can check it on shares: what goes in lies in [-2^62, 2^62) after
scaling, so that differences of any two inputs compare correctly. Sums and products are the program's to keep in range: a
fixed-point product needs |x y| < 2^(62 - 2f), about 1.07e9 with f = 16; beyond it the result is wrong without notice.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid
from hefu.engine.rss.party import Words

RANGE = 1 << 62
DEFAULT_FRACTION_BITS = 16


def encode(values: Any, fraction_bits: int = 0) -> Words:
    """Ring elements of integers (f = 0) or real numbers; uint64 arrays count as ring elements and are left alone.

    raises  InputInvalid for values that are not finite, not integers where f = 0, or out of [-2^62, 2^62) after scaling
    """
    array = np.asarray(values)
    if not 0 <= fraction_bits < 62:
        raise InputInvalid(f"fixed point has 0 to 61 fraction bits, not {fraction_bits}")
    if array.dtype == np.uint64:
        return array << np.uint64(fraction_bits) if fraction_bits else array
    if array.dtype == np.bool_:
        array = array.astype(np.int64)
    if array.dtype.kind == "f" or (array.dtype.kind in "iu" and fraction_bits):
        return _encode_reals(array, fraction_bits)
    if array.dtype.kind not in "iu":
        raise InputInvalid(f"numbers are shared, not {array.dtype}")
    whole = array.astype(np.int64)
    _require_range(whole)
    return np.asarray(whole).view(np.uint64)


def _encode_reals(array: NDArray[Any], fraction_bits: int) -> Words:
    if array.dtype.kind in "iu":
        limit = RANGE >> fraction_bits
        whole = array.astype(np.int64)
        if whole.size and (int(whole.min()) < -limit or int(whole.max()) >= limit):
            raise InputInvalid(
                f"a value is out of range: |x| < 2^{62 - fraction_bits} with {fraction_bits} fraction bits"
            )
        return np.asarray(whole << fraction_bits).view(np.uint64)
    if not fraction_bits and not bool(np.all(array == np.rint(array))):
        raise InputInvalid("real numbers need fraction bits")
    scaled = np.rint(np.ldexp(array.astype(np.float64), fraction_bits))
    if not bool(np.all((scaled >= -float(RANGE)) & (scaled < float(RANGE)))):
        raise InputInvalid(
            f"a value is not finite or out of range: |x| < 2^{62 - fraction_bits} with {fraction_bits} fraction bits"
        )
    return np.asarray(scaled.astype(np.int64)).view(np.uint64)


def _require_range(whole: NDArray[np.int64]) -> None:
    if whole.size and (int(whole.min()) < -RANGE or int(whole.max()) >= RANGE):
        raise InputInvalid(
            "an integer is out of range: -2^62 <= x < 2^62, so that differences compare correctly"
        )


def decode_integers(words: Words) -> NDArray[np.int64]:
    """Ring elements as signed integers."""
    return np.asarray(words).view(np.int64)


def decode_reals(words: Words, fraction_bits: int) -> NDArray[np.float64]:
    """Ring elements as real numbers."""
    return np.asarray(np.ldexp(decode_integers(words).astype(np.float64), -fraction_bits))
