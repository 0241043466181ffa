"""Use of models 模型使用, enforced every time (K6; white paper A, 3.6).

Which licences count is in `licences.py`. What a sublicensee predicts counts against its own quota and against the quota of
every licence that its own stands on: unlimited predictions would give a model away (white paper B, 3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Literal, NamedTuple

from hefu.domain.filings import Filings
from hefu.domain.filings.models import LicenceGrant
from hefu.domain.rules.licences import (
    check_grant,
    licences_in_force,
    model_unknown,
    owners_of,
    papers_of,
    parent_of,
    refuse,
    registration_of,
)
from hefu.domain.rules.model_clause import RULES
from hefu.domain.terms import LicenceKind
from hefu.domain.verdict import Finding, Verdict, judge

__all__ = [
    "RULES",
    "Permission", "Purpose", "check_grant", "check_model_use", "family_of", "licences_in_force", "owners_of",
    "registration_of", "who_may_use",
]  # fmt: skip

Purpose = Literal["predict", "customise", "sublicense"]
_NOTHING: Mapping[str, int] = MappingProxyType({})


class Permission(NamedTuple):
    """Who may use a model, as what, for which purposes; the licence's digest where it rests on one."""

    org_id: str
    standing: Literal["owner", "licensee"]
    purposes: tuple[Purpose, ...]
    grant: str | None


def check_model_use(
    filings: Filings, model_id: str, user: str, today: date, *,
    purpose: Purpose, used_so_far: int, territory: str, predictions: int = 1,
    used_under: Mapping[str, int] = _NOTHING,
) -> Verdict:  # fmt: skip
    """Whether `user` may use the model now, for one purpose.

    used_so_far  predictions that the user made under its own licence
    predictions  how many more it asks for
    used_under   predictions of everybody else, by the digest of the grant that each rests on: they count against the quotas
                 of the licences above
    """
    asked = _Asked(filings, model_id, user, today, purpose, territory, used_so_far, predictions, used_under)
    return judge("model_use", _use_findings(asked))


class _Asked(NamedTuple):
    filings: Filings
    model_id: str
    user: str
    today: date
    purpose: Purpose
    territory: str
    used_so_far: int
    predictions: int
    used_under: Mapping[str, int]


def _use_findings(asked: _Asked) -> Iterable[Finding]:
    filings, user = asked.filings, asked.user
    registration = registration_of(filings, asked.model_id, asked.today)
    if registration is None:
        yield model_unknown(asked.model_id)
        return
    licences = licences_in_force(filings, asked.model_id, asked.today)
    exclusive = next((g for g in licences if g.licence is LicenceKind.EXCLUSIVE), None)
    if user in owners_of(registration) and exclusive is None:
        return
    mine = [g for g in licences if g.licensee == user]
    if not mine:
        shut = exclusive is not None and user in owners_of(registration)
        yield refuse(
            "owner_excluded" if shut else "model_not_licensed",
            "专有许可有效期内，权利人自己也不得使用" if shut else "使用方没有有效的许可",
            "an exclusive licence is in force: not even an owner uses the model"
            if shut
            else "the user holds no licence in force",
            "待专有许可到期" if shut else "向权利人取得许可",
            "wait until it ends" if shut else "get one from the owners",
            party=user,
        )
        return
    reasons = [next(iter(_limits(grant, licences, asked)), None) for grant in mine]
    if all(reasons):
        yield from (r for r in reasons[:1] if r)


def _limits(grant: LicenceGrant, licences: Sequence[LicenceGrant], asked: _Asked) -> Iterable[Finding]:
    if grant.territory != asked.territory:
        yield refuse(
            "licence_territory",
            "超出许可地域",
            "outside the licence's territory",
            "在许可地域内使用",
            "use it inside",
            party=grant.licensee,
            seen=asked.territory,
            expected=grant.territory,
        )
    if (asked.purpose == "customise" and not grant.may_customise) or (
        asked.purpose == "sublicense" and not grant.may_sublicense
    ):
        yield refuse(
            f"licence_no_{asked.purpose}",
            "许可不含定制化开发权或分许可权",
            "the licence gives no right to customise or to sublicense",
            "另行取得该权利",
            "get that right",
            party=grant.licensee,
            seen=asked.purpose,
        )
    if asked.purpose != "predict":
        return
    counted = dict(asked.used_under)
    for paper in papers_of(asked.filings, grant):
        counted.pop(paper, None)
    counted[grant.digest] = asked.used_so_far
    level: LicenceGrant | None = grant
    while level is not None:
        total = sum(counted.get(d, 0) for d in family_of(asked.filings, level)) + asked.predictions
        if level.max_predictions is not None and total > level.max_predictions:
            yield refuse(
                "licence_quota",
                "预测次数已达许可上限（含分许可的使用）",
                "the licence's predictions, sublicences included, are used up",
                "另行取得许可",
                "get a further licence",
                source="WP-B 3.2",
                party=level.licensee,
                seen=str(total),
                expected=f"<= {level.max_predictions}",
            )
        level = parent_of(asked.filings, level, licences)


def family_of(filings: Filings, licence: LicenceGrant) -> set[str]:
    """Digests of all papers of a licence and of every sublicence below it, those no longer in force too: they were used."""
    found = papers_of(filings, licence)
    while True:
        below = {g.digest for g in filings.all(LicenceGrant) if g.under in found} - found
        if not below:
            return found
        found |= below


def who_may_use(filings: Filings, model_id: str, today: date) -> tuple[Permission, ...]:
    """For a page: owners (unless an exclusive licence shuts them out), then licensees."""
    registration = registration_of(filings, model_id, today)
    if registration is None:
        return ()
    licences = licences_in_force(filings, model_id, today)
    found: list[Permission] = []
    if all(g.licence is not LicenceKind.EXCLUSIVE for g in licences):
        found += [
            Permission(org, "owner", ("predict", "customise", "sublicense"), None)
            for org in owners_of(registration)
        ]
    for grant in licences:
        purposes: list[Purpose] = ["predict"]
        purposes += ["customise"] if grant.may_customise else []
        purposes += ["sublicense"] if grant.may_sublicense else []
        found.append(Permission(grant.licensee, "licensee", tuple(purposes), grant.digest))
    return tuple(found)
