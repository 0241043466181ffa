"""Ledger entries in the shapes that consoles show."""

from __future__ import annotations

from typing import Any

from hefu_ledger import store
from hefu_ledger.canonical import MAX_INTEGER
from hefu_ledger.dsse import verify_envelope
from hefu_ledger.errors import LedgerError
from hefu_ledger.store import StoredEntry

from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.ledger import connection_of
from hefu.wire.refusal import Refusal, not_found

_FILTERS = ("contract", "job", "actor", "kind", "since", "until")


def entries(ctx: CoordinatorContext, wanted: dict[str, str]) -> list[dict[str, Any]]:
    """Entries by filter (contract, job, actor, kind, since, until, before, limit), newest first."""
    limit = min(max(_number(wanted, "limit", 100), 1), 500)
    before = _number(wanted, "before", MAX_INTEGER)
    filters: Any = {k: wanted[k] for k in _FILTERS if wanted.get(k)}
    with ctx.session() as session:
        found = store.read_entries(connection_of(session), limit=limit, before=before, **filters)
    return [_short(e) for e in found]


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


def _number(wanted: dict[str, str], name: str, absent: int) -> int:
    text = wanted.get(name) or str(absent)
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise Refusal(422, "number_invalid", f"{name} 不是数字", f"{name} is not a number", limit=name)
    return int(text)


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
