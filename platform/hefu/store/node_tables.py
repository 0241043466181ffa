"""A node's tables: its users, data sets, contracts, orders, uses, results and its own journal of evidence."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field

import hefu.store.node_keeping  # noqa: F401  whoever knows these tables knows those too
from hefu.store.base import NodeRow, blob, json_column, moment


class UserRow(NodeRow, table=True):
    """A person of this organisation."""

    __tablename__ = "node_user"
    username: str = Field(primary_key=True)
    display_name: str
    password_hash: str
    roles: list[str] = json_column(list)
    failed: int = 0
    locked_until: datetime | None = moment(nullable=True)
    disabled: bool = False
    created_at: datetime = moment()


class SessionRow(NodeRow, table=True):
    """A signed-in user's session, by the SHA-256 of its token."""

    __tablename__ = "node_session"
    token_digest: str = Field(primary_key=True)
    username: str = Field(index=True)  # revoking a user's sessions
    expires_at: datetime = moment()


class DataSetRow(NodeRow, table=True):
    """A registered data set."""

    __tablename__ = "data_set"
    data_set_id: str = Field(primary_key=True)
    definition: dict[str, Any] = json_column()
    schema_digest: str
    created_at: datetime = moment()


class ArrivalRow(NodeRow, table=True):
    """One file's part of one business date of a data set; the newest that is not replaced stands."""

    __tablename__ = "arrival"
    id: int | None = Field(default=None, primary_key=True)
    data_set_id: str
    business_date: date
    state: str  # arrived, late, rejected, replaced
    file_name: str
    stored_as: str  # file below the node's data folder
    fingerprint: str
    rows: int
    rejected: int
    amount_cents: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime = moment()
    __table_args__ = (Index("arrivals_of_a_day", "data_set_id", "business_date"),)


class ContractRow(NodeRow, table=True):
    """This node's copy of a contract, with every signature that it has verified itself."""

    __tablename__ = "contract"
    digest: str = Field(primary_key=True)
    contract_id: str = Field(index=True)
    version: int
    state: str
    document: bytes = blob()
    proposed_by: str
    received_at: datetime = moment()


class ContractSignatureRow(NodeRow, table=True):
    """A verified signature."""

    __tablename__ = "contract_signature"
    digest: str = Field(primary_key=True)
    org_id: str = Field(primary_key=True)
    envelope: bytes = blob()
    at: datetime = moment()


class ContractNoticeRow(NodeRow, table=True):
    """A verified notice of a party about a contract."""

    __tablename__ = "contract_notice"
    id: int | None = Field(default=None, primary_key=True)
    digest: str = Field(index=True)
    org_id: str
    kind: str
    reason: str
    envelope: bytes = blob()
    at: datetime = moment()


class PeerRow(NodeRow, table=True):
    """An organisation whose application this node knows from its kit or from a contract that it signed."""

    __tablename__ = "peer"
    org_id: str = Field(primary_key=True)
    application_digest: str
    application: bytes = blob()
    certificate: str | None = None
    standing: str = "active"
    standing_seq: int = 0
    learnt_from: str  # kit, or a contract's digest


class OrderRow(NodeRow, table=True):
    """An order that was accepted or refused; a second one with the same id is a replay."""

    __tablename__ = "node_order"
    order_id: str = Field(primary_key=True)
    job: str = Field(index=True)  # a job's orders
    kind: str
    attempt: int
    accepted: bool
    code: str
    envelope: bytes = blob()
    at: datetime = moment()


class SessionSeenRow(NodeRow, table=True):
    """An MPC session that this node took part in; never a second time."""

    __tablename__ = "session_seen"
    session_id: str = Field(primary_key=True)
    job: str
    attempt: int
    at: datetime = moment()


class UseRow(NodeRow, table=True):
    """This holder's own count of uses: (contract, job, own input commitment).

    rows      our own rows that went in
    rows_all  rows of everybody, as they were announced
    """

    __tablename__ = "contract_use"
    contract_id: str = Field(primary_key=True)
    job: str = Field(primary_key=True)
    commitment: str = Field(primary_key=True)
    attempts: int
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    rows_all: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    at: datetime = moment()


class AnsweredQueryRow(NodeRow, table=True):
    """Whose data a counted use of a statistic was about; the set itself lies sealed in `path`, below the node's folder."""

    __tablename__ = "answered_query"
    contract_id: str = Field(primary_key=True)
    job: str = Field(primary_key=True)
    commitment: str = Field(primary_key=True)
    contract: str
    attempt: int
    business_date: str
    statistic: str
    measure: str
    subjects: int
    path: str
    at: datetime = moment()


class JobRow(NodeRow, table=True):
    """This node's part of a job's attempt. `half_path` is a sealed result kept until release."""

    __tablename__ = "node_job"
    job: str = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    contract: str
    contract_id: str
    business_date: date
    state: str  # prepared, computing, computed, failed, aborted, released, finished
    error: str = ""
    input: dict[str, Any] = json_column()
    half_path: str | None = None
    half_digest: str | None = None
    updated_at: datetime = moment()


class JournalRow(NodeRow, table=True):
    """This node's own signed evidence, and the ledger's receipt once it has verified one."""

    __tablename__ = "journal"
    signer_seq: int = Field(primary_key=True)
    envelope_id: str = Field(unique=True)
    envelope: bytes = blob()
    kind: str
    contract: str | None = None
    job: str | None = Field(default=None, index=True)
    at: datetime = moment()
    entry_seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, nullable=True, index=True)
    )  # the sender asks for those without one
    receipt: str | None = None


class NonceRow(NodeRow, table=True):
    """Nonces of requests seen."""

    __tablename__ = "nonce"
    sender: str = Field(primary_key=True)
    nonce: str = Field(primary_key=True)
    expires_at: datetime = moment(index=True)


class ResultRow(NodeRow, table=True):
    """A result at its recipient: the sealed halves as they came, and the summary once opened."""

    __tablename__ = "result"
    job: str = Field(primary_key=True)
    attempt: int
    contract: str
    contract_id: str = Field(index=True)  # results of a contract
    business_date: date
    halves: dict[str, Any] = json_column()  # node → {path, digest}
    received_at: datetime | None = moment(nullable=True)
    opened_at: datetime | None = moment(nullable=True)
    opened_by: str = ""
    table_path: str | None = None
    summary: dict[str, Any] = json_column()


class AlarmRow(NodeRow, table=True):
    """A warning raised by the regulator's own rules."""

    __tablename__ = "alarm"
    alarm_id: str = Field(primary_key=True)
    rule: str
    contract_id: str
    business_date: date
    job: str | None = None
    party: str | None = None
    message_zh: str
    message_en: str
    raised_at: datetime = moment()
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = moment(nullable=True)
    note: str = ""


class SettingRow(NodeRow, table=True):
    """A node's own settings (alarm rules, opening of results, two-person rule)."""

    __tablename__ = "setting"
    name: str = Field(primary_key=True)
    value: dict[str, Any] = json_column()


class InquiryRow(NodeRow, table=True):
    """核查通知, at the regulator (sent) and at the organisation asked (received)."""

    __tablename__ = "inquiry"
    inquiry_id: str = Field(primary_key=True)
    job: str
    contract_id: str
    business_date: date
    org_id: str
    rows: list[int] = json_column(list)
    question: str
    state: str
    sent_at: datetime = moment()
    due_at: datetime = moment()
    reply: str = ""
    replied_at: datetime | None = moment(nullable=True)
    closed_at: datetime | None = moment(nullable=True)
    closing_note: str = ""


class CaseRow(NodeRow, table=True):
    """An exception that this organisation works on (经办/复核)."""

    __tablename__ = "case_file"
    case_id: str = Field(primary_key=True)
    inquiry_id: str = Field(index=True)
    job: str
    business_date: date
    row: int = Field(sa_column=Column(BigInteger, nullable=False))
    state: str
    assignee: str = ""
    explanation: str = ""
    adjustment_cents: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    prepared_by: str = ""
    approved_by: str = ""
    history: list[dict[str, str]] = json_column(list)


class RecordRow(NodeRow, table=True):
    """A request for the record behind a reference, at the asker and at the owner."""

    __tablename__ = "record_request"
    request_id: str = Field(primary_key=True)
    job: str
    owner: str
    asker: str
    row: int = Field(sa_column=Column(BigInteger, nullable=False))
    reason: str
    state: str
    asked_at: datetime = moment()
    due_at: datetime = moment()
    answered_at: datetime | None = moment(nullable=True)
    record: dict[str, Any] = json_column()


class FilingRow(NodeRow, table=True):
    """A signed filing 备案文件, our own or another's, verified when it came in.

    key_id     of the key that signed; it counts under a contract only where the contract pins that key for the issuer
    handed_in  our own: the coordinator has it
    """

    __tablename__ = "filing"
    digest: str = Field(primary_key=True)
    kind: str = Field(index=True)  # pages of one kind
    issuer: str
    contract_id: str | None = Field(default=None, index=True)  # what belongs to one contract
    key_id: str
    envelope: bytes = blob()
    by: str = ""
    handed_in: bool = False
    at: datetime = moment()


class PreparationRow(NodeRow, table=True):
    """A decision that one person prepared and another one has to approve (经办/复核).

    subject   the contract's digest or the job
    content   SHA-256 of what exactly was prepared: the other person approves the same
    document  a proposal's contract, which is not stored elsewhere yet
    """

    __tablename__ = "preparation"
    preparation_id: str = Field(primary_key=True)
    kind: str  # propose, sign, notice, release
    subject: str = Field(index=True)  # what waits for a contract or job
    content: str
    prepared_by: str
    prepared_at: datetime = moment()
    state: str = "prepared"  # prepared, approved, refused
    decided_by: str = ""
    reason: str = ""
    document: bytes | None = blob(nullable=True)


class FilingDraftRow(NodeRow, table=True):
    """A filing that one person prepared and another one has to approve before it is signed (经办/复核)."""

    __tablename__ = "filing_draft"
    draft_id: str = Field(primary_key=True)
    kind: str
    contract_id: str | None = None
    content: dict[str, Any] = json_column()
    prepared_by: str
    prepared_at: datetime = moment()
    state: str = "prepared"  # prepared, approved, refused
    decided_by: str = ""
    reason: str = ""
    digest: str | None = None


class ModelUseRow(NodeRow, table=True):
    """A use of a model by this organisation, as its licence allowed it."""

    __tablename__ = "model_use"
    id: int | None = Field(default=None, primary_key=True)
    model_id: str = Field(index=True)  # uses so far
    purpose: str
    predictions: int = Field(sa_column=Column(BigInteger, nullable=False))
    by: str
    at: datetime = moment()
