"""Shapes of the console's API about the life of a contract: approvals, preparations, changes, text, templates.

| method and path | body → answer |
|---|---|
| GET approvals | → list[ApprovalView]: due ones first, with days left and what differs from this node's own view |
| GET preparations · POST preparations/{id}/refuse | → list[PreparationView] · Note → PreparationView |
| GET two-person · PUT two-person | → TwoPersonRule · TwoPersonRule (admin) → TwoPersonRule |
| GET contracts/templates | → list[TemplateView] |
| POST contracts/draft | ReconciliationDraft, or TemplateDraft → ContractView |
| GET contracts/{digest}/changes | → list[ClauseChange] (domain) against the version before |
| GET contracts/{digest}/duties | → list[Duty] (domain) |
| POST contracts/{digest}/renewal | RenewalRequest → ContractView of the new version; nothing is stored |
| GET contracts/{digest}/text?language=zh|en | → ContractText (domain) |
| GET contracts/{digest}/pdf?language=zh|en | → application/pdf |

With the two-person rule on, POST contracts, contracts/{digest}/sign, contracts/{digest}/notices and jobs/{id}/decision
prepare when called first, and are carried out when another approver calls them with the same content.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hefu.domain.approval import Approval
from hefu.domain.dataset import LegalBasis
from hefu.domain.document import Digest
from hefu.domain.periods import Period
from hefu.domain.terms import ConsentKind, Day, Operation


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PreparationView(_Shape):
    """A decision that one person prepared: it waits for another. `document`: a proposal's canonical contract, or a
    notice's kind and reason as a JSON pair."""

    preparation_id: str
    kind: str
    subject: str
    prepared_by: str
    prepared_at: datetime
    state: str
    decided_by: str = ""
    reason: str = ""
    document: str | None = None


class ApprovalView(_Shape):
    """A decision. `urgency`: due while open, overdue past its deadline, closed otherwise."""

    contract_id: str | None
    approval: Approval
    waits_for: list[str]
    urgency: Literal["due", "overdue", "closed"]
    days_left: int
    waits_for_us: bool
    differences: list[str] = []


class TwoPersonRule(_Shape):
    enabled: bool


class TemplateField(_Shape):
    name: str
    type: Literal[
        "text", "number", "organisation", "organisations", "data_sets", "date", "choice", "digest", "object"
    ]
    label_zh: str
    label_en: str
    required: bool = True
    default: Any = None


class TemplateView(_Shape):
    """A scenario. `available` is false, with the reason, while its component is not installed at this node."""

    template: str
    name_zh: str
    name_en: str
    available: bool
    reason_zh: str = ""
    reason_en: str = ""
    component: str
    roles: dict[str, list[int | None]]
    clauses: dict[str, Any]
    fields: list[TemplateField]


class ConsentTerms(_Shape):
    """One link of a data set's consent chain as the form asks for it.

    collector     "" stands for the owner itself
    participants  none: every party of the contract
    """

    collector: str = Field(default="", max_length=200)
    notice_digest: Digest
    notice_version: str = Field(min_length=1, max_length=200)
    kinds: list[ConsentKind] = Field(min_length=1)
    participants: list[str] = []
    operations: list[Operation] = Field(min_length=1)
    obtained_on: Day
    expires_on: Day | None = None


class DataSetTerms(_Shape):
    """What a form adds to one owner's data set; null and "" keep what the draft says.

    subject_field  the column that names the data subject: withdrawals are matched on it
    events         rows are events of one business date: statistics of another day do not repeat it
    """

    row_filter: str = Field(default="", max_length=4000)
    legal_basis: LegalBasis | None = None
    legal_basis_note: str = Field(default="", max_length=4000)
    subject_field: str | None = None
    important: bool | None = None
    minors: bool | None = None
    events: bool | None = None
    consents: list[ConsentTerms] = []


class TrialTerms(_Shape):
    """A pilot's limits, and the acceptance 验收 that ends it."""

    max_rows: int = Field(ge=1)
    max_uses: int = Field(ge=1)
    acceptance_due: Day
    evidence: str = Field(min_length=1, max_length=200)
    confirmed_by: list[str] = Field(min_length=1)


class FurtherTerms(_Shape):
    """Clauses that any template's form may add.

    per_period    calendar period → uses within it
    quorum        how many of the reviewers must approve, within `review_hours`; null: all, without a deadline
    data_sets     owner → what is added to its data set
    """

    authorisation: Literal["standing", "per_use"] = "standing"
    per_period: dict[Period, Annotated[int, Field(ge=1, le=1_000_000)]] = {}
    quorum: int | None = Field(default=None, ge=1)
    review_hours: int | None = Field(default=None, ge=1, le=8760)
    trial: TrialTerms | None = None
    data_sets: dict[str, DataSetTerms] = {}


class TemplateDraft(_Shape):
    """The form of a template. `parameters` are the component's own."""

    template: Literal[
        "joint_statistics", "blacklist_lookup", "joint_modelling", "advertising", "face_matching"
    ]
    contract_id: str
    title: str
    title_en: str
    purpose: str | None = None
    data_sets: dict[str, str] = Field(min_length=1)
    fields: dict[str, list[str]] = {}
    recipient: str
    compute_parties: list[str] = Field(min_length=3, max_length=3)
    auditor: str
    reviewers: list[str] = []
    parameters: dict[str, Any] = {}
    min_group_size: int = Field(default=20, ge=20)
    max_uses: int = Field(default=12, ge=1)
    max_rows: int = Field(default=10_000_000, ge=1)
    valid_from: datetime
    valid_until: datetime
    retention_days: int = Field(default=1825, ge=1)
    signing_days: int = Field(default=7, ge=1, le=90)
    mandate_number: str | None = None
    mandate_digest: str | None = None
    terms: FurtherTerms = FurtherTerms()


class RenewalRequest(_Shape):
    valid_until: datetime
    max_uses: int = Field(ge=1)
    signing_days: int = Field(default=7, ge=1, le=90)
