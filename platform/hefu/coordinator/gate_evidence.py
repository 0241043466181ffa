"""What N0 and N2 each sign of the output gate, which ran on shares: they agree, and it is the contract's gate (K7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hefu_ledger.dsse import verify_envelope
from hefu_ledger.errors import LedgerError
from hefu_ledger.evidence import parse_evidence

from hefu.components.aggregate import MIN_GROUP, AggregateParameters
from hefu.coordinator.outcomes import block
from hefu.domain.contract import Contract
from hefu.domain.errors import DocumentInvalid
from hefu.domain.verdict import Finding
from hefu.keys.public import load_public_ed25519
from hefu.store.coordinator_tables import JobRow
from hefu.store.signed import decode_envelope

KIND = "output_gate_checked"


def gate_agrees(evidence: Iterable[str], job: JobRow, contract: Contract) -> list[Finding]:
    """Both halves went through the same gate, and that of the contract. Nothing to check where no groups leave."""
    step = contract.computation.steps[0]
    if step.component != "aggregate":
        return []
    n0, _, n2 = contract.computation.compute_parties
    said: dict[str, dict[str, Any]] = {}
    try:
        for encoded in evidence:
            envelope = decode_envelope(encoded)
            one = parse_evidence(envelope)
            if one.kind == KIND and (one.job, one.attempt) == (job.job_id, job.attempt):
                verify_envelope(envelope, load_public_ed25519(contract.party(one.actor).identity_key))
                said[one.actor] = one.body
    except (LedgerError, DocumentInvalid, KeyError) as error:
        return [block("evidence_invalid", "存证无效", f"evidence does not hold: {error}")]
    for org in (n0, n2):
        if org not in said:
            return [
                block(
                    "gate_missing",
                    f"缺少 {org} 的输出闸门存证",
                    f"{org} has not signed what the output gate did",
                    party=org,
                )
            ]
    if said[n0] != said[n2]:
        return [
            block(
                "gate_differs",
                f"{n0} 与 {n2} 的输出闸门结论不一致",
                f"{n0} and {n2} say different things of the output gate",
                party=n0,
                seen=str(said[n0]),
                expected=str(said[n2]),
            )
        ]
    return _of_the_contract(said[n0], contract)


def _of_the_contract(body: dict[str, Any], contract: Contract) -> list[Finding]:
    clauses = AggregateParameters.model_validate(contract.computation.steps[0].parameters)
    rule = clauses.dominance
    expected = {
        "component": "aggregate",
        "groups": clauses.groups(),
        "min_group": max([MIN_GROUP, *(o.min_group_size or 0 for o in contract.outputs)]),
        "dominance": [rule.contributors, rule.max_share_ppm] if rule else None,
        "columns": list(clauses.release),
        "complementary": True,
        "passed": True,
    }
    return [
        block(
            "gate_not_the_contracts",
            f"输出闸门的 {name} 与合约不符",
            f"the output gate's {name} is not the contract's",
            seen=str(body.get(name)),
            expected=str(value),
        )
        for name, value in expected.items()
        if body.get(name) != value
    ]
