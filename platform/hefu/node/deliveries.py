"""Tells the coordinator what this owner has: descriptions of data sets, and that a day's file arrived.

What is not told yet follows from the tables: arrivals with a higher id than the last one told, data sets whose
description differs from the one told. Arrivals are written under one lock, so their ids become visible in order. When
the coordinator is silent they wait, and `supervision.keep_going` calls `tell_pending` again.

The coordinator gets days, counts, states and a salted digest of the file; no amounts, no names of files.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlmodel import Session, col, select

from hefu.node import preferences
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.directory import UnknownPeer
from hefu.store.node_tables import ArrivalRow, DataSetRow
from hefu.wire.errors import PeerRefused, WireError

log = logging.getLogger("hefu.deliveries")

_telling = threading.Lock()


def delivery_salt(ctx: NodeContext, fingerprint: str) -> bytes:
    """The salt (32 bytes) of a file's digest; derived from the node's sealing key, so that it can be opened to the auditor."""
    key = HKDF(SHA256(), 32, None, b"hefu delivery salt v1").derive(ctx.keys.sealing.private_bytes_raw())
    return hmac.digest(key, fingerprint.encode(), "sha256")


def delivery_digest(ctx: NodeContext, fingerprint: str) -> str:
    """SHA-256 (hex) of salt and fingerprint: equal for equal files of this owner, and a guess cannot be tested on it."""
    return hashlib.sha256(delivery_salt(ctx, fingerprint) + bytes.fromhex(fingerprint)).hexdigest()


def tell_pending(ctx: NodeContext) -> int:
    """Tell what is not told yet, oldest first; stops at the first failure. Answers how many were told; never raises WireError."""
    with _telling:
        try:
            return _tell_data_sets(ctx) + _tell_arrivals(ctx)
        except (WireError, UnknownPeer) as error:
            log.warning("deliveries wait: %s", error)
            return 0


def _tell_data_sets(ctx: NodeContext) -> int:
    told = 0
    with ctx.session() as session:
        known = preferences.read(session, "data_sets_told")
        rows = session.exec(select(DataSetRow)).all()
    for row in rows:
        mark = hashlib.sha256(repr(sorted(row.definition.items())).encode()).hexdigest()
        if known.get(row.data_set_id) == mark:
            continue
        try:
            ctx.client.post(
                COORDINATOR,
                "/api/data-sets",
                {"definition": row.definition, "schema_digest": row.schema_digest},
            )
        except PeerRefused as error:
            if error.status >= 500:
                raise
            log.error("the coordinator refuses data set %s: %s", row.data_set_id, error)
            continue
        known = {**known, row.data_set_id: mark}
        with ctx.session() as session:
            preferences.write(session, "data_sets_told", known)
            session.commit()
        told += 1
    return told


def _tell_arrivals(ctx: NodeContext) -> int:
    told = 0
    while True:
        with ctx.session() as session:
            last = int(preferences.read(session, "deliveries_told").get("last", 0))
            row = session.exec(
                select(ArrivalRow).where(col(ArrivalRow.id) > last).order_by(col(ArrivalRow.id)).limit(1)
            ).first()
            hidden = row is not None and row.state == "rejected" and _stands(session, row)
        if row is None:
            return told
        if row.state != "replaced" and not hidden:
            try:
                ctx.client.post(COORDINATOR, "/api/deliveries", _delivery(ctx, row))
            except PeerRefused as error:
                if error.status >= 500:
                    raise
                log.error("the coordinator refuses a delivery of %s: %s", row.data_set_id, error)
            else:
                told += 1
        with ctx.session() as session:
            preferences.write(session, "deliveries_told", {"last": row.id})
            session.commit()


def _stands(session: Session, row: ArrivalRow) -> bool:
    """An earlier file of that day could be read, and stands: the unreadable one is nobody else's business."""
    query = select(ArrivalRow.id).where(
        ArrivalRow.data_set_id == row.data_set_id,
        ArrivalRow.business_date == row.business_date,
        col(ArrivalRow.state).in_(["arrived", "late"]),
    )
    return session.exec(query).first() is not None


def _delivery(ctx: NodeContext, row: ArrivalRow) -> dict[str, str | int]:
    return {
        "data_set_id": row.data_set_id,
        "business_date": row.business_date.isoformat(),
        "state": row.state,
        "fingerprint": delivery_digest(ctx, row.fingerprint),
        "rows": row.rows,
        "rejected": row.rejected,
    }
