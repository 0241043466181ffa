"""Signers, logs in memory, and ledgers in a real PostgreSQL."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu.local.postgres import LocalPostgres
from hefu_ledger import store
from hefu_ledger.checker import LogChecker
from hefu_ledger.dsse import Envelope
from hefu_ledger.entry import Entry
from hefu_ledger.evidence import Evidence
from hefu_ledger.keys import KeyEntry, KeyList
from hefu_ledger.merkle import leaf_hash, root_of
from hefu_ledger.note import Checkpoint, sign_checkpoint, vkey
from hefu_ledger.sequencer import Sequencer
from hefu_ledger.tiles import ENTRIES, TileBuilder, pack_entries, tile_path, widths

ORIGIN = "log.example/hefu"
AT = "2026-01-31T09:30:00.000000Z"
SYSTEM = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@dataclass
class Signer:
    """A party that signs one statement after another."""

    actor: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    signer_seq: int = 0
    prev: str | None = None

    def say(self, kind: str = "stage_done", **fields: Any) -> Envelope:
        envelope = self.evidence(kind, **fields).sign(self.key)
        self.signer_seq, self.prev = self.signer_seq + 1, envelope.id
        return envelope

    def evidence(self, kind: str = "stage_done", **fields: Any) -> Evidence:
        given = {
            "actor": self.actor,
            "at": AT,
            "signer_seq": self.signer_seq + 1,
            "prev": self.prev,
            "contract": "contract-1",
            "job": "job-1",
            "attempt": 1,
            "stage": "compute",
            "body": {"note": "对账", "count": self.signer_seq},
        }
        return Evidence(kind=kind, **{**given, **fields})

    @property
    def key_entry(self) -> KeyEntry:
        return KeyEntry(self.actor, self.key.public_key())


@dataclass
class Exported:
    """A log written as static files, without any database."""

    log_key: Ed25519PrivateKey
    directory: Path

    @property
    def vkey(self) -> str:
        return vkey(ORIGIN, self.log_key.public_key())

    def write(self, bodies: list[bytes], keys: KeyList, size: int | None = None) -> Checkpoint:
        leaves = [leaf_hash(body) for body in bodies]
        checkpoint = sign_checkpoint(
            ORIGIN, len(bodies) if size is None else size, root_of(leaves), self.log_key
        )
        builder = TileBuilder(self.put)
        for leaf in leaves:
            builder.add(leaf)
        builder.finish()
        for index, width in widths(len(bodies)):
            self.put(tile_path(ENTRIES, index, width), pack_entries(bodies[index * 256 :][:width]))
        self.put("checkpoint", checkpoint.note)
        self.put("log.vkey", f"{self.vkey}\n".encode())
        self.put("keys.json", keys.to_bytes())
        return checkpoint

    def put(self, path: str, data: bytes) -> None:
        (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
        (self.directory / path).write_bytes(data)


@pytest.fixture
def signer() -> Callable[[str], Signer]:
    return Signer


@pytest.fixture
def exported(tmp_path: Path) -> Exported:
    return Exported(Ed25519PrivateKey.generate(), tmp_path / "export")


@pytest.fixture
def bodies_of() -> Callable[[list[Envelope]], list[bytes]]:
    """Envelopes as the bytes of entries 0, 1, 2 …"""
    return lambda envelopes: [Entry(seq, AT, one).to_bytes() for seq, one in enumerate(envelopes)]


@pytest.fixture
def checker() -> Callable[[KeyList], LogChecker]:
    return LogChecker


@pytest.fixture(scope="session", params=["bundled", *(["system"] if SYSTEM else [])])
def cluster(
    request: pytest.FixtureRequest, postgres: LocalPostgres, scratch: Path
) -> Iterator[LocalPostgres]:
    """PostgreSQL from the package, and the system's own where there is one."""
    if request.param == "bundled":
        yield postgres
        return
    with LocalPostgres.start(scratch / "system-postgres", prefer_system=True, for_tests=True) as system:
        yield system


@dataclass
class Ledger:
    """An installed ledger: roles, parties, a sequencer."""

    cluster: LocalPostgres
    name: str
    password: str
    checkpoint_path: Path
    log_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    keys: KeyList = field(default_factory=KeyList)
    _open: list[Any] = field(default_factory=list)

    def connect(self, role: str = "app", **options: Any) -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            self.cluster.dsn(self.name, f"{self.name}_{role}", self.password), **options
        )
        self._open.append(connection)
        return connection

    def superuser(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(self.cluster.admin_dsn(self.name), autocommit=True)
        self._open.append(connection)
        return connection

    def lawless(self) -> psycopg.Connection[Any]:
        """A superuser who has first taken every protection away."""
        connection = self.superuser()
        connection.execute("alter event trigger ledger_guard_definitions disable")
        connection.execute("alter event trigger ledger_guard_drops disable")
        for table in ("entry", "head", "checkpoint"):
            connection.execute(f"alter table ledger.{table} disable trigger all")
        for (name,) in connection.execute(
            "select conname from pg_constraint where conrelid = 'ledger.entry'::regclass and contype = 'c'"
        ).fetchall():
            connection.execute(f'alter table ledger.entry drop constraint "{name}"')
        return connection

    def party(self, actor: str) -> Signer:
        signer = Signer(actor)
        self.keys.add(signer.key_entry)
        return signer

    def sequencer(self, **options: Any) -> Sequencer:
        made = Sequencer(
            lambda: self.connect(), self.log_key, ORIGIN, self.keys, self.checkpoint_path, **options
        )
        self._open.append(made)
        return made

    def stage(self, *envelopes: Envelope) -> None:
        with self.connect() as connection:
            for envelope in envelopes:
                store.stage(connection, envelope)

    @property
    def vkey(self) -> str:
        return vkey(ORIGIN, self.log_key.public_key())

    def close(self) -> None:
        for one in self._open:
            one.close()


@pytest.fixture
def ledger(cluster: LocalPostgres, tmp_path: Path) -> Iterator[Ledger]:
    """Role `app` owns the database and has every right on the ledger; `writer`, `reader`, `stranger` have less."""
    name, password = f"ledger_{secrets.token_hex(6)}", secrets.token_urlsafe(12)
    roles = [f"{name}_{role}" for role in ("app", "writer", "reader", "stranger")]
    for role in roles:
        cluster.ensure_role(role, password)
    cluster.ensure_database(name, roles[0])
    made = Ledger(cluster, name, password, tmp_path / "outside" / "checkpoint")
    with psycopg.connect(cluster.admin_dsn(name), autocommit=True) as connection:
        store.install(
            connection,
            submit_roles=[roles[0], roles[1]],
            read_roles=[roles[0], roles[2]],
            sequencer_roles=[roles[0]],
        )
        connection.execute(f'grant connect on database "{name}" to "{roles[3]}"')
    yield made
    made.close()
    cluster.drop_database(name)
    for role in roles:
        cluster.drop_role(role)
