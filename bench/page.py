"""docs/performance.md: prose by people, tables by the bench, between markers that name the block."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.peer import ROOT

PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"


def replace(block: str, lines: Sequence[str], page: Path = PAGE) -> None:
    """Put the lines between `<!-- block -->` and `<!-- /block -->`; raises ValueError when the page has no such block."""
    text = page.read_text()
    begin, end = f"<!-- {block} -->", f"<!-- /{block} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page.name} has no block {begin} … {end}")
    page.write_text(f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{after}")


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table; every column but the first is right-aligned."""
    rule = ["---", *("---:" for _ in header[1:])]
    return ["| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)]
