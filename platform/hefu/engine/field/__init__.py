"""Arithmetic in GF(2^128)."""

from hefu.engine.field.gf128 import Elements, add_scaled, dot, inverse, multiply

__all__ = ["Elements", "add_scaled", "dot", "inverse", "multiply"]
