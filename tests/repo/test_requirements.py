"""docs/requirements.md: every point of the white papers once, every path real, "done" only with a test."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "requirements.md"
IDS = {
    *(f"R{n}" for n in range(1, 7)),
    *(f"K{n}" for n in range(1, 14)),
    *(f"T{n}" for n in range(1, 9)),
    *("T1h", "T1v", "T1t"),
    *(f"P{n}" for n in range(1, 5)),
    *(f"S{n}" for n in range(1, 7)),
}


@dataclass(frozen=True)
class Row:
    id: str
    point: str
    code: tuple[str, ...]
    tests: tuple[str, ...]
    state: str


def read_rows(text: str) -> list[Row]:
    """Every table row whose first cell looks like an id."""
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if re.fullmatch(r"[RKTPS]\d+[a-z]?", cells[0]):
            assert len(cells) == 5, line
            code, tests = (tuple(re.findall(r"`([^`]+)`", cell)) for cell in cells[2:4])
            rows.append(Row(cells[0], cells[1], code, tests, cells[4]))
    return rows


ROWS = read_rows(PAGE.read_text(encoding="utf-8"))


def complaints(row: Row, root: Path = ROOT) -> list[str]:
    """What is wrong with a row."""
    found = [f"{path} does not exist" for path in row.code + row.tests if not (root / path).exists()]
    found += [
        f"{path} is no test" for path in row.tests if not re.fullmatch(r"tests/(.+/)?test_\w+\.py", path)
    ]
    found += [f"{path} is no code" for path in row.code if path.startswith(("tests/", "docs/"))]
    if row.state == "done":
        if not row.code or not row.tests:
            found.append("done without code or without a test")
    elif re.fullmatch(r"partly: .{10,}", row.state):
        if not row.code or not row.tests:
            found.append("partly there, but no code or no test is named")
    elif re.fullmatch(r"not yet(: .{5,})?", row.state):
        if row.code or row.tests:
            found.append("not there, but code or tests are named")
    else:
        found.append(f"unknown state: {row.state}")
    return found


def test_every_point_stands_here_once():
    assert sorted(row.id for row in ROWS) == sorted(IDS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_the_row_is_true(row):
    assert complaints(row) == []


def test_tests_named_hold_tests():
    named = {path for row in ROWS for path in row.tests}
    assert [p for p in sorted(named) if not re.search(r"^\s*def test_", (ROOT / p).read_text(), re.M)] == []


CODE, TEST = "platform/hefu/cli.py", "tests/repo/test_requirements.py"


@pytest.mark.parametrize(
    "row",
    [
        Row("R1", "x", (CODE,), (), "done"),
        Row("R1", "x", (), (TEST,), "done"),
        Row("R1", "x", (CODE,), ("tests/repo/test_nowhere.py",), "done"),
        Row("R1", "x", ("platform/nowhere.py",), (TEST,), "done"),
        Row("R1", "x", (CODE,), ("tests/conftest.py",), "done"),
        Row("R1", "x", (TEST,), (TEST,), "done"),
        Row("R1", "x", (CODE,), (TEST,), "partly"),
        Row("R1", "x", (CODE,), (TEST,), "nearly done"),
        Row("R1", "x", (CODE,), (), "not yet"),
        Row("R1", "x", (), (), "partly: something or other"),
    ],
)
def test_an_untrue_row_is_found(row):
    assert complaints(row)


def test_rows_are_read_from_a_table():
    text = "| id | a | b | c | d |\n|---|---|---|---|---|\n| K1 | x | `a` `b` | — | not yet |\n"
    assert read_rows(text) == [Row("K1", "x", ("a", "b"), (), "not yet")]
