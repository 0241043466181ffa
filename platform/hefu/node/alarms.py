"""Alarms at the regulator's node: raised once per rule, contract and day; acknowledged by a person; both recorded.

The rules are `hefu.domain.warnings`. An alarm's id is random and its evidence names nothing else, because the ledger is
read by the supervised as well.
"""

from __future__ import annotations

import logging
import secrets
from datetime import date, timedelta

from sqlalchemy import text
from sqlmodel import Session, col, select

from hefu.domain.businessdays import business_date
from hefu.domain.verdict import Finding
from hefu.domain.warnings import DayFigures, Limits, evaluate
from hefu.node import preferences
from hefu.node.console_models import AlarmRules, AlarmView
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.refusals import conflict, not_found
from hefu.store.base import now
from hefu.store.node_tables import AlarmRow, ResultRow
from hefu.wire.errors import WireError

log = logging.getLogger("hefu.alarms")


def evaluate_day(ctx: NodeContext, contract_id: str, day: date) -> list[AlarmView]:
    """Apply the rules to a day and raise what is new."""
    late = late_owners(ctx, contract_id, day)
    with ctx.session() as session:
        session.connection().execute(text("select pg_advisory_xact_lock(hashtext('hefu.alarms'))"))
        rules = preferences.alarm_rules(session)
        figures = _figures(session, contract_id, day, rules.consecutive_days, late)
        known = {
            row.rule
            for row in session.exec(
                select(AlarmRow).where(AlarmRow.contract_id == contract_id, AlarmRow.business_date == day)
            )
        }
        raised = []
        for alarm in evaluate(figures, Limits(**rules.model_dump())):
            if alarm.rule in known or alarm.business_date != day:
                continue
            row = AlarmRow(
                alarm_id=secrets.token_hex(8),
                rule=alarm.rule,
                contract_id=contract_id,
                business_date=day,
                job=_standing_job(session, contract_id, day),
                party=alarm.party,
                message_zh=alarm.message_zh,
                message_en=alarm.message_en,
                raised_at=now(),
            )
            session.add(row)
            ctx.record(session, "alarm_raised", {"alarm": row.alarm_id})
            raised.append(row)
        session.commit()
        return [alarm_view(row) for row in raised]


def raise_finding(ctx: NodeContext, session: Session, contract_id: str, finding: Finding) -> None:
    """Raise an alarm about what a party did, today; the caller commits."""
    row = AlarmRow(
        alarm_id=secrets.token_hex(8),
        rule=finding.rule,
        contract_id=contract_id,
        business_date=business_date(now()),
        party=finding.party,
        message_zh=finding.message_zh,
        message_en=finding.message_en,
        raised_at=now(),
    )
    session.add(row)
    ctx.record(session, "alarm_raised", {"alarm": row.alarm_id})


def list_views(ctx: NodeContext) -> list[AlarmView]:
    """All alarms: open ones first, newest first."""
    with ctx.session() as session:
        rows = session.exec(select(AlarmRow).order_by(col(AlarmRow.raised_at).desc())).all()
    return [alarm_view(row) for row in sorted(rows, key=lambda row: row.acknowledged_at is not None)]


def acknowledge(ctx: NodeContext, alarm_id: str, note: str, user: str) -> AlarmView:
    """A person has seen it. Raises Refusal: not_found · already_acknowledged (409)."""
    with ctx.session() as session:
        row = session.exec(select(AlarmRow).where(AlarmRow.alarm_id == alarm_id).with_for_update()).first()
        if row is None:
            raise not_found("预警", "alarm", alarm_id)
        if row.acknowledged_at is not None:
            raise conflict(
                "already_acknowledged",
                f"该预警已由 {row.acknowledged_by} 确认",
                f"{row.acknowledged_by} has acknowledged it already",
                "请刷新列表",
                "refresh the list",
            )
        row.acknowledged_at, row.acknowledged_by, row.note = now(), user, note
        session.add(row)
        ctx.record(session, "alarm_acknowledged", {"alarm": alarm_id})
        session.commit()
        return alarm_view(row)


def read_rules(ctx: NodeContext) -> AlarmRules:
    """The rules in force."""
    with ctx.session() as session:
        return preferences.alarm_rules(session)


def write_rules(ctx: NodeContext, rules: AlarmRules) -> AlarmRules:
    """Change the rules; what was raised before stays."""
    with ctx.session() as session:
        preferences.write(session, "alarm_rules", rules.model_dump())
        session.commit()
    return rules


def late_owners(ctx: NodeContext, contract_id: str, day: date) -> tuple[str, ...]:
    """Owners whose file of the day is late or missing, as the coordinator's board says; nobody while it is silent."""
    asked = {"contract_id": contract_id, "first": day.isoformat(), "last": day.isoformat()}
    try:
        board = ctx.client.get(COORDINATOR, "/api/deliveries", params=asked)
        return tuple(str(d["owner"]) for d in board if d["state"] in ("late", "missing", "rejected"))
    except (WireError, TypeError, KeyError) as error:
        log.warning("late files of %s are not known: %s", contract_id, error)
        return ()


def alarm_view(row: AlarmRow) -> AlarmView:
    """An alarm as it is shown."""
    return AlarmView(
        alarm_id=row.alarm_id,
        rule=row.rule,
        contract_id=row.contract_id,
        business_date=row.business_date.isoformat(),
        job_id=row.job,
        party=row.party,
        message_zh=row.message_zh,
        message_en=row.message_en,
        raised_at=row.raised_at,
        acknowledged_by=row.acknowledged_by,
        acknowledged_at=row.acknowledged_at,
        note=row.note,
    )


def _figures(
    session: Session, contract_id: str, day: date, back: int, late: tuple[str, ...]
) -> list[DayFigures]:
    """Figures of the standing opened result of each day up to `day`."""
    newest: dict[date, ResultRow] = {}
    rows = select(ResultRow).where(
        ResultRow.contract_id == contract_id,
        col(ResultRow.business_date) <= day,
        col(ResultRow.business_date) > day - timedelta(days=back),
        col(ResultRow.opened_at).is_not(None),
    )
    for row in session.exec(rows.order_by(col(ResultRow.received_at))):
        newest[row.business_date] = row
    return [_of_result(row, late if at == day else ()) for at, row in newest.items()]


def _of_result(row: ResultRow, late: tuple[str, ...]) -> DayFigures:
    found = row.summary
    return DayFigures(
        business_date=row.business_date,
        rows=found["rows"],
        mismatched=sum(side["amount_mismatch"] for side in found["sides"]),
        missing=found["missing_at_bank"] + found["missing_at_institution"],
        difference_cents=found["difference_cents"],
        late=late,
    )


def _standing_job(session: Session, contract_id: str, day: date) -> str | None:
    return session.exec(
        select(ResultRow.job)
        .where(ResultRow.contract_id == contract_id, ResultRow.business_date == day)
        .order_by(col(ResultRow.received_at).desc())
    ).first()
