"""The keys of secure aggregation, derived alike by clients and, for clients that dropped out, by the server."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from hefu.engine.aggregation.errors import MessageInvalid
from hefu.engine.aggregation.plan import Plan
from hefu.engine.prg import KEY_BYTES, Prg
from hefu.engine.session import derive_key, encode


def public_key(private: bytes) -> bytes:
    """The X25519 public key of 32 private bytes."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def agree(private: bytes, public: bytes, owner: str) -> bytes:
    """The raw X25519 secret; raises MessageInvalid, naming the owner of a degenerate public key."""
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public)
        )
    except ValueError as error:
        raise MessageInvalid(owner, "a degenerate public key") from error


def pair_stream(plan: Plan, secret: bytes, one: int, other: int) -> Prg:
    """The mask that two clients share."""
    first, second = sorted((one, other))
    label = encode(b"hefu aggregation pair v1", first.to_bytes(2, "big"), second.to_bytes(2, "big"))
    return Prg(derive_key(secret, label, KEY_BYTES, salt=plan.digest))


def self_stream(plan: Plan, seed: bytes, index: int) -> Prg:
    """A client's own mask."""
    label = encode(b"hefu aggregation self v1", index.to_bytes(2, "big"))
    return Prg(derive_key(seed, label, KEY_BYTES, salt=plan.digest))


def sealing_key(plan: Plan, secret: bytes, sender: int, recipient: int) -> bytes:
    """An AES-256-GCM key for the one message that `sender` sends `recipient`."""
    label = encode(b"hefu aggregation share v1", sender.to_bytes(2, "big"), recipient.to_bytes(2, "big"))
    return derive_key(secret, label, 32, salt=plan.digest)


def seed_commitment(plan: Plan, seed: bytes, index: int) -> bytes:
    """Lets the server see that a reconstructed seed is the right one; a uniform seed of 32 bytes stays hidden."""
    return hashlib.sha256(
        encode(b"hefu aggregation seed v1", plan.digest, index.to_bytes(2, "big"), seed)
    ).digest()
