"""The nine points of white paper A, chapter 3, and the gates (K1 … K13) that stand under each.

K1 to K9 are the points 3.1 to 3.9. The rest stand where the paper speaks of them: K10 最小必要 under 3.2, K11 分级 under 3.5,
K12 匿名化 under 3.7, K13 个人信息主体权利 under 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from hefu.domain.verdict import Finding, Severity
from hefu.node.compliance_models import Cockpit
from hefu.node.console_models import LedgerState

from hefu_ui.look.formats import count
from hefu_ui.words import t

Light = Literal["green", "amber", "red", "gray"]

GATES_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "3.1": ("K1",),
        "3.2": ("K2", "K10"),
        "3.3": ("K3", "K13"),
        "3.4": ("K4",),
        "3.5": ("K5", "K11"),
        "3.6": ("K6",),
        "3.7": ("K7", "K12"),
        "3.8": ("K8",),
        "3.9": ("K9",),
    }
)
KINDS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "3.1": ("source_declaration",),
        "3.2": ("impact_assessment", "reevaluation", "minimisation_review"),
        "3.3": ("admission_dossier", "third_party_assessment", "risk_notice_acknowledgement", "supervision",
                "milestone_confirmation", "incident_report"),
        "3.4": ("source_declaration",),
        "3.5": ("component_review", "stage_judgement", "input_review"),
        "3.6": ("model_registration", "licence_grant"),
        "3.7": ("stage_judgement", "use_authorisation"),
        "3.8": ("fairness_report",),
        "3.9": ("effect_evaluation", "deletion_certificate"),
    }
)  # fmt: skip
"""Filings that a point rests on, the one to fill in first."""

_WEIGHT: dict[str, int] = {"gray": 0, "green": 1, "amber": 2, "red": 3}


class Point(NamedTuple):
    """One point as the board shows it: its light, what was found, or a sentence where there is no gate."""

    number: str
    light: Light
    findings: tuple[Finding, ...]
    gates: tuple[str, ...]
    said: str


def points_of(cockpit: Cockpit, ledger: LedgerState) -> list[Point]:
    """The nine points of one contract. A point without a gate is grey and says why, never green."""
    found = []
    for number, gates in GATES_OF.items():
        here = [g for g in cockpit.gates if g.point in gates]
        light: Light = max((g.light for g in here), key=_WEIGHT.__getitem__, default="gray")
        findings = tuple(f for g in here for f in g.verdict.findings)
        noted = all(f.severity is Severity.NOTE for f in findings)
        said = t("cockpit.no_findings") if here and noted else t("cockpit.seen_count", n=len(findings))
        if number == "3.9":
            own, said = _ledger(ledger)
            light = max(light, own, key=_WEIGHT.__getitem__)
        elif not here:
            said = _no_gate(number, cockpit)
        found.append(Point(number, light, findings, gates, said))
    return found


def _no_gate(number: str, cockpit: Cockpit) -> str:
    """Why a point has no gate here."""
    if number == "3.6" and not cockpit.makes_model:
        return t("cockpit.no_model")
    return t("cockpit.gate_later") if number == "3.7" else t("cockpit.no_gate")


def _ledger(ledger: LedgerState) -> tuple[Light, str]:
    if ledger.last_verified_ok is None:
        return "amber", t("cockpit.ledger_unverified")
    if ledger.last_verified_ok:
        return "green", t("cockpit.ledger_ok", n=count(ledger.size))
    return "red", t("cockpit.ledger_bad")
