"""Admission files 准入材料 (K3; white paper A, 3.3): what a participant shows about itself, and what others found."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hefu.domain.document import Digest, Name, OrgId, Text
from hefu.domain.filings.base import Audience, Filing
from hefu.domain.identity import Qualification
from hefu.domain.terms import Day

CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class AdmissionDossier(Filing):
    """An organisation's own file. Without one in force it takes part in nothing.

    mlps_level       level of the 等级保护 certificate (GB/T 22239), 1 to 5
    node_country     where the node and its data lie (境内存储), ISO 3166 alpha-2; region as the organisation calls it
    supervised_site  名称 of the platform that the competent authority provides (场内), if the node runs there
    """

    audience: ClassVar[Audience] = "everybody"

    kind: Literal["admission_dossier"] = "admission_dossier"
    mlps_level: Annotated[int, Field(ge=1, le=5)]
    mlps_certificate: Name
    mlps_expires_on: Day
    pi_officer: Name
    pi_officer_contact: Name
    last_training_on: Day
    emergency_plan: Digest
    last_drill_on: Day
    management_rules: Digest
    qualifications: tuple[Qualification, ...] = ()
    node_country: CountryCode
    node_region: Name
    supervised_site: Name | None = None
    storage_encrypted: bool
    backup: bool
    controlling_shareholder: Name | None = None
    affiliates: tuple[OrgId, ...] = ()


class ThirdPartyAssessment(Filing):
    """A third party's report about an organisation: security, compliance, data quality or algorithm (R4)."""

    audience: ClassVar[Audience] = "everybody"

    kind: Literal["third_party_assessment"] = "third_party_assessment"
    subject: OrgId
    scope: Literal["admission", "security", "compliance", "data_quality", "algorithm"]
    passed: bool
    report: Digest
    summary: Text


class RiskNoticeAcknowledgement(Filing):
    """A party has read the contract's risk notice 风险提示 (white paper A, 3.3, fourth point)."""

    kind: Literal["risk_notice_acknowledgement"] = "risk_notice_acknowledgement"
    notice: Digest
    acknowledged_by: Name


class Signatory(Filing):
    """Who is authorised to sign for a party 授权签字人, and the digest of the sealed paper contract, if there is one."""

    kind: Literal["signatory"] = "signatory"
    contract: Digest
    name: Name
    office: Name
    authorisation: Digest
    paper_contract: Digest | None = None


class Supervision(Filing):
    """A handler's record of having checked on a party that it entrusts 受托方监督记录 (PIPL art. 21)."""

    kind: Literal["supervision"] = "supervision"
    entrusted: OrgId
    checked_on: Day
    findings: Text
    satisfied: bool
