"""Scan for direct identifiers: each kind by its check digits, one digit off is none; speed is printed."""

import time
from typing import Any

import pytest
from hefu.domain.identity import uscc_check_character
from hefu.domain.rules.output import identifiers
from hefu.domain.rules.output.identifiers import check_identifiers, find_identifiers
from hefu.domain.rules.output.table import ResultTable

CODE = "91110000MA01ABCD1"
CODE += uscc_check_character(CODE)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("11010519491231002X", "resident_id"),
        ("11010519491231002x", "resident_id"),
        ("身份证11010519491231002X号", "resident_id"),
        ("110105491231002", "resident_id_15"),
        (CODE, "social_credit_code"),
        ("a@b.cn", "email"),
        ("li.ming+x@mail.example.com.cn", "email"),
        ("4111111111111111", "bank_card"),
        ("6222021234567890128", "bank_card"),
        ("13800138000", "mobile"),
        ("+86 13800138000", "mobile"),
        ("E12345678", "passport"),
    ],
)
def test_each_kind_is_found(text: str, kind: str) -> None:
    assert kind in find_identifiers(f"x {text}，y")


@pytest.mark.parametrize(
    "text",
    [
        "110105194912310021",  # check digit
        "11010519491331003X",  # thirteenth month
        "110105491331002",
        "4111111111111112",  # Luhn
        "2222222222222222222",
        CODE[:-1] + ("0" if CODE[-1] != "0" else "1"),
        "12800138000",
        "a@b",
        "north 1234",
    ],
)
def test_what_is_none_is_left_alone(text: str) -> None:
    assert find_identifiers(f"x {text} y") == {}


def test_amounts_may_look_like_numbers_but_texts_among_them_may_not(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = world.contract(
        outputs=[
            {
                "recipient": "regulator",
                "form": "group_statistics",
                "columns": [{"name": "region", "kind": "group_key"}, {"name": "paid", "kind": "sum"}],
                "purpose_bound": "监管",
            }
        ]
    ).outputs[0]

    def rules(region: Any, paid: Any) -> list[str]:
        table = ResultTable.of(
            ["region", "paid"], [[region, paid]], recipients=["regulator"], digest="a" * 64
        )
        return [f.rule for f in check_identifiers(output, table)]

    assert rules("north", 13800138000) == []
    assert rules("north", "13800138000") == rules(13800138000, 5) == ["output_identifier_mobile"]
    monkeypatch.setattr(identifiers, "find_identifiers", lambda _: {})
    assert rules(13800138000, 5) == []


def test_findings_never_hold_the_identifier(world: Any) -> None:
    table = ResultTable.of(["status"], [["11010519491231002X"]], recipients=["regulator"], digest="a" * 64)
    found = list(check_identifiers(world.contract().outputs[0], table))
    assert [f.rule for f in found] == ["output_identifier_resident_id"]
    assert "11010519491231002X" not in "".join(f.model_dump_json() for f in found)


def test_speed_of_the_scan_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(f"match A{i:09d} {i * 37}" for i in range(50_000)) + "\n13800138000"
    began = time.process_time()
    found = find_identifiers(text)
    seconds = time.process_time() - began
    with capsys.disabled():
        print(f"\nidentifier scan: {len(text) / 1e6 / seconds:.1f} MB per CPU second")
    assert found == {"mobile": 1}
