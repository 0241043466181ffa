"""风险预警: raised at the regulator's node by its own rules; acknowledged with a note."""

from __future__ import annotations

import streamlit as st
from hefu.node.console_models import AlarmRules, AlarmView, Note

from hefu_ui.look.formats import org_name, when
from hefu_ui.look.html import esc, icon
from hefu_ui.look.page import ask_reason, card, do, empty, go, page_title
from hefu_ui.look.states import state_chip
from hefu_ui.signed_in import may, node
from hefu_ui.words import named, pick, t


def show() -> None:
    alarms = node().alarms()
    page_title(t("page.alarms"), t("alarms.about"))
    tab_alarms, tab_rules = st.tabs(
        [f":material/notifications_active: {t('alarms.list')}", f":material/tune: {t('alarms.rules')}"]
    )
    with tab_alarms:
        only_open = st.toggle(t("alarms.only_open"), value=True)
        shown = [a for a in alarms if not (only_open and a.acknowledged_at)]
        if not shown:
            with card("no_alarms"):
                empty("notifications_off", t("alarms.none"), t("alarms.none_next"))
        for alarm in sorted(shown, key=lambda a: a.raised_at, reverse=True)[:50]:
            _alarm(alarm)
    with tab_rules, card("rules", t("alarms.rules"), "tune", t("alarms.rules_note")):
        _rules()


def _alarm(a: AlarmView) -> None:
    with card(f"alarm_{a.alarm_id}"):
        words, action = st.columns([5, 2], vertical_alignment="center")
        acknowledged = a.acknowledged_at is not None
        color = "gray" if acknowledged else "red"
        about = [a.business_date, a.contract_id, org_name(a.party) if a.party else "", when(a.raised_at)]
        note = (
            t("alarms.acknowledged_by", who=a.acknowledged_by, at=when(a.acknowledged_at), note=a.note)
            if acknowledged
            else ""
        )
        words.html(
            f'<div class="hf-feed"><div class="item"><span class="dot hf-{color}">{icon("warning")}</span><div>'
            f"<b>{esc(named('rule', a.rule))}</b> {state_chip('alarm', 'acknowledged' if acknowledged else 'open')}"
            f"<div>{esc(pick(a.message_zh, a.message_en))}</div><small>{esc(' · '.join(x for x in about if x))}</small>"
            f"<small>{esc(note)}</small></div></div></div>"
        )
        with action.container(horizontal=True, horizontal_alignment="right"):
            if a.job_id and st.button(
                t("alarms.to_result"), key=f"to_{a.alarm_id}", icon=":material/fact_check:"
            ):
                go("results", id=a.job_id)
            if not acknowledged and may("preparer", "approver"):
                ask_reason(
                    t("alarms.acknowledge"), f"ack_{a.alarm_id}", "done_all",
                    lambda text: node().acknowledge(a.alarm_id, Note(text=text)), primary=True,
                )  # fmt: skip


def _rules() -> None:
    rules = node().alarm_rules()
    with st.form("rules", border=False):
        left, right = st.columns(2, gap="large")
        mismatch = left.number_input(
            t("alarms.mismatch_rate"), 0.0, 100.0, rules.mismatch_rate_ppm / 10_000, 0.1, format="%.4f"
        )
        missing = left.number_input(
            t("alarms.missing_rate"), 0.0, 100.0, rules.missing_rate_ppm / 10_000, 0.1, format="%.4f"
        )
        difference = left.number_input(
            t("alarms.difference"), 0.0, None, rules.difference_cents / 100, 1000.0, format="%.2f"
        )
        late = right.number_input(t("alarms.late_files"), 1, None, rules.late_files)
        days = right.number_input(t("alarms.consecutive_days"), 1, None, rules.consecutive_days)
        if st.form_submit_button(t("alarms.save"), type="primary", disabled=not may("approver")):
            new = AlarmRules(
                mismatch_rate_ppm=round(mismatch * 10_000), missing_rate_ppm=round(missing * 10_000),
                difference_cents=round(difference * 100), late_files=int(late), consecutive_days=int(days),
            )  # fmt: skip
            do(lambda: node().set_alarm_rules(new), t("alarms.saved"))
    if not may("approver"):
        st.caption(t("alarms.approver_only"))
