"""What happens: incidents, complaints, data subjects' requests, deletions, legal holds (K3, K13; white paper A, 3.3).

They go from the issuer to everybody concerned directly, not through the coordinator alone.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field

from hefu.domain.document import Digest, Document, Name, OrgId, Text
from hefu.domain.filings.base import Audience, Filing
from hefu.domain.terms import Day

Sealed = Annotated[str, Field(min_length=1, max_length=8192)]


class IncidentReport(Filing):
    """A security incident: who, what, when, measures; whom of the individuals was told (PIPL art. 57)."""

    kind: Literal["incident_report"] = "incident_report"
    occurred_at: AwareDatetime
    discovered_at: AwareDatetime
    categories: Annotated[str, Field(min_length=1, max_length=4000)]
    cause: Text
    possible_harm: Text
    measures: Annotated[str, Field(min_length=1, max_length=4000)]
    individuals_told: Literal["yes", "not_needed", "not_yet"]
    individuals_note: Text = ""
    closed: bool = False


class Complaint(Filing):
    """A complaint taken in 投诉; the complainant's identity and words are sealed to the contract's contact."""

    audience: ClassVar[Audience] = "contract"

    kind: Literal["complaint"] = "complaint"
    about: Literal["data_use", "data_quality", "automated_decision", "security", "other"]
    responsible: OrgId
    sealed: dict[OrgId, Sealed]
    due_on: Day


class ComplaintOutcome(Filing):
    """What came of a complaint."""

    kind: Literal["complaint_outcome"] = "complaint_outcome"
    complaint: Digest
    upheld: bool
    outcome: Annotated[str, Field(min_length=1, max_length=4000)]


SubjectRight = Literal[
    "know", "query", "copy", "correct", "supplement", "delete", "restrict", "refuse", "withdraw"
]
"""Data subjects' rights (K13; PIPL art. 15, 44 to 47)."""


class SubjectRequest(Filing):
    """A data subject's request, taken at any party; who it is travels sealed to those who must act."""

    kind: Literal["subject_request"] = "subject_request"
    right: SubjectRight
    responsible: OrgId
    holders: Annotated[tuple[OrgId, ...], Field(min_length=1)]
    sealed: dict[OrgId, Sealed]
    due_on: Day


class SubjectRequestOutcome(Filing):
    """What a holder or the responsible party did about a request."""

    kind: Literal["subject_request_outcome"] = "subject_request_outcome"
    request: Digest
    outcome: Literal["done", "refused", "not_found"]
    reason: Text = ""


class DeletedThing(Document):
    """One key whose destruction makes what it sealed unreadable."""

    key_digest: Digest
    what: Literal["job_input", "job_half", "job_work", "data_set_file", "result", "query_set"]
    job: Name | None = None
    data_set_id: Name | None = None


class DeletionCertificate(Filing):
    """Signed proof that a party destroyed the keys under its control (crypto-shred); it says nothing about other copies."""

    kind: Literal["deletion_certificate"] = "deletion_certificate"
    things: Annotated[tuple[DeletedThing, ...], Field(min_length=1, max_length=1000)]
    deleted_at: AwareDatetime
    reason: Literal["due", "terminated", "request", "minimisation"]


class LegalHold(Filing):
    """Nothing of this contract is deleted until the hold is lifted 法律保留."""

    kind: Literal["legal_hold"] = "legal_hold"
    authority: Name
    document_number: Name
    lifted: bool = False


class MinimisationReview(Filing):
    """Periodic check of what is held and no longer needed 周期性检查 (K10; white paper B, 3.2)."""

    kind: Literal["minimisation_review"] = "minimisation_review"
    checked_on: Day
    kept: dict[Name, int]
    deleted: dict[Name, int]
