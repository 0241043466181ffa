"""What all parties of one aggregation agree on beforehand; every signature and key is bound to its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hefu.engine.aggregation.errors import PlanInvalid
from hefu.engine.session import encode

MAX_CLIENTS = 4096
MAX_LENGTH = 1 << 27


@dataclass(frozen=True)
class Plan:
    """One round of aggregation.

    context    bytes that no other computation has: the session id
    round      counts the aggregations of one session
    roster     client -> Ed25519 public key (32 bytes), known before; the server cannot add to it
    threshold  t: so many clients must last to the end, and more than half of the roster
    ring_bits  32 or 64; length: elements per vector
    raises     PlanInvalid
    """

    context: bytes
    round: int
    roster: Mapping[str, bytes]
    threshold: int
    length: int
    ring_bits: int = 32
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(sorted(self.roster)))
        n = len(self.names)
        if not 2 <= n <= MAX_CLIENTS or not all(self.names):
            raise PlanInvalid(f"2 to {MAX_CLIENTS} named clients, not {n}")
        if not n < 2 * self.threshold <= 2 * n:
            raise PlanInvalid(
                f"a threshold of {self.threshold} of {n}: more than half of the clients are needed"
            )
        if self.ring_bits not in (32, 64) or not 1 <= self.length <= MAX_LENGTH or self.round < 0:
            raise PlanInvalid(f"a ring of 32 or 64 bits and 1 to {MAX_LENGTH} elements")
        if any(len(key) != 32 for key in self.roster.values()) or len(set(self.roster.values())) != n:
            raise PlanInvalid("every client has an Ed25519 key of 32 bytes of its own")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Little-endian words of the ring."""
        return np.dtype("<u4" if self.ring_bits == 32 else "<u8")

    @cached_property
    def digest(self) -> bytes:
        """32 bytes over everything above."""
        numbers = (self.round, self.threshold, self.length, self.ring_bits)
        members = (part for name in self.names for part in (name.encode(), self.roster[name]))
        header = (b"hefu aggregation v1", self.context, *(x.to_bytes(8, "big") for x in numbers))
        return hashlib.sha256(encode(*header, *members)).digest()

    def index(self, name: str) -> int:
        """1, 2, … in the order of names: a client's number on the wire and its point in secret sharing."""
        return self.names.index(name) + 1

    def name(self, index: int) -> str:
        """The client with this number."""
        return self.names[index - 1]

    def is_signed(self, name: str, signature: bytes, statement: bytes) -> bool:
        """Whether this client signed the statement."""
        try:
            Ed25519PublicKey.from_public_bytes(self.roster[name]).verify(signature, statement)
        except (InvalidSignature, ValueError):
            return False
        return True

    def keys_statement(self, name: str, cipher_key: bytes, mask_key: bytes) -> bytes:
        """What a client signs when it advertises its keys."""
        return encode(b"hefu aggregation keys v1", self.digest, name.encode(), cipher_key, mask_key)

    def survivors_statement(self, key_list: bytes, survivors: bytes) -> bytes:
        """What a client signs about the lists that it saw."""
        seen = hashlib.sha256(key_list).digest()
        return encode(b"hefu aggregation survivors v1", self.digest, seen, survivors)
