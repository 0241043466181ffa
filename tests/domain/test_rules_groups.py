"""Groups in what leaves: dominance, totals that are flagged, and an attack by bounds on what was suppressed."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hefu.domain.rules.output import gate, groups, suppression
from hefu.domain.rules.output.bounds import MANY, interval_width, line_width
from hefu.domain.rules.output.suppression import suppress_grid, suppress_line
from hefu.domain.rules.output.table import ResultTable

COLUMNS = [
    {"name": "region", "kind": "group_key"},
    {"name": "sex", "kind": "group_key"},
    {"name": "n", "kind": "count"},
    {"name": "share", "kind": "status"},
]


def leave(
    world: Any, columns: list[str], rows: Any, *, clause: Any = None, totals: bool = True, **known: Any
) -> Any:
    """(rules found, table that leaves); counts of subjects are column n unless given."""
    contract = world.contract(
        outputs=[
            {
                "recipient": "regulator",
                "form": "group_statistics",
                "columns": COLUMNS,
                "purpose_bound": "监管",
                **(clause or {}),
            }
        ]
    )
    known.setdefault("subjects", [row[columns.index("n")] for row in rows])
    flags = known.pop("flags", None)
    table = ResultTable.of(columns, rows, recipients=["regulator"], digest="a" * 64, totals=flags, **known)
    verdict, left = gate.check_output(contract, contract.outputs[0], table, totals=totals)
    return [f.rule for f in verdict.findings], left


LINE = [["north", 30], ["south", 40], ["west", 50]]


def test_a_dominated_group_is_suppressed(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def shares(*ppm: int) -> Any:
        return leave(
            world, ["region", "n"], LINE, clause={"dominance": {"max_share_ppm": 800_000}}, top_shares=ppm
        )

    assert shares(800_000, 0, 0)[0] == []
    found, left = shares(800_001, 0, 0)
    assert found == ["group_dominated", "group_complementary"]
    assert left.column("n") == [None, None, 50]
    monkeypatch.setattr(groups, "unsafe_rows", lambda *_: (set(), set()))
    assert shares(800_001, 0, 0)[1].column("n") == [30, 40, 50]


def test_every_figure_of_a_suppressed_group_goes(world: Any) -> None:
    rows = [["north", 5, "a"], ["south", 40, "b"], ["west", 50, "c"]]
    left = leave(world, ["region", "n", "share"], rows)[1]
    assert left.rows == (("north", None, None), ("south", None, None), ("west", 50, "c"))


def test_nineteen_go_and_twenty_stay(world: Any) -> None:
    assert leave(world, ["region", "n"], [["north", 20], ["south", 40]])[0] == []
    found, _ = leave(world, ["region", "n"], [["north", 19], ["south", 40], ["west", 50]])
    assert found[0] == "group_too_small"
    raised = {"min_group_size": 31}
    assert leave(world, ["region", "n"], LINE, clause=raised)[0][0] == "group_too_small"


def test_a_total_is_told_by_its_flag_and_not_by_its_label(world: Any) -> None:
    rows = [["north", 5], ["south", 40], ["合计", 45]]
    assert leave(world, ["region", "n"], rows, flags={2: ["region"]})[1].column("n") == [None, None, 45]
    one = [["north", 5], ["合计", 5]]
    assert leave(world, ["region", "n"], one, flags={1: ["region"]})[1].column("n") == [None, None]
    found, left = leave(world, ["region", "n"], rows, flags={2: ["region"]}, totals=False)
    assert left.column("n") == [None, None, 45], "a total in the table is known, whatever the caller says"
    assert "group_complementary" in found


def test_totals_that_fit_nothing_close_the_gate(world: Any) -> None:
    rows = [["north", 5], ["south", 40], ["a", 45], ["b", 45]]
    found, left = leave(world, ["region", "n"], rows, flags={2: ["region"], 3: ["region"]})
    assert (found, left) == (["group_unprotectable"], None)
    assert leave(world, ["region", "n"], rows, flags={2: ["n"]})[0] == ["group_unprotectable"]
    with pytest.raises(ValueError, match="totals"):
        ResultTable.of(["region"], [["x"]], recipients=[], digest="", totals={4: ["region"]})


def grid_rows(counts: list[list[int]], margins: bool) -> tuple[list[list[Any]], dict[int, list[str]]]:
    rows: list[list[Any]] = [
        [f"r{r}", f"c{c}", v] for r, line in enumerate(counts) for c, v in enumerate(line)
    ]
    flags: dict[int, list[str]] = {}
    if margins:
        for r, line in enumerate(counts):
            flags[len(rows)] = ["sex"]
            rows.append([f"r{r}", "all", sum(line)])
        for c in range(len(counts[0])):
            flags[len(rows)] = ["region"]
            rows.append(["all", f"c{c}", sum(line[c] for line in counts)])
        flags[len(rows)] = ["region", "sex"]
        rows.append(["all", "all", sum(map(sum, counts))])
    return rows, flags


def test_a_grid_with_its_margins(world: Any) -> None:
    counts = [[3, 60, 70], [80, 90, 100], [110, 120, 130]]
    rows, flags = grid_rows(counts, margins=True)
    found, left = leave(world, ["region", "sex", "n"], rows, flags=flags)
    assert found == ["group_too_small", "group_complementary"]
    gone = {(row[0], row[1]) for row in left.rows if row[2] is None}
    assert gone == {("r0", "c0"), ("r0", "c1"), ("r1", "c0"), ("r1", "c1")}


def test_an_unsafe_margin_is_not_the_difference_of_the_others(world: Any) -> None:
    counts = [[3, 4], [80, 90], [110, 120]]
    rows, flags = grid_rows(counts, margins=True)
    left = leave(world, ["region", "sex", "n"], rows, flags=flags)[1]
    gone = {(row[0], row[1]) for row in left.rows if row[2] is None}
    assert {("r0", "c0"), ("r0", "c1"), ("r0", "all")} <= gone
    assert ("r1", "all") in gone or ("r2", "all") in gone
    assert ("all", "all") not in gone


def test_gaps_doubles_and_three_keys_close_the_gate(world: Any) -> None:
    rows, _ = grid_rows([[3, 60], [80, 90]], margins=False)
    assert leave(world, ["region", "sex", "n"], rows[:-1])[0] == ["group_unprotectable"]
    assert leave(world, ["region", "sex", "n"], [*rows, rows[0]])[0] == ["group_unprotectable"]


def feasible(cell: Any, hidden: dict[Any, int], negative: set[Any], most: int) -> int:
    """Attack: every table of counts up to `most` with the same line sums; the width of what the cell may be."""
    cells = sorted(hidden)
    at = {c: i for i, c in enumerate(cells)}
    lines: dict[Any, list[tuple[int, int]]] = {}
    for c in cells:
        lines.setdefault(("row", c[0]), []).append((at[c], -1 if c in negative and c[1] == 2 else 1))
        lines.setdefault(("column", c[1]), []).append((at[c], -1 if c in negative and c[0] == 2 else 1))
    true = [hidden[c] for c in cells]
    sums = [(line, sum(s * true[i] for i, s in line)) for line in lines.values()]
    values = [
        tried[at[cell]]
        for tried in product(range(most + 1), repeat=len(cells))
        if all(sum(s * tried[i] for i, s in line) == total for line, total in sums)
    ]
    return max(values) - min(values)


def test_intervals_are_those_of_an_attacker_who_tries_every_table() -> None:
    draw = np.random.default_rng(5)
    patterns: list[list[tuple[int, int]]] = [
        [(0, 0), (0, 1), (1, 0), (1, 1)],
        [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)],
        [(0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (2, 2)],
        [(0, 0), (1, 0), (0, 2), (1, 2)],
    ]
    seen = set()
    for _ in range(4):
        for pattern in patterns:
            # in the last pattern column 2 holds the totals of the rows
            negative = {c for c in pattern if c[1] == 2} if pattern == patterns[-1] else set()
            hidden = {c: int(draw.integers(0, 3)) for c in pattern}
            for cell in pattern:
                width = interval_width(cell, hidden, negative)
                assert width == feasible(cell, hidden, negative, 4 if len(pattern) == 6 else 6), (
                    cell,
                    hidden,
                )
                seen.add(width)
    assert len(seen) > 2
    assert line_width({0: 3, 1: 5}, free=False) == 8
    assert line_width({0: 3}, free=False) == 0
    assert line_width({0: 3}, free=True) == MANY


def test_what_is_left_bounds_no_unsafe_count_narrowly(monkeypatch: pytest.MonkeyPatch) -> None:
    def narrow(width: int) -> int:
        """Unsafe counts that an attacker bounds to fewer than 20, over the tables that leave; refused tables leave nothing."""
        draw, found, left = np.random.default_rng(9), 0, 0
        for _ in range(30):
            small, large = draw.integers(0, 6, (4, 5)), draw.integers(20, 40, (4, 5))
            weights = np.where(draw.random((4, 5)) < 0.2, small, large).tolist()
            unsafe = {c for c in product(range(4), range(5)) if weights[c[0]][c[1]] < 20}
            try:
                hidden = suppress_grid(unsafe, weights, width)
            except ValueError:
                continue
            left += 1
            counts = {(r, c): weights[r][c] for r, c in hidden}
            found += sum(interval_width(c, counts) < 20 for c in unsafe)
        assert left > 20
        return found

    assert narrow(20) == 0
    assert narrow(0) > 0
    monkeypatch.setattr(suppression, "interval_width", lambda *_: MANY)
    assert narrow(20) > 0


def test_a_line_whose_suppressed_counts_sum_to_few_loses_more() -> None:
    assert suppress_line({0, 1}, [3, 4, 50, 60], width=0) == {0, 1}
    assert suppress_line({0, 1}, [3, 4, 50, 60], width=20) == {0, 1, 2}
    with pytest.raises(ValueError, match="without further cells"):
        suppress_line({0, 1}, [3, 4], width=20)
    assert suppress_line({0, 1}, [3, 4, 7], width=20, total=2) == {0, 1, 2}


def test_a_table_of_small_groups_only_does_not_leave(world: Any) -> None:
    assert leave(world, ["region", "n"], [["north", 3], ["south", 4]]) == (["group_unprotectable"], None)


def test_without_complements_a_total_gives_the_group_away(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [["north", 5], ["south", 40], ["west", 50]]
    assert leave(world, ["region", "n"], rows)[1].column("n") == [None, None, 50]
    monkeypatch.setattr(groups, "suppress_with_complements", lambda _table, _keys, unsafe, _width: unsafe)
    left = leave(world, ["region", "n"], rows)[1].column("n")
    assert sum(v for _, v in rows) - sum(v for v in left if v is not None) == 5


def test_what_is_known_about_the_people_stays_behind(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    left = leave(world, ["region", "n"], LINE, top_shares=[1, 2, 3])[1]
    assert (left.subjects, left.top_shares, left.digest) == (None, None, "")
    monkeypatch.setattr(gate, "released", lambda table: table)
    assert leave(world, ["region", "n"], LINE)[1].subjects == (30, 40, 50)
