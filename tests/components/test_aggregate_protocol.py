"""Joint statistics on shares against a plain twin: any rows, and what must be suppressed is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hefu.components import aggregate_protocol
from hefu.components.aggregate import AggregateParameters, Nodes, run
from hefu.components.aggregate_input import GroupRows, share_groups
from hefu.components.aggregate_result import GroupHalf, GroupTable, open_groups
from hefu.components.reconcile_input import Batch
from hefu.engine.channel import ChannelSet
from hefu.engine.errors import HalfInvalid, InputInvalid, PlanMismatch, ResultInvalid
from hefu.engine.launch import PartyFailed, run_together
from hefu.engine.session import Session
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

NODES = Nodes("operator", "bank", "exchange")
KEY = b"k" * 32
Row = tuple[int, str, int]
"""group (1-based), subject, value"""


def parameters(groups: int = 3, **changes: Any) -> AggregateParameters:
    value: dict[str, Any] = {
        "subject": "person",
        "group_by": [{"field": "city", "categories": [f"c{n}" for n in range(1, groups + 1)]}],
        "value": "amount",
        "release": ["sum", "count", "subjects"],
    }
    return AggregateParameters.model_validate({**value, **changes})


def owner_rows(number: int, rows: list[Row]) -> GroupRows:
    names = tuple(sorted({subject for _, subject, _ in rows}))
    return GroupRows(
        owner=f"owner-{number}",
        batch=number,
        group=np.array([g for g, _, _ in rows], dtype=np.int32),
        subject=np.array([names.index(s) for _, s, _ in rows], dtype=np.int32),
        names=names,
        value=np.array([v for _, _, v in rows], dtype=np.int64),
    )


def statistics(
    owners: list[list[Row]], clauses: AggregateParameters, *, processes: bool = False
) -> tuple[GroupTable, dict[str, dict[str, Any]]]:
    """The table, and what each node says of the gate."""
    shared = []
    for number, rows in enumerate(owners):
        own = owner_rows(number, rows)
        batch = Batch(own.owner, "bank", number, len(own))
        shared.append((batch, *share_groups(own, KEY, clauses.groups(), clauses.limit(len(owners)))))

    def program(place: int) -> Any:
        def at_node(session: Session, channels: ChannelSet) -> Any:
            parts = [(batch, (seed, masked, None)[place]) for batch, seed, masked in shared]
            found, checked = run(session, channels, NODES, parts, clauses, lambda *_: None)
            return (found.to_bytes() if found else None), checked

        return at_node

    ran = run_together(
        {name: program(place) for place, name in enumerate(NODES)},
        parties="processes" if processes else "threads",
        tls=processes,
    )
    half0, half2 = (GroupHalf.from_bytes(ran[name][0]) for name in (NODES.n0, NODES.n2))
    assert ran[NODES.n1][0] is None
    table = open_groups(
        half0,
        half2,
        tuple(key.field for key in clauses.group_by),
        clauses.labels(),
        clauses.release,
        totals=clauses.totals,
    )
    return table, {name: ran[name][1] for name in NODES}


Figures = list[tuple[int, int, int] | None]


def plain(owners: list[list[Row]], clauses: AggregateParameters) -> Figures:
    """The twin: per group (sum, rows, subjects), None where suppressed."""
    found: Figures = []
    every: list[tuple[int, int, int]] = []
    for group in range(1, clauses.groups() + 1):
        rows = [(s, v) for own in owners for g, s, v in own if g == group]
        sums: dict[str, int] = {}
        for subject, value in rows:
            sums[subject] = sums.get(subject, 0) + (value if clauses.value else 1)
        sizes = sorted((abs(v) for v in sums.values()), reverse=True)
        rule = clauses.dominance
        dominated = rule is not None and sum(sizes[: rule.contributors]) * 10**6 > rule.max_share_ppm * sum(
            sizes
        )
        shown = len(sums) >= clauses.min_group and not dominated
        every.append((sum(v for _, v in rows), len(rows), len(sums)))
        found.append(every[-1] if shown else None)
    hidden = [i for i, one in enumerate(found) if one is None]
    others = [i for i, one in enumerate(found) if one is not None]
    narrow = len(hidden) == 1 or sum(every[i][1] for i in hidden) < clauses.min_group
    if hidden and others and narrow:
        found[min(others, key=lambda i: (every[i][2], -i))] = None
    return found


def figures(table: GroupTable) -> Figures:
    return [
        None if row.suppressed else (int(row.sum or 0), int(row.count or 0), int(row.subjects or 0))
        for row in table.rows
    ]


def people(count: int, group: int = 1, value: int = 100, start: int = 0) -> list[Row]:
    return [(group, f"person-{n}", value) for n in range(start, start + count)]


def same(owners: list[list[Row]], clauses: AggregateParameters, *, processes: bool = False) -> GroupTable:
    table, checked = statistics(owners, clauses, processes=processes)
    expected = plain(owners, clauses)
    assert figures(table) == expected
    for said in checked.values():
        assert said["suppressed"] == sum(one is None for one in expected)
        assert said["groups"] == clauses.groups()
    return table


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(1, 4), st.integers(0, 60).map(str), st.integers(-(10**12), 10**12)),
            max_size=150,
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([None, (1, 300_000), (2, 850_000), (3, 200_000), (10, 999_999)]),
    st.booleans(),
)
def test_any_rows_give_what_the_plain_twin_gives(
    owners: list[list[Row]], rule: tuple[int, int] | None, counted_only: bool
) -> None:
    dominance = None if rule is None else {"contributors": rule[0], "max_share_ppm": rule[1]}
    changes: dict[str, Any] = {"dominance": dominance}
    if counted_only:
        owners = [[(g, s, 0) for g, s, _ in own] for own in owners]
        changes |= {"value": None, "release": ["count", "subjects"]}
    same(owners, parameters(4, **changes))


def test_three_real_processes_over_tls() -> None:
    owners = [[*people(30), *people(25, group=2, value=-70)], [*people(40, start=10), *people(5, group=3)]]
    assert figures(same(owners, parameters(), processes=True)) == [(7000, 70, 50), None, None]


def test_one_of_no_rows_among_the_owners_and_none_at_all() -> None:
    same([[], people(25)], parameters())
    assert figures(same([[], []], parameters())) == [None, None, None]


def test_twenty_subjects_are_shown_and_nineteen_are_not() -> None:
    shown = figures(same([[*people(20), *people(19, group=2), *people(19, group=3)]], parameters()))
    assert shown == [(2000, 20, 20), None, None]


def test_twenty_four_payments_of_one_person_are_suppressed() -> None:
    rows = [(1, "the only one", 100)] * 24
    assert figures(same([rows], parameters(dominance=None))) == [None, None, None]


def test_the_same_person_at_two_owners_is_one_subject() -> None:
    assert figures(same([people(15), people(15)], parameters(dominance=None)))[0] is None


def test_a_dominated_group_is_suppressed_and_would_not_be_without_the_rule() -> None:
    rows = [*people(40, value=1), (1, "giant", 10**9), (1, "second", 10**8)]
    assert figures(same([rows], parameters(1)))[0] is None
    assert figures(same([rows], parameters(1, dominance=None)))[0] == (1_100_000_040, 42, 42)


def test_exactly_the_limit_of_dominance_is_shown_and_one_cent_more_is_not() -> None:
    rule = {"contributors": 1, "max_share_ppm": 500_000}
    at_limit = [*people(20, value=5), (1, "giant", 100)]
    assert figures(same([at_limit], parameters(1, dominance=rule)))[0] == (200, 21, 21)
    assert (
        figures(same([[*people(20, value=5), (1, "giant", 101)]], parameters(1, dominance=rule)))[0] is None
    )


def test_gains_and_losses_of_a_dominant_subject_do_not_hide_it() -> None:
    rows = [*people(30, value=1), (1, "giant", -(10**6)), (1, "other", 10**6)]
    assert figures(same([rows], parameters()))[0] is None


def test_without_the_gate_the_single_persons_value_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the gate is for: take it away and the value of one person is the result."""
    plain_gate = aggregate_protocol.Gate
    monkeypatch.setattr(aggregate_protocol, "Gate", lambda *_: plain_gate(0, 0, None))
    table, _ = statistics([[(1, "victim", 123_456)]], parameters())
    assert table.rows[0].sum == 123_456
    monkeypatch.undo()
    table, _ = statistics([[(1, "victim", 123_456)]], parameters())
    assert table.rows[0].sum is None


def test_the_total_stands_only_where_nothing_is_suppressed() -> None:
    whole = [*people(25), *people(25, group=2), *people(25, group=3, value=-30)]
    total = same([whole], parameters(totals=True)).total
    assert total is not None
    assert (total.sum, total.count, total.suppressed) == (25 * 170, 75, False)
    hidden = same([[*whole[:50], *people(3, group=3)]], parameters(totals=True)).total
    assert hidden is not None
    assert (hidden.sum, hidden.count, hidden.suppressed) == (None, None, True)


CITIES = [[*people(30), *people(25, group=2)], [(3, "victim", 765_432), *people(40, group=4)]]
"""The victim is alone in the third of four groups; 96 rows in all, which each owner announces."""


def hidden_rows(table: GroupTable, owners: list[list[Row]]) -> int:
    """What the recipient subtracts: rows announced less rows shown."""
    return sum(map(len, owners)) - sum(row.count or 0 for row in table.rows)


def test_a_group_that_is_suppressed_alone_takes_the_smallest_of_the_others_along() -> None:
    table = same(CITIES, parameters(4))
    assert [row.suppressed for row in table.rows] == [False, True, True, False]
    assert hidden_rows(table, CITIES) == 26


def test_without_complementary_suppression_the_announced_rows_give_the_group_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The attack: one group is suppressed, its rows are all rows less those shown; its sum, where the total is known."""
    monkeypatch.setattr(aggregate_protocol, "_complemented", lambda _party, _totals, keep, _min_group: keep)
    table, _ = statistics(CITIES, parameters(4))
    assert [row.suppressed for row in table.rows] == [False, False, True, False]
    assert hidden_rows(table, CITIES) == 1
    known = sum(v for own in CITIES for _, _, v in own)
    assert known - sum(row.sum or 0 for row in table.rows) == 765_432


def test_two_small_groups_that_hold_too_few_rows_together_take_another_along() -> None:
    few = [[*people(30), (2, "a", 1), (3, "b", 1), *people(21, group=4)]]
    table = same(few, parameters(4))
    assert [row.suppressed for row in table.rows] == [False, True, True, True]
    enough = [[*people(30), *people(10, group=2), *people(10, group=3), *people(21, group=4)]]
    assert [row.suppressed for row in same(enough, parameters(4)).rows] == [False, True, True, False]


def test_only_released_columns_are_shown() -> None:
    row = statistics([people(30)], parameters(1, release=["count"]))[0].rows[0]
    assert (row.sum, row.count, row.subjects) == (None, 30, None)


def test_groups_of_two_fields_are_all_combinations() -> None:
    clauses = parameters(
        group_by=[
            {"field": "city", "categories": ["a", "b"]},
            {"field": "kind", "categories": ["x", "y", "z"]},
        ]
    )
    small = [*people(19, group=1), *people(19, group=3)]
    table = same([[*people(22, group=2), *people(21, group=6, value=3), *small]], clauses)
    assert [row.labels for row in table.rows if not row.suppressed] == [("a", "y"), ("b", "z")]


@pytest.mark.parametrize("value", [1 << 62, -(1 << 62), -(1 << 63)])
def test_values_that_could_wrap_are_refused_before_anything_leaves(value: int) -> None:
    rows = owner_rows(0, [(1, "a", value)])
    with pytest.raises(InputInvalid, match="add up"):
        share_groups(rows, KEY, 3, parameters(dominance=None).limit(1))
    share_groups(owner_rows(0, [(1, "a", (1 << 62) - 1)]), KEY, 3, parameters(dominance=None).limit(1))


def test_the_largest_values_that_are_taken_are_added_exactly() -> None:
    clauses = parameters(1)
    each = (clauses.limit(2) - 1) // 25
    assert figures(same([people(25, value=each), people(25, value=-each, start=50)], clauses)) == [
        (0, 50, 50)
    ]


def test_a_group_outside_the_domain_is_refused() -> None:
    with pytest.raises(InputInvalid, match="outside"):
        share_groups(owner_rows(0, [(4, "a", 1)]), KEY, 3, 1 << 62)


def test_nodes_of_different_clauses_end_before_anything_is_computed() -> None:
    loose = parameters(min_group=20)
    strict = parameters(min_group=50)

    def program(clauses: AggregateParameters) -> Any:
        return lambda s, c: run(s, c, NODES, [], clauses, lambda *_: None)

    with pytest.raises((PartyFailed, PlanMismatch)):
        run_together(
            {"operator": program(loose), "bank": program(strict), "exchange": program(loose)},
            parties="threads",
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"min_group": 19},
        {"min_group": None},
        {"release": ["largest"]},
        {"release": []},
        {"value": "city"},
        {"value": None},
        {"subject": "city"},
        {"extra": 1},
        {"dominance": {"contributors": 0}},
        {"group_by": [{"field": "city", "categories": ["a", "a"]}]},
        {"group_by": [{"field": "f", "categories": [str(n) for n in range(4096)]}]},
    ],
)
def test_clauses_that_do_not_fit_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parameters(**changes)


def test_halves_that_do_not_belong_together_open_nothing() -> None:
    words = np.zeros((1, 4), dtype=np.uint64)
    half0, half2 = GroupHalf(b"s" * 32, 0, words), GroupHalf(b"s" * 32, 2, words)

    def opened(a: GroupHalf, b: GroupHalf) -> GroupTable:
        return open_groups(a, b, ("city",), [("a",)], ("sum",), totals=False)

    assert opened(half0, half2).rows[0].suppressed
    leaking = GroupHalf(b"s" * 32, 2, np.array([[5, 0, 0, 0]], dtype=np.uint64))
    for bad in (
        half0,
        GroupHalf(b"t" * 32, 2, words),
        GroupHalf(b"s" * 32, 2, np.zeros((2, 4), np.uint64)),
        leaking,
    ):
        with pytest.raises(ResultInvalid):
            opened(half0, bad)
    for data in (b"", half0.to_bytes()[:-1], half0.to_bytes() + b"0", b"X" + half0.to_bytes()[1:]):
        with pytest.raises(HalfInvalid):
            GroupHalf.from_bytes(data)
