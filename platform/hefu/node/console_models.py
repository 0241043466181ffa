"""Shapes that cross the console's API (`/console` of an organisation's own node). Times are UTC, money is integer cents.

| method and path | body → answer |
|---|---|
| POST login | LoginRequest → Session · POST logout · GET me → User |
| GET overview | → Overview · GET todo → list[Todo] |
| GET filings?kind&contract_id · GET filings/{digest} | → list[FilingView] · FilingView |
| GET filing-forms/{kind}?contract_id&subject | → PrefilledForm |
| GET filing-drafts · POST filing-drafts | → list[FilingDraftView] · FilingForm → FilingDraftView |
| POST filing-drafts/{id}/approve · POST filing-drafts/{id}/reject | Approval → FilingView · Reason |
| GET contracts/{digest}/compliance · GET contracts/{digest}/cockpit | → ComplianceBoard · Cockpit |
| GET due-dates · GET registers/processing · GET registers/entrusted · GET models | → list[DueDate] · list[ProcessingRecord] · list[EntrustedView] · list[ModelView] |
| GET sealed-cases · POST complaints · POST subject-requests | → list[SealedCase] · NewComplaint · NewSubjectRequest → FilingDraftView |
| POST filings/{digest}/open | → OpenedWords (a party that it is sealed to) |
| GET participants | → list[ParticipantView] |
| POST participants/{application}/review | ReviewRequest (auditor's approver) → ParticipantView |
| POST participants/{application}/admit | → ParticipantView (operator's approver) |
| POST participants/{org_id}/standing | StandingRequest → ParticipantView |
| GET data-sets · POST data-sets | → list[DataSetView] · DataSet (domain) → DataSetView |
| GET data-sets/published | → list[PublishedView]: every organisation's, shapes only |
| POST data-sets/{id}/files | multipart `file` → list[ArrivalView] |
| GET data-sets/{id}/days?from&to | → list[ArrivalView] |
| GET data-sets/{id}/rejects?fingerprint | → CSV |
| GET exclusions · POST exclusions/list?kind&data_set_id&contract_id&filing | → list[ExclusionCount] · one identifier a line → ExclusionCount |
| POST exclusions · POST exclusions/lift | OneSubject → ExclusionCount |
| GET contracts · GET contracts/{digest} | → list[ContractSummary] · ContractView |
| POST contracts/draft | ReconciliationDraft, TemplateDraft → ContractView (nothing is stored yet) |
| POST contracts | the document (domain Contract) → ContractView, proposed and signed by this party |
| POST contracts/{digest}/sign | → ContractView · POST contracts/{digest}/notices NoticeRequest → ContractView |
| GET jobs?contract_id&limit · GET jobs/{id} | → list[JobSummary] · JobView |
| POST jobs | JobRequest → list[JobSummary] · POST jobs/{id}/cancel → JobView |
| POST jobs/{id}/decision | ReviewRequest → JobView (a reviewer whom the contract names) |
| GET schedules · POST schedules/{contract_id} | → list[ScheduleView] · ScheduleRequest → ScheduleView |
| GET deliveries?contract_id&from&to | → list[DeliveryView] |
| GET ledger/entries?contract&job&actor&kind&since&until&before&limit | → list[LedgerEntryView] |
| GET ledger/entries/{seq} | → LedgerEntryDetail |
| GET ledger/state | → LedgerState · POST ledger/verify → VerifyView (starts) · GET ledger/verify → VerifyView |
| GET ledger/export | → tar of the static export |
| regulator: GET results?contract_id | → list[ResultSummary] · POST results/{job}/open → ResultView · GET results/{job} → ResultView |
| GET results/{job}/exceptions?status&owner&offset&limit | → ExceptionPage |
| GET results/{job}/export.csv · export.xlsx | → files |
| GET alarm-rules · PUT alarm-rules | → AlarmRules · AlarmRules → AlarmRules |
| GET alarms · POST alarms/{id}/acknowledge | → list[AlarmView] · Note → AlarmView |
| POST record-requests · GET record-requests | RecordRequest → RecordView · → list[RecordView] (also at the owner: what was asked of it) |
| GET inquiries · POST inquiries · POST inquiries/{id}/reply · POST inquiries/{id}/close | → list[InquiryView] · InquiryRequest · Note · Note → InquiryView |
| GET cases · POST cases/{id}/{assign,explain,adjust,close} | → list[CaseView] · Note → CaseView (institution) |
| GET users · POST users | → list[User] · NewUser → User (admin) |
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hefu.domain.contract import Contract, ContractState, NoticeKind
from hefu.domain.dataset import DataSet
from hefu.domain.document import Digest
from hefu.domain.identity import Role, Standing
from hefu.domain.job import JobState, Stage
from hefu.domain.rules.exclusion import ExclusionKind
from hefu.domain.verdict import Finding, Verdict
from hefu.node.contract_life_models import FurtherTerms, PreparationView

UserRole = Literal["admin", "preparer", "approver", "viewer"]


class Shape(BaseModel):
    """Base of everything here: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class ApiError(Shape):
    """Every error answer."""

    code: str
    message_zh: str
    message_en: str
    party: str | None = None
    stage: str | None = None
    limit: str | None = None
    mend_zh: str = ""
    mend_en: str = ""


class LoginRequest(Shape):
    username: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=256)


class User(Shape):
    """A person at this organisation. `roles`: preparer 经办, approver 复核, viewer 查看, admin 管理."""

    username: str
    display_name: str
    roles: list[UserRole]
    org_id: str
    org_name: str
    org_name_en: str
    org_roles: list[Role]


class Session(Shape):
    token: str
    expires_at: datetime
    user: User


class NewUser(Shape):
    username: str = Field(pattern=r"^[a-z][a-z0-9._-]{1,31}$")
    display_name: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=12, max_length=256)
    roles: list[UserRole]


class Note(Shape):
    """A person's words on a decision; `assignee` where a case is assigned; `amount_cents` where one is adjusted."""

    text: str = Field(min_length=1, max_length=2000)
    assignee: str | None = None
    amount_cents: int | None = None


class Todo(Shape):
    """Something that waits for the signed-in user."""

    kind: Literal[
        "sign_contract",
        "review_application",
        "admit",
        "open_result",
        "alarm",
        "inquiry",
        "case",
        "late_data",
        "record",
        "preparation",
        "approval",
        "approve_filing",
        "release_decision",
        "subject_request",
        "complaint",
        "due_soon",
    ]
    title_zh: str
    title_en: str
    page: str
    subject: str
    due_at: datetime | None = None


class LedgerState(Shape):
    size: int
    root: str
    checkpoint_at: datetime | None
    origin: str
    entries_today: int
    unreceipted: int
    last_verified_at: datetime | None = None
    last_verified_ok: bool | None = None
    history: list[int] = []


class ParticipantView(Shape):
    """One organisation in the registry."""

    org_id: str
    legal_name: str
    legal_name_en: str
    uscc: str
    contact: str
    roles: list[Role]
    application: str
    state: Literal["submitted", "approved", "refused", "admitted"]
    standing: Standing
    qualifications: list[dict[str, str]] = []
    controlling_shareholder: str | None = None
    affiliates: list[str] = []
    self_assessment: str = ""
    review_reasons: str = ""
    identity_key: str
    certificate_until: datetime | None = None
    applied_at: datetime
    online: bool | None = None


class ReviewRequest(Shape):
    approved: bool
    reasons: str = Field(min_length=1, max_length=2000)


class StandingRequest(Shape):
    standing: Standing
    reason: str = Field(min_length=1, max_length=2000)


class DataSetView(Shape):
    definition: DataSet
    schema_digest: str
    files: int
    last_arrival: datetime | None = None
    contracts: list[str] = []


class PublishedView(Shape):
    """A data set that an organisation published: its shape, never a row."""

    owner: str
    definition: DataSet
    schema_digest: str


class ArrivalView(Shape):
    """One data set on one day. `amount_cents` stays at the owner's node."""

    data_set_id: str
    business_date: str
    state: Literal["arrived", "late", "missing", "rejected", "replaced", "deleted"]
    file_name: str = ""
    fingerprint: str = ""
    rows: int = 0
    rejected: int = 0
    amount_cents: int = 0
    arrived_at: datetime | None = None


class ExclusionCount(Shape):
    """Entries of one scope and kind on this organisation's exclusion list; "" stands for all. `read`: lines just taken."""

    kind: ExclusionKind
    data_set_id: str
    contract_id: str
    entries: int
    read: int = 0


class OneSubject(Shape):
    """One person's entry on the exclusion list."""

    identifier: str = Field(min_length=1, max_length=512, repr=False)
    kind: ExclusionKind
    data_set_id: str = Field(default="", max_length=64)
    contract_id: str = Field(default="", max_length=40)
    filing: Digest | None = None


class DeliveryView(Shape):
    """What every party of a contract may see of a delivery: no amounts."""

    contract_id: str
    owner: str
    data_set_id: str
    business_date: str
    state: Literal["arrived", "late", "missing", "rejected", "replaced"]
    rows: int
    rejected: int
    arrived_at: datetime | None


class SignatureView(Shape):
    org_id: str
    legal_name: str
    state: Literal["signed", "waiting", "refused"]
    at: datetime | None = None
    reason: str = ""


class ContractSummary(Shape):
    digest: str
    contract_id: str
    version: int
    title: str
    title_en: str
    template: str
    state: ContractState
    proposed_by: str
    proposed_at: datetime
    signing_deadline: datetime
    waits_for: list[str]
    uses: int
    max_uses: int
    valid_until: datetime


class ContractView(Shape):
    summary: ContractSummary
    document: Contract
    canonical: str
    signatures: list[SignatureView]
    findings: list[Verdict] = []
    can_sign: bool
    prepared: list[PreparationView] = []


class ReconciliationDraft(Shape):
    """What the contract form asks for; the node fills in keys, digests and standard clauses."""

    template: Literal["t1_reconciliation"] = "t1_reconciliation"
    contract_id: str
    title: str
    title_en: str
    purpose: str
    institutions: list[str]
    banks: list[str]
    regulator: str
    compute_parties: list[str] = Field(min_length=3, max_length=3)
    auditor: str
    data_sets: dict[str, str] = {}
    match_keys: list[Literal["serial", "type", "party", "date"]] = ["serial"]
    compare: Literal["each", "sum"] = "each"
    window_days: int = Field(default=0, ge=0, le=7)
    max_rejected_ppm: int = Field(default=0, ge=0, le=1_000_000)
    reveal_difference: bool = True
    design: Literal["F", "S"] = "F"
    max_uses: int = Field(default=400, ge=1)
    max_rows: int = Field(default=10_000_000, ge=1)
    valid_from: datetime
    valid_until: datetime
    cron: str = "30 2 * * *"
    run_days: Literal["cn_workdays", "weekdays", "every_day"] = "every_day"
    first_day: str
    cutoff_minutes: int = 600
    retry_seconds: int = 60
    window_minutes: int = 120
    retention_days: int = 1825
    mandate_number: str | None = None
    mandate_digest: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    reviewers: list[str] = []
    signing_days: int = 7
    terms: FurtherTerms = FurtherTerms()


class NoticeRequest(Shape):
    kind: NoticeKind
    reason: str = Field(min_length=1, max_length=2000)


class StageView(Shape):
    stage: Stage
    state: Literal["pending", "running", "passed", "waiting", "failed"]
    attempt: int = 1
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: float | None = None
    parties: list[str] = []
    verdict: Verdict | None = None


class JobSummary(Shape):
    job_id: str
    contract_id: str
    contract_digest: str
    business_date: str
    revision: int
    supersedes: str | None
    superseded_by: str | None
    state: JobState
    stage: Stage | None
    percent: int
    step: str = ""
    rows: int = 0
    reason: str = ""
    requested_by: str
    created_at: datetime
    finished_at: datetime | None = None
    seconds: float | None = None


class JobView(Shape):
    summary: JobSummary
    stages: list[StageView]
    parties: dict[str, str] = {}
    evidence: int = 0


class JobRequest(Shape):
    contract_id: str
    first_day: str
    last_day: str
    reason: str = "manual"


class ScheduleView(Shape):
    contract_id: str
    title: str
    title_en: str
    cron: str
    signed_cron: str
    run_days: str
    time_zone: str
    window_minutes: int
    paused: bool
    last_covered: str | None
    next_times: list[datetime]


class ScheduleRequest(Shape):
    action: Literal["pause", "resume", "move"]
    cron: str | None = None


class LedgerEntryView(Shape):
    seq: int
    logged_at: datetime
    kind: str
    actor: str
    contract: str | None
    job: str | None
    stage: str | None
    attempt: int | None
    envelope_id: str
    leaf_hash: str


class LedgerEntryDetail(Shape):
    entry: LedgerEntryView
    body: dict[str, Any]
    at: datetime
    signer_seq: int
    prev: str | None
    key_id: str
    signature_valid: bool
    inclusion_valid: bool
    checkpoint: str
    raw: str


class VerifyView(Shape):
    state: Literal["idle", "running", "passed", "failed"]
    done: int = 0
    total: int = 0
    size: int = 0
    root: str = ""
    message_zh: str = ""
    message_en: str = ""
    finished_at: datetime | None = None


class SideTotals(Shape):
    """Counts and cents of one organisation in one result."""

    owner: str
    side: Literal["institution", "bank"]
    rows: int
    match: int
    amount_mismatch: int
    missing: int
    conflict: int = 0
    difference_cents: int | None = None


class ResultSummary(Shape):
    """A released result at its recipient's node; counts are there only once it was opened, those of its form.

    form           `row_status`: matched … match_rate; `group_statistics`: groups, suppressed
    gate           what this node's output gate said when it was opened; refused: nothing of it is kept or shown
    gate_findings  what the gate found
    """

    job_id: str
    contract_id: str
    business_date: str
    revision: int
    stands: bool
    received_at: datetime | None
    opened_at: datetime | None
    opened_by: str = ""
    form: str = "row_status"
    gate: Literal["passed", "refused"] | None = None
    gate_findings: list[Finding] = []
    groups: int | None = None
    suppressed: int | None = None
    matched: int | None = None
    mismatched: int | None = None
    missing_at_bank: int | None = None
    missing_at_institution: int | None = None
    conflicts: int | None = None
    difference_cents: int | None = None
    match_rate: float | None = None


class StatisticsLine(Shape):
    """One group; figures are null where it is suppressed, or where the contract does not release the column."""

    labels: list[str]
    suppressed: bool
    sum: str | None
    count: int | None
    subjects: int | None


class StatisticsTable(Shape):
    """A joint statistic. Sums are decimal digits of integers (cents for money): 64 bits do not fit into a JSON number."""

    fields: list[str]
    columns: list[Literal["sum", "count", "subjects"]]
    value: str | None
    unit: Literal["money", "integer"] | None
    rows: list[StatisticsLine]
    total: StatisticsLine | None


class ResultView(Shape):
    summary: ResultSummary
    sides: list[SideTotals]
    changed_from: ResultSummary | None = None
    table: StatisticsTable | None = None
    seconds: float | None = None


class ExceptionRow(Shape):
    """`status`: amount_mismatch, missing_at_bank, missing_at_institution (资金无业务 疑似账外), token_conflict."""

    owner: str
    row: int
    status: str
    counterpart: str = ""
    counterpart_row: int | None = None
    difference_cents: int | None = None


class ExceptionPage(Shape):
    total: int
    rows: list[ExceptionRow]


class AlarmRules(Shape):
    """Evaluated at the regulator's node only."""

    mismatch_rate_ppm: int = Field(default=10_000, ge=0, le=1_000_000)
    missing_rate_ppm: int = Field(default=10_000, ge=0, le=1_000_000)
    difference_cents: int = Field(default=100_000_00, ge=0)
    late_files: int = Field(default=1, ge=1)
    consecutive_days: int = Field(default=3, ge=1)


class AlarmView(Shape):
    alarm_id: str
    rule: str
    contract_id: str
    business_date: str
    job_id: str | None
    party: str | None
    message_zh: str
    message_en: str
    raised_at: datetime
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    note: str = ""


class RecordRequest(Shape):
    job_id: str
    owner: str
    row: int = Field(ge=1)
    reason: str = Field(min_length=1, max_length=500)


class RecordView(Shape):
    request_id: str
    job_id: str
    owner: str
    row: int
    reason: str
    state: Literal["asked", "answered", "overdue"]
    asked_at: datetime
    due_at: datetime
    answered_at: datetime | None = None
    record: dict[str, str] = {}


class InquiryRequest(Shape):
    """核查通知: the regulator asks an organisation to explain rows of a result."""

    job_id: str
    org_id: str
    rows: list[int] = Field(max_length=500)
    question: str = Field(min_length=1, max_length=2000)
    due_days: int = Field(default=5, ge=1, le=90)


class InquiryView(Shape):
    inquiry_id: str
    job_id: str
    contract_id: str
    business_date: str
    org_id: str
    rows: list[int]
    question: str
    state: Literal["sent", "replied", "closed", "overdue"]
    sent_at: datetime
    due_at: datetime
    reply: str = ""
    replied_at: datetime | None = None
    closed_at: datetime | None = None
    closing_note: str = ""


class CaseView(Shape):
    """An exception that an institution works on: assigned, explained, adjusted, closed (经办/复核)."""

    case_id: str
    inquiry_id: str
    job_id: str
    business_date: str
    row: int
    state: Literal["open", "assigned", "explained", "adjusted", "closed"]
    assignee: str = ""
    explanation: str = ""
    adjustment_cents: int | None = None
    prepared_by: str = ""
    approved_by: str = ""
    history: list[dict[str, str]] = []


class Overview(Shape):
    todos: list[Todo]
    jobs: list[JobSummary]
    contracts: list[ContractSummary]
    ledger: LedgerState
    online: dict[str, bool]
    trend: list[ResultSummary] = []
    alarms_open: int = 0
