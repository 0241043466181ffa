"""Terms stay attached to a result: refused after its time and from outside its range, whoever asks and however."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hefu.domain.contract import Contract
from hefu.domain.terms import UseTerms
from hefu.node import result_terms
from hefu.store.base import now
from hefu.store.node_tables import ResultRow

pytestmark = pytest.mark.server
PATHS = (
    "/console/results/J0000001",
    "/console/results/J0000001/exceptions",
    "/console/results/J0000001/export.csv",
    "/console/results/J0000001/export.xlsx",
)


@pytest.fixture
def received(
    make_node: Callable[[str], Any], contract_of: Callable[..., Contract], keep: Callable[..., None]
) -> Callable[..., Any]:
    """`received(terms, days=3)`: the regulator's node with a result that came so many days ago, under these terms."""

    def build(terms: UseTerms | None, *, days: int) -> Any:
        node = make_node("regulator")
        plain = contract_of(node)
        outputs = tuple(o.model_copy(update={"use_terms": terms}) for o in plain.outputs)
        contract = plain.model_copy(update={"outputs": outputs})
        keep(node, contract)
        node.worker = node.person("preparer", "approver")
        with node.ctx.session() as session:
            session.add(
                ResultRow(
                    job="J0000001",
                    attempt=1,
                    contract=contract.digest,
                    contract_id=contract.contract_id,
                    business_date=date(2026, 3, 2),
                    received_at=now() - timedelta(days=days),
                )
            )
            session.commit()
        return node

    return build


def codes(node: Any) -> set[str]:
    """The codes with which the node answers about the result, however it is asked for."""
    answers = [node.http.get(path, headers=node.worker) for path in PATHS]
    answers.append(node.http.post("/console/results/J0000001/open", headers=node.worker))
    return {str(a.json().get("code")) if a.status_code == 403 else "allowed" for a in answers}


@pytest.mark.parametrize(("days", "said"), [(0, "allowed"), (30, "allowed"), (31, "use_after_term")])
def test_until_the_last_day(received: Any, days: int, said: str) -> None:
    assert codes(received(UseTerms(valid_days=30), days=days)) == {said}


def test_from_the_agreed_addresses_alone(received: Any) -> None:
    """The test's client has no address at all, which lies in no range."""
    node = received(UseTerms(addresses=("10.0.0.0/8",)), days=0)
    assert codes(node) == {"use_outside_range"}


def test_without_the_guard_the_term_binds_nobody(received: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(result_terms, "require_within_terms", lambda *_: None)
    assert codes(received(UseTerms(valid_days=30), days=400)) == {"allowed"}


def test_no_terms_bind_nothing(received: Any) -> None:
    assert codes(received(None, days=400)) == {"allowed"}
