"""Compile the kernels of the eight lanes, with exactly the types that the schemes use; nothing where the CPU has none."""

import numpy as np

from hefu.engine.he.fixed_base import FixedBase, PowerEach
from hefu.engine.he.montgomery import SHORTEST_BITS
from hefu.engine.he.multiexp import MultiPower


def warm() -> None:
    """Run each kernel on a few short numbers."""
    modulus = (1 << SHORTEST_BITS) + 1
    FixedBase(3, modulus).powers(np.ones((2, 1), dtype=np.uint8))
    PowerEach(modulus)([2, 3, 4, 5], 6)
    MultiPower(modulus)([2] * 9, [3] * 9)
