"""What a contract's computation does, as an impact assessment files it: purpose, fields, code, rows, recipients, compute parties."""

from __future__ import annotations

from hefu.domain.contract import Contract
from hefu.domain.filings.assessment import FiledScope


def scope_of(contract: Contract) -> FiledScope:
    """The scope that an assessment of this contract version has to cover."""
    fields: dict[str, tuple[str, ...]] = {}
    for data_set in contract.data_sets:
        fields[data_set.data_set_id] = tuple(sorted(field.name for field in data_set.fields))
    return FiledScope(
        purpose_code=contract.purpose_code,
        fields=fields,
        code_digests=tuple(sorted({step.code_digest for step in contract.computation.steps})),
        max_rows=contract.limits.max_rows,
        recipients=tuple(sorted(contract.recipients())),
        compute_parties=tuple(sorted(contract.computation.compute_parties)),
    )
