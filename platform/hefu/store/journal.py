"""A signer's own journal of evidence: state and evidence commit in one transaction.

Each envelope carries the signer's running number and the id of its predecessor, so that withholding or reordering
leaves a gap. A lock held to the end of the transaction makes the numbering gap-free among concurrent transactions; an aborted
transaction takes its number back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu_ledger.dsse import Envelope
from hefu_ledger.evidence import Evidence
from sqlalchemy import text
from sqlmodel import Session

from hefu.store.base import now


class Journal:
    """Signs evidence as `actor` and appends it to the database's `journal` table."""

    def __init__(
        self, actor: str, key: Ed25519PrivateKey, on_append: Callable[[Session, Envelope], None] | None = None
    ) -> None:
        self._actor, self._key, self._on_append = actor, key, on_append

    @property
    def actor(self) -> str:
        """Whose journal this is."""
        return self._actor

    def append(
        self,
        session: Session,
        kind: str,
        body: dict[str, Any],
        *,
        contract: str | None = None,
        job: str | None = None,
        attempt: int | None = None,
        stage: str | None = None,
    ) -> Envelope:
        """Sign one evidence and put it into the session's transaction.

        body  ids, digests, counts and verdicts only: leaf hashes are public, entries are read by all parties
        """
        session.connection().execute(text("select pg_advisory_xact_lock(hashtext('hefu.journal'))"))
        last = (
            session.connection()
            .execute(text("select signer_seq, envelope_id from journal order by signer_seq desc limit 1"))
            .first()
        )
        evidence = Evidence(
            kind=kind,
            actor=self._actor,
            at=now().isoformat(timespec="microseconds").replace("+00:00", "Z"),
            contract=contract,
            job=job,
            attempt=attempt,
            stage=stage,
            body=body,
            signer_seq=1 if last is None else last[0] + 1,
            prev=None if last is None else last[1],
            checkpoint=None,
        )
        envelope = evidence.sign(self._key)
        session.connection().execute(
            text(
                "insert into journal (signer_seq, envelope_id, envelope, kind, contract, job, at)"
                " values (:seq, :id, :envelope, :kind, :contract, :job, :at)"
            ),
            {
                "seq": evidence.signer_seq,
                "id": envelope.id,
                "envelope": envelope.to_bytes(),
                "kind": kind,
                "contract": contract,
                "job": job,
                "at": now(),
            },
        )
        if self._on_append is not None:
            self._on_append(session, envelope)
        return envelope
