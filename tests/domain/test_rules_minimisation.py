"""K10: necessity per field, fields against what the computation reads, limits (white paper B, 3.2.1; white paper A, 1.1.2)."""

from datetime import date
from typing import Any

import pytest
from hefu.domain.rules import minimisation

ME = "institution"


def test_a_compliant_contract_passes(case: Any, kit: Any) -> None:
    assert kit.said(minimisation.RULES, case.matter()) == []
    assert minimisation.fields_read(case.contract) == {
        name: {"serial", "party_id", "amount", "occurred_at"} for name in ("loans", "flows")
    }


def extra(kit: Any, name: str = "balance") -> dict[str, Any]:
    field: dict[str, Any] = kit.field(name, "money", "none", "none", "C2", "核对账户余额用途")
    return field


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda c, k: c.data_set()["fields"].append(extra(k)), "field_not_needed"),  # 限制性
        (lambda c, k: c.data_set()["fields"].pop(1), "field_not_listed"),  # 充分性
        (lambda c, k: c.field("amount").update(necessity=""), "necessity_missing"),  # 相关性
        (lambda c, k: c.field("amount").update(necessity="      对账  "), "necessity_missing"),
        (
            lambda c, k: c.field("amount").update(necessity="对账需要用"),
            "necessity_missing",
        ),  # five characters
        (
            lambda c, k: [f.update(necessity="监管对账所需字段") for f in c.data_set()["fields"]],
            "necessity_not_individual",
        ),
    ],
)
def test_one_field_wrong(case: Any, kit: Any, spoil: Any, rule: str) -> None:
    spoil(case, kit)
    assert kit.said(minimisation.RULES, case.matter()) == [(rule, "block", ME)]


def test_six_characters_and_three_fields_of_one_reason_will_do(case: Any, kit: Any) -> None:
    case.step["parameters"]["match_keys"] = ["party"]
    for data_set in case.value["data_sets"]:
        data_set["fields"] = [f for f in data_set["fields"] if f["name"] != "serial"]
        for one in data_set["fields"]:
            one["necessity"] = "监管对账所需"
    assert kit.said(minimisation.RULES, case.matter()) == []


@pytest.mark.parametrize(
    ("parameters", "owner", "read"),
    [
        ({"match_keys": ["serial"]}, ME, {"serial", "amount", "occurred_at"}),
        ({"match_keys": ["date", "type"]}, ME, {"type", "amount", "occurred_at"}),
        (
            {"match_keys": ["serial"], "columns": {ME: {"serial": "流水号", "amount": "金额"}}},
            ME,
            {"流水号", "金额", "occurred_at"},
        ),
        (
            {"match_keys": ["serial"], "columns": {"bank": {"serial": "x"}}},
            ME,
            {"serial", "amount", "occurred_at"},
        ),
        (
            {"match_keys": ["serial"], "columns": {"bank": {"serial": "x"}}},
            "bank",
            {"x", "amount", "occurred_at"},
        ),
    ],
)
def test_what_reconciliation_reads(case: Any, parameters: dict[str, Any], owner: str, read: set[str]) -> None:
    case.step["parameters"] = parameters
    found = minimisation.fields_read(case.contract)
    assert found[case.data_set(owner)["data_set_id"]] == read


def test_columns_by_their_type(case: Any) -> None:
    """Without a mapping the node takes the only money column, and the date field: so does the rule."""
    case.field("amount")["name"] = "jine"
    case.field("occurred_at")["name"] = "riqi"
    assert minimisation.fields_read(case.contract)["loans"] == {"serial", "party_id", "jine", "riqi"}


def test_several_institutions_need_the_banks_institution_column(case: Any) -> None:
    second = {**case.data_set(), "owner": "exchange", "data_set_id": "other"}
    case.value["data_sets"].append(second)
    read = minimisation.fields_read(case.contract)
    assert "institution" in read["flows"]
    assert "institution" not in read["loans"]


def test_only_the_steps_inputs_are_read(case: Any) -> None:
    case.step["inputs"] = ["flows"]
    assert minimisation.fields_read(case.contract)["loans"] == set()


def test_what_joint_statistics_read(case: Any) -> None:
    case.step.update(
        component="aggregate",
        parameters={
            "subject": "party_id",
            "group_by": [{"field": "serial", "categories": ["a", "b"]}],
            "value": "amount",
            "release": ["sum"],
            "columns": {"bank": {"party_id": "cert"}},
        },
    )
    read = minimisation.fields_read(case.contract)
    assert read == {"loans": {"party_id", "serial", "amount"}, "flows": {"cert", "serial", "amount"}}


def test_subject_and_fairness_fields_are_read(case: Any, kit: Any) -> None:
    for data_set in case.value["data_sets"]:
        data_set["subject_field"] = "party_id"
    case.step["parameters"]["match_keys"] = ["serial"]
    assert kit.said(minimisation.RULES, case.matter()) == []
    case.data_set()["fields"].append(extra(kit, "gender"))
    case.value["automated"] = {
        "use": "decision",
        "notice": "告知",
        "alternative": "人工办理",
        "refusal_channel": "电话",
        "fairness": {"group_field": "gender"},
    }
    assert kit.said(minimisation.RULES, case.matter()) == []


def test_a_component_that_nobody_described(case: Any, kit: Any) -> None:
    case.step["component"] = "mystery"
    assert [f[:2] for f in kit.said(minimisation.RULES, case.matter())] == [("fields_read_unknown", "block")]


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda c: c.value.update(purpose="  "), "purpose_missing"),
        (lambda c: c.value["limits"].update(max_rows=2**40), "volume_not_limited"),
        (lambda c: c.value["limits"].update(max_uses=1_000_000), "uses_not_limited"),
    ],
)
def test_purpose_and_limits(case: Any, kit: Any, spoil: Any, rule: str) -> None:
    spoil(case)
    assert [f[:2] for f in kit.said(minimisation.RULES, case.matter())] == [(rule, "block")]


def test_what_is_held_is_checked_each_year(case: Any, kit: Any) -> None:
    assert kit.said(minimisation.RULES, case.matter(date(2027, 3, 1))) == []
    overdue = [("minimisation_not_reviewed", "warn", o) for o in ("institution", "bank")]
    assert kit.said(minimisation.RULES, case.matter(date(2027, 3, 2))) == overdue
    for checked_on, still in (("2027-03-03", overdue), ("2026-03-01", overdue), ("2026-03-02", overdue[:1])):
        case.drop("minimisation_review")
        case.file("minimisation_review", "bank", checked_on=checked_on, kept={}, deleted={})
        assert kit.said(minimisation.RULES, case.matter(date(2027, 3, 2))) == still
