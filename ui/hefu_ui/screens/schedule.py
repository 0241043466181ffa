"""调度: when each contract's T+1 job starts next; pause, resume, move within the signed window."""

from __future__ import annotations

from datetime import time

import streamlit as st
from hefu.node.console_models import ScheduleRequest, ScheduleView

from hefu_ui.look.formats import SHANGHAI, when
from hefu_ui.look.html import Html, chip, esc, facts, mono
from hefu_ui.look.page import asking, card, do, empty, page_title
from hefu_ui.signed_in import may, node
from hefu_ui.words import language, named, t


def show() -> None:
    schedules = node().schedules()
    page_title(t("page.schedule"), t("schedule.about"))
    if not schedules:
        with card("no_schedule"):
            empty("calendar_clock", t("schedule.none"), t("schedule.none_next"))
    for schedule in schedules:
        _schedule(schedule)


def _schedule(s: ScheduleView) -> None:
    with card(
        f"schedule_{s.contract_id}",
        s.title if language() == "zh" else s.title_en,
        "calendar_clock",
        s.contract_id,
    ):
        state = (
            chip(t("schedule.paused"), "orange", "pause_circle")
            if s.paused
            else chip(t("schedule.running"), "green", "play_circle")
        )
        left, right = st.columns([3, 2], gap="large")
        with left:
            facts(
                [
                    (t("common.state"), state),
                    (t("schedule.starts"), Html(f"{esc(_clock_of(s.cron))} {mono(s.cron)}")),
                    (
                        t("schedule.signed"),
                        Html(
                            f"{esc(_clock_of(s.signed_cron))} ± {esc(t('common.minutes', n=s.window_minutes))}"
                        ),
                    ),
                    (t("schedule.run_days"), named("run_days", s.run_days)),
                    (t("schedule.time_zone"), s.time_zone),
                    (t("schedule.last_covered"), s.last_covered or t("common.none")),
                ]
            )
            if may("preparer", "approver"):
                _actions(s)
        with right:
            st.html(f"<b>{esc(t('schedule.next', n=len(s.next_times)))}</b>")
            items = "".join(
                f'<div class="item"><span class="dot hf-blue">{n}</span><div><b>{esc(when(at))}</b></div>'
                f"{chip(t(f'weekday.{at.astimezone(SHANGHAI).weekday()}'))}</div>"
                for n, at in enumerate(s.next_times[:10], 1)
            )
            st.html(f'<div class="hf-feed">{items or esc(t("schedule.no_next"))}</div>')


def _actions(s: ScheduleView) -> None:
    with st.container(horizontal=True):
        action = "resume" if s.paused else "pause"
        if st.button(
            t(f"schedule.{action}"),
            key=f"{action}_{s.contract_id}",
            icon=f":material/{'play' if s.paused else 'pause'}_circle:",
        ):
            do(
                lambda: node().set_schedule(s.contract_id, ScheduleRequest(action=action)),
                t(f"schedule.{action}_done"),
            )
        with asking(t("schedule.move"), f"move_{s.contract_id}", "more_time") as named_key:
            st.caption(t("schedule.move_note", minutes=s.window_minutes, at=_clock_of(s.signed_cron)))
            at = st.time_input(
                t("schedule.new_time"), value=_time_of(s.cron), step=300, key=named_key(f"at_{s.contract_id}")
            )
            if st.button(t("do.confirm"), key=named_key(f"move_{s.contract_id}"), type="primary"):
                cron = f"{at.minute} {at.hour} " + " ".join(s.cron.split()[2:])
                do(
                    lambda: node().set_schedule(s.contract_id, ScheduleRequest(action="move", cron=cron)),
                    t("schedule.moved"),
                )


def _time_of(cron: str) -> time:
    minute, hour = [*cron.split(), "0", "0"][:2]
    return time(int(hour), int(minute)) if hour.isdigit() and minute.isdigit() else time(2, 30)


def _clock_of(cron: str) -> str:
    minute, hour = [*cron.split(), "", ""][:2]
    return f"{int(hour):02d}:{int(minute):02d}" if hour.isdigit() and minute.isdigit() else ""
