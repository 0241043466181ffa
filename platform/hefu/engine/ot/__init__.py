"""Oblivious transfer: base transfers on ristretto255 (`base`), and their extension (`extension`).

Import the modules; only names that load no compiled code are re-exported.
"""

__all__ = ["base"]

from hefu.engine.ot import base
