"""Clauses of a contract that the compliance rules read: consent, quality, outputs, periods, milestones, models.

White paper A, chapter 3, names what a contract between the participants must fix; each model below says which point
it serves. The rules themselves are in `hefu.domain.rules`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hefu.domain.dataset import SensitiveCategory
from hefu.domain.document import Digest, Document, Name, OrgId, Text

Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")]
Ppm = Annotated[int, Field(ge=0, le=1_000_000)]
"""A share in millionths: contracts hold integers only, so that every party computes the same bytes."""


class Operation(StrEnum):
    """What may be done with personal information (PIPL art. 4); a consent names each operation it covers."""

    COLLECT = "collect"  # 收集
    STORE = "store"  # 存储
    USE = "use"  # 使用
    PROCESS = "process"  # 加工
    TRANSMIT = "transmit"  # 传输
    PROVIDE = "provide"  # 提供
    PUBLISH = "publish"  # 公开
    DELETE = "delete"  # 删除


class ConsentKind(StrEnum):
    """How strongly consent was given (white paper A, 3.1, 3.4; PIPL art. 14, 15, 23, 29, 31)."""

    GENERAL = "general"  # 同意
    EXPLICIT = "explicit"  # 明示同意
    SEPARATE = "separate"  # 单独同意
    WRITTEN = "written"  # 书面同意
    RENEWED = "renewed"  # 重新取得同意
    GUARDIAN = "guardian"  # 监护人同意


class Consent(Document):
    """One link of the consent chain 授权链 (K1): to whom, for which operations and purposes, on which notice, until when.

    collector  who obtained it from the data subjects: the owner itself, or whoever the owner received the data from
    """

    collector: Name
    notice_digest: Digest
    notice_version: Name
    kinds: Annotated[tuple[ConsentKind, ...], Field(min_length=1)]
    participants: Annotated[tuple[OrgId, ...], Field(min_length=1)]
    operations: Annotated[tuple[Operation, ...], Field(min_length=1)]
    purposes: Annotated[tuple[Code, ...], Field(min_length=1)]
    sensitive: tuple[SensitiveCategory, ...] = ()
    obtained_on: Day
    expires_on: Day | None = None


class FieldRange(Document):
    """The values that a field may take; bounds in the field's own unit (cents for money), null where open."""

    field: Name
    minimum: int | None = None
    maximum: int | None = None


class QualityRules(Document):
    """Data quality at the owner's node, before the input is committed to (K4)."""

    max_null_ppm: Ppm | None = None
    unique_fields: tuple[Name, ...] = ()
    ranges: tuple[FieldRange, ...] = ()
    max_age_days: Annotated[int, Field(ge=0, le=3660)] | None = None
    max_volume_drift_ppm: Annotated[int, Field(ge=0, le=100_000_000)] | None = None


class PeriodLimit(Document):
    """So many uses in each calendar period, counted in the business time zone (Asia/Shanghai)."""

    period: Literal["day", "week", "month", "year"]
    max_uses: Annotated[int, Field(ge=1, le=1_000_000)]


class Trial(Document):
    """Pilot: fewer rows and outputs until the acceptance milestone 验收 is passed."""

    max_rows: Annotated[int, Field(ge=1)]
    max_uses: Annotated[int, Field(ge=1)]


class MilestoneKind(StrEnum):
    """The project plan's gates (white paper A, 3.3)."""

    INITIATION = "initiation"  # 立项
    MIDTERM_TEST = "midterm_test"  # 中期测试
    ACCEPTANCE = "acceptance"  # 验收
    CLOSING = "closing"  # 结项


class Milestone(Document):
    """A gate of the project plan: due on a day, passed by named evidence, confirmed by these parties."""

    kind: MilestoneKind
    due_on: Day
    evidence: Name
    confirmed_by: Annotated[tuple[OrgId, ...], Field(min_length=1)]


class Dominance(Document):
    """(n, k): a group is suppressed when its n largest contributors make up more than this share of its total."""

    contributors: Annotated[int, Field(ge=1, le=10)] = 2
    max_share_ppm: Ppm = 850_000


class OutputColumn(Document):
    """A column of a result that may leave."""

    name: Name
    kind: Literal[
        "group_key", "count", "sum", "mean", "status", "reference", "difference", "decision", "score"
    ]


class UseTerms(Document):
    """How a released result may be used (K7): until when, and from which addresses (CIDR); it travels with the result."""

    valid_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    addresses: tuple[Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+/\d{1,3}$")], ...] = ()


class FairnessLimits(Document):
    """How far groups may differ (K8): demographic parity and equal opportunity, in millionths."""

    group_field: Name
    max_parity_gap_ppm: Ppm = 100_000
    max_opportunity_gap_ppm: Ppm = 100_000


class AutomatedDecision(Document):
    """Where results feed automated decisions about people (K8; white paper A, 3.8; PIPL art. 24)."""

    use: Literal["push", "marketing", "decision"]
    notice: Annotated[str, Field(min_length=1, max_length=4000)]
    alternative: Annotated[str, Field(min_length=1, max_length=4000)]
    refusal_channel: Annotated[str, Field(min_length=1, max_length=4000)]
    fairness: FairnessLimits | None = None


class LicenceKind(StrEnum):
    """Licences of a model (white paper A, 3.6)."""

    EXCLUSIVE = "exclusive"  # 专有许可: the licensee alone, not even the owner
    SOLE = "sole"  # 排他许可: the owner and one licensee
    ORDINARY = "ordinary"  # 普通许可: the owner may license others


class OwnershipShare(Document):
    """A party's share in one part of a model; the shares of each part sum to 1 000 000."""

    org_id: OrgId
    part: Literal["code", "structure", "parameters"]
    share_ppm: Annotated[int, Field(ge=1, le=1_000_000)]


class ModelTerms(Document):
    """Model ownership and licences 模型归属 (K6); none where no model comes out.

    own_parts  in vertical learning: parties that keep the parameters of their own features
    """

    ownership: Annotated[tuple[OwnershipShare, ...], Field(min_length=1)]
    own_parts: tuple[OrgId, ...] = ()
    licence: LicenceKind
    licensees: tuple[OrgId, ...] = ()
    sublicence: bool = False
    customisation: bool = False
    territory: Name = "CN"
    max_predictions: Annotated[int, Field(ge=1)] | None = None
    valid_until: Day | None = None

    @model_validator(mode="after")
    def _shares_make_a_whole(self) -> Self:
        for part in {share.part for share in self.ownership}:
            total = sum(s.share_ppm for s in self.ownership if s.part == part)
            if total != 1_000_000:
                raise ValueError(f"ownership: the shares of {part} sum to {total} ppm, not to 1000000")
        if self.licence is not LicenceKind.ORDINARY and len(self.licensees) > 1:
            raise ValueError(f"licensees: a licence of kind {self.licence.value} has one licensee")
        return self


class SubjectTerms(Document):
    """Who answers data subjects, and within how many days (K13)."""

    responsible: OrgId
    reply_days: Annotated[int, Field(ge=1, le=60)] = 15
    note: Text = ""
