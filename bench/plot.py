"""A log-log plot as PNG, drawn with Pillow: panels side by side, a line per series, direct labels.

Colours are told apart by people with colour-vision deficiencies too (Okabe and Ito's palette), and every series has a
marker shape of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Points = Sequence[tuple[float, float]]

_SCALE = 2  # drawn twice as large: sharp on dense screens
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 430, 360, 62, 16, 44, 46
_LEGEND = 26
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_INK, _GRID, _PAPER = "#333333", "#dddddd", "#ffffff"


@dataclass(frozen=True, slots=True)
class Panel:
    """title over the panel; series name -> (x, y) with both positive."""

    title: str
    series: Mapping[str, Points]


def draw(panels: Sequence[Panel], x_title: str, path: Path) -> None:
    """Write the PNG; x and y are logarithmic."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.series))
    size = (_WIDTH * len(panels) * _SCALE, (_HEIGHT + _LEGEND) * _SCALE)
    image = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(image)
    for i, panel in enumerate(panels):
        _panel(pen, panel, names, x_title, i * _WIDTH)
    x = float(_LEFT)
    for k, name in enumerate(names):
        _marker(pen, k, x, _HEIGHT + 8)
        _text(pen, name, x + 10, _HEIGHT + 8, "lm")
        x += 28 + pen.textlength(name, font=_font(12)) / _SCALE
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)


def _panel(pen: ImageDraw.ImageDraw, panel: Panel, names: Sequence[str], x_title: str, left: float) -> None:
    points = [point for line in panel.series.values() for point in line]
    if not points:
        return
    x_low, x_high = _decades(x for x, _ in points)
    y_low, y_high = _decades(y for _, y in points)
    x0, x1, y0, y1 = left + _LEFT, left + _WIDTH - _RIGHT, _TOP, _HEIGHT - _BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - x_low) / (x_high - x_low)
        up = (math.log10(y) - y_low) / (y_high - y_low)
        return x0 + across * (x1 - x0), y1 - up * (y1 - y0)

    for power in range(x_low, x_high + 1):
        x, _ = at(10.0**power, 10.0**y_low)
        _line(pen, [(x, y0), (x, y1)], _GRID, 1)
        _text(pen, _power(power), x, y1 + 12, "mm")
    for power in range(y_low, y_high + 1):
        _, y = at(10.0**x_low, 10.0**power)
        _line(pen, [(x0, y), (x1, y)], _GRID, 1)
        _text(pen, _power(power), x0 - 6, y, "rm")
    _line(pen, [(x0, y0), (x0, y1), (x1, y1)], _INK, 1)
    _text(pen, panel.title, x0, _TOP - 20, "lm", 14)
    _text(pen, x_title, (x0 + x1) / 2, y1 + 32, "mm")
    for name, line in panel.series.items():
        k = names.index(name)
        places = [at(*point) for point in line]
        _line(pen, places, _COLOURS[k % len(_COLOURS)], 2)
        for place in places:
            _marker(pen, k, *place)


def _decades(values: Sequence[float] | object) -> tuple[int, int]:
    found = [math.log10(v) for v in values]  # type: ignore[attr-defined]
    low, high = math.floor(min(found)), math.ceil(max(found))
    return low, max(high, low + 1)


def _power(power: int) -> str:
    if -3 <= power <= 3:
        return f"{10.0**power:g}"
    return f"10^{power}"


def _line(pen: ImageDraw.ImageDraw, places: Sequence[tuple[float, float]], colour: str, width: int) -> None:
    pen.line([(x * _SCALE, y * _SCALE) for x, y in places], fill=colour, width=width * _SCALE, joint="curve")


def _marker(pen: ImageDraw.ImageDraw, k: int, x: float, y: float) -> None:
    r, colour = 4.5, _COLOURS[k % len(_COLOURS)]
    shapes = (
        [(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)],
        [(x, y - r - 1), (x + r, y + r), (x - r, y + r)],
        [(x, y - r - 1), (x + r + 1, y), (x, y + r + 1), (x - r - 1, y)],
        [(x, y + r + 1), (x + r, y - r), (x - r, y - r)],
    )
    pen.polygon([(a * _SCALE, b * _SCALE) for a, b in shapes[k % len(shapes)]], fill=colour)


def _text(pen: ImageDraw.ImageDraw, text: str, x: float, y: float, anchor: str, size: int = 12) -> None:
    pen.text((x * _SCALE, y * _SCALE), text, fill=_INK, font=_font(size), anchor=anchor)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _SCALE)
