"""Compile the kernels of sort, shuffle and the dealt sines on a few elements; `warm` calls it."""

import numpy as np

from hefu.engine.rss import order, regression, shuffle, waves


def warm_programs() -> None:
    """Run each kernel once, with the types that the protocols use."""
    rows = np.zeros((2, 2), dtype=np.uint64)
    shuffle._gather_less(rows, np.arange(2, dtype=np.uint32), rows, rows.copy())
    order.ascending(np.arange(65), lambda left, right: left < right)
    row, one, tables = rows[0], np.ones(1, dtype=np.uint64), waves._tables()
    waves._deal(row, row, one, tables, rows, 0, rows.copy())
    waves._add_waves(row, np.ones(1, dtype=np.int64), tables, rows, 0, row.copy())
    regression._transposed_product(rows, row, row, np.zeros(1, dtype=np.uint64))
