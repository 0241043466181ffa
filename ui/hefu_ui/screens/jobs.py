"""任务: run now, backfill, follow a job through its seven stages, read the verdicts, cancel."""

from __future__ import annotations

from functools import partial

import streamlit as st
from hefu.domain.job import FINAL_STATES
from hefu.node.console_models import JobRequest, JobView, ReviewRequest

from hefu_ui.look.formats import count, days_back, org_name, took, when
from hefu_ui.look.html import chip, esc, facts, mono
from hefu_ui.look.page import ask_reason, card, do, empty, go, page_title, problems_shown
from hefu_ui.look.picker import chips, pick_row
from hefu_ui.look.stages import draw_stages, draw_verdicts
from hefu_ui.look.states import look_of, state_chip
from hefu_ui.signed_in import may, node
from hefu_ui.words import CATALOGUE, named, t


def show() -> None:
    if wanted := st.query_params.get("id"):
        _detail(wanted)
        return
    page_title(t("page.jobs"), t("jobs.about"))
    active = [c for c in node().contracts() if c.state == "active"]
    if may("preparer", "approver") and active:
        with card("start", t("jobs.start"), "play_circle", t("jobs.start_note")):
            _start({c.contract_id: c.title for c in active})
    with card("jobs", t("jobs.list"), "account_tree", t("common.pick_row")):
        _list()


def _start(contracts: dict[str, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        contract_id = st.selectbox(
            t("common.contract"), list(contracts), format_func=lambda c: f"{c} · {contracts[c]}", width=330
        )
        first = st.date_input(t("common.from"), value=days_back(1), max_value="today", width=160)
        last = st.date_input(t("common.to"), value=days_back(1), max_value="today", width=160)
        reason = st.text_input(t("common.reason"), placeholder=t("job_reason.manual"), width=180)
        pressed = st.button(t("jobs.run"), type="primary", icon=":material/play_arrow:")
    if pressed and last < first:
        st.warning(t("common.ends_last_before"))
    elif pressed and contract_id:
        why = reason.strip() or ("manual" if first == last else "backfill")
        request = JobRequest(
            contract_id=contract_id, first_day=first.isoformat(), last_day=last.isoformat(), reason=why
        )
        do(lambda: node().start_jobs(request), t("jobs.requested", n=(last - first).days + 1))


@st.fragment(run_every=3.0)
def _list() -> None:
    with problems_shown():
        jobs = node().jobs()
        if not jobs:
            empty("event_upcoming", t("jobs.none"), t("jobs.none_next"))
            return
        chosen = pick_row(
            "jobs_table",
            [
                {
                    t("common.day"): j.business_date,
                    t("jobs.revision"): f"v{j.revision}",
                    t("common.contract"): j.contract_id,
                    t("common.state"): [named("job_state", j.state)],
                    t("jobs.stage"): named("stage", j.stage) if j.stage else "—",
                    t("jobs.progress"): j.percent,
                    t("common.rows"): j.rows,
                    t("jobs.took"): took(j.seconds),
                    t("jobs.started"): when(j.created_at),
                    t("jobs.id"): j.job_id,
                }
                for j in jobs
            ],
            {
                t("common.state"): chips("job_state", t("common.state"), 120),
                t("jobs.progress"): st.column_config.ProgressColumn(
                    format="%d%%", min_value=0, max_value=100, width=130
                ),
                t("common.rows"): st.column_config.NumberColumn(format="localized"),
            },
        )
        if chosen is not None:
            st.query_params["id"] = jobs[chosen].job_id
            st.rerun(scope="app")


def _detail(job_id: str) -> None:
    view = node().job(job_id)
    if st.button(t("do.back"), icon=":material/arrow_back:", type="tertiary"):
        del st.query_params["id"]
        st.rerun()
    final = view.summary.state in FINAL_STATES
    if final:
        _draw(view)
    else:
        st.fragment(_live, run_every=1.0)(job_id)
    with st.container(horizontal=True):
        if (
            not final
            and may("preparer", "approver")
            and st.button(t("jobs.cancel"), icon=":material/cancel:")
        ):
            do(lambda: node().cancel(job_id), t("jobs.cancelled"))
        if view.summary.state == "awaiting_review" and may("approver"):
            for approved, key, symbol in ((True, "approve", "rate_review"), (False, "refuse", "block")):
                ask_reason(
                    t(f"jobs.{key}"),
                    f"{key}_{job_id}",
                    symbol,
                    partial(_decide, job_id, approved),
                    primary=approved,
                )
        if st.button(t("jobs.evidence", n=view.evidence), icon=":material/link:"):
            go("ledger", job=job_id)
        if (
            "results" in st.session_state["pages"]
            and view.summary.state == "succeeded"
            and st.button(t("jobs.to_result"), icon=":material/fact_check:")
        ):
            go("results", id=job_id)


def _decide(job_id: str, approved: bool, reasons: str) -> None:
    node().decide(job_id, ReviewRequest(approved=approved, reasons=reasons))


def _live(job_id: str) -> None:
    with problems_shown():
        view = node().job(job_id)
        _draw(view)
        if view.summary.state in FINAL_STATES:
            st.rerun(scope="app")


def _draw(view: JobView) -> None:
    s = view.summary
    page_title(
        t("jobs.of_day", day=s.business_date),
        f"{s.contract_id} · {s.job_id}",
        (state_chip("job_state", s.state), chip(t("jobs.version", n=s.revision), "blue", "history")),
    )
    with card("stages", t("jobs.progress"), "route", f"{s.percent}% {_step(s.step)}"):
        draw_stages(view.stages)
        color = look_of("job_state", s.state)[0]
        st.html(f'<div class="hf-bar hf-{color}"><i style="width:{max(0, min(100, s.percent))}%"></i></div>')
    left, right = st.columns([3, 2], gap="medium")
    with left, card("verdicts", t("jobs.verdicts"), "fact_check", fill=True):
        draw_verdicts(view.stages)
    with right, card("job", t("jobs.facts"), "info", fill=True):
        facts(
            [
                (t("common.rows"), count(s.rows)),
                (t("jobs.took"), took(s.seconds)),
                (t("jobs.started"), when(s.created_at, seconds=True)),
                (t("jobs.finished"), when(s.finished_at, seconds=True)),
                (t("jobs.requested_by"), org_name(s.requested_by)),
                (t("jobs.reason"), named("job_reason", s.reason) or "—"),
                (t("jobs.supersedes"), mono(s.supersedes) if s.supersedes else t("common.none")),
                (t("jobs.superseded_by"), mono(s.superseded_by) if s.superseded_by else t("common.none")),
            ]
        )
        if view.parties:
            items = "".join(
                f'<div class="item"><span></span><div><b>{esc(org_name(org))}</b></div><div>{"".join(chip(_step(part), "blue") for part in state.split(", "))}</div></div>'
                for org, state in view.parties.items()
            )
            st.html(f'<div class="hf-feed">{items}</div>')


def _step(step: str) -> str:
    """The word for what a job or a party is doing, or for a party's part in it."""
    for kind in ("progress", "stage", "role"):
        if f"{kind}.{step}" in CATALOGUE:
            return t(f"{kind}.{step}")
    return step
