"""What every part of the coordinator holds: keys, database, journal, client."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu_ledger.dsse import Envelope
from sqlalchemy import Engine, text
from sqlmodel import Session

from hefu.coordinator.directory import Directory
from hefu.coordinator.settings import CoordinatorPaths, CoordinatorSettings
from hefu.domain.kit import Kit
from hefu.keys.keystore import NodeKeys
from hefu.store.journal import Journal
from hefu.wire.client import SignedClient

ACTOR = "coordinator"


def stage_envelope(session: Session, envelope: Envelope | bytes) -> None:
    """Hand a signed envelope to the ledger's outbox, in the session's transaction."""
    raw = envelope if isinstance(envelope, bytes) else envelope.to_bytes()
    session.connection().execute(text("select ledger.stage(:e)"), {"e": raw})


@dataclass
class CoordinatorContext:
    """The running coordinator."""

    settings: CoordinatorSettings
    paths: CoordinatorPaths
    kit: Kit
    keys: NodeKeys
    ca_key: Ed25519PrivateKey
    ca_certificate: x509.Certificate
    engine: Engine
    directory: Directory
    journal: Journal
    client: SignedClient
    wake_sequencer: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)

    def session(self) -> Session:
        """A transaction; commit it or lose it."""
        return Session(self.engine, expire_on_commit=False)

    def record(self, session: Session, kind: str, body: dict[str, Any], **where: Any) -> str:
        """Sign evidence and hand it to the ledger within the session's transaction; answers the envelope's id."""
        envelope = self.journal.append(session, kind, body, **where)
        self.wake_sequencer.set()
        return envelope.id
