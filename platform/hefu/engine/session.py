"""A session: one attempt of one job, with randomness of its own.

Each party makes an ephemeral X25519 key and 32 fresh bytes and publishes them (`PublicHello`; the node signs it). The
session id is the digest of job, attempt, contract and every hello; each pair of parties derives one key, bound to it.
A retry is a new attempt with new hellos: were streams used again, a compute node could recover the secret permutation.
Every draw has a label (peer, operation, purpose) and a label is given out once.
Sources: RFC 7748 (X25519), RFC 5869 (HKDF); semi-honest parties, hellos authenticated outside.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hefu.engine.errors import LabelReused, SessionInvalid
from hefu.engine.prg import KEY_BYTES, Prg

_HELLO_BYTES = 64


def encode(*parts: bytes) -> bytes:
    """Length-prefixed concatenation: different parts never give equal bytes."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def derive_key(secret: bytes, label: bytes, length: int = 32, salt: bytes = b"") -> bytes:
    """HKDF-SHA256 of a secret under a label."""
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=label).derive(secret)


@dataclass(frozen=True, slots=True)
class PublicHello:
    """What a party publishes for one attempt: an ephemeral X25519 public key and 32 fresh bytes."""

    public_key: bytes
    fresh: bytes

    def to_bytes(self) -> bytes:
        """64 bytes: key, fresh."""
        return self.public_key + self.fresh

    @classmethod
    def from_bytes(cls, data: bytes) -> PublicHello:
        """The hello in these bytes; raises SessionInvalid."""
        if len(data) != _HELLO_BYTES:
            raise SessionInvalid(f"a hello has {_HELLO_BYTES} bytes, not {len(data)}")
        return cls(bytes(data[:32]), bytes(data[32:]))


class PartySecret:
    """The private side of a hello. Good for one session; lives in memory only."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()
        self._fresh = os.urandom(32)
        self._spent = False

    def hello(self) -> PublicHello:
        """What to publish."""
        return PublicHello(self._private.public_key().public_bytes_raw(), self._fresh)

    def to_bytes(self) -> bytes:
        """For handing over to the worker process, through a pipe and never a file; ends this object's use."""
        self.spend()
        return self._private.private_bytes_raw() + self._fresh

    @classmethod
    def from_bytes(cls, data: bytes) -> PartySecret:
        """The other end of `to_bytes`; raises SessionInvalid."""
        if len(data) != _HELLO_BYTES:
            raise SessionInvalid(f"a party secret has {_HELLO_BYTES} bytes, not {len(data)}")
        secret = cls.__new__(cls)
        secret._private = X25519PrivateKey.from_private_bytes(bytes(data[:32]))
        secret._fresh = bytes(data[32:])
        secret._spent = False
        return secret

    def spend(self) -> None:
        """Mark as used; raises LabelReused the second time."""
        if self._spent:
            raise LabelReused("this party secret has already made a session")
        self._spent = True

    def agree(self, other: PublicHello) -> bytes:
        """The raw X25519 secret with another party; raises SessionInvalid for a degenerate key."""
        try:
            return self._private.exchange(X25519PublicKey.from_public_bytes(other.public_key))
        except ValueError as error:
            raise SessionInvalid("a hello's public key is degenerate") from error


class Session:
    """What one party holds: the session id and a key per peer.

    session_id  32 bytes
    party       our name
    pair_keys   peer -> 32 bytes, the same at both
    own_key     32 bytes that nobody else has, fresh unless given (tests replay a party's coins with it)
    """

    def __init__(
        self, session_id: bytes, party: str, pair_keys: Mapping[str, bytes], own_key: bytes | None = None
    ) -> None:
        own = os.urandom(32) if own_key is None else own_key
        if any(len(key) != 32 for key in (session_id, own, *pair_keys.values())) or party in pair_keys:
            raise SessionInvalid("session id and keys have 32 bytes; a party has no pair key with itself")
        self._own_key = own
        self.session_id = session_id
        self.party = party
        self._pair_keys = dict(pair_keys)
        self._drawn: set[tuple[str, int, str]] = set()

    @property
    def peers(self) -> frozenset[str]:
        """Everybody else."""
        return frozenset(self._pair_keys)

    def key(self, peer: str, operation: int, purpose: str, length: int = 32) -> bytes:
        """The key that we and `peer` share for one purpose, under our own name ours alone; raises LabelReused at the second request."""
        root = self._own_key if peer == self.party else self._pair_keys.get(peer)
        if root is None:
            raise SessionInvalid(f"no key with {peer!r} in this session")
        if (peer, operation, purpose) in self._drawn:
            raise LabelReused(f"{peer}, operation {operation}: {purpose!r} was drawn before")
        self._drawn.add((peer, operation, purpose))
        label = encode(b"hefu draw v1", operation.to_bytes(8, "big"), purpose.encode())
        return derive_key(root, label, length, salt=self.session_id)

    def prg(self, peer: str, operation: int, purpose: str) -> Prg:
        """The stream that we and `peer` share for one purpose; raises LabelReused."""
        return Prg(self.key(peer, operation, purpose, KEY_BYTES))

    def private_prg(self, operation: int, purpose: str) -> Prg:
        """A stream of our own coins; raises LabelReused."""
        return self.prg(self.party, operation, purpose)


def session_id_of(job: str, attempt: int, contract_digest: bytes, hellos: Mapping[str, PublicHello]) -> bytes:
    """SHA-256 over job, attempt, contract and every party's hello, by name."""
    parts: Iterable[bytes] = (
        part
        for name in sorted(hellos)
        for part in (name.encode(), hellos[name].public_key, hellos[name].fresh)
    )
    header = (b"hefu session v1", job.encode(), attempt.to_bytes(8, "big"), contract_digest)
    return hashlib.sha256(encode(*header, *parts)).digest()


def derive_session(
    job: str,
    attempt: int,
    contract_digest: bytes,
    party: str,
    secret: PartySecret,
    hellos: Mapping[str, PublicHello],
) -> Session:
    """Our session from our secret and the hellos of all parties, ours included.

    raises  SessionInvalid when ours is missing or changed, when two parties show the same key or fresh bytes, or a key
            is degenerate; LabelReused when the secret was used before
    """
    mine = secret.hello()
    if hellos.get(party) != mine:
        raise SessionInvalid(f"the hello under our name {party!r} is not ours")
    if len({h.public_key for h in hellos.values()}) != len(hellos) or len(
        {h.fresh for h in hellos.values()}
    ) != len(hellos):
        raise SessionInvalid("two parties sent the same hello")
    secret.spend()
    session_id = session_id_of(job, attempt, contract_digest, hellos)
    pair_keys = {}
    for peer, hello in hellos.items():
        if peer == party:
            continue
        first, second = sorted((party, peer))
        label = encode(
            b"hefu pair v1",
            first.encode(),
            hellos[first].to_bytes(),
            second.encode(),
            hellos[second].to_bytes(),
        )
        pair_keys[peer] = derive_key(secret.agree(hello), label, salt=session_id)
    return Session(session_id, party, pair_keys)
