"""Terms that stay attached to a received result 用途、范围、时限 (K7; white paper A, 3.7): refused after its time or from outside its range.

The address is that of whoever asks this node: of the console's server where people work through one, so that a contract's range
names the hosts on which the recipient may run its console.
"""

from __future__ import annotations

from hefu.domain.businessdays import business_date
from hefu.domain.contract import read_contract
from hefu.domain.rules.output.terms import check_use
from hefu.node.context import NodeContext
from hefu.node.refusals import refuse_for
from hefu.store.base import now
from hefu.store.node_tables import ContractRow, ResultRow


def require_within_terms(ctx: NodeContext, job: str, address: str | None) -> None:
    """Refuse the use of a result that its contract no longer, or not from here, allows.

    raises  Refusal (403) use_after_term, use_outside_range; a result that is not here is for the caller to miss
    """
    with ctx.session() as session:
        row = session.get(ResultRow, job)
        stored = None if row is None else session.get(ContractRow, row.contract)
    if row is None or stored is None:
        return
    today = business_date(now())
    for output in read_contract(stored.document).outputs:
        if output.recipient != ctx.org_id:
            continue
        released = business_date(row.received_at or now())
        verdict = check_use(output.use_terms, released, today, address)
        for finding in verdict.findings:
            raise refuse_for(finding, party=ctx.org_id, stage="release")
