"""Allow-list of columns: what the contract does not name does not leave (K7; white paper A, 3.7).

Where an output names no columns, its form's own stand in their place: a reconciliation's are always the same. Forms that have
none of their own release nothing until the contract names columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from hefu.domain.contract import Output
from hefu.domain.rules.output.table import ResultTable
from hefu.domain.rules.say import block
from hefu.domain.terms import OutputColumn
from hefu.domain.verdict import Finding

DEFAULT_COLUMNS: Mapping[str, tuple[OutputColumn, ...]] = MappingProxyType(
    {
        "row_status": (
            OutputColumn(name="status", kind="status"),
            OutputColumn(name="reference", kind="reference"),
            OutputColumn(name="difference", kind="difference"),
        )
    }
)


def allowed_columns(output: Output) -> tuple[OutputColumn, ...]:
    """The columns that may leave: the contract's, or the form's own where the contract names none."""
    return output.columns or DEFAULT_COLUMNS.get(output.form, ())


def check_columns(output: Output, table: ResultTable) -> Iterable[Finding]:
    """Blocks a column that the contract does not name, and an output for which it names none."""
    allowed = {column.name for column in allowed_columns(output)}
    extra = [name for name in table.columns if name not in allowed]
    if extra or not allowed:
        yield block(
            "output_column_not_allowed",
            "K7",
            "结果中含有合约未列明的列" if allowed else "合约没有为该产出列明任何可离开的列",
            "the result has columns that the contract does not name"
            if allowed
            else "the contract names no column that may leave",
            party=output.recipient,
            seen=", ".join(name[:64] for name in extra),
            expected=", ".join(sorted(allowed)),
            mend_zh="从结果中去掉这些列，或经各方重新签署合约后加入",
            mend_en="leave the columns out, or have all parties sign a contract that names them",
            source="WP-A 3.7",
            law=("pipl-6",),
        )
