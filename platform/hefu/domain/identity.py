"""Organisations: application, review, admission, standing (white paper A, chapters 2 and 3.3).

An application is signed by the identity key that it names, so that nobody can apply in another's name with its keys;
the auditor signs the application's digest; the operator admits. Contracts pin the digest: whoever swaps a key swaps
the digest, and the contract's signatures no longer fit.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, field_validator

from hefu.domain.document import Digest, Document, Key32, Name, OrgId, Text

APPLICATION_TYPE = "application/vnd.hefu.application+json"
REVIEW_TYPE = "application/vnd.hefu.review+json"
ADMISSION_TYPE = "application/vnd.hefu.admission+json"
STANDING_TYPE = "application/vnd.hefu.standing+json"

RESERVED_ID = "coordinator"
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)


def uscc_check_character(first17: str) -> str:
    """Check character of a unified social credit code (GB 32100-2015) from its first 17 characters.

    raises  ValueError when a character is outside the code's alphabet
    """
    total = sum(_USCC_ALPHABET.index(c) * w for c, w in zip(first17, _USCC_WEIGHTS, strict=True))
    return _USCC_ALPHABET[(31 - total % 31) % 31]


def _check_uscc(code: str) -> str:
    if len(code) != 18 or any(c not in _USCC_ALPHABET for c in code):
        raise ValueError(
            "统一社会信用代码须为18位 / a unified social credit code has 18 characters, without I, O, S, V, Z"
        )
    if uscc_check_character(code[:17]) != code[17]:
        raise ValueError(
            "统一社会信用代码校验位不符 / the unified social credit code's check character is wrong"
        )
    return code


UnifiedSocialCreditCode = Annotated[str, AfterValidator(_check_uscc)]


class Role(StrEnum):
    """Roles of white paper A, chapter 2; one organisation may hold several."""

    DATA_PROVIDER = "data_provider"
    COMPUTE_PARTY = "compute_party"
    SCHEDULER = "scheduler"
    ALGORITHM_PROVIDER = "algorithm_provider"
    PLATFORM_PROVIDER = "platform_provider"
    RESULT_CONSUMER = "result_consumer"
    AUDITOR = "auditor"
    REGULATOR = "regulator"


class Qualification(Document):
    """A licence or certificate that the organisation holds."""

    name: Name
    number: Name
    expires_on: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class PublicKeys(Document):
    """Raw 32-byte keys in base64; the TLS key as the SHA-256 of its SubjectPublicKeyInfo."""

    identity: Key32
    sealing: Key32
    tls_spki: Digest


class Application(Document):
    """An organisation's application to take part."""

    org_id: OrgId
    legal_name: Name
    legal_name_en: Name
    uscc: UnifiedSocialCreditCode
    contact: Name
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    qualifications: tuple[Qualification, ...] = ()
    controlling_shareholder: Name | None = None
    affiliates: tuple[OrgId, ...] = ()
    self_assessment: Text = ""
    keys: PublicKeys
    url: Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.\-]+:\d{2,5}$")]
    channel_host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.\-]+$")]
    channel_port: Annotated[int, Field(ge=1, le=65535)]
    applied_at: AwareDatetime

    @field_validator("org_id")
    @classmethod
    def _is_not_the_coordinator(cls, org_id: str) -> str:
        """The coordinator sends and signs evidence under a name of its own: nobody applies for it."""
        if org_id == RESERVED_ID:
            raise ValueError(f"{org_id} 为调度方保留 / {org_id} is the coordinator's own name")
        return org_id


class Review(Document):
    """The auditor's decision on an application."""

    application: Digest
    org_id: OrgId
    approved: bool
    reasons: Text
    reviewed_at: AwareDatetime


class Admission(Document):
    """The operator's admission of a reviewed application; `review` is null where the start-up kit pins the applicant."""

    application: Digest
    review: Digest | None
    org_id: OrgId
    admitted_at: AwareDatetime


class Standing(StrEnum):
    """An admitted organisation's standing."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class StandingNotice(Document):
    """Suspends, resumes or revokes an organisation; takes effect where it arrives, on the next request."""

    org_id: OrgId
    standing: Standing
    reason: Text
    issued_by: OrgId
    issued_at: AwareDatetime
    sequence: Annotated[int, Field(ge=1, lt=2**31)]


def may_issue(notice: StandingNotice, current: Standing, *, operator: str, auditors: Collection[str]) -> bool:
    """The operator and the auditors change any standing; an organisation its own, to nothing better than it is."""
    if notice.issued_by == operator or notice.issued_by in auditors:
        return True
    grades = list(Standing)  # from best to worst
    worse = grades.index(notice.standing) >= max(grades.index(current), grades.index(Standing.SUSPENDED))
    return notice.issued_by == notice.org_id and worse
