"""The six organisations of the local system: who they are and what they ask for. Nobody real: region 99 does not exist."""

from __future__ import annotations

from hefu.domain.identity import Role, uscc_check_character
from hefu.node.registry import Profile

_SECURITY = (
    "等保三级；密钥加密存储；节点目录隔离 / MLPS level 3; keys encrypted at rest; node confined to its folder"
)


def _code(first17: str) -> str:
    return first17 + uscc_check_character(first17)


def _profile(
    zh: str, en: str, number: int, roles: tuple[Role, ...], qualification: tuple[str, str]
) -> Profile:
    return Profile(
        legal_name=zh,
        legal_name_en=en,
        uscc=_code(f"919900000000000{number:02d}"),
        contact="compliance@example.invalid",
        roles=roles,
        qualifications=({"name": qualification[0], "number": qualification[1], "expires_on": "2029-12-31"},),
        controlling_shareholder=f"示例控股{number}号 / Sample Holding {number}",
        self_assessment=_SECURITY,
    )


ORGANISATIONS: dict[str, Profile] = {
    "institution": _profile(
        "合和消费金融示例公司",
        "Hehe Consumer Finance (sample)",
        1,
        (Role.DATA_PROVIDER,),
        ("消费金融许可证", "CF-0001"),
    ),
    "bank": _profile(
        "江北商业银行示例行",
        "Jiangbei Commercial Bank (sample)",
        2,
        (Role.DATA_PROVIDER, Role.COMPUTE_PARTY),
        ("金融许可证", "B-0002"),
    ),
    "regulator": _profile(
        "金融监管示例局",
        "Financial Supervision Bureau (sample)",
        3,
        (Role.REGULATOR, Role.RESULT_CONSUMER),
        ("机关法人证书", "G-0003"),
    ),
    "operator": _profile(
        "合符平台运营示例公司",
        "Hefu Platform Operations (sample)",
        4,
        (Role.PLATFORM_PROVIDER, Role.SCHEDULER, Role.COMPUTE_PARTY, Role.ALGORITHM_PROVIDER),
        ("增值电信业务许可证", "P-0004"),
    ),
    "exchange": _profile(
        "数据交易示例所",
        "Data Exchange (sample)",
        5,
        (Role.COMPUTE_PARTY,),
        ("数据交易场所批复", "X-0005"),
    ),
    "auditor": _profile(
        "信安检测示例机构",
        "Xin'an Assessment (sample)",
        6,
        (Role.AUDITOR,),
        ("检验检测机构资质", "A-0006"),
    ),
}

OPERATOR = "operator"
IN_KIT = ("auditor", "regulator")
"""Whose applications every node gets out of band."""
