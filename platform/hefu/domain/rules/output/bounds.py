"""How closely a suppressed count is bounded by what is released: exact intervals in tables of one and two dimensions.

A recipient knows that counts are not negative and that lines add up. A count can move up or down by what can flow around it
through the other suppressed cells, so the ends of its interval are maximum flows. Source: Gusfield, "A graph theoretic approach
to statistical data security", SIAM J. Comput. 17(3), 1988. For counts only: what a recipient knows beforehand of sums is not known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

Cell = tuple[int, int]
Node = tuple[str, int]
MANY = 2**62


def line_width(hidden: Mapping[int, int], free: bool) -> int:
    """Width of the interval of each suppressed count in a line: their sum follows, so each is between 0 and it.

    free  whether the line's total is suppressed as well: then nothing bounds them from above
    """
    return 0 if len(hidden) + free < 2 else MANY if free else sum(hidden.values())


def interval_width(cell: Cell, hidden: Mapping[Cell, int], negative: Collection[Cell] = ()) -> int:
    """Width of the interval that the totals leave for a suppressed count (integers, 0: it is given away).

    hidden    suppressed cells with their counts, this cell among them
    negative  those that are a total of their row or column (not both): they enter the line's sum with a minus
    """
    value = hidden[cell]
    others = {c: v for c, v in hidden.items() if c != cell}
    # A cell loses at most what it holds, and gains without limit; one that enters with a minus the other way round.
    loses = {c: MANY if c in negative else v for c, v in others.items()}
    gains = {c: v if c in negative else MANY for c, v in others.items()}
    up, down = _flow(cell, loses, gains), _flow(cell, gains, loses)
    if cell in negative:
        up = min(up, value)
    else:
        down = min(down, value)
    return min(MANY, up + down)


def _flow(cell: Cell, along: Mapping[Cell, int], back: Mapping[Cell, int]) -> int:
    """Maximum flow from the cell's row to its column (Edmonds and Karp, 1972); `along` bounds arcs row to column."""
    source, sink = ("row", cell[0]), ("column", cell[1])
    capacity: dict[Node, dict[Node, int]] = {source: {}, sink: {}}
    for row, column in along:
        a, b = ("row", row), ("column", column)
        capacity.setdefault(a, {})[b] = along[row, column]
        capacity.setdefault(b, {})[a] = back[row, column]
    total = 0
    while total < MANY:
        came: dict[Node, Node] = {source: source}
        todo = [source]
        for node in todo:
            for following, left in capacity[node].items():
                if left > 0 and following not in came:
                    came[following] = node
                    todo.append(following)
        if sink not in came:
            break
        path = [sink]
        while path[-1] != source:
            path.append(came[path[-1]])
        steps = list(zip(path[1:], path[:-1], strict=True))
        amount = min(capacity[a][b] for a, b in steps)
        for a, b in steps:
            capacity[a][b] -= amount
            capacity[b][a] += amount
        total += amount
    return min(total, MANY)
