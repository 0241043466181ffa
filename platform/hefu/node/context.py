"""What every part of a node holds in its hands: keys, database, journal, client, paths."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session

from hefu.domain.kit import Kit
from hefu.keys.keystore import NodeKeys
from hefu.node.directory import Directory
from hefu.node.settings import NodePaths, NodeSettings
from hefu.store.journal import Journal
from hefu.wire.client import SignedClient

COORDINATOR = "coordinator"


@dataclass
class NodeContext:
    """One running node."""

    settings: NodeSettings
    paths: NodePaths
    kit: Kit
    keys: NodeKeys
    engine: Engine
    directory: Directory
    journal: Journal
    client: SignedClient
    wake_outbox: threading.Event = field(default_factory=threading.Event)
    wake_sync: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def org_id(self) -> str:
        """This organisation."""
        return self.settings.org_id

    def session(self) -> Session:
        """A transaction on the node's database; commit it or lose it."""
        return Session(self.engine, expire_on_commit=False)

    def record(self, session: Session, kind: str, body: dict[str, Any], **where: Any) -> str:
        """Sign evidence into the session's transaction; answers the envelope's id. Where: contract, job, attempt, stage."""
        envelope = self.journal.append(session, kind, body, **where)
        self.wake_outbox.set()
        return envelope.id
