"""剔除名单: whom this organisation's node leaves out of every input; lists go in, only counts come out."""

from __future__ import annotations

import streamlit as st
from hefu.domain.rules.exclusion import KINDS
from hefu.node.console_models import ExclusionCount

from hefu_ui.look.formats import count
from hefu_ui.look.html import Html, chip, esc, mono, table
from hefu_ui.look.page import asking, card, do, empty, page_title, problems_shown
from hefu_ui.signed_in import may, node
from hefu_ui.words import named, t

_COLORS = {"withdraw": "red", "restrict": "orange", "refuse": "orange", "delete": "violet", "opt_out": "blue"}


def show() -> None:
    page_title(t("page.exclusions"), t("exclusions.about"))
    counts = node().governance.exclusions()
    names = {s.definition.data_set_id: s.definition.name for s in node().data_sets()}
    with card("counts", t("exclusions.now"), "person_off", t("exclusions.now_note")):
        if counts:
            _counts(counts, names)
        else:
            empty("person_off", t("exclusions.none"), t("exclusions.none_next"))
    if not may("preparer"):
        st.caption(f":material/lock: {t('exclusions.preparer_only')}")
        return
    contracts = list(dict.fromkeys(c.contract_id for c in node().contracts()))
    with card("upload", t("exclusions.upload"), "upload_file", t("exclusions.upload_note")):
        _upload(names, contracts)
    if counts:
        _lift(counts, names)


def _counts(counts: list[ExclusionCount], names: dict[str, str]) -> None:
    table(
        [t("exclusions.data_set"), t("exclusions.contract"), t("exclusions.kind"), t("exclusions.entries")],
        [
            [_scope(c.data_set_id, names), Html(mono(c.contract_id)) if c.contract_id else t("exclusions.every_contract"),
             chip(named("exclusion", c.kind), _COLORS[c.kind]), count(c.entries)]
            for c in counts
        ],
        right=(3,),
    )  # fmt: skip


def _scope(data_set_id: str, names: dict[str, str]) -> Html:
    if not data_set_id:
        return esc(t("exclusions.every_data_set"))
    return Html(f"<b>{esc(names.get(data_set_id, data_set_id))}</b><br><small>{esc(data_set_id)}</small>")


def _upload(names: dict[str, str], contracts: list[str]) -> None:
    deeds = st.session_state.get("deeds", 0)
    left, right = st.columns(2, gap="large")
    data_set = left.selectbox(t("exclusions.data_set"), ["", *names], format_func=lambda i: _word(i, names), key=f"ex_set_{deeds}")  # fmt: skip
    contract = right.selectbox(t("exclusions.contract"), ["", *contracts], format_func=lambda i: i or t("exclusions.every_contract"), key=f"ex_contract_{deeds}")  # fmt: skip
    kind = left.radio(
        t("exclusions.kind"), KINDS, format_func=lambda k: named("exclusion", k), captions=[t(f"exclusion_about.{k}") for k in KINDS], key=f"ex_kind_{deeds}",
    )  # fmt: skip
    with right:
        file = st.file_uploader(t("exclusions.file"), type=["txt", "csv"], help=t("exclusions.file_help"), key=f"ex_file_{deeds}")  # fmt: skip
        st.info(t("exclusions.kept_how"), icon=":material/lock:")
        if kind == "withdraw":
            st.caption(t("exclusions.withdraw_binds"))
    if st.button(t("exclusions.submit"), type="primary", icon=":material/person_remove:", key="exclude"):
        if file is None:
            st.warning(t("exclusions.choose_file"))
            return
        content = file.getvalue()
        with problems_shown():
            taken = node().governance.exclude(content, kind, data_set, contract)
            do(lambda: taken, t("exclusions.taken", read=count(taken.read), total=count(taken.entries)))


def _word(data_set_id: str, names: dict[str, str]) -> str:
    return f"{names[data_set_id]} · {data_set_id}" if data_set_id else t("exclusions.every_data_set")


def _lift(counts: list[ExclusionCount], names: dict[str, str]) -> None:
    with asking(t("exclusions.lift"), "lift_one", "person_add") as key:
        st.caption(t("exclusions.lift_note"))
        at = st.selectbox(
            t("exclusions.entry_of"), range(len(counts)), key=key("lift_of"),
            format_func=lambda i: f"{named('exclusion', counts[i].kind)} · {_word(counts[i].data_set_id, names)} · {counts[i].contract_id or t('exclusions.every_contract')}",
        )  # fmt: skip
        who = st.text_input(t("exclusions.identifier"), type="password", key=key("lift_who"), max_chars=512)
        if st.button(t("do.confirm"), type="primary", key=key("lift_confirm")):
            if not who.strip():
                st.warning(t("exclusions.identifier_needed"))
            else:
                c = counts[at]
                do(lambda: node().governance.lift(who.strip(), c.kind, c.data_set_id, c.contract_id), t("exclusions.lifted"))  # fmt: skip
