"""One result at the regulator: sealed or open, counts and amounts, exceptions, what to do about them."""

from __future__ import annotations

from typing import Any

import streamlit as st
from hefu.node.console_models import ExceptionRow, InquiryRequest, RecordRequest, ResultView

from hefu_ui.look.findings import draw_findings
from hefu_ui.look.formats import count, money, org_name, rate, took, when
from hefu_ui.look.html import Html, chip, esc, icon, table
from hefu_ui.look.page import asking, card, do, empty, page_title, problems_shown
from hefu_ui.look.picker import chips, columns_of, table_height
from hefu_ui.look.states import state_chip
from hefu_ui.screens.result_statistics import show_statistics
from hefu_ui.signed_in import may, node
from hefu_ui.words import named, t

PAGE = 200
STATUSES = ("amount_mismatch", "missing_at_bank", "missing_at_institution", "token_conflict")


def show_result(job_id: str) -> None:
    """Draw the result of a job."""
    summary = next((r for r in node().results() if r.job_id == job_id), None)
    if st.button(t("do.back"), icon=":material/arrow_back:", type="tertiary"):
        del st.query_params["id"]
        st.rerun()
    if summary is None:
        empty("search_off", t("results.gone"), t("results.gone_next"))
        return
    stands = state_chip("effect", "stands" if summary.stands else "replaced")
    page_title(
        t("results.of_day", day=summary.business_date),
        f"{summary.contract_id} · {job_id}",
        (stands, chip(t("jobs.version", n=summary.revision), "blue", "history")),
    )
    if summary.opened_at is None:
        if summary.gate == "refused":
            st.error(t("results.gate_refused"), icon=":material/block:")
            draw_findings(summary.gate_findings)
        _sealed(job_id, when(summary.received_at))
        return
    view = node().result(job_id)
    if view.table is not None:
        show_statistics(job_id, summary.business_date, view.table)
        return
    _counts(view)
    _sides(view)
    _exceptions(job_id, view)
    _export(job_id, summary.business_date)


def _sealed(job_id: str, received: str) -> None:
    st.html(
        f'<div class="hf-seal">{icon("lock")}<div><b>{esc(t("results.sealed_title"))}</b>'
        f"{esc(t('results.sealed_text', at=received))}</div></div>"
    )
    if may("preparer", "approver"):
        if st.button(t("results.open"), type="primary", icon=":material/lock_open:", key="open_result"):
            with st.spinner(t("results.opening")):
                do(lambda: node().open_result(job_id), t("results.opened_done"))
    else:
        st.info(t("results.open_role"), icon=":material/lock:")


def _counts(view: ResultView) -> None:
    s, old = view.summary, view.changed_from
    pairs = [
        ("results.matched", s.matched, old.matched if old else None), ("results.mismatched", s.mismatched, old.mismatched if old else None),
        ("results.missing_bank", s.missing_at_bank, old.missing_at_bank if old else None),
        ("results.off_book", s.missing_at_institution, old.missing_at_institution if old else None),
    ]  # fmt: skip
    cells = st.columns([1, 1, 1, 1, 1.6, 1.1])
    for cell, (label, now, before) in zip(cells, pairs, strict=False):
        change = f"{now - before:+,}" if before is not None and now is not None and now != before else None
        cell.metric(t(label), count(now), border=True, height="stretch", delta=change, delta_color="off")
    cells[4].metric(t("results.difference"), money(s.difference_cents), border=True, height="stretch")
    cells[5].metric(t("overview.match_rate"), rate(s.match_rate), border=True, height="stretch")
    if old:
        st.info(
            t("results.changed", day=s.business_date, n=old.revision, job=old.job_id),
            icon=":material/published_with_changes:",
        )
    line = t("results.opened_line", who=s.opened_by, at=when(s.opened_at, seconds=True))
    st.caption(
        line if view.seconds is None else line + " · " + t("results.computed_in", took=took(view.seconds))
    )


def _sides(view: ResultView) -> None:
    with card("sides", t("results.sides"), "balance"):
        table(
            [t("common.party"), t("results.side"), t("common.rows"), t("results.matched"), t("results.mismatched"), t("results.missing"), t("results.conflicts"), t("results.difference"), t("overview.match_rate")],
            [
                [org_name(s.owner), chip(named("side", s.side), "blue" if s.side == "institution" else "violet"), count(s.rows),
                 count(s.match), count(s.amount_mismatch), count(s.missing), count(s.conflict), money(s.difference_cents), _bar(s.match / s.rows if s.rows else 0)]
                for s in view.sides
            ],
            right=[2, 3, 4, 5, 6, 7],
        )  # fmt: skip


def _bar(share: float) -> Html:
    return Html(
        f'<div style="display:flex;gap:8px;align-items:center;min-width:150px"><div class="hf-bar hf-green" style="flex:1"><i style="width:{share * 100:.2f}%"></i>'
        f"</div><span>{share * 100:.2f}%</span></div>"
    )


def _exceptions(job_id: str, view: ResultView) -> None:
    with card("exceptions", t("results.exceptions_list"), "rule", t("results.pick_rows")):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            status = st.selectbox(
                t("common.state"),
                ["", *STATUSES],
                format_func=lambda s: named("row_status", s) if s else t("common.all"),
                width=260,
            )
            owner = st.selectbox(
                t("common.party"),
                ["", *(s.owner for s in view.sides)],
                format_func=lambda o: org_name(o) if o else t("common.all"),
                width=260,
            )
            offset = (int(st.number_input(t("results.page"), 1, step=1, width=130)) - 1) * PAGE
        page = node().exceptions(job_id, status or None, owner or None, offset, PAGE)
        if not page.rows:
            empty("task_alt", t("results.no_exceptions"), t("results.no_exceptions_next"))
            return
        st.caption(
            t("results.showing", first=offset + 1, last=offset + len(page.rows), all=count(page.total))
        )
        event: Any = st.dataframe(
            columns_of([_line(r) for r in page.rows]), hide_index=True, width="stretch", on_select="rerun", key=f"exceptions_table_{st.session_state.get('deeds', 0)}",
            selection_mode="multi-row", height=table_height(len(page.rows)),
            column_config={t("common.state"): chips("row_status", t("common.state"), 230)},
        )  # fmt: skip
        chosen = [page.rows[i] for i in event["selection"]["rows"] if i < len(page.rows)]
        if chosen and may("preparer", "approver"):
            _ask(job_id, chosen)


def _line(r: ExceptionRow) -> dict[str, Any]:
    return {
        t("common.party"): org_name(r.owner),
        t("common.row"): r.row,
        t("common.state"): [named("row_status", r.status)],
        t("results.counterpart"): org_name(r.counterpart) if r.counterpart else "—",
        t("results.counterpart_row"): "—" if r.counterpart_row is None else str(r.counterpart_row),
        t("results.difference"): money(r.difference_cents),
    }


def _ask(job_id: str, chosen: list[ExceptionRow]) -> None:
    owners = sorted({r.owner for r in chosen})
    with st.container(horizontal=True, key="ask"):
        with asking(t("records.ask"), "ask_record", "manage_search") as named_key:
            st.caption(t("records.ask_note", n=len(chosen)))
            reason = st.text_area(t("common.reason"), key=named_key("record_reason"), max_chars=500)
            if st.button(
                t("do.confirm"), key=named_key("record_go"), type="primary", disabled=not reason.strip()
            ):
                do(
                    lambda: [
                        node().ask_record(
                            RecordRequest(job_id=job_id, owner=r.owner, row=r.row, reason=reason)
                        )
                        for r in chosen[:20]
                    ],
                    t("records.asked"),
                )
        with asking(t("inquiries.send"), "send_inquiry", "quick_reference_all", primary=True) as named_key:
            org = st.selectbox(
                t("inquiries.addressee"), owners, format_func=org_name, key=named_key("inquiry_to")
            )
            rows = [r.row for r in chosen if r.owner == org]
            st.caption(t("inquiries.rows_chosen", n=len(rows)))
            question = st.text_area(
                t("inquiries.question"), key=named_key("inquiry_question"), max_chars=2000
            )
            days = st.number_input(t("inquiries.due_days"), 1, 90, 5, key=named_key("inquiry_days"))
            if (
                st.button(
                    t("do.confirm"),
                    key=named_key("inquiry_go"),
                    type="primary",
                    disabled=not question.strip(),
                )
                and org
            ):
                request = InquiryRequest(
                    job_id=job_id, org_id=org, rows=rows, question=question, due_days=int(days)
                )
                do(lambda: node().send_inquiry(request), t("inquiries.sent", org=org_name(org)))


def _export(job_id: str, day: str) -> None:
    with (
        card("papers", t("results.papers"), "description", t("results.papers_note")),
        st.container(horizontal=True),
    ):
        for form, symbol, mime in (
            ("xlsx", "table_view", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), ("csv", "csv", "text/csv"),
        ):  # fmt: skip
            held = f"export_{form}_{job_id}"
            if held not in st.session_state and st.button(
                t(f"results.prepare_{form}"), icon=f":material/{symbol}:", key=f"make_{form}"
            ):
                with problems_shown(), st.spinner(t("results.preparing")):
                    st.session_state[held] = node().export_result(job_id, form)
            if data := st.session_state.get(held):
                st.download_button(t(f"results.download_{form}"), data, file_name=f"reconciliation-{day}-{job_id}.{form}", mime=mime,
                                   on_click="ignore", icon=":material/download:", type="primary", key=f"get_{form}")  # fmt: skip
