"""Repeated-query control (K5; white paper A, 3.5: repeated use of the same input may leak it).

Refuses, per contract, a repeat over the same subjects and differencing: two sets, or a set and the union or difference of
two earlier ones, that differ by fewer than k subjects. Source: Dobkin, Jones and Lipton, "Secure databases: protection against
user influence", ACM TODS 4(1), 1979. Not complete: combinations of more than three queries are not looked for (auditing is
coNP-hard: Kleinberg et al., 2003), so the number of queries is limited too; a refusal itself may tell something (Kenthapadi
et al., 2005). Only noise (the budget of differential privacy) bounds what all answers together tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hefu.domain.rules.say import block
from hefu.domain.verdict import Finding, Verdict, judge

Tokens = np.ndarray[Any, np.dtype[np.uint64]]
MAX_PAIRS = 2000
"""Pairs of earlier queries compared with a new one, newest first."""


@dataclass(frozen=True)
class Query:
    """statistic: digest of statistic, columns and filter's form; measure: digest of what is summed; subjects: sorted keyed tokens."""

    statistic: str
    measure: str
    subjects: Tokens

    @classmethod
    def of(cls, statistic: str, measure: str, tokens: Iterable[int]) -> Query:
        """Sorts the tokens, each once."""
        return cls(statistic, measure, np.unique(np.fromiter(tokens, dtype=np.uint64)))


def difference(a: Tokens, b: Tokens) -> int:
    """Subjects in one set and not in the other; both sorted, without repeats."""
    return len(a) + len(b) - 2 * len(np.intersect1d(a, b, assume_unique=True))


def check_query(
    history: Sequence[Query], query: Query, min_difference: int = 20, max_queries: int = 1000
) -> Verdict:
    """Whether the query may be answered after those of `history` (answered ones, oldest first)."""
    return judge("query", _findings(history, query, min_difference, max_queries))


def _findings(history: Sequence[Query], query: Query, k: int, max_queries: int) -> Iterable[Finding]:
    if len(query.subjects) < k:
        yield _refuse(
            "query_set_small", "查询集合过小", "the query's set is too small", len(query.subjects), k
        )
        return
    if len(history) >= max_queries:
        yield _refuse(
            "query_limit", "查询次数已达上限", "no further queries are answered", len(history), max_queries
        )
        return
    same = [q for q in history if q.measure == query.measure]
    for earlier in same:
        if abs(len(earlier.subjects) - len(query.subjects)) >= k:
            continue
        gap = difference(earlier.subjects, query.subjects)
        if gap == 0 and earlier.statistic == query.statistic:
            yield _refuse("query_repeated", "同一集合上的重复查询", "a repeat over the same set", 0, k)
            return
        if 0 < gap < k:
            yield _refuse(
                "query_differencing",
                "与历史查询的集合相差过小",
                "differs too little from an earlier set",
                gap,
                k,
            )
            return
    for a, b in _pairs(len(same)):
        combined = _smallest_gap(same[a].subjects, same[b].subjects, query.subjects, k)
        if combined is not None:
            yield _refuse(
                "query_combined",
                "与两次历史查询的并集或差集相差过小",
                "differs too little from two earlier sets combined",
                combined,
                k,
            )
            return


def _pairs(count: int) -> Iterable[tuple[int, int]]:
    done = 0
    for a in range(count - 1, -1, -1):
        for b in range(a - 1, -1, -1):
            if done == MAX_PAIRS:
                return
            done += 1
            yield a, b


def _smallest_gap(a: Tokens, b: Tokens, c: Tokens, k: int) -> int | None:
    """Sums only add up for disjoint unions (A+B=C) and nested differences (A-B=C); a gap of 0 tells nothing new."""
    for left, right, whole in ((a, b, c), (a, c, b), (b, c, a)):
        if abs(len(left) + len(right) - len(whole)) >= k:
            continue
        gap = difference(np.union1d(left, right), whole) + len(
            np.intersect1d(left, right, assume_unique=True)
        )
        if 0 < gap < k:
            return gap
    return None


def _refuse(rule: str, zh: str, en: str, seen: int, limit: int) -> Finding:
    return block(
        rule,
        "K5",
        zh,
        en,
        seen=str(seen),
        expected=str(limit),
        source="WP-A 3.5",
        law=("pipl-51",),
        mend_zh="改变查询范围，或使用差分隐私预算",
        mend_en="ask about other sets, or spend a budget of differential privacy",
    )
