"""Coverage of the consent chain 用户授权链条的完整性: participants x operations, for one data set (white paper A, 3.1).

Consent must cover every participant and every operation. Shares, slices and gradients are personal information
(white paper A, 1.2 and 3.2): a compute party that only ever sees shares is required in the chain. The scheduler is not:
it handles identifiers of jobs, digests and verdicts, and no share passes it; where the operator is a compute party
too, it is required as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from hefu.domain.contract import Contract, ContractDataSet
from hefu.domain.dataset import IdentifierClass, SensitiveCategory, SourceKind
from hefu.domain.terms import Consent, ConsentKind, Operation

_EXPLICIT = frozenset(ConsentKind) - {ConsentKind.GENERAL}
_MET_BY = {kind: frozenset({kind}) for kind in ConsentKind} | {
    ConsentKind.GENERAL: frozenset(ConsentKind),
    ConsentKind.EXPLICIT: _EXPLICIT,
}


@dataclass(frozen=True)
class Cell:
    """One participant and operation: the kinds of consent needed, and what is missing (empty: covered).

    missing  `no_consent`, `participant`, `operation`, `purpose`, `not_in_term`, `kind:<kind>`, `sensitive:<category>`
    """

    participant: str
    operation: Operation
    kinds: frozenset[ConsentKind]
    missing: tuple[str, ...]

    @property
    def covered(self) -> bool:
        """Whether one consent covers it whole."""
        return not self.missing


@dataclass(frozen=True)
class Coverage:
    """The matrix of one data set, as the console draws it."""

    data_set_id: str
    purpose_code: str
    cells: tuple[Cell, ...]

    @property
    def complete(self) -> bool:
        """Whether the chain has no gap."""
        return all(cell.covered for cell in self.cells)


def sensitive_of(data_set: ContractDataSet) -> frozenset[SensitiveCategory]:
    """Sensitive categories among the fields that the contract uses (white paper A, 3.4)."""
    found = {f.sensitive for f in data_set.fields} - {SensitiveCategory.NONE}
    return frozenset(found | ({SensitiveCategory.MINOR} if data_set.minors else set()))


def operations_needed(contract: Contract, data_set: ContractDataSet) -> dict[str, tuple[Operation, ...]]:
    """What each participant does with this data set, the owner first (white paper A, 3.1; PIPL art. 4)."""
    recipients = contract.recipients()
    away = any(org != data_set.owner for org in (*contract.computation.compute_parties, *recipients))
    own = [Operation.COLLECT, Operation.STORE, Operation.USE, Operation.PROCESS]
    found: dict[str, list[Operation]] = {data_set.owner: own + ([Operation.PROVIDE] if away else [])}
    for org in contract.computation.compute_parties:
        found.setdefault(org, []).extend([Operation.TRANSMIT, Operation.PROCESS, Operation.STORE])
    for org in recipients:
        found.setdefault(org, []).extend(
            [Operation.USE] if org == data_set.owner else [Operation.PROVIDE, Operation.USE]
        )
    return {org: tuple(dict.fromkeys(operations)) for org, operations in found.items()}


def kinds_needed(
    contract: Contract, data_set: ContractDataSet, participant: str, operation: Operation
) -> frozenset[ConsentKind]:
    """The kinds of consent that this operation of this participant needs, all of them.

    Separate for sensitive information (PIPL 29), for providing to another handler (23) and publishing (25);
    written only where a law demands it (genetic data); the guardian's for children
    under fourteen (31); explicit where the fields identify (white paper B, 3.2: high and medium risk); else general.
    """
    sensitive = sensitive_of(data_set)
    kinds: set[ConsentKind] = set()
    if data_set.minors or SensitiveCategory.MINOR in sensitive:
        kinds.add(ConsentKind.GUARDIAN)
    provided = (
        operation is Operation.PROVIDE
        and participant in contract.recipients()
        and participant != data_set.owner
    )
    if sensitive or provided or operation is Operation.PUBLISH:
        kinds.add(ConsentKind.SEPARATE)
    if SensitiveCategory.GENETIC in sensitive and operation is Operation.COLLECT:
        kinds.add(ConsentKind.WRITTEN)
    if kinds:
        return frozenset(kinds)
    identifies = any(f.identifier_class is not IdentifierClass.NONE for f in data_set.fields)
    return frozenset({ConsentKind.EXPLICIT if identifies else ConsentKind.GENERAL})


def in_term(consent: Consent, today: date) -> bool:
    """Obtained already, and not expired."""
    if date.fromisoformat(consent.obtained_on) > today:
        return False
    return consent.expires_on is None or date.fromisoformat(consent.expires_on) >= today


def _exceeds(
    data_set: ContractDataSet, consent: Consent, purpose: str, participant: str, operation: Operation
) -> bool:
    """Whether an earlier consent was narrower: a new purpose (PIPL 14); an indirect source's wider range (3.4)."""
    for earlier in data_set.consents:
        if earlier.obtained_on >= consent.obtained_on or earlier.collector != consent.collector:
            continue
        if purpose not in earlier.purposes:
            return True
        if data_set.source_kind is SourceKind.INDIRECT and (
            participant not in earlier.participants or operation not in earlier.operations
        ):
            return True
    return False


def _missing(
    contract: Contract,
    data_set: ContractDataSet,
    consent: Consent,
    participant: str,
    operation: Operation,
    kinds: frozenset[ConsentKind],
    today: date,
) -> tuple[str, ...]:
    found: list[str] = []
    if participant not in consent.participants:
        found.append("participant")
    if operation not in consent.operations:
        found.append("operation")
    if contract.purpose_code not in consent.purposes:
        found.append("purpose")
    if not in_term(consent, today):
        found.append("not_in_term")
    if not found and _exceeds(data_set, consent, contract.purpose_code, participant, operation):
        kinds = kinds | {ConsentKind.RENEWED}
    found += [f"kind:{k.value}" for k in sorted(kinds) if not _MET_BY[k] & set(consent.kinds)]
    lacking = sensitive_of(data_set) - set(consent.sensitive)
    return (*found, *(f"sensitive:{c.value}" for c in sorted(lacking)))


def consent_coverage(contract: Contract, data_set: ContractDataSet, today: date) -> Coverage:
    """The coverage matrix of one data set on this day; of several consents the one that lacks least counts for a
    cell, the newest of equals (white paper A, 3.1)."""
    newest_first = sorted(data_set.consents, key=lambda c: c.obtained_on, reverse=True)
    cells: list[Cell] = []
    for participant, operations in operations_needed(contract, data_set).items():
        for operation in operations:
            kinds = kinds_needed(contract, data_set, participant, operation)
            tries = [
                _missing(contract, data_set, consent, participant, operation, kinds, today)
                for consent in newest_first
            ]
            cells.append(Cell(participant, operation, kinds, min(tries, key=len, default=("no_consent",))))
    return Coverage(data_set.data_set_id, contract.purpose_code, tuple(cells))
