"""The steps of a new contract. What is entered lives in one dictionary, `form`; each step draws a part of it."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, time, timedelta
from typing import Any

import streamlit as st
from hefu.domain.identity import Role
from hefu.node.console_models import ParticipantView

from hefu_ui.look.formats import SHANGHAI, days_back, org_name, today
from hefu_ui.look.html import chip, table
from hefu_ui.signed_in import me, node
from hefu_ui.words import named, t

Form = dict[str, Any]
_NEEDED = {
    "template": ("contract_id", "title", "title_en", "purpose"),
    "parties": ("institutions", "banks", "regulator", "auditor", "compute_parties"),
    "computation": ("match_keys",),
}


def blank() -> Form:
    """An empty form with sensible values."""
    return {
        "contract_id": f"T1-RECON-{today():%Y%m%d}", "title": "", "title_en": "", "purpose": "", "mandate_number": "", "mandate_digest": None,
        "institutions": [], "banks": [], "regulator": None, "auditor": None, "compute_parties": [],
        "owners": None, "data_sets": {}, "match_keys": ["serial"], "compare": "each", "window_days": 0, "rejected_percent": 0.0,
        "reveal_difference": True, "design": "F", "max_uses": 400, "max_rows": 10_000_000, "first_day": days_back(7),
        "valid_from": today(), "valid_until": today() + timedelta(days=365), "start_at": time(2, 30), "run_days": "every_day",
        "cutoff_hours": 10, "window_minutes": 120, "retention_days": 1825, "reviewers": [], "signing_days": 7,
    }  # fmt: skip


def missing(form: Form, step: str) -> list[str]:
    """What the step still lacks."""
    lacking = [name for name in _NEEDED.get(step, ()) if not form[name]]
    if step == "template" and form["mandate_number"] and not form["mandate_digest"]:
        lacking.append("mandate_file")
    if step == "parties" and len(form["compute_parties"]) != 3 and "compute_parties" not in lacking:
        lacking.append("compute_parties")
    return lacking


def to_draft(form: Form) -> dict[str, Any]:
    """The form as the node's draft wants it."""
    same = (
        "contract_id", "title", "title_en", "purpose", "institutions", "banks", "regulator", "auditor", "compute_parties", "match_keys",
        "compare", "window_days", "reveal_difference", "design", "max_uses", "max_rows", "run_days", "window_minutes", "retention_days", "reviewers",
        "signing_days",
    )  # fmt: skip
    at: time = form["start_at"]
    return {
        **{name: form[name] for name in same},
        "data_sets": {org: ds for org, ds in form["data_sets"].items() if ds},
        "max_rejected_ppm": round(form["rejected_percent"] * 10_000),
        "valid_from": _midnight(form["valid_from"]),
        "valid_until": _midnight(form["valid_until"] + timedelta(days=1)),
        "cron": f"{at.minute} {at.hour} * * *",
        "first_day": form["first_day"].isoformat(),
        "cutoff_minutes": form["cutoff_hours"] * 60,
        "mandate_number": form["mandate_number"] or None,
        "mandate_digest": form["mandate_digest"] if form["mandate_number"] else None,
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, SHANGHAI)


def template(form: Form) -> None:
    st.radio(
        t("new.template"),
        ["t1_reconciliation"],
        format_func=lambda k: named("template", k),
        captions=[t("new.template_text")],
    )
    left, right = st.columns(2, gap="large")
    form["contract_id"] = (
        left.text_input(t("new.contract_id"), form["contract_id"], help=t("new.contract_id_rule"))
        .strip()
        .upper()
    )
    form["mandate_number"] = right.text_input(
        t("new.mandate"), form["mandate_number"], help=t("new.mandate_help")
    )
    if form["mandate_number"]:
        file = right.file_uploader(t("new.mandate_file"), help=t("new.mandate_file_help"))
        if file is not None:
            form["mandate_digest"] = hashlib.sha256(file.getvalue()).hexdigest()
        if form["mandate_digest"]:
            right.caption(f"SHA-256 {form['mandate_digest']}")
    form["title"] = left.text_input(t("new.title"), form["title"] or t("new.title_default_zh"))
    form["title_en"] = right.text_input(t("new.title_en"), form["title_en"] or t("new.title_default_en"))
    form["purpose"] = st.text_area(
        t("new.purpose"), form["purpose"] or t("new.purpose_default"), help=t("new.purpose_help")
    )


def parties(form: Form) -> None:
    people = [p for p in node().participants() if p.state == "admitted" and p.standing == "active"]

    def with_role(*roles: Role) -> list[str]:
        return [p.org_id for p in people if any(r in p.roles for r in roles)]

    providers, compute = with_role(Role.DATA_PROVIDER), with_role(Role.COMPUTE_PARTY)
    regulators, auditors = with_role(Role.REGULATOR), with_role(Role.AUDITOR)
    left, right = st.columns(2, gap="large")
    form["institutions"] = left.multiselect(
        t("new.institutions"), providers, _kept(form["institutions"], providers), format_func=org_name
    )
    banks = [p for p in providers if p not in form["institutions"]]
    form["banks"] = right.multiselect(
        t("new.banks"), banks, _kept(form["banks"], banks), format_func=org_name
    )
    form["regulator"] = left.selectbox(
        t("new.regulator"), regulators, format_func=org_name, placeholder=t("common.choose")
    )
    form["auditor"] = right.selectbox(
        t("new.auditor"), auditors, format_func=org_name, placeholder=t("common.choose")
    )
    owners = [*form["institutions"], *form["banks"], form["regulator"]]
    if form["owners"] != owners:  # whoever owns data or receives the result may not be N0 or N2: suggest anew
        form["owners"], form["compute_parties"] = owners, _suggest(compute, owners, form["banks"])
    st.caption(t("new.compute_note"))
    chosen = []
    for i, column in enumerate(st.columns(3)):
        now = form["compute_parties"][i] if i < len(form["compute_parties"]) else None
        index = compute.index(now) if now in compute else None
        chosen.append(
            column.selectbox(
                t(f"new.n{i}"),
                compute,
                index=index,
                format_func=org_name,
                placeholder=t("common.choose"),
                help=t(f"new.n{i}_help"),
            )
        )
    form["compute_parties"] = [c for c in dict.fromkeys(chosen) if c]
    _roles_table(people, form)


def _kept(values: list[str], options: list[str]) -> list[str]:
    return [v for v in values if v in options]


def _suggest(compute: list[str], owners: list[str], banks: list[str]) -> list[str]:
    neutral = [c for c in compute if c not in owners]
    middle = [c for c in compute if c in banks] or [c for c in compute if c not in neutral[:2]]
    return [neutral[0], middle[0], neutral[1]] if len(neutral) >= 2 and middle else []


def _roles_table(people: list[ParticipantView], form: Form) -> None:
    part = {o: t("new.institutions") for o in form["institutions"]} | {
        o: t("new.banks") for o in form["banks"]
    }
    part |= {form["regulator"]: t("new.regulator"), form["auditor"]: t("new.auditor")}
    rows = []
    for p in people:
        takes = [part[p.org_id]] if p.org_id in part else []
        if p.org_id in form["compute_parties"]:
            takes.append(f"N{form['compute_parties'].index(p.org_id)}")
        if takes:
            rows.append([org_name(p.org_id), p.org_id, chip(" · ".join(takes), "blue")])
    if rows:
        table([t("common.party"), t("new.org_id"), t("new.takes_part_as")], rows)


def data(form: Form) -> None:
    mine = [s.definition for s in node().data_sets()] if Role.DATA_PROVIDER in me().user.org_roles else []
    for org in [*form["institutions"], *form["banks"]]:
        kind = "business_records" if org in form["institutions"] else "fund_flows"
        left, right = st.columns([2, 3], vertical_alignment="bottom")
        left.markdown(f"**{org_name(org)}**  \n{named('data_kind', kind)}")
        fitting = [d.data_set_id for d in mine if d.kind == kind]
        if org == me().org_id and fitting:
            form["data_sets"][org] = right.selectbox(t("new.data_set"), fitting, key=f"ds_{org}")
        else:
            form["data_sets"][org] = right.text_input(
                t("new.data_set"),
                form["data_sets"].get(org, ""),
                key=f"ds_{org}",
                help=t("new.data_set_help"),
                placeholder=t("new.data_set_default"),
            )
    st.html("<br>")
    st.caption(t("new.fields_note"))
    table(
        [t("data.field"), t("data.type"), t("data.identifier"), t("data.grade"), t("contract.necessity")],
        [
            [
                f,
                named("field_type", ty),
                named("identifier", ident),
                chip(g, {"C1": "gray", "C2": "orange"}[g]),
                t(f"new.why_{f}"),
            ]
            for f, ty, ident, g in _FIELDS
        ],
    )


_FIELDS = (
    ("serial", "text", "quasi", "C1"), ("type", "text", "none", "C1"), ("amount", "money", "none", "C2"),
    ("party_id", "text", "direct", "C2"), ("occurred_at", "datetime", "none", "C1"),
)  # fmt: skip


def computation(form: Form) -> None:
    left, right = st.columns(2, gap="large")
    keys = ["serial", "type", "party", "date"]
    form["match_keys"] = (
        left.pills(
            t("new.match_keys"),
            keys,
            selection_mode="multi",
            default=form["match_keys"],
            format_func=lambda k: named("match_key", k),
        )
        or []
    )
    modes = ["each", "sum"]
    form["compare"] = left.radio(
        t("new.compare"),
        modes,
        index=modes.index(form["compare"]),
        format_func=lambda k: named("compare", k),
        captions=[t("new.each_text"), t("new.sum_text")],
    )
    form["window_days"] = right.slider(
        t("new.window_days"), 0, 7, form["window_days"], help=t("new.window_help")
    )
    form["rejected_percent"] = right.number_input(
        t("new.rejected_percent"),
        0.0,
        100.0,
        form["rejected_percent"],
        0.01,
        format="%.4f",
        help=t("new.rejected_help"),
    )
    form["reveal_difference"] = right.toggle(
        t("new.reveal_difference"), form["reveal_difference"], help=t("new.reveal_help")
    )
    designs = ["F", "S"]
    form["design"] = right.radio(
        t("new.design"),
        designs,
        index=designs.index(form["design"]),
        format_func=lambda d: named("design", d),
        captions=[t("new.design_f_text"), t("new.design_s_text")],
    )


def limits(form: Form) -> None:
    left, right = st.columns(2, gap="large")
    form["max_uses"] = left.number_input(
        t("contract.max_uses"), 1, 1_000_000, form["max_uses"], help=t("new.uses_help")
    )
    form["max_rows"] = right.number_input(t("contract.max_rows"), 1, 2**40, form["max_rows"], step=1_000_000)
    form["valid_from"] = left.date_input(t("contract.valid_from"), form["valid_from"])
    form["valid_until"] = right.date_input(t("contract.valid_until"), form["valid_until"])
    form["first_day"] = left.date_input(
        t("contract.first_day"), form["first_day"], help=t("new.first_day_help")
    )
    form["start_at"] = right.time_input(t("new.start_at"), form["start_at"], step=300)
    days = ["every_day", "cn_workdays", "weekdays"]
    form["run_days"] = left.selectbox(
        t("contract.run_days"), days, days.index(form["run_days"]), format_func=lambda d: named("run_days", d)
    )
    form["window_minutes"] = right.number_input(t("new.window_minutes"), 0, 720, form["window_minutes"])
    form["cutoff_hours"] = left.number_input(
        t("new.cutoff_hours"), 1, 168, form["cutoff_hours"], help=t("new.cutoff_help")
    )
    form["retention_days"] = right.number_input(t("new.retention"), 1, 36_500, form["retention_days"])
    signers = [*form["institutions"], *form["banks"], *(o for o in (form["regulator"], form["auditor"]) if o)]
    form["reviewers"] = left.multiselect(
        t("contract.reviewers"),
        signers,
        _kept(form["reviewers"], signers),
        format_func=org_name,
        placeholder=t("common.choose"),
        help=t("new.reviewers_help"),
    )
    form["signing_days"] = right.number_input(t("new.signing_days"), 1, 90, form["signing_days"])
