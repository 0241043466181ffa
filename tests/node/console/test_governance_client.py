"""The console's own client against the node's real routes: templates, published data sets, approvals, exclusion lists."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hefu.node.console import create_console_router
from hefu_ui.errors import NodeRefused
from hefu_ui.node_api import NodeApi

pytestmark = pytest.mark.server
LIST = b"\xef\xbb\xbf330102199001011234\r\n330102199001015678,second column\n"


@pytest.fixture
def node(make_node: Callable[[str], Any], know_registry: Callable[[Any], None]) -> Any:
    made = make_node("institution")
    know_registry(made)
    return made


def client(node: Any, *roles: Any) -> NodeApi:
    app = FastAPI()
    app.include_router(create_console_router(node.ctx))
    http = TestClient(app, base_url="http://node/console/", raise_server_exceptions=False)
    token = node.person(*roles)["Authorization"].removeprefix("Bearer ")
    line: Any = SimpleNamespace(org_id="institution", http=http)
    return NodeApi(line, token)


def test_a_list_goes_in_numbers_come_out_and_evidence_has_no_identifier(node: Any) -> None:
    api = client(node, "preparer").governance
    taken = api.exclude(LIST, "withdraw", "", "")
    assert (taken.read, taken.entries) == (2, 2)
    assert api.exclude(LIST, "withdraw", "", "").entries == 2, "the same people once"
    assert [(c.kind, c.entries) for c in api.exclusions()] == [("withdraw", 2)]
    assert api.lift("330102199001011234", "withdraw", "", "").entries == 1
    assert "330102" not in str(node.evidence())


def test_a_line_that_cannot_be_read_refuses_the_whole_list(node: Any) -> None:
    api = client(node, "preparer").governance
    with pytest.raises(NodeRefused) as refused:
        api.exclude(b"330102199001011234\n\n", "refuse", "", "")
    assert (refused.value.status, refused.value.error.limit) == (422, "line 2")
    assert "330102" not in str(refused.value.error)
    assert api.exclusions() == []


@pytest.mark.parametrize(("data_set", "contract"), [("nothing", ""), ("", "NO-CONTRACT")])
def test_an_unknown_scope_is_not_found(node: Any, data_set: str, contract: str) -> None:
    with pytest.raises(NodeRefused) as refused:
        client(node, "preparer").governance.exclude(LIST, "delete", data_set, contract)
    assert refused.value.status == 404


def test_only_a_preparer_changes_a_list(node: Any) -> None:
    api = client(node, "viewer").governance
    assert api.exclusions() == []
    with pytest.raises(NodeRefused) as refused:
        api.exclude(LIST, "withdraw", "", "")
    assert refused.value.status == 403


def test_what_the_wizard_reads_first(node: Any) -> None:
    api = client(node, "preparer").governance
    available = {t.template for t in api.templates() if t.available}
    assert available == {"t1_reconciliation", "joint_statistics"}
    assert all(t.reason_zh and t.reason_en for t in api.templates() if not t.available)
    assert {p.owner for p in api.published()} == {"institution", "bank"}


def test_approvals_come_from_the_coordinator(node: Any) -> None:
    node.coordinator.answers[("GET", "/api/approvals")] = []
    assert client(node, "viewer").governance.approvals() == []
