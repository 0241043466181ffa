"""参与方: the registry; review at the auditor, admission at the operator, suspension."""

from __future__ import annotations

from functools import partial

import streamlit as st
from hefu.domain.identity import Role, Standing
from hefu.node.console_models import ParticipantView, ReviewRequest, StandingRequest

from hefu_ui.look.formats import org_name, short, when
from hefu_ui.look.html import Html, chip, esc, facts, mono, table
from hefu_ui.look.page import ask_reason, card, do, empty, page_title
from hefu_ui.look.picker import chips, pick_row
from hefu_ui.look.states import state_chip
from hefu_ui.signed_in import is_any, may, me, node
from hefu_ui.words import language, named, t


def show() -> None:
    people = node().participants()
    page_title(t("page.participants"), t("participants.about"))
    if not people:
        empty("group_add", t("participants.none"), t("participants.none_next"))
        return
    with card("participants", t("participants.registry"), "groups", t("common.pick_row")):
        chosen = pick_row(
            "participants_table",
            [
                {
                    t("participants.name"): p.legal_name if language() == "zh" else p.legal_name_en,
                    t("common.roles"): " · ".join(named("role", r) for r in p.roles),
                    t("participants.admission"): [named("admission", p.state)],
                    t("participants.standing"): [named("standing", p.standing)],
                    t("participants.node"): {True: "● ", False: "○ ", None: "— "}[p.online]
                    + (
                        t("common.node_online")
                        if p.online
                        else t("common.node_offline")
                        if p.online is False
                        else ""
                    ),
                    t("participants.applied_at"): when(p.applied_at),
                }
                for p in people
            ],
            {
                t("participants.name"): st.column_config.TextColumn(width=200),
                t("common.roles"): st.column_config.TextColumn(width=300),
                t("participants.admission"): chips("admission", t("participants.admission"), 150),
                t("participants.standing"): chips("standing", t("participants.standing"), 100),
            },
        )
    if chosen is not None:
        st.query_params["id"] = people[chosen].application
    wanted = st.query_params.get("id")
    for p in people:
        if wanted in (p.application, p.org_id):
            _detail(p)


def _detail(p: ParticipantView) -> None:
    with card("participant", p.legal_name if language() == "zh" else p.legal_name_en, "domain", p.org_id):
        facts(
            [
                (t("participants.uscc"), p.uscc),
                (t("participants.contact"), p.contact),
                (t("common.roles"), Html("".join(chip(named("role", r), "blue") for r in p.roles))),
                (t("participants.admission"), state_chip("admission", p.state)),
                (t("participants.standing"), state_chip("standing", p.standing)),
                (t("participants.shareholder"), p.controlling_shareholder or t("common.none")),
                (t("participants.affiliates"), ", ".join(p.affiliates) or t("common.none")),
                (t("participants.certificate_until"), when(p.certificate_until)),
                (t("participants.identity_key"), mono(short(p.identity_key), p.identity_key)),
                (t("participants.application"), mono(short(p.application), p.application)),
            ]
        )
        if p.self_assessment:
            facts([(t("participants.self_assessment"), p.self_assessment)])
        if p.review_reasons:
            facts([(t("participants.review_reasons"), p.review_reasons)])
        if p.qualifications:
            st.html(f"<b>{esc(t('participants.qualifications'))}</b>")
            table(
                [t("participants.qualification"), t("participants.number"), t("participants.expires")],
                [[q.get("name", ""), q.get("number", ""), q.get("expires_on", "")] for q in p.qualifications],
            )
        _actions(p)


def _actions(p: ParticipantView) -> None:
    if not may("approver"):
        return
    with st.container(horizontal=True, key="participant_actions"):
        if p.state == "submitted" and is_any(Role.AUDITOR):
            for approved, key, symbol in ((True, "approve", "how_to_reg"), (False, "refuse", "person_off")):
                ask_reason(
                    t(f"participants.{key}"), f"{key}_{p.org_id}", symbol,
                    partial(_review, p.application, approved),
                    primary=approved,
                )  # fmt: skip
        runs_platform = is_any(Role.SCHEDULER, Role.PLATFORM_PROVIDER)
        in_kit = p.state == "submitted" and {Role.AUDITOR, Role.REGULATOR} & set(
            p.roles
        )  # pinned out of band
        admit = (p.state == "approved" or in_kit) and runs_platform
        if admit and st.button(t("participants.admit"), icon=":material/verified:", type="primary"):
            do(lambda: node().admit(p.application), t("participants.admitted", name=org_name(p.org_id)))
        if p.state == "admitted" and (runs_platform or is_any(Role.AUDITOR) or p.org_id == me().org_id):
            for standing, symbol in _steps_from(p.standing):
                ask_reason(
                    t(f"participants.to_{standing}"), f"{standing}_{p.org_id}", symbol,
                    partial(_set_standing, p.org_id, standing),
                )  # fmt: skip


def _review(application: str, approved: bool, reasons: str) -> None:
    node().review(application, ReviewRequest(approved=approved, reasons=reasons))


def _set_standing(org_id: str, standing: Standing, reason: str) -> None:
    node().set_standing(org_id, StandingRequest(standing=standing, reason=reason))


def _steps_from(standing: Standing) -> list[tuple[Standing, str]]:
    if standing is Standing.ACTIVE:
        return [(Standing.SUSPENDED, "pause_circle"), (Standing.REVOKED, "person_remove")]
    return [(Standing.ACTIVE, "play_circle")] if standing is Standing.SUSPENDED else []
