"""用户: accounts at this organisation's own node (administrators only)."""

from __future__ import annotations

import streamlit as st
from hefu.node.console_models import NewUser
from pydantic import ValidationError

from hefu_ui.look.html import Html, chip, mono, table
from hefu_ui.look.page import card, do, form_problems, page_title
from hefu_ui.signed_in import node
from hefu_ui.words import named, t

ROLES = ("preparer", "approver", "viewer", "admin")


def show() -> None:
    people = node().users()
    page_title(t("page.users"), t("users.about"))
    left, right = st.columns([3, 2], gap="medium")
    with left, card("users", t("users.accounts"), "group"):
        table(
            [t("login.account_label"), t("users.name"), t("common.roles")],
            [
                [
                    mono(u.username),
                    u.display_name,
                    Html("".join(chip(named("user_role", r), "blue") for r in u.roles)),
                ]
                for u in people
            ],
        )
    with right, card("new_user", t("users.new"), "person_add"), st.form("new_user", border=False):
        username = st.text_input(t("login.account_label"), help=t("users.account_rule"))
        name = st.text_input(t("users.name"))
        password = st.text_input(t("login.password_label"), type="password", help=t("users.password_rule"))
        roles = st.pills(
            t("common.roles"),
            ROLES,
            selection_mode="multi",
            format_func=lambda r: named("user_role", r),
            default=["viewer"],
        )
        st.caption(t("users.four_eyes"))
        if st.form_submit_button(t("users.create"), type="primary", icon=":material/person_add:"):
            try:
                user = NewUser(username=username, display_name=name, password=password, roles=list(roles))
            except ValidationError as error:
                form_problems(error)
                return
            do(lambda: node().add_user(user), t("users.created", name=name))
    _two_person()


def _two_person() -> None:
    """The organisation's setting; every change of it is evidence."""
    now = node().governance.two_person()
    with card("two_person", t("users.two_person"), "group", t("users.two_person_about")):
        wanted = st.toggle(t("users.two_person_on"), value=now, key="two_person")
        if wanted != now:
            if not wanted:
                st.warning(t("users.two_person_off"))
            if st.button(t("users.two_person_set"), icon=":material/check:", key="set_two_person"):
                do(lambda: node().governance.set_two_person(wanted), t("users.two_person_done"))
