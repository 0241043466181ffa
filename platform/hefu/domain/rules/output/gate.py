"""The output gate: every result of every component passes all checks, in order, or does not leave (K7, K12; white paper A, 3.7, 3.9).

Closed by default: an unknown form, a missing count of subjects, a missing digest, a check that breaks, all block. Human
review follows (`review.py`); this gate does not replace it. What it hands out is `released(table)` and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from hefu.domain.contract import Contract, Output
from hefu.domain.rules.output.columns import allowed_columns, check_columns
from hefu.domain.rules.output.groups import minimum_group, suppress_groups
from hefu.domain.rules.output.identifiers import check_identifiers
from hefu.domain.rules.output.limits import check_budget, check_recipients, check_volume
from hefu.domain.rules.output.table import ResultTable, released
from hefu.domain.rules.output.uniqueness import check_uniqueness
from hefu.domain.verdict import Finding, Severity, Verdict, judge

Check = Callable[[Output, ResultTable], Iterable[Finding]]
CHECKS: tuple[Check, ...] = (check_recipients, check_columns, check_identifiers, check_volume)
_DIGEST = re.compile(r"^(?:sha256:)?[0-9a-f]{64}$")


def check_output(
    contract: Contract,
    output: Output,
    table: ResultTable,
    *,
    quasi_identifiers: Sequence[str] = (),
    spent_milli: int | None = None,
    cost_milli: int | None = None,
    totals: bool = True,
) -> tuple[Verdict, ResultTable | None]:
    """The verdict, and what may leave (None when nothing may). The digest of the released bytes is taken after this.

    quasi_identifiers  columns that single people out together with what a recipient knows; rows must repeat
    spent_milli, cost_milli  budget of differential privacy, in thousandths of epsilon
    totals             whether totals over the groups are released or known
    """
    found: list[Finding] = []
    left = table
    try:
        if output not in contract.outputs:
            found.append(_closed(output, "output", "not in this contract"))
        if not _DIGEST.match(table.digest):
            found.append(_closed(output, "digest", "no digest of the result's bytes"))
        for check in CHECKS:
            found += check(output, table)
        kinds = {c.kind for c in allowed_columns(output) if c.name in table.columns}
        if output.form == "group_statistics" or kinds & {"group_key", "count", "sum", "mean"}:
            left, more = suppress_groups(output, table, totals)
            found += more
        found += check_uniqueness(output, table, quasi_identifiers, minimum_group(output))
        found += check_budget(output, spent_milli, cost_milli)
    except Exception as error:  # whatever a check stumbles over must not open the gate
        found.append(_closed(output, "check", type(error).__name__))
    verdict = judge("check_output", found)
    return verdict, released(left) if verdict.passed else None


def _closed(output: Output, what: str, seen: str) -> Finding:
    return Finding(
        rule=f"output_{what}_unknown",
        severity=Severity.BLOCK,
        point="K7",
        party=output.recipient,
        seen=seen,
        message_zh="产出检查无法完成，结果不予发布",
        message_en="the output could not be checked: nothing is released",
        mend_zh="请补全结果的说明后重试",
        mend_en="complete what describes the result, and try again",
        source="WP-A 3.7",
        law=("pipl-51",),
    )
