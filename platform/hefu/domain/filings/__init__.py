"""Filings 备案文件: every signed document about compliance, by kind, and how it is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import TypeVar

from hefu.domain.document import MAX_DOCUMENT_BYTES
from hefu.domain.errors import DocumentInvalid
from hefu.domain.filings import admission, assessment, events, models, reviews, sources
from hefu.domain.filings.base import FILING_TYPE, Filing

__all__ = ["FILING_TYPE", "KINDS", "Filing", "Filings", "read_filing"]

F = TypeVar("F", bound=Filing)

_TYPES: tuple[type[Filing], ...] = (
    admission.AdmissionDossier,
    admission.ThirdPartyAssessment,
    admission.RiskNoticeAcknowledgement,
    admission.Signatory,
    admission.Supervision,
    assessment.ImpactAssessment,
    assessment.Reevaluation,
    assessment.StageJudgement,
    assessment.EffectEvaluation,
    assessment.FairnessReport,
    sources.SourceDeclaration,
    reviews.ComponentReview,
    reviews.InputReview,
    reviews.MilestoneConfirmation,
    reviews.UseAuthorisation,
    events.IncidentReport,
    events.Complaint,
    events.ComplaintOutcome,
    events.SubjectRequest,
    events.SubjectRequestOutcome,
    events.DeletionCertificate,
    events.LegalHold,
    events.MinimisationReview,
    models.ModelRegistration,
    models.LicenceGrant,
    models.LicenceRevocation,
)

KINDS: Mapping[str, type[Filing]] = MappingProxyType(
    {str(kind.model_fields["kind"].default): kind for kind in _TYPES}
)


@lru_cache(maxsize=4096)
def read_filing(document: bytes) -> Filing:
    """The filing in these canonical bytes, of the type that its `kind` names. Raises DocumentInvalid."""
    if len(document) > MAX_DOCUMENT_BYTES:
        raise DocumentInvalid("Filing", "", f"larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        value = json.loads(document)
    except ValueError as error:
        raise DocumentInvalid("Filing", "", "not JSON") from error
    kind = value.get("kind") if isinstance(value, dict) else None
    found = KINDS.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise DocumentInvalid("Filing", "kind", "is no kind of filing")
    return found.from_bytes(document)


@dataclass(frozen=True)
class Filings:
    """The filings that a rule may rely on: each verified under its issuer's key by whoever made this collection.

    A filing that another one of the same issuer and kind replaces no longer counts.
    """

    filed: tuple[Filing, ...] = ()

    @classmethod
    def of(cls, filed: Iterable[Filing]) -> Filings:
        """A collection without what was replaced, oldest first."""
        found = sorted(filed, key=lambda f: (f.issued_at, f.digest))
        replaced = {(f.issuer, f.kind, f.replaces) for f in found if f.replaces is not None}
        return cls(tuple(f for f in found if (f.issuer, f.kind, f.digest) not in replaced))

    def __iter__(self) -> Iterator[Filing]:
        return iter(self.filed)

    def all(
        self, kind: type[F], *, issuer: str | None = None, contract_id: str | None = None
    ) -> tuple[F, ...]:
        """Filings of a kind, oldest first; of one issuer, of one contract, where that is asked for."""
        return tuple(
            f
            for f in self.filed
            if isinstance(f, kind)
            and (issuer is None or f.issuer == issuer)
            and (contract_id is None or f.contract_id == contract_id)
        )

    def newest(
        self, kind: type[F], today: date, *, issuer: str | None = None, contract_id: str | None = None
    ) -> F | None:
        """The newest one that is in force, or None."""
        found = [f for f in self.all(kind, issuer=issuer, contract_id=contract_id) if f.in_force(today)]
        return found[-1] if found else None
