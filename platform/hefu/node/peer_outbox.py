"""Messages to other organisations that wait until they were taken.

A message is put here in the transaction that records it, and leaves when the peer has answered; the receiver takes the
same message twice without harm. A message that the peer refuses is dropped and logged.
"""

from __future__ import annotations

import logging
import secrets
import threading
from typing import Any

from pydantic import BaseModel
from sqlalchemy import text
from sqlmodel import Session

from hefu.node import preferences
from hefu.node.context import NodeContext
from hefu.node.directory import UnknownPeer
from hefu.wire.errors import PeerRefused, WireError

log = logging.getLogger("hefu.supervision")

_OUTBOX = "inquiry_outbox"
_sending = threading.Lock()


def put(session: Session, recipient: str, path: str, body: BaseModel) -> None:
    """Queue a message in the session's transaction; the caller commits."""
    _lock_outbox(session)
    waiting = preferences.read(session, _OUTBOX).get("messages", [])
    message = {
        "id": secrets.token_hex(8),
        "recipient": recipient,
        "path": path,
        "body": body.model_dump(mode="json"),
    }
    preferences.write(session, _OUTBOX, {"messages": [*waiting, message]})


def send_pending(ctx: NodeContext) -> int:
    """Send what waits in the outbox, in order for each recipient; a refused message is dropped and logged. Answers how many left."""
    with _sending:
        with ctx.session() as session:
            waiting: list[dict[str, Any]] = preferences.read(session, _OUTBOX).get("messages", [])
        done, silent = set(), set()
        for message in waiting:
            recipient = message["recipient"]
            if recipient in silent:
                continue
            try:
                ctx.client.post(recipient, message["path"], message["body"])
            except PeerRefused as error:
                if error.status >= 500:
                    silent.add(recipient)
                    continue
                log.error("%s refuses %s: %s", recipient, message["path"], error)
            except (WireError, UnknownPeer) as error:
                log.warning("a message to %s waits: %s", recipient, error)
                silent.add(recipient)
                continue
            done.add(message["id"])
        if done:
            with ctx.session() as session:
                _lock_outbox(session)
                left = [
                    m for m in preferences.read(session, _OUTBOX).get("messages", []) if m["id"] not in done
                ]
                preferences.write(session, _OUTBOX, {"messages": left})
                session.commit()
        return len(done)


def _lock_outbox(session: Session) -> None:
    session.connection().execute(text("select pg_advisory_xact_lock(hashtext('hefu.inquiry_outbox'))"))
