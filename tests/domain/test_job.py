"""Orders, hellos and decisions; the states of a job."""

from datetime import timedelta
from typing import Any

import pytest
from hefu.domain.job import FINAL_STATES, OPEN_STATES, ORDER_TYPE, STAGES, Hello, JobState, Order
from hefu.domain.verdict import Finding, Severity, Verdict, judge
from hefu.store.signed import read_unverified
from pydantic import ValidationError


@pytest.fixture
def order(world: Any) -> Order:
    return read_unverified(world.order(world.contract(), "prepare", "bank"), Order, ORDER_TYPE)


def test_an_order_reads_back(order: Order) -> None:
    assert Order.from_bytes(order.to_bytes()) == order
    later = order.model_copy(update={"expires_at": order.expires_at + timedelta(microseconds=1)})
    assert later.digest != order.digest


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("order_id", "A" * 32),
        ("order_id", "0" * 31),
        ("kind", "steal"),
        ("job", "../J1"),
        ("job", "j20260302aaaaaaaa"),
        ("attempt", 0),
        ("attempt", 4),
        ("stage", "lunch"),
        ("business_date", "2026-3-2"),
        ("recipient", "Bank"),
        ("commitments", {"bank": "short"}),
        ("commitments", {"../x": "0" * 64}),
        ("issued_at", "2026-03-02T00:00:00"),
        ("surprise", 1),
    ],
)
def test_an_order_that_is_none(order: Order, field: str, wrong: Any) -> None:
    with pytest.raises(ValidationError, match=field):
        Order.model_validate({**order.model_dump(mode="json"), field: wrong})


@pytest.mark.parametrize("field", ["fresh", "ephemeral"])
def test_a_hello_has_32_bytes_each(field: str) -> None:
    value = {
        "contract": "0" * 64,
        "job": "J20260302AAAAAAAA",
        "attempt": 1,
        "org_id": "bank",
        "fresh": "A" * 43 + "=",
        "ephemeral": "A" * 43 + "=",
    }
    Hello.model_validate(value)
    for wrong in ("", "A" * 44, "A" * 39 + "=", "-" * 43 + "="):
        with pytest.raises(ValidationError, match=field):
            Hello.model_validate({**value, field: wrong})


def test_every_state_is_open_or_final() -> None:
    assert set(OPEN_STATES) | set(FINAL_STATES) == set(JobState)
    assert not set(OPEN_STATES) & set(FINAL_STATES)
    assert [s.value for s in STAGES][:3] == ["check_participants", "check_contract", "check_data_sources"]
    assert STAGES[-1] == "retain_and_delete"


def finding(severity: Severity) -> Finding:
    return Finding(rule="r", severity=severity, message_zh="", message_en="")


@pytest.mark.parametrize(
    ("severities", "passed", "waiting"),
    [
        ((), True, False),
        ((Severity.NOTE,), True, False),
        ((Severity.NOTE, Severity.WAIT), False, True),
        ((Severity.WAIT, Severity.BLOCK), False, False),
        ((Severity.BLOCK,), False, False),
    ],
)
def test_verdicts(severities: tuple[Severity, ...], passed: bool, waiting: bool) -> None:
    verdict = judge("stage", map(finding, severities))
    assert (verdict.passed, verdict.waiting) == (passed, waiting)
    assert Verdict.model_validate(verdict.model_dump(mode="json")) == verdict
