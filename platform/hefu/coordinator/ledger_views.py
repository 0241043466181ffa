"""Ledger entries in the shapes that consoles show."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hefu_ledger import store
from hefu_ledger.dsse import verify_envelope
from hefu_ledger.encoding import format_time
from hefu_ledger.errors import LedgerError
from hefu_ledger.store import StoredEntry
from pydantic import BaseModel, Field

from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.ledger import connection_of
from hefu.domain.businessdays import SHANGHAI
from hefu.wire.refusal import not_found


class Wanted(BaseModel):
    """Which entries are asked for; `before` is an entry's number: pages walk backwards."""

    contract: str | None = Field(default=None, max_length=64)
    job: str | None = Field(default=None, max_length=64)
    actor: str | None = Field(default=None, max_length=64)
    kind: str | None = Field(default=None, max_length=64)
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = Field(default=None, ge=0, lt=2**63)
    limit: int = 100


def entries(ctx: CoordinatorContext, wanted: Wanted) -> list[dict[str, Any]]:
    """Entries by filter, newest first; at most 500."""
    with ctx.session() as session:
        found = store.read_entries(
            connection_of(session),
            limit=min(max(wanted.limit, 1), 500),
            contract=wanted.contract or None,
            job=wanted.job or None,
            actor=wanted.actor or None,
            kind=wanted.kind or None,
            since=_utc(wanted.since),
            until=_utc(wanted.until),
            before=wanted.before,
        )
    return [_short(e) for e in found]


def _utc(moment: datetime | None) -> str | None:
    """A moment as entries write theirs; one without an offset is Asia/Shanghai's."""
    if moment is None:
        return None
    return format_time(moment if moment.tzinfo is not None else moment.replace(tzinfo=SHANGHAI))


def entry(ctx: CoordinatorContext, seq: int) -> dict[str, Any]:
    """One entry with its body, and whether signature and inclusion verify here (the node verifies again)."""
    with ctx.session() as session:
        connection = connection_of(session)
        found = store.read_entry(connection, seq)
        if found is None:
            raise not_found(f"存证 #{seq}", f"entry #{seq}")
        receipt = store.inclusion_receipt(connection, found.envelope_id)
    envelope = found.entry.envelope
    key_id = envelope.signatures[0].key_id
    known = ctx.directory.ledger_keys().resolve(key_id)
    signature_valid = inclusion_valid = False
    try:
        if known is not None and known.actor == found.evidence.actor:
            verify_envelope(envelope, known.public_key)
            signature_valid = True
        if receipt is not None:
            receipt.verify(envelope, ctx.kit.ledger_vkey)
            inclusion_valid = True
    except LedgerError:
        pass  # shown as not valid
    evidence = found.evidence
    return {
        "entry": _short(found),
        "body": evidence.body,
        "at": evidence.at,
        "signer_seq": evidence.signer_seq,
        "prev": evidence.prev,
        "key_id": key_id,
        "signature_valid": signature_valid,
        "inclusion_valid": inclusion_valid,
        "checkpoint": receipt.note.decode("utf-8", "replace") if receipt else "",
        "raw": found.entry.to_bytes().decode("utf-8", "replace"),
    }


def _short(stored: StoredEntry) -> dict[str, Any]:
    evidence = stored.evidence
    return {
        "seq": stored.seq,
        "logged_at": stored.entry.logged_at,
        "kind": evidence.kind,
        "actor": evidence.actor,
        "contract": evidence.contract,
        "job": evidence.job,
        "stage": evidence.stage,
        "attempt": evidence.attempt,
        "envelope_id": stored.envelope_id,
        "leaf_hash": stored.leaf_hash.hex(),
    }
