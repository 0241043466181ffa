"""k-anonymity of released rows on their quasi-identifiers (K12; white paper B, 3.2). Source: Sweeney, 2002.

For rows that stand for one person each. Rows of groups are covered by the minimum group (`groups.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hefu.domain.contract import Output
from hefu.domain.rules.output.table import ResultTable
from hefu.domain.rules.say import block
from hefu.domain.verdict import Finding


def smallest_class(table: ResultTable, quasi_identifiers: Sequence[str]) -> int:
    """Rows in the smallest class of equal quasi-identifiers; 0 for an empty table. Raises ValueError for an unknown column."""
    at = [table.columns.index(name) for name in quasi_identifiers]
    return min(Counter(tuple(row[i] for i in at) for row in table.rows).values(), default=0)


def check_uniqueness(
    output: Output, table: ResultTable, quasi_identifiers: Sequence[str], k: int
) -> Iterable[Finding]:
    """Blocks when fewer than k rows share their quasi-identifiers, or a quasi-identifier is no column of the table."""
    present = [name for name in quasi_identifiers if name in table.columns]
    if not present or not table.rows:
        return
    found = smallest_class(table, present)
    if found < k:
        yield block(
            "output_unique_rows",
            "K12",
            "结果中有可被单独识别的行：准标识符组合的最小等价类过小",
            "rows can be singled out: the smallest class of equal quasi-identifiers is too small",
            party=output.recipient,
            seen=str(found),
            expected=f">= {k}",
            mend_zh="概括或去掉准标识符后再发布",
            mend_en="generalise the quasi-identifiers, or leave them out",
            source="WP-B 3.2",
            law=("pipl-51", "pipl-73", "gbt37964"),
        )
