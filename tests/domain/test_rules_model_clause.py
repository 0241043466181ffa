"""Terms of a model in the contract: each omission is one finding, and without the rule there is none."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hefu.domain.filings import Filings
from hefu.domain.filings.models import ModelRegistration
from hefu.domain.rules.matter import Gate, Matter
from hefu.domain.rules.models import RULES

OUTPUT = {"recipient": "regulator", "form": "model", "reviewers": ["auditor"], "purpose_bound": "风控"}
TERMS = {
    "ownership": [
        {"org_id": "bank", "part": part, "share_ppm": 1_000_000}
        for part in ("code", "structure", "parameters")
    ],
    "licence": "ordinary",
    "licensees": ["regulator"],
}


def found(contract: Any, filed: Any = (), rules: Any = RULES) -> list[str]:
    matter = Matter(contract, Filings.of(filed), {}, date(2026, 3, 2))
    return [f.rule for f in Gate("K6", "模型归属", "models", rules).verdict(matter).findings]


def test_models_and_their_terms_hang_together(world: Any) -> None:
    assert found(world.contract()) == []
    assert found(world.contract(outputs=[OUTPUT], model_terms=TERMS)) == []
    assert found(world.contract(template="joint_modelling", model_terms=TERMS)) == []
    assert found(world.contract(model_terms=TERMS)) == ["model_terms_idle"]


@pytest.mark.parametrize(
    ("output", "terms", "rule"),
    [
        (OUTPUT, None, "model_terms_missing"),
        (OUTPUT, {**TERMS, "ownership": TERMS["ownership"][:2]}, "model_parts_unowned"),
        (OUTPUT, {**TERMS, "licensees": ["regulator", "stranger"]}, "model_holder_no_party"),
        (OUTPUT, {**TERMS, "own_parts": ["stranger"]}, "model_holder_no_party"),
        (OUTPUT, {**TERMS, "licensees": []}, "model_recipient_unlicensed"),
        ({**OUTPUT, "recipient": "bank"}, {**TERMS, "licence": "exclusive"}, "model_recipient_unlicensed"),
        (OUTPUT, {**TERMS, "valid_until": "2026-03-01"}, "model_terms_expired"),
    ],
)
def test_each_omission_blocks(world: Any, output: Any, terms: Any, rule: str) -> None:
    contract = world.contract(outputs=[output], model_terms=terms)
    assert found(contract) == [rule]
    assert found(contract, rules=RULES[1:]) == []


def test_an_owner_may_receive_and_the_last_day_counts(world: Any) -> None:
    own = world.contract(outputs=[{**OUTPUT, "recipient": "bank"}], model_terms={**TERMS, "licensees": []})
    assert found(own) == []
    assert found(world.contract(outputs=[OUTPUT], model_terms={**TERMS, "valid_until": "2026-03-02"})) == []


def test_registered_owners_are_the_contracts(world: Any) -> None:
    contract = world.contract(outputs=[OUTPUT], model_terms=TERMS)

    def registered(org_id: str, contract_id: str = contract.contract_id) -> ModelRegistration:
        return ModelRegistration.model_validate({
            "issuer": "bank", "contract_id": contract_id, "issued_at": datetime(2026, 3, 1, tzinfo=UTC),
            "model_id": "M-0001", "parts": {}, "ownership": [{**s, "org_id": org_id} for s in TERMS["ownership"]],
        })  # fmt: skip

    assert found(contract, [registered("bank")]) == []
    assert found(contract, [registered("exchange")]) == ["model_registration_differs"]
    assert found(contract, [registered("exchange")], RULES[:1]) == []
    assert found(contract, [registered("exchange", "HF-OTHER-1")]) == []
