"""The pages, and for whom each is. Each page re-checks the role when it runs; so does the node on every request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st
from hefu.domain.identity import Role
from hefu.node.console_models import User
from streamlit.navigation.page import StreamlitPage

from hefu_ui.look.page import problems_shown
from hefu_ui.screens import (
    alarms,
    approvals,
    calendar,
    cases,
    cockpit,
    complaints,
    contracts,
    data_sets,
    effect,
    exclusions,
    filings,
    inquiries,
    jobs,
    ledger,
    models,
    new_contract,
    overview,
    participants,
    registers,
    results,
    schedule,
    subject_requests,
    todo,
    users,
)
from hefu_ui.signed_in import me
from hefu_ui.words import t


def everyone(_: User) -> bool:
    return True


def can_draft(user: User) -> bool:
    """Preparers draft; approvers propose what was drafted."""
    return "preparer" in user.roles or "approver" in user.roles


def holds(*roles: Role) -> Callable[[User], bool]:
    """People of an organisation with one of these roles."""
    return lambda user: any(role in user.org_roles for role in roles)


@dataclass(frozen=True)
class Screen:
    """A page: its URL, symbol, section, for whom it is, and how it is drawn."""

    name: str
    symbol: str
    section: str
    allowed: Callable[[User], bool]
    draw: Callable[[], None]


PAGES: tuple[Screen, ...] = (
    Screen("overview", "space_dashboard", "nav.work", everyone, overview.show),
    Screen("todo", "checklist", "nav.work", everyone, todo.show),
    Screen("participants", "groups", "nav.cooperation", everyone, participants.show),
    Screen("data_sets", "database", "nav.cooperation", holds(Role.DATA_PROVIDER), data_sets.show),
    Screen("contracts", "contract", "nav.cooperation", everyone, contracts.show),
    Screen("new_contract", "note_add", "nav.cooperation", can_draft, new_contract.show),
    Screen("approvals", "rule", "nav.cooperation", everyone, approvals.show),
    Screen("models", "model_training", "nav.cooperation", everyone, models.show),
    Screen("cockpit", "verified_user", "nav.compliance", everyone, cockpit.show),
    Screen("filings", "approval", "nav.compliance", everyone, filings.show),
    Screen("calendar", "event", "nav.compliance", everyone, calendar.show),
    Screen("exclusions", "person_off", "nav.compliance", holds(Role.DATA_PROVIDER), exclusions.show),
    Screen("effect", "monitoring", "nav.compliance", everyone, effect.show),
    Screen("registers", "menu_book", "nav.compliance", everyone, registers.show),
    Screen("complaints", "feedback", "nav.compliance", everyone, complaints.show),
    Screen("subject_requests", "person_alert", "nav.compliance", everyone, subject_requests.show),
    Screen("jobs", "account_tree", "nav.runs", everyone, jobs.show),
    Screen("schedule", "calendar_clock", "nav.runs", everyone, schedule.show),
    Screen("cases", "assignment", "nav.runs", holds(Role.DATA_PROVIDER), cases.show),
    Screen("results", "fact_check", "nav.supervision", holds(Role.REGULATOR), results.show),
    Screen("alarms", "notifications_active", "nav.supervision", holds(Role.REGULATOR), alarms.show),
    Screen("inquiries", "quick_reference_all", "nav.supervision", holds(Role.REGULATOR, Role.DATA_PROVIDER), inquiries.show),
    Screen("ledger", "link", "nav.trust", everyone, ledger.show),
    Screen("users", "manage_accounts", "nav.trust", lambda u: "admin" in u.roles, users.show),
)  # fmt: skip


def pages_for(user: User) -> dict[str, list[StreamlitPage]]:
    """Streamlit's pages for this person, by section; also kept where `go` finds them."""
    sections: dict[str, list[StreamlitPage]] = {}
    known: dict[str, StreamlitPage] = {}
    for screen in PAGES:
        if screen.allowed(user):
            page = st.Page(
                _checked(screen), title=t(f"page.{screen.name}"), icon=f":material/{screen.symbol}:",
                url_path=screen.name, default=screen.name == "overview",
            )  # fmt: skip
            known[screen.name] = page
            sections.setdefault(t(screen.section), []).append(page)
    st.session_state["pages"] = known
    return sections


def _checked(screen: Screen) -> Callable[[], None]:
    def draw() -> None:
        if not screen.allowed(me().user):
            st.error(f"**{t('app.not_for_you')}**\n\n{t('app.not_for_you_mend')}", icon=":material/lock:")
            return
        with problems_shown():
            screen.draw()

    draw.__name__ = screen.name
    return draw
