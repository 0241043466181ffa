"""Joint statistics drafted from a form: the clauses follow from the parameters; what is wrong is told by clause.

Where the component is not installed, a parameter model of the same shape stands in its place.
"""

from typing import Any

import pytest
from hefu.components import registry
from hefu.domain.contract import Contract
from hefu.node import template_drafts
from pydantic import BaseModel, ConfigDict

pytestmark = pytest.mark.server


class _GroupKey(BaseModel):
    model_config = ConfigDict(extra="forbid")

    field: str
    categories: list[str]


class _Dominance(BaseModel):
    contributors: int = 2
    max_share_ppm: int = 850_000


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    subject: str
    group_by: list[_GroupKey]
    value: str | None = None
    min_group: int = 20
    dominance: _Dominance | None = _Dominance()
    release: list[str]
    columns: dict[str, dict[str, str]] = {}


@pytest.fixture
def node(make_node: Any, know_registry: Any, monkeypatch: Any) -> Any:
    if "aggregate" not in registry.COMPONENTS:
        stand_in = registry.Component("aggregate", "aggregate", ("owner", "n0", "n1", "n2"), _Parameters)
        known = {**registry.COMPONENTS, "aggregate": stand_in}
        monkeypatch.setattr(registry, "COMPONENTS", known)
        monkeypatch.setattr(template_drafts, "COMPONENTS", known)
    made = make_node("regulator")
    know_registry(made)
    made.both = made.person("preparer", "approver")
    return made


FORM: dict[str, Any] = {
    "template": "joint_statistics",
    "contract_id": "HF-STAT-1",
    "title": "联合统计",
    "title_en": "Joint statistics",
    "data_sets": {"institution": "loans", "bank": "flows"},
    "recipient": "regulator",
    "compute_parties": ["operator", "auditor", "exchange"],
    "auditor": "auditor",
    "parameters": {
        "subject": "customer",
        "group_by": [{"field": "serial", "categories": ["A", "B"]}],
        "value": "amount",
        "release": ["sum", "count"],
    },
    "min_group_size": 30,
    "valid_from": "2026-01-01T00:00:00Z",
    "valid_until": "2099-01-01T00:00:00Z",
}


def draft(node: Any, **changes: Any) -> Any:
    return node.http.post("/console/contracts/draft", json={**FORM, **changes}, headers=node.both)


def test_the_clauses_follow_from_the_form(node: Any) -> None:
    answer = draft(node)
    assert answer.status_code == 200, answer.text
    contract = Contract.model_validate(answer.json()["document"])
    assert (contract.template, contract.proposer) == ("joint_statistics", "regulator")
    assert [f.name for f in contract.data_sets[0].fields] == ["customer", "serial", "amount"]
    assert {d.subject_field for d in contract.data_sets} == {"customer"}
    output = contract.outputs[0]
    assert [(c.name, c.kind) for c in output.columns] == [
        ("serial", "group_key"),
        ("sum", "sum"),
        ("count", "count"),
    ]
    assert output.use_terms is not None
    assert output.use_terms.valid_days == contract.retention_days
    step = contract.computation.steps[0]
    assert output.min_group_size == step.parameters["min_group"] == 30
    assert output.dominance is not None
    assert output.dominance.model_dump() == step.parameters["dominance"]
    assert step.code_digest == registry.code_digest("aggregate")


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        ({"data_sets": {"bank": "flows"}}, "data_sets"),
        ({"data_sets": {"institution": "loans", "bank": "other"}}, "data_sets"),
        ({"parameters": {**FORM["parameters"], "subject": "nobody"}}, "data_sets.fields"),
        ({"parameters": {**FORM["parameters"], "leak": True}}, "computation.steps.parameters.leak"),
        ({"recipient": "nobody"}, "parties"),
        ({"auditor": "exchange"}, "parties"),
        ({"valid_until": "2025-01-01T00:00:00Z"}, "limits.valid_until"),
        ({"mandate_number": "监发 1 号"}, "mandate.file_digest"),
        (
            {"mandate_number": "监发 1 号", "mandate_digest": "a" * 64, "recipient": "exchange"},
            "mandate.authority",
        ),
    ],
)
def test_what_is_wrong_is_told_by_clause(node: Any, change: dict[str, Any], clause: str) -> None:
    answer = draft(node, **change)
    assert (answer.status_code, answer.json()["limit"]) == (422, clause), answer.text


def test_no_group_below_twenty(node: Any) -> None:
    assert draft(node, min_group_size=19).status_code == 422
