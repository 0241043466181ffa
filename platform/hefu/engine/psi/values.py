"""Lists of masked values, cut to the bytes that suffice, on their way to the party that compares them."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.psi.lookup import Table

VALUE_BYTES = 16
STATISTICAL_BITS = 40

_MIN_BYTES = 10
_CHUNK_ROWS = 1 << 16


def value_bytes(receiver_items: int, sender_items: int) -> int:
    """40 + log2(n_R n_S) bits: two unequal items then agree with probability below 2^-40 in the whole run. At least 10 bytes."""
    bits = STATISTICAL_BITS + math.log2(max(receiver_items, 1)) + math.log2(max(sender_items, 1))
    return min(VALUE_BYTES, max(_MIN_BYTES, math.ceil(bits / 8)))


def cut(values: NDArray[np.uint64], width: int) -> None:
    """Keep the first `width` bytes of each of (n, 2) values, in place."""
    values.view(np.uint8).reshape(-1, VALUE_BYTES)[:, width:] = 0


def tell(channel: Channel, rows: NDArray[np.uint8]) -> None:
    """Send (n, width) bytes, a frame per 65536 rows."""
    for start in range(0, len(rows), _CHUNK_ROWS):
        channel.send(np.ascontiguousarray(rows[start : start + _CHUNK_ROWS]))


def hear(channel: Channel, count: int, width: int) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    """What `tell` sends, `count` rows: (first row, values (k, 2)) per frame, in a buffer used again. Raises ChannelError."""
    told = np.empty((min(count, _CHUNK_ROWS), width), dtype=np.uint8)
    room = np.zeros((len(told), VALUE_BYTES), dtype=np.uint8)
    for start in range(0, count, _CHUNK_ROWS):
        size = min(_CHUNK_ROWS, count - start)
        channel.recv_into(told[:size])
        room[:size, :width] = told[:size]
        yield start, room[:size].view(np.uint64)


def find(channel: Channel, count: int, width: int, table: Table) -> NDArray[np.bool_]:
    """Which rows of the table are among `count` values that arrive."""
    found = np.zeros(len(table.first), dtype=np.bool_)
    for _, arrived in hear(channel, count, width):
        rows = table.find(arrived)
        found[rows[rows >= 0]] = True
    return found


def find_each(channel: Channel, count: int, width: int, table: Table) -> NDArray[np.bool_]:
    """Which of `count` values that arrive are in the table."""
    found = np.empty(count, dtype=np.bool_)
    for start, arrived in hear(channel, count, width):
        found[start : start + len(arrived)] = table.find(arrived) >= 0
    return found
