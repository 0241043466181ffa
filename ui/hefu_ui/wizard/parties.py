"""Second step: who gives data, who receives, who computes, who looks on."""

from __future__ import annotations

import streamlit as st
from hefu.domain.identity import Role
from hefu.node.console_models import ParticipantView

from hefu_ui.look.formats import org_name
from hefu_ui.look.html import chip, table
from hefu_ui.signed_in import node
from hefu_ui.wizard.form import STATISTICS, Form, keep, owners
from hefu_ui.words import t


def draw(form: Form) -> None:
    """Organisations by the roles in which they were admitted."""
    people = [p for p in node().participants() if p.state == "admitted" and p.standing == "active"]

    def with_role(*roles: Role) -> list[str]:
        return [p.org_id for p in people if any(r in p.roles for r in roles)]

    providers, compute = with_role(Role.DATA_PROVIDER), with_role(Role.COMPUTE_PARTY)
    auditors = with_role(Role.AUDITOR)
    if form["template"] == STATISTICS:
        form["givers"] = _several("givers", form, st, providers)
        receivers, word = with_role(Role.RESULT_CONSUMER), "new.recipient"
    else:
        left, right = st.columns(2, gap="large")
        form["institutions"] = _several("institutions", form, left, providers)
        banks = [p for p in providers if p not in form["institutions"]]
        form["banks"] = _several("banks", form, right, banks)
        receivers, word = with_role(Role.REGULATOR), "new.regulator"
    left, right = st.columns(2, gap="large")
    form["regulator"] = _one(word, "regulator", form, left, receivers)
    form["auditor"] = _one("new.auditor", "auditor", form, right, auditors)
    _compute(form, compute)
    _roles_table(people, form)


def _several(name: str, form: Form, where: object, options: list[str]) -> list[str]:
    key = keep(form, name, options=options)
    return list(where.multiselect(t(f"new.{name}"), options, format_func=org_name, placeholder=t("common.choose"), key=key))  # type: ignore[attr-defined]  # fmt: skip


def _one(word: str, name: str, form: Form, where: object, options: list[str]) -> str | None:
    """The only one there is stands there already."""
    form[name] = form[name] or (options[0] if options else None)
    key = keep(form, name, options=[*options, None])
    chosen: str | None = where.selectbox(t(word), options, format_func=org_name, placeholder=t("common.choose"), key=key)  # type: ignore[attr-defined]  # fmt: skip
    return chosen


def _compute(form: Form, compute: list[str]) -> None:
    taken = [*owners(form), form["regulator"]]
    if form["cast"] != taken:  # whoever owns data or receives the result may not be N0 or N2: suggest anew
        form["cast"], form["compute_parties"] = taken, _suggest(compute, taken)
        for i in range(3):
            st.session_state.pop(f"new_n{i}", None)
    st.caption(t("new.compute_note"))
    chosen = []
    for i, column in enumerate(st.columns(3)):
        held = {f"n{i}": form["compute_parties"][i] if i < len(form["compute_parties"]) else None}
        key = keep(held, f"n{i}", options=[*compute, None])
        chosen.append(
            column.selectbox(
                t(f"new.n{i}"), compute, format_func=org_name, placeholder=t("common.choose"), help=t(f"new.n{i}_help"), key=key,
            )
        )  # fmt: skip
    form["compute_parties"] = [c for c in dict.fromkeys(chosen) if c]


def _suggest(compute: list[str], taken: list[str]) -> list[str]:
    neutral = [c for c in compute if c not in taken]
    middle = [c for c in compute if c in taken[:-1]] or [c for c in compute if c not in neutral[:2]]
    return [neutral[0], middle[0], neutral[1]] if len(neutral) >= 2 and middle else []


def _roles_table(people: list[ParticipantView], form: Form) -> None:
    groups = ("givers",) if form["template"] == STATISTICS else ("institutions", "banks")
    part = {org: t(f"new.{group}") for group in groups for org in form[group]}
    receiver = "new.recipient" if form["template"] == STATISTICS else "new.regulator"
    part |= {form["regulator"]: t(receiver), form["auditor"]: t("new.auditor")}
    rows = []
    for p in people:
        takes = [part[p.org_id]] if p.org_id in part else []
        if p.org_id in form["compute_parties"]:
            takes.append(f"N{form['compute_parties'].index(p.org_id)}")
        if takes:
            rows.append([org_name(p.org_id), p.org_id, chip(" · ".join(takes), "blue")])
    if rows:
        table([t("common.party"), t("new.org_id"), t("new.takes_part_as")], rows)
