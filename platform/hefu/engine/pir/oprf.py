"""An oblivious pseudo-random function on ristretto255: F(k, x) for the asker's x and the owner's k.

x is hashed to the group, blinded by a fresh scalar, raised to k by the owner, unblinded and hashed. The owner sees
uniform group elements only; the asker learns F at as many inputs as it has elements evaluated, nothing else of k
(one-more gap Diffie-Hellman, random oracle). An owner that uses another k is not detected: the values just don't fit.
Source: RFC 9497, mode OPRF(ristretto255, SHA-512); hashing: RFC 9380, 5.3.1. Group arithmetic: `group.ristretto`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import rbcl  # type: ignore[import-untyped]  # it ships no types

from hefu.engine.errors import FrameInvalid, InputInvalid
from hefu.engine.frames import Channel
from hefu.engine.group.ristretto import (
    POINT_BYTES,
    SCALAR_BYTES,
    Bytes2D,
    multiply,
    points_from_uniform,
    random_scalars,
)
from hefu.engine.prg import Prg

ELEMENT_BYTES = POINT_BYTES
VALUE_BYTES = 64
MAX_INPUT_BYTES = (1 << 16) - 1
_CONTEXT = b"OPRFV1-\x00-ristretto255-SHA512"
_GROUP_DST = b"HashToGroup-" + _CONTEXT
_BLOCK_BYTES = 128
_EXPAND_PREFIX = hashlib.sha512(bytes(_BLOCK_BYTES))
_DST_PRIME = _GROUP_DST + bytes([len(_GROUP_DST)])


def _uniform(data: bytes) -> bytes:
    """expand_message_xmd: 64 bytes to be mapped to the group."""
    if len(data) > MAX_INPUT_BYTES:
        raise InputInvalid(f"a key of {len(data)} bytes, over the {MAX_INPUT_BYTES} that can be hashed")
    first = _EXPAND_PREFIX.copy()
    first.update(data + b"\x00\x40\x00" + _DST_PRIME)
    return hashlib.sha512(first.digest() + b"\x01" + _DST_PRIME).digest()


def _elements(inputs: Sequence[bytes]) -> Bytes2D:
    uniform = np.frombuffer(b"".join(map(_uniform, inputs)), dtype=np.uint8)
    return points_from_uniform(uniform.reshape(-1, 64))


def _finish(inputs: Sequence[bytes], elements: Bytes2D) -> Bytes2D:
    """The values: SHA-512 over each input and its element."""
    data = elements.tobytes()
    values = b"".join(
        hashlib.sha512(
            len(x).to_bytes(2, "big") + x + b"\x00\x20" + data[at : at + ELEMENT_BYTES] + b"Finalize"
        ).digest()
        for x, at in zip(inputs, range(0, len(data), ELEMENT_BYTES), strict=True)
    )
    return np.frombuffer(values, dtype=np.uint8).reshape(-1, VALUE_BYTES)


def new_key(coins: Prg) -> bytes:
    """A uniform non-zero scalar, the owner's secret."""
    return random_scalars(coins, 1).tobytes()


def evaluate(key: bytes, inputs: Sequence[bytes]) -> Bytes2D:
    """(n, 64): F at the owner's own inputs; raises InputInvalid for an input over 65535 bytes."""
    return _finish(inputs, multiply(key, _elements(inputs)))


def blind(inputs: Sequence[bytes], scalars: Bytes2D) -> Bytes2D:
    """(n, 32): each input's element times a scalar of its own: uniform, whatever the input."""
    return _multiply_pairs(scalars, _elements(inputs))


def unblind(inputs: Sequence[bytes], scalars: Bytes2D, evaluated: Bytes2D) -> Bytes2D:
    """(n, 64): F at the asker's inputs; raises InputInvalid for what is no element."""
    inverses = b"".join(map(rbcl.crypto_core_ristretto255_scalar_invert, map(bytes, scalars)))
    inverted = np.frombuffer(inverses, dtype=np.uint8).reshape(-1, SCALAR_BYTES)
    return _finish(inputs, _multiply_pairs(inverted, evaluated))


def _multiply_pairs(scalars: Bytes2D, points: Bytes2D) -> Bytes2D:
    product = rbcl.crypto_scalarmult_ristretto255
    try:
        out = b"".join(product(s.tobytes(), p.tobytes()) for s, p in zip(scalars, points, strict=True))
    except RuntimeError as error:
        raise InputInvalid("a string is no point of ristretto255, or the identity") from error
    return np.frombuffer(out, dtype=np.uint8).reshape(-1, ELEMENT_BYTES)


def serve_evaluations(channel: Channel, key: bytes, max_keys: int) -> int:
    """The owner's side of one round; returns how many elements it evaluated.

    raises  FrameInvalid for more than `max_keys`, or for bytes that are no elements of the group or the neutral one
    """
    frame = channel.recv(max_keys * ELEMENT_BYTES)
    if len(frame) % ELEMENT_BYTES:
        raise FrameInvalid(channel.peer, f"blinded elements have {ELEMENT_BYTES} bytes each")
    elements = np.frombuffer(frame, dtype=np.uint8).reshape(-1, ELEMENT_BYTES)
    try:
        channel.send(multiply(key, elements))
    except InputInvalid as error:
        raise FrameInvalid(channel.peer, str(error)) from error
    return len(elements)


def fetch_evaluations(channel: Channel, inputs: Sequence[bytes], coins: Prg) -> Bytes2D:
    """The asker's side of one round: (n, 64) values.

    coins   a stream of the asker's own, for the blinds
    raises  FrameInvalid when the owner answers with what is no element
    """
    scalars = random_scalars(coins, len(inputs))
    channel.send(blind(inputs, scalars))
    evaluated = np.empty((len(inputs), ELEMENT_BYTES), dtype=np.uint8)
    channel.recv_into(evaluated)
    try:
        return unblind(inputs, scalars, evaluated)
    except InputInvalid as error:
        raise FrameInvalid(channel.peer, str(error)) from error
