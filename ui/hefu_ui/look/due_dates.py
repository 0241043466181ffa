"""Due dates as an agenda, grouped by month, and as a month's grid."""

from __future__ import annotations

from calendar import Calendar
from collections.abc import Sequence
from datetime import date
from itertools import groupby

import streamlit as st
from hefu.node.compliance_models import DueDate

from hefu_ui.look.formats import org_name, today
from hefu_ui.look.html import chip, esc, icon
from hefu_ui.look.states import look_of, state_chip
from hefu_ui.words import named, pick, t

_SYMBOLS = {
    "impact_assessment": "shield", "qualification": "workspace_premium", "certificate": "key", "source_declaration": "source",
    "consent": "handshake", "stage_judgement": "balance", "deletion": "auto_delete", "filing": "description",
    "milestone": "flag", "contract": "contract", "subject_request": "person_alert", "complaint": "feedback",
}  # fmt: skip
PER_DAY = 3


def draw_agenda(due: Sequence[DueDate]) -> None:
    """The earliest first, a heading per month."""
    parts = []
    for month, items in groupby(due, key=lambda d: d.on[:7]):
        parts.append(f'<h4 class="hf-sub">{esc(month)}</h4>')
        parts += [_line(item) for item in items]
    st.html(f'<div class="hf-feed">{"".join(parts)}</div>')


def _line(d: DueDate) -> str:
    color = look_of("due", d.state)[0]
    about = " · ".join(part for part in (d.on, org_name(d.party), d.contract_id or "") if part)
    return (
        f'<div class="item"><span class="dot hf-{color}">{icon(_SYMBOLS[d.kind])}</span>'
        f"<div><b>{esc(pick(d.title_zh, d.title_en))}</b><small>{esc(about)}</small></div>"
        f"<div>{chip(named('due_kind', d.kind))}{state_chip('due', d.state)}</div></div>"
    )


def draw_month(due: Sequence[DueDate], first: date) -> None:
    """Weeks from Monday; at most three things a day, the rest on hover."""
    by_day: dict[str, list[DueDate]] = {}
    for item in due:
        by_day.setdefault(item.on, []).append(item)
    head = "".join(f"<th>{esc(t(f'weekday.{n}'))}</th>" for n in range(7))
    weeks = "".join(
        "<tr>" + "".join(_day(day, first, by_day.get(day.isoformat(), [])) for day in week) + "</tr>"
        for week in Calendar().monthdatescalendar(first.year, first.month)
    )
    st.html(f'<table class="hf-calendar"><thead><tr>{head}</tr></thead><tbody>{weeks}</tbody></table>')


def _day(day: date, first: date, items: list[DueDate]) -> str:
    state = " out" if day.month != first.month else " now" if day == today() else ""
    lines = "".join(
        f'<span class="hf-{look_of("due", d.state)[0]}" title="{esc(pick(d.title_zh, d.title_en))} · {esc(org_name(d.party))}">'
        f"{icon(_SYMBOLS[d.kind])}{esc(pick(d.title_zh, d.title_en))}</span>"
        for d in items[:PER_DAY]
    )
    rest = items[PER_DAY:]
    more = (
        f'<small title="{esc("; ".join(pick(d.title_zh, d.title_en) for d in rest))}">{esc(t("calendar.more", n=len(rest)))}</small>'
        if rest
        else ""
    )
    return f'<td class="day{state}"><b>{day.day}</b>{lines}{more}</td>'
