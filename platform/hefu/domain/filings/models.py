"""Models: who owns them, who may use them (K6; white paper A, 3.6)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hefu.domain.document import Digest, Name, OrgId
from hefu.domain.filings.base import Filing
from hefu.domain.terms import LicenceKind, OwnershipShare


class ModelRegistration(Filing):
    """A model that came out of a contract, with its owners and the digest of each part that the issuer holds."""

    kind: Literal["model_registration"] = "model_registration"
    model_id: Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9-]{3,39}$")]
    ownership: Annotated[tuple[OwnershipShare, ...], Field(min_length=1)]
    parts: dict[OrgId, Digest]
    job: Name | None = None


class LicenceGrant(Filing):
    """An owner licenses a model. A sublicence is granted by a licensee that has the right to."""

    kind: Literal["licence_grant"] = "licence_grant"
    model_id: Name
    licensee: OrgId
    licence: LicenceKind
    under: Digest | None = None
    may_sublicense: bool = False
    may_customise: bool = False
    territory: Name
    valid_from: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    max_predictions: Annotated[int, Field(ge=1)] | None = None


class LicenceRevocation(Filing):
    """A licence ends before its term."""

    kind: Literal["licence_revocation"] = "licence_revocation"
    grant: Digest
    reason: Name
