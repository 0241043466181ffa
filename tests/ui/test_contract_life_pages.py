"""The two-person switch; a contract's renewal, what a version changes, what is owed after the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hefu.domain.contract import ContractState
from streamlit.testing.v1 import AppTest

from double_values import PEOPLE, contract, contract_view  # type: ignore[import-not-found]  # isort: skip

Open = Callable[..., AppTest]
Calls = Callable[[str], list[tuple[Any, ...]]]


def _text(app: AppTest) -> str:
    said = [str(getattr(e, "value", e)) for kind in ("markdown", "caption", "warning") for e in app.get(kind)]
    return "\n".join([*said, *(str(e.proto.body) for e in app.get("html"))])


@pytest.fixture
def digest() -> str:
    return str(contract().digest)


def test_the_rule_is_switched_off_only_when_saved_and_with_a_warning(open_page: Open, calls: Calls) -> None:
    app = open_page("institution", "users")
    assert app.toggle(key="two_person").value is True
    app.toggle(key="two_person").set_value(False).run()
    assert "一名复核人员即可单独" in _text(app)
    assert calls("institution") == []
    app.button(key="set_two_person").click().run()
    assert calls("institution") == [("two_person", False)]
    assert not app.exception


def test_a_renewal_is_drafted_read_and_then_proposed(open_page: Open, calls: Calls, digest: str) -> None:
    app = open_page("institution", "contracts", id=digest)
    assert not app.exception
    before = contract().limits.max_uses
    app.number_input(key="renew_uses").set_value(before + 100)
    _submit(app, "起草新版本")
    assert calls("institution") == [("renew", before + 100)]
    assert f"{before + 100}" in _text(app)
    app.button(key="propose_renewal").click().run()
    assert not app.exception
    assert [call[0] for call in calls("institution")] == ["renew", "propose"]


def test_a_renewal_that_the_node_refuses_says_why_and_keeps_what_was_typed(
    open_page: Open, calls: Calls, digest: str
) -> None:
    app = open_page("institution", "contracts", id=digest)
    app.number_input(key="renew_uses").set_value(1)
    _submit(app, "起草新版本")
    assert "不得少于前一版本" in app.error[0].value
    assert app.number_input(key="renew_uses").value == 1
    assert "propose_renewal" not in {b.key for b in app.button}


def test_nobody_renews_without_a_role(open_page: Open, digest: str) -> None:
    app = open_page("institution", "contracts", user="viewer", id=digest)
    assert not [n for n in app.number_input if n.key == "renew_uses"]


def test_a_second_version_shows_what_it_changes(open_page: Open, nodes: dict[str, tuple[Any, Any]]) -> None:
    second = contract(2, title="二期")
    _keep(nodes, contract_view("institution", ContractState.SIGNING, second, {"institution"}))
    text = _text(open_page("institution", "contracts", id=second.digest))
    assert "本版本的变更" in text
    assert "二期" in text


def test_a_contract_that_is_over_shows_what_is_owed(
    open_page: Open, nodes: dict[str, tuple[Any, Any]]
) -> None:
    over = contract(3)
    _keep(nodes, contract_view("institution", ContractState.TERMINATED, over, set(PEOPLE)))
    app = open_page("institution", "contracts", id=over.digest)
    assert "合约结束后的义务" in _text(app)
    assert not [n for n in app.number_input if n.key == "renew_uses"]


def _keep(nodes: dict[str, tuple[Any, Any]], view: Any) -> None:
    nodes["institution"][0].state.contracts[view.summary.digest] = view


def _submit(app: AppTest, label: str) -> None:
    next(b for b in app.button if b.label == label).click().run()
