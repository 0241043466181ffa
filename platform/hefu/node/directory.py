"""Whom this node believes: organisations of its start-up kit and of contracts that it signed, under those keys alone.

The registry's certificates are taken only where their key is the pinned one; a coordinator that swaps a key in its
registry is refused here, and the refusal names the organisation.
"""

from __future__ import annotations

import threading
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from hefu_ledger.dsse import Envelope
from sqlalchemy import Engine
from sqlmodel import Session, select

from hefu.domain.identity import Application, Standing
from hefu.domain.kit import Kit
from hefu.keys.certificates import load_certificate
from hefu.keys.public import key_id, load_public_ed25519, load_public_x25519, spki_digest
from hefu.keys.tls import verify_pin
from hefu.store.node_tables import PeerRow
from hefu.store.signed import decode_envelope, read_application
from hefu.wire.client import Peer
from hefu.wire.guard import Sender

COORDINATOR = "coordinator"


class UnknownPeer(Exception):
    """The organisation is in no contract of ours and not in the kit, or has no certificate yet."""


class Directory:
    """Keys, addresses and standing of the organisations that this node knows."""

    def __init__(self, engine: Engine, kit: Kit) -> None:
        self._engine, self._kit = engine, kit
        self._lock = threading.Lock()
        self._peers: dict[str, tuple[PeerRow, Application]] = {}

    def load(self) -> None:
        """Pin the kit's applications and read those pinned before."""
        with Session(self._engine) as session:
            for org_id, encoded in self._kit.applications.items():
                application = read_application(encoded)
                if session.get(PeerRow, org_id) is None:
                    session.add(
                        PeerRow(
                            org_id=org_id,
                            application_digest=application.digest,
                            application=decode_envelope(encoded).to_bytes(),
                            learnt_from="kit",
                        )
                    )
            session.commit()
            with self._lock:
                self._peers = {
                    row.org_id: (row, read_application(row.application))
                    for row in session.exec(select(PeerRow))
                }
                session.expunge_all()

    def pin(self, session: Session, application: Envelope, learnt_from: str) -> None:
        """Pin an organisation's application; the caller has verified it against a contract. Takes effect after `load`."""
        parsed = read_application(application)
        row = session.get(PeerRow, parsed.org_id) or PeerRow(
            org_id=parsed.org_id, application_digest="", application=b"", learnt_from=learnt_from
        )
        if row.application_digest != parsed.digest:
            row.application_digest, row.application, row.certificate = (
                parsed.digest,
                application.to_bytes(),
                None,
            )
            row.learnt_from = learnt_from
        session.add(row)

    def accept_certificate(self, org_id: str, pem: str) -> bool:
        """Take a certificate from the registry. True when it is new; raises CertificateInvalid when its key is not the pinned one."""
        with self._lock:
            known = self._peers.get(org_id)
        if known is None or known[0].certificate == pem:
            return False
        verify_pin(load_certificate(pem), known[1].keys.tls_spki, org_id)
        with Session(self._engine) as session:
            row = session.get(PeerRow, org_id)
            if row is not None:
                row.certificate = pem
                session.add(row)
                session.commit()
        self.load()
        return True

    def application(self, org_id: str) -> Application:
        """The pinned application. Raises UnknownPeer."""
        with self._lock:
            known = self._peers.get(org_id)
        if known is None:
            raise UnknownPeer(
                f"{org_id}: 未在本机构签署的合约或启动包中 / not in a contract that this node signed, nor in its start-up kit"
            )
        return known[1]

    def identity_key(self, org_id: str) -> Ed25519PublicKey:
        """The key that signs in this organisation's name."""
        if org_id == COORDINATOR:
            return load_public_ed25519(self._kit.coordinator_key)
        return load_public_ed25519(self.application(org_id).keys.identity)

    def sealing_key(self, org_id: str) -> X25519PublicKey:
        """The key to which secrets for this organisation are sealed."""
        return load_public_x25519(self.application(org_id).keys.sealing)

    def standing(self, org_id: str) -> Literal["active", "suspended", "revoked"]:
        """active, suspended or revoked; an unknown organisation is revoked."""
        with self._lock:
            known = self._peers.get(org_id)
        return "revoked" if known is None else Standing(known[0].standing).value

    def certificate(self, org_id: str) -> str:
        """The peer's certificate (PEM), whose key is the pinned one. Raises UnknownPeer."""
        self.application(org_id)
        with self._lock:
            pem = self._peers[org_id][0].certificate
        if pem is None:
            raise UnknownPeer(f"{org_id}: 尚无证书 / has no certificate yet")
        return pem

    def known(self) -> list[str]:
        """Every organisation pinned here."""
        with self._lock:
            return sorted(self._peers)

    def lookup(self, sender: str, claimed_key_id: str) -> Sender | None:
        """`SenderDirectory` of the wire guard."""
        try:
            key = self.identity_key(sender)
        except UnknownPeer:
            return None
        if key_id(key) != claimed_key_id:
            return None
        standing = "active" if sender == COORDINATOR else self.standing(sender)
        return Sender(public_key=key, standing=standing)

    def resolve(self, org_id: str) -> Peer:
        """Address, pinned certificate and key of a recipient, for the signed client. Raises UnknownPeer."""
        if org_id == COORDINATOR:
            pem = self._kit.coordinator_certificate
            return Peer(
                org_id=COORDINATOR,
                url=self._kit.coordinator_url,
                certificate_pem=pem,
                spki=spki_digest(load_certificate(pem)),
                identity_key=self.identity_key(COORDINATOR),
            )
        application = self.application(org_id)
        return Peer(
            org_id=org_id,
            url=application.url,
            certificate_pem=self.certificate(org_id),
            spki=application.keys.tls_spki,
            identity_key=self.identity_key(org_id),
        )
