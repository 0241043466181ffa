"""Cell suppression with complementary suppression for group tables of one or two dimensions whose totals are released.

Primary cells are unsafe by themselves. Secondary cells are suppressed too, so that no unsafe cell follows from totals by
subtraction: every unsafe cell must lie on a cycle of suppressed cells, i.e. no suppressed edge between its row and its
column is a bridge of the bipartite graph rows-columns. Source: Gusfield, "A graph theoretic approach to statistical data
security", SIAM J. Comput. 17(3), 1988. Then, as long as what is released bounds an unsafe count more narrowly than `width`
(`bounds.py`), more cells are suppressed. Greedy: it never protects too little, it may suppress more than the least.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import product

from hefu.domain.rules.output.bounds import Cell, interval_width, line_width


def suppress_line(unsafe: set[int], weights: list[int], width: int = 0, total: int | None = None) -> set[int]:
    """Cells of a line with a released total: others of least weight go along until two are gone and bound nothing narrowly.

    weights  counts of subjects
    width    an unsafe count must be possible over an interval of this width at least
    total    number of the cell that is the line's total, where it is one of them: it goes last
    raises   ValueError when no cell is left: the total itself must then be withheld
    """
    hidden = set(unsafe)
    if not hidden:
        return hidden
    order = sorted(
        (i for i in range(len(weights)) if i not in hidden), key=lambda i: (i == total, weights[i])
    )
    while _line_exposed(hidden, weights, width, total):
        if not order:
            raise ValueError("a line without further cells: its total gives it away")
        hidden.add(order.pop(0))
    return hidden


def _line_exposed(hidden: set[int], weights: list[int], width: int, total: int | None) -> bool:
    found = line_width({i: weights[i] for i in hidden if i != total}, total in hidden)
    return len(hidden) < 2 or found < width


def suppress_grid(
    unsafe: set[Cell],
    weights: list[list[int]],
    width: int = 0,
    fixed: Collection[Cell] = (),
    negative: Collection[Cell] = (),
) -> set[Cell]:
    """Cells of a grid with released row and column totals; greedy: for each exposed cell the cheapest rectangle.

    width     an unsafe count must be possible over an interval of this width at least
    fixed     cells that are not in the table and may be known: never suppressed
    negative  totals of a row or a column that are cells of the grid; they go only where nothing else helps
    raises    ValueError when the grid has a single row or column (use `suppress_line`), or cannot be protected
    """
    rows, columns = len(weights), len(weights[0]) if weights else 0
    if unsafe and (rows < 2 or columns < 2):
        raise ValueError("a grid needs two rows and two columns")
    hidden = set(unsafe)
    while True:
        exposed = next((c for c in sorted(hidden) if _is_bridge(c, hidden)), None) or next(
            (c for c in sorted(unsafe) if _is_narrow(c, hidden, weights, width, negative)), None
        )
        if exposed is None:
            return hidden
        choices = [
            corners
            for corners in _rectangles(exposed, rows, columns)
            if not corners <= hidden and not corners & set(fixed)
        ]
        if not choices:
            raise ValueError("no further cells: totals and bounds give a group away")
        price = {(r, c): weights[r][c] for r, c in product(range(rows), range(columns))}
        hidden |= min(
            choices,
            key=lambda corners: (
                sum(cell in negative for cell in corners - hidden),
                sum(price[cell] for cell in corners - hidden),
            ),
        )


def _rectangles(cell: Cell, rows: int, columns: int) -> Iterator[set[Cell]]:
    row, column = cell
    for r, c in product(range(rows), range(columns)):
        if r != row and c != column:
            yield {(r, c), (row, c), (r, column)}


def _is_narrow(
    cell: Cell, hidden: set[Cell], weights: list[list[int]], width: int, negative: Collection[Cell]
) -> bool:
    if width <= 0:
        return False
    counts: Mapping[Cell, int] = {(r, c): weights[r][c] for r, c in hidden}
    return interval_width(cell, counts, set(negative) & hidden) < width


def _is_bridge(cell: Cell, hidden: set[Cell]) -> bool:
    """Whether no other path of hidden cells leads from the cell's row to its column: the totals then give it away."""
    beside: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for row, column in hidden - {cell}:
        beside.setdefault(("row", row), []).append(("column", column))
        beside.setdefault(("column", column), []).append(("row", row))
    todo = [("row", cell[0])]
    reached = set(todo)
    for node in todo:
        new = [n for n in beside.get(node, ()) if n not in reached]
        reached.update(new)
        todo += new
    return ("column", cell[1]) not in reached
