"""Who may speak to the coordinator, and under which key: the applications in its registry."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hefu_ledger.keys import KeyEntry, KeyList
from sqlalchemy import Engine
from sqlmodel import Session, select

from hefu.domain.identity import Application, Standing
from hefu.keys.public import key_id, load_public_ed25519
from hefu.store.coordinator_tables import ApplicationRow
from hefu.store.signed import read_application
from hefu.wire.client import Peer
from hefu.wire.guard import Sender
from hefu.wire.refusal import not_found


@dataclass(frozen=True)
class Registered:
    """An organisation's current application."""

    application: Application
    digest: str
    state: str
    standing: str
    certificate: str | None
    key: Ed25519PublicKey


class Directory:
    """The registry in memory; `load` after every change."""

    def __init__(self, engine: Engine, coordinator_key: Ed25519PublicKey) -> None:
        self._engine = engine
        self._own = KeyEntry(actor="coordinator", public_key=coordinator_key)
        self._lock = threading.Lock()
        self._by_org: dict[str, Registered] = {}
        self._keys = KeyList([self._own])

    def load(self) -> None:
        """Read the registry: per organisation the newest application that was not refused."""
        by_org: dict[str, Registered] = {}
        keys = KeyList([self._own])
        with Session(self._engine) as session:
            for row in session.exec(select(ApplicationRow).order_by(ApplicationRow.created_at)):  # type: ignore[arg-type]  # a column, at class level
                if row.state == "refused":
                    continue
                application = read_application(row.envelope)
                key = load_public_ed25519(application.keys.identity)  # what was signed, not the column
                by_org[row.org_id] = Registered(
                    application, row.digest, row.state, row.standing, row.certificate, key
                )
                if row.state == "admitted":  # a refused applicant's entries could never be verified again
                    keys.add(KeyEntry(actor=row.org_id, public_key=key, valid=row.standing != "revoked"))
        with self._lock:
            self._by_org, self._keys = by_org, keys

    def registered(self, org_id: str) -> Registered:
        """The organisation's registration. Raises Refusal 404."""
        with self._lock:
            found = self._by_org.get(org_id)
        if found is None:
            raise not_found(f"机构 {org_id}", f"organisation {org_id}")
        return found

    def all(self) -> dict[str, Registered]:
        """Every organisation by its id."""
        with self._lock:
            return dict(self._by_org)

    def ledger_keys(self) -> KeyList:
        """Whose signature the ledger accepts: the coordinator's and those of the admitted, revoked ones included."""
        with self._lock:
            return self._keys

    def lookup(self, sender: str, claimed_key_id: str) -> Sender | None:
        """`SenderDirectory` of the wire guard."""
        with self._lock:
            found = self._by_org.get(sender)
        if found is None or key_id(found.key) != claimed_key_id:
            return None
        return Sender(public_key=found.key, standing=Standing(found.standing).value)

    def resolve(self, org_id: str) -> Peer:
        """A node's address and pinned keys, for the signed client."""
        found = self.registered(org_id)
        if found.certificate is None:
            raise not_found(f"{org_id} 的证书", f"certificate of {org_id}")
        application = found.application
        return Peer(
            org_id=org_id,
            url=application.url,
            certificate_pem=found.certificate,
            spki=application.keys.tls_spki,
            identity_key=found.key,
        )


class LedgerKeys:
    """`KeyDirectory` of the sequencer: always the registry of this moment."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def resolve(self, key_id: str) -> KeyEntry | None:
        """The actor to whom a key belongs."""
        return self._directory.ledger_keys().resolve(key_id)
