"""Vector oblivious linear evaluation over GF(2^128): what two parties must hold for an intersection, wherever it is from.

The receiver holds A and C, the sender Delta and B, with B[i] = C[i] + A[i] Delta: Delta and C uniform, A unknown to the
sender. `dealer` has them from a third party, `vole_silent` from oblivious transfers and LPN, between the two alone.
"""

from typing import Protocol

from hefu.engine.field.gf128 import Elements


class VoleReceiver(Protocol):
    """The side that holds A and C."""

    def take(self, count: int) -> tuple[Elements, Elements]:
        """The next `count` entries of A and C, each (count, 2); the caller may overwrite them."""


class VoleSender(Protocol):
    """The side that holds Delta and B."""

    delta: Elements
    """(2,)"""

    def take(self, count: int) -> Elements:
        """The next `count` entries of B, (count, 2); the caller may overwrite them."""
