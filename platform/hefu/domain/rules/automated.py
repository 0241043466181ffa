"""Automated decisions 自动化决策 (K8; white paper A, 3.8; PIPL art. 24): notice, alternative, refusal, measured fairness.

A contract decides automatically where an output's form is `decision`, where its template is advertising or blacklist
look-up, or where it has the clause; a model or matches of other templates do so once the clause says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from hefu.domain.filings.assessment import FairnessReport
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.say import block
from hefu.domain.verdict import Finding

MIN_GROUP = 20


class Fairness(NamedTuple):
    """Largest gap between groups, in ppm; opportunity is None where fewer than two groups have enough positive labels."""

    parity_gap_ppm: int
    opportunity_gap_ppm: int | None
    groups: int


def decides(matter: Matter) -> bool:
    """Whether results feed decisions about people."""
    contract = matter.contract
    return (
        contract.automated is not None
        or contract.template in ("advertising", "blacklist_lookup")
        or any(o.form == "decision" for o in contract.outputs)
    )


def fairness(outcomes: Any, labels: Any, groups: Any) -> Fairness:
    """Demographic parity and equal opportunity gaps (Hardt, Price and Srebro, 2016).

    outcomes, groups  (n,) decisions 0/1, group of each distinct subject; labels (n,) 0/1 or None
    raises            ValueError when fewer than two groups have 20 subjects, or lengths differ
    """
    got, of = np.asarray(outcomes, dtype=bool), np.asarray(groups)
    true = None if labels is None else np.asarray(labels, dtype=bool)
    if len(got) != len(of) or (true is not None and len(true) != len(got)):
        raise ValueError("outcomes, labels and groups differ in length")
    names = [g for g in np.unique(of) if np.count_nonzero(of == g) >= MIN_GROUP]
    if len(names) < 2:
        raise ValueError(f"fewer than two groups of {MIN_GROUP} subjects")
    parity = [float(got[of == g].mean()) for g in names]
    chosen = [] if true is None else [got[(of == g) & true] for g in names]
    rates = [float(c.mean()) for c in chosen if len(c) >= MIN_GROUP]
    return Fairness(_gap(parity), _gap(rates) if len(rates) >= 2 else None, len(names))


def _gap(rates: list[float]) -> int:
    return round((max(rates) - min(rates)) * 1_000_000)


def check_clause(matter: Matter) -> Iterable[Finding]:
    """Blocks when the clause is missing or one of its three texts is blank (white paper A, 3.8)."""
    if not decides(matter):
        return
    clause = matter.contract.automated
    if clause is None:
        yield _finding(
            "automated_missing", "合约缺少自动化决策条款", "the contract has no clause on automated decisions"
        )
        return
    for name, zh in (
        ("notice", "告知"),
        ("alternative", "不针对个人特征的选项"),
        ("refusal_channel", "便捷的拒绝方式"),
    ):
        if not str(getattr(clause, name)).strip():
            yield _finding(
                f"automated_{name}",
                f"自动化决策条款未写明{zh}",
                f"the clause on automated decisions leaves {name} blank",
            )


def check_fairness(matter: Matter) -> Iterable[Finding]:
    """Blocks without a report in force about the contract's group field, or with gaps over the limits (white paper A, 3.8)."""
    clause = matter.contract.automated
    if clause is None or clause.fairness is None:
        return
    limits = clause.fairness
    reports = [
        r
        for r in matter.filings.all(FairnessReport, contract_id=matter.contract.contract_id)
        if r.in_force(matter.today) and r.group_field == limits.group_field
    ]
    if not reports:
        yield _finding(
            "fairness_missing",
            "缺少有效的公平性报告",
            "no fairness report is in force",
            expected=limits.group_field,
        )
        return
    newest = reports[-1]
    gaps = (
        ("parity", newest.parity_gap_ppm, limits.max_parity_gap_ppm),
        ("opportunity", newest.opportunity_gap_ppm, limits.max_opportunity_gap_ppm),
    )
    for name, seen, limit in gaps:
        if seen is None or seen > limit:
            yield _finding(
                f"fairness_{name}",
                "群体间差异超过合约限值或未测量",
                "groups differ by more than the contract allows, or were not measured",
                party=newest.issuer,
                seen=f"{seen} ppm",
                expected=f"<= {limit} ppm",
            )


def _finding(rule: str, zh: str, en: str, **rest: str) -> Finding:
    return block(
        rule, "K8", zh, en, source="WP-A 3.8", law=("pipl-24",),
        mend_zh="补全条款，重新测量公平性后再执行", mend_en="complete the clause, measure fairness anew, then run", **rest,
    )  # fmt: skip


RULES: tuple[Rule, ...] = (check_clause, check_fairness)
