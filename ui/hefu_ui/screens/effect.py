"""效果评估: what a contract did in a period: jobs, refusals by rule, incidents, complaints, time to decide (white paper A, 3.9)."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import streamlit as st
from hefu.node.console_models import ContractSummary
from hefu.node.effect_view import EffectFigures, EffectView

from hefu_ui.look.formats import count, today, took
from hefu_ui.look.html import Html, chip, esc, mono, table
from hefu_ui.look.page import card, do, empty, page_title
from hefu_ui.look.states import state_chip
from hefu_ui.signed_in import may, node
from hefu_ui.words import language, named, pick, t


def show() -> None:
    page_title(t("page.effect"), t("effect.about"))
    contracts = sorted(node().contracts(), key=lambda c: (c.state != "active", c.contract_id, -c.version))
    signed = [c for c in contracts if c.state not in ("signing", "refused", "withdrawn")]
    newest = list({c.contract_id: c for c in reversed(signed)}.values())[::-1]
    if not newest:
        with card("no_contracts"):
            empty("monitoring", t("effect.none"), t("effect.none_next"))
        return
    asked = [i for i, c in enumerate(newest) if c.digest == st.query_params.get("id")]
    with card("period", t("effect.period"), "date_range"):
        wide, left, right = st.columns([3, 1, 1], gap="medium")
        chosen = wide.selectbox(t("common.contract"), newest, asked[0] if asked else 0, format_func=_title, key=f"effect_contract_{language()}")  # fmt: skip
        first = left.date_input(t("common.from"), today() - timedelta(days=30), key="effect_from")
        last = right.date_input(t("common.to"), today(), key="effect_to")
        utility = st.text_area(t("effect.utility"), help=t("effect.utility_help"), max_chars=4000, key="effect_utility").strip()  # fmt: skip
    if last < first:
        st.warning(t("common.ends_last_before"))
        return
    _figures(chosen, node().governance.effect(chosen.digest, first, last, utility))


def _title(c: ContractSummary) -> str:
    return f"{pick(c.title, c.title_en)} · {c.contract_id} v{c.version}"


def _figures(contract: ContractSummary, view: EffectView) -> None:
    f = view.figures
    total, done = sum(f.jobs.values()), f.jobs.get("succeeded", 0) + f.jobs.get("superseded", 0)
    if view.uncounted:
        st.warning(t("effect.uncounted", n=view.uncounted), icon=":material/difference:")
    cells = [
        (t("effect.jobs"), count(total)),
        (t("effect.succeeded"), count(done)),
        (t("effect.refusals"), count(sum(f.refusals.values()))),
        (t("effect.incidents"), count(f.incidents)),
        (t("effect.complaints"), count(f.complaints)),
        (t("effect.decision"), took(f.median_decision_seconds)),
    ]
    for column, (name, value) in zip(st.columns(6), cells, strict=True):
        column.metric(name, value, border=True)
    left, right = st.columns(2, gap="medium")
    with left, card("jobs", t("effect.by_state"), "account_tree", fill=True):
        if f.jobs:
            table([t("common.state"), t("effect.number")], [[state_chip("job_state", s), count(n)] for s, n in _most(f.jobs)], right=(1,))  # fmt: skip
        else:
            empty("event_busy", t("effect.no_jobs"), t("effect.no_jobs_next"))
    with right, card("refusals", t("effect.by_rule"), "gpp_maybe", fill=True):
        if f.refusals:
            table([t("effect.rule"), t("effect.number")], [[Html(mono(r)), count(n)] for r, n in _most(f.refusals)], right=(1,))  # fmt: skip
        else:
            empty("verified", t("effect.no_refusals"), t("effect.no_refusals_next"))
    with st.expander(t("effect.report"), icon=":material/description:"):
        st.markdown(pick(view.report_zh, view.report_en))
    _take_away(contract, view)


def _most(numbers: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0]))


def _take_away(contract: ContractSummary, view: EffectView) -> None:
    f = view.figures
    with st.container(horizontal=True):
        st.download_button(
            t("effect.download"), as_csv(f), file_name=f"{f.contract_id}-{f.period_from}-{f.period_until}.csv", mime="text/csv",
            on_click="ignore", icon=":material/download:", key="effect_csv",
        )  # fmt: skip
        if may("preparer") and st.button(t("effect.file"), icon=":material/send:", key="effect_file"):
            do(lambda: node().compliance.prepare("effect_evaluation", view.content), t("filings.submitted"))
        if not may("preparer"):
            st.html(str(chip(t("effect.preparer_files"), "gray", "lock")) + f" <small>{esc(contract.contract_id)}</small>")  # fmt: skip


def as_csv(f: EffectFigures) -> bytes:
    """The figures, one a line: what, which, how many. UTF-8 with a byte order mark, so that spreadsheets read Chinese."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow([t("effect.what"), t("effect.which"), t("effect.number")])
    lines.writerow([t("common.contract"), f.contract_id, ""])
    lines.writerow([t("effect.period"), f"{f.period_from} – {f.period_until}", ""])
    lines.writerows([t("effect.by_state"), named("job_state", s), n] for s, n in _most(f.jobs))
    lines.writerows([t("effect.by_rule"), rule, n] for rule, n in _most(f.refusals))
    lines.writerow([t("effect.incidents"), "", f.incidents])
    lines.writerow([t("effect.complaints"), "", f.complaints])
    seconds = "" if f.median_decision_seconds is None else f.median_decision_seconds
    lines.writerow([t("effect.decision"), t("effect.seconds"), seconds])
    return text.getvalue().encode("utf-8-sig")
