"""The file-arrival board 文件到达看板: owner × day, coloured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import streamlit as st
from hefu.node.console_models import ArrivalView, DeliveryView

from hefu_ui.look.formats import count, when
from hefu_ui.look.html import esc, icon
from hefu_ui.look.states import look_of
from hefu_ui.words import named, t


def draw_board(days: Sequence[str], rows: Mapping[str, Mapping[str, tuple[str, str, str]]]) -> None:
    """`rows`: owner → day → (state, what stands in the cell, what shows on hover)."""
    head = "".join(
        f"<th>{esc(day[5:])}<small>{esc(t(f'weekday.{_weekday(day)}'))}</small></th>" for day in days
    )
    body = "".join(
        f'<tr><th class="owner">{esc(owner)}</th>' + "".join(_cell(cells.get(day)) for day in days) + "</tr>"
        for owner, cells in rows.items()
    )
    legend = "".join(
        f'<span><i class="hf-{look_of("arrival", s)[0]}"></i>{esc(named("arrival", s))}</span>'
        for s in ("arrived", "late", "replaced", "rejected", "missing")
    )
    st.html(
        f'<div class="hf-legend">{legend}</div><div class="hf-scroll"><table class="hf-board"><thead><tr><th></th>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def day_cells(arrivals: Iterable[ArrivalView | DeliveryView]) -> dict[str, tuple[str, str, str]]:
    """One cell per day: the file that stands; a day whose earlier file was replaced shows as corrected."""
    cells: dict[str, tuple[str, str, str]] = {}
    corrected = set()
    for a in sorted(arrivals, key=lambda a: a.state != "replaced"):
        if a.state == "replaced":
            corrected.add(a.business_date)
        state = "replaced" if a.business_date in corrected and a.state == "arrived" else a.state
        cells[a.business_date] = (state, count(a.rows), f"{named('arrival', state)} · {when(a.arrived_at)}")
    return cells


def _weekday(day: str) -> int:
    return date.fromisoformat(day).weekday()


def _cell(cell: tuple[str, str, str] | None) -> str:
    if cell is None:
        return '<td><div class="cell none">·</div></td>'
    state, text, hover = cell
    color, symbol = look_of("arrival", state)
    text = "" if state == "missing" else text
    return f'<td><div class="cell hf-{color}" title="{esc(hover)}">{icon(symbol)}<span>{esc(text)}</span></div></td>'
