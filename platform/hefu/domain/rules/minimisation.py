"""K10, data minimisation 最小必要: adequate, relevant, limited 充分性、相关性、限制性 (white paper B, 3.2.1; white paper A, 1.1.2).

Relevant: each field has a written necessity of its own. Limited: what the computation does not read is not in the contract;
volume, uses and time have limits that mean something, and what is held is checked periodically. Adequate: what the computation
reads is in the contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from hefu.domain.contract import Contract, ContractDataSet
from hefu.domain.filings.events import MinimisationReview
from hefu.domain.periods import BUSINESS_ZONE
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.pick import day, of_contract
from hefu.domain.rules.say import block, warn
from hefu.domain.rules.technique_table import description_of, uses_of
from hefu.domain.verdict import Finding

LEAST_CHARACTERS = 6
SAME_TEXT_FIELDS = 3
"""Up to so many fields may share one reason."""
NO_LIMIT_ROWS, NO_LIMIT_USES = 2**40, 1_000_000
"""The largest values that the clauses take: written there, they limit nothing."""
CHECK_EVERY = timedelta(days=365)


def fields_read(contract: Contract) -> dict[str, set[str]]:
    """Data set -> the fields that the computation reads, under their owner's names.

    Besides the component's: the field that names the data subject, where the contract needs one, and the field that
    groups people in the fairness measure. Raises KeyError for a component that nobody described.
    """
    found: dict[str, set[str]] = {d.data_set_id: set() for d in contract.data_sets}
    for step in contract.computation.steps:
        for used in uses_of(contract, step):
            found[used.data_set_id].add(used.name)
    fairness = contract.automated.fairness if contract.automated else None
    for data_set in contract.data_sets:
        if data_set.subject_field is not None:
            found[data_set.data_set_id].add(data_set.subject_field)
        if fairness is not None and any(f.name == fairness.group_field for f in data_set.fields):
            found[data_set.data_set_id].add(fairness.group_field)
    return found


def check_fields(matter: Matter) -> Iterator[Finding]:
    """The fields of the contract are those that the computation reads, no more and no fewer (white paper B, 3.2.1)."""
    contract = matter.contract
    if any(description_of(step) is None for step in contract.computation.steps):
        yield block(
            "fields_read_unknown",
            "K10",
            "计算组件没有说明其读取的字段，无法核对最小必要",
            "a component is not described: which fields it reads is not known",
            seen="; ".join(s.component for s in contract.computation.steps if description_of(s) is None),
            expected="described components",
            mend_zh="改用已有技术说明的组件",
            mend_en="name a component that is described",
            source="WP-B 3.2.1",
            law=("pipl-6",),
        )
        return
    read = fields_read(contract)
    for data_set in contract.data_sets:
        listed = {f.name for f in data_set.fields}
        for name in sorted(listed - read[data_set.data_set_id]):
            yield _field(
                data_set,
                name,
                "field_not_needed",
                "合约列有该字段，计算并不读取",
                "is in the contract, and the computation does not read it",
                "在合约中删除该字段",
                "leave it out of the contract",
            )
        for name in sorted(read[data_set.data_set_id] - listed):
            yield _field(
                data_set,
                name,
                "field_not_listed",
                "计算读取该字段，合约未列明",
                "is read by the computation, and not in the contract",
                "在合约中列明该字段及其必要性",
                "list it with its necessity",
            )


def check_necessity(matter: Matter) -> Iterator[Finding]:
    """Each field's necessity is written, and written for that field (white paper B, 3.2.1)."""
    for data_set in matter.contract.data_sets:
        for field in data_set.fields:
            text = field.necessity.strip()
            if len(text) < LEAST_CHARACTERS:
                yield _field(
                    data_set,
                    field.name,
                    "necessity_missing",
                    f"必要性说明{'为空' if not text else '过短'}",
                    f"has {'no' if not text else 'too short a'} written necessity",
                    f"写明该字段对目的的必要性（不少于 {LEAST_CHARACTERS} 字）",
                    f"say what the purpose needs it for, in {LEAST_CHARACTERS} characters at least",
                    seen=text or "blank",
                )
        texts = {f.necessity.strip() for f in data_set.fields}
        if len(data_set.fields) > SAME_TEXT_FIELDS and len(texts) == 1:
            yield _field(
                data_set,
                ", ".join(f.name for f in data_set.fields),
                "necessity_not_individual",
                "所有字段的必要性说明相同",
                "all have the same written necessity",
                "逐字段写明必要性",
                "write each field's own",
                seen=next(iter(texts)),
            )


def check_limits(matter: Matter) -> Iterator[Finding]:
    """The purpose is stated; volume and uses are limited in fact; what is held is checked each year (white paper A, 1.1.2)."""
    contract = matter.contract
    for rule, wrong, zh, en, seen, expected in (
        (
            "purpose_missing",
            not contract.purpose.strip(),
            "未写明处理目的",
            "states no purpose",
            "blank",
            "text",
        ),
        (
            "volume_not_limited",
            contract.limits.max_rows >= NO_LIMIT_ROWS,
            "未实际限定数据用量",
            "does not limit the rows of a use in fact",
            str(contract.limits.max_rows),
            f"< {NO_LIMIT_ROWS}",
        ),
        (
            "uses_not_limited",
            contract.limits.max_uses >= NO_LIMIT_USES,
            "未实际限定使用次数",
            "does not limit the number of uses in fact",
            str(contract.limits.max_uses),
            f"< {NO_LIMIT_USES}",
        ),
    ):
        if wrong:
            yield block(
                rule,
                "K10",
                f"合约{zh}",
                f"the contract {en}",
                seen=seen,
                expected=expected,
                mend_zh="在合约中写明与目的相称的目的、数据用量与使用次数",
                mend_en="state purpose, volume and uses that fit each other",
                source="WP-A 1.1.2",
                law=("pipl-6", "pipl-19"),
            )
    start = contract.limits.valid_from.astimezone(BUSINESS_ZONE).date()
    for owner in contract.owners():
        reviews = of_contract(matter, MinimisationReview, issuer=owner)
        last = max((day(r.checked_on) for r in reviews if day(r.checked_on) <= matter.today), default=start)
        if last + CHECK_EVERY < matter.today:
            yield warn(
                "minimisation_not_reviewed",
                "K10",
                f"{owner} 自 {last} 起未周期性检查所持有的数据",
                f"{owner} has not checked what it holds since {last}",
                party=owner,
                seen=str(last),
                expected=f">= {matter.today - CHECK_EVERY}",
                mend_zh="检查所持有的数据并删除不需要的部分，备案检查记录",
                mend_en="check what is held, delete what is not needed, file the review",
                source="WP-B 3.2.1",
                law=("pipl-19", "pipl-47"),
            )


def _field(
    data_set: ContractDataSet,
    name: str,
    rule: str,
    zh: str,
    en: str,
    mend_zh: str,
    mend_en: str,
    seen: str = "",
) -> Finding:
    return block(
        rule,
        "K10",
        f"数据集 {data_set.data_set_id} 的字段 {name}：{zh}",
        f"field {name} of data set {data_set.data_set_id} {en}",
        party=data_set.owner,
        seen=f"{name}: {seen}" if seen else name,
        expected="the fields that the purpose needs, each with its necessity",
        mend_zh=mend_zh,
        mend_en=mend_en,
        source="WP-B 3.2.1",
        law=("pipl-6", "cc-1035"),
    )


RULES: tuple[Rule, ...] = (check_fields, check_necessity, check_limits)
