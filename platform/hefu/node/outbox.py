"""Carries this node's evidence to the ledger, and keeps it up until an inclusion proof verifies.

An accepted entry that is dropped again would leave this node without a receipt: what has none stays in the queue, is
handed in again and shows in the console.
"""

from __future__ import annotations

import base64
import logging
import time

from hefu_ledger.dsse import Envelope
from hefu_ledger.errors import LedgerError
from hefu_ledger.proof import Receipt
from sqlmodel import col, select

from hefu.node.context import COORDINATOR, NodeContext
from hefu.store.node_tables import JournalRow
from hefu.wire.errors import WireError

log = logging.getLogger("hefu.node")
BATCH = 200


def deliver(ctx: NodeContext) -> int:
    """Hand in what has no receipt yet; answers how many are still without one.

    raises  WireError when the coordinator can't be reached or refuses
    """
    with ctx.session() as session:
        rows = session.exec(
            select(JournalRow)
            .where(col(JournalRow.entry_seq).is_(None))
            .order_by(col(JournalRow.signer_seq))
            .limit(BATCH)
        ).all()
        if not rows:
            return 0
        answer = ctx.client.post(
            COORDINATOR,
            "/api/ledger/envelopes",
            {"envelopes": [base64.b64encode(r.envelope).decode() for r in rows]},
        )
        left = 0
        for row, text in zip(rows, answer["receipts"], strict=True):
            if text is None:
                left += 1
                continue
            try:
                receipt = Receipt.from_bytes(text.encode())
                receipt.verify(Envelope.from_bytes(row.envelope), ctx.kit.ledger_vkey)
            except LedgerError as error:
                log.error("ledger: the receipt of %s does not verify: %s", row.envelope_id, error)
                left += 1
                continue
            row.entry_seq, row.receipt = receipt.index, text
            session.add(row)
        session.commit()
        return left


def work(ctx: NodeContext) -> None:
    """Deliver whenever there is something, until the node stops."""
    pause = 0.3
    while not ctx.stop.is_set():
        ctx.wake_outbox.wait(timeout=5)
        ctx.wake_outbox.clear()
        try:
            while not ctx.stop.is_set() and deliver(ctx) > 0:
                time.sleep(pause)
                pause = min(pause * 1.5, 5)
            pause = 0.3
        except (WireError, OSError):
            ctx.stop.wait(2)
            ctx.wake_outbox.set()
        except Exception:
            log.exception("ledger: handing in evidence failed; trying again")
            ctx.stop.wait(2)
            ctx.wake_outbox.set()
