"""Masks that cancel: keystreams added to a vector in place, chunk by chunk.

A chunk of 256 KiB stays in the core's cache while every stream passes over it: the vector is read and written once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hefu.engine.prg import Prg

CHUNK_BYTES = 1 << 18
Words = NDArray[np.uint32] | NDArray[np.uint64]


def add_streams(vector: NDArray[Any], plus: Sequence[Prg], minus: Sequence[Prg]) -> None:
    """vector += sum of the `plus` streams - sum of the `minus` streams, modulo 2^32 or 2^64, in place."""
    step = CHUNK_BYTES // vector.itemsize
    buffer = np.empty(min(step, len(vector)), dtype=vector.dtype)
    for start in range(0, len(vector), step):
        part = vector[start : start + step]
        mask = buffer[: len(part)]
        for stream in plus:
            stream.fill(mask)
            np.add(part, mask, out=part)
        for stream in minus:
            stream.fill(mask)
            np.subtract(part, mask, out=part)


def mask_plain(
    ring: int, index: int, values: Sequence[int], own: Sequence[int], pairs: Mapping[int, Sequence[int]]
) -> list[int]:
    """The twin: x + b + sum over v > u of p_uv - sum over v < u of p_uv, modulo any ring size.

    index  u; own: the self mask b; pairs: v -> p_uv
    """
    masked = [x + b for x, b in zip(values, own, strict=True)]
    for other, mask in pairs.items():
        sign = 1 if index < other else -1
        masked = [y + sign * m for y, m in zip(masked, mask, strict=True)]
    return [y % ring for y in masked]
