"""`python -m bench NAME`: measure one group, or `engine`, all that the engine is held to; `growth` and `wan` apart.

python -m bench arithmetic
python -m bench engine --json
python -m bench arithmetic --scale 0.01 --no-peers
python -m bench growth --write            # docs/performance.md and its plots
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import sys
from collections.abc import Iterator

from rich.console import Console

from bench import page
from bench.bars import bar_of
from bench.machine import described, sentence
from bench.rows import Row, as_row, report, shown
from bench.setting import Setting

ENGINE = ("arithmetic", "sorting", "regression", "psi", "paillier", "aggregation")
BESIDE = ("pir", "aggregate")
APART = ("growth", "wan")


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=("engine", *ENGINE, *BESIDE, *APART))
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    parser.add_argument("--no-peers", action="store_true", help="measure ours only")
    parser.add_argument("--scale", type=float, default=1.0, help="multiply every size by this")
    parser.add_argument("--repeat", type=int, default=3, help="the cheapest of so many short runs counts")
    parser.add_argument("--largest", type=int, default=10**7, help="growth: no size beyond this")
    parser.add_argument("--write", action="store_true", help="engine, growth, wan: into docs/performance.md")
    given = parser.parse_args(arguments)
    setting = Setting(not given.no_peers, given.scale, given.repeat, given.largest)
    if given.name in APART:
        module = importlib.import_module(f"bench.{given.name}")
        return int(module.main(setting, write=given.write, as_json=given.json))
    found: list[Row] = []
    broken = False
    for name in ENGINE if given.name == "engine" else (given.name,):
        for row in group(name, setting):
            found.append(row)
            Console(stderr=True).print(f"  {row.work}: {row.peer or 'ours'}", style="dim", highlight=False)
            broken = broken or row.note.startswith(FAILED)
    if given.write and given.name == "engine":
        page.replace(
            "engine", [f"Measured by `python -m bench engine --write` on {sentence()}.", "", *lines(found)]
        )
    report(given.name, found, {"machine": described()}, given.json, bar_of)
    return 1 if broken else 0


FAILED = "failed: "


def lines(found: list[Row]) -> list[str]:
    """The rows as a markdown table."""
    cells = [
        [
            row.work,
            shown(row.ours_wall_s if row.by_wall else row.ours_cpu_s) + (" wall" if row.by_wall else ""),
            shown(None if row.ours_bytes is None else row.ours_bytes / 1e6),
            shown(row.ours_peak_mb),
            row.peer or "—",
            shown(row.peer_wall_s if row.by_wall else row.peer_cpu_s),
            shown(row.ratio),
            bar_of(row),
        ]
        for row in found
    ]
    header = ("work", "ours CPU s", "MB sent", "peak MB", "peer", "peer CPU s", "ratio", "bar")
    return page.markdown(header, cells)


def group(name: str, setting: Setting) -> Iterator[Row]:
    """The rows of one group; what cannot be measured is a row with its reason."""
    try:
        module = importlib.import_module(f"bench.{name}")
        ours = "setting" in inspect.signature(module.rows).parameters
        yield from map(as_row, module.rows(setting) if ours else module.rows())
    except Exception as error:
        yield Row(name, note=f"{FAILED}{type(error).__name__}: {error}"[:400])


if __name__ == "__main__":
    sys.exit(main())
