"""Comparison, sort and intersection between parties that are far apart: 40 ms one way (80 ms there and back), 100 Mbit/s.

No run is faster than its rounds times the delay. `--write` puts the table into docs/performance.md.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from bench import arithmetic, page, psi, sorting
from bench.machine import described, sentence
from bench.ours import Cost, everywhere, measure
from bench.relay import Link
from bench.rows import rounded, shown, size_name
from bench.setting import Setting

LINK = Link(delay_seconds=0.040, bits_per_second=100e6)

Measure = Callable[[Link | None], Cost]


def subjects(setting: Setting) -> dict[str, Measure]:
    """What is measured over the link."""
    few, many = setting.size(10**4), setting.size(10**5)
    return {
        f"comparison {size_name(many)}": _shares(arithmetic.work, "comparison", many, arithmetic.warm),
        f"sort {size_name(few)}": _shares(sorting.work, "sort", few, sorting.warm),
        f"PSI {size_name(many)}, KKRT": _intersection(psi.kkrt, many),
        f"PSI {size_name(many)}, silent VOLE": _intersection(psi.two_party, many),
        f"PSI {size_name(many)}, dealt VOLE": _intersection(psi.dealer, many),
        f"PSI {size_name(few)}, ECDH": _intersection(psi.ecdh, few),
    }


def _shares(work: Callable[..., object], kind: str, n: int, warm: Callable[[], None]) -> Measure:
    return lambda link: measure(everywhere(work(kind, n)), warm=warm, link=link)  # type: ignore[arg-type]


def _intersection(protocol: Callable[[], psi.Protocol], n: int) -> Measure:
    def measured(link: Link | None) -> Cost:
        with tempfile.TemporaryDirectory() as name:
            return psi.run(protocol(), psi.make_files(Path(name), n), link=link)

    return measured


def main(setting: Setting, *, write: bool, as_json: bool) -> int:
    """Measure each twice: on loopback and over the link."""
    rows = []
    for name, measured in subjects(setting).items():
        near, far = measured(None), measured(LINK)
        rows.append(
            {
                "work": name,
                "rounds": far.rounds,
                "least_s": rounded(far.rounds * LINK.delay_seconds),
                "bytes": far.bytes,
                "loopback_wall_s": rounded(near.wall_s),
                "wall_s": rounded(far.wall_s),
                "cpu_s": rounded(far.cpu_s),
            }
        )
        Console(stderr=True).print(f"  {rows[-1]}", style="dim", highlight=False)
    header = ("work", "rounds", "MB sent", "rounds x delay, s", "seconds on loopback", "seconds on the link")
    lines = page.markdown(
        header,
        [
            [
                str(row["work"]),
                str(row["rounds"]),
                shown(float(str(row["bytes"])) / 1e6),
                shown(float(str(row["least_s"]))),
                shown(float(str(row["loopback_wall_s"]))),
                shown(float(str(row["wall_s"]))),
            ]
            for row in rows
        ],
    )
    print("\n".join(lines))
    if write:
        said = f"Link: {LINK.name}, in each direction between every two parties. "
        page.replace("wan", [f"{said}Measured by `python -m bench wan --write` on {sentence()}.", "", *lines])
    if as_json:
        print(json.dumps({"rows": rows, "link": LINK.name, "machine": described()}))
    return 0
