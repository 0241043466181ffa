"""K5: the table of permitted techniques, golden verdicts of both reconciliation designs, the code's digest (white paper A, 3.5)."""

import itertools
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hefu.components import reconcile
from hefu.components.reconcile import ReconcileParameters
from hefu.components.registry import COMPONENTS
from hefu.domain.contract import ContractField
from hefu.domain.dataset import DataGrade, IdentifierClass, SensitiveCategory
from hefu.domain.rules import technique, technique_table
from hefu.domain.rules.technique_table import FieldUse, Technique, TechniqueUse
from hefu.node import draft_parts

GOLDEN = Path(__file__).with_name("golden")


def a_field(identifier: str = "direct", grade: str = "C2", sensitive: str = "none") -> ContractField:
    return ContractField.model_validate(
        {
            "name": "phone",
            "type": "text",
            "identifier_class": identifier,
            "sensitive": sensitive,
            "grade": grade,
            "necessity": "配对双方的记录",
        }
    )


def refused(field: ContractField, form: Technique) -> Any:
    use = TechniqueUse("x", (form,), (form,), Technique.PLAIN)
    return technique.judge_use(FieldUse("d", "bank", "phone", field, use))


@pytest.mark.parametrize("form", list(Technique))
def test_authentication_information_is_neither_shared_nor_entrusted(form: Technique) -> None:
    """C3 leaves in no form, not even as shares."""
    finding = refused(a_field(grade="C3"), form)
    assert (finding is None) == (form is Technique.LOCAL_ONLY)
    assert finding is None or finding.expected == "one of local_only"


@pytest.mark.parametrize("grade", ["C1", "C2"])
def test_a_direct_identifier_never_leaves_as_a_plain_hash(grade: str) -> None:
    """WP-A 4.2 claims that a hashed phone number cannot be derived: eleven digits are hashed in a minute."""
    finding = refused(a_field(grade=grade), Technique.HASH)
    assert finding is not None
    assert "枚举" in finding.message_zh
    assert "enumerated" in finding.message_en
    assert "keyed_token" in finding.expected
    assert "secret_share" in finding.expected
    assert refused(a_field(grade=grade), Technique.PLAIN) is not None
    assert refused(a_field(grade=grade), Technique.KEYED_TOKEN) is None
    assert refused(a_field(grade=grade), Technique.SECRET_SHARE) is None


def test_gradients_are_protected() -> None:
    for identifier, grade, sensitive in itertools.product(IdentifierClass, DataGrade, SensitiveCategory):
        field = a_field(identifier.value, grade.value, sensitive.value)
        assert refused(field, Technique.GRADIENT) is not None
    assert refused(a_field("none"), Technique.PROTECTED_GRADIENT) is None


@pytest.mark.parametrize(
    ("identifier", "grade", "sensitive", "form", "permitted"),
    [
        ("quasi", "C1", "none", "plain", False),
        ("quasi", "C1", "none", "hash", False),
        ("quasi", "C1", "none", "keyed_token", True),
        ("none", "C2", "none", "plain", False),
        ("none", "C2", "none", "aggregate", True),
        ("none", "C1", "none", "plain", True),
        ("none", "C1", "health", "plain", False),
        ("none", "C1", "health", "keyed_token", False),  # frequencies tell the value
        ("none", "C1", "health", "secret_share", True),
        ("direct", "C2", "specific_identity", "keyed_token", True),  # an ID number takes many values
        ("direct", "C2", "biometric", "keyed_token", False),
        ("direct", "C2", "biometric", "homomorphic", True),
        ("direct", "C2", "none", "aggregate", False),
    ],
)
def test_table(identifier: str, grade: str, sensitive: str, form: str, permitted: bool) -> None:
    assert (refused(a_field(identifier, grade, sensitive), Technique(form)) is None) is permitted


def test_stricter_in_every_dimension() -> None:
    """What a higher grade, a sensitive category or a stronger identifier permits, the weaker one permits too."""

    def may(*args: str) -> frozenset[Technique]:
        return technique.permitted(a_field(*args)).techniques

    for identifier, sensitive in itertools.product(IdentifierClass, SensitiveCategory):
        i, s = identifier.value, sensitive.value
        assert may(i, "C3", s) <= may(i, "C2", s) <= may(i, "C1", s)
    for grade in DataGrade:
        assert may("quasi", grade.value) <= may("none", grade.value)
        assert may("direct", grade.value) <= may("quasi", grade.value)


@pytest.mark.parametrize("design", ["F", "S"])
def test_golden_verdicts_of_reconciliation(case: Any, design: str) -> None:
    """What the designs do with each field of white paper A, 4.4, and with fields that must not enter."""
    golden = json.loads((GOLDEN / f"technique-reconcile-{design}.json").read_text(encoding="utf-8"))
    case.step["parameters"]["design"] = design
    contract = case.contract
    uses = [u for u in technique_table.uses_of(contract, contract.computation.steps[0]) if u.owner == "bank"]
    assert [
        {
            "field": u.name,
            "role": u.use.role,
            "sent": [t.value for t in u.use.sent],
            "computed": [t.value for t in u.use.computed],
            "seen_by": list(u.use.visible_to),
        }
        for u in uses
    ] == golden["uses"]
    for line in golden["verdicts"]:
        name = line["field"]
        case.field(name, "bank").update(
            grade=line["grade"], identifier_class=line["class"], sensitive=line["sensitive"]
        )
        found = [f for f in technique.check_technique(case.matter()) if f.party == "bank"]
        assert [{"seen": f.seen, "expected": f.expected, "zh": f.message_zh} for f in found] == line[
            "findings"
        ], line
        case.field(name, "bank").update(grade="C1", identifier_class="none", sensitive="none")


def test_a_compliant_contract_passes(case: Any, kit: Any) -> None:
    assert kit.said(technique.RULES, case.matter()) == []


def test_c3_as_match_key_is_refused_in_both_designs(case: Any, kit: Any) -> None:
    case.field("party_id").update(grade="C3")
    for design in ("F", "S"):
        case.step["parameters"]["design"] = design
        assert kit.said(technique.RULES, case.matter()) == [
            ("technique_not_permitted", "block", "institution")
        ]


def test_sensitive_attribute_as_match_key_needs_design_s(case: Any, kit: Any) -> None:
    case.field("serial").update(sensitive="health")
    assert kit.said(technique.RULES, case.matter()) == [("technique_not_permitted", "block", "institution")]
    case.step["parameters"]["design"] = "S"
    assert kit.said(technique.RULES, case.matter()) == []


@pytest.mark.parametrize(
    "changes", [{"component": "mystery"}, {"parameters": {"match_keys": ["serial"], "design": "X"}}]
)
def test_a_component_that_nobody_described(case: Any, changes: dict[str, Any]) -> None:
    case.step.update(changes)
    assert [f.rule for f in technique.check_technique(case.matter())] == ["technique_unknown"]


def test_both_digests_are_named(case: Any, kit: Any) -> None:
    here = case.installed["reconcile"]
    case.step["code_digest"] = "ab" * 32
    finding = kit.caught(technique.RULES, case.matter())
    assert [(f.rule, f.seen, f.expected) for f in finding] == [("code_differs", here, "ab" * 32)]
    assert here in finding[0].message_zh
    assert "ab" * 32 in finding[0].message_zh


def test_engine_version_and_what_is_not_installed(case: Any, kit: Any) -> None:
    case.step["engine_version"] = "0"
    assert [f.rule for f in kit.caught(technique.RULES, case.matter())] == ["engine_differs"]
    case.step["engine_version"] = kit.ENGINE_VERSION
    case.installed = {}
    found = kit.caught(technique.RULES, case.matter())
    assert [(f.rule, f.seen) for f in found] == [("code_differs", "not installed")]


def test_the_table_knows_every_component_and_design() -> None:
    """What a contract may name is described; the design's default is the component's own; so are the columns' names."""
    for name in COMPONENTS:
        assert any(component == name for component, _ in technique_table.DESCRIPTIONS), name
    assert {d for c, d in technique_table.DESCRIPTIONS if c == "reconcile"} == set(get_args(reconcile.Design))
    default = ReconcileParameters(match_keys=("serial",)).design
    assert technique_table._DEFAULT_DESIGN["reconcile"] == default
    assert draft_parts._KEY_FIELDS == technique_table.RECONCILE_KEYS
    for description in technique_table.DESCRIPTIONS.values():
        for use in description.uses.values():
            assert use.sent
            assert use.computed
            assert bool(use.visible_to) == (Technique.KEYED_TOKEN in use.computed)
