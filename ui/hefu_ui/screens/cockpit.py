"""合规驾驶舱: where one contract stands: nine points, risk per stage, consent coverage, whom it waits for, the stop button."""

from __future__ import annotations

import streamlit as st
from hefu.node.compliance_models import Cockpit

from hefu_ui.look.cockpit import draw_coverage, draw_risk, draw_waits, trigger_chips
from hefu_ui.look.filing import draw_filing_list
from hefu_ui.look.findings import draw_findings
from hefu_ui.look.html import Html, chip
from hefu_ui.look.nine_points import KINDS_OF, Point, points_of
from hefu_ui.look.page import card, empty, go, page_title
from hefu_ui.look.states import look_of, state_chip
from hefu_ui.look.stop import draw_stop
from hefu_ui.signed_in import changes, may, me, node
from hefu_ui.words import language, named, t

_WORST = ("red", "amber", "gray", "green")


def show() -> None:
    contracts = sorted(node().contracts(), key=lambda c: (c.state != "active", c.state != "signing", -c.proposed_at.timestamp()))  # fmt: skip
    if not contracts:
        page_title(t("page.cockpit"), t("cockpit.about"))
        with card("no_contracts"):
            empty("shield_question", t("cockpit.none"), t("cockpit.none_next"))
        return
    titles = {c.digest: f"{c.title if language() == 'zh' else c.title_en} · {c.contract_id} v{c.version}" for c in contracts}  # fmt: skip
    wanted = st.query_params.get("id", "")
    digests = list(titles) if wanted in titles or not wanted else [wanted, *titles]
    start = digests.index(wanted) if wanted in digests else 0
    top = st.container()
    chosen = st.selectbox(t("cockpit.choose"), digests, start, format_func=lambda d: titles.get(d, d), key=f"cockpit_contract_{language()}")  # fmt: skip
    st.query_params["id"] = chosen
    view = node().compliance.cockpit(chosen)
    points = points_of(view, node().ledger_state())
    title = view.title if language() == "zh" else view.title_en
    with top:
        page_title(title, t("cockpit.about"), (_overall(points), state_chip("contract_state", view.state)))
    draw_stop(view)
    with card("points", t("cockpit.board"), "verified_user", t("cockpit.board_note")):
        chosen_point = _board(points)
    _point(view, chosen_point)
    left, right = st.columns([3, 2], gap="medium")
    with left, card("risk", t("cockpit.risk"), "stacked_line_chart", t("cockpit.risk_note"), fill=True):
        draw_risk(view.risk)
        if view.triggers:
            st.caption(t("cockpit.triggers"))
            st.html(trigger_chips(view.triggers))
    with right, card("waits", t("cockpit.waits"), "hourglass_top", fill=True):
        if view.waits:
            draw_waits(view.waits)
        else:
            empty("task_alt", t("cockpit.waits_for_nobody"), t("cockpit.waits_none_next"))
    with card("coverage", t("cockpit.coverage"), "grid_on"):
        _coverage(view)


def _overall(points: list[Point]) -> Html:
    closed = sum(p.light == "red" for p in points)
    amber = sum(p.light == "amber" for p in points)
    if closed:
        return chip(t("cockpit.closed", n=closed), "red", "block")
    return chip(t("cockpit.amber", n=amber), "orange", "warning") if amber else chip(t("cockpit.ready"), "green", "check_circle")  # fmt: skip


def _board(points: list[Point]) -> Point:
    """Nine tiles; the one that was clicked, or the worst."""
    worst = min(points, key=lambda p: _WORST.index(p.light))
    wanted = st.query_params.get("point", worst.number)
    chosen = next((p for p in points if p.number == wanted), worst)
    with st.grid(columns=3, min_column_width=240):
        for p in points:
            symbol = look_of("light", p.light)[1]
            state = named("light", p.light)
            label = f":material/{symbol}: **{p.number} {t(f'point.{p.number}')}**  \n{state} · {p.said}"
            on = "on" if p is chosen else "off"
            key = f"tile_{p.light}_{on}_{p.number.replace('.', '_')}"
            if st.button(label, key=key, width="stretch", help=" · ".join(p.gates)):
                st.query_params["point"] = p.number
                st.rerun()
    return chosen


def _point(view: Cockpit, p: Point) -> None:
    with card("point", f"{p.number} {t(f'point.{p.number}')}", "rule", " · ".join(p.gates)):
        if p.findings:
            draw_findings(p.findings)
        else:
            st.caption(p.said)
        st.html(f'<h4 class="hf-sub">{t("cockpit.rests_on")}</h4>')
        kinds = KINDS_OF[p.number]
        filed = [f for f in view.filings if f.kind in kinds]
        if filed:
            draw_filing_list(filed)
        else:
            st.caption(t("cockpit.no_filings"))
        if changes() and may("preparer", "approver"):
            with st.container(horizontal=True, key="point_forms"):
                for kind in [k for k in kinds if k in offered()]:
                    label = t("cockpit.fill_in", kind=t(f"filing.{kind}"))
                    if st.button(label, key=f"fill_{kind}", icon=":material/edit_document:"):
                        go("filings", new=kind, contract=view.contract_id)


def offered() -> tuple[str, ...]:
    """The forms that this organisation may fill in."""
    from hefu_ui.screens.filings import forms_for

    return forms_for(me().user)


def _coverage(view: Cockpit) -> None:
    tabs = st.tabs([c.data_set_id for c in view.coverage])
    for tab, coverage in zip(tabs, view.coverage, strict=True):
        with tab:
            if not coverage.consent:
                st.caption(t("cockpit.other_basis", basis=named("basis", coverage.basis)))
            draw_coverage(coverage)
