"""What one measurement says, as a row of the table and of the JSON object.

A ratio is computed from two numbers of one run, never stored: our CPU seconds (or wall seconds, where a row is about
latency) under the peer's. What was not measured is None.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of work, ours beside one peer.

    work             what was done, sizes included
    ours_cpu_s       CPU seconds summed over all parties
    ours_bytes       sent by all parties together
    ours_peak_mb     the largest party's peak memory above its own idle process
    peer             name, version and protocol of the other program, None where there is none
    by_wall          the row is about latency: its ratio is one of wall seconds, and the CPU seconds stay None
    note             why something is absent, or what is to be known of the figure
    """

    work: str
    ours_cpu_s: float | None = None
    ours_bytes: int | None = None
    ours_peak_mb: float | None = None
    peer: str | None = None
    peer_cpu_s: float | None = None
    ours_wall_s: float | None = None
    peer_wall_s: float | None = None
    by_wall: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the peer's cost is ours; None unless both were measured in this run."""
        pair = (self.ours_wall_s, self.peer_wall_s) if self.by_wall else (self.ours_cpu_s, self.peer_cpu_s)
        ours, theirs = pair
        return theirs / ours if ours and theirs else None

    def to_json(self) -> dict[str, Any]:
        """The row of the JSON object."""
        cpu = None if self.by_wall else self.ours_cpu_s
        return {
            "work": self.work,
            "ours_cpu_s": rounded(cpu),
            "ours_bytes": self.ours_bytes,
            "ours_peak_mb": rounded(self.ours_peak_mb),
            "peer": self.peer,
            "peer_cpu_s": None if self.by_wall else rounded(self.peer_cpu_s),
            "ratio": rounded(self.ratio),
            "ours_wall_s": rounded(self.ours_wall_s),
            "peer_wall_s": rounded(self.peer_wall_s),
            "by_wall": self.by_wall,
            "note": self.note,
        }


def rounded(number: float | None) -> float | None:
    """Four significant digits."""
    return None if number is None else float(f"{number:.4g}")


def size_name(count: int) -> str:
    """10^6, 2^20, or the number as it is."""
    digits = len(str(count)) - 1
    if count >= 1000 and count == 10**digits:
        return f"10^{digits}"
    if count >= 1024 and count & (count - 1) == 0:
        return f"2^{count.bit_length() - 1}"
    return str(count)


def table(title: str, rows: Sequence[Row], bars: Any = None) -> Table:
    """The rows as a rich table."""
    made = Table(title=title, title_justify="left")
    made.add_column("work", overflow="fold")
    for name in ("ours CPU s", "MB sent", "peak MB"):
        made.add_column(name, justify="right")
    made.add_column("peer", overflow="fold")
    for name in ("peer CPU s", "ratio", "bar"):
        made.add_column(name, justify="right")
    for row in rows:
        ours, theirs = (row.ours_wall_s, row.peer_wall_s) if row.by_wall else (row.ours_cpu_s, row.peer_cpu_s)
        mark = " wall" if row.by_wall else ""
        made.add_row(
            row.work,
            shown(ours) + (mark if ours else ""),
            shown(None if row.ours_bytes is None else row.ours_bytes / 1e6),
            shown(row.ours_peak_mb),
            row.peer or "—",
            shown(theirs) + (mark if theirs else ""),
            shown(row.ratio),
            "" if bars is None else bars(row),
        )
    return made


def shown(number: float | None) -> str:
    """Three significant digits, or a dash."""
    if number is None:
        return "—"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def report(title: str, rows: Sequence[Row], more: dict[str, Any], as_json: bool, bars: Any = None) -> None:
    """Print the table and its notes; with `as_json` the last line is one JSON object."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)
    console.print(table(title, rows, bars))
    for note in distinct(f"{row.work}: {row.note}" for row in rows if row.note):
        console.print(f"  {note}", highlight=False, markup=False, soft_wrap=True)
    if as_json:
        print(json.dumps({"rows": [row.to_json() for row in rows], **more}))


def distinct(lines: Iterable[str]) -> list[str]:
    """Each line once, in order."""
    return list(dict.fromkeys(lines))


def as_row(found: Row | dict[str, Any]) -> Row:
    """A row that a group gave as a dictionary with the JSON object's names; a ratio in it is computed anew."""
    if isinstance(found, Row):
        return found
    names = {f.name for f in fields(Row)}
    return Row(**{name: value for name, value in found.items() if name in names})
