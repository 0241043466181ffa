"""The ledger behind the coordinator's API: envelopes in, entries, receipts and checkpoints out; the one sequencer."""

from __future__ import annotations

import io
import logging
import tarfile
import tempfile
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu_ledger import store
from hefu_ledger.encoding import format_time
from hefu_ledger.entry import MAX_ENVELOPE_BYTES
from hefu_ledger.errors import LedgerError, SequencerBusy
from hefu_ledger.evidence import parse_evidence
from hefu_ledger.sequencer import Sequencer
from hefu_ledger.verify import export
from sqlalchemy import text
from sqlmodel import Session

from hefu.coordinator.context import CoordinatorContext, stage_envelope
from hefu.coordinator.directory import LedgerKeys
from hefu.domain.errors import DocumentInvalid
from hefu.store.base import now
from hefu.store.signed import decode_envelope
from hefu.wire.refusal import Refusal, not_found

log = logging.getLogger("hefu.coordinator")
MAX_ENVELOPES = 500


def connection_of(session: Session) -> psycopg.Connection[Any]:
    """The psycopg connection under a session's transaction."""
    raw = session.connection().connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        raise TypeError("the ledger needs psycopg")
    return raw


def start_sequencer(ctx: CoordinatorContext, dsn: str, log_key: Ed25519PrivateKey) -> threading.Thread:
    """Start the one writer of the ledger in a thread of its own."""
    sequencer = Sequencer(
        lambda: psycopg.connect(dsn),
        log_key,
        ctx.settings.ledger_origin,
        LedgerKeys(ctx.directory),
        ctx.paths.checkpoint,
        require_durable=True,
    )

    said = ""

    def tell(error: LedgerError) -> None:
        nonlocal said
        if str(error) != said:
            log.warning("the ledger's writer tries again: %s", error)
        said = str(error)

    def work() -> None:
        while not ctx.stop.is_set():
            try:
                sequencer.run_forever(ctx.stop, ctx.wake_sequencer, on_error=tell)
            except (
                SequencerBusy
            ) as error:  # a predecessor's session that the server has not noticed to be dead
                tell(error)
                ctx.stop.wait(1.0)
            except LedgerError:
                log.exception("the ledger's writer stopped: nothing more is appended until this is resolved")
                return

    thread = threading.Thread(target=work, name="sequencer", daemon=True)
    thread.start()
    return thread


def take_envelopes(ctx: CoordinatorContext, envelopes: list[str], sender: str) -> list[str | None]:
    """Stage a node's envelopes; answers a receipt for each that the ledger has included already.

    Only of the admitted: nobody has checked yet that an applicant is who it says, and once refused its key is gone and
    the log would not verify again. Until then a node keeps its evidence and hands it in again.

    raises  Refusal when one cannot be read, its actor is not the sender, or the sender is not admitted yet
    """
    known = ctx.directory.all().get(sender)
    if known is None or known.state != "admitted":
        raise Refusal(
            403,
            "not_admitted",
            "尚未准入，不能存证",
            "not admitted yet: no evidence is taken",
            party=sender,
        )
    if len(envelopes) > MAX_ENVELOPES:
        raise Refusal(
            413,
            "too_many",
            "一次提交的存证过多",
            "too many envelopes at once",
            limit=str(MAX_ENVELOPES),
            party=sender,
        )
    ids = []
    with ctx.session() as session:
        for encoded in envelopes:
            try:
                envelope = decode_envelope(encoded)
                if len(envelope.to_bytes()) > MAX_ENVELOPE_BYTES:
                    raise DocumentInvalid("envelope", "", f"more than {MAX_ENVELOPE_BYTES} bytes")
                evidence = parse_evidence(envelope)
            except (LedgerError, DocumentInvalid) as error:
                raise Refusal(
                    422, "evidence_invalid", "存证格式错误", f"evidence cannot be read: {error}", party=sender
                ) from error
            if evidence.actor != sender:
                raise Refusal(
                    403,
                    "actor_mismatch",
                    "存证的行为方不是发送方",
                    "the evidence's actor is not the sender",
                    party=sender,
                )
            stage_envelope(session, envelope)
            ids.append(envelope.id)
        session.commit()
        ctx.wake_sequencer.set()
        connection = connection_of(session)
        found = store.inclusion_receipts(connection, ids)
    return [None if r is None else r.to_bytes().decode() for r in found]


def receipt(ctx: CoordinatorContext, envelope_id: str) -> str:
    """The receipt of one envelope. Raises Refusal 404 while it is not included."""
    with ctx.session() as session:
        found = store.inclusion_receipt(connection_of(session), envelope_id)
    if found is None:
        raise not_found("存证", "envelope")
    return found.to_bytes().decode()


def state(ctx: CoordinatorContext) -> dict[str, Any]:
    """Size, root, checkpoint time, entries of the last day, sizes over the last days."""
    with ctx.session() as session:
        connection = connection_of(session)
        latest = store.latest_checkpoint(connection)
        size = store.entry_count(connection)
        since = format_time(now() - timedelta(days=1))
        rows = (
            session.connection()
            .execute(
                text(
                    "select left(at, 13) as hour, count(*) from ledger.entry where at > :since group by 1 order by 1"
                ),
                {"since": since},
            )
            .all()
        )
        at = session.connection().execute(text("select max(stored_at) from ledger.checkpoint")).scalar()
    return {
        "size": latest.size if latest else size,
        "root": latest.root.hex() if latest else "",
        "checkpoint_at": at.isoformat() if isinstance(at, datetime) else None,
        "origin": ctx.settings.ledger_origin,
        "entries_today": sum(int(r[1]) for r in rows),
        "unreceipted": 0,
        "history": [int(r[1]) for r in rows],
    }


def export_tar(ctx: CoordinatorContext, dsn: str) -> bytes:
    """The static export (tiles, entries, checkpoint, keys) as a tar."""
    with tempfile.TemporaryDirectory(dir=ctx.paths.root) as folder:
        target = Path(folder) / "ledger"
        with psycopg.connect(dsn) as connection:
            export(connection, target, log_vkey=ctx.kit.ledger_vkey, keys=ctx.directory.ledger_keys())
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.add(target, arcname="ledger")
        return buffer.getvalue()
