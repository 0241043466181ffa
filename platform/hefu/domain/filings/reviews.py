"""Reviews of what computes: components, and models and parameters that enter (K5; white paper A, 3.2 and 3.5)."""

from __future__ import annotations

from typing import ClassVar, Literal

from hefu.domain.document import Digest, Name, Text
from hefu.domain.filings.base import Audience, Filing
from hefu.domain.terms import Day, MilestoneKind


class ComponentReview(Filing):
    """An organisation's review of one component's code; two different organisations must have passed it."""

    audience: ClassVar[Audience] = "everybody"

    kind: Literal["component_review"] = "component_review"
    component: Name
    code_digest: Digest
    engine_version: Name
    passed: bool
    report: Digest
    reasons: Text
    reviewer: Name


class InputReview(Filing):
    """A review of a model or of parameters that enter a computation, by a party that does not own them."""

    kind: Literal["input_review"] = "input_review"
    subject: Literal["model", "parameters"]
    digest_reviewed: Digest
    passed: bool
    reasons: Text
    reviewer: Name


class MilestoneConfirmation(Filing):
    """A party confirms that a milestone was passed on this evidence (立项 / 中期测试 / 验收 / 结项)."""

    kind: Literal["milestone_confirmation"] = "milestone_confirmation"
    milestone: MilestoneKind
    evidence: Digest
    passed: bool
    note: Text


class UseAuthorisation(Filing):
    """One use authorised by its holder 对每一次的数据使用进行授权 (K10; white paper A, 1.1.2)."""

    kind: Literal["use_authorisation"] = "use_authorisation"
    contract: Digest
    job: Name
    business_date: Day
    max_rows: int
    authorised_by: Name
