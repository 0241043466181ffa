"""Licences of models that count 模型许可 (K6; white paper A, 3.6).

exclusive 专有  only the licensee uses the model, not even an owner; counts only while no other licence is in force
sole 排他       the owners and one licensee
ordinary 普通   owners may license others too
A grant counts when its issuers hold more than half of the shares of `parameters` (of every part there is, where none is
named so): co-owners concur by filing a grant of the same terms. The contract may ask for more; it cannot ask for less.
The licence is its terms, not one of these papers: when a co-owner revokes its grant, the licence lasts as long as the others
who concur still hold more than half, and ends on that day otherwise, with all sublicences under it. A sublicence may name
any of the papers (`under`), revoked or not. Nobody but its issuer revokes a grant, and whoever concurs anew files a new one.
A sublicence is a right of its own, none by default, and never wider than what it stands on.
Of licences that exclude each other the one agreed first counts, by the grants' dates.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from hefu.domain.filings import Filings
from hefu.domain.filings.models import LicenceGrant, LicenceRevocation, ModelRegistration
from hefu.domain.rules.say import block
from hefu.domain.terms import LicenceKind
from hefu.domain.verdict import Finding, Verdict, judge

Terms = tuple[object, ...]


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


def terms_of(grant: LicenceGrant) -> Terms:
    """What a licence is: grants equal in all this are papers of one licence."""
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


def _agreed(grants: list[LicenceGrant], shares: dict[str, int]) -> list[LicenceGrant]:
    """Of each terms that more than half of the shares agree on, the paper that made it so, in that order."""
    issuers: dict[Terms, set[str]] = {}
    found: dict[Terms, LicenceGrant] = {}
    for grant in grants:  # oldest first
        if grant.under is not None or terms_of(grant) in found:
            continue
        concur = issuers.setdefault(terms_of(grant), set())
        concur.add(grant.issuer)
        if 2 * sum(shares.get(org, 0) for org in concur) > sum(shares.values()):
            found[terms_of(grant)] = grant
    return list(found.values())


def _compatible(licences: list[LicenceGrant]) -> list[LicenceGrant]:
    """Without those that contradict an earlier exclusive or sole licence, or that would be one next to others."""
    kept: list[LicenceGrant] = []
    for licence in licences:
        alone = licence.licence is not LicenceKind.ORDINARY
        if not kept or not (alone or kept[0].licence is not LicenceKind.ORDINARY):
            kept.append(licence)
    return kept


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
    """Licences that count today, one paper of each: agreed by the owners, or sublicences inside one that is."""
    registration = registration_of(filings, model_id, today)
    if registration is None:
        return ()
    grants = _standing(filings, model_id, today)
    found = _compatible(_agreed(grants, owners_of(registration)))
    for licence in found:  # grows: sublicences may have sublicences
        papers = papers_of(filings, licence)
        have = {terms_of(g) for g in found}
        for grant in grants:
            if grant.under in papers and _inside(grant, licence) and terms_of(grant) not in have:
                have.add(terms_of(grant))
                found.append(grant)
    return tuple(found)


def papers_of(filings: Filings, licence: LicenceGrant) -> set[str]:
    """Digests of all grants of the same terms, revoked ones too: they name one licence."""
    return {g.digest for g in filings.all(LicenceGrant) if terms_of(g) == terms_of(licence)}


def parent_of(filings: Filings, grant: LicenceGrant, licences: Iterable[LicenceGrant]) -> LicenceGrant | None:
    """The licence in force that a sublicence stands on."""
    return next((g for g in licences if grant.under in papers_of(filings, g)), None)


def refuse(
    rule: str, zh: str, en: str, mend_zh: str, mend_en: str, source: str = "WP-A 3.6", **rest: str
) -> Finding:
    """A finding of K6 that blocks."""
    return block(
        rule, "K6", zh, en, mend_zh=mend_zh, mend_en=mend_en, source=source, law=("cc-509", "cc-862"), **rest
    )


def model_unknown(model_id: str) -> Finding:
    """Nobody registered this model."""
    return refuse(
        "model_unknown",
        "模型未登记",
        "the model is not registered",
        "先登记模型",
        "register it first",
        seen=model_id,
    )


def check_grant(filings: Filings, grant: LicenceGrant, today: date) -> Verdict:
    """Whether this grant may be made next to those in force."""
    return judge("licence_grant", _grant_findings(filings, grant, today))


def _grant_findings(filings: Filings, grant: LicenceGrant, today: date) -> Iterable[Finding]:
    registration = registration_of(filings, grant.model_id, today)
    if registration is None:
        yield model_unknown(grant.model_id)
        return
    others = [g for g in licences_in_force(filings, grant.model_id, today) if terms_of(g) != terms_of(grant)]
    if grant.under is not None:
        whole = parent_of(filings, grant, licences_in_force(filings, grant.model_id, today))
        if whole is None:
            yield refuse(
                "sublicence_baseless",
                "分许可所依据的许可无效",
                "the licence it stands on is not in force",
                "引用有效的许可",
                "name a licence in force",
                party=grant.issuer,
            )
        elif not _inside(grant, whole):
            yield refuse(
                "sublicence_too_wide",
                "无分许可权，或分许可超出原许可范围",
                "no right to sublicense, or wider than the licence it stands on",
                "由模型权利人授予",
                "have the owners grant it",
                party=grant.issuer,
            )
        return
    if grant.issuer not in owners_of(registration):
        yield refuse(
            "grant_not_owner",
            "许可人不是模型权利人",
            "the issuer does not own the model",
            "由模型权利人授予",
            "have an owner grant it",
            party=grant.issuer,
        )
    closed = [g for g in others if g.under is None and g.licence is not LicenceKind.ORDINARY]
    if closed:
        yield refuse(
            f"grant_against_{closed[0].licence.value}",
            "已有专有或排他许可在有效期内",
            "an exclusive or sole licence is in force",
            "待其到期或撤销",
            "wait until it ends or is revoked",
            party=closed[0].licensee,
            seen=closed[0].licence.value,
        )
    elif grant.licence is not LicenceKind.ORDINARY and others:
        yield refuse(
            "grant_not_alone",
            "已有其他许可在有效期内，不能再授予专有或排他许可",
            "other licences are in force: an exclusive or sole one cannot be granted",
            "先撤销其他许可",
            "revoke them first",
            party=others[0].licensee,
            seen=str(len(others)),
            expected="0",
        )
