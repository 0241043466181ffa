"""Who is looking at this page: re-read from the cookie at every run, so that a logout takes effect at once."""

from __future__ import annotations

import streamlit as st
from hefu.domain.identity import Role

from hefu_ui.console import running
from hefu_ui.door.guard import cookie_name
from hefu_ui.door.sessions import SignedIn
from hefu_ui.node_api import NodeApi
from hefu_ui.words import t


def cookie_token() -> str | None:
    """The session token that this browser sent when it connected."""
    return st.context.cookies.get(cookie_name(running().config.secure))


def me(*, touch: bool = False) -> SignedIn:
    """The signed-in person. Without a live session nothing more of the page runs: the browser goes to the login page."""
    held = running().sessions.find(cookie_token(), touch=touch)
    if held is None:
        leave()
        raise RuntimeError("unreachable")
    return held


def node() -> NodeApi:
    """The API of this person's own node."""
    held = me()
    return running().node(held.org_id, held.node_token)


def is_any(*roles: Role) -> bool:
    """Does this person's organisation hold one of these roles?"""
    return any(role in me().user.org_roles for role in roles)


def may(*user_roles: str) -> bool:
    """Does this person hold one of these roles (admin, preparer, approver, viewer)?"""
    return any(role in me().user.roles for role in user_roles)


def only_audits() -> bool:
    """Does this organisation take part as a third party and nothing else? Then it sees all and changes nothing of others."""
    return set(me().user.org_roles) == {Role.AUDITOR}


def changes() -> bool:
    """May this person change anything of the contract's compliance? Viewers and third parties only look."""
    return may("preparer", "approver") and not only_audits()


def leave() -> None:
    """End the session and send the browser to the login page; the script stops here."""
    running().log_out(cookie_token())
    st.info(t("app.signed_out"), icon=":material/logout:")
    st.link_button(t("app.sign_in_again"), "/auth/login")
    st.html("<script>window.location.assign('/auth/login')</script>", unsafe_allow_javascript=True)
    st.stop()
