"""Drawings of the cockpit: risk per stage with the weakest link, the matrix of consent, whom everything waits for."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from hefu.domain.terms import Operation
from hefu.node.compliance_models import CoverageCell, CoverageView, StageRisk, WaitsFor

from hefu_ui.look.formats import org_name
from hefu_ui.look.html import Html, chip, esc, icon, join
from hefu_ui.look.states import look_of
from hefu_ui.words import named, pick, t

_SYMBOLS = {"transmission": "sync_alt", "computation": "hub", "result": "fact_check"}


def draw_risk(stages: Sequence[StageRisk]) -> None:
    """Transmission → computation → result, coloured by grade; the weakest is framed."""
    st.html(f'<ol class="hf-risk">{"".join(_stage(s) for s in stages)}</ol>')


def _stage(s: StageRisk) -> str:
    color = look_of("grade", s.grade)[0] if s.grade else "gray"
    grade = t("cockpit.grade", grade=named("choice", s.grade)) if s.grade else t("cockpit.ungraded")
    judged = (
        t("cockpit.judged", judgement=named("choice", s.judgement))
        if s.judgement
        else t("cockpit.not_judged")
    )
    reasons = "".join(
        f"<small>{esc(pick(zh, en))}</small>" for zh, en in zip(s.reasons_zh, s.reasons_en, strict=False)
    )
    weakest = chip(t("cockpit.weakest"), color, "link_off") if s.weakest else ""
    return (
        f'<li class="hf-{color}{" weakest" if s.weakest else ""}"><span class="dot">{icon(_SYMBOLS[s.stage])}</span>'
        f"<b>{esc(named('choice', s.stage))}</b><div>{chip(grade, color)}{weakest}</div><em>{esc(judged)}</em>{reasons}</li>"
    )


def draw_coverage(view: CoverageView) -> None:
    """Participants × operations: covered, missing (what, on hover and below), or not needed."""
    used = [op for op in Operation if any(c.operation == op.value for c in view.cells)]
    cells = {(c.participant, c.operation): c for c in view.cells}
    people = list(dict.fromkeys(c.participant for c in view.cells))
    head = "".join(f"<th>{esc(named('operation', op.value))}</th>" for op in used)
    body = "".join(
        f'<tr><th class="owner">{esc(org_name(org))}</th>'
        + "".join(_cell(cells.get((org, op.value))) for op in used)
        + "</tr>"
        for org in people
    )
    legend = "".join(
        f'<span><i class="hf-{color}"></i>{esc(t(f"cockpit.{word}"))}</span>'
        for color, word in (("green", "covered"), ("red", "missing"), ("none", "not_needed"))
    )
    st.html(
        f'<div class="hf-legend">{legend}</div><div class="hf-scroll"><table class="hf-board"><thead><tr><th></th>{head}'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(cell: CoverageCell | None) -> str:
    if cell is None:
        return '<td><div class="cell none">·</div></td>'
    if cell.missing:
        gaps = [gap_words(gap) for gap in cell.missing]
        return f'<td><div class="cell hf-red" title="{esc("; ".join(gaps))}">{icon("close")}<span>{esc(gaps[0])}</span></div></td>'
    kinds = ", ".join(named("consent_kind", k) for k in cell.kinds)
    return f'<td><div class="cell hf-green" title="{esc(kinds)}">{icon("check")}<span>{esc(kinds)}</span></div></td>'


def gap_words(gap: str) -> str:
    """What a consent lacks, in words."""
    name, _, value = gap.partition(":")
    if name == "kind":
        return t("gap.kind", kind=named("consent_kind", value))
    if name == "sensitive":
        return t("gap.sensitive", category=named("sensitive", value))
    return named("gap", name)


def draw_waits(waits: Sequence[WaitsFor]) -> None:
    """Who has to do what, by party."""
    items = "".join(
        f'<div class="item"><span class="dot hf-orange">{icon("hourglass_top")}</span>'
        f"<div><b>{esc(org_name(w.party))}</b><small>{esc(pick(w.what_zh, w.what_en))}</small></div>"
        f"{chip(w.due_on, 'orange', 'event') if w.due_on else ''}</div>"
        for w in waits
    )
    st.html(f'<div class="hf-feed">{items}</div>')


def trigger_chips(triggers: Sequence[str]) -> Html:
    """Why an impact assessment is due."""
    return join([chip(named("choice", trigger), "violet") for trigger in triggers], "")
