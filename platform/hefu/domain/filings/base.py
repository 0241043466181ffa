"""Filings 备案文件: what an organisation signs about its own compliance, for the others and the regulator to rely on.

A contract says what will be done; filings say what was assessed, declared, reviewed, judged, reported, decided or
deleted. Each is a canonical document signed by its issuer (DSSE), kept by the coordinator and by every node concerned, which
verify the signature themselves; its digest stands in the ledger. A filing is never changed: a later one of the same
issuer and subject names the one that it replaces. No filing holds personal data in the clear.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar, Literal

from pydantic import AwareDatetime

from hefu.domain.contract import ContractId
from hefu.domain.document import Digest, Document, OrgId
from hefu.domain.terms import Day

FILING_TYPE = "application/vnd.hefu.filing+json"

Audience = Literal["contract", "everybody", "named"]


class Filing(Document):
    """What all filings share.

    kind         tells the type; fixed by each subclass
    issuer       who signed it
    contract_id  the contract it belongs to; null where it concerns the organisation as such
    replaces     digest of the issuer's earlier filing that this one takes the place of
    valid_until  last day on which it counts; null where it does not expire
    """

    audience: ClassVar[Audience] = "contract"

    kind: str
    issuer: OrgId
    contract_id: ContractId | None = None
    issued_at: AwareDatetime
    valid_until: Day | None = None
    replaces: Digest | None = None

    def in_force(self, today: date) -> bool:
        """Whether it counts today, as far as its own term goes."""
        return self.valid_until is None or date.fromisoformat(self.valid_until) >= today

    def recipients(self) -> tuple[str, ...]:
        """Whom a filing of audience `named` goes to besides its issuer."""
        return ()
