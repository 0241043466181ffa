"""A job: one business date of one contract, taken through seven stages (white paper A, fig. 2 and 6)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from hefu.domain.contract import ContractId
from hefu.domain.document import Digest, Document, Key32, OrgId
from hefu.domain.terms import Day

ORDER_TYPE = "application/vnd.hefu.order+json"
HELLO_TYPE = "application/vnd.hefu.hello+json"
DECISION_TYPE = "application/vnd.hefu.release-decision+json"

JobId = Annotated[str, Field(pattern=r"^J[0-9A-Z]{6,40}$")]


class Stage(StrEnum):
    """The stages in their order."""

    CHECK_PARTICIPANTS = "check_participants"
    CHECK_CONTRACT = "check_contract"
    CHECK_DATA_SOURCES = "check_data_sources"
    COMPUTE = "compute"
    CHECK_OUTPUT = "check_output"
    RELEASE = "release"
    RETAIN_AND_DELETE = "retain_and_delete"


STAGES: tuple[Stage, ...] = tuple(Stage)


class JobState(StrEnum):
    """requested → running ⇄ waiting → awaiting_review → succeeded; or refused, failed, cancelled, data_missing.

    A finished job whose day was corrected becomes `superseded` when its successor succeeds.
    """

    REQUESTED = "requested"
    RUNNING = "running"
    WAITING = "waiting"
    AWAITING_REVIEW = "awaiting_review"
    SUCCEEDED = "succeeded"
    SUPERSEDED = "superseded"
    REFUSED = "refused"
    DATA_MISSING = "data_missing"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATES = (JobState.REQUESTED, JobState.RUNNING, JobState.WAITING, JobState.AWAITING_REVIEW)
FINAL_STATES = tuple(s for s in JobState if s not in OPEN_STATES)
MAX_ATTEMPTS = 3

OrderKind = Literal["check_data", "prepare", "compute", "abort", "check_output", "release", "finish"]


class Order(Document):
    """What the coordinator asks of one node, for one stage of one attempt. Bound to its recipient; used once.

    use_number  uses of the contract by the coordinator's count, over all versions; to compute: this one included
    rows        rows of all inputs of this use, once they are known
    """

    order_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    kind: OrderKind
    contract: Digest
    contract_id: ContractId
    job: JobId
    attempt: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)]
    stage: Stage
    business_date: Day
    recipient: OrgId
    commitments: dict[OrgId, Digest] = Field(default_factory=dict)
    use_number: Annotated[int, Field(ge=0)] | None = None
    rows: Annotated[int, Field(ge=0)] | None = None
    issued_at: AwareDatetime
    expires_at: AwareDatetime


class Hello(Document):
    """A party's part in one attempt's session: 32 fresh bytes and an ephemeral X25519 key, signed by its identity key."""

    contract: Digest
    job: JobId
    attempt: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)]
    org_id: OrgId
    fresh: Key32
    ephemeral: Key32


class ReleaseDecision(Document):
    """A reviewer's decision on the release of one attempt's result.

    checked  id of the coordinator's `output_checked` evidence, which names the digests of both halves: the decision is on these
    """

    contract: Digest
    job: JobId
    attempt: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)]
    checked: Digest
    org_id: OrgId
    approved: bool
    reason: Annotated[str, Field(max_length=2000)]
    decided_at: AwareDatetime
