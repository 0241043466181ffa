"""Replicated secret sharing among three parties, at most one of them corrupted and semi-honest (see README.md)."""

from hefu.engine.rss.array import SecretArray, SecretBits, concatenate, secret, secret_bits, stack
from hefu.engine.rss.party import Operation, Party, Words
from hefu.engine.rss.shares import Arithmetic, Bits

__all__ = [
    "Arithmetic",
    "Bits",
    "Operation",
    "Party",
    "SecretArray",
    "SecretBits",
    "Words",
    "concatenate",
    "secret",
    "secret_bits",
    "stack",
]
