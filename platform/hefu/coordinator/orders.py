"""Orders: what the coordinator asks of one node for one stage of one attempt, signed, short-lived, used once."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from hefu.coordinator.context import CoordinatorContext
from hefu.domain.contract import Contract
from hefu.domain.job import ORDER_TYPE, Order, OrderKind, Stage
from hefu.store.base import now
from hefu.store.coordinator_tables import JobRow
from hefu.store.signed import encode_envelope, sign_document

_PATHS: dict[str, str] = {
    "check_data": "/orders/check-data",
    "prepare": "/orders/prepare",
    "compute": "/orders/compute",
    "abort": "/orders/abort",
    "check_output": "/orders/check-output",
    "release": "/orders/release",
    "finish": "/orders/finish",
}


def send_order(
    ctx: CoordinatorContext,
    kind: OrderKind,
    stage: Stage,
    job: JobRow,
    contract: Contract,
    recipient: str,
    *,
    use_number: int | None = None,
    **extra: Any,
) -> dict[str, Any]:
    """Send one order and answer the node's reply.

    use_number  uses of the contract by our count, so that every holder can compare
    raises  PeerUnreachable, PeerRefused, AcknowledgementInvalid (hefu.wire.client)
    """
    issued = now()
    order = Order(
        order_id=secrets.token_hex(16),
        kind=kind,
        contract=contract.digest,
        contract_id=contract.contract_id,
        job=job.job_id,
        attempt=job.attempt,
        stage=stage,
        business_date=job.business_date.isoformat(),
        recipient=recipient,
        commitments={owner: found["commitment"] for owner, found in job.inputs.items()},
        use_number=use_number,
        rows=sum(int(found["rows"]) for found in job.inputs.values()) if job.inputs else None,
        issued_at=issued,
        expires_at=issued + timedelta(seconds=ctx.settings.order_seconds),
    )
    envelope = sign_document(order, ORDER_TYPE, ctx.keys.identity)
    reply = ctx.client.post(recipient, _PATHS[kind], {"order": encode_envelope(envelope), **extra})
    return dict(reply)
