"""Repeated-query control (K5; white paper A, 3.5: repeated use of the same input may leak it).

Per contract, refuses or charges to the budget of differential privacy: a repeat over the same subjects; differencing, two
sets, or a set and the union or difference of two earlier ones, that differ by fewer than k subjects; and too many answers.
Source: Dobkin, Jones and Lipton, "Secure databases: protection against user influence", ACM TODS 4(1), 1979.

How many answers: about n exact sums over subsets of n people give everybody's value by linear algebra (Dinur and Nissim, PODS
2003); where values are 0 or 1, well-chosen 2n/log2(n) do (coin weighing: Lindström, 1965). So max(10, n // 20) are given, about
half of the latter for a million people (n/20 against n/10), less for fewer. n counts whoever is in some of the overlapping
sets and not in all. The reconstruction in the tests is stopped by this with everything at its default.

Not complete: combinations of more than three queries are not looked for (auditing is coNP-hard: Kleinberg, Papadimitriou and
Raghavan, 2003), a large population with few people in question among it raises the limit, and a refusal itself may tell
something (Kenthapadi, Mishra and Nissim, 2005). Only noise bounds what all answers together tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from hefu.domain.rules.query_sets import Query, Tokens, difference, near, smallest_gap, varying
from hefu.domain.rules.say import block, note
from hefu.domain.verdict import Finding, Severity, Verdict, judge

__all__ = ["MAX_PAIRS", "Budget", "Query", "answer_limit", "check_query", "difference"]

MAX_PAIRS = 500_000
"""Pairs of earlier queries compared with a new one, newest first: all pairs of the 1000 that are answered at most."""
_LEAST, _FRACTION = 10, 20


class Budget(NamedTuple):
    """The contract's budget of differential privacy, in thousandths of epsilon.

    epsilon_milli  what the contract gives (`Output.epsilon_milli`)
    spent_milli    what earlier answers spent
    charge_milli   what this answer's noise costs: the caller records it as spent; an answer without noise has no such price
    """

    epsilon_milli: int
    spent_milli: int
    charge_milli: int


def answer_limit(subjects: int) -> int:
    """How many answers may be given about this many people."""
    return max(_LEAST, subjects // _FRACTION)


def check_query(
    history: Sequence[Query],
    query: Query,
    min_difference: int = 20,
    max_queries: int = 1000,
    budget: Budget | None = None,
) -> Verdict:
    """Whether the query may be answered after those of `history` (answered ones, oldest first).

    budget  where the contract has one: what would be refused is charged instead (note `query_charged`) as long as the
            budget lasts; a set of fewer than `min_difference` subjects is refused all the same
    """
    found = list(_findings(history, query, min_difference, max_queries))
    if budget is not None and found and found[0].rule != "query_set_small":
        found = [_charged(found[0], budget)]
    return judge("query", found)


def _findings(history: Sequence[Query], query: Query, k: int, max_queries: int) -> Iterable[Finding]:
    """The first thing that speaks against an answer."""
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
    if not same:
        return
    sketches = np.stack([q.sketch for q in same])
    for found in (_pair(same, sketches, query, k), _triple(same, sketches, query, k), _count(same, query)):
        if found is not None:
            yield found
            return


def _pair(same: list[Query], sketches: Tokens, query: Query, k: int) -> Finding | None:
    for earlier in (same[i] for i in near(sketches, query.sketch, max(k, 1))):
        if abs(len(earlier.subjects) - len(query.subjects)) >= k:
            continue
        gap = difference(earlier.subjects, query.subjects)
        if gap == 0 and earlier.statistic == query.statistic:
            return _refuse("query_repeated", "同一集合上的重复查询", "a repeat over the same set", 0, k)
        if 0 < gap < k:
            return _refuse(
                "query_differencing",
                "与历史查询的集合相差过小",
                "differs too little from an earlier set",
                gap,
                k,
            )
    return None


def _triple(same: list[Query], sketches: Tokens, query: Query, k: int) -> Finding | None:
    """However three sets are arranged, their gap is no less than their symmetric difference: one sketch tells for all."""
    left = MAX_PAIRS
    for a in range(len(same) - 1, 0, -1):
        first = max(0, a - left)
        left -= a - first
        for b in near(sketches[first:a], sketches[a] ^ query.sketch, k):
            gap = smallest_gap(same[a].subjects, same[first + b].subjects, query.subjects, k)
            if gap is not None:
                return _refuse(
                    "query_combined",
                    "与两次历史查询的并集或差集相差过小",
                    "differs too little from two earlier sets combined",
                    gap,
                    k,
                )
        if left <= 0:
            break
    return None


def _count(same: list[Query], query: Query) -> Finding | None:
    if sum(q.answers for q in same) + query.answers <= _LEAST:
        return None
    answers, subjects = varying(same, query)
    limit = answer_limit(subjects)
    if answers + query.answers <= limit:
        return None
    return _refuse(
        "query_reconstruction",
        "对同一人群的统计次数过多，合并后可能还原个人数据",
        "so many figures about the same people that each one's value may be computed from them",
        answers + query.answers,
        limit,
    )


def _charged(why: Finding, budget: Budget) -> Finding:
    spent = budget.spent_milli + budget.charge_milli
    seen = f"{why.rule}: {budget.spent_milli} + {budget.charge_milli}"
    if budget.spent_milli < 0 or budget.charge_milli <= 0 or spent > budget.epsilon_milli:
        return why.model_copy(
            update={
                "rule": "query_budget",
                "severity": Severity.BLOCK,
                "seen": seen,
                "expected": f"<= {budget.epsilon_milli}",
                "message_zh": f"{why.message_zh}，差分隐私预算也不足以支付",
                "message_en": f"{why.message_en}, and the privacy budget does not pay for it",
            }
        )
    return note(
        "query_charged",
        "K5",
        f"{why.message_zh}，已计入差分隐私预算",
        f"{why.message_en}: charged to the privacy budget",
        seen=seen,
        expected=f"<= {budget.epsilon_milli}",
        source="WP-B 3.2",
        law=("pipl-51",),
        mend_zh="关注剩余预算",
        mend_en="mind what is left of the budget",
    )


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
