"""Use of a model under its licence 模型使用许可 (K6; white paper A, 3.6): judged, counted and recorded before anything is predicted.

The count, its check and its evidence are one transaction. This node knows its own uses; those of a sublicensee are counted at
the sublicensee's node, under the quota of its own licence.
"""

from __future__ import annotations

from sqlmodel import Session, col, func, select

from hefu.domain.businessdays import business_date
from hefu.domain.filings import Filings, read_filing
from hefu.domain.filings.models import LicenceGrant, LicenceRevocation, ModelRegistration
from hefu.domain.rules.models import Purpose, check_model_use
from hefu.node.context import NodeContext
from hefu.node.refusals import refuse_for
from hefu.store.base import now
from hefu.store.node_tables import FilingRow, ModelUseRow
from hefu.store.signed import decode_envelope

_KINDS = tuple(
    str(kind.model_fields["kind"].default) for kind in (ModelRegistration, LicenceGrant, LicenceRevocation)
)


def use(
    ctx: NodeContext, model_id: str, purpose: Purpose, *, predictions: int, territory: str, user: str
) -> int:
    """Count a use that the licence in force allows. Answers the predictions made so far, these included.

    raises  Refusal (403) with the licence rule that forbids it, its limit and how to mend it
    """
    with ctx.session() as session:
        session.connection().exec_driver_sql("select pg_advisory_xact_lock(hashtext('hefu.model_uses'))")
        used = predictions_so_far(session, model_id)
        verdict = check_model_use(
            model_filings(session),
            model_id,
            ctx.org_id,
            business_date(now()),
            purpose=purpose,
            used_so_far=used,
            territory=territory,
            predictions=predictions,
        )
        if not verdict.passed:
            first = verdict.findings[0]
            ctx.record(
                session, "model_use_refused", {"model": model_id, "rule": first.rule, "purpose": purpose}
            )
            session.commit()
            raise refuse_for(first, party=ctx.org_id)
        counted = predictions if purpose == "predict" else 0
        session.add(ModelUseRow(model_id=model_id, purpose=purpose, predictions=counted, by=user, at=now()))
        ctx.record(
            session,
            "model_used",
            {"model": model_id, "purpose": purpose, "predictions": counted, "total": used + counted},
        )
        session.commit()
    return used + counted


def predictions_so_far(session: Session, model_id: str) -> int:
    """Predictions that this organisation has made with a model."""
    query = select(func.coalesce(func.sum(ModelUseRow.predictions), 0)).where(
        ModelUseRow.model_id == model_id
    )
    return int(session.exec(query).one())


def model_filings(session: Session) -> Filings:
    """Registrations, licences and revocations that this node has verified."""
    rows = session.exec(select(FilingRow).where(col(FilingRow.kind).in_(_KINDS))).all()
    return Filings.of(read_filing(decode_envelope(row.envelope).payload) for row in rows)
