"""An effect evaluation 效果评估 at a node (white paper A, 3.9): the coordinator's figures of jobs, our own verified filings beside them.

Incidents and complaints are counted from the filings that this node holds itself: nobody in between may leave one out.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hefu.domain.businessdays import business_date
from hefu.domain.contract import Contract
from hefu.domain.filings.assessment import EffectEvaluation
from hefu.domain.filings.events import Complaint, IncidentReport
from hefu.domain.rules.effect import effect_report
from hefu.node import filings
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.refusals import refuse
from hefu.store.base import now
from hefu.wire.refusal import Refusal

_NOT_FOR_THE_FORM = {"kind", "issuer", "issued_at", "replaces", "valid_until"}


class EffectFigures(BaseModel):
    """What the coordinator counted in a period, both days included."""

    model_config = ConfigDict(extra="forbid")

    contract_id: str
    period_from: str
    period_until: str
    jobs: dict[str, int]
    refusals: dict[str, int]
    incidents: int
    complaints: int
    median_decision_seconds: int | None


class EffectView(BaseModel):
    """The figures, the report in both languages, and the content of the filing `effect_evaluation` ready to be prepared.

    uncounted  incidents and complaints that this node has and the coordinator did not count
    """

    model_config = ConfigDict(extra="forbid")

    figures: EffectFigures
    uncounted: int = Field(ge=0)
    report_zh: str
    report_en: str
    content: dict[str, Any]


def period(first: date | None, last: date | None, today: date) -> tuple[date, date]:
    """The period asked for; else the thirty days that end today."""
    last = last or today
    return first or last - timedelta(days=30), last


def ask(ctx: NodeContext, contract: Contract, first: date, last: date) -> EffectFigures:
    """The coordinator's figures of a period.

    raises  PeerUnreachable, PeerRefused · Refusal (answer_unreadable) where it answers about something else
    """
    asked = {"from": first.isoformat(), "until": last.isoformat()}
    answer = ctx.client.get(COORDINATOR, f"/api/contracts/{contract.contract_id}/effect", asked)
    try:
        told = EffectFigures.model_validate(answer)
    except ValidationError as error:
        raise _unreadable() from error
    if (told.contract_id, told.period_from, told.period_until) != (contract.contract_id, *asked.values()):
        raise _unreadable()
    return told


def _unreadable() -> Refusal:
    return refuse(
        502,
        "answer_unreadable",
        "平台方应答的格式、合约或日期不符",
        "the coordinator's answer has another form, or is about another contract or period",
        "请核对双方软件版本后重试",
        "compare the two programs' versions, and try again",
        party=COORDINATOR,
    )


def view(ctx: NodeContext, contract: Contract, told: EffectFigures, *, utility: str = "") -> EffectView:
    """The evaluation as this organisation would sign it."""
    first, last = date.fromisoformat(told.period_from), date.fromisoformat(told.period_until)
    with ctx.session() as session:
        filed = filings.of_contract(ctx, session, contract)
    named = contract.contract_id
    incidents = [business_date(i.discovered_at) for i in filed.all(IncidentReport, contract_id=named)]
    complaints = [business_date(c.issued_at) for c in filed.all(Complaint, contract_id=named)]
    own = {
        "incidents": sum(first <= day <= last for day in incidents),
        "complaints": sum(first <= day <= last for day in complaints),
    }
    uncounted = max(0, own["incidents"] - told.incidents) + max(0, own["complaints"] - told.complaints)
    figures = told.model_copy(
        update={
            "incidents": max(own["incidents"], told.incidents),
            "complaints": max(own["complaints"], told.complaints),
        }
    )
    evaluation = EffectEvaluation(
        issuer=ctx.org_id, issued_at=now(), utility=utility, **figures.model_dump(mode="python")
    )
    return EffectView(
        figures=figures,
        uncounted=uncounted,
        report_zh=effect_report(evaluation, "zh"),
        report_en=effect_report(evaluation, "en"),
        content=evaluation.model_dump(mode="json", exclude=_NOT_FOR_THE_FORM),
    )
