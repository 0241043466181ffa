"""A table of groups as a line or a grid of cells, with its totals where it has any, for complementary suppression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hefu.domain.rules.output.bounds import Cell
from hefu.domain.rules.output.suppression import suppress_grid, suppress_line
from hefu.domain.rules.output.table import ResultTable


def suppress_with_complements(
    table: ResultTable, keys: Sequence[str], unsafe: set[int], width: int
) -> set[int]:
    """Numbers of the rows to suppress: the unsafe ones and those that would give them away.

    keys    the group keys that are columns of the table; totals that are not in the table count as known to the recipient
    width   narrowest interval that may be left for an unsafe count
    raises  ValueError where the table cannot be protected: more than two keys, gaps, a group twice, totals over something else
    """
    subjects = list(table.subjects or ())
    if len(keys) > 2:
        raise ValueError(f"{len(keys)} group keys: complementary suppression covers one or two")
    if any(not set(over) <= set(keys) for over in table.totals.values()):
        raise ValueError("a total over what is no group key")
    if len(keys) <= 1:
        return _line(table, unsafe, subjects, width)
    return _grid(table, keys, unsafe, subjects, width)


def _line(table: ResultTable, unsafe: set[int], subjects: list[int], width: int) -> set[int]:
    if len(table.totals) > 1:
        raise ValueError("a line has one total")
    return suppress_line(unsafe, subjects, width, next(iter(table.totals), None))


def _grid(
    table: ResultTable, keys: Sequence[str], unsafe: set[int], subjects: list[int], width: int
) -> set[int]:
    groups = [i for i in range(len(table.rows)) if i not in table.totals]
    labels = [_labels(table, key, groups) for key in keys]
    sides = [len(found) for found in labels]
    row_at: dict[Cell, int] = {}
    for i in range(len(table.rows)):
        over = table.totals.get(i, ())
        cell = tuple(
            sides[k] if key in over else labels[k].index(table.column(key)[i]) for k, key in enumerate(keys)
        )
        if row_at.setdefault((cell[0], cell[1]), i) != i:
            raise ValueError("a group stands twice")
    if len(groups) != sides[0] * sides[1]:
        raise ValueError("the grid has gaps: an absent group is a known zero")
    if table.totals:
        rows, columns = sides[0] + 1, sides[1] + 1
    elif 1 in sides:
        return suppress_line(unsafe, subjects, width)
    else:
        rows, columns = sides
    every = {(r, c) for r in range(rows) for c in range(columns)}
    weights = [
        [subjects[row_at[r, c]] if (r, c) in row_at else 0 for c in range(columns)] for r in range(rows)
    ]
    place = {i: cell for cell, i in row_at.items()}
    hidden = suppress_grid(
        {place[i] for i in unsafe},
        weights,
        width,
        fixed=every - set(row_at),
        negative={cell for cell in row_at if (cell[0] == sides[0]) != (cell[1] == sides[1])},
    )
    return {row_at[cell] for cell in hidden}


def _labels(table: ResultTable, key: str, rows: list[int]) -> list[Any]:
    values = table.column(key)
    return list(dict.fromkeys(values[i] for i in rows))
