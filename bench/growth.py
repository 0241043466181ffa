"""How costs grow: comparison, sort, group-by and intersection at 10^4, 10^5, 10^6, and 10^7 where memory allows.

An exponent is the slope of log(CPU seconds) over log(n) by least squares, from 10^5 on: below that, fixed costs (base
transfers, round trips) show. `--write` puts table and plot into docs/performance.md.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import psutil
from rich.console import Console

from bench import arithmetic, page, plot, psi, sorting
from bench.machine import described, sentence
from bench.ours import Cost, everywhere, measure
from bench.rows import rounded, shown, size_name
from bench.setting import Setting

SIZES = (10**4, 10**5, 10**6, 10**7)
FIT_FROM = 10**5

Measure = Callable[[int], Cost]
Point = tuple[str, int, Cost]


def subjects() -> dict[str, tuple[Measure, float]]:
    """name -> how it is measured, and the bytes of memory that all parties together take per element."""
    return {
        "comparison": (_shares(arithmetic.work, "comparison", arithmetic.warm), 400),
        "sort": (_shares(sorting.work, "sort", sorting.warm), 800),
        "group-by-sum": (_shares(sorting.work, "groupby", sorting.warm), 1200),
        "PSI, KKRT": (_intersection(psi.kkrt), 400),
        "PSI, silent VOLE": (_intersection(psi.two_party), 400),
        "PSI, dealt VOLE": (_intersection(psi.dealer), 400),
    }


def _shares(work: Callable[..., object], kind: str, warm: Callable[[], None]) -> Measure:
    return lambda n: measure(everywhere(work(kind, n)), warm=warm)  # type: ignore[arg-type]


def _intersection(protocol: Callable[[], psi.Protocol]) -> Measure:
    def measured(n: int) -> Cost:
        with tempfile.TemporaryDirectory() as name:
            return psi.run(protocol(), psi.make_files(Path(name), n))

    return measured


def points(sizes: Sequence[int]) -> Iterator[Point]:
    """Every subject at every size that fits into memory."""
    for name, (measured, per_element) in subjects().items():
        for n in sizes:
            if n * per_element > 0.7 * psutil.virtual_memory().available:
                continue
            yield name, n, measured(n)


def exponent(line: Sequence[tuple[int, float]]) -> float | None:
    """The slope of log y over log n; None from fewer than two points."""
    if len(line) < 2:
        return None
    xs, ys = [math.log(n) for n, _ in line], [math.log(y) for _, y in line]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    rise = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True))
    return rise / sum((x - x_mean) ** 2 for x in xs)


def main(setting: Setting, *, write: bool, as_json: bool) -> int:
    """Measure, print, and write where asked."""
    found = []
    for name, n, cost in points([setting.size(n) for n in SIZES if n <= setting.largest]):
        Console(stderr=True).print(
            f"  {name} {size_name(n)}: {cost.cpu_s:.3g} s", style="dim", highlight=False
        )
        found.append((name, n, cost))
    lines = table(found, FIT_FROM * setting.scale)
    print("\n".join(lines))
    if write:
        draw(found, page.PLOTS / "growth.png")
        page.replace("growth", [f"Measured by `python -m bench growth --write` on {sentence()}.", "", *lines])
    if as_json:
        rows = [
            {"work": name, "n": n, **{k: rounded(v) for k, v in asdict(cost).items()}}
            for name, n, cost in found
        ]
        print(json.dumps({"rows": rows, "machine": described()}))
    return 0


def table(found: Sequence[Point], fit_from: float) -> list[str]:
    """Markdown: a row per subject and size; the exponent stands in the last row of each subject."""
    rows = []
    for name in dict.fromkeys(name for name, _, _ in found):
        mine = [(n, cost) for this, n, cost in found if this == name]
        slope = exponent([(n, cost.cpu_s) for n, cost in mine if n >= fit_from])
        for n, cost in mine:
            last = n == mine[-1][0] and slope is not None
            rows.append(
                [
                    f"{name}, {size_name(n)}",
                    shown(cost.cpu_s),
                    shown(cost.bytes / 1e6),
                    shown(cost.bytes / n),
                    shown(cost.peak_mb),
                    f"{slope:.2f}" if last else "",
                ]
            )
    return page.markdown(("work", "CPU s", "MB sent", "B per element", "peak MB", "exponent"), rows)


def draw(found: Sequence[Point], path: Path) -> None:
    """CPU, bytes and memory over n."""

    def panel(title: str, value: Callable[[Cost], float]) -> plot.Panel:
        series: dict[str, list[tuple[float, float]]] = {}
        for name, n, cost in found:
            series.setdefault(name, []).append((float(n), max(value(cost), 1e-3)))
        return plot.Panel(title, series)

    panels = [
        panel("CPU seconds, all parties", lambda cost: cost.cpu_s),
        panel("MB sent, all parties", lambda cost: cost.bytes / 1e6),
        panel("peak MB of the largest party", lambda cost: cost.peak_mb),
    ]
    plot.draw(panels, "elements (a side)", path)
