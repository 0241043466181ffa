"""What is entered for a new contract: one dictionary that outlives the widgets, so that nothing typed is lost between steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time, timedelta
from typing import Any

import streamlit as st
from hefu.node.console_models import PublishedView
from hefu.node.contract_life_models import TemplateView

from hefu_ui.look.formats import days_back, today
from hefu_ui.signed_in import node

Form = dict[str, Any]
RECONCILIATION = "t1_reconciliation"
STATISTICS = "joint_statistics"
OPERATIONS = ("collect", "store", "use", "process", "transmit", "provide", "delete")


def blank() -> Form:
    """An empty form with sensible values."""
    return {
        "template": RECONCILIATION, "contract_id": f"T1-RECON-{today():%Y%m%d}", "title": "", "title_en": "", "purpose": "",
        "mandate_number": "", "mandate_digest": None,
        "institutions": [], "banks": [], "givers": [], "regulator": None, "auditor": None, "compute_parties": [], "cast": None,
        "data_sets": {}, "terms": {},
        "match_keys": ["serial"], "compare": "each", "window_days": 0, "rejected_percent": 0.0, "reveal_difference": True, "design": "F",
        "subject": None, "group_by": [], "categories": {}, "value": None, "release": ["sum", "count"], "totals": False, "dominance": True,
        "min_group": 20, "columns": {},
        "authorisation": "standing", "max_uses": 400, "max_rows": 10_000_000, "first_day": days_back(7),
        "valid_from": today(), "valid_until": today() + timedelta(days=365), "start_at": time(2, 30), "run_days": "every_day",
        "cutoff_hours": 10, "window_minutes": 120, "retention_days": 1825, "reviewers": [], "signing_days": 7,
        "trial": False, "trial_rows": 10_000, "trial_uses": 5, "acceptance_due": today() + timedelta(days=60), "acceptance_evidence": "",
        "acceptance_by": [], "per_period": 0, "period": "month", "quorum": 0, "review_hours": 0,
    }  # fmt: skip


def blank_terms() -> Form:
    """What a form adds to one owner's data set."""
    return {
        "row_filter": "", "subject_field": None, "basis": None, "note": "", "consents": [], "flags": [],
    }  # fmt: skip


def blank_consent(kinds: Sequence[str] = ()) -> Form:
    """One link of a consent chain: explicit and separate consent to every operation, from today for a year."""
    return {
        "collector": "", "notice_digest": "", "notice_version": "", "kinds": list(kinds) or ["explicit", "separate"],
        "participants": [], "operations": list(OPERATIONS), "obtained_on": today(), "limited": True,
        "expires_on": today() + timedelta(days=365),
    }  # fmt: skip


def keep(form: Form, name: str, *, prefix: str = "new", options: Sequence[Any] | None = None) -> str:
    """The key of a widget that starts with what the form holds; a choice that is no longer offered is dropped.

    A widget that is not drawn is forgotten by the page, the form is not: the step that comes back starts from the form.
    """
    key = f"{prefix}_{name}"
    value = st.session_state.get(key, form[name])
    if options is not None:
        kept = [v for v in value if v in options] if isinstance(value, list | tuple) else value
        value = kept if isinstance(kept, list) or kept in options else options[0] if "" in options else None
    st.session_state[key] = value
    return key


def owners(form: Form) -> list[str]:
    """Who gives data."""
    return list(form["givers"] if form["template"] == STATISTICS else [*form["institutions"], *form["banks"]])


def cast(form: Form) -> list[str]:
    """Whom the form names, each once; the operator comes in by itself."""
    named = [*owners(form), form["regulator"], *form["compute_parties"], form["auditor"], *form["reviewers"]]
    return [org for org in dict.fromkeys(named) if org]


def templates() -> dict[str, TemplateView]:
    """The scenarios as the node offers them."""
    return {view.template: view for view in node().governance.templates()}


def published(form: Form) -> dict[str, PublishedView]:
    """Owner → the data set chosen for it, as its owner published it; without those that are not chosen yet."""
    known = {(p.owner, p.definition.data_set_id): p for p in node().governance.published()}
    chosen = {org: known.get((org, form["data_sets"].get(org))) for org in owners(form)}
    return {org: found for org, found in chosen.items() if found is not None}


def used_columns(form: Form, owner: str, found: PublishedView) -> list[str]:
    """The columns of an owner's data set that the contract will name: what the computation reads, and no other."""
    fields = found.definition.fields
    names = [f.name for f in fields]
    if form["template"] == STATISTICS:
        wanted = [form["subject"], *form["group_by"], form["value"]]
        renamed: Mapping[str, str] = form["columns"].get(owner, {})
        return [renamed.get(w, w) for w in wanted if w and renamed.get(w, w) in names]
    keys = {"serial": "serial", "type": "type", "party": "party_id", "date": "occurred_at"}
    wanted = list(dict.fromkeys([*(keys[k] for k in form["match_keys"]), "amount", "occurred_at"]))
    money = [f.name for f in fields if f.type == "money"]
    stand_in = {
        "occurred_at": found.definition.date_field,
        "amount": money[0] if len(money) == 1 else None,
    }
    columns = [w if w in names else stand_in.get(w) for w in wanted]
    return [c for c in columns if c is not None]
