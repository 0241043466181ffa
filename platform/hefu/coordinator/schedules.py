"""Pausing, resuming and moving a schedule within its signed window; cancelling a job with what runs for it."""

from __future__ import annotations

from croniter import croniter

from hefu.coordinator import contracts, jobs
from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.orders import send_order
from hefu.coordinator.outcomes import ask_all
from hefu.domain.cast import cast
from hefu.domain.job import Stage
from hefu.wire.refusal import Refusal


def change(ctx: CoordinatorContext, contract_id: str, action: str, cron: str | None, party: str) -> None:
    """Pause, resume or move. A move keeps the day pattern and stays within `window_minutes` of the signed time."""
    with ctx.session() as session:
        row, contract = contracts.active(session, contract_id)
        if contract.schedule is None or party not in [p.org_id for p in contract.parties]:
            raise Refusal(
                403,
                "not_a_party",
                "不是合约参与方，或合约无调度",
                "not a party, or the contract has no schedule",
                party=party,
            )
        if action == "move":
            distance = minutes_apart(contract.schedule.cron, cron or "")
            if distance > contract.schedule.window_minutes:
                raise Refusal(
                    422,
                    "outside_window",
                    f"新时间与签署时间相差 {distance} 分钟，超出窗口",
                    f"the new time is {distance} minutes from the signed one, outside the window",
                    party=party,
                    limit=f"{contract.schedule.window_minutes} min",
                    mend_zh="选择窗口内的时间，或签署新版本",
                    mend_en="choose a time within the window, or sign a new version",
                )
            row.moved_cron = cron
        else:
            row.paused = action == "pause"
        session.add(row)
        ctx.record(
            session, "schedule_changed", {"action": action, "cron": cron, "by": party}, contract=row.digest
        )
        session.commit()


def minutes_apart(signed: str, moved: str) -> int:
    """Minutes between two daily cron times that differ in minute and hour only. Raises Refusal otherwise."""
    if not croniter.is_valid(moved) or len(moved.split()) != 5:
        raise Refusal(422, "cron_invalid", "cron 表达式无效", "the cron expression is not valid")
    a, b = signed.split(), moved.split()
    if a[2:] != b[2:] or not all(part.isdigit() for part in (*a[:2], *b[:2])):
        raise Refusal(
            422,
            "cron_not_daily",
            "仅可移动每日执行时刻",
            "only a daily time can be moved, and nothing but its hour and minute",
        )
    gap = abs((int(a[1]) * 60 + int(a[0])) - (int(b[1]) * 60 + int(b[0])))
    return min(gap, 1440 - gap)


def cancel(ctx: CoordinatorContext, job_id: str, by: str) -> None:
    """Cancel a job and stop its workers at the nodes."""
    job = jobs.cancel(ctx, job_id, by=by)
    with ctx.session() as session:
        contract = contracts.load(session, job.contract_digest)[1]
    ask_all(cast(contract), lambda org: send_order(ctx, "abort", Stage.COMPUTE, job, contract, org))
