"""K3, admission criteria 准入标准 per role: what an organisation's own file must show before it takes part.

White paper A, 3.3, first point: parties have a sound data security management and the qualifications that their data need.
The criteria are pure and run automatically when a node joins (3.2, fourth point 节点加入的自动化审核) and again for every contract.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from datetime import date, timedelta
from typing import Any

from hefu.domain.filings.admission import AdmissionDossier
from hefu.domain.identity import Qualification, Role
from hefu.domain.rules.pick import SOON, day
from hefu.domain.rules.say import block, warn
from hefu.domain.rules.words import ROLE_ZH
from hefu.domain.verdict import Finding, Verdict, judge

YEAR = timedelta(days=365)
BASE_LEVEL, HIGH_LEVEL = 2, 3
_HIGH_LEVEL_ROLES = frozenset({Role.COMPUTE_PARTY, Role.PLATFORM_PROVIDER, Role.SCHEDULER})
_QUALIFIED_ROLES = frozenset({Role.DATA_PROVIDER, Role.PLATFORM_PROVIDER, Role.AUDITOR})
_ENCRYPTED_ROLES = frozenset({Role.DATA_PROVIDER, Role.COMPUTE_PARTY})
_NOTHING = frozenset({hashlib.sha256(b"").hexdigest(), "0" * 64})


def required_level(roles: Collection[Role], *, guarded: bool) -> int:
    """等级保护 level that the roles ask for. guarded: holds data of grade C2 or C3, or sensitive ones."""
    return HIGH_LEVEL if guarded or _HIGH_LEVEL_ROLES & set(roles) else BASE_LEVEL


def review_dossier(
    dossier: AdmissionDossier,
    roles: Collection[Role],
    today: date,
    *,
    guarded: bool = False,
    qualifications: Iterable[Qualification] = (),
) -> Verdict:
    """The automated review of a dossier against the criteria of these roles.

    guarded         the organisation holds data of grade C2 or C3, or sensitive ones
    qualifications  further ones, from its application
    """
    return judge(
        "admission_review", [*review(dossier, roles, today, guarded=guarded, qualifications=qualifications)]
    )


def review(
    dossier: AdmissionDossier,
    roles: Collection[Role],
    today: date,
    *,
    guarded: bool = False,
    qualifications: Iterable[Qualification] = (),
) -> Iterable[Finding]:
    """The findings of `review_dossier`."""
    org = dossier.issuer

    def rest(seen: str, expected: str, zh: str, en: str, *law: str) -> dict[str, Any]:
        return {
            "party": org,
            "seen": seen,
            "expected": expected,
            "mend_zh": zh,
            "mend_en": en,
            "source": "WP-A 3.3",
            "law": law,
        }

    if not dossier.in_force(today):
        yield block(
            "dossier_expired",
            "K3",
            f"{org} 的准入材料已过期",
            f"the admission dossier of {org} has expired",
            **rest(str(dossier.valid_until), f">= {today}", "更新并重新备案准入材料", "file a new dossier"),
        )
    elif dossier.valid_until is not None and day(dossier.valid_until) <= today + SOON:
        yield warn(
            "dossier_expires_soon",
            "K3",
            f"{org} 的准入材料将于 {dossier.valid_until} 过期",
            f"the admission dossier of {org} expires on {dossier.valid_until}",
            **rest(
                dossier.valid_until, f"> {today + SOON}", "及时更新准入材料", "file a new dossier in time"
            ),
        )
    needed = required_level(roles, guarded=guarded)
    if dossier.mlps_level < needed:
        yield block(
            "mlps_level_too_low",
            "K3",
            f"{org} 的网络安全等级保护为 {dossier.mlps_level} 级，其角色与数据要求不低于 {needed} 级",
            f"{org} holds 等级保护 level {dossier.mlps_level}; its roles and data ask for level {needed}",
            **rest(
                f"level {dossier.mlps_level}",
                f">= level {needed}",
                "通过相应级别的等级保护测评后重新备案",
                "obtain the certificate of that level and file it",
                "csl-23",
                "dsl-27",
                "gbt22239",
            ),
        )
    yield from _certificates(
        org, [("等级保护证书 MLPS certificate", dossier.mlps_expires_on, "mlps", ("csl-23",))], today
    )
    held = [*dossier.qualifications, *qualifications]
    if not held and _QUALIFIED_ROLES & set(roles):
        due = [r for r in Role if r in _QUALIFIED_ROLES and r in roles]
        named_zh, named = "、".join(ROLE_ZH[r] for r in due), ", ".join(r.value for r in due)
        yield block(
            "qualification_missing",
            "K3",
            f"{org} 没有列明与其角色（{named_zh}）相应的资质",
            f"{org} names no qualification for its role ({named})",
            **rest("none", ">= 1", "在准入材料中列明资质及有效期", "name the qualification and its term"),
        )
    named_terms = {
        (q.name, q.number): q.expires_on for q in held
    }  # of one certificate, the later word counts
    named_terms |= {(q.name, q.number): q.expires_on for q in dossier.qualifications}
    yield from _certificates(
        org,
        [(f"{name} {number}", until, "qualification", ()) for (name, number), until in named_terms.items()],
        today,
    )
    for value, what in ((dossier.pi_officer, "name"), (dossier.pi_officer_contact, "contact")):
        if not value.strip():
            yield block(
                "pi_officer_missing",
                "K3",
                f"{org} 未指定个人信息保护负责人或其联系方式",
                f"{org} names no person in charge of personal information protection: {what}",
                **rest(
                    f"{what} blank",
                    "name and contact",
                    "指定负责人并公开联系方式",
                    "appoint the person and give a contact",
                    "pipl-52",
                ),
            )
    for what, zh, en, then, law in (
        ("training", "安全教育培训", "security training", dossier.last_training_on, "pipl-51"),
        ("drill", "应急演练", "emergency drill", dossier.last_drill_on, "csl-27"),
    ):
        if not today - YEAR <= day(then) <= today:
            yield block(
                f"{what}_out_of_date",
                "K3",
                f"{org} 最近一次{zh}为 {then}，不在近 365 天内",
                f"{org}: the last {en} was on {then}, not within 365 days",
                **rest(
                    then,
                    f"{today - YEAR} .. {today}",
                    f"开展{zh}并更新准入材料",
                    f"hold it and file a new dossier ({what})",
                    law,
                ),
            )
    for what, zh, digest, law in (
        ("emergency_plan", "应急预案", dossier.emergency_plan, "pipl-51"),
        ("management_rules", "数据安全管理制度", dossier.management_rules, "dsl-27"),
    ):
        if digest in _NOTHING:
            yield block(
                f"{what}_missing",
                "K3",
                f"{org} 的{zh}没有对应的文件",
                f"{org}: the digest of its {what.replace('_', ' ')} is that of no document",
                **rest(digest[:16], "digest of a document", f"上传{zh}", "file the document's digest", law),
            )
    if not dossier.storage_encrypted and _ENCRYPTED_ROLES & set(roles):
        yield block(
            "storage_not_encrypted",
            "K3",
            f"{org} 的节点存储未加密",
            f"{org}: its node's storage is not encrypted",
            **rest(
                "not encrypted",
                "encrypted storage for data owners and compute parties",
                "启用存储加密后重新备案",
                "encrypt the storage and file a new dossier",
                "pipl-51",
                "dsl-27",
            ),
        )


def _certificates(
    org: str, held: Iterable[tuple[str, str, str, tuple[str, ...]]], today: date
) -> Iterable[Finding]:
    """Expired blocks; expiring within 30 days warns."""
    for name, until, rule, law in held:
        if day(until) > today + SOON:
            continue
        expired = day(until) < today
        yield (block if expired else warn)(
            f"{rule}_expired" if expired else f"{rule}_expires_soon",
            "K3",
            f"{org} 的{name}{'已于' if expired else '将于'} {until} 到期",
            f"{org}: {name} {'expired' if expired else 'expires'} on {until}",
            party=org,
            seen=until,
            expected=f"> {today + SOON}",
            mend_zh="续期后更新准入材料",
            mend_en="renew it and file a new dossier",
            source="WP-A 3.3",
            law=law,
        )
