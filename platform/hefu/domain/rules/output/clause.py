"""What a contract's output clauses must say before anything is computed 产出条款 (K7; white paper A, 3.7; white paper B, 3.2)."""

from __future__ import annotations

from collections.abc import Iterable

from hefu.domain.contract import Contract, Output
from hefu.domain.identity import Role
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.output.columns import allowed_columns
from hefu.domain.rules.output.groups import MIN_GROUP
from hefu.domain.rules.say import block
from hefu.domain.verdict import Finding

_TABLES = ("row_status", "group_statistics", "decision")
_REVIEWED = ("matches", "model")
_BY_ROW = frozenset({Role.REGULATOR, Role.RESULT_CONSUMER})


def check_output_clause(matter: Matter) -> Iterable[Finding]:
    """Blocks where an output clause leaves open who gets what, for which purpose, in which columns (white paper A, 3.7)."""
    for output in matter.contract.outputs:
        yield from _bound(matter.contract, output)
        if output.form in _TABLES and not allowed_columns(output):
            yield _refuse(
                output,
                "output_columns_missing",
                "产出条款未列明可离开的列",
                "the output clause names no column that may leave",
                "逐列列明可离开的内容",
                "name each column that may leave",
                seen="0",
                expected=">= 1",
            )
        if output.form in _REVIEWED and not output.reviewers:
            yield _refuse(
                output,
                "output_reviewers_missing",
                "匹配名单或模型离开前须经人工审核，产出条款未列明审核方",
                "matches and models are reviewed by people before they leave; the clause names no reviewer",
                "列明审核方、法定数与期限",
                "name reviewers, quorum and deadline",
                law=("pipl-51",),
                seen="0",
                expected=">= 1",
            )
        if output.form == "row_status":
            yield from _by_row(matter.contract, output)


def check_group_clause(matter: Matter) -> Iterable[Finding]:
    """Blocks statistics of groups under 20 people, or whose sets of people may differ by fewer (white paper B, 3.2)."""
    contract = matter.contract
    for output in contract.outputs:
        if output.form != "group_statistics":
            continue
        least = max(MIN_GROUP, output.min_group_size or MIN_GROUP)
        sizes = (
            ("output_group_size", output.min_group_size, MIN_GROUP),
            ("output_set_difference", contract.min_set_difference, least),
        )
        for rule, seen, limit in sizes:
            if seen is not None and seen < limit:
                yield _refuse(
                    output,
                    rule,
                    "统计分组的最小人数，或两次统计的人群最小差异，低于要求",
                    "the smallest group, or the smallest difference between two sets of people, is below what is required",
                    f"提高到 {limit} 人以上",
                    f"raise it to {limit} people",
                    source="WP-B 3.2",
                    law=("pipl-51", "pipl-73"),
                    seen=str(seen),
                    expected=f">= {limit}",
                )


def _bound(contract: Contract, output: Output) -> Iterable[Finding]:
    parties = {party.org_id for party in contract.parties}
    if output.recipient not in parties:
        yield _refuse(
            output,
            "output_recipient_no_party",
            "结果接收方不是合约当事方",
            "the recipient of a result is no party of the contract",
            "将接收方列为当事方并签署",
            "make the recipient a party that signs",
            law=("pipl-23",),
            seen=output.recipient,
        )
    if not output.purpose_bound.strip():
        yield _refuse(
            output,
            "output_purpose_missing",
            "产出条款未写明使用目的",
            "the output clause names no purpose of use",
            "写明结果的使用目的与范围",
            "write down what the result may be used for",
        )
    if output.no_reidentification is not True:
        yield _refuse(
            output,
            "output_reidentification",
            "产出条款未禁止重新识别",
            "the output clause does not forbid re-identification",
            "加入禁止重新识别的约定",
            "forbid re-identification",
            law=("pipl-73",),
        )


def _by_row(contract: Contract, output: Output) -> Iterable[Finding]:
    roles = {role for party in contract.parties if party.org_id == output.recipient for role in party.roles}
    if not roles & _BY_ROW:
        yield _refuse(
            output,
            "output_by_row_recipient",
            "逐笔结果只能发给监管方或结果使用方",
            "results by row go to a regulator or a result consumer only",
            "改由监管方或结果使用方接收，或改为分组统计",
            "name such a recipient, or release statistics of groups",
            law=("pipl-6", "pipl-23"),
            seen=", ".join(sorted(role.value for role in roles)),
            expected=", ".join(sorted(role.value for role in _BY_ROW)),
        )


def _refuse(
    output: Output, rule: str, zh: str, en: str, mend_zh: str, mend_en: str, *,
    source: str = "WP-A 3.7", law: tuple[str, ...] = ("pipl-6",), seen: str = "", expected: str = "",
) -> Finding:  # fmt: skip
    return block(
        rule, "K7", zh, en, party=output.recipient, mend_zh=mend_zh, mend_en=mend_en, source=source, law=law,
        seen=seen, expected=expected,
    )  # fmt: skip


RULES: tuple[Rule, ...] = (check_output_clause, check_group_clause)
