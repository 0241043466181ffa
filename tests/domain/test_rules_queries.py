"""Repeated queries: real attacks, with the guard off and on."""

import numpy as np
from hefu.domain.rules.queries import Query, check_query


def test_differencing_recovers_a_value_unless_refused() -> None:
    values = np.random.default_rng(1).integers(1, 1000, size=100)
    everybody, but_one = Query.of("sum", "pay", range(100)), Query.of("sum", "pay", range(99))
    assert values[:100].sum() - values[:99].sum() == values[99]
    assert check_query([], everybody).passed
    assert [f.rule for f in check_query([everybody], but_one).findings] == ["query_differencing"]
    assert [f.rule for f in check_query([everybody], everybody).findings] == ["query_repeated"]
    assert check_query([everybody], but_one, min_difference=1).passed
    assert check_query([everybody], Query.of("sum", "pay", range(60))).passed


def test_union_of_two_is_compared_with_a_third() -> None:
    history = [Query.of("sum", "pay", range(50)), Query.of("sum", "pay", range(50, 100))]
    assert [f.rule for f in check_query(history, Query.of("sum", "pay", range(101))).findings] == [
        "query_combined"
    ]


def test_reconstruction_needs_more_answers_than_the_limit_gives() -> None:
    draw = np.random.default_rng(3)
    bits = draw.integers(0, 2, size=60)
    history: list[Query] = []
    masks = [draw.random(60) < 0.5 for _ in range(240)]

    def recovered(chosen: list[np.ndarray]) -> float:
        guess = np.linalg.lstsq(
            np.array(chosen, dtype=float), np.array([bits[m].sum() for m in chosen]), rcond=None
        )[0]
        return float(((guess > 0.5) == bits).mean())

    answered = []
    for mask in masks:
        query = Query.of("sum", "flag", np.flatnonzero(mask).tolist())
        if check_query(history, query, max_queries=10).passed:
            history.append(query)
            answered.append(mask)
    assert recovered(masks) > 0.9
    assert len(answered) <= 10
    assert recovered(answered) < 0.9
