"""Small pieces of HTML. Every value that did not come from this package goes through `esc`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st


class Html(str):
    """A string that is HTML already and must not be escaped again."""


def esc(value: object) -> Html:
    """Text as HTML."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def icon(name: str) -> Html:
    """A Material symbol from the font that Streamlit ships."""
    return Html(f'<span class="hf-icon" translate="no">{escape(name)}</span>')


def chip(text: str, color: str = "gray", symbol: str = "") -> Html:
    """A small coloured label."""
    inside = (icon(symbol) if symbol else "") + escape(text)
    return Html(f'<span class="hf-chip hf-{escape(color)}">{inside}</span>')


def mono(text: str, full: str = "") -> Html:
    """A digest or an id; `full` shows on hover."""
    return Html(f'<code class="hf-mono" title="{escape(full or text)}">{escape(text)}</code>')


def join(parts: Sequence[Html], between: str = " ") -> Html:
    """Pieces one after the other."""
    return Html(between.join(parts))


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> None:
    """A plain table; columns in `right` are numbers."""
    head = "".join(f'<th class="{"r" if i in right else ""}">{esc(h)}</th>' for i, h in enumerate(headers))
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{_cell_class(cell, i in right)}">{esc(cell)}</td>' for i, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    st.html(
        f'<div class="hf-scroll"><table class="hf-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _cell_class(cell: object, right: bool) -> str:
    """Numbers stand at the right; dates, times and other short words do not break."""
    return "r" if right else "nw" if not isinstance(cell, Html) and len(str(cell)) <= 19 else ""


def facts(pairs: Sequence[tuple[str, object]]) -> None:
    """Names and values in columns; long sentences take a line of their own."""
    cells = "".join(
        f'<div class="{"wide" if len(pairs) == 1 or (not isinstance(value, Html) and len(str(value)) > 34) else ""}">'
        f"<dt>{esc(name)}</dt><dd>{esc(value)}</dd></div>"
        for name, value in pairs
    )
    st.html(f'<dl class="hf-facts">{cells}</dl>')
