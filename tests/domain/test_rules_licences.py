"""Co-owners, sublicences, quotas that sublicences share, and who may use a model."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hefu.domain.filings import Filings
from hefu.domain.filings.models import LicenceGrant, LicenceRevocation, ModelRegistration
from hefu.domain.rules import licences, models
from hefu.domain.terms import OwnershipShare

DAY = date(2026, 3, 2)


def at(hour: int) -> datetime:
    return datetime(2026, 3, 1, hour, tzinfo=UTC)


def model(**shares: int) -> ModelRegistration:
    return ModelRegistration(
        issuer="bank", issued_at=at(0), model_id="M-0001", parts={},
        ownership=tuple(OwnershipShare(org_id=o, part="parameters", share_ppm=s) for o, s in shares.items()),
    )  # fmt: skip


ONE = model(bank=1_000_000)
THREE = model(bank=400_000, institution=350_000, operator=250_000)


def grant(issuer: str = "bank", licensee: str = "exchange", hour: int = 1, **changes: Any) -> LicenceGrant:
    return LicenceGrant.model_validate({
        "issuer": issuer, "issued_at": at(hour), "model_id": "M-0001", "licensee": licensee,
        "licence": "ordinary", "territory": "CN", "valid_from": "2026-01-01", **changes,
    })  # fmt: skip


def revoke(paper: LicenceGrant, issuer: str | None = None) -> LicenceRevocation:
    return LicenceRevocation(issuer=issuer or paper.issuer, issued_at=at(9), grant=paper.digest, reason="x")


def use(filed: list[Any], user: str, **asked: Any) -> list[str]:
    base: dict[str, Any] = {"purpose": "predict", "used_so_far": 0, "territory": "CN"}
    verdict = models.check_model_use(Filings.of(filed), "M-0001", user, DAY, **{**base, **asked})
    return [f.rule for f in verdict.findings]


def test_co_owners_concur_by_more_than_half() -> None:
    bank, institution = grant("bank"), grant("institution", hour=2)
    assert use([THREE, bank], "exchange") == ["model_not_licensed"]
    assert use([THREE, bank, institution], "exchange") == []
    other_terms = grant("institution", hour=2, max_predictions=5)
    assert use([THREE, bank, other_terms], "exchange") == ["model_not_licensed"]
    half = model(bank=500_000, institution=500_000)
    assert use([half, bank], "exchange") == ["model_not_licensed"], "half is not more than half"
    assert use([half, bank, institution], "exchange") == []
    twice = grant("bank", hour=3)
    assert use([half, bank, twice], "exchange") == ["model_not_licensed"], "nobody concurs with itself"


def test_a_co_owner_that_revokes_ends_it_only_without_a_majority(monkeypatch: pytest.MonkeyPatch) -> None:
    papers = [grant(o, hour=h) for h, o in enumerate(("bank", "institution", "operator"), 1)]
    assert use([THREE, *papers, revoke(papers[2])], "exchange") == []
    assert use([THREE, *papers, revoke(papers[0])], "exchange") == [], "350 + 250 of 1000"
    gone = [THREE, *papers, revoke(papers[0]), revoke(papers[1])]
    assert use(gone, "exchange") == ["model_not_licensed"]
    assert use([*gone, grant("bank", hour=10), grant("institution", hour=10)], "exchange") == []
    foreign = [revoke(papers[0], "operator"), revoke(papers[1], "operator")]
    assert use([THREE, *papers, *foreign], "exchange") == [], "nobody revokes another's paper"
    monkeypatch.setattr(licences, "_standing", lambda filings, *_: list(filings.all(LicenceGrant)))
    assert use(gone, "exchange") == []


def test_a_sublicence_lasts_as_long_as_the_licence_not_as_the_paper_it_names() -> None:
    papers = [
        grant(o, hour=h, may_sublicense=True) for h, o in enumerate(("bank", "institution", "operator"), 1)
    ]
    below = grant("exchange", "auditor", hour=5, under=papers[0].digest)
    assert use([THREE, *papers, below], "auditor") == []
    assert use([THREE, *papers, below, revoke(papers[0])], "auditor") == []
    assert use([THREE, *papers, below, revoke(papers[0]), revoke(papers[1])], "auditor") == [
        "model_not_licensed"
    ]
    assert use([THREE, *papers, below, revoke(below)], "auditor") == ["model_not_licensed"]


def test_revoking_the_first_paper_gives_nobody_its_quota_anew() -> None:
    papers = [
        grant(o, hour=h, max_predictions=10) for h, o in enumerate(("bank", "institution", "operator"), 1)
    ]
    used = {papers[0].digest: 10}
    before = use([THREE, *papers], "exchange", used_so_far=10, used_under=used)
    after = use([THREE, *papers, revoke(papers[0])], "exchange", used_so_far=10, used_under=used)
    assert before == after == ["licence_quota"]


ROOT = grant(may_sublicense=True, max_predictions=100)
SUB = grant("exchange", "auditor", hour=2, under=ROOT.digest, max_predictions=60, may_sublicense=True)
DEEP = grant("auditor", "regulator", hour=3, under=SUB.digest, max_predictions=50)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, None),
        ({"max_predictions": 101}, "sublicence_too_wide"),
        ({"max_predictions": None}, "sublicence_too_wide"),
        ({"may_customise": True}, "sublicence_too_wide"),
        ({"territory": "US"}, "sublicence_too_wide"),
        ({"valid_from": "2025-12-31"}, "sublicence_too_wide"),
        ({"licence": "sole"}, "sublicence_too_wide"),
        ({"issuer": "operator"}, "sublicence_too_wide"),
        ({"under": "f" * 64}, "sublicence_baseless"),
    ],
)
def test_a_sublicence_is_never_wider(changes: Any, rule: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"issuer": "exchange", "licensee": "auditor", "under": ROOT.digest, "max_predictions": 60}
    asked = grant(**{**fields, **changes})
    found = models.check_grant(Filings.of([ONE, ROOT]), asked, DAY)
    assert [f.rule for f in found.findings] == ([rule] if rule else [])
    assert use([ONE, ROOT, asked], "auditor") == (["model_not_licensed"] if rule else [])
    if rule == "sublicence_too_wide":
        monkeypatch.setattr(licences, "_inside", lambda *_: True)
        assert "model_not_licensed" not in use([ONE, ROOT, asked], "auditor")


def test_predictions_below_count_above(monkeypatch: pytest.MonkeyPatch) -> None:
    filed = [ONE, ROOT, SUB, DEEP]
    assert use(filed, "exchange", used_so_far=40, used_under={SUB.digest: 30, DEEP.digest: 29}) == []
    spent = {SUB.digest: 30, DEEP.digest: 30}
    assert use(filed, "exchange", used_so_far=40, used_under=spent) == ["licence_quota"]
    assert use(filed, "auditor", used_so_far=30, used_under={ROOT.digest: 41, DEEP.digest: 29}) == [
        "licence_quota"
    ]
    assert use(filed, "auditor", used_so_far=30, used_under={ROOT.digest: 40, DEEP.digest: 29}) == []
    assert use(filed, "regulator", used_so_far=10, used_under={SUB.digest: 50}) == ["licence_quota"]
    ended = [*filed, revoke(DEEP)]
    assert use(ended, "exchange", used_so_far=40, used_under=spent) == ["licence_quota"], "used is used"
    assert use(filed, "regulator", purpose="customise") == ["licence_no_customise"]
    assert use(filed, "exchange", used_so_far=90, predictions=11) == ["licence_quota"]
    monkeypatch.setattr(models, "family_of", lambda _, licence: {licence.digest})
    assert use(filed, "exchange", used_so_far=40, used_under=spent) == []


def test_of_licences_that_exclude_each_other_the_first_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    exclusive = grant(licence="exclusive", hour=1)
    late = grant(licensee="auditor", hour=2)
    assert use([ONE, exclusive, late], "auditor") == ["model_not_licensed"]
    assert use([ONE, exclusive, late], "exchange") == []
    early = grant(licensee="auditor", hour=0)
    assert use([ONE, exclusive, early], "exchange") == ["model_not_licensed"]
    assert use([ONE, exclusive, early, revoke(early)], "exchange") == []
    monkeypatch.setattr(licences, "_compatible", lambda found: found)
    assert use([ONE, exclusive, late], "auditor") == []


def test_who_may_use() -> None:
    def who(*filed: Any) -> list[tuple[str, str, tuple[str, ...]]]:
        return [p[:3] for p in models.who_may_use(Filings.of([ONE, *filed]), "M-0001", DAY)]

    owner = ("bank", "owner", ("predict", "customise", "sublicense"))
    assert models.who_may_use(Filings(), "M-0001", DAY) == ()
    assert who() == [owner]
    assert who(ROOT, SUB) == [
        owner,
        ("exchange", "licensee", ("predict", "sublicense")),
        ("auditor", "licensee", ("predict", "sublicense")),
    ]
    exclusive = grant(licence="exclusive", may_customise=True)
    assert who(exclusive) == [("exchange", "licensee", ("predict", "customise"))]
    assert models.who_may_use(Filings.of([ONE, exclusive]), "M-0001", DAY)[0].grant == exclusive.digest
