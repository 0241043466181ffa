"""对账结果 (regulator only): results by day, opened 拆封 here and nowhere else; trend; who delivered 报送情况."""

from __future__ import annotations

from datetime import date, timedelta

import streamlit as st
from hefu.node.console_models import ResultSummary

from hefu_ui.look.arrivals import contract_board
from hefu_ui.look.charts import draw_trend
from hefu_ui.look.formats import count, days_back, money, org_name, rate, when
from hefu_ui.look.html import table
from hefu_ui.look.page import card, empty, page_title
from hefu_ui.look.picker import chips, pick_row
from hefu_ui.screens.result_detail import show_result
from hefu_ui.screens.result_statistics import list_statistics
from hefu_ui.signed_in import node
from hefu_ui.words import named, t

DAYS = 12


def show() -> None:
    if wanted := st.query_params.get("id"):
        show_result(wanted)
        return
    results = sorted(node().results(), key=lambda r: (r.business_date, r.revision), reverse=True)
    page_title(t("page.results"), t("results.about"))
    if not results:
        with card("no_results"):
            empty("mark_email_unread", t("results.none"), t("results.none_next"))
        return
    contracts = sorted({r.contract_id for r in results})
    contract_id = (
        st.selectbox(t("common.contract"), contracts, width=330) if len(contracts) > 1 else contracts[0]
    )
    mine = [r for r in results if r.contract_id == contract_id]
    if mine[0].form == "group_statistics":
        with card("results", t("results.by_day"), "fact_check", t("common.pick_row")):
            list_statistics(mine)
        return
    _metrics(mine)
    with card("trend", t("results.trend"), "monitoring", contract_id):
        draw_trend(sorted(mine, key=lambda r: r.business_date))
    with card("results", t("results.by_day"), "fact_check", t("common.pick_row")):
        _list(mine)
    with card("delivered", t("results.delivered"), "inventory", t("data.contract_board_note")):
        _delivered(contract_id)


def _metrics(results: list[ResultSummary]) -> None:
    standing = [r for r in results if r.stands and r.opened_at]
    matched = sum(r.matched or 0 for r in standing)
    rows = sum((r.matched or 0) / r.match_rate for r in standing if r.match_rate)
    by_day = sorted(standing, key=lambda r: r.business_date)
    with st.grid(columns=4, min_column_width=210):
        st.metric(
            t("results.days_opened"),
            f"{len(standing)} / {sum(1 for r in results if r.stands)}",
            border=True,
            height="stretch",
            delta=t("results.to_open", n=sum(1 for r in results if not r.opened_at)),
            delta_color="blue",
            delta_arrow="off",
        )
        st.metric(t("overview.match_rate"), rate(matched / rows if rows else None), border=True, height="stretch",
                  delta=t("results.of_rows", n=count(matched)), delta_color="green", delta_arrow="off",
                  chart_data=[(r.match_rate or 0) * 100 for r in by_day] if len(by_day) > 1 else None, chart_type="area")  # fmt: skip
        st.metric(t("results.total_difference"), money(sum(r.difference_cents or 0 for r in standing)), border=True, height="stretch",
                  delta=t("results.sum_note"), delta_color="orange", delta_arrow="off",
                  chart_data=[(r.difference_cents or 0) / 100 for r in by_day] if len(by_day) > 1 else None, chart_type="bar")  # fmt: skip
        st.metric(t("results.off_book"), count(sum(r.missing_at_institution or 0 for r in standing)), border=True, height="stretch",
                  delta=t("results.off_book_note"), delta_color="red", delta_arrow="off",
                  chart_data=[r.missing_at_institution or 0 for r in by_day] if len(by_day) > 1 else None, chart_type="bar")  # fmt: skip


def _list(results: list[ResultSummary]) -> None:
    chosen = pick_row(
        "results_table",
        [
            {
                t("common.day"): r.business_date,
                t("jobs.revision"): f"v{r.revision}",
                t("results.seal"): [named("seal", "opened" if r.opened_at else "sealed")],
                t("results.stands"): [named("effect", "stands" if r.stands else "replaced")],
                t("results.matched"): count(r.matched),
                t("results.mismatched"): count(r.mismatched),
                t("results.missing_bank"): count(r.missing_at_bank),
                t("results.off_book"): count(r.missing_at_institution),
                t("results.difference"): money(r.difference_cents),
                t("overview.match_rate"): rate(r.match_rate),
                t("results.received_at"): when(r.received_at),
            }
            for r in results
        ],
        {
            t("results.seal"): chips("seal", t("results.seal"), 90),
            t("results.stands"): chips("effect", t("results.stands"), 100),
        },
    )
    if chosen is not None:
        st.query_params["id"] = results[chosen].job_id
        st.rerun()


def _delivered(contract_id: str) -> None:
    last = st.date_input(t("data.until"), value=days_back(1), width=220, key="delivered_until")
    if not isinstance(last, date):
        return
    deliveries = contract_board(contract_id, last - timedelta(days=DAYS - 1), last)
    if deliveries:
        owners = sorted({d.owner for d in deliveries})
        states = ("arrived", "late", "replaced", "rejected", "missing")
        table(
            [t("common.party"), *(t(f"arrival.{s}") for s in states)],
            [
                [org_name(o), *(sum(1 for d in deliveries if d.owner == o and d.state == s) for s in states)]
                for o in owners
            ],
            right=[1, 2, 3, 4, 5],
        )
