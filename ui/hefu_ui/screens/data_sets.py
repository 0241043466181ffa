"""数据集: what this organisation registered, which files arrived, control totals, rejected rows."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st
from hefu.node.console_models import ArrivalView, DataSetView

from hefu_ui.look.arrivals import contract_board
from hefu_ui.look.board import day_cells, draw_board
from hefu_ui.look.formats import count, days_back, money, short, when
from hefu_ui.look.html import Html, chip, esc, facts, mono, table
from hefu_ui.look.page import card, do, empty, page_title, problems_shown
from hefu_ui.look.states import state_chip
from hefu_ui.screens.register_data import register_form
from hefu_ui.signed_in import may, node
from hefu_ui.words import named, t

DAYS = 12


def show() -> None:
    sets = node().data_sets()
    page_title(t("page.data_sets"), t("data.about"))
    board, own, register = st.tabs(
        [
            f":material/grid_on: {t('data.board')}",
            f":material/database: {t('data.own')} ({len(sets)})",
            f":material/add_circle: {t('data.register')}",
        ]
    )
    with board:
        _board(sets)
    with own:
        if not sets:
            with card("no_data"):
                empty("database_upload", t("data.none"), t("data.none_next"))
        for data_set in sets:
            _data_set(data_set)
    with register, card("register", t("data.register"), "add_circle", t("data.register_note")):
        register_form()


def _board(sets: list[DataSetView]) -> None:
    last = st.date_input(t("data.until"), value=days_back(1), key="board_until", width=220)
    first = last - timedelta(days=DAYS - 1)
    contracts = sorted({c for s in sets for c in s.contracts})
    with card("own_board", t("data.own_board"), "grid_on", t("data.own_board_note")):
        if not sets:
            empty("database_upload", t("data.none"), t("data.none_next"))
            return
        days = [(first + timedelta(days=n)).isoformat() for n in range(DAYS)]
        rows = {}
        for s in sets:
            arrivals = node().days(s.definition.data_set_id, first.isoformat(), last.isoformat())
            rows[s.definition.name] = day_cells(arrivals)
        draw_board(days, rows)
    for contract_id in contracts:
        with card(
            f"board_{contract_id}",
            t("data.contract_board", contract=contract_id),
            "groups",
            t("data.contract_board_note"),
        ):
            contract_board(contract_id, first, last)


def _data_set(s: DataSetView) -> None:
    d = s.definition
    with card(f"set_{d.data_set_id}", d.name, "database", d.data_set_id):
        facts(
            [
                (t("data.kind"), named("data_kind", d.kind)),
                (t("data.basis"), named("basis", d.legal_basis)),
                (t("data.source"), named("source", d.source_kind)),
                (t("data.files"), count(s.files)),
                (t("data.last_arrival"), when(s.last_arrival)),
                (t("data.contracts"), ", ".join(s.contracts) or t("common.none")),
                (t("data.schema_digest"), mono(short(s.schema_digest), s.schema_digest)),
            ]
        )
        with st.expander(t("data.fields", n=len(d.fields)), icon=":material/view_column:"):
            table(
                [t("data.field"), t("data.meaning"), t("data.type"), t("data.identifier"), t("data.sensitive"), t("data.grade")],
                [
                    [mono(f.name), f.meaning_zh or f.meaning_en, named("field_type", f.type), named("identifier", f.identifier_class),
                     named("sensitive", f.sensitive), chip(f.grade, {"C1": "gray", "C2": "orange", "C3": "red"}[f.grade])]
                    for f in d.fields
                ],
            )  # fmt: skip
        if may("preparer"):
            _upload(d.data_set_id)
        _totals(d.data_set_id)


def _upload(data_set_id: str) -> None:
    words, action = st.columns([5, 1], vertical_alignment="bottom")
    file = words.file_uploader(
        t("data.upload"),
        type=["csv", "txt", "xlsx", "parquet"],
        key=f"file_{data_set_id}_{st.session_state.get('deeds', 0)}",
        help=t("data.upload_help"),
    )
    if (
        action.button(
            t("data.send"), key=f"send_{data_set_id}", type="primary", disabled=file is None, width="stretch"
        )
        and file
    ):
        with st.spinner(t("data.reading")):
            do(lambda: node().upload(data_set_id, file.name, file), t("data.uploaded", name=file.name))


def _totals(data_set_id: str) -> None:
    arrivals = node().days(data_set_id, days_back(30).isoformat(), days_back(0).isoformat())
    arrived = [
        a for a in sorted(arrivals, key=lambda a: a.business_date, reverse=True) if a.state != "missing"
    ]
    st.html(f"<b>{esc(t('data.totals'))}</b>")
    if not arrived:
        st.caption(t("data.no_arrivals"))
        return
    table(
        [t("common.day"), t("common.state"), t("data.file"), t("common.rows"), t("common.amount"), t("data.rejected"), t("data.arrived_at")],
        [
            [a.business_date, state_chip("arrival", a.state), a.file_name, count(a.rows), money(a.amount_cents), _rejected(a), when(a.arrived_at)]
            for a in arrived[:14]
        ],
        right=[3, 4, 5],
    )  # fmt: skip
    bad = [a for a in arrived if a.rejected]
    if bad and may("preparer", "approver"):
        _rejects(data_set_id, bad)


def _rejected(a: ArrivalView) -> Html:
    return chip(count(a.rejected), "red") if a.rejected else esc("0")


def _rejects(data_set_id: str, bad: list[ArrivalView]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            t("data.rejects_of"), bad, key=f"bad_{data_set_id}", width=420,
            format_func=lambda a: f"{a.business_date} · {a.file_name} · {count(a.rejected)}",
        )  # fmt: skip
        if chosen is None:
            return
        with problems_shown():
            st.download_button(
                t("data.rejects_download"), node().rejects(data_set_id, chosen.fingerprint), on_click="ignore",
                file_name=f"rejected-{chosen.business_date}.csv", mime="text/csv", icon=":material/download:", key=f"get_{data_set_id}",
            )  # fmt: skip
