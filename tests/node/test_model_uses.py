"""A model's licence is enforced at every use: judged, counted and recorded in one transaction."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hefu.domain.filings import FILING_TYPE
from hefu.domain.filings.models import LicenceGrant, ModelRegistration
from hefu.domain.terms import OwnershipShare
from hefu.node import filings, model_uses
from hefu.store.base import now
from hefu.store.node_tables import JournalRow
from hefu.store.signed import encode_envelope, sign_document
from hefu.wire.refusal import Refusal
from sqlmodel import select

pytestmark = pytest.mark.server
MODEL = "M-0001"


@pytest.fixture
def exchange(node: Any, world: Any) -> Any:
    """The exchange's node; the bank has registered a model. `grant(**terms)` licenses it to the exchange."""
    contract = world.contract()
    ctx = node("exchange", contract)
    at = now() - timedelta(minutes=5)

    def file(filing: Any) -> None:
        envelope = sign_document(filing, FILING_TYPE, world.keys[filing.issuer].identity)
        filings.take(ctx, encode_envelope(envelope))

    share = OwnershipShare(org_id="bank", part="parameters", share_ppm=1_000_000)
    about = {"issuer": "bank", "contract_id": contract.contract_id, "model_id": MODEL}
    file(ModelRegistration(**about, issued_at=at, ownership=(share,), parts={}))

    def grant(**terms: Any) -> None:
        base = {"licensee": "exchange", "licence": "ordinary", "territory": "CN", "valid_from": "2026-01-01"}
        file(LicenceGrant.model_validate({**about, **base, "issued_at": now(), **terms}))

    ctx.grant = grant
    return ctx


def ask(ctx: Any, purpose: Any = "predict", predictions: int = 1, territory: str = "CN") -> str:
    """ok, or the rule that forbids it."""
    try:
        model_uses.use(ctx, MODEL, purpose, predictions=predictions, territory=territory, user="li")
    except Refusal as refusal:
        return str(refusal.body["code"])
    return "ok"


def kinds(ctx: Any) -> list[str]:
    with ctx.session() as session:
        rows = session.exec(select(JournalRow.kind).order_by(JournalRow.signer_seq)).all()  # type: ignore[arg-type]
    return [kind for kind in rows if kind.startswith("model_use")]


def test_without_a_licence_nothing_is_used(exchange: Any) -> None:
    assert ask(exchange) != "ok"
    assert kinds(exchange) == ["model_use_refused"]


def test_the_quota_is_spent_and_then_refused(exchange: Any) -> None:
    exchange.grant(max_predictions=3)
    assert [ask(exchange, predictions=2), ask(exchange)] == ["ok", "ok"]
    assert ask(exchange) != "ok"
    assert kinds(exchange) == ["model_used", "model_used", "model_use_refused"]


def test_fifty_at_once_with_one_prediction_left(exchange: Any) -> None:
    exchange.grant(max_predictions=1)
    with ThreadPoolExecutor(50) as pool:
        said = list(pool.map(lambda _: ask(exchange), range(50)))
    assert said.count("ok") == 1


def test_customising_and_other_territories_need_their_own_right(exchange: Any) -> None:
    exchange.grant()
    assert ask(exchange) == "ok"
    assert ask(exchange, purpose="customise") != "ok"
    assert ask(exchange, territory="SG") != "ok"


def test_without_the_rule_everything_would_pass(exchange: Any, monkeypatch: Any) -> None:
    from hefu.domain.verdict import judge

    monkeypatch.setattr(model_uses, "check_model_use", lambda *_, **__: judge("model_use", []))
    assert ask(exchange, purpose="sublicense") == "ok"
