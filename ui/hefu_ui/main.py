"""The console's script: who is signed in, which pages there are for them, the frame around the page."""

from pathlib import Path

import streamlit as st

from hefu_ui.look.html import chip, esc
from hefu_ui.look.page import apply_style, problems_shown, show_flash
from hefu_ui.screens import pages_for
from hefu_ui.signed_in import leave, me
from hefu_ui.words import language, named, t

ASSETS = Path(__file__).parent / "assets"


def frame() -> None:
    """One run of the script."""
    held = me(touch=True)
    st.session_state.setdefault("language", held.language)
    st.set_page_config(page_title=t("app.title"), page_icon=str(ASSETS / "logo.png"), layout="wide")
    apply_style()
    st.logo(str(ASSETS / "logo_wide.png"), size="large", icon_image=str(ASSETS / "logo.png"))
    sections = pages_for(held.user)
    page = st.navigation(sections, expanded=True)
    _side()
    show_flash()
    with problems_shown():
        page.run()


def _side() -> None:
    held = me()
    with st.sidebar:
        with st.container(border=True, key="me"):
            user = held.user
            name = user.org_name if language() == "zh" else user.org_name_en
            chips = "".join(chip(named("user_role", role)) for role in user.roles)
            st.html(
                f'<div class="hf-me"><b>{esc(name)}</b><small>{esc(user.display_name)}</small>{chips}</div>'
            )
        chosen = st.segmented_control(
            t("app.language"), ["zh", "en"], format_func=lambda code: "中文" if code == "zh" else "English",
            default=language(), key="language_choice", required=True, width="stretch",
        )  # fmt: skip
        if chosen and chosen != language():
            held.language = "en" if chosen == "en" else "zh"
            st.session_state["language"] = held.language
            st.rerun()
        if st.button(t("app.log_out"), icon=":material/logout:", width="stretch", key="log_out"):
            leave()


frame()
