"""Where data comes from 数据源合规 (K4; white paper A, 3.4): the provider's signed declaration with its checklists."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from hefu.domain.dataset import SourceKind
from hefu.domain.document import Digest, Document, Name, Text
from hefu.domain.filings.base import Filing


class SourceCheck(StrEnum):
    """The questions of the checklists; which of them must be answered yes depends on the source's kind."""

    NOTICE_GIVEN = "notice_given"  # direct: processing rules shown, notice given
    CONSENT_FREE = "consent_free"  # direct: consent voluntary, explicit, fully informed
    POLICY_COMPLETE = "policy_complete"  # direct: privacy agreement in order
    ORIGIN_STATED = "origin_stated"  # indirect: provider explained the origin
    CONSENT_RANGE_KNOWN = "consent_range_known"  # indirect: range of the consent obtained is known
    LAWFULNESS_CONFIRMED = "lawfulness_confirmed"  # indirect: lawfulness and authenticity confirmed
    EXCEEDING_RENEWED = "exceeding_renewed"  # indirect: explicit consent renewed where the range is exceeded
    PUBLIC_SECURITY_NEED = "public_security_need"  # public place: needed for public security
    SIGNS_SHOWN = "signs_shown"  # public place: conspicuous signs
    SEPARATE_CONSENT = "separate_consent"  # public place: or separate consent
    GUARDIAN_CONSENT = "guardian_consent"  # minors: the guardian's consent
    MINOR_RULES = "minor_rules"  # minors: processing rules of their own


class ImportantData(Document):
    """What important data 重要数据 need; or else the platform of the competent authority 场内."""

    risk_assessment: Digest
    backup: bool
    encrypted: bool
    stored_in_country: bool
    on_supervised_site: bool = False


class SourceDeclaration(Filing):
    """A provider's declaration about one data set: origin, range of consent, what was checked."""

    kind: Literal["source_declaration"] = "source_declaration"
    data_set_id: Name
    schema_digest: Digest
    source_kind: SourceKind
    origin: Annotated[str, Field(min_length=1, max_length=4000)]
    consent_range: Text = ""
    checks: dict[SourceCheck, bool]
    minors: bool = False
    important: ImportantData | None = None
    prepared_by: Name
    approved_by: Name
