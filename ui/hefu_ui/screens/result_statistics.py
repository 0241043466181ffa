"""A joint statistic at its recipient: the table of groups, suppressed ones marked, never a figure of theirs."""

from __future__ import annotations

import streamlit as st
from hefu.node.console_models import ResultSummary, StatisticsLine, StatisticsTable

from hefu_ui.look.formats import count, money, when
from hefu_ui.look.html import chip, table
from hefu_ui.look.page import card, problems_shown
from hefu_ui.look.picker import chips, pick_row
from hefu_ui.signed_in import node
from hefu_ui.words import named, t


def show_statistics(job_id: str, day: str, found: StatisticsTable) -> None:
    """Draw the table and offer it as CSV."""
    with card("statistics", t("results.groups"), "table_chart", t("results.groups_note")):
        table(
            [*found.fields, *(_header(name, found) for name in found.columns), t("results.suppression")],
            [
                [*line.labels, *(_figure(line, name, found) for name in found.columns), _mark(line)]
                for line in [*found.rows, *([_total(found)] if found.total else [])]
            ],
            right=range(len(found.fields), len(found.fields) + len(found.columns)),
        )
        held = f"export_csv_{job_id}"
        if held not in st.session_state and st.button(
            t("results.groups_csv"), icon=":material/csv:", key="make_csv"
        ):
            with problems_shown(), st.spinner(t("results.preparing")):
                st.session_state[held] = node().export_result(job_id, "csv")
        if data := st.session_state.get(held):
            st.download_button(t("results.download_csv"), data, file_name=f"statistics-{day}-{job_id}.csv", mime="text/csv",
                               on_click="ignore", icon=":material/download:", type="primary", key="get_csv")  # fmt: skip


def list_statistics(results: list[ResultSummary]) -> None:
    """The results of a contract about groups, by day."""
    chosen = pick_row(
        "results_table",
        [
            {
                t("common.day"): r.business_date,
                t("jobs.revision"): f"v{r.revision}",
                t("results.seal"): [named("seal", "opened" if r.opened_at else "sealed")],
                t("results.groups"): count(r.groups),
                t("results.suppressed"): count(r.suppressed),
                t("results.received_at"): when(r.received_at),
            }
            for r in results
        ],
        {t("results.seal"): chips("seal", t("results.seal"), 90)},
    )
    if chosen is not None:
        st.query_params["id"] = results[chosen].job_id
        st.rerun()


def _total(found: StatisticsTable) -> StatisticsLine:
    total = found.total or found.rows[-1]
    return total.model_copy(update={"labels": [t("results.total"), *[""] * (len(found.fields) - 1)]})


def _header(name: str, found: StatisticsTable) -> str:
    return f"{t('results.sum')} · {found.value}" if name == "sum" else t(f"results.{name}")


def _figure(line: StatisticsLine, name: str, found: StatisticsTable) -> str:
    if name == "sum":
        if line.sum is None:
            return "—"
        return money(int(line.sum)) if found.unit == "money" else count(int(line.sum))
    return count(line.count if name == "count" else line.subjects)


def _mark(line: StatisticsLine) -> object:
    return chip(t("results.suppressed"), "orange", "visibility_off") if line.suppressed else ""
