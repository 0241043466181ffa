"""The output gate: what passes, what fails for one reason, and that each guard is what stops it."""

import re
from itertools import product
from typing import Any

import numpy as np
import pytest
from hefu.domain.rules.output import columns, gate
from hefu.domain.rules.output.suppression import suppress_grid, suppress_line
from hefu.domain.rules.output.table import ResultTable, released

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
    verdict, left = gate.check_output(contract, contract.outputs[0], table())
    assert verdict.passed
    assert not verdict.findings
    assert left == released(table())
    assert left is not None
    assert left.rows == table().rows
    assert (left.subjects, left.top_shares, left.digest) == (None, None, "")


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
def test_without_the_check_the_bad_table_leaves(
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


@pytest.mark.parametrize(
    ("clause", "change", "asked", "guard", "instead"),
    [
        ({"epsilon_milli": 1000}, {}, {}, "check_budget", ()),
        ({}, {}, {"quasi_identifiers": ["region"]}, "check_uniqueness", ()),
        ({}, {"subjects": None}, {}, "suppress_groups", None),
        ({}, {"digest": ""}, {}, "_DIGEST", re.compile("")),
    ],
)
def test_without_the_guard_the_bad_table_leaves(
    world: Any,
    monkeypatch: pytest.MonkeyPatch,
    clause: Any,
    change: Any,
    asked: Any,
    guard: str,
    instead: Any,
) -> None:
    contract = contract_of(world, **clause)
    assert not gate.check_output(contract, contract.outputs[0], table(**change), **asked)[0].passed
    passing = (lambda *args: (args[1], [])) if instead is None else lambda *_: instead
    monkeypatch.setattr(gate, guard, passing if guard != "_DIGEST" else instead)
    assert gate.check_output(contract, contract.outputs[0], table(**change), **asked)[0].passed


def test_another_contracts_output_is_refused(world: Any) -> None:
    other = contract_of(world, max_output_rows=9).outputs[0]
    verdict, left = gate.check_output(contract_of(world), other, table())
    assert [f.rule for f in verdict.findings] == ["output_output_unknown"]
    assert left is None


def test_what_was_spent_of_the_budget_counts(world: Any) -> None:
    contract = contract_of(world, epsilon_milli=1000)

    def rules(spent: int | None, cost: int | None) -> list[str]:
        found = gate.check_output(contract, contract.outputs[0], table(), spent_milli=spent, cost_milli=cost)
        return [f.rule for f in found[0].findings]

    assert rules(900, 100) == rules(0, 1000) == []
    assert rules(901, 100) == rules(0, 0) == rules(-5, 100) == rules(None, 100) == ["output_budget"]


def test_a_reconciliation_has_columns_of_its_own(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = world.contract()
    assert contract.outputs[0].columns == ()
    by_row = table(columns=["status", "reference", "difference"], rows=[["match", "A1", 0]], subjects=None)
    assert gate.check_output(contract, contract.outputs[0], by_row)[0].passed
    payee = table(columns=["status", "payee"], rows=[["match", "x"]], subjects=None)
    assert not gate.check_output(contract, contract.outputs[0], payee)[0].passed
    monkeypatch.setattr(columns, "DEFAULT_COLUMNS", {})
    assert not gate.check_output(contract, contract.outputs[0], by_row)[0].passed
