"""A data set's description and the digest that contracts pin."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import rfc8785
from hefu.domain.dataset import DataSet, FieldType, LegalBasis, SensitiveCategory, schema_digest
from pydantic import ValidationError

AMOUNT = {
    "name": "amount",
    "type": "money",
    "identifier_class": "none",
    "sensitive": "financial_account",
    "grade": "C2",
    "meaning_zh": "金额",
    "meaning_en": "amount",
}
DAY = {**AMOUNT, "name": "occurred_at", "type": "datetime", "sensitive": "none", "grade": "C1"}


def describe(**changes: Any) -> DataSet:
    return DataSet.model_validate(
        {
            "data_set_id": "DS-1",
            "owner": "bank",
            "name": "资金流水",
            "kind": "fund_flows",
            "fields": [AMOUNT, DAY],
            "date_field": "occurred_at",
            "source_kind": "direct",
            "legal_basis": "statutory_duty",
            "legal_basis_note": "",
            **changes,
        }
    )


def test_digest_is_sha256_of_canonical_json() -> None:
    shape = {"kind": "fund_flows", "date_field": "occurred_at", "fields": [AMOUNT, DAY]}
    assert schema_digest(describe()) == hashlib.sha256(rfc8785.dumps(shape)).hexdigest()


@pytest.mark.parametrize(
    "changes", [{"name": "流水"}, {"legal_basis": "consent"}, {"legal_basis_note": "条款"}]
)
def test_wording_leaves_the_schema_digest(changes: dict[str, Any]) -> None:
    assert schema_digest(describe(**changes)) == schema_digest(describe())


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": [DAY, AMOUNT]},
        {"fields": [{**AMOUNT, "grade": "C3"}, DAY]},
        {"fields": [{**AMOUNT, "meaning_en": "sum"}, DAY]},
        {"date_field": None},
        {"kind": "table"},
    ],
)
def test_a_column_changes_the_schema_digest(changes: dict[str, Any]) -> None:
    assert schema_digest(describe(**changes)) != schema_digest(describe())


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"fields": [AMOUNT, AMOUNT, DAY]}, "stands twice"),
        ({"date_field": "day"}, "not one of the fields"),
        ({"date_field": "amount"}, "neither a date nor a datetime"),
        ({"fields": []}, "fields"),
        ({"extra": 1}, "extra"),
        ({"legal_basis": "legitimate_interest"}, "legal_basis"),
    ],
)
def test_nonsense_is_refused_and_named(changes: dict[str, Any], clause: str) -> None:
    with pytest.raises(ValidationError, match=clause):
        describe(**changes)


def test_bytes_round_trip() -> None:
    data_set = describe()
    assert DataSet.from_bytes(data_set.to_bytes()) == data_set
    assert json.loads(data_set.to_bytes())["fields"][0]["sensitive"] == SensitiveCategory.FINANCIAL_ACCOUNT


def test_lists_of_the_law() -> None:
    assert len(LegalBasis) == 7
    assert {"ethnicity", "political", "religion", "genetic", "biometric", "health"} <= set(SensitiveCategory)
    assert {"specific_identity", "financial_account", "whereabouts", "minor"} <= set(SensitiveCategory)


def test_field_by_name() -> None:
    assert describe().field("amount").type is FieldType.MONEY
    with pytest.raises(KeyError):
        describe().field("Amount")
