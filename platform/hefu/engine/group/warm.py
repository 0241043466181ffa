"""Compile the kernels of this package once, with the types that protocols use, where the CPU has the instructions."""

import numpy as np

from hefu.engine.group import ristretto


def warm() -> None:
    """Multiplies eight points, from either form."""
    if ristretto.fast():
        from hefu.engine.group import ristretto_lanes

        scalar = (5).to_bytes(ristretto.SCALAR_BYTES, "little")
        uniform = np.ones((8, ristretto.UNIFORM_BYTES), dtype=np.uint8)
        ristretto_lanes.multiply(scalar, ristretto_lanes.multiply(scalar, uniform)[0])
