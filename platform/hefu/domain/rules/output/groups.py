"""Minimum group of distinct data subjects, dominance, complementary suppression (K7, K12; white paper B, 3.2; white paper A, 3.7).

A group's size is the number of natural persons behind it, never of rows: 24 payments of one person are one subject. What is
released must leave an unsafe group's count an interval at least as wide as the minimum group; where no choice of further groups
does, the table does not leave. Of sums it promises that none follows from the others, and (n, k); not how closely they are bounded.
"""

from __future__ import annotations

from collections.abc import Iterable

from hefu.domain.contract import Output
from hefu.domain.rules.output.columns import allowed_columns
from hefu.domain.rules.output.grid import suppress_with_complements
from hefu.domain.rules.output.table import ResultTable
from hefu.domain.rules.say import block, note
from hefu.domain.verdict import Finding

MIN_GROUP = 20


def minimum_group(output: Output) -> int:
    """20, or what the contract raises it to; never less."""
    return max(MIN_GROUP, output.min_group_size or 0)


def unsafe_rows(output: Output, table: ResultTable) -> tuple[set[int], set[int]]:
    """(rows with too few subjects, rows that few contributors dominate). Raises ValueError where what is needed is unknown."""
    if table.subjects is None:
        raise ValueError("subjects: unknown")
    small = {i for i, n in enumerate(table.subjects) if n < minimum_group(output)}
    if output.dominance is None or table.judged:
        return small, set()
    if table.top_shares is None:
        raise ValueError("top_shares: unknown")
    limit = output.dominance.max_share_ppm
    return small, {i for i, share in enumerate(table.top_shares) if share > limit}


def suppress_groups(output: Output, table: ResultTable, totals: bool) -> tuple[ResultTable, list[Finding]]:
    """The table with unsafe cells suppressed, and what was found.

    totals  whether totals over the groups are released with it, or are known to the recipient: then complementary
            suppression applies. Assume so unless the contract rules it out; so it is where the table has a total.
    Every column of a suppressed group that is no group key is suppressed.
    Blocks where counts of subjects (or shares of contributors) are missing, or where the shape cannot be protected.
    """
    try:
        small, dominated = unsafe_rows(output, table)
    except ValueError as error:
        return table, [_unknown(output, str(error))]
    unsafe = small | dominated
    if not unsafe:
        return table, []
    known = {c.name: c.kind for c in allowed_columns(output)}
    keys = [name for name in table.columns if known.get(name) == "group_key"]
    try:
        if totals or table.totals:
            hidden = suppress_with_complements(table, keys, unsafe, minimum_group(output))
        else:
            hidden = set(unsafe)
    except ValueError as error:
        return table, [_unprotectable(output, str(error))]
    names = [name for name in table.columns if name not in keys]
    return table.blank(sorted(hidden), names), list(_notes(output, small, dominated, hidden - unsafe))


def _notes(output: Output, small: set[int], dominated: set[int], secondary: set[int]) -> Iterable[Finding]:
    for rule, rows, zh, en, expected in (
        (
            "group_too_small",
            small,
            "分组的个人信息主体数不足，已抑制",
            "groups of too few subjects were suppressed",
            f">= {minimum_group(output)}",
        ),
        (
            "group_dominated",
            dominated,
            "分组由少数贡献者主导，已抑制",
            "groups that few contributors dominate were suppressed",
            "(n, k)",
        ),
        (
            "group_complementary",
            secondary,
            "为防止由合计反推，补充抑制",
            "further groups were suppressed, so that totals give nothing away",
            "0 derivable",
        ),
    ):
        if rows:
            yield note(
                rule,
                "K7",
                zh,
                en,
                party=output.recipient,
                seen=str(len(rows)),
                expected=expected,
                source="WP-B 3.2",
                law=("pipl-51", "pipl-73"),
                mend_zh="合并分组后可发布更多",
                mend_en="merge groups to release more",
            )


def _unknown(output: Output, what: str) -> Finding:
    return block(
        "group_unknown",
        "K7",
        "统计结果缺少去重后的个人信息主体数或贡献者占比",
        "the distinct data subjects behind the statistics, or the contributors' shares, are not known",
        party=output.recipient,
        seen=what,
        expected="one value per row",
        source="WP-B 3.2",
        law=("pipl-51",),
        mend_zh="由计算组件随结果给出每组的去重主体数（及占比）",
        mend_en="have the component give each group's distinct subjects (and shares) with the result",
    )


def _unprotectable(output: Output, what: str) -> Finding:
    return block(
        "group_unprotectable",
        "K7",
        "无法对该分组表实施补充抑制",
        "this table of groups cannot be protected by suppression",
        party=output.recipient,
        seen=what,
        expected="1 or 2 dimensions, complete, with enough groups to suppress",
        source="WP-B 3.2",
        law=("pipl-51",),
        mend_zh="减少分组维度、补全分组或合并分组",
        mend_en="group by fewer keys, complete the grid, or merge groups",
    )
