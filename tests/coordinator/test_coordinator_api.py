"""The coordinator's HTTP interface: what cannot be read is told as such, never an internal error; tokens and filters hold."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hefu.coordinator import ledger_views
from hefu.coordinator.app import create_app
from hefu.domain.dataset import DataSet, schema_digest
from hefu.store.base import now
from hefu.wire.signing import Message, sign_request
from starlette.testclient import TestClient

pytestmark = pytest.mark.server
HOST, TOKEN = "coordinator.example", "internal-test-token"

Call = Callable[..., Any]


@pytest.fixture
def client(office: Any) -> TestClient:
    app = create_app(office.everybody().ctx, ledger_dsn="", internal_token=TOKEN)
    return TestClient(app, base_url=f"https://{HOST}", raise_server_exceptions=False)


@pytest.fixture
def call(office: Any, client: TestClient) -> Call:
    """`call("GET", "/api/…", query)` or `call("POST", "/api/…", body=…)`, signed by an organisation."""

    def run(method: str, path: str, query: str = "", *, body: Any = None, org: str = "bank") -> Any:
        content = b"" if body is None else orjson.dumps(body)
        headers = sign_request(
            Message(method, HOST, path, query, content),
            sender=org,
            recipient="coordinator",
            key=office.world.keys[org].identity,
            created=int(now().timestamp()),
        )
        url = f"{path}?{query}" if query else path
        return client.request(
            method, url, content=content, headers={**headers, "content-type": "application/json"}
        )

    return run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What reached the ledger's store; it holds no entry."""
    found: list[dict[str, Any]] = []

    def read(_connection: Any, **filters: Any) -> list[Any]:
        found.append({k: v for k, v in filters.items() if v is not None})
        return []

    monkeypatch.setattr(ledger_views.store, "read_entries", read)
    return found


@pytest.mark.parametrize(
    "query",
    ["limit=many", "before=x", "before=-1", f"before={2**63}", "since=yesterday", f"actor={'a' * 65}"],
)
def test_filters_that_are_none(call: Call, asked: list[Any], query: str) -> None:
    said = call("GET", "/api/ledger/entries", query)
    assert (said.status_code, said.json()["code"]) == (422, "invalid_request")
    assert said.json()["limit"] == query.split("=")[0]
    assert asked == []


def test_filters_reach_the_store_in_its_own_form(call: Call, asked: list[Any]) -> None:
    """Times are compared as text there: every moment is UTC, whatever offset it came with; older pages are all reached."""
    query = "job=J1&before=20000&since=2026-03-02T08:00:00%2B08:00&until=2026-03-02T09:00:00&limit=1000"
    assert call("GET", "/api/ledger/entries", query).json() == []
    assert asked == [
        {
            "job": "J1",
            "before": 20_000,
            "since": "2026-03-02T00:00:00.000000Z",
            "until": "2026-03-02T01:00:00.000000Z",
            "limit": 500,
        }
    ]


@pytest.mark.parametrize("seq", ["x", "-1", str(2**63)])
def test_an_entry_of_no_number(call: Call, seq: str) -> None:
    assert call("GET", f"/api/ledger/entries/{seq}").status_code == 422


def data_set(owner: str = "bank") -> Any:
    return DataSet.model_validate(
        {
            "data_set_id": "flows",
            "owner": owner,
            "name": "流水",
            "kind": "fund_flows",
            "fields": [
                {
                    "name": "serial",
                    "type": "text",
                    "identifier_class": "none",
                    "sensitive": "none",
                    "grade": "C2",
                    "meaning_zh": "",
                    "meaning_en": "",
                }
            ],
            "date_field": None,
            "source_kind": "direct",
            "legal_basis": "contract",
        }
    )


def test_metadata_of_another_form_or_digest(call: Call) -> None:
    good = {"definition": data_set().model_dump(mode="json"), "schema_digest": schema_digest(data_set())}
    for body in ({}, {"definition": {}}, {**good, "more": 1}, {**good, "definition": "planted-0815"}):
        said = call("POST", "/api/data-sets", body=body)
        assert (said.status_code, said.json()["code"]) == (422, "invalid_request"), body
        assert "planted-0815" not in said.text
    said = call("POST", "/api/data-sets", body={**good, "schema_digest": "0" * 64})
    assert said.json()["code"] == "digest_mismatch"
    assert call("POST", "/api/data-sets", body=good, org="exchange").json()["code"] == "not_owner"
    assert call("POST", "/api/data-sets", body=good).json() == {"schema_digest": good["schema_digest"]}


def test_a_delivery_that_no_file_has(call: Call) -> None:
    body = {
        "data_set_id": "flows", "business_date": "2026-03-02", "state": "arrived", "fingerprint": "0" * 64,
        "rows": 2**31, "rejected": 0,
    }  # fmt: skip
    assert call("POST", "/api/deliveries", body=body).status_code == 422


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", TOKEN, "Bearer ключ"])
def test_the_flow_runners_interface_needs_its_token(client: TestClient, header: str) -> None:
    headers = {"authorization": header.encode()} if header else {}
    assert client.get("/internal/jobs/startable", headers=headers).status_code == 401
    right = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/internal/jobs/startable", headers=right).json() == []
