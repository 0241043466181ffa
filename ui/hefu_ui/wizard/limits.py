"""Sixth step: how often, how much, until when; per use or standing; a trial; who reviews."""

from __future__ import annotations

from typing import Any

import streamlit as st

from hefu_ui.look.formats import org_name
from hefu_ui.wizard.form import RECONCILIATION, Form, cast, keep, owners
from hefu_ui.words import named, t

_PERIODS = ["day", "week", "month", "year"]
_DAYS = ["every_day", "cn_workdays", "weekdays"]


def draw(form: Form) -> None:
    """Limits first, then authorisation and trial, then when it runs and who decides."""
    left, right = st.columns(2, gap="large")
    form["max_uses"] = left.number_input(t("contract.max_uses"), 1, 1_000_000, help=t("new.uses_help"), key=keep(form, "max_uses"))  # fmt: skip
    form["max_rows"] = right.number_input(t("contract.max_rows"), 1, 2**40, step=1_000_000, key=keep(form, "max_rows"))  # fmt: skip
    form["period"] = left.selectbox(t("new.period"), _PERIODS, format_func=lambda p: named("period", p), key=keep(form, "period", options=_PERIODS))  # fmt: skip
    form["per_period"] = right.number_input(t("new.per_period"), 0, 1_000_000, help=t("new.per_period_help"), key=keep(form, "per_period"))  # fmt: skip
    form["valid_from"] = left.date_input(t("contract.valid_from"), key=keep(form, "valid_from"))
    form["valid_until"] = right.date_input(t("contract.valid_until"), key=keep(form, "valid_until"))
    ways = ["standing", "per_use"]
    form["authorisation"] = left.radio(
        t("contract.authorisation"), ways, format_func=lambda w: named("authorisation", w), captions=[t("new.standing_text"), t("new.per_use_text")], key=keep(form, "authorisation", options=ways),
    )  # fmt: skip
    with right:
        _trial(form)
    if form["template"] == RECONCILIATION:
        _schedule(form)
    left, right = st.columns(2, gap="large")
    form["retention_days"] = right.number_input(t("new.retention"), 1, 36_500, key=keep(form, "retention_days"))  # fmt: skip
    signers = list(dict.fromkeys([*owners(form), *(o for o in (form["regulator"], form["auditor"]) if o)]))
    form["reviewers"] = left.multiselect(
        t("contract.reviewers"), signers, format_func=org_name, placeholder=t("common.choose"), help=t("new.reviewers_help"), key=keep(form, "reviewers", options=signers),
    )  # fmt: skip
    if form["reviewers"]:
        most, key = len(form["reviewers"]), keep(form, "quorum")
        st.session_state[key] = min(st.session_state[key], most)  # a reviewer may have been taken out again
        form["quorum"] = left.number_input(t("new.quorum"), 0, most, help=t("new.quorum_help"), key=key)
        form["review_hours"] = left.number_input(t("new.review_hours"), 0, 8760, help=t("new.review_hours_help"), key=keep(form, "review_hours"))  # fmt: skip
    form["signing_days"] = right.number_input(t("new.signing_days"), 1, 90, key=keep(form, "signing_days"))


def _trial(form: Form) -> None:
    form["trial"] = st.toggle(t("new.trial"), help=t("new.trial_help"), key=keep(form, "trial"))
    if not form["trial"]:
        return
    with st.container(border=True):
        left, right = st.columns(2)
        form["trial_rows"] = left.number_input(t("new.trial_rows"), 1, 2**40, step=1000, key=keep(form, "trial_rows"))  # fmt: skip
        form["trial_uses"] = right.number_input(t("new.trial_uses"), 1, 1_000_000, key=keep(form, "trial_uses"))  # fmt: skip
        form["acceptance_due"] = left.date_input(t("new.acceptance_due"), key=keep(form, "acceptance_due"))
        form["acceptance_evidence"] = form["acceptance_evidence"] or t("new.acceptance_report")
        form["acceptance_evidence"] = right.text_input(t("new.acceptance_evidence"), key=keep(form, "acceptance_evidence"))  # fmt: skip
        people = cast(form)
        if not form["acceptance_by"] and form["regulator"]:
            form["acceptance_by"] = [form["regulator"]]
        form["acceptance_by"] = st.multiselect(
            t("new.acceptance_by"), people, format_func=org_name, placeholder=t("common.choose"), key=keep(form, "acceptance_by", options=people),
        )  # fmt: skip


def _schedule(form: Form) -> None:
    left, right = st.columns(2, gap="large")
    form["first_day"] = left.date_input(t("contract.first_day"), help=t("new.first_day_help"), key=keep(form, "first_day"))  # fmt: skip
    form["start_at"] = right.time_input(t("new.start_at"), step=300, key=keep(form, "start_at"))
    form["run_days"] = left.selectbox(t("contract.run_days"), _DAYS, format_func=lambda d: named("run_days", d), key=keep(form, "run_days", options=_DAYS))  # fmt: skip
    form["window_minutes"] = right.number_input(t("new.window_minutes"), 0, 720, key=keep(form, "window_minutes"))  # fmt: skip
    form["cutoff_hours"] = left.number_input(t("new.cutoff_hours"), 1, 168, help=t("new.cutoff_help"), key=keep(form, "cutoff_hours"))  # fmt: skip


def trial_terms(form: Form) -> dict[str, Any] | None:
    """The trial as the node's draft wants it."""
    if not form["trial"]:
        return None
    return {
        "max_rows": form["trial_rows"],
        "max_uses": form["trial_uses"],
        "acceptance_due": form["acceptance_due"].isoformat(),
        "evidence": form["acceptance_evidence"],
        "confirmed_by": form["acceptance_by"],
    }
