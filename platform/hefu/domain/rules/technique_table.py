"""What each component does with each field: how it leaves its owner, what the compute parties see, which fields it reads.

Data that the rules on technique (K5), minimisation (K10) and risk grade (K11) read; the components' own docstrings say the
same in words (who learns what). A component or design that is not here is refused: nobody described what it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from hefu.domain.contract import Contract, ContractDataSet, ContractField, Step
from hefu.domain.dataset import FieldType

RECONCILE_KEYS = {"serial": "serial", "type": "type", "party": "party_id", "date": "occurred_at"}


class Technique(StrEnum):
    """In which form a value leaves its owner, or is seen by a compute party."""

    LOCAL_ONLY = "local_only"  # 不出域: only its owner's node reads it
    PLAIN = "plain"  # 明文
    HASH = "hash"  # 普通哈希, enumerable for short or structured values
    KEYED_TOKEN = "keyed_token"  # 密钥化标记: a pseudonym under a key that whoever sees it lacks  # noqa: S105  # no secret
    SECRET_SHARE = "secret_share"  # 秘密分享的随机分量  # noqa: S105  # no secret
    HOMOMORPHIC = "homomorphic"  # 同态加密, the key elsewhere
    AGGREGATE = "aggregate"  # 统计信息 over enough people
    GRADIENT = "gradient"  # 未受保护的梯度
    PROTECTED_GRADIENT = "protected_gradient"  # 梯度, masked, encrypted or noised


TECHNIQUE_ZH = {
    Technique.LOCAL_ONLY: "不出域",
    Technique.PLAIN: "明文",
    Technique.HASH: "普通哈希",
    Technique.KEYED_TOKEN: "密钥化标记",
    Technique.SECRET_SHARE: "秘密分享",
    Technique.HOMOMORPHIC: "同态加密",
    Technique.AGGREGATE: "统计汇总",
    Technique.GRADIENT: "未受保护的梯度",
    Technique.PROTECTED_GRADIENT: "受保护的梯度",
}


class TechniqueUse(NamedTuple):
    """How a role of the component is treated.

    sent        in which forms it leaves its owner and travels between compute parties
    computed    in which forms a compute party holds it while it computes
    underneath  what colluding compute parties would put together out of shares
    visible_to  positions (n0, n1, n2) that see the pseudonym
    key_at      who holds the key of the tokens: positions or roles
    """

    role: str
    sent: tuple[Technique, ...]
    computed: tuple[Technique, ...]
    underneath: Technique
    visible_to: tuple[str, ...] = ()
    key_at: tuple[str, ...] = ()


class FieldUse(NamedTuple):
    """One field of a data set as a step reads it; `field` is null where the contract lists no such field."""

    data_set_id: str
    owner: str
    name: str
    field: ContractField | None
    use: TechniqueUse


class Description(NamedTuple):
    """A component in one of its designs."""

    component: str
    design: str
    uses: Mapping[str, TechniqueUse]
    reads: Callable[[Contract, ContractDataSet, Mapping[str, Any]], dict[str, str]]


T = Technique


def _reconcile_reads(
    contract: Contract, data_set: ContractDataSet, parameters: Mapping[str, Any]
) -> dict[str, str]:
    """Column -> role. Canonical names are the owner's columns where `columns` maps them, else by name or by type."""
    wanted = {
        RECONCILE_KEYS.get(str(key), str(key)): "match_key" for key in parameters.get("match_keys") or ()
    }
    wanted.setdefault("amount", "amount")
    wanted.setdefault("occurred_at", "business_date")
    institutions = {d.owner for d in contract.data_sets if d.kind == "business_records"}
    if data_set.kind == "fund_flows" and len(institutions) > 1:
        wanted["institution"] = "institution"
    given = dict((parameters.get("columns") or {}).get(data_set.owner) or {})
    return {str(given.get(name) or _default_column(data_set, name)): role for name, role in wanted.items()}


def _default_column(data_set: ContractDataSet, name: str) -> str:
    names = [f.name for f in data_set.fields]
    types = {"amount": (FieldType.MONEY,), "occurred_at": (FieldType.DATE, FieldType.DATETIME)}.get(name, ())
    fitting = [f.name for f in data_set.fields if f.type in types]
    return fitting[0] if name not in names and len(fitting) == 1 else name


def _aggregate_reads(
    contract: Contract, data_set: ContractDataSet, parameters: Mapping[str, Any]
) -> dict[str, str]:
    wanted = {str(parameters.get("subject") or ""): "subject"}
    for key in parameters.get("group_by") or ():
        wanted[str(key["field"] if isinstance(key, Mapping) else key)] = "group_key"
    if parameters.get("value"):
        wanted[str(parameters["value"])] = "value"
    given = dict((parameters.get("columns") or {}).get(data_set.owner) or {})
    return {str(given.get(name) or name): role for name, role in wanted.items()}


def _shared(role: str, underneath: Technique) -> TechniqueUse:
    key_at = ("owner", "recipient") if underneath is T.KEYED_TOKEN else ()
    return TechniqueUse(role, (T.SECRET_SHARE,), (T.SECRET_SHARE,), underneath, key_at=key_at)


def _local(role: str) -> TechniqueUse:
    return TechniqueUse(role, (T.LOCAL_ONLY,), (T.LOCAL_ONLY,), T.LOCAL_ONLY)


_AMOUNT = _shared("amount", T.PLAIN)
_MATCH_KEY_F = TechniqueUse(
    # shares to N0 and N1; after two shuffles the tokens pass between N0 and N2, which open them
    "match_key",
    (T.SECRET_SHARE, T.KEYED_TOKEN),
    (T.KEYED_TOKEN,),
    T.KEYED_TOKEN,
    visible_to=("n0", "n2"),
    key_at=("owner", "recipient"),
)
_RECONCILE = {
    "amount": _AMOUNT,
    "business_date": _local("business_date"),
    "institution": _local("institution"),
}

DESCRIPTIONS: Mapping[tuple[str, str], Description] = MappingProxyType(
    {
        ("reconcile", "F"): Description(
            "reconcile", "F", {**_RECONCILE, "match_key": _MATCH_KEY_F}, _reconcile_reads
        ),
        ("reconcile", "S"): Description(
            "reconcile",
            "S",
            {**_RECONCILE, "match_key": _shared("match_key", T.KEYED_TOKEN)},
            _reconcile_reads,
        ),
        ("aggregate", ""): Description(
            "aggregate",
            "",
            {
                "subject": _shared("subject", T.KEYED_TOKEN),
                "group_key": _shared("group_key", T.PLAIN),
                "value": _shared("value", T.PLAIN),
            },
            _aggregate_reads,
        ),
    }
)
_DEFAULT_DESIGN = {"reconcile": "F"}


def design_of(step: Step) -> str:
    """The design that the step's parameters choose; the component's own default, or "" where it has none."""
    return str(step.parameters.get("design") or _DEFAULT_DESIGN.get(step.component, ""))


def description_of(step: Step) -> Description | None:
    """What the step's component does, or None where nobody described it."""
    return DESCRIPTIONS.get((step.component, design_of(step)))


def uses_of(contract: Contract, step: Step) -> list[FieldUse]:
    """Every field that the step reads, of every data set that enters it. Raises KeyError where it is not described."""
    description = DESCRIPTIONS[step.component, design_of(step)]
    found = []
    for data_set in contract.data_sets:
        if step.inputs and data_set.data_set_id not in step.inputs:
            continue
        fields = {f.name: f for f in data_set.fields}
        for name, role in description.reads(contract, data_set, step.parameters).items():
            use = description.uses[role]
            found.append(FieldUse(data_set.data_set_id, data_set.owner, name, fields.get(name), use))
    return found
