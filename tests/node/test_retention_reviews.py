"""Reviews of what is kept: signed when the coordinator asks, repeated once a month, and a last one after a contract's end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hefu.domain.businessdays import business_date
from hefu.domain.filings.events import MinimisationReview
from hefu.domain.rules.retention import uncertified
from hefu.node import filings, retention, storage_keys
from hefu.store.base import now
from hefu.store.node_tables import ContractRow

pytestmark = pytest.mark.server


def reviews(ctx: Any, contract: Any) -> list[dict[str, int]]:
    with ctx.session() as session:
        found = filings.of_contract(ctx, session, contract).all(MinimisationReview, issuer=ctx.org_id)
    return [dict(review.kept) for review in found]


def keep_something(ctx: Any, contract: Any, job: str) -> None:
    with ctx.session() as session:
        storage_keys.job_key(ctx, session, ctx.paths.work / job, job, contract.contract_id)
        session.commit()


def test_asked_every_day_it_is_signed_once_a_month_or_when_it_changes(
    node: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = world.contract()
    bank = node("bank", contract)
    keep_something(bank, contract, "J20260302AAAAAAAA")
    retention.sweep(bank)
    assert reviews(bank, contract) == [], "its own hourly sweep says nothing where nothing went"
    retention.sweep(bank, asked=True)
    retention.sweep(bank, asked=True)
    assert reviews(bank, contract) == [{"job_work": 1}]
    keep_something(bank, contract, "J20260303AAAAAAAA")
    retention.sweep(bank, asked=True)
    assert reviews(bank, contract) == [{"job_work": 1}, {"job_work": 2}]
    monkeypatch.setattr(retention, "REVIEW_EVERY", timedelta(0))
    retention.sweep(bank, asked=True)
    assert len(reviews(bank, contract)) == 3


@pytest.mark.parametrize(("state", "signed"), [("expired", [{}]), ("terminated", [{}]), ("active", [])])
def test_after_the_end_a_party_that_holds_nothing_says_so(
    node: Any, world: Any, state: str, signed: list[dict[str, int]]
) -> None:
    contract = world.contract()
    exchange = node("exchange", contract)
    with exchange.session() as session:
        row = session.get_one(ContractRow, contract.digest)
        row.state = state
        session.add(row)
        session.commit()
    retention.sweep(exchange, asked=True)
    retention.sweep(exchange, asked=True)
    assert reviews(exchange, contract) == signed
    with exchange.session() as session:
        filed = filings.of_contract(exchange, session, contract)
    ended = business_date(now())
    late = uncertified(contract, filed, ended + timedelta(days=4000), ended)
    assert ("exchange" in [finding.party for finding in late]) == (not signed)
