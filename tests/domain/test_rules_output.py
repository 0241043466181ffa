"""The output gate: what passes, what fails for one reason, and that each guard is what stops it."""

from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import numpy as np
import pytest
from hefu.domain.contract import Output
from hefu.domain.rules.output import gate
from hefu.domain.rules.output.identifiers import find_identifiers
from hefu.domain.rules.output.review import review_verdict
from hefu.domain.rules.output.suppression import suppress_grid, suppress_line
from hefu.domain.rules.output.table import ResultTable
from hefu.domain.rules.output.terms import check_use
from hefu.domain.terms import UseTerms

COLUMNS = [{"name": "region", "kind": "group_key"}, {"name": "n", "kind": "count"}]


def contract_of(world: Any, **changes: Any) -> Any:
    output = {
        "recipient": "regulator",
        "form": "group_statistics",
        "columns": COLUMNS,
        "purpose_bound": "监管",
    }
    return world.contract(outputs=[{**output, **changes}])


def table(**changes: Any) -> ResultTable:
    given: dict[str, Any] = {
        "columns": ["region", "n"],
        "rows": [["north", 30], ["south", 40], ["west", 50]],
        "subjects": [30, 40, 50],
        "recipients": ["regulator"],
        "digest": "a" * 64,
    }
    given.update(changes)
    return ResultTable.of(given.pop("columns"), given.pop("rows"), **given)


def test_a_lawful_table_leaves_unchanged(world: Any) -> None:
    contract = contract_of(world)
    verdict, released = gate.check_output(contract, contract.outputs[0], table())
    assert verdict.passed
    assert not verdict.findings
    assert released == table()


BAD = [
    ({}, {"columns": ["region", "m"]}, "output_column_not_allowed"),
    ({}, {"recipients": ["bank"]}, "output_recipient"),
    ({}, {"rows": [["13800138000", 30], ["south", 40], ["west", 50]]}, "output_identifier_mobile"),
    ({"max_output_rows": 2}, {}, "output_volume"),
    ({"epsilon_milli": 1000}, {}, "output_budget"),
    ({}, {"subjects": None}, "group_unknown"),
    ({"dominance": {}}, {}, "group_unknown"),
    ({}, {"digest": ""}, "output_digest_unknown"),
]


@pytest.mark.parametrize(("clause", "change", "rule"), BAD)
def test_each_check_blocks_for_one_reason(world: Any, clause: Any, change: Any, rule: str) -> None:
    contract = contract_of(world, **clause)
    verdict, released = gate.check_output(contract, contract.outputs[0], table(**change))
    assert [f.rule for f in verdict.findings] == [rule]
    assert not verdict.passed
    assert released is None


@pytest.mark.parametrize(
    ("clause", "change", "guard"),
    [
        ({}, {"columns": ["region", "m"]}, "check_columns"),
        ({}, {"recipients": ["bank"]}, "check_recipients"),
        ({}, {"rows": [["13800138000", 30], ["south", 40], ["west", 50]]}, "check_identifiers"),
        ({"max_output_rows": 2}, {}, "check_volume"),
    ],
)
def test_without_the_guard_the_bad_table_leaves(
    world: Any, monkeypatch: pytest.MonkeyPatch, clause: Any, change: Any, guard: str
) -> None:
    contract = contract_of(world, **clause)
    left = tuple(c for c in gate.CHECKS if getattr(c, "__name__", "") != guard)
    monkeypatch.setattr(gate, "CHECKS", left)
    assert gate.check_output(contract, contract.outputs[0], table(**change))[0].passed


def test_twenty_four_payments_of_one_person_are_suppressed_with_a_companion(world: Any) -> None:
    contract = contract_of(world)
    given = table(rows=[["north", 24], ["south", 40], ["west", 50]], subjects=[1, 40, 50])
    verdict, released = gate.check_output(contract, contract.outputs[0], given)
    assert verdict.passed
    assert released is not None
    assert released.column("n") == [None, None, 50]
    assert [f.rule for f in verdict.findings] == ["group_too_small", "group_complementary"]


def test_rows_that_single_out_are_blocked_and_a_broken_check_closes(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = contract_of(world)
    verdict, _ = gate.check_output(contract, contract.outputs[0], table(), quasi_identifiers=["region"])
    assert [f.rule for f in verdict.findings] == ["output_unique_rows"]

    def breaks(*_: Any) -> Any:
        raise KeyError

    monkeypatch.setattr(gate, "CHECKS", (breaks,))
    assert not gate.check_output(contract, contract.outputs[0], table())[0].passed


def derivable(hidden: set[tuple[int, int]], rows: int, columns: int) -> set[tuple[int, int]]:
    """Attack: the cells that row and column totals determine, by linear algebra."""
    cells = sorted(hidden)
    lines = [[1.0 if c[0] == r else 0.0 for c in cells] for r in range(rows)]
    lines += [[1.0 if c[1] == k else 0.0 for c in cells] for k in range(columns)]
    system = np.array(lines)
    rank = np.linalg.matrix_rank(system)
    return {
        cell
        for i, cell in enumerate(cells)
        if np.linalg.matrix_rank(np.vstack([system, np.eye(len(cells))[i]])) == rank
    }


def test_totals_give_no_suppressed_cell_away() -> None:
    draw = np.random.default_rng(7)
    exposed_before = 0
    for _ in range(40):
        weights = draw.integers(20, 99, size=(4, 5)).tolist()
        unsafe = {c for c in product(range(4), range(5)) if draw.random() < 0.15}
        if not unsafe:
            continue
        exposed_before += len(derivable(unsafe, 4, 5))
        hidden = suppress_grid(unsafe, weights)
        assert unsafe <= hidden
        assert not derivable(hidden, 4, 5)
    assert exposed_before > 0
    assert suppress_line({0}, [1, 9, 5]) == {0, 2}


def test_identifiers_are_told_by_their_check_digits() -> None:
    for text, kind in (
        ("11010519491231002X", "resident_id"),
        ("a@b.cn", "email"),
        ("4111111111111111", "bank_card"),
        ("E12345678", "passport"),
    ):
        assert find_identifiers(text) == {kind: 1}
    assert find_identifiers("110105194912310021 4111111111111112 north") == {}


def test_use_ends_with_the_term_and_at_the_range() -> None:
    terms, day = UseTerms(valid_days=10, addresses=("10.0.0.0/8",)), date(2026, 3, 1)
    assert check_use(terms, day, date(2026, 3, 11), "10.1.1.1").passed
    assert [f.rule for f in check_use(terms, day, date(2026, 3, 12), "10.1.1.1").findings] == [
        "use_after_term"
    ]
    for address in ("11.0.0.1", None, "x"):
        assert [f.rule for f in check_use(terms, day, day, address).findings] == ["use_outside_range"]


def test_review_waits_then_is_overdue() -> None:
    output = Output(
        recipient="regulator", form="decision", purpose_bound="x", reviewers=("bank",), review_hours=1
    )
    asked = datetime(2026, 3, 1, tzinfo=UTC)
    assert review_verdict(output, (), asked, asked).waiting
    late = review_verdict(output, (), asked, asked + timedelta(hours=2))
    assert [f.rule for f in late.findings] == ["review_overdue"]
    assert not late.waiting
