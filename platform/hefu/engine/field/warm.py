"""Compile the field's kernels ahead."""

import numpy as np

from hefu.engine.field.gf128 import add_scaled, dot, multiply


def warm() -> None:
    """Each kernel once, with the types that protocols use."""
    a = np.ones((2, 2), dtype=np.uint64)
    multiply(a, a)
    add_scaled(a.copy(), a, a[0])
    dot(a, a)
