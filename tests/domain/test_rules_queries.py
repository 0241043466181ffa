"""Repeated queries: real attacks, with the guard off and on."""

import numpy as np
import pytest
from hefu.domain.rules import queries
from hefu.domain.rules.queries import Budget, Query, answer_limit, check_query
from hefu.domain.rules.query_sets import difference, near, smallest_gap, varying

TOKENS = np.random.default_rng(0).integers(0, 2**64, size=1000, dtype=np.uint64)
"""Keyed hashes of a thousand people, as nodes make them."""


def rules(history: list[Query], query: Query, **limits: object) -> list[str]:
    return [f.rule for f in check_query(history, query, **limits).findings]  # type: ignore[arg-type]


def total(*people: range, measure: str = "pay", answers: int = 1) -> Query:
    return Query.of("sum", measure, [p for some in people for p in some], answers)


def test_differencing_recovers_a_value_unless_refused() -> None:
    values = np.random.default_rng(1).integers(1, 1000, size=100)
    everybody, but_one = total(range(100)), total(range(99))
    assert values[:100].sum() - values[:99].sum() == values[99]
    assert check_query([], everybody).passed
    assert rules([everybody], but_one) == ["query_differencing"]
    assert rules([everybody], everybody) == ["query_repeated"]
    assert rules([everybody], but_one, min_difference=1) == []
    assert rules([everybody], total(range(60))) == []
    assert rules([everybody], total(range(99), measure="age")) == []
    assert rules([], total(range(19))) == ["query_set_small"]
    assert rules([everybody], total(range(60)), max_queries=1) == ["query_limit"]


def test_without_the_guard_on_pairs_a_value_is_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_pair", lambda *_: None)
    assert rules([total(range(100))], total(range(99))) == []


def test_nineteen_apart_are_too_near_and_twenty_are_not() -> None:
    assert rules([total(range(100))], total(range(81))) == ["query_differencing"]
    assert rules([total(range(100))], total(range(80))) == []


@pytest.mark.parametrize(
    ("first", "second", "asked"),
    [
        (total(range(50)), total(range(50, 100)), total(range(101))),  # union
        (total(range(100)), total(range(50)), total(range(50, 101))),  # difference
        (total(range(50)), total(range(100)), total(range(51, 100))),
    ],
)
def test_two_sets_combined_are_compared_with_a_third(
    first: Query, second: Query, asked: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = total(range(500, 600))
    assert rules([far, first, second], asked) == ["query_combined"]
    assert rules([far, first], asked) == []
    monkeypatch.setattr(queries, "MAX_PAIRS", 0)
    assert rules([far, first, second], asked) == []


def test_pairs_are_looked_at_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = [total(range(50)), total(range(50, 100))]
    far = [total(range(1000 * i, 1000 * i + 100)) for i in (1, 2)]
    monkeypatch.setattr(queries, "MAX_PAIRS", 1)
    assert rules([*far, *pair], total(range(101))) == ["query_combined"]
    assert rules([*pair, *far], total(range(101))) == []


@pytest.mark.parametrize("people", [60, 200])
def test_reconstruction_is_stopped_by_the_defaults(people: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(3)
    bits = draw.integers(0, 2, size=people)
    masks = [draw.random(people) < 0.5 for _ in range(240)]

    def recovered(chosen: list[np.ndarray]) -> float:
        guess = np.linalg.lstsq(
            np.array(chosen, dtype=float), np.array([bits[m].sum() for m in chosen]), rcond=None
        )[0]
        return float(((guess > 0.5) == bits).mean())

    def answered() -> list[np.ndarray]:
        history: list[Query] = []
        given = []
        for mask in masks:
            query = Query.of("sum", "flag", TOKENS[:people][mask].tolist())
            if check_query(history, query).passed:
                history.append(query)
                given.append(mask)
        return given

    assert recovered(masks) == 1.0
    given = answered()
    assert len(given) == answer_limit(people)
    assert recovered(given) < 0.8
    monkeypatch.setattr(queries, "_count", lambda *_: None)
    assert recovered(answered()) > 0.95


def test_padding_with_people_who_are_always_there_raises_no_limit() -> None:
    draw = np.random.default_rng(4)
    few, crowd = 200, np.arange(1_000, 31_000)
    history: list[Query] = []
    for _ in range(100):
        chosen = np.flatnonzero(draw.random(few) < 0.5)
        query = Query.of("sum", "flag", np.concatenate([chosen, crowd]).tolist())
        if check_query(history, query).passed:
            history.append(query)
    assert len(history) < 20
    assert answer_limit(30_200) > 1000


def test_people_asked_about_elsewhere_count_neither_way() -> None:
    history = [total(range(100 * i, 100 * i + 100)) for i in range(30)]
    assert varying(history, total(range(50))) == (1, 50)
    assert rules(history, total(range(50))) == []


def test_each_figure_answered_counts() -> None:
    history = [total(range(100), answers=9)]
    assert rules(history, total(range(50))) == []
    assert rules(history, total(range(50), answers=2)) == ["query_reconstruction"]


def test_a_budget_is_charged_instead_until_it_is_spent() -> None:
    history, query = [total(range(100))], total(range(99))
    assert check_query(history, total(range(60)), budget=Budget(1000, 0, 100)).findings == ()
    charged = check_query(history, query, budget=Budget(1000, 900, 100))
    assert charged.passed
    assert [f.rule for f in charged.findings] == ["query_charged"]
    assert "query_differencing" in charged.findings[0].seen
    for spent, charge in ((901, 100), (0, 0), (-1, 1)):
        assert rules(history, query, budget=Budget(1000, spent, charge)) == ["query_budget"]
        assert not check_query(history, query, budget=Budget(1000, spent, charge)).passed
    assert rules(history, total(range(5)), budget=Budget(1000, 0, 1)) == ["query_set_small"]


def test_the_sketch_never_hides_a_near_set() -> None:
    """Twin: whatever the exact comparison finds near, the sketch lets through."""
    draw = np.random.default_rng(6)
    people = np.unique(draw.integers(0, 2**64, size=3000, dtype=np.uint64))
    kept_apart = 0
    for _ in range(300):
        a = Query("s", "m", np.sort(draw.choice(people, 400, replace=False)))
        changed = draw.choice(people, int(draw.integers(0, 40)), replace=False)
        b = Query("s", "m", np.setxor1d(a.subjects, changed))
        c = Query("s", "m", np.setxor1d(np.union1d(a.subjects, b.subjects), people[:5]))
        let_through = near(np.stack([a.sketch]), b.sketch, 20) == [0]
        assert let_through or difference(a.subjects, b.subjects) >= 20
        kept_apart += not let_through
        pair = near(np.stack([a.sketch]), b.sketch ^ c.sketch, 20) == [0]
        assert pair or smallest_gap(a.subjects, b.subjects, c.subjects, 20) is None
    assert kept_apart > 0
    assert near(np.stack([a.sketch]), Query("s", "m", people[:0]).sketch, 20) == []
