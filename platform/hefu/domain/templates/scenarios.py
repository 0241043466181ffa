"""The six scenarios of white paper A, chapter 4, with their default clauses. Texts in Chinese and English, split at " / "."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hefu.domain.contract import LegalStanding
from hefu.domain.terms import ConsentKind


@dataclass(frozen=True)
class Template:
    """A scenario.

    component   what computes it; while it is not installed the template is not available
    roles       role → fewest and most organisations (None: no limit)
    necessity   role of a field → why the computation needs it (K10)
    consents    kinds of consent needed where consent is the legal basis (K1)
    automated   use of results in automated decisions, where there is one (K8)
    model       a model comes out: ownership and licence are asked for (K6)
    """

    name: str
    name_zh: str
    name_en: str
    component: str
    purpose_code: str
    purpose: str
    roles: Mapping[str, tuple[int, int | None]]
    necessity: Mapping[str, str]
    consents: tuple[ConsentKind, ...]
    form: str
    purpose_bound: str
    owner_standing: LegalStanding = LegalStanding.JOINT_HANDLER
    automated: str | None = None
    automated_text: str = ""
    model: bool = False
    dominance: bool = False
    retention_days: int = 1825
    milestones: tuple[str, ...] = ("initiation", "acceptance", "closing")
    extra: Mapping[str, str] = field(default_factory=dict)


_ROLES = {"owners": (2, None), "recipient": (1, 1), "compute_parties": (3, 3), "auditor": (1, 1)}
_BOUND = (
    "结果仅用于本合约目的，不得与其他数据结合以识别特定自然人，不得向合约以外的任何一方提供。 / The result serves this contract's purpose only; "
    "it is not combined with other data to identify a natural person, and not passed to anyone outside this contract."
)
_PEOPLE_DECIDE = (
    "结果不直接作出对个人有影响的决定，任何此类决定由有权人员作出。 / No decision that affects a person follows from the result by itself; an "
    "entitled person takes it."
)
_KEY = "匹配主体，仅以密钥化标记参与计算 / to match data subjects; enters as keyed tokens only"


def _all() -> list[Template]:
    return [
        Template(
            "t1_reconciliation",
            "资金流水 T+1 对账",
            "T+1 reconciliation of fund flows",
            "reconcile",
            "supervisory_reconciliation",
            "核对业务记录与资金流水的一致性（穿透式监管） / consistency of business records and fund flows",
            {
                "institutions": (1, None),
                "banks": (1, None),
                "regulator": (1, 1),
                "compute_parties": (3, 3),
                "auditor": (1, 1),
            },
            {},
            (),
            "row_status",
            _BOUND,
            LegalStanding.PI_HANDLER,
            automated_text=_PEOPLE_DECIDE,
        ),
        Template(
            "joint_statistics",
            "联合统计",
            "Joint statistics",
            "aggregate",
            "joint_statistics",
            "多方数据按组汇总统计，不输出任何个体记录 / statistics by group over several parties' data; no single record leaves",
            _ROLES,
            {
                "subject": "按不同个人信息主体计数并抑制小组，仅以密钥化标记参与计算 / counts distinct data subjects and suppresses small groups; enters as keyed tokens only",
                "group_by": "划分统计组 / makes the groups",
                "value": "组内求和，仅以秘密分享参与计算 / summed by group; enters as secret shares only",
            },
            (ConsentKind.EXPLICIT,),
            "group_statistics",
            _BOUND,
            automated_text=_PEOPLE_DECIDE,
            dominance=True,
        ),
        Template(
            "blacklist_lookup",
            "黑名单查询",
            "Blacklist look-up",
            "pir",
            "blacklist_lookup",
            "以隐私信息检索查询风险名单，名单方不知所查对象 / private look-up in a risk list; its holder does not learn who is looked up",
            _ROLES,
            {"subject": _KEY},
            (ConsentKind.SEPARATE,),
            "matches",
            _BOUND,
            automated="decision",
            automated_text=_PEOPLE_DECIDE,
        ),
        Template(
            "joint_modelling",
            "联合建模",
            "Joint modelling",
            "train",
            "joint_modelling",
            "以各方特征联合训练模型，梯度和参数受保护 / a model trained on all parties' features; gradients and parameters stay protected",
            _ROLES,
            {
                "subject": _KEY,
                "features": "模型特征 / a feature of the model",
                "label": "模型标签 / the label of the model",
            },
            (ConsentKind.SEPARATE,),
            "model",
            _BOUND,
            automated="decision",
            automated_text=_PEOPLE_DECIDE,
            model=True,
            milestones=("initiation", "midterm_test", "acceptance", "closing"),
        ),
        Template(
            "advertising",
            "联合营销",
            "Advertising",
            "psi",
            "advertising",
            "以隐私集合求交确定共同客户并推送 / common customers by private set intersection, for marketing",
            _ROLES,
            {"subject": _KEY},
            (ConsentKind.SEPARATE,),
            "matches",
            _BOUND,
            automated="marketing",
            automated_text=(
                "同时提供不针对个人特征的选项，并提供便捷的拒绝方式；拒绝名单在各节点输入前移除。 / An option that is not based on personal "
                "traits and an easy way to refuse are offered; refusals are removed at each node before input."
            ),
        ),
        Template(
            "face_matching",
            "人脸比对",
            "Face matching",
            "face",
            "face_matching",
            "在保护人脸信息的前提下核验身份；提供其他验证方式 / identity checked while face data stays protected; another way is offered",
            _ROLES,
            {
                "subject": _KEY,
                "template": "人脸特征，仅以秘密分享参与计算 / face features; enter as secret shares only",
            },
            (ConsentKind.SEPARATE, ConsentKind.WRITTEN),
            "decision",
            _BOUND,
            automated="decision",
            automated_text=_PEOPLE_DECIDE,
        ),
    ]


TEMPLATES: Mapping[str, Template] = MappingProxyType({t.name: t for t in _all()})


def template(name: str) -> Template:
    """The template of this name. Raises KeyError."""
    return TEMPLATES[name]
