"""Licences of models, enforced at every use."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hefu.domain.filings import Filings
from hefu.domain.filings.models import LicenceGrant, LicenceRevocation, ModelRegistration
from hefu.domain.rules import models
from hefu.domain.terms import OwnershipShare

DAY, AT = date(2026, 3, 2), datetime(2026, 3, 1, tzinfo=UTC)
MODEL = ModelRegistration(
    issuer="bank", issued_at=AT, model_id="M-0001", parts={},
    ownership=(OwnershipShare(org_id="bank", part="parameters", share_ppm=1_000_000),),
)  # fmt: skip


def grant(**changes: Any) -> LicenceGrant:
    base = {
        "issuer": "bank",
        "issued_at": AT,
        "model_id": "M-0001",
        "licensee": "exchange",
        "licence": "ordinary",
        "territory": "CN",
        "valid_from": "2026-01-01",
    }
    return LicenceGrant.model_validate({**base, **changes})


def use(
    filed: list[Any], user: str, purpose: Any = "predict", used: int = 0, territory: str = "CN"
) -> list[str]:
    verdict = models.check_model_use(
        Filings.of([MODEL, *filed]),
        "M-0001",
        user,
        DAY,
        purpose=purpose,
        used_so_far=used,
        territory=territory,
    )
    return [f.rule for f in verdict.findings]


def test_kinds_of_licence() -> None:
    exclusive = grant(licence="exclusive")
    assert use([], "bank") == []
    assert use([exclusive], "exchange") == []
    assert use([exclusive], "bank") == ["owner_excluded"]
    assert use([grant(licence="sole")], "bank") == []
    assert use([], "exchange") == ["model_not_licensed"]
    ended = LicenceRevocation(issuer="bank", issued_at=AT, grant=exclusive.digest, reason="x")
    assert use([exclusive, ended], "bank") == []


def test_limits_of_a_licence() -> None:
    assert use([grant(max_predictions=5)], "exchange", used=4) == []
    assert use([grant(max_predictions=5)], "exchange", used=5) == ["licence_quota"]
    assert use([grant()], "exchange", territory="US") == ["licence_territory"]
    assert use([grant()], "exchange", "customise") == ["licence_no_customise"]
    assert use([grant()], "exchange", "sublicense") == ["licence_no_sublicense"]
    assert use([grant(valid_until="2026-03-01")], "exchange") == ["model_not_licensed"]


@pytest.mark.parametrize(
    ("filed", "asked", "rule"),
    [
        ([], grant(licence="exclusive"), None),
        ([grant()], grant(licence="exclusive", licensee="operator"), "grant_not_alone"),
        ([grant(licence="sole")], grant(licensee="operator"), "grant_against_sole"),
        ([], grant(issuer="operator"), "grant_not_owner"),
        (
            [grant()],
            grant(issuer="exchange", licensee="operator", under=grant().digest),
            "sublicence_too_wide",
        ),
    ],
)
def test_grants(filed: list[Any], asked: LicenceGrant, rule: str | None) -> None:
    verdict = models.check_grant(Filings.of([MODEL, *filed]), asked, DAY)
    assert [f.rule for f in verdict.findings] == ([rule] if rule else [])


def test_without_the_limits_the_quota_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "_limits", lambda *_: ())
    assert use([grant(max_predictions=5)], "exchange", used=5) == []
