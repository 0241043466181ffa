"""Model ownership and licences 模型归属 (K6; white paper A, 3.6), enforced at every use.

exclusive 专有  only the licensee uses the model, not even an owner; granted only while no other licence is in force
sole 排他       the owners and one licensee
ordinary 普通   owners may license others too
A grant counts when its issuers hold more than half of the shares of `parameters` (of every part there is, where none is
named so): co-owners concur by filing a grant of the same terms. The contract may ask for more; it cannot ask for less.
A sublicence (`under` = the digest of a grant) is a right of its own, none by default, and never wider than what it stands on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Literal, NamedTuple

from hefu.domain.filings import Filings
from hefu.domain.filings.models import LicenceGrant, LicenceRevocation, ModelRegistration
from hefu.domain.rules.say import block
from hefu.domain.terms import LicenceKind
from hefu.domain.verdict import Finding, Verdict, judge

Purpose = Literal["predict", "customise", "sublicense"]


class Permission(NamedTuple):
    """Who may use a model, as what, for which purposes; the licence's digest where it rests on one."""

    org_id: str
    standing: Literal["owner", "licensee"]
    purposes: tuple[Purpose, ...]
    grant: str | None


def registration_of(filings: Filings, model_id: str, today: date) -> ModelRegistration | None:
    """The model's first registration in force: a later one by somebody else takes nothing from its owners."""
    found = [r for r in filings.all(ModelRegistration) if r.model_id == model_id and r.in_force(today)]
    return found[0] if found else None


def owners_of(registration: ModelRegistration) -> dict[str, int]:
    """Owners and their shares in ppm of the model's parameters, or of all its parts where none is the parameters."""
    named = [s for s in registration.ownership if s.part == "parameters"] or list(registration.ownership)
    shares: dict[str, int] = {}
    for share in named:
        shares[share.org_id] = shares.get(share.org_id, 0) + share.share_ppm
    return shares


def _terms(grant: LicenceGrant) -> tuple[object, ...]:
    return (
        grant.model_id, grant.licensee, grant.licence, grant.under, grant.may_sublicense, grant.may_customise,
        grant.territory, grant.valid_from, grant.valid_until, grant.max_predictions,
    )  # fmt: skip


def _standing(filings: Filings, model_id: str, today: date) -> list[LicenceGrant]:
    """Grants in force by their own words: begun, not over, not revoked by their issuer."""
    revoked = {(r.issuer, r.grant) for r in filings.all(LicenceRevocation)}
    return [
        g
        for g in filings.all(LicenceGrant)
        if g.model_id == model_id
        and date.fromisoformat(g.valid_from) <= today
        and g.in_force(today)
        and (g.issuer, g.digest) not in revoked
    ]


def _agreed(grant: LicenceGrant, grants: list[LicenceGrant], shares: dict[str, int]) -> bool:
    issuers = {g.issuer for g in grants if _terms(g) == _terms(grant)}
    return 2 * sum(shares.get(org, 0) for org in issuers) > sum(shares.values())


def _inside(part: LicenceGrant, whole: LicenceGrant) -> bool:
    """Whether a sublicence gives no more than the licence it stands on."""
    term = whole.valid_until is None or (
        part.valid_until is not None and part.valid_until <= whole.valid_until
    )
    quota = (
        whole.max_predictions is None
        or (part.max_predictions or whole.max_predictions + 1) <= whole.max_predictions
    )
    return (
        whole.may_sublicense
        and part.issuer == whole.licensee
        and part.territory == whole.territory
        and part.valid_from >= whole.valid_from
        and (whole.may_customise or not part.may_customise)
        and part.licence is LicenceKind.ORDINARY
        and term
        and quota
    )


def licences_in_force(filings: Filings, model_id: str, today: date) -> tuple[LicenceGrant, ...]:
    """Licences that count today, one of each terms: agreed by the owners, or sublicences inside one that is."""
    registration = registration_of(filings, model_id, today)
    if registration is None:
        return ()
    shares, grants = owners_of(registration), _standing(filings, model_id, today)
    counted: dict[str, LicenceGrant] = {}
    seen: set[tuple[object, ...]] = set()
    for grant in grants:
        if grant.under is None and _agreed(grant, grants, shares) and _terms(grant) not in seen:
            seen.add(_terms(grant))
            counted[grant.digest] = grant
    known = {g.digest: g for g in grants if g.under is None and _agreed(g, grants, shares)}
    grew = True
    while grew:
        grew = False
        for grant in grants:
            whole = known.get(grant.under or "")
            if grant.digest not in known and whole is not None and _inside(grant, whole):
                known[grant.digest] = counted[grant.digest] = grant
                grew = True
    return tuple(counted.values())


def _refuse(rule: str, zh: str, en: str, mend_zh: str, mend_en: str, **rest: str) -> Finding:
    return block(
        rule, "K6", zh, en, mend_zh=mend_zh, mend_en=mend_en, source="WP-A 3.6", law=("cc-509",), **rest
    )


def check_grant(filings: Filings, grant: LicenceGrant, today: date) -> Verdict:
    """Whether this grant may be made next to those in force."""
    return judge("licence_grant", _grant_findings(filings, grant, today))


def _grant_findings(filings: Filings, grant: LicenceGrant, today: date) -> Iterable[Finding]:
    registration = registration_of(filings, grant.model_id, today)
    if registration is None:
        yield _refuse(
            "model_unknown",
            "模型未登记",
            "the model is not registered",
            "先登记模型",
            "register it first",
            seen=grant.model_id,
        )
        return
    others = [g for g in licences_in_force(filings, grant.model_id, today) if _terms(g) != _terms(grant)]
    if grant.under is not None:
        whole = next((g for g in _standing(filings, grant.model_id, today) if g.digest == grant.under), None)
        if whole is None or whole.digest not in {
            g.digest for g in licences_in_force(filings, grant.model_id, today)
        }:
            yield _refuse(
                "sublicence_baseless",
                "分许可所依据的许可无效",
                "the licence it stands on is not in force",
                "引用有效的许可",
                "name a licence in force",
                party=grant.issuer,
            )
        elif not _inside(grant, whole):
            yield _refuse(
                "sublicence_too_wide",
                "无分许可权，或分许可超出原许可范围",
                "no right to sublicense, or wider than the licence it stands on",
                "由模型权利人授予",
                "have the owners grant it",
                party=grant.issuer,
            )
        return
    if grant.issuer not in owners_of(registration):
        yield _refuse(
            "grant_not_owner",
            "许可人不是模型权利人",
            "the issuer does not own the model",
            "由模型权利人授予",
            "have an owner grant it",
            party=grant.issuer,
        )
    closed = [g for g in others if g.under is None and g.licence is not LicenceKind.ORDINARY]
    if closed:
        yield _refuse(
            f"grant_against_{closed[0].licence.value}",
            "已有专有或排他许可在有效期内",
            "an exclusive or sole licence is in force",
            "待其到期或撤销",
            "wait until it ends or is revoked",
            party=closed[0].licensee,
            seen=closed[0].licence.value,
        )
    elif grant.licence is not LicenceKind.ORDINARY and others:
        yield _refuse(
            "grant_not_alone",
            "已有其他许可在有效期内，不能再授予专有或排他许可",
            "other licences are in force: an exclusive or sole one cannot be granted",
            "先撤销其他许可",
            "revoke them first",
            party=others[0].licensee,
            seen=str(len(others)),
            expected="0",
        )


def check_model_use(
    filings: Filings, model_id: str, user: str, today: date, *,
    purpose: Purpose, used_so_far: int, territory: str, predictions: int = 1,
) -> Verdict:  # fmt: skip
    """Whether `user` may use the model now, for one purpose; `predictions` more on top of `used_so_far`."""
    return judge(
        "model_use",
        _use_findings(filings, model_id, user, today, purpose, used_so_far + predictions, territory),
    )


def _use_findings(
    filings: Filings, model_id: str, user: str, today: date, purpose: Purpose, total: int, territory: str
) -> Iterable[Finding]:
    registration = registration_of(filings, model_id, today)
    if registration is None:
        yield _refuse(
            "model_unknown",
            "模型未登记",
            "the model is not registered",
            "先登记模型",
            "register it first",
            seen=model_id,
        )
        return
    licences = licences_in_force(filings, model_id, today)
    exclusive = next((g for g in licences if g.licence is LicenceKind.EXCLUSIVE), None)
    if user in owners_of(registration) and exclusive is None:
        return
    mine = [g for g in licences if g.licensee == user]
    if not mine:
        shut = exclusive is not None and user in owners_of(registration)
        yield _refuse(
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
    reasons = [next(iter(_limits(grant, purpose, total, territory)), None) for grant in mine]
    if all(reasons):
        yield from (r for r in reasons[:1] if r)


def _limits(grant: LicenceGrant, purpose: Purpose, total: int, territory: str) -> Iterable[Finding]:
    if grant.territory != territory:
        yield _refuse(
            "licence_territory",
            "超出许可地域",
            "outside the licence's territory",
            "在许可地域内使用",
            "use it inside",
            party=grant.licensee,
            seen=territory,
            expected=grant.territory,
        )
    if (purpose == "customise" and not grant.may_customise) or (
        purpose == "sublicense" and not grant.may_sublicense
    ):
        yield _refuse(
            f"licence_no_{purpose}",
            "许可不含定制化开发权或分许可权",
            "the licence gives no right to customise or to sublicense",
            "另行取得该权利",
            "get that right",
            party=grant.licensee,
            seen=purpose,
        )
    if purpose == "predict" and grant.max_predictions is not None and total > grant.max_predictions:
        yield _refuse(
            "licence_quota",
            "预测次数已达许可上限",
            "the licence's predictions are used up",
            "另行取得许可",
            "get a further licence",
            party=grant.licensee,
            seen=str(total),
            expected=f"<= {grant.max_predictions}",
        )


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
