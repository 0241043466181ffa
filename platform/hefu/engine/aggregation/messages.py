"""The messages of secure aggregation: one byte of kind, then records of fixed size, each led by a client's number.

A record list is accepted only with strictly rising numbers of clients on the roster: no duplicates, one encoding per
content, never more records than clients. The masked vector has a header of 8 bytes and the words after it, aligned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hefu.engine.aggregation.errors import MessageInvalid
from hefu.engine.aggregation.plan import Plan
from hefu.engine.aggregation.shamir import SHARE_BYTES

KEYS: Final = 1
KEY_LIST: Final = 2
SHARES: Final = 3
RELAYED: Final = 4
MASKED: Final = 5
SURVIVORS: Final = 6
SIGNATURE: Final = 7
SIGNATURES: Final = 8
UNMASK: Final = 9

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
TAG_BYTES: Final = 16
SEALED_BYTES: Final = 2 * SHARE_BYTES + TAG_BYTES
ADVERTISED_BYTES: Final = 2 * KEY_BYTES + SIGNATURE_BYTES
MASKED_HEADER_BYTES: Final = 8
SEED_SHARE: Final = 0
KEY_SHARE: Final = 1
_RECORD: Final = {
    KEY_LIST: ADVERTISED_BYTES,
    SHARES: SEALED_BYTES,
    RELAYED: SEALED_BYTES,
    SURVIVORS: 0,
    SIGNATURES: SIGNATURE_BYTES,
    UNMASK: 1 + SHARE_BYTES,
}
_SINGLE: Final = {KEYS: ADVERTISED_BYTES, SIGNATURE: SIGNATURE_BYTES}
_INDEX_BYTES: Final = 2


def max_bytes(plan: Plan, kind: int) -> int:
    """No honest message of this kind is longer."""
    if kind in _SINGLE:
        return 1 + _SINGLE[kind]
    if kind == MASKED:
        return MASKED_HEADER_BYTES + plan.length * plan.dtype.itemsize
    extra = KEY_BYTES if kind == SHARES else 0
    return 1 + extra + len(plan.names) * (_INDEX_BYTES + _RECORD[kind])


def write_single(kind: int, body: bytes) -> bytes:
    """A message that is one field."""
    return bytes([kind]) + body


def read_single(kind: int, data: bytes, sender: str) -> bytes:
    """The field; raises MessageInvalid."""
    if len(data) != 1 + _SINGLE[kind] or data[0] != kind:
        raise MessageInvalid(sender, f"no message of kind {kind}")
    return data[1:]


def write_records(kind: int, records: Mapping[int, bytes]) -> bytes:
    """Records by rising number."""
    body = b"".join(index.to_bytes(_INDEX_BYTES, "big") + records[index] for index in sorted(records))
    return bytes([kind]) + body


def read_records(plan: Plan, kind: int, data: bytes, sender: str) -> dict[int, bytes]:
    """number -> record; raises MessageInvalid."""
    width = _INDEX_BYTES + _RECORD[kind]
    if not data or data[0] != kind or (len(data) - 1) % width or len(data) > max_bytes(plan, kind):
        raise MessageInvalid(sender, f"no message of kind {kind}")
    records: dict[int, bytes] = {}
    last = 0
    for at in range(1, len(data), width):
        index = int.from_bytes(data[at : at + _INDEX_BYTES], "big")
        if not last < index <= len(plan.names):
            raise MessageInvalid(sender, "clients that are unknown, repeated or out of order")
        records[index] = data[at + _INDEX_BYTES : at + width]
        last = index
    return records


def masked_buffer(plan: Plan, index: int) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """A message of kind MASKED to be filled in place, and the words within it."""
    message = np.empty(max_bytes(plan, MASKED), dtype=np.uint8)
    message[:MASKED_HEADER_BYTES] = np.frombuffer(_masked_header(plan, index), dtype=np.uint8)
    return message, message[MASKED_HEADER_BYTES:].view(plan.dtype)


def read_masked(plan: Plan, index: int, data: NDArray[np.uint8], sender: str) -> NDArray[Any]:
    """The words; raises MessageInvalid."""
    if data.size != max_bytes(plan, MASKED) or data[:MASKED_HEADER_BYTES].tobytes() != _masked_header(
        plan, index
    ):
        raise MessageInvalid(sender, "no masked vector of this plan")
    return data[MASKED_HEADER_BYTES:].view(plan.dtype)


def _masked_header(plan: Plan, index: int) -> bytes:
    return bytes([MASKED, plan.ring_bits]) + index.to_bytes(_INDEX_BYTES, "big") + bytes(4)
