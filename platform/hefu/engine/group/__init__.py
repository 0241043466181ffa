"""Groups of prime order for the public-key parts of protocols. Import `hefu.engine.group.ristretto`."""

__all__ = ["ristretto"]

from hefu.engine.group import ristretto
