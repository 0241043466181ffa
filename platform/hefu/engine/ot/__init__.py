"""Oblivious transfer: base transfers on ristretto255 (`base`), and their extension (`extension`)."""

__all__ = ["base"]

from hefu.engine.ot import base
