"""The interface that all schemes share: vectors of encrypted numbers.

Whoever holds the public side encrypts and computes; whoever holds the private side decrypts. What differs between the
schemes is their plaintexts and what they can multiply:

| scheme | plaintexts | plain x encrypted | encrypted x encrypted |
|---|---|---|---|
| Paillier | integers of about |n| bits, fixed point | yes | no |
| Okamoto-Uchiyama | integers of about |n|/3 bits | yes | no |
| BFV | integers modulo a prime of up to 50 bits | yes | up to the chosen depth |
| CKKS | floats, approximate | yes | up to the chosen depth |
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Vector(Protocol):
    """Encrypted numbers under one key. Operations make new vectors."""

    def __len__(self) -> int: ...

    def __add__(self, other: Self | ArrayLike) -> Self:
        """Elementwise; a plain operand is an array of the same length or one number."""

    def __sub__(self, other: Self | ArrayLike) -> Self:
        """Elementwise."""

    def __mul__(self, other: Self | ArrayLike) -> Self:
        """Elementwise; raises NotSupported for two encrypted operands where the scheme cannot."""

    def dot(self, other: Self | ArrayLike) -> Self:
        """sum_i self[i] other[i], a vector of length 1."""

    def sum(self) -> Self:
        """A vector of length 1."""

    def to_bytes(self) -> bytes:
        """For sending to another party."""


class Encryptor(Protocol):
    """The public side of a key."""

    def encrypt_vector(self, values: ArrayLike) -> Any:
        """A vector of these numbers; raises PlaintextOverflow."""

    def vector_from_bytes(self, data: bytes, max_length: int) -> Any:
        """The vector in these bytes; raises CiphertextInvalid."""

    def to_bytes(self) -> bytes:
        """For sending to another party: nothing private is in it."""


class Decryptor(Protocol):
    """The private side of a key."""

    @property
    def public(self) -> Any:
        """What others may have."""

    def decrypt_vector(self, vector: Any) -> NDArray[Any]:
        """The numbers; raises PlaintextOverflow, CiphertextInvalid, or KeyInvalid for a vector under another key."""


def plain_list(values: ArrayLike, length: int | None = None) -> list[int] | list[float]:
    """A flat list of Python numbers, one number repeated to `length`; raises PlaintextOverflow for what is no finite number."""
    from hefu.engine.he.errors import PlaintextOverflow

    array = as_array(values)
    if array.ndim == 0 and length is not None:
        array = np.full(length, array)
    if array.ndim != 1:
        raise PlaintextOverflow(f"a vector has one dimension, not {array.ndim}")
    if length is not None and len(array) != length:
        raise PlaintextOverflow(f"{len(array)} numbers where {length} were due")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise PlaintextOverflow("infinite numbers and NaN cannot be encrypted")
        return [float(v) for v in array.tolist()]
    if array.dtype.kind in "biu":
        return [int(v) for v in array.tolist()]
    if array.dtype.kind == "O" and all(isinstance(v, (int, np.integer)) for v in array):
        return [int(v) for v in array]
    if not array.size:
        return []
    raise PlaintextOverflow(f"numbers of type {array.dtype} cannot be encrypted")


def as_array(values: ArrayLike) -> NDArray[Any]:
    """An array in which integers stay integers: numpy makes floats of [0, 2^63], whose parts fit no common word."""
    array = np.asarray(values)
    if array.dtype.kind == "f" and not isinstance(values, np.ndarray):
        exact = np.array(values, dtype=object)
        if exact.size and all(isinstance(v, (int, np.integer)) for v in exact.reshape(-1)):
            return exact
    return array
