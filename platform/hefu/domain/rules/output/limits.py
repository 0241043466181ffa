"""Recipients, volume and the budget of differential privacy: what the contract fixes as numbers and names (K7; white paper A, 3.7; B, 3.2)."""

from __future__ import annotations

from collections.abc import Iterable

from hefu.domain.contract import Output
from hefu.domain.rules.output.table import ResultTable
from hefu.domain.rules.say import block
from hefu.domain.verdict import Finding


def check_recipients(output: Output, table: ResultTable) -> Iterable[Finding]:
    """Blocks when the result is made for anybody but the output's recipient."""
    if table.recipients != (output.recipient,):
        yield block(
            "output_recipient",
            "K7",
            "结果接收方与合约不一致",
            "the result's recipients are not the contract's",
            party=output.recipient,
            seen=", ".join(table.recipients),
            expected=output.recipient,
            mend_zh="只向合约列明的接收方发布结果",
            mend_en="release to the recipient that the contract names, and to nobody else",
            source="WP-A 3.7",
            law=("pipl-23",),
        )


def check_volume(output: Output, table: ResultTable) -> Iterable[Finding]:
    """Blocks when more rows would leave than the contract allows."""
    rows = len(table.rows) if table.stands_for is None else max(len(table.rows), table.stands_for)
    if output.max_output_rows is not None and rows > output.max_output_rows:
        yield block(
            "output_volume",
            "K7",
            "结果行数超过合约上限",
            "more rows would leave than the contract allows",
            party=output.recipient,
            seen=str(rows),
            expected=f"<= {output.max_output_rows}",
            mend_zh="缩小查询范围，或由各方重新签署上限",
            mend_en="narrow the query, or have the limit signed anew",
            source="WP-A 3.7",
            law=("pipl-6",),
        )


def check_budget(output: Output, spent_milli: int | None, cost_milli: int | None) -> Iterable[Finding]:
    """Blocks when the release would overdraw the contract's budget, or when what was spent or costs is not known.

    spent_milli, cost_milli  epsilon in thousandths, spent so far under this contract and spent by this release; epsilons of
                             releases add up (sequential composition: Dwork & Roth, 2014, theorem 3.16)
    """
    if output.epsilon_milli is None:
        return
    known = spent_milli is not None and cost_milli is not None and spent_milli >= 0 and cost_milli > 0
    if not known or (spent_milli or 0) + (cost_milli or 0) > output.epsilon_milli:
        yield block(
            "output_budget",
            "K7",
            "差分隐私预算不足" if known else "差分隐私预算的使用情况未知",
            "the differential privacy budget does not suffice"
            if known
            else "what was spent of the budget is not known",
            party=output.recipient,
            seen=f"{spent_milli} + {cost_milli}",
            expected=f"<= {output.epsilon_milli}",
            mend_zh="停止发布，或由各方重新签署预算",
            mend_en="release no more, or have the budget signed anew",
            source="WP-B 3.2",
            law=("pipl-51",),
        )
