"""A CSV file's keys as items, and the common rows as a CSV file: block by block, so that no file is held whole.

What the peers count, too: reading the file, hashing, and writing the result are parts of an intersection's cost.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from hefu.engine.psi import items as psi_items
from pyarrow import csv

KEY = "id"
_READ = csv.ReadOptions(use_threads=False, block_size=1 << 20)
_CONVERT = csv.ConvertOptions(column_types={KEY: pa.string()})


def write_keys(path: Path, first: int, count: int) -> None:
    """`count` twenty-digit keys from `first` on, in a random order."""
    keys = np.random.default_rng(first).permutation(np.arange(first, first + count))
    path.write_text("\n".join([KEY, *(f"{key:020d}" for key in keys.tolist())]) + "\n")


def read_items(path: Path, key: bytes) -> psi_items.Items:
    """The items of a file, (n, 2) uint64, hashed under a key that both parties have."""
    parts = [
        psi_items.from_bytes(key, *_bytes_of(batch.column(0))) for batch in _batches(path) if batch.num_rows
    ]
    return np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.uint64)


def write_rows(source: Path, rows: np.ndarray, target: Path) -> None:
    """The named rows (rising) of one file, in another."""
    start, done = 0, 0
    schema = pa.schema([(KEY, pa.string())])
    with csv.CSVWriter(target, schema) as writer:
        for batch in _batches(source):
            end = int(np.searchsorted(rows, start + batch.num_rows))
            if end > done:
                writer.write_batch(batch.select([KEY]).take(_integers(rows[done:end] - start)))
            start, done = start + batch.num_rows, end


def keys_of(path: Path) -> np.ndarray:
    """The keys of a small or large file as integers, sorted: for checking."""
    chosen = csv.ConvertOptions(column_types={KEY: pa.int64()})
    chunks = csv.read_csv(path, convert_options=chosen).column(KEY).chunks
    parts = [np.frombuffer(c.buffers()[1], dtype=np.int64)[c.offset : c.offset + len(c)] for c in chunks]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *parts]))


def warm() -> None:
    """Load what reading and writing load at their first use."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source.csv"
        write_keys(source, 0, 10)
        read_items(source, bytes(32))
        write_rows(source, np.arange(5), Path(name) / "target.csv")


def _integers(numbers: np.ndarray) -> pa.Int64Array:
    """Without `pa.array`, which would load pandas."""
    whole = np.ascontiguousarray(numbers, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(whole), [None, pa.py_buffer(whole)])


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with csv.open_csv(path, read_options=_READ, convert_options=_CONVERT) as reader:
        yield from reader


def _bytes_of(column: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets from zero, and the bytes of the strings."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1].astype(
        np.int64
    )
    # A copy: kernels are compiled for writable arrays, and Arrow's buffers are not.
    return ends - ends[0], np.frombuffer(data, dtype=np.uint8)[ends[0] : ends[-1]].copy()
