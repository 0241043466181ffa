"""Orders from the coordinator: believed only when signed, fresh, ours, new, and under a contract that is in force here.

A lying coordinator can stop work; it can't make this node use data. Every refusal is kept, and is evidence in the
node's own journal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from hefu.domain.contract import Contract
from hefu.domain.errors import DocumentInvalid
from hefu.domain.job import ORDER_TYPE, Order, OrderKind
from hefu.keys.public import load_public_ed25519
from hefu.node import contracts
from hefu.node.context import COORDINATOR, NodeContext
from hefu.store.base import now
from hefu.store.node_tables import JobRow, OrderRow
from hefu.store.signed import decode_envelope, read_signed, read_unverified
from hefu.wire.refusal import Refusal

_SKEW = timedelta(seconds=60)


def accept(ctx: NodeContext, envelope: str, kind: OrderKind) -> tuple[Order, Contract]:
    """Check an order and remember it. `abort` and `finish` are obeyed under any contract that this node holds.

    raises  Refusal with the reason; it is in the journal by then
    """
    order: Order | None = None
    try:
        order = read_unverified(envelope, Order, ORDER_TYPE)
        read_signed(envelope, Order, ORDER_TYPE, ctx.directory.identity_key(COORDINATOR))
        _check_form(ctx, order, kind)
        with ctx.session() as session:
            if kind in ("abort", "finish"):
                contract = contracts.stored(ctx, order.contract)[1]
            else:
                contract = contracts.in_force(ctx, session, order.contract, job=order.job)
            read_signed(envelope, Order, ORDER_TYPE, load_public_ed25519(contract.platform.coordinator_key))
            _check_job(session, contract, order)
            if kind not in ("abort", "finish"):
                _check_cast(ctx, contract, order)
            if session.get(OrderRow, order.order_id) is not None:
                raise _replayed(order)
            session.add(_row(order, envelope, accepted=True, code="ok"))
            try:
                session.commit()
            except IntegrityError as error:  # the same order twice at once
                raise _replayed(order) from error
        return order, contract
    except DocumentInvalid as error:
        refusal = Refusal(
            403,
            "order_invalid",
            "指令签名或格式无效",
            f"the order is not validly signed: {error.reason}",
            party=COORDINATOR,
        )
        _remember(ctx, order, envelope, refusal)
        raise refusal from error
    except Refusal as refusal:
        _remember(ctx, order, envelope, refusal)
        raise


@contextmanager
def refusals_kept(ctx: NodeContext, order: Order, envelope: str) -> Iterator[None]:
    """Whatever is refused while an accepted order is carried out (no use left, a session replayed) is evidence too."""
    try:
        yield
    except Refusal as refusal:
        _remember(ctx, order, envelope, refusal)
        raise


def _replayed(order: Order) -> Refusal:
    return Refusal(
        403,
        "order_replayed",
        "该指令已执行过",
        "this order was received before",
        party=COORDINATOR,
        stage=order.stage.value,
    )


def _check_form(ctx: NodeContext, order: Order, kind: OrderKind) -> None:
    moment = now()
    if order.kind != kind or order.recipient != ctx.org_id:
        raise Refusal(
            403,
            "order_misdirected",
            "指令的接收方或类型不符",
            "the order is for another node or of another kind",
            party=COORDINATOR,
        )
    if not order.issued_at - _SKEW <= moment <= order.expires_at:
        raise Refusal(
            403,
            "order_expired",
            "指令已过期",
            "the order has expired",
            party=COORDINATOR,
            limit=order.expires_at.isoformat(),
        )


def _check_job(session: Session, contract: Contract, order: Order) -> None:
    """A job is of one contract and one day, whatever a later order says: no input is used for another purpose."""
    row = session.exec(select(JobRow).where(JobRow.job == order.job)).first()
    same = row is None or (row.contract, row.business_date.isoformat()) == (
        order.contract,
        order.business_date,
    )
    if not same or order.contract_id != contract.contract_id:
        raise Refusal(
            403,
            "order_misdirected",
            "指令与合约或任务不符",
            "the order names another contract or day than its job is of",
            party=COORDINATOR,
            stage=order.stage.value,
        )


def _check_cast(ctx: NodeContext, contract: Contract, order: Order) -> None:
    """Everybody in the contract is in good standing by this node's own view."""
    for party in contract.parties:
        if party.org_id != ctx.org_id and ctx.directory.standing(party.org_id) != "active":
            raise Refusal(
                403,
                "participant_suspended",
                f"{party.org_id} 已被暂停或撤销",
                f"{party.org_id} is suspended or revoked",
                party=party.org_id,
                stage=order.stage.value,
            )


def _remember(ctx: NodeContext, order: Order | None, envelope: str, refusal: Refusal) -> None:
    """A refused order stays in the journal: what was asked, by whom, why not."""
    body: dict[str, Any] = {"code": refusal.body["code"]}
    with ctx.session() as session:
        if order is not None:
            body |= {"order": order.order_id, "order_kind": order.kind}
            if session.get(OrderRow, order.order_id) is None:
                session.add(_row(order, envelope, accepted=False, code=str(refusal.body["code"])))
        where: dict[str, Any] = {}
        if order is not None:
            where = {
                "contract": order.contract,
                "job": order.job,
                "attempt": order.attempt,
                "stage": order.stage.value,
            }
        ctx.record(session, "order_refused", body, **where)
        session.commit()


def _row(order: Order, envelope: str, *, accepted: bool, code: str) -> OrderRow:
    return OrderRow(
        order_id=order.order_id,
        job=order.job,
        kind=order.kind,
        attempt=order.attempt,
        accepted=accepted,
        code=code,
        envelope=decode_envelope(envelope).to_bytes(),
        at=now(),
    )
