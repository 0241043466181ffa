"""Checks of the arrays that mechanisms are called on: nothing is converted that could lose a value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import InputInvalid


def as_int64(values: NDArray[Any], bounds: tuple[int, int] | None = None) -> NDArray[np.int64]:
    """The array as int64; raises InputInvalid for anything but integers, or values outside int64 or the bounds."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu":
        raise InputInvalid("an array of integers is needed: round or encode other numbers first")
    if values.size:
        low, high = int(values.min()), int(values.max())
        if high > np.iinfo(np.int64).max:
            raise InputInvalid(f"the value {high} does not fit a signed 64-bit integer")
        if bounds is not None and (low < bounds[0] or high > bounds[1]):
            raise InputInvalid(
                f"values reach from {low} to {high}, outside [{bounds[0]}, {bounds[1]}]: clamp them first"
            )
    return np.ascontiguousarray(values, dtype=np.int64)


def as_finite_floats(values: NDArray[Any]) -> NDArray[np.float64]:
    """The array as float64; raises InputInvalid for NaN, inf or anything but floats."""
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.dtype.itemsize > 8:
        raise InputInvalid("an array of floats is needed; for integers take the discrete mechanism")
    if not np.isfinite(values).all():
        raise InputInvalid("NaN or infinite values have no sensitivity: remove or replace them first")
    return np.ascontiguousarray(values, dtype=np.float64)
