"""A node with a real database and real keys, its console mounted; the coordinator is a table of answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hefu.domain.contract import Contract
from hefu.domain.dataset import DataSet, schema_digest
from hefu.domain.identity import APPLICATION_TYPE, Application, PublicKeys, Role, uscc_check_character
from hefu.domain.kit import Kit
from hefu.keys.keystore import NodeKeys
from hefu.keys.public import public_b64, spki_digest
from hefu.node import drafts, users
from hefu.node.console import create_console_router
from hefu.node.console_models import NewUser, ParticipantView, ReconciliationDraft, UserRole
from hefu.node.context import NodeContext
from hefu.node.directory import Directory
from hefu.node.settings import NodePaths, NodeSettings
from hefu.store.base import NODE, now, open_engine
from hefu.store.journal import Journal
from hefu.store.node_tables import ContractRow, ContractSignatureRow, SettingRow
from hefu.store.signed import encode_envelope, sign_document
from hefu.wire.errors import PeerUnreachable
from pydantic import TypeAdapter

PASSWORD = "correct horse battery"
ROLES: dict[str, tuple[Role, ...]] = {
    "institution": (Role.DATA_PROVIDER,),
    "bank": (Role.DATA_PROVIDER, Role.COMPUTE_PARTY),
    "regulator": (Role.REGULATOR, Role.RESULT_CONSUMER),
    "operator": (Role.SCHEDULER, Role.PLATFORM_PROVIDER, Role.COMPUTE_PARTY),
    "exchange": (Role.COMPUTE_PARTY,),
    "auditor": (Role.AUDITOR,),
}


@dataclass
class Organisation:
    """An organisation's keys and its self-signed application."""

    org_id: str
    keys: NodeKeys
    application: Application
    envelope: Any


@dataclass
class Coordinator:
    """Answers by method and path; remembers what it was asked. Without an answer it is silent."""

    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    asked: list[tuple[str, str, str, Any]] = field(default_factory=list)

    def get(
        self, recipient: str, path: str, params: Any = None, *, timeout_seconds: float | None = None
    ) -> Any:
        return self._answer("GET", recipient, path, params)

    def post(
        self, recipient: str, path: str, content: Any = None, *, timeout_seconds: float | None = None
    ) -> Any:
        return self._answer("POST", recipient, path, content)

    def _answer(self, method: str, recipient: str, path: str, content: Any) -> Any:
        self.asked.append((method, recipient, path, content))
        answer = self.answers.get((method, path))
        if answer is None:
            raise PeerUnreachable(recipient, "ConnectError: silent in this test")
        if isinstance(answer, Exception):
            raise answer
        return answer(content) if callable(answer) else answer

    def sent(self, path: str) -> list[Any]:
        return [content for method, _, asked, content in self.asked if (method, asked) == ("POST", path)]


@dataclass
class Node:
    """One node and its console."""

    org: Organisation
    ctx: NodeContext
    coordinator: Coordinator
    http: TestClient

    def add_user(self, username: str, *roles: UserRole) -> None:
        with self.ctx.session() as session:
            users.create_user(
                session,
                NewUser(
                    username=username, display_name=username.title(), password=PASSWORD, roles=list(roles)
                ),
            )
            session.commit()

    def sign_in(self, username: str) -> dict[str, str]:
        answer = self.http.post("/console/login", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    def person(self, *roles: UserRole) -> dict[str, str]:
        """Headers of a new signed-in person with these roles."""
        with self.ctx.session() as session:
            row = session.get(SettingRow, "test_people") or SettingRow(name="test_people", value={"n": 0})
            row.value = {"n": row.value["n"] + 1}
            session.add(row)
            session.commit()
            name = f"person{row.value['n']}"
        self.add_user(name, *roles)
        return self.sign_in(name)

    def evidence(self) -> list[dict[str, Any]]:
        """Every signed evidence of this node: its decoded payloads, oldest first."""
        from hefu.store.node_tables import JournalRow
        from hefu.store.signed import decode_envelope
        from sqlmodel import col, select

        with self.ctx.session() as session:
            rows = session.exec(select(JournalRow).order_by(col(JournalRow.signer_seq))).all()
        return [json.loads(decode_envelope(row.envelope).payload) for row in rows]


def make_organisation(org_id: str, roles: tuple[Role, ...], number: int = 1) -> Organisation:
    keys = NodeKeys.generate()
    first17 = f"9111000000{number:07d}"
    application = Application(
        org_id=org_id,
        legal_name=f"{org_id} 有限公司",
        legal_name_en=f"{org_id.title()} Ltd",
        uscc=first17 + uscc_check_character(first17),
        contact="contact@example.org",
        roles=roles,
        keys=PublicKeys(
            identity=public_b64(keys.identity),
            sealing=public_b64(keys.sealing),
            tls_spki=spki_digest(keys.tls),
        ),
        url=f"https://127.0.0.1:{9000 + number}",
        channel_host="127.0.0.1",
        channel_port=9100 + number,
        applied_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Organisation(
        org_id, keys, application, sign_document(application, APPLICATION_TYPE, keys.identity)
    )


@pytest.fixture(autouse=True)
def _cheap_passwords(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id with the least memory, but for the tests of accounts themselves."""
    if "people" not in request.node.path.name:
        monkeypatch.setattr(users, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture(scope="session")
def cast() -> dict[str, Organisation]:
    """The six organisations."""
    return {org: make_organisation(org, roles, n) for n, (org, roles) in enumerate(ROLES.items(), start=1)}


@pytest.fixture(scope="session")
def kit(cast: dict[str, Organisation]) -> Kit:
    coordinator = NodeKeys.generate()
    return Kit(
        coordinator_url="https://127.0.0.1:8999",
        coordinator_key=public_b64(coordinator.identity),
        coordinator_certificate="none",
        ca_certificate="none",
        ledger_origin="hefu.test/ledger",
        ledger_vkey="hefu.test/ledger+00000000+AAAA",
        operator="operator",
        applications={org: encode_envelope(cast[org].envelope) for org in ("auditor", "regulator")},
    )


@pytest.fixture
def make_node(
    cast: dict[str, Organisation], kit: Kit, tmp_path: Path, make_database: Callable[[], Any]
) -> Iterator[Callable[[str], Node]]:
    """`make_node("bank")`: that organisation's node, with an empty database of its own."""
    engines = []

    def make(org_id: str) -> Node:
        org = cast[org_id]
        engine = open_engine(make_database().url, pool_size=3)
        engines.append(engine)
        NODE.create_all(engine)
        paths = NodePaths(tmp_path / org_id)
        paths.make()
        paths.application.write_bytes(org.envelope.to_bytes())
        directory = Directory(engine, kit)
        directory.load()
        coordinator = Coordinator()
        ctx = NodeContext(
            settings=NodeSettings(org_id=org_id, port=1, channel_port=2),
            paths=paths,
            kit=kit,
            keys=org.keys,
            engine=engine,
            directory=directory,
            journal=Journal(org_id, org.keys.identity),
            client=coordinator,  # type: ignore[arg-type]  # a table of answers
        )
        app = FastAPI()
        app.include_router(create_console_router(ctx))
        return Node(org, ctx, coordinator, TestClient(app, raise_server_exceptions=False))

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def make_database(postgres: Any) -> Iterator[Callable[[], Any]]:
    """Several fresh databases in one test."""
    import secrets

    made = []

    def make() -> Any:
        tag = secrets.token_hex(6)
        postgres.ensure_role(f"role_{tag}", "test-password")
        postgres.ensure_database(f"test_{tag}", f"role_{tag}")
        made.append(tag)

        class Made:
            url = postgres.url(f"test_{tag}", f"role_{tag}", "test-password")

        return Made()

    yield make
    for tag in made:
        postgres.drop_database(f"test_{tag}")
        postgres.drop_role(f"role_{tag}")


def registry_answers(node: Node, cast: dict[str, Organisation]) -> None:
    """The coordinator's registry: everybody admitted, each with the data set of its kind."""
    entries = []
    views = []
    for org in cast.values():
        a = org.application
        entries.append(
            {
                "org_id": a.org_id,
                "digest": a.digest,
                "state": "admitted",
                "application": encode_envelope(org.envelope),
            }
        )
        views.append(
            {
                "org_id": a.org_id,
                "legal_name": a.legal_name,
                "legal_name_en": a.legal_name_en,
                "uscc": a.uscc,
                "contact": a.contact,
                "roles": [r.value for r in a.roles],
                "application": a.digest,
                "state": "admitted",
                "standing": "active",
                "identity_key": a.keys.identity,
                "applied_at": a.applied_at.isoformat(),
            }
        )

    def participants(params: Any) -> Any:
        return views if params and params.get("view") == "console" else entries

    node.coordinator.answers[("GET", "/api/participants")] = participants
    node.coordinator.answers[("GET", "/api/data-sets")] = [
        published("institution", "loans", "business_records"),
        published("bank", "flows", "fund_flows"),
    ]


def data_set(owner: str, data_set_id: str, kind: str) -> DataSet:
    def field(name: str, type_: str) -> dict[str, str]:
        return {
            "name": name,
            "type": type_,
            "identifier_class": "none",
            "sensitive": "none",
            "grade": "C2",
            "meaning_zh": name,
            "meaning_en": name,
        }

    return DataSet.model_validate(
        {
            "data_set_id": data_set_id,
            "owner": owner,
            "name": data_set_id,
            "kind": kind,
            "fields": [
                field("serial", "text"),
                field("amount", "money"),
                field("occurred_at", "datetime"),
                field("customer", "text"),
            ],
            "date_field": "occurred_at",
            "source_kind": "direct",
            "legal_basis": "statutory_duty",
        }
    )


def published(owner: str, data_set_id: str, kind: str) -> dict[str, Any]:
    definition = data_set(owner, data_set_id, kind)
    return {
        "owner": owner,
        "definition": definition.model_dump(mode="json"),
        "schema_digest": schema_digest(definition),
    }


DRAFT: dict[str, Any] = {
    "contract_id": "HF-2026-0001",
    "title": "对账合约",
    "title_en": "Reconciliation",
    "purpose": "穿透式监管对账",
    "institutions": ["institution"],
    "banks": ["bank"],
    "regulator": "regulator",
    "compute_parties": ["operator", "bank", "exchange"],
    "auditor": "auditor",
    "valid_from": "2026-01-01T00:00:00Z",
    "valid_until": "2099-01-01T00:00:00Z",
    "first_day": "2026-03-01",
}


def make_contract(node: Node, cast: dict[str, Organisation], **changes: Any) -> Contract:
    """A contract as the node's own draft service writes it."""
    registry_answers(node, cast)
    draft = ReconciliationDraft.model_validate({**DRAFT, **changes})
    views = TypeAdapter(list[ParticipantView]).validate_python(
        node.coordinator.get("coordinator", "/api/participants", {"view": "console"})
    )
    return drafts.reconciliation(node.ctx, draft, views)


def keep_contract(
    node: Node, contract: Contract, *, state: str = "active", signed_by: tuple[str, ...] = ()
) -> None:
    """The contract in a node's own tables, as its contract service keeps it after verification."""
    with node.ctx.session() as session:
        session.add(
            ContractRow(
                digest=contract.digest,
                contract_id=contract.contract_id,
                version=contract.version,
                state=state,
                document=contract.to_bytes(),
                proposed_by="regulator",
                received_at=now(),
            )
        )
        for org in signed_by or tuple(p.org_id for p in contract.parties):
            session.add(ContractSignatureRow(digest=contract.digest, org_id=org, envelope=b"", at=now()))
        session.commit()


@pytest.fixture
def contract_of(cast: dict[str, Organisation]) -> Callable[..., Contract]:
    return lambda node, **changes: make_contract(node, cast, **changes)


@pytest.fixture
def keep() -> Callable[..., None]:
    return keep_contract


@pytest.fixture
def draft_form() -> dict[str, Any]:
    return dict(DRAFT)


@pytest.fixture
def know_registry(cast: dict[str, Organisation]) -> Callable[[Node], None]:
    return lambda node: registry_answers(node, cast)


@pytest.fixture
def define() -> Callable[[str, str, str], DataSet]:
    return data_set
