"""Supervision between organisations: who may ask whom, under which contract, about which job.

The regulator asks for the record behind a reference (`records`) and for an explanation of rows (`inquiries`); the
organisation asked works on cases (`cases`). Every step stands under a contract that this node has signed itself.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from typing import Literal

from sqlmodel import Session, col, select

from hefu.domain.contract import Contract, read_contract
from hefu.node.context import NodeContext
from hefu.node.deliveries import tell_pending
from hefu.node.peer_outbox import send_pending
from hefu.node.refusals import not_found, refuse
from hefu.store.base import now
from hefu.store.node_tables import ContractRow, ContractSignatureRow, JobRow, ResultRow

log = logging.getLogger("hefu.supervision")

_RETRY_SECONDS = 5.0


def contract_of_result(session: Session, job: str) -> tuple[ResultRow, Contract]:
    """At the receiver: the result that a question is about, and its contract. Raises Refusal (not_found)."""
    row = session.get(ResultRow, job)
    stored = None if row is None else session.get(ContractRow, row.contract)
    if row is None or stored is None:
        raise not_found("结果", "result", job)
    return row, read_contract(stored.document)


def check_owner(contract: Contract, org: str) -> None:
    """Raises Refusal (not_an_owner) unless the organisation gave data under the contract."""
    if org not in contract.owners():
        raise refuse(
            422,
            "not_an_owner",
            f"{org} 不是该合约的数据提供方",
            f"{org} provides no data under this contract",
            "请选择合约中的数据提供方",
            "choose an owner of data in the contract",
            party=org,
        )


def job_asked_about(
    ctx: NodeContext, session: Session, sender: str, contract_digest: str, job: str
) -> tuple[JobRow, Contract]:
    """At the organisation asked: may `sender` ask about this job? Our part in it, and the contract.

    raises  Refusal: not_entitled (403) unless we signed the contract, gave data under it, took part in the job, and the
            sender is a recipient of its results
    """
    stored = session.get(ContractRow, contract_digest)
    signed = session.get(ContractSignatureRow, (contract_digest, ctx.org_id))
    part = session.exec(
        select(JobRow)
        .where(JobRow.job == job, JobRow.contract == contract_digest)
        .order_by(col(JobRow.attempt))
    ).first()
    if stored is not None and signed is not None and part is not None:
        contract = read_contract(stored.document)
        if sender in contract.recipients() and ctx.org_id in contract.owners():
            return part, contract
    raise refuse(
        403,
        "not_entitled",
        "询问方不是该任务结果的接收方，或本机构未参与该任务",
        "the asker does not receive this job's results, or this organisation took no part in it",
        "请核对任务与合约",
        "check job and contract",
        party=sender,
    )


def overdue(state: str, due_at: datetime, waiting: Literal["asked", "sent"]) -> str:
    """The state as it is shown: `overdue` when nothing came in time."""
    return "overdue" if state == waiting and due_at < now() else state


def keep_going(ctx: NodeContext) -> threading.Thread:
    """A started thread that sends again what a silent peer or coordinator has not received, until the node stops."""
    from hefu.node import records  # it stands on this module

    def run() -> None:
        while not ctx.stop.wait(_RETRY_SECONDS):
            for step in (tell_pending, records.ask_again, send_pending):
                try:
                    step(ctx)
                except Exception:
                    log.exception("sending again failed")

    thread = threading.Thread(target=run, name="supervision", daemon=True)
    thread.start()
    return thread
