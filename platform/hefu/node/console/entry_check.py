"""An entry of the ledger as this node verifies it itself: shown from its bytes, not from what the coordinator says of them.

The signature is checked under the key that this node has pinned for the actor; the inclusion under the ledger's key of
the start-up kit. For an actor that this node knows from nowhere else, the coordinator's word on the signature is shown.
"""

from __future__ import annotations

from hefu_ledger.dsse import verify_envelope
from hefu_ledger.entry import Entry
from hefu_ledger.errors import LedgerError
from hefu_ledger.evidence import Evidence, parse_evidence
from hefu_ledger.proof import Receipt

from hefu.keys.public import key_id
from hefu.node.console_models import LedgerEntryDetail, LedgerEntryView
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.directory import UnknownPeer
from hefu.node.refusals import refuse
from hefu.wire.errors import WireError


def recheck(ctx: NodeContext, told: LedgerEntryDetail, seq: int) -> LedgerEntryDetail:
    """The entry read anew from its bytes.

    raises  Refusal (entry_invalid) when the bytes are not that entry
    """
    try:
        entry = Entry.from_bytes(told.raw.encode())
        evidence = parse_evidence(entry.envelope)
        if entry.seq != seq:
            raise LedgerError(f"the bytes are those of entry {entry.seq}")
    except LedgerError as error:
        raise refuse(
            502,
            "entry_invalid",
            f"平台方给出的第 {seq} 条存证无法核对",
            f"what the coordinator shows as entry {seq} is not that entry ({error})",
            "请运行账本校验，并联系审计方",
            "verify the ledger, and tell the auditor",
            party=COORDINATOR,
        ) from error
    return LedgerEntryDetail(
        entry=LedgerEntryView(
            seq=entry.seq,
            logged_at=entry.logged_at,  # RFC 3339 text, read by the model
            kind=evidence.kind,
            actor=evidence.actor,
            contract=evidence.contract,
            job=evidence.job,
            stage=evidence.stage,
            attempt=evidence.attempt,
            envelope_id=entry.envelope.id,
            leaf_hash=entry.leaf_hash.hex(),
        ),
        body=evidence.body,
        at=evidence.at,  # as above
        signer_seq=evidence.signer_seq,
        prev=evidence.prev,
        key_id=entry.envelope.signatures[0].key_id,
        signature_valid=_signed(ctx, entry, evidence, told.signature_valid),
        inclusion_valid=_included(ctx, entry),
        checkpoint=told.checkpoint,
        raw=told.raw,
    )


def _signed(ctx: NodeContext, entry: Entry, evidence: Evidence, told: bool) -> bool:
    try:
        key = ctx.directory.identity_key(evidence.actor)
    except UnknownPeer:
        return told
    try:
        verify_envelope(entry.envelope, key)
    except LedgerError:
        return False
    return entry.envelope.signatures[0].key_id == key_id(key)


def _included(ctx: NodeContext, entry: Entry) -> bool:
    try:
        answer = ctx.client.get(COORDINATOR, f"/api/ledger/receipts/{entry.envelope.id}")
        receipt = Receipt.from_bytes(str(answer["receipt"]).encode())
        receipt.verify_entry(entry.to_bytes(), ctx.kit.ledger_vkey)
    except (LedgerError, WireError, KeyError, TypeError):
        return False
    return receipt.index == entry.seq
