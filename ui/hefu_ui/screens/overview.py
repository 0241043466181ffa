"""总览: what waits for me, today's jobs, waiting approvals, the ledger's state."""

from __future__ import annotations

import streamlit as st
from hefu.domain.identity import Role
from hefu.node.console_models import JobSummary, LedgerState, Overview, Todo

from hefu_ui.look.charts import draw_trend
from hefu_ui.look.formats import clock, count, moment, org_name, rate, short, today, when
from hefu_ui.look.html import Html, chip, esc, icon, mono, table
from hefu_ui.look.page import card, empty, go, page_title
from hefu_ui.look.states import look_of, state_chip
from hefu_ui.look.todos import draw_todos
from hefu_ui.signed_in import is_any, me, node
from hefu_ui.words import language, named, t


def show() -> None:
    seen = node().overview()
    user = me().user
    page_title(
        t("overview.hello", name=user.org_name if language() == "zh" else user.org_name_en),
        t("overview.about"),
        (_ledger_chip(seen.ledger), chip(t("overview.tls"), "blue", "lock"), _online_chip(seen.online)),
    )
    _metrics(seen)
    left, right = st.columns([3, 2], gap="medium")
    with left, card("todos", t("overview.todos"), "checklist", t("overview.todos_note"), fill=True):
        _todos(seen.todos)
    with right, card("ledger", t("overview.ledger"), "link", fill=True):
        _ledger(seen.ledger)
    if seen.trend and is_any(Role.REGULATOR):
        with card("trend", t("results.trend"), "monitoring"):
            draw_trend(seen.trend)
    left, right = st.columns([3, 2], gap="medium")
    with left, card("jobs", t("overview.jobs"), "account_tree", fill=True):
        _jobs(seen.jobs)
    with right, card("nodes", t("overview.nodes"), "dns", fill=True):
        _nodes(seen.online)


def _metrics(seen: Overview) -> None:
    todays = [j for j in seen.jobs if j.created_at.astimezone().date() == today()]
    waiting = [c for c in seen.contracts if c.state == "signing"]
    with st.grid(columns=4, min_column_width=210):
        st.metric(t("overview.my_todos"), count(len(seen.todos)), border=True, height="stretch",
                  delta=t("overview.due_soon", n=sum(1 for todo in seen.todos if todo.due_at)), delta_color="blue", delta_arrow="off")  # fmt: skip
        st.metric(t("overview.todays_jobs"), count(len(todays)), border=True, height="stretch", chart_type="bar",
                  chart_data=_per_day(seen.jobs), delta=t("overview.failed", n=_failed(todays)), delta_color="blue", delta_arrow="off")  # fmt: skip
        if is_any(Role.REGULATOR) and seen.trend:
            rates = [r.match_rate for r in _by_day(seen) if r.match_rate is not None]
            st.metric(t("overview.match_rate"), rate(rates[-1] if rates else None), border=True, height="stretch", chart_type="area",
                      chart_data=[r * 100 for r in rates] if len(rates) > 1 else None,
                      delta=t("overview.alarms", n=seen.alarms_open), delta_color="blue", delta_arrow="off")  # fmt: skip
        else:
            st.metric(t("overview.waiting_contracts"), count(len(waiting)), border=True, height="stretch",
                      delta=t("overview.active", n=sum(1 for c in seen.contracts if c.state == "active")),
                      delta_color="blue", delta_arrow="off")  # fmt: skip
        st.metric(t("overview.ledger_size"), count(seen.ledger.size), border=True, height="stretch", chart_type="bar",
                  delta=t("overview.entries_today", n=seen.ledger.entries_today), delta_color="green",
                  chart_data=seen.ledger.history if sum(map(bool, seen.ledger.history)) > 1 else None)  # fmt: skip


def _by_day(seen: Overview) -> list:  # type: ignore[type-arg]
    return sorted((r for r in seen.trend if r.stands), key=lambda r: r.business_date)


def _per_day(jobs: list[JobSummary]) -> list[int] | None:
    days: dict[str, int] = {}
    for job in jobs:
        days[job.created_at.date().isoformat()] = days.get(job.created_at.date().isoformat(), 0) + 1
    return [days[day] for day in sorted(days)] if len(days) > 1 else None


def _failed(jobs: list[JobSummary]) -> int:
    return sum(1 for j in jobs if j.state in ("failed", "refused", "data_missing"))


def _todos(todos: list[Todo]) -> None:
    if not todos:
        empty("task_alt", t("overview.no_todos"), t("overview.no_todos_next"))
    draw_todos(todos[:8])
    if len(todos) > 8:
        st.caption(t("overview.more_todos", n=len(todos) - 8))


def _jobs(jobs: list[JobSummary]) -> None:
    if not jobs:
        empty("event_upcoming", t("overview.no_jobs"), t("overview.no_jobs_next"))
        return
    table(
        [t("common.day"), t("common.contract"), t("jobs.stage"), t("common.state"), t("jobs.started")],
        [
            [j.business_date, mono(j.contract_id), named("stage", j.stage) if j.stage else "—",
             state_chip("job_state", j.state), moment(j.created_at)]
            for j in jobs[:7]
        ],
    )  # fmt: skip
    if st.button(t("overview.all_jobs"), icon=":material/arrow_forward:", type="tertiary", key="all_jobs"):
        go("jobs")


def _ledger(state: LedgerState) -> None:
    verified = (
        "idle" if state.last_verified_ok is None else ("passed" if state.last_verified_ok else "failed")
    )
    rows = [
        (t("ledger.size"), esc(count(state.size))),
        (t("ledger.root"), mono(short(state.root), state.root)),
        (t("ledger.checkpoint_at"), esc(when(state.checkpoint_at, seconds=True))),
        (t("ledger.unreceipted"), esc(count(state.unreceipted))),
        (
            t("ledger.last_verified"),
            Html(f"{state_chip('verify', verified)} {esc(clock(state.last_verified_at))}"),
        ),
    ]
    st.html(
        '<dl class="hf-facts">'
        + "".join(f"<div><dt>{esc(k)}</dt><dd>{v}</dd></div>" for k, v in rows)
        + "</dl>"
    )
    if st.button(t("overview.to_ledger"), icon=":material/arrow_forward:", type="tertiary", key="to_ledger"):
        go("ledger")


def _nodes(online: dict[str, bool]) -> None:
    items = "".join(
        f'<div class="item"><span class="dot hf-{"green" if up else "red"}">{icon("dns" if up else "cloud_off")}</span>'
        f"<div><b>{esc(org_name(org))}</b><small>{esc(org)}</small></div>"
        f"{chip(t('common.node_online') if up else t('common.node_offline'), 'green' if up else 'red')}</div>"
        for org, up in online.items()
    )
    st.html(f'<div class="hf-feed">{items}</div>')


def _ledger_chip(state: LedgerState) -> Html:
    if state.last_verified_ok is None:
        return chip(t("overview.ledger_unverified"), "gray", "shield")
    good = state.last_verified_ok
    return chip(
        t("overview.ledger_ok") if good else t("overview.ledger_bad"),
        "green" if good else "red",
        "verified_user",
    )


def _online_chip(online: dict[str, bool]) -> Html:
    up = sum(online.values())
    color = look_of("standing", "active" if up == len(online) else "suspended")[0]
    return chip(t("overview.online", up=up, all=len(online)), color, "dns")
