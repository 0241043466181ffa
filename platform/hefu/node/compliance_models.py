"""What the console shows about compliance: filings, drafts that wait, and the board of gates of a contract."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hefu.domain.verdict import Verdict


class Shape(BaseModel):
    """Answers and requests say exactly what is written here."""

    model_config = ConfigDict(extra="forbid")


class FilingView(Shape):
    """A filing as it stands at this node."""

    digest: str
    kind: str
    issuer: str
    contract_id: str | None
    issued_at: datetime
    valid_until: str | None
    in_force: bool
    handed_in: bool
    content: dict[str, Any]


class FilingDraftView(Shape):
    """A filing that waits for a second person."""

    draft_id: str
    kind: str
    contract_id: str | None
    content: dict[str, Any]
    prepared_by: str
    prepared_at: datetime
    may_approve: bool
    digest: str = ""
    canonical: str = ""


class FilingForm(Shape):
    """What a person fills in; issuer, time, preparer and approver are the node's to say."""

    kind: str = Field(max_length=64)
    content: dict[str, Any]


class Reason(Shape):
    """Why something is sent back."""

    reason: str = Field(min_length=1, max_length=2000)


class GateView(Shape):
    """One compliance point of a contract: green (passed), amber (passed, something to do), red (closed)."""

    point: str
    name_zh: str
    name_en: str
    light: Literal["green", "amber", "red"]
    verdict: Verdict


class ComplianceBoard(Shape):
    """Where a contract stands today, as this node judges it."""

    contract_id: str
    digest: str
    gates: list[GateView]
    filings: list[FilingView]


class Approval(Shape):
    """Approves exactly the draft whose content has this digest."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")


class PrefilledForm(Shape):
    """What the node already knows of a form: values to start from, choices per field, and what nobody may change.

    fixed  fields computed from the contract (an assessment's triggers and scope): shown, not asked
    """

    kind: str
    contract_id: str | None
    content: dict[str, Any]
    choices: dict[str, list[str]]
    fixed: list[str]


class CoverageCell(Shape):
    """One participant × operation: the kinds of consent needed, and what is missing (empty: covered)."""

    participant: str
    operation: str
    kinds: list[str]
    missing: list[str]


class CoverageView(Shape):
    """Consent coverage of one data set. `consent` is false where the data set rests on another basis."""

    data_set_id: str
    owner: str
    basis: str
    consent: bool
    cells: list[CoverageCell]


class StageRisk(Shape):
    """The risk grade of one stage; null while it cannot be graded. The weakest stage decides (木桶原则)."""

    stage: Literal["transmission", "computation", "result"]
    grade: Literal["low", "medium", "high"] | None
    weakest: bool
    reasons_zh: list[str]
    reasons_en: list[str]
    judgement: str | None


class WaitsFor(Shape):
    """Somebody has to do something before this contract runs."""

    party: str
    what_zh: str
    what_en: str
    due_on: str | None = None


class Cockpit(Shape):
    """The compliance cockpit 合规驾驶舱 of one contract."""

    contract_id: str
    version: int
    digest: str
    title: str
    title_en: str
    state: str
    makes_model: bool
    triggers: list[str]
    gates: list[GateView]
    filings: list[FilingView]
    coverage: list[CoverageView]
    risk: list[StageRisk]
    waits: list[WaitsFor]


class DueDate(Shape):
    """Something that is due on a day."""

    on: str
    kind: Literal[
        "impact_assessment",
        "qualification",
        "certificate",
        "source_declaration",
        "consent",
        "stage_judgement",
        "deletion",
        "filing",
        "milestone",
        "contract",
        "subject_request",
        "complaint",
    ]
    party: str
    contract_id: str | None
    title_zh: str
    title_en: str
    state: Literal["later", "soon", "overdue"]


class ProcessingRecord(Shape):
    """One line of the register of processing activities 个人信息处理活动记录: a contract's data set and its owner."""

    contract_id: str
    title: str
    title_en: str
    state: str
    owner: str
    data_set_id: str
    purpose: str
    categories: list[str]
    sensitive: list[str]
    basis: str
    basis_note: str
    compute_parties: list[str]
    recipients: list[str]
    retention_days: int
    minimum_retention_days: int
    valid_until: datetime
    assessment: str | None


class EntrustedView(Shape):
    """One line of the register of entrusted parties 受托方登记, with the supervision records over it."""

    contract_id: str
    handler: str
    entrusted: str
    purpose: str
    retention_days: int
    valid_until: datetime
    records: list[FilingView]
    certified_deletion: bool


class NewSubjectRequest(Shape):
    """A data subject's request as it is taken in. The identifier is sealed at once; the node keeps no copy in the clear."""

    contract_id: str
    right: str
    identifier: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=1000)


class NewComplaint(Shape):
    """A complaint as it is taken in. Its words are sealed at once to the contract's contact for complaints."""

    contract_id: str
    about: str
    words: str = Field(min_length=1, max_length=1200)


class SealedCase(Shape):
    """A complaint or a data subject's request with what came of it; `mine` where this organisation can open and answer it."""

    filing: FilingView
    due_on: str
    state: Literal["open", "overdue", "done"]
    mine: bool
    outcomes: list[FilingView]


class OpenedWords(Shape):
    """What was sealed to this organisation."""

    digest: str
    words: str


class ModelLicence(Shape):
    """A licence in force."""

    licensee: str
    licence: str
    may_sublicense: bool
    may_customise: bool
    territory: str
    valid_until: str | None
    max_predictions: int | None


class ModelUser(Shape):
    """Who may use a model, as what, for which purposes."""

    org_id: str
    standing: str
    purposes: list[str]


class NewModelUse(Shape):
    """For what a model is to be used, where, and how often."""

    purpose: Literal["predict", "customise", "sublicense"]
    predictions: int = Field(default=1, ge=1, le=10**9)
    territory: str = Field(min_length=1, max_length=200)


class ModelUsed(Shape):
    """A use that was allowed and counted."""

    model_id: str
    predictions: int


class ModelView(Shape):
    """A model: ownership shares per part, licences in force, who may use it."""

    model_id: str
    contract_id: str | None
    registered_by: str
    digest: str
    ownership: list[dict[str, Any]]
    parts: dict[str, str]
    licences: list[ModelLicence]
    users: list[ModelUser]
