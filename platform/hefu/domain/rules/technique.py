"""K5, security of the technique 技术方案安全: each field only in the forms that its grade permits, and only the code agreed on.

Field = identifier class x sensitive category x grade. JR/T 0171-2020: C3 (authentication information) is neither shared
nor entrusted in whatever form; C2 leaves protected. A direct identifier never leaves as a plain hash: phone and ID numbers
are few enough to hash them all, so that white paper A, 4.2 (哈希方法无法逆推得到用户手机号明文) does not hold. Gradients are
personal information (1.2) and leave protected only (3.5). White paper A, 3.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hefu.domain.contract import ContractField
from hefu.domain.dataset import DataGrade, IdentifierClass, SensitiveCategory
from hefu.domain.rules.matter import Matter, Rule
from hefu.domain.rules.say import block
from hefu.domain.rules.technique_table import (
    TECHNIQUE_ZH,
    FieldUse,
    Technique,
    description_of,
    design_of,
    uses_of,
)
from hefu.domain.rules.words import IDENTIFIER_ZH, SENSITIVE_ZH
from hefu.domain.verdict import Finding

T = Technique
_PROTECTED = frozenset({T.LOCAL_ONLY, T.SECRET_SHARE, T.HOMOMORPHIC})
_BODY = frozenset({SensitiveCategory.BIOMETRIC, SensitiveCategory.GENETIC})


class Permission(NamedTuple):
    """Which techniques a field may leave under, and why no others."""

    techniques: frozenset[Technique]
    zh: str
    en: str
    law: tuple[str, ...]


def permitted(field: ContractField) -> Permission:
    """The techniques that a field's class, category and grade permit, strictest reason first (JR/T 0171)."""
    direct = field.identifier_class is IdentifierClass.DIRECT
    sensitive = field.sensitive is not SensitiveCategory.NONE
    if field.grade is DataGrade.C3:
        return Permission(
            frozenset({T.LOCAL_ONLY}),
            "C3 用户鉴别信息不得共享，也不得委托处理",
            "C3 authentication information is neither shared nor entrusted",
            ("jrt0171",),
        )
    if field.sensitive in _BODY:
        return Permission(
            _PROTECTED,
            "生物识别与基因数据不可更改，只以密文或随机分量参与计算",
            "biometric and genetic data cannot be changed: as ciphertext or shares only",
            ("pipl-28", "jrt0171"),
        )
    if direct:
        return Permission(
            _PROTECTED | {T.KEYED_TOKEN},
            "直接标识符可被枚举，普通哈希等同于明文，只能以密钥化标记、秘密分享或同态密文离开",
            "direct identifiers can be enumerated: a plain hash is as good as the value; keyed token, shares or ciphertext only",
            ("jrt0171", "pipl-51", "gbt37964"),
        )
    if sensitive:
        return Permission(
            _PROTECTED | {T.AGGREGATE, T.PROTECTED_GRADIENT},
            "敏感属性取值少，标记的频次会泄露取值",
            "sensitive attributes take few values: the frequencies of their tokens tell them",
            ("pipl-28", "jrt0171"),
        )
    if field.grade is DataGrade.C2 or field.identifier_class is IdentifierClass.QUASI:
        return Permission(
            _PROTECTED | {T.KEYED_TOKEN, T.AGGREGATE, T.PROTECTED_GRADIENT},
            "C2 信息与准标识符须经保护后离开",
            "C2 information and quasi-identifiers leave protected only",
            ("jrt0171", "pipl-51"),
        )
    return Permission(
        frozenset(T) - {T.GRADIENT},
        "梯度须经保护",
        "gradients are protected",
        ("pipl-51",),
    )


def judge_use(used: FieldUse) -> Finding | None:
    """A finding where the component treats the field as its grade does not permit; it names what would do."""
    if used.field is None:
        return None  # a field that the contract does not list is minimisation's finding (K10)
    permission = permitted(used.field)
    wrong = [t for t in dict.fromkeys((*used.use.sent, *used.use.computed)) if t not in permission.techniques]
    if not wrong:
        return None
    would_do = sorted(permission.techniques, key=list(T).index)
    names, names_zh = ", ".join(t.value for t in wrong), "、".join(TECHNIQUE_ZH[t] for t in wrong)
    mend, mend_zh = ", ".join(t.value for t in would_do), "、".join(TECHNIQUE_ZH[t] for t in would_do)
    field = used.field
    return block(
        "technique_not_permitted",
        "K5",
        f"{used.owner} 的字段 {used.name}（{field.grade.value}，{IDENTIFIER_ZH[field.identifier_class]}，"
        f"{SENSITIVE_ZH[field.sensitive]}）不得以{names_zh}的方式离开：{permission.zh}",
        f"field {used.name} of {used.owner} ({field.grade.value}, {field.identifier_class.value}, "
        f"{field.sensitive.value}) must not leave as {names}: {permission.en}",
        party=used.owner,
        seen=f"{used.data_set_id}.{used.name}: {names}",
        expected=f"one of {mend}",
        mend_zh=f"改用{mend_zh}，或将该字段从合约中删除",
        mend_en=f"use one of {mend}, or leave the field out of the contract",
        source="WP-A 3.5",
        law=permission.law,
    )


def check_technique(matter: Matter) -> Iterator[Finding]:
    """Every field that a step reads leaves in a form that its grade permits (white paper A, 3.5)."""
    for step in matter.contract.computation.steps:
        if description_of(step) is None:
            yield block(
                "technique_unknown",
                "K5",
                f"组件 {step.component}（设计 {design_of(step) or '默认'}）没有技术说明，无法判断字段如何被保护",
                f"component {step.component} (design {design_of(step) or 'default'}) is not described: "
                "nobody can tell how fields are protected",
                seen=f"{step.component} {design_of(step)}".strip(),
                expected="a described component and design",
                mend_zh="改用已有技术说明的组件与设计",
                mend_en="name a component and design that are described",
                source="WP-A 3.5",
            )
            continue
        for used in uses_of(matter.contract, step):
            finding = judge_use(used)
            if finding is not None:
                yield finding


def check_code(matter: Matter) -> Iterator[Finding]:
    """The code installed here is exactly the code that the contract names, and so is the engine's version (white paper A, 3.5)."""
    for step in matter.contract.computation.steps:
        here = matter.installed.get(step.component)
        for rule, zh, en, seen, due in (
            ("code_differs", "代码摘要", "code digest", here, step.code_digest),
            ("engine_differs", "引擎版本", "engine version", matter.engine_version, step.engine_version),
        ):
            if seen != due:
                yield block(
                    rule,
                    "K5",
                    f"组件 {step.component} 的{zh}与合约不符：本地 {seen or '未安装'}，合约 {due}",
                    f"the {en} of component {step.component} differs: here {seen or 'not installed'}, contract {due}",
                    seen=seen or "not installed",
                    expected=due,
                    mend_zh="安装合约所定版本，或以现行代码签署新版合约",
                    mend_en="install what the contract names, or sign a new version that names this code",
                    source="WP-A 3.5",
                    law=("pipl-51",),
                )


RULES: tuple[Rule, ...] = (check_technique, check_code)
