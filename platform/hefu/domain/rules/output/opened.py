"""Statistics that were suppressed on shares, judged once more when they are opened (K7, K12; white paper A, 3.7; B, 3.2).

The compute nodes suppress before anything is opened; the recipient's node trusts nobody's word for it. What it sees of a
suppressed group is that it is suppressed, and what it knows besides is how many rows there are in all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hefu.domain.contract import Output
from hefu.domain.rules.output.groups import minimum_group
from hefu.domain.rules.output.table import ResultTable
from hefu.domain.rules.say import block
from hefu.domain.verdict import Finding


@dataclass(frozen=True)
class Suppressed:
    """What is left open by the groups that a statistic does not show.

    shown, hidden  numbers of groups that are shown and suppressed
    rows           rows of the suppressed groups together: all that were announced less those of shown groups
    total          whether a total over all groups is shown
    labels         texts that stand in the table for the suppressed groups
    """

    shown: int
    hidden: int
    rows: int
    total: bool
    labels: tuple[str, ...] = ()


def check_suppressed(output: Output, left: Suppressed) -> Iterable[Finding]:
    """Blocks where a suppressed group follows from what is shown: one alone, too few rows together, or with a total."""
    if left.rows < 0:
        yield _derivable(output, "output_rows_differ", f"{left.rows}", ">= 0")
    if not left.hidden:
        return
    if left.total:
        yield _derivable(output, "output_total_shown", f"{left.hidden}", "0")
    if left.shown and left.hidden == 1:
        yield _derivable(output, "output_group_alone", "1", ">= 2")
    if left.shown and left.rows < minimum_group(output):
        yield _derivable(output, "output_rest_small", f"{left.rows}", f">= {minimum_group(output)}")


def check_unchanged(output: Output, before: ResultTable, after: ResultTable | None) -> Iterable[Finding]:
    """Blocks where the gate would still suppress what the compute nodes let through: they did not apply the contract's gate."""
    if after is not None and after.rows != before.rows:
        changed = sum(a != b for a, b in zip(after.rows, before.rows, strict=True))
        yield block(
            "output_not_suppressed",
            "K7",
            "结果中有应在密态下抑制而未抑制的分组",
            "groups that should have been suppressed on shares stand in the result",
            party=output.recipient,
            seen=str(changed),
            expected="0",
            source="WP-B 3.2",
            law=("pipl-51", "pipl-73"),
            mend_zh="不得启封；请审计方核查计算方的输出闸门存证",
            mend_en="do not open it; ask the auditor to check what the compute parties signed of the output gate",
        )


def _derivable(output: Output, rule: str, seen: str, expected: str) -> Finding:
    return block(
        rule,
        "K7",
        "被抑制的分组可由合计或总行数反推",
        "a suppressed group follows from a total, or from the number of all rows",
        party=output.recipient,
        seen=seen,
        expected=expected,
        source="WP-B 3.2",
        law=("pipl-51", "pipl-73"),
        mend_zh="不得启封；补充抑制其他分组，或合并分组后重新执行",
        mend_en="do not open it; run again with a further group suppressed, or with groups merged",
    )
