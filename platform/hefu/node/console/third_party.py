"""An auditor sees all and changes nothing: what an organisation that is a third party and nothing else may still file."""

from __future__ import annotations

from hefu.domain.identity import Role
from hefu.node.console.access import Access
from hefu.node.refusals import Refusal, refuse

AUDITOR_FILES = frozenset(
    {
        "admission_dossier",
        "third_party_assessment",
        "effect_evaluation",
        "component_review",
        "input_review",
        "risk_notice_acknowledgement",
        "signatory",
        "milestone_confirmation",
        "stage_judgement",
        "complaint_outcome",
    }
)
"""About itself, its own opinions, and answers to complaints where the contract makes it the contact for them."""


def only_audits(access: Access) -> bool:
    """Whether this organisation takes part as a third party and nothing else."""
    return set(access.application.roles) == {Role.AUDITOR}


def require_may_file(access: Access, kind: str) -> None:
    """Raises Refusal 403 auditor_changes_nothing."""
    if only_audits(access) and kind not in AUDITOR_FILES:
        raise _refusal()


def require_participant(access: Access) -> None:
    """Raises Refusal 403 auditor_changes_nothing where this organisation only audits."""
    if only_audits(access):
        raise _refusal()


def _refusal() -> Refusal:
    return refuse(
        403,
        "auditor_changes_nothing",
        "第三方机构可以查看全部内容，不能代替参与方备案或受理",
        "a third party sees everything; it files and takes in nothing in the participants' place",
        "请由相应的参与方办理",
        "let the participant concerned do it",
        limit=", ".join(sorted(AUDITOR_FILES)),
    )
