"""Which filings a rule may rely on: of this contract or of the organisation as such, each issuer's newest that is in force."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import TypeVar

from hefu.domain.filings import Filing
from hefu.domain.filings.admission import AdmissionDossier
from hefu.domain.rules.matter import Matter

F = TypeVar("F", bound=Filing)
SOON = timedelta(days=30)
"""What expires within this time is said beforehand."""


def concerning(matter: Matter, kind: type[F], *, issuer: str | None = None) -> tuple[F, ...]:
    """Filings in force that name this contract or none, oldest first."""
    return tuple(
        f
        for f in matter.filings.all(kind, issuer=issuer)
        if f.contract_id in (None, matter.contract.contract_id) and f.in_force(matter.today)
    )


def of_contract(matter: Matter, kind: type[F], *, issuer: str | None = None) -> tuple[F, ...]:
    """Filings in force that name this contract, oldest first."""
    return tuple(
        f
        for f in matter.filings.all(kind, issuer=issuer, contract_id=matter.contract.contract_id)
        if f.in_force(matter.today)
    )


def newest_each(filings: Iterable[F]) -> dict[str, F]:
    """Issuer -> its newest, of filings that come oldest first."""
    return {f.issuer: f for f in filings}


def newest(filings: Iterable[F]) -> F | None:
    """The last of filings that come oldest first."""
    found = list(filings)
    return found[-1] if found else None


def dossier_of(matter: Matter, org_id: str) -> AdmissionDossier | None:
    """An organisation's dossier in force, or None."""
    return newest(concerning(matter, AdmissionDossier, issuer=org_id))


def dossiers(matter: Matter) -> list[AdmissionDossier]:
    """The dossiers in force of all parties, one each."""
    return list(newest_each(concerning(matter, AdmissionDossier)).values())


def day(text: str) -> date:
    """A clause's or filing's day."""
    return date.fromisoformat(text)
