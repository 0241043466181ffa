"""Cell suppression with complementary suppression for group tables of one or two dimensions whose totals are released.

Primary cells are unsafe by themselves. Secondary cells are suppressed too, so that no unsafe cell follows from totals by
subtraction: every unsafe cell must lie on a cycle of suppressed cells, i.e. no suppressed edge between its row and its
column is a bridge of the bipartite graph rows-columns. Source: Gusfield, "A graph theoretic approach to statistical data
security", SIAM J. Comput. 17(3), 1988. Exact disclosure only: bounds of a suppressed cell may still be narrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

Cell = tuple[int, int]


def suppress_line(unsafe: set[int], weights: list[int]) -> set[int]:
    """Cells of a line with a released total: a lone suppressed cell takes the next cell of least weight along.

    The sum of all suppressed cells follows from the total, so two at least must go; a line of one cell cannot be protected.
    raises  ValueError when there is no other cell: the total itself must then be withheld
    """
    if len(unsafe) != 1:
        return set(unsafe)
    others = [i for i in range(len(weights)) if i not in unsafe]
    if not others:
        raise ValueError("a line of one cell: its total gives it away")
    return unsafe | {min(others, key=lambda i: weights[i])}


def suppress_grid(unsafe: set[Cell], weights: list[list[int]]) -> set[Cell]:
    """Cells of a grid with released row and column totals; greedy: for each exposed cell the cheapest rectangle.

    raises  ValueError when the grid has a single row or column: use `suppress_line`
    """
    rows, columns = len(weights), len(weights[0]) if weights else 0
    if unsafe and (rows < 2 or columns < 2):
        raise ValueError("a grid needs two rows and two columns")
    hidden = set(unsafe)
    while True:
        exposed = next((cell for cell in sorted(hidden) if _is_bridge(cell, hidden)), None)
        if exposed is None:
            return hidden
        row, column = exposed
        best = min(
            (
                {(r, c), (row, c), (r, column)}
                for r, c in product(range(rows), range(columns))
                if r != row and c != column
            ),
            key=lambda corners: sum(weights[r][c] for r, c in corners if (r, c) not in hidden),
        )
        hidden |= best


def _is_bridge(cell: Cell, hidden: set[Cell]) -> bool:
    """Whether no other path of hidden cells leads from the cell's row to its column: the totals then give it away."""
    row, column = cell
    reached: set[tuple[str, int]] = {("row", row)}
    todo = [("row", row)]
    while todo:
        for node in _neighbours(todo.pop(), hidden - {cell}):
            if node not in reached:
                reached.add(node)
                todo.append(node)
    return ("column", column) not in reached


def _neighbours(node: tuple[str, int], hidden: set[Cell]) -> Iterator[tuple[str, int]]:
    side, at = node
    for r, c in hidden:
        if side == "row" and r == at:
            yield "column", c
        elif side == "column" and c == at:
            yield "row", r
