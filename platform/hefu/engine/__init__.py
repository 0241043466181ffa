"""The engine: secret sharing on arrays of 64-bit words, and the channels between the parties.

Knows no contract, no HTTP, no database. Every protocol names its source and says who learns what.
"""

ENGINE_VERSION = "1"
"""Raised whenever messages, labels or encodings change: parties with different versions don't compute together."""
