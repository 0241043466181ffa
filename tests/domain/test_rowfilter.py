"""The language of row filters: what it says, what it refuses, and that a contract holds no other."""

from typing import Any

import pytest
from hefu.domain.dataset import FieldType
from hefu.domain.rowfilter import MAX_CONDITIONS, MAX_VALUES, RowFilterInvalid, check_types, parse_row_filter
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("", []),
        ("  ", []),
        ("a = 'x'", [("a", "=", ("x",))]),
        ("a='it''s'", [("a", "=", ("it's",))]),
        ("a != 1 and b <= -2.50", [("a", "!=", ("1",)), ("b", "<=", ("-2.50",))]),
        ("地区 IN ('东', '西') AND \"金额 (元)\">=3", [("地区", "in", ("东", "西")), ("金额 (元)", ">=", ("3",))]),
    ],
)  # fmt: skip
def test_what_it_says(text: str, conditions: list[Any]) -> None:
    found = parse_row_filter(text).conditions
    assert [(c.field, c.operator, c.values) for c in found] == conditions


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a =",
        "= 'x'",
        "a = b",
        "a = 'x' OR b = 'y'",
        "NOT a = 'x'",
        "a = 'x' AND",
        "a = 'x' b = 'y'",
        "a = 'x'; drop table t",
        "a = 'x' -- rest",
        "length(a) = 1",
        "a = 1 + 1",
        "a LIKE 'x'",
        "a IN ()",
        "a IN ('x'",
        "a IN ('x' 'y')",
        "a = 'open",
        "a = 1x",
        "a == 1",
        "只用东区的行",
        " AND ".join(["a = 1"] * (MAX_CONDITIONS + 1)),
        f"a IN ({', '.join(['1'] * (MAX_VALUES + 1))})",
        f"a = '{'x' * 201}'",
    ],
)
def test_what_it_refuses(text: str) -> None:
    with pytest.raises(RowFilterInvalid):
        parse_row_filter(text)


@given(st.text(max_size=80))
def test_whatever_is_written_it_parses_or_says_so(text: str) -> None:
    try:
        found = parse_row_filter(text)
    except RowFilterInvalid:
        return
    assert all(c.values for c in found.conditions)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("t IN ('a', 'b')", True),
        ("t < 'a'", False),
        ("n < 3", True),
        ("n = 3.5", False),
        ("m >= 3.50", True),
        ("m >= 3.505", False),
        ("d >= '2026-03-02'", True),
        ("d >= '2026-02-30'", False),
        ("d = 'yesterday'", False),
        ("other = 1", False),
    ],
)
def test_literals_are_of_the_fields_type(text: str, fits: bool) -> None:
    types = {"t": FieldType.TEXT, "n": FieldType.INTEGER, "m": FieldType.MONEY, "d": FieldType.DATE}
    if fits:
        check_types(parse_row_filter(text), types)
    else:
        with pytest.raises(RowFilterInvalid):
            check_types(parse_row_filter(text), types)


def test_a_contract_promises_no_filter_that_nobody_can_apply(world: Any) -> None:
    value = world.contract_value()

    def contract(text: str) -> Any:
        first = {**value["data_sets"][0], "row_filter": text}
        return world.contract(data_sets=[first, value["data_sets"][1]])

    assert contract("amount >= 100.00 AND serial != 'x'").data_sets[0].row_filter
    for text in ("只用东区的行", "region = 'x'", "amount >= 'much'"):
        with pytest.raises(ValidationError, match="row_filter"):
            contract(text)
