"""Who takes part in a contract's computation."""

from __future__ import annotations

from hefu.domain.contract import Contract


def cast(contract: Contract) -> list[str]:
    """Owners, compute nodes, receivers; each once, in the contract's order."""
    return list(
        dict.fromkeys([*contract.owners(), *contract.computation.compute_parties, *contract.recipients()])
    )


def institutions_of(contract: Contract) -> list[str]:
    """The institutions of a reconciliation: owners of business records, in the contract's order."""
    return list(dict.fromkeys(d.owner for d in contract.data_sets if d.kind == "business_records"))
