"""K11, risk grade of what is exposed 分类分级: the rules of white paper B, 3.2.2.

    high    untreated direct identifiers (a plain hash is none: it can be enumerated)
    medium  quasi-identifiers; direct identifiers that are weakly treated: generalised, pseudonyms 假名化
    low     strongly treated identifiers; statistics over 20 or more people; ciphertext whose key the viewer lacks; random
            shares without collusion
Very large volumes raise statistics and de-identified
information by one: what counts is how many such lines are shown, not how many people stand behind a statistic; shares and
ciphertext are neither and are not raised. So the paper's Estonian case (ten million records on shares, statistics out) is low.
Low does not mean anonymous: it asks for a judgement.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from hefu.domain.dataset import IdentifierClass
from hefu.domain.filings.assessment import RiskLevel

RiskGrade = RiskLevel
Stage = Literal["transmission", "computation", "result"]
STAGES: tuple[Stage, ...] = ("transmission", "computation", "result")
STAGE_ZH = {"transmission": "数据传输", "computation": "计算过程", "result": "计算结果"}
LARGE_GROUP = 20
VERY_LARGE_LINES = 10_000_000
"""The paper says 特别大 and no number; the size of its own case, and the one at which Chinese rules ask for more (audit-4)."""


class Form(StrEnum):
    """In which form information is seen by somebody other than its owner."""

    PLAIN = "plain"
    HASH = "hash"
    GENERALISED = "generalised"
    PSEUDONYM = "pseudonym"
    ROW_REFERENCE = "row_reference"
    STRONGLY_TREATED = "strongly_treated"
    STATISTICS = "statistics"
    MODEL = "model"
    CIPHERTEXT = "ciphertext"
    SHARES = "shares"


_RAISED_BY_VOLUME = frozenset(
    {Form.GENERALISED, Form.PSEUDONYM, Form.ROW_REFERENCE, Form.STRONGLY_TREATED, Form.STATISTICS}
)


@dataclass(frozen=True)
class Exposure:
    """Something that somebody sees in one stage.

    what        the field or output, as people call it
    identifier  strongest class of what stands behind it
    lines       how many lines are seen in this form
    people      fewest people in one statistic
    underneath  what shares or ciphertext become when parties collude, or the viewer has the key
    protected   a model under differential privacy
    data_sets   whose data it is
    """

    stage: Stage
    form: Form
    what: str
    identifier: IdentifierClass
    lines: int
    people: int | None = None
    key_with_viewer: bool = False
    colluding: bool = False
    underneath: Form = Form.PLAIN
    protected: bool = False
    data_sets: tuple[str, ...] = ()


class Graded(NamedTuple):
    """An exposure's grade, why, and which technique would lower it (empty where it is low)."""

    exposure: Exposure
    level: RiskLevel
    zh: str
    en: str
    lower_zh: str = ""
    lower_en: str = ""


ORDER = [RiskLevel.LOW, RiskLevel.MEDIUM, RiskLevel.HIGH]
_SHARE_ZH, _SHARE_EN = (
    "改用秘密分享，计算方只见随机分量",
    "secret sharing: compute parties see random shares only",
)
_STATS_ZH, _STATS_EN = (
    f"仅输出不少于 {LARGE_GROUP} 人的分组统计",
    f"release statistics over {LARGE_GROUP} people or more only",
)


def grade_exposure(seen: Exposure) -> Graded:
    """One exposure's grade, with its reasons."""
    level, zh, en, lower_zh, lower_en = _grade(seen.form, seen, broken=seen.key_with_viewer or seen.colluding)
    if seen.form in _RAISED_BY_VOLUME and seen.lines >= VERY_LARGE_LINES and level is not RiskLevel.HIGH:
        level = ORDER[ORDER.index(level) + 1]
        zh += f"；数据规模特别大（{seen.lines} 条），提高一级"
        en += f"; very many lines ({seen.lines}): one grade higher"
        lower_zh = "；".join(filter(None, [lower_zh, f"将数据规模限制在 {VERY_LARGE_LINES} 条以内"]))
        lower_en = "; ".join(filter(None, [lower_en, f"limit the volume below {VERY_LARGE_LINES} lines"]))
    return Graded(seen, level, f"{seen.what}：{zh}", f"{seen.what}: {en}", lower_zh, lower_en)


def _grade(form: Form, seen: Exposure, *, broken: bool) -> tuple[RiskLevel, str, str, str, str]:
    low, medium, high = ORDER
    direct = seen.identifier is IdentifierClass.DIRECT
    match form:
        case Form.PLAIN | Form.HASH:
            if direct and form is Form.HASH:
                why = (
                    "普通哈希可被枚举还原，视同直接标识符明文",
                    "a plain hash can be enumerated: as good as the value",
                )
                return high, *why, f"改用密钥化标记，或{_SHARE_ZH}", f"keyed tokens, or {_SHARE_EN}"
            if direct:
                return (
                    high,
                    "含未经技术处理的直接标识符",
                    "an untreated direct identifier",
                    _SHARE_ZH,
                    _SHARE_EN,
                )
            if seen.identifier is IdentifierClass.QUASI:
                return medium, "含准标识符", "a quasi-identifier", _SHARE_ZH, _SHARE_EN
            return low, "不含标识符", "no identifier", "", ""
        case Form.GENERALISED:
            return (
                medium,
                "泛化处理，仍有一定概率关联到自然人",
                "generalised: may still lead to a person",
                _SHARE_ZH,
                _SHARE_EN,
            )
        case Form.PSEUDONYM:
            if broken and seen.identifier is not IdentifierClass.NONE:
                level, zh, en, _, _ = _grade(Form.PLAIN, seen, broken=False)
                fix = "密钥由不见标记的一方保管", "leave the key with somebody who sees no token"
                return (
                    level,
                    f"假名，但看到者掌握密钥：{zh}",
                    f"a pseudonym whose key the viewer holds: {en}",
                    *fix,
                )
            if seen.identifier is IdentifierClass.NONE:
                return low, "标记背后不含标识符", "a token of what identifies nobody", "", ""
            return (
                medium,
                "假名化处理的标识符",
                "a pseudonym in the place of an identifier",
                _SHARE_ZH,
                _SHARE_EN,
            )
        case Form.ROW_REFERENCE:
            why = (
                "逐行结果指向单条记录，行号即假名",
                "each line points to one record: the reference is a pseudonym",
            )
            return medium, *why, _STATS_ZH, _STATS_EN
        case Form.STRONGLY_TREATED:
            return (
                low,
                "标识符经处理，重识别概率较低",
                "strongly treated: little probability of re-identification",
                "",
                "",
            )
        case Form.STATISTICS:
            if seen.people is None or seen.people < LARGE_GROUP:
                why = (
                    f"统计信息可能少于 {LARGE_GROUP} 人",
                    f"a statistic may cover fewer than {LARGE_GROUP} people",
                )
                return medium, *why, _STATS_ZH, _STATS_EN
            return (
                low,
                f"不少于 {seen.people} 人的统计信息",
                f"statistics over {seen.people} people or more",
                "",
                "",
            )
        case Form.MODEL:
            if seen.protected:
                return low, "模型参数受差分隐私保护", "a model under differential privacy", "", ""
            why = "模型参数可能被逆推出训练数据", "training data may be derived from a model"
            return medium, *why, "训练加差分隐私", "train under differential privacy"
        case Form.CIPHERTEXT | Form.SHARES:
            name = ("密文", "ciphertext") if form is Form.CIPHERTEXT else ("随机分量", "random shares")
            if not broken:
                rest = (
                    ("接收方不掌握密钥", "the key is elsewhere")
                    if form is Form.CIPHERTEXT
                    else ("计算方不共谋", "no collusion")
                )
                return low, f"{name[0]}，{rest[0]}", f"{name[1]}, {rest[1]}", "", ""
            level, zh, en, _, _ = _grade(seen.underneath, seen, broken=seen.key_with_viewer)
            cause = (
                ("看到者掌握密钥", "the viewer holds the key")
                if form is Form.CIPHERTEXT
                else ("计算方受共同控制，可以共谋", "compute parties under common control may collude")
            )
            fix = (
                "更换为相互独立的计算方或密钥保管方",
                "independent compute parties, or another custodian of the key",
            )
            return level, f"{name[0]}，但{cause[0]}：{zh}", f"{name[1]}, but {cause[1]}: {en}", *fix
