"""The electronic contract 电子合约: what all parties sign, and what every node enforces (white paper A, 3.3; 1.1.2).

A contract is a canonical document. Any change is a new version with its own digest, signed again by every party; it
names its predecessor. It pins each party's application digest and keys: an order, a channel or a sealed result is
believed only under the keys written here.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from hefu.domain.dataset import (
    DataGrade,
    FieldType,
    IdentifierClass,
    LegalBasis,
    SensitiveCategory,
    SourceKind,
)
from hefu.domain.document import Digest, Document, Key32, Name, OrgId, Text
from hefu.domain.identity import Role
from hefu.domain.rowfilter import RowFilterInvalid, check_types, parse_row_filter
from hefu.domain.terms import (
    AutomatedDecision,
    Code,
    Consent,
    Day,
    Dominance,
    Milestone,
    ModelTerms,
    OutputColumn,
    PeriodLimit,
    QualityRules,
    SubjectTerms,
    Trial,
    UseTerms,
)

CONTRACT_TYPE = "application/vnd.hefu.contract+json"
NOTICE_TYPE = "application/vnd.hefu.contract-notice+json"

ContractId = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9-]{3,39}$")]


class LegalStanding(StrEnum):
    """An organisation's legal standing in the joint processing (white paper A, 2.2)."""

    PI_HANDLER = "pi_handler"
    JOINT_HANDLER = "joint_handler"
    ENTRUSTED_PARTY = "entrusted_party"
    THIRD_PARTY = "third_party"
    AUTHORITY = "authority"


class Party(Document):
    """A signatory, with the digest of its admitted application and the keys that the contract pins."""

    org_id: OrgId
    legal_name: Name
    legal_name_en: Name
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    legal_standing: LegalStanding
    application: Digest
    identity_key: Key32
    sealing_key: Key32
    tls_spki: Digest
    url: Name
    channel_host: Name
    channel_port: Annotated[int, Field(ge=1, le=65535)]


class Platform(Document):
    """The scheduler's service: the key that signs orders and the ledger that keeps the evidence."""

    operator: OrgId
    coordinator_key: Key32
    ledger_origin: Name
    ledger_vkey: Name


class ContractField(Document):
    """A field that the computation uses, and why it needs it (最小必要, K10)."""

    name: Name
    type: FieldType
    identifier_class: IdentifierClass
    sensitive: SensitiveCategory
    grade: DataGrade
    necessity: Text


class ContractDataSet(Document):
    """A data set as the contract allows it: the fields, rows and legal basis.

    row_filter     which rows may be used, in the language of `hefu.domain.rowfilter`; empty: all
    subject_field  the field that names the data subject: withdrawals are matched on it, groups counted in it
    important      important data 重要数据 (K4): consent does not cure what it lacks
    minors         data of people under fourteen
    events         each row is an event of the business date that it is delivered for: another day's values are others, and
                   statistics of two days do not repeat each other. Otherwise rows are a state that days share
    """

    data_set_id: Name
    owner: OrgId
    kind: Literal["business_records", "fund_flows", "table"]
    schema_digest: Digest
    fields: Annotated[tuple[ContractField, ...], Field(min_length=1)]
    row_filter: Text = ""
    source_kind: SourceKind
    legal_basis: LegalBasis
    legal_basis_note: Text = ""
    consents: tuple[Consent, ...] = ()
    subject_field: Name | None = None
    important: bool = False
    minors: bool = False
    events: bool = False
    quality: QualityRules | None = None
    minimum_retention_days: Annotated[int, Field(ge=0, le=36_500)] = 0

    @model_validator(mode="after")
    def _filter_can_be_enforced(self) -> Self:
        """A row filter that no node could apply promises what nobody keeps."""
        try:
            check_types(parse_row_filter(self.row_filter), {field.name: field.type for field in self.fields})
        except RowFilterInvalid as error:
            raise ValueError(f"row_filter: {error}") from error
        return self


class Step(Document):
    """One component of the computation's DAG."""

    step_id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    component: Name
    code_digest: Digest
    engine_version: Name
    parameters: dict[str, Any]
    inputs: tuple[Name, ...] = ()


class Computation(Document):
    """What is computed, by whom, with which technique."""

    technique: Literal["mpc_three_party"]
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    compute_parties: Annotated[tuple[OrgId, ...], Field(min_length=3, max_length=3)]


class Output(Document):
    """Who receives what, in what form, and who decides on the release.

    columns         what may leave; nothing else does
    min_group_size  distinct data subjects, never rows; 20 where the contract says nothing, raised only
    quorum          how many of the reviewers must approve; null: all
    """

    recipient: OrgId
    form: Literal["row_status", "group_statistics", "matches", "model", "decision"]
    columns: tuple[OutputColumn, ...] = ()
    min_group_size: Annotated[int, Field(ge=20)] | None = None
    dominance: Dominance | None = None
    max_output_rows: Annotated[int, Field(ge=1)] | None = None
    epsilon_milli: Annotated[int, Field(ge=1)] | None = None
    reviewers: tuple[OrgId, ...] = ()
    quorum: Annotated[int, Field(ge=1)] | None = None
    review_hours: Annotated[int, Field(ge=1, le=8760)] | None = None
    use_terms: UseTerms | None = None
    purpose_bound: Text
    no_reidentification: Literal[True] = True


class Limits(Document):
    """Number of uses in all and per period, rows per use and in all, authorisation, validity."""

    max_uses: Annotated[int, Field(ge=1, le=1_000_000)]
    per_period: tuple[PeriodLimit, ...] = ()
    max_rows: Annotated[int, Field(ge=1, le=2**40)]
    max_rows_total: Annotated[int, Field(ge=1, le=2**50)] | None = None
    authorisation: Literal["standing", "per_use"] = "standing"
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    checkpoint_max_age_seconds: Annotated[int, Field(ge=10, le=86_400)] = 3600


class Schedule(Document):
    """When a T+1 job starts, and how long it waits for data."""

    cron: Name
    time_zone: Literal["Asia/Shanghai"] = "Asia/Shanghai"
    run_days: Literal["cn_workdays", "weekdays", "every_day"]
    first_day: Day
    window_minutes: Annotated[int, Field(ge=0, le=720)] = 0
    cutoff_minutes: Annotated[int, Field(ge=0, le=10_080)]
    retry_seconds: Annotated[int, Field(ge=1, le=86_400)] = 600


class Mandate(Document):
    """A statutory mandate 法定监管: supervised parties cannot suspend or exhaust it; its authority can end it."""

    document_number: Name
    file_digest: Digest
    authority: OrgId
    supervised: Annotated[tuple[OrgId, ...], Field(min_length=1)]


class Duties(Document):
    """Who answers for what (white paper A, 3.3)."""

    data_subject_contact: OrgId
    incident_contact: OrgId
    complaints_contact: OrgId
    record_reply_hours: Annotated[int, Field(ge=1, le=720)] = 72
    liability: Text
    termination: Text


class Contract(Document):
    """One version of an electronic contract.

    proposer  who proposes this version, and alone may withdraw it; every node reads it here
    """

    contract_id: ContractId
    version: Annotated[int, Field(ge=1)]
    previous: Digest | None = None
    proposer: OrgId | None = None
    template: Literal[
        "t1_reconciliation",
        "joint_statistics",
        "blacklist_lookup",
        "joint_modelling",
        "advertising",
        "face_matching",
    ]
    title: Name
    title_en: Name
    purpose: Text
    purpose_code: Code
    parties: Annotated[tuple[Party, ...], Field(min_length=2, max_length=32)]
    platform: Platform
    data_sets: Annotated[tuple[ContractDataSet, ...], Field(min_length=1)]
    computation: Computation
    outputs: Annotated[tuple[Output, ...], Field(min_length=1)]
    limits: Limits
    schedule: Schedule | None = None
    retention_days: Annotated[int, Field(ge=1, le=36_500)]
    model_terms: ModelTerms | None = None
    automated_decision: Text = ""
    automated: AutomatedDecision | None = None
    milestones: tuple[Milestone, ...] = ()
    trial: Trial | None = None
    data_subjects: SubjectTerms | None = None
    min_set_difference: Annotated[int, Field(ge=1)] | None = None
    duties: Duties
    risk_notice: Text
    mandate: Mandate | None = None
    signing_deadline: AwareDatetime

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        """Every organisation named is a party; the protocol's positions are held by different hands."""
        known = [party.org_id for party in self.parties]
        if len(set(known)) != len(known):
            raise ValueError("parties: an organisation stands twice")
        named = {
            "proposer": (self.proposer,) if self.proposer else (),
            "platform.operator": (self.platform.operator,),
            "data_sets.owner": tuple(d.owner for d in self.data_sets),
            "computation.compute_parties": self.computation.compute_parties,
            "outputs.recipient": tuple(o.recipient for o in self.outputs),
            "outputs.reviewers": tuple(r for o in self.outputs for r in o.reviewers),
            "duties": (
                self.duties.data_subject_contact,
                self.duties.incident_contact,
                self.duties.complaints_contact,
            ),
            "milestones": tuple(o for m in self.milestones for o in m.confirmed_by),
            "mandate": (self.mandate.authority, *self.mandate.supervised) if self.mandate else (),
            "data_subjects.responsible": (self.data_subjects.responsible,) if self.data_subjects else (),
            "model_terms": tuple(s.org_id for s in self.model_terms.ownership) if self.model_terms else (),
        }
        for clause, orgs in named.items():
            for org in orgs:
                if org not in known:
                    raise ValueError(f"{clause}: {org} is not a party of this contract")
        if len(set(self.computation.compute_parties)) != 3:
            raise ValueError("computation.compute_parties: three different organisations are needed")
        if self.limits.valid_until <= self.limits.valid_from:
            raise ValueError("limits.valid_until: must be after limits.valid_from")
        if (self.version == 1) != (self.previous is None):
            raise ValueError(
                "previous: version 1 has none, every later version names its predecessor's digest"
            )
        for output in self.outputs:
            if output.quorum is not None and output.quorum > len(output.reviewers):
                raise ValueError(f"outputs.quorum: {output.quorum} of {len(output.reviewers)} reviewers")
        ids = [d.data_set_id for d in self.data_sets]
        if len(set(ids)) != len(ids):
            raise ValueError("data_sets: a data set stands twice")
        return self

    def party(self, org_id: str) -> Party:
        """The party of this name. Raises KeyError when it is none."""
        for party in self.parties:
            if party.org_id == org_id:
                return party
        raise KeyError(org_id)

    def owners(self) -> tuple[str, ...]:
        """Data owners, each once, in the contract's order."""
        return tuple(dict.fromkeys(d.owner for d in self.data_sets))

    def recipients(self) -> tuple[str, ...]:
        """Receivers of results, each once."""
        return tuple(dict.fromkeys(o.recipient for o in self.outputs))


@lru_cache(maxsize=512)
def read_contract(document: bytes) -> Contract:
    """The contract in these bytes, read once: a document never changes. Raises DocumentInvalid."""
    return Contract.from_bytes(document)


class ContractState(StrEnum):
    """draft → proposed/signing → active → suspended ⇄ active → expired / exhausted / terminated; refused or withdrawn while signing."""

    SIGNING = "signing"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REFUSED = "refused"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"
    SUPERSEDED = "superseded"
    TERMINATED = "terminated"
    WITHDRAWN = "withdrawn"


class NoticeKind(StrEnum):
    """What a party may say about a contract besides signing it."""

    REFUSE = "refuse"
    SUSPEND = "suspend"
    RESUME = "resume"
    TERMINATE = "terminate"
    WITHDRAW = "withdraw"


class ContractNotice(Document):
    """A party's refusal or the proposer's withdrawal (before it is active), a suspension, resumption or termination."""

    contract: Digest
    contract_id: ContractId
    kind: NoticeKind
    org_id: OrgId
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    issued_at: AwareDatetime
