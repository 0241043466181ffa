"""Release decisions that count: of the contract's reviewers, each under the key that the contract pins, about exactly this result."""

from __future__ import annotations

from collections.abc import Iterable

from hefu.domain.contract import Contract
from hefu.domain.errors import DocumentInvalid
from hefu.domain.job import DECISION_TYPE, ReleaseDecision
from hefu.keys.public import load_public_ed25519
from hefu.store.signed import read_signed, read_unverified


def read_decisions(
    envelopes: Iterable[bytes | str], contract: Contract, job: str, attempt: int, checked: str
) -> list[ReleaseDecision]:
    """The valid ones among these envelopes; whatever is garbage, forged, by another party or about another result is left out.

    checked  id of the `output_checked` evidence that a decision must name
    """
    reviewers = {r for o in contract.outputs for r in o.reviewers}
    wanted = (contract.digest, job, attempt, checked)
    found = []
    for envelope in envelopes:
        try:
            claimed = read_unverified(envelope, ReleaseDecision, DECISION_TYPE)
            if claimed.org_id not in reviewers:
                continue
            key = load_public_ed25519(contract.party(claimed.org_id).identity_key)
            decision = read_signed(envelope, ReleaseDecision, DECISION_TYPE, key)
        except DocumentInvalid:
            continue
        if (decision.contract, decision.job, decision.attempt, decision.checked) == wanted:
            found.append(decision)
    return found
