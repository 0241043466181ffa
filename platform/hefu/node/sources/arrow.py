"""Arrow columns to numpy, from their buffers: pyarrow's own conversion imports pandas, a second and 60 MB for nothing."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)


def numbers(column: pa.ChunkedArray, kind: type[Number]) -> NDArray[Number]:
    """(n,) numbers of a column without nulls; its Arrow type must be that of `kind`. A copy, writable."""
    width = np.dtype(kind).itemsize
    parts: list[NDArray[Any]] = [
        np.frombuffer(chunk.buffers()[1], kind, len(chunk), chunk.offset * width)
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate([np.zeros(0, kind), *parts])


def text_buffers(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Offsets (n+1,) and UTF-8 bytes of a large_string column without nulls."""
    offsets: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
    parts: list[NDArray[np.uint8]] = [np.zeros(0, np.uint8)]
    done = 0
    for chunk in column.chunks:
        if not len(chunk):
            continue
        _, places, data = chunk.buffers()
        place = np.frombuffer(places, np.int64, len(chunk) + 1, chunk.offset * 8)
        size = int(place[-1] - place[0])
        if size:
            parts.append(np.frombuffer(data, np.uint8, size, int(place[0])))
        offsets.append(place[1:] - place[0] + done)
        done += size
    return np.concatenate(offsets), np.concatenate(parts)
