"""The filled-in form as the node's draft wants it, and what each step still lacks."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from hefu.node.console_models import ReconciliationDraft
from hefu.node.contract_life_models import TemplateDraft

from hefu_ui.look.formats import SHANGHAI
from hefu_ui.wizard.computation import categories_of
from hefu_ui.wizard.form import STATISTICS, Form, owners
from hefu_ui.wizard.limits import trial_terms

_SAME = (
    "contract_id", "title", "title_en", "purpose", "auditor", "compute_parties", "max_uses", "max_rows", "retention_days", "reviewers",
    "signing_days",
)  # fmt: skip
_RECONCILIATION = (
    "institutions", "banks", "regulator", "match_keys", "compare", "window_days", "reveal_difference", "design", "run_days", "window_minutes",
)  # fmt: skip


def missing(form: Form, step: str) -> list[str]:
    """What the step still lacks, by the names of its labels."""
    statistics = form["template"] == STATISTICS
    lacking = [name for name in _needed(step, statistics) if not form[name]]
    if step == "template" and form["mandate_number"] and not form["mandate_digest"]:
        lacking.append("mandate_file")
    if step == "parties" and len(form["compute_parties"]) != 3 and "compute_parties" not in lacking:
        lacking.append("compute_parties")
    if step == "data" and any(not form["data_sets"].get(org) for org in owners(form)):
        lacking.append("data_set")
    if step == "computation" and statistics and any(not categories_of(form, g) for g in form["group_by"]):
        lacking.append("categories_all")
    if step == "basis" and not form["mandate_number"]:
        links = [c for org in owners(form) for c in _links(form, org)]
        wanted = {"notice_digest": "notice_file", "notice_version": "notice_version", "kinds": "consent_kinds", "operations": "operations"}  # fmt: skip
        lacking += [word for name, word in wanted.items() if any(not link[name] for link in links)]
    if step == "limits" and form["trial"] and not form["acceptance_by"]:
        lacking.append("acceptance_by")
    return lacking


def _needed(step: str, statistics: bool) -> tuple[str, ...]:
    owning = ("givers",) if statistics else ("institutions", "banks")
    return {
        "template": ("contract_id", "title", "title_en", "purpose"),
        "parties": (*owning, "regulator", "auditor", "compute_parties"),
        "computation": ("subject", "group_by", "release") if statistics else ("match_keys",),
    }.get(step, ())


def _links(form: Form, org: str) -> list[Form]:
    terms = form["terms"].get(org, {})
    return list(terms.get("consents", [])) if terms.get("basis") == "consent" else []


def to_draft(form: Form) -> ReconciliationDraft | TemplateDraft:
    """The draft. Raises pydantic.ValidationError naming the fields."""
    given = {name: form[name] for name in _SAME} | {
        "data_sets": {org: form["data_sets"][org] for org in owners(form) if form["data_sets"].get(org)},
        "valid_from": _midnight(form["valid_from"]),
        "valid_until": _midnight(form["valid_until"] + timedelta(days=1)),
        "mandate_number": form["mandate_number"] or None,
        "mandate_digest": form["mandate_digest"] if form["mandate_number"] else None,
        "terms": _terms(form),
    }
    if form["template"] == STATISTICS:
        return TemplateDraft.model_validate(given | _statistics(form))
    at: time = form["start_at"]
    return ReconciliationDraft.model_validate(
        given
        | {name: form[name] for name in _RECONCILIATION}
        | {
            "max_rejected_ppm": round(form["rejected_percent"] * 10_000),
            "cron": f"{at.minute} {at.hour} * * *",
            "first_day": form["first_day"].isoformat(),
            "cutoff_minutes": form["cutoff_hours"] * 60,
        }
    )


def _statistics(form: Form) -> dict[str, Any]:
    columns = {org: {k: v for k, v in named.items() if v} for org, named in form["columns"].items()}
    parameters: dict[str, Any] = {
        "subject": form["subject"],
        "group_by": [{"field": g, "categories": categories_of(form, g)} for g in form["group_by"]],
        "value": form["value"] or None,
        "release": form["release"],
        "totals": form["totals"],
        "columns": {org: named for org, named in columns.items() if named and org in owners(form)},
        "max_rejected_ppm": round(form["rejected_percent"] * 10_000),
    }
    if not form["dominance"]:
        parameters["dominance"] = None
    return {
        "template": form["template"],
        "recipient": form["regulator"],
        "min_group_size": form["min_group"],
        "parameters": parameters,
    }


def _terms(form: Form) -> dict[str, Any]:
    return {
        "authorisation": form["authorisation"],
        "per_period": {form["period"]: form["per_period"]} if form["per_period"] else {},
        "quorum": (form["quorum"] or None) if form["reviewers"] else None,
        "review_hours": (form["review_hours"] or None) if form["reviewers"] else None,
        "trial": trial_terms(form),
        "data_sets": {org: _data_set_terms(form, org) for org in owners(form) if org in form["terms"]},
    }


def _data_set_terms(form: Form, org: str) -> dict[str, Any]:
    terms, mandated = form["terms"][org], bool(form["mandate_number"])
    return {
        "row_filter": terms["row_filter"].strip(),
        "subject_field": terms["subject_field"] or None,
        "legal_basis": None if mandated else terms["basis"],
        "legal_basis_note": "" if mandated or terms["basis"] == "consent" else terms["note"].strip(),
        "important": "important" in terms["flags"],
        "minors": "minors" in terms["flags"],
        "events": "events" in terms["flags"],
        "consents": [] if mandated else [_consent(link) for link in _links(form, org)],
    }


def _consent(link: Form) -> dict[str, Any]:
    same = ("collector", "notice_digest", "notice_version", "kinds", "participants", "operations")
    return {name: link[name] for name in same} | {
        "obtained_on": link["obtained_on"].isoformat(),
        "expires_on": link["expires_on"].isoformat() if link["limited"] else None,
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, SHANGHAI)
