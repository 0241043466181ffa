"""One approval object 审批单 per decision: bound to the exact document by hash, with a deadline, answers and reminders.

open → approved (everybody asked has agreed, or the quorum has) · refused (so many have not that it cannot be) · withdrawn (by the requester) · overdue (deadline
passed while somebody was still awaited). The last four are final. White paper A, 3.3: decisions of the participants are
taken on the record. Pure: whoever calls says what time it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from hefu.domain.document import Digest, Document, OrgId
from hefu.domain.errors import TransitionRefused
from hefu.domain.job import MAX_ATTEMPTS, JobId

REMIND_BEFORE = (timedelta(days=3), timedelta(days=1), timedelta(hours=4))


class ApprovalKind(StrEnum):
    """What is decided."""

    CONTRACT_SIGNATURE = "contract_signature"
    AMENDMENT = "amendment"
    RELEASE = "release"


class ApprovalState(StrEnum):
    """Where a decision stands."""

    OPEN = "open"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OVERDUE = "overdue"


class Answer(Document):
    """One party's answer; a refusal carries its reason."""

    org_id: OrgId
    approved: bool
    reason: Annotated[str, Field(max_length=2000)] = ""
    at: AwareDatetime

    @model_validator(mode="after")
    def _refusal_says_why(self) -> Self:
        if not self.approved and not self.reason.strip():
            raise ValueError("reason: a refusal says why")
        return self


class ReleaseSubject(Document):
    """What the decision on a release is on: one output of one attempt, as the output check found it.

    output   the output's place in the contract, from 0
    checked  id of the coordinator's `output_checked` evidence
    halves   the digests of the sealed halves that it names, by holder
    """

    contract: Digest
    job: JobId
    attempt: Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)]
    output: Annotated[int, Field(ge=0)]
    checked: Digest
    halves: dict[OrgId, Digest]


class Approval(Document):
    """A decision asked for.

    subject     digest of the exact document that is decided on
    asked       the parties whose answer is needed, each once
    quorum      how many of them must agree; null: all
    release     the document itself, where it is a release
    reminded_at when each reminder was given
    """

    kind: ApprovalKind
    subject: Digest
    requested_by: OrgId
    asked: Annotated[tuple[OrgId, ...], Field(min_length=1)]
    opened_at: AwareDatetime
    deadline: AwareDatetime
    quorum: Annotated[int, Field(ge=1)] | None = None
    release: ReleaseSubject | None = None
    answers: tuple[Answer, ...] = ()
    reminded_at: tuple[AwareDatetime, ...] = ()
    state: ApprovalState = ApprovalState.OPEN
    closed_at: AwareDatetime | None = None
    withdrawal_reason: str = ""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.asked)) != len(self.asked):
            raise ValueError("asked: an organisation stands twice")
        answered = [answer.org_id for answer in self.answers]
        if len(set(answered)) != len(answered) or not set(answered) <= set(self.asked):
            raise ValueError("answers: one answer of each party that was asked")
        if self.quorum is not None and self.quorum > len(self.asked):
            raise ValueError(f"quorum: {self.quorum} of {len(self.asked)}")
        return self

    @model_validator(mode="after")
    def _names_its_subject(self) -> Self:
        if (self.release is not None) != (self.kind is ApprovalKind.RELEASE):
            raise ValueError("release: given with a decision on a release, and with no other")
        if self.release is not None and self.release.digest != self.subject:
            raise ValueError("subject: is not the digest of the release")
        return self

    def waits_for(self) -> tuple[str, ...]:
        """Whom an open decision still waits for; nobody once it is closed."""
        if self.state is not ApprovalState.OPEN:
            return ()
        answered = {answer.org_id for answer in self.answers}
        return tuple(org for org in self.asked if org not in answered)

    def answer(self, org_id: str, *, approved: bool, at: datetime, reason: str = "") -> Approval:
        """With one party's answer. The same answer twice changes nothing.

        raises  TransitionRefused: not asked, answered otherwise before, closed, or past the deadline
        """
        if org_id not in self.asked:
            raise TransitionRefused(f"{org_id} is not asked for this decision")
        given = next((a for a in self.answers if a.org_id == org_id), None)
        if given is not None and given.approved == approved:
            return self
        self._open(at)
        if given is not None and approved:
            raise TransitionRefused(f"{org_id} has answered already")
        kept = tuple(a for a in self.answers if a.org_id != org_id)
        answers = (*kept, Answer(org_id=org_id, approved=approved, reason=reason, at=at))
        needed = self.quorum or len(self.asked)
        refusals = sum(not a.approved for a in answers)
        state = ApprovalState.OPEN
        if len(answers) - refusals >= needed:
            state = ApprovalState.APPROVED
        elif len(self.asked) - refusals < needed:
            state = ApprovalState.REFUSED
        return self._with(answers=answers, state=state, closed_at=None if state is ApprovalState.OPEN else at)

    def withdraw(self, org_id: str, *, at: datetime, reason: str) -> Approval:
        """Taken back by whoever asked, before it is complete. Raises TransitionRefused."""
        if org_id != self.requested_by:
            raise TransitionRefused(f"only {self.requested_by}, who asked for the decision, withdraws it")
        if self.state is not ApprovalState.OPEN:
            raise TransitionRefused(f"the decision is {self.state.value}")
        if not reason.strip():
            raise TransitionRefused("a withdrawal says why")
        return self._with(state=ApprovalState.WITHDRAWN, closed_at=at, withdrawal_reason=reason)

    def expire(self, at: datetime) -> Approval:
        """Overdue, where the deadline has passed while somebody is awaited; else itself."""
        if self.state is ApprovalState.OPEN and at > self.deadline:
            return self._with(state=ApprovalState.OVERDUE, closed_at=at)
        return self

    def remind(self, at: datetime) -> Approval:
        """With a reminder noted, where one is due now; else itself."""
        return self._with(reminded_at=(*self.reminded_at, at)) if self.reminder_due(at) else self

    def reminder_due(self, at: datetime) -> bool:
        """Is a reminder due: three days, one day, four hours before the deadline, each once?"""
        if self.state is not ApprovalState.OPEN or at > self.deadline:
            return False
        for before in REMIND_BEFORE:
            moment = self.deadline - before
            if self.opened_at <= moment <= at and not any(given >= moment for given in self.reminded_at):
                return True
        return False

    def days_left(self, at: datetime) -> int:
        """Whole days until the deadline; negative when it is past."""
        return (self.deadline - at) // timedelta(days=1)

    def _open(self, at: datetime) -> None:
        if self.state is not ApprovalState.OPEN:
            raise TransitionRefused(f"the decision is {self.state.value}")
        if at > self.deadline:
            raise TransitionRefused("the deadline of the decision has passed")

    def _with(self, **changes: object) -> Approval:
        return Approval.model_validate({**dict(self), **changes})
