"""What this node keeps, until when, and its destruction (K5, K10): keys are destroyed, then files removed.

`sweep` runs in the background and when the coordinator asks. Destroying the keys, what the tables say of the things, the
evidence and the signed deletion certificate commit together; files are removed afterwards, and again at the next sweep
where that failed: without their key nothing opens them. `docs/retention.md` says what the certificate proves and what not.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from sqlmodel import Session, col, select

from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract, ContractState, read_contract
from hefu.domain.filings import Filings
from hefu.domain.filings.events import DeletedThing, DeletionCertificate, MinimisationReview
from hefu.domain.rules import retention as rule
from hefu.node import filings, storage_keys
from hefu.node.context import NodeContext
from hefu.store.base import now
from hefu.store.node_keeping import StoredKeyRow
from hefu.store.node_tables import (
    AnsweredQueryRow,
    ArrivalRow,
    ContractNoticeRow,
    ContractRow,
    JobRow,
    ResultRow,
)

log = logging.getLogger("hefu.node")
SWEEP_SECONDS = 3600.0
Reason = Literal["due", "terminated", "request", "minimisation"]
MAX_THINGS = 1000
REVIEW_EVERY = timedelta(days=30)
_USER = "retention"
_LIVE = {ContractState.SIGNING.value, ContractState.ACTIVE.value, ContractState.SUSPENDED.value}
LEFTOVER_DAYS = 3
"""What a job that never ended left behind goes after so many days without a change: its attempts are over long before."""


@dataclass(frozen=True)
class Held:
    """A thing that this node keeps under a key of its own.

    due     first day on which it may no longer be kept; None where no contract says so
    hold    a legal hold forbids deleting it
    reason  why it goes when it is due
    """

    key: StoredKeyRow
    contract_ids: tuple[str, ...]
    due: date | None
    hold: bool
    reason: Reason

    def expired(self, today: date) -> bool:
        """May it be, and must it be, destroyed today?"""
        return not self.hold and self.due is not None and self.due <= today


@dataclass(frozen=True)
class Swept:
    """What a sweep kept and deleted, by kind of thing; digests of the certificates that it issued."""

    kept: dict[str, int]
    deleted: dict[str, int]
    certificates: tuple[str, ...]


def held(ctx: NodeContext, session: Session) -> list[Held]:
    """Everything under a live key, with its due date."""
    newest: dict[str, Contract] = {}
    for row in session.exec(select(ContractRow).order_by(col(ContractRow.version))):
        newest[row.contract_id] = read_contract(row.document)
    counted = [(c, filings.of_contract(ctx, session, c), _ended(session, c)) for c in newest.values()]
    keys = session.exec(select(StoredKeyRow).where(col(StoredKeyRow.destroyed_at).is_(None)))
    over = _ended_here(session)
    return [_held(session, key, counted, over) for key in keys.all()]


def _held(
    session: Session,
    key: StoredKeyRow,
    counted: Sequence[tuple[Contract, Filings, date | None]],
    over: set[str],
) -> Held:
    """One thing, due when the last of the contracts that it serves lets go of it."""
    today = business_date(now())
    concerned = [
        (c, filed, ended)
        for c, filed, ended in counted
        if c.contract_id == key.contract_id
        or (key.data_set_id and any(d.data_set_id == key.data_set_id for d in c.data_sets))
    ]
    ids = tuple(c.contract_id for c, _, _ in concerned)
    if any(rule.holds(filed, c.contract_id, today) for c, filed, _ in concerned):
        return Held(key, ids, None, hold=True, reason="due")
    if key.what == "job_work":
        parts = session.exec(select(JobRow).where(JobRow.job == key.job)).all()
        touched = business_date(max([key.made_at, *(p.updated_at for p in parts)]))
        return Held(key, ids, touched + timedelta(days=LEFTOVER_DAYS), hold=False, reason="minimisation")
    if key.what == "query_set":
        return _query_set(key, concerned, over)
    made = business_date(key.made_at)
    if key.what == "data_set_file":
        days = [arrival.business_date for arrival in _arrivals(session, key)]
        made = max(days, default=made)
    found = [
        rule.due(c, filed, today, made_on=made, data_set_id=key.data_set_id, terminated_on=ended)
        for c, filed, ended in concerned
    ]
    dates = [d.on for d in found]
    due = None if not dates or None in dates else max(d for d in dates if d is not None)
    ended = bool(found) and all(d.because == "termination" for d in found)
    return Held(key, ids, due, hold=False, reason="terminated" if ended else "due")


def _query_set(
    key: StoredKeyRow, concerned: Sequence[tuple[Contract, Filings, date | None]], over: set[str]
) -> Held:
    """Whom a query was about: compared with later ones as long as the contract, or its renewal, may ask any.

    over  contracts of which no version is live
    """
    today, due = business_date(now()), None
    for contract, filed, terminated in concerned:
        if contract.contract_id in over:
            ended = terminated or contract.limits.valid_until.date()
            due = rule.due(contract, filed, today, made_on=ended, terminated_on=terminated).on
    return Held(key, tuple(c.contract_id for c, _, _ in concerned), due, hold=False, reason="due")


def _ended(session: Session, contract: Contract) -> date | None:
    """The day on which a contract was terminated, as the parties' notices say; None where it was not."""
    row = session.get(ContractRow, contract.digest)
    if row is None or row.state != "terminated":
        return None
    notices = session.exec(
        select(ContractNoticeRow).where(
            ContractNoticeRow.digest == contract.digest, ContractNoticeRow.kind == "terminate"
        )
    ).all()
    return business_date(min((n.at for n in notices), default=now()))


def shred(ctx: NodeContext, things: Sequence[Held], reason: Reason | None = None) -> list[str]:
    """Destroy the keys of these things, then their files. Answers the digests of the deletion certificates.

    reason  for all of them; None for each thing's own. A thing on legal hold is never destroyed
    """
    free = [thing for thing in things if not thing.hold]
    with ctx.session() as session:
        for thing in free:
            row = session.get_one(StoredKeyRow, thing.key.key_digest)
            if row.destroyed_at is None:
                storage_keys.destroy(session, row, reason or thing.reason)
                _forget(session, row)
                ctx.record(
                    session,
                    "key_destroyed",
                    {"key": row.key_digest, "what": row.what, "reason": row.reason},
                    job=row.job,
                )
        session.flush()
        certificates = _certify(ctx, session, {t.key.key_digest: t.contract_ids for t in free})
        session.commit()
    if free:
        storage_keys.sweep_pages(ctx)
    _remove_files(ctx)
    return certificates


def sweep(ctx: NodeContext, *, asked: bool = False) -> Swept:
    """Destroy what is due, remove what unfinished jobs left, certify it all, and say how much was kept and deleted.

    asked  by the coordinator's schedule: a review is signed even where nothing was due, once in thirty days or where its
           counts changed, and for a contract that has ended even where nothing is held
    """
    today = business_date(now())
    with ctx.session() as session:
        found = held(ctx, session)
    expired = [thing for thing in found if thing.expired(today)]
    certificates = shred(ctx, expired)
    deleted = Counter(thing.key.what for thing in expired)
    kept = Counter(thing.key.what for thing in found) - deleted
    with ctx.session() as session:
        if expired or asked:  # an empty review every hour would drown the others
            gone = {thing.key.key_digest for thing in expired}
            for contract_id in sorted(
                {i for thing in found for i in thing.contract_ids} | _ended_here(session)
            ):
                ours = [thing.key for thing in found if contract_id in thing.contract_ids]
                review = MinimisationReview(
                    issuer=ctx.org_id,
                    contract_id=contract_id,
                    issued_at=now(),
                    checked_on=today.isoformat(),
                    kept=dict(Counter(key.what for key in ours if key.key_digest not in gone)),
                    deleted=dict(Counter(key.what for key in ours if key.key_digest in gone)),
                )
                if _tells_more(ctx, session, review):
                    filings.file(ctx, review, _USER, session)
            ctx.record(session, "retention_swept", {"kept": dict(kept), "deleted": dict(deleted)})
            session.commit()
    return Swept(dict(kept), dict(deleted), tuple(certificates))


def _ended_here(session: Session) -> set[str]:
    """Contracts of which no version is live: after the end a party says that it holds nothing more."""
    states: dict[str, set[str]] = {}
    for row in session.exec(select(ContractRow)):
        states.setdefault(row.contract_id, set()).add(row.state)
    ended = {ContractState.EXPIRED.value, ContractState.TERMINATED.value}
    return {contract_id for contract_id, seen in states.items() if seen & ended and not seen & _LIVE}


def _tells_more(ctx: NodeContext, session: Session, review: MinimisationReview) -> bool:
    """Does it say what our last one about the contract did not? A daily repetition would be noise, a monthly one is proof."""
    contract = filings.newest_version(session, review.contract_id or "")
    mine = filings.of_contract(ctx, session, contract).all(
        MinimisationReview, issuer=ctx.org_id, contract_id=contract.contract_id
    )
    if not mine or review.deleted or mine[-1].kept != review.kept:
        return True
    last = date.fromisoformat(mine[-1].checked_on)
    ended = _ended(session, contract) or contract.limits.valid_until.date()
    return last <= business_date(now()) - REVIEW_EVERY or last < ended <= business_date(now())


def keep_sweeping(ctx: NodeContext) -> threading.Thread:
    """A started thread that sweeps every hour until the node stops."""

    def run() -> None:
        while not ctx.stop.wait(SWEEP_SECONDS):
            try:
                sweep(ctx)
            except Exception:
                log.exception("the retention sweep failed; trying again in an hour")

    thread = threading.Thread(target=run, name="retention", daemon=True)
    thread.start()
    return thread


def _certify(ctx: NodeContext, session: Session, serving: dict[str, tuple[str, ...]]) -> list[str]:
    """Sign a deletion certificate for every destroyed key that none names yet, one per contract and reason.

    serving  key → the contracts that its thing served; a thing that served none is nobody's but our own
    """
    waiting = session.exec(
        select(StoredKeyRow).where(
            col(StoredKeyRow.destroyed_at).is_not(None), col(StoredKeyRow.certified).is_(None)
        )
    ).all()
    groups: dict[tuple[str, str], list[StoredKeyRow]] = {}
    for row in waiting:
        for contract_id in serving.get(row.key_digest) or ((row.contract_id,) if row.contract_id else ()):
            groups.setdefault((contract_id, row.reason), []).append(row)
    issued = []
    for (contract_id, reason), rows in groups.items():
        for start in range(0, len(rows), MAX_THINGS):
            part = rows[start : start + MAX_THINGS]
            certificate = DeletionCertificate(
                issuer=ctx.org_id,
                contract_id=contract_id,
                issued_at=now(),
                things=tuple(_thing(row) for row in part),
                deleted_at=max(row.destroyed_at for row in part if row.destroyed_at),
                reason=reason,
            )
            digest = filings.file(ctx, certificate, _USER, session)
            issued.append(digest)
            for row in part:
                row.certified = digest
                session.add(row)
    return issued


def _thing(row: StoredKeyRow) -> DeletedThing:
    return DeletedThing(
        key_digest=row.key_digest,
        what=row.what,
        job=row.job,
        data_set_id=row.data_set_id,
    )


def _forget(session: Session, key: StoredKeyRow) -> None:
    """What the tables say of a thing that is gone."""
    if key.what == "data_set_file":
        for arrival in _arrivals(session, key):
            arrival.state = "deleted"
            session.add(arrival)
    elif key.what == "result":
        row = session.get(ResultRow, key.job)
        if row is not None:
            row.halves, row.table_path = {}, None
            row.summary = {"deleted_at": now().isoformat(), "batches": row.summary.get("batches", [])}
            session.add(row)
    elif key.what == "query_set":
        for query in session.exec(select(AnsweredQueryRow).where(AnsweredQueryRow.path == key.path)):
            session.delete(query)
    else:
        for part in session.exec(select(JobRow).where(JobRow.job == key.job)):
            part.half_path = None
            part.input = {k: v for k, v in part.input.items() if k != "fingerprint"}
            session.add(part)


def _arrivals(session: Session, key: StoredKeyRow) -> Sequence[ArrivalRow]:
    stored_as = key.path.removeprefix("data/")
    return session.exec(select(ArrivalRow).where(ArrivalRow.stored_as == stored_as)).all()


def _remove_files(ctx: NodeContext) -> None:
    """Remove the files whose keys are destroyed; those of a thing that has come anew, under a new key, stay."""
    with ctx.session() as session:
        rows = session.exec(select(StoredKeyRow)).all()
    live = {row.path for row in rows if row.destroyed_at is None}
    for row in rows:
        if row.destroyed_at is None or row.path in live:
            continue
        path = storage_keys.located(ctx, row)
        if row.what == "result":
            for file in path.parent.glob(f"{path.name}-*"):
                file.unlink(missing_ok=True)
        elif row.what == "data_set_file":
            path.unlink(missing_ok=True)
            path.with_name(path.name + ".rejects.csv").unlink(missing_ok=True)
        elif row.what == "query_set":
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path, ignore_errors=True)
