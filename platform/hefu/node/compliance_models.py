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
