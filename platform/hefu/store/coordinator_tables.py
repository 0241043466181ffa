"""The coordinator's tables: registry, contracts, jobs. Metadata, digests and verdicts only."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field

from hefu.store.base import CoordinatorRow, blob, json_column, moment


class ApplicationRow(CoordinatorRow, table=True):
    """An application with its review, admission and certificate."""

    __tablename__ = "application"
    digest: str = Field(primary_key=True)
    org_id: str = Field(index=True)  # registry look-up by organisation
    state: str  # submitted, approved, refused, admitted
    standing: str = "active"
    standing_seq: int = 0
    envelope: bytes = blob()
    review: bytes | None = blob(nullable=True)
    admission: bytes | None = blob(nullable=True)
    certificate: str | None = None
    identity_key: str
    key_id: str = Field(index=True)  # signature checks look a signer up by key
    created_at: datetime = moment()


class StandingRow(CoordinatorRow, table=True):
    """Every standing notice, in the order of arrival."""

    __tablename__ = "standing_notice"
    id: int | None = Field(default=None, primary_key=True)
    org_id: str
    envelope: bytes = blob()
    at: datetime = moment()


class ContractRow(CoordinatorRow, table=True):
    """One version of a contract."""

    __tablename__ = "contract"
    digest: str = Field(primary_key=True)
    contract_id: str = Field(index=True)  # versions of one contract
    version: int
    state: str = Field(index=True)  # active ones for the scheduler
    document: bytes = blob()
    proposed_by: str
    proposed_at: datetime = moment()
    activated_at: datetime | None = moment(nullable=True)
    paused: bool = False
    moved_cron: str | None = None
    __table_args__ = (Index("one_version_of_a_contract", "contract_id", "version", unique=True),)


class ContractSignatureRow(CoordinatorRow, table=True):
    """A party's signature of a contract version."""

    __tablename__ = "contract_signature"
    digest: str = Field(primary_key=True)
    org_id: str = Field(primary_key=True)
    envelope: bytes = blob()
    at: datetime = moment()


class ContractNoticeRow(CoordinatorRow, table=True):
    """A party's refusal, suspension, resumption or termination."""

    __tablename__ = "contract_notice"
    id: int | None = Field(default=None, primary_key=True)
    digest: str = Field(index=True)  # all notices of a contract version
    org_id: str
    kind: str
    reason: str
    envelope: bytes = blob()
    at: datetime = moment()


class JobRow(CoordinatorRow, table=True):
    """One business date of one contract; a correction is a new revision that supersedes the old."""

    __tablename__ = "job"
    job_id: str = Field(primary_key=True)
    contract_id: str
    contract_digest: str
    business_date: date
    revision: int = 1
    supersedes: str | None = None
    superseded_by: str | None = None
    state: str
    stage: str | None = None
    attempt: int = 1
    reason: str = ""
    failure: str = ""
    requested_by: str
    inputs: dict[str, Any] = json_column()  # owner → {commitment, rows, batches}
    progress: dict[str, Any] = json_column()
    lease: int = 0
    lease_until: datetime | None = moment(nullable=True)
    retry_at: datetime | None = moment(nullable=True)
    cutoff_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment()
    started_at: datetime | None = moment(nullable=True)
    finished_at: datetime | None = moment(nullable=True)
    __table_args__ = (
        # Two open jobs of one contract and day cannot both be; two schedulers firing at once collide here.
        Index(
            "one_open_job_a_day",
            "contract_id",
            "business_date",
            unique=True,
            postgresql_where=text("state in ('requested', 'running', 'waiting', 'awaiting_review')"),
        ),
        Index("one_revision_a_day", "contract_id", "business_date", "revision", unique=True),
        Index("jobs_by_state", "state"),  # startable jobs
    )


class StageRow(CoordinatorRow, table=True):
    """The outcome of one stage of one attempt."""

    __tablename__ = "stage"
    job_id: str = Field(primary_key=True)
    stage: str = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    state: str  # running, passed, waiting, failed
    verdict: dict[str, Any] = json_column()
    parties: dict[str, Any] = json_column()
    started_at: datetime = moment()
    finished_at: datetime | None = moment(nullable=True)


class UseRow(CoordinatorRow, table=True):
    """A use of a contract: (contract, job, input commitment). Attempts with an equal commitment are one use.

    joined  data holders that confirmed, under their signature, to have counted it too
    """

    __tablename__ = "contract_use"
    contract_id: str = Field(primary_key=True)
    job_id: str = Field(primary_key=True)
    commitment: str = Field(primary_key=True)
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime = moment()
    joined: list[str] = json_column(list)


class DeliveryRow(CoordinatorRow, table=True):
    """What an owner said of a day's data: the newest one stands."""

    __tablename__ = "delivery"
    id: int | None = Field(default=None, primary_key=True)
    data_set_id: str
    owner: str
    business_date: date
    state: str
    fingerprint: str
    rows: int
    rejected: int
    at: datetime = moment()
    __table_args__ = (Index("deliveries_of_a_day", "data_set_id", "business_date"),)


class DataSetRow(CoordinatorRow, table=True):
    """A data set's metadata as its owner published it."""

    __tablename__ = "data_set"
    data_set_id: str = Field(primary_key=True)
    owner: str
    definition: dict[str, Any] = json_column()
    schema_digest: str
    at: datetime = moment()


class DecisionRow(CoordinatorRow, table=True):
    """A reviewer's signed decision on the release of a job's result."""

    __tablename__ = "decision"
    job_id: str = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    org_id: str = Field(primary_key=True)
    approved: bool
    envelope: bytes = blob()
    at: datetime = moment()


class FilingRow(CoordinatorRow, table=True):
    """A signed filing 备案文件, verified under its issuer's key when it came in."""

    __tablename__ = "filing"
    digest: str = Field(primary_key=True)
    kind: str
    issuer: str
    contract_id: str | None = Field(default=None, index=True)  # what belongs to one contract
    envelope: bytes = blob()
    at: datetime = moment()


class ApprovalRow(CoordinatorRow, table=True):
    """One decision that parties are asked for, as `hefu.domain.approval` has it."""

    __tablename__ = "approval"
    kind: str
    subject: str = Field(primary_key=True)
    contract_id: str | None = Field(default=None, index=True)  # decisions of one contract
    state: str = Field(index=True)  # open ones, for deadlines and reminders
    deadline: datetime = moment()
    value: dict[str, Any] = json_column()


class JournalRow(CoordinatorRow, table=True):
    """The coordinator's own signed evidence."""

    __tablename__ = "journal"
    signer_seq: int = Field(primary_key=True)
    envelope_id: str = Field(unique=True)
    envelope: bytes = blob()
    kind: str
    contract: str | None = None
    job: str | None = None
    at: datetime = moment()
    __table_args__ = (
        Index("newest_change_outside_jobs", "signer_seq", postgresql_where=text("job is null")),
    )


class NonceRow(CoordinatorRow, table=True):
    """Nonces of requests seen, kept until they are too old to be accepted anyway."""

    __tablename__ = "nonce"
    sender: str = Field(primary_key=True)
    nonce: str = Field(primary_key=True)
    expires_at: datetime = moment(index=True)  # clearing out
