"""The computation: sessions, workers, transcripts of both ends of every channel (隐私计算)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from hefu_ledger.dsse import verify_envelope
from hefu_ledger.errors import LedgerError
from hefu_ledger.evidence import Evidence, parse_evidence

from hefu.coordinator.context import CoordinatorContext
from hefu.coordinator.orders import send_order
from hefu.coordinator.outcomes import Outcome, ask_all, block, wait
from hefu.coordinator.use_counts import check_counts
from hefu.coordinator.uses import consume_use, mark_joined, number_of_uses
from hefu.domain.cast import cast
from hefu.domain.contract import Contract
from hefu.domain.errors import DocumentInvalid
from hefu.domain.job import Stage
from hefu.domain.transcripts import compare_ends
from hefu.domain.verdict import Finding, Severity
from hefu.keys.public import load_public_ed25519
from hefu.store.coordinator_tables import JobRow
from hefu.store.signed import decode_envelope


def compute(
    ctx: CoordinatorContext, job: JobRow, contract: Contract, report: Callable[[int, str], None]
) -> Outcome:
    """The nodes run the component among themselves; both ends of every channel must agree (隐私计算)."""
    everybody = cast(contract)
    out = Outcome(parties=everybody)
    report(1, "prepare")
    with ctx.session() as session:
        so_far = number_of_uses(session, contract)
    prepared, faults = ask_all(
        everybody,
        lambda org: send_order(ctx, "prepare", Stage.COMPUTE, job, contract, org, use_number=so_far),
    )
    if faults:
        out.findings += faults
        if all(f.severity is Severity.WAIT for f in faults):
            out.findings.append(_not_begun())
        return out
    for reply in prepared.values():
        out.evidence += reply.get("evidence", [])
    out.findings += check_counts(ctx, job, contract, prepared)
    if any(f.severity in (Severity.BLOCK, Severity.WAIT) for f in out.findings):
        if all(f.severity is not Severity.BLOCK for f in out.findings):
            out.findings.append(_not_begun())
        return out
    with ctx.session() as session:
        refused = consume_use(ctx, session, job, contract)
        if refused is not None:
            out.findings += [refused, _not_begun()] if refused.severity is Severity.WAIT else [refused]
            return out
        number = number_of_uses(session, contract)
        session.commit()
    hellos = {org: reply["hello"] for org, reply in prepared.items()}
    envelopes: dict[str, list[str]] = {}
    for reply in prepared.values():
        for owner, sealed in reply.get("key_envelopes", {}).items():
            envelopes.setdefault(owner, []).append(sealed)
    batches = [b for found in job.inputs.values() for b in found["batches"]]
    replies, faults = ask_all(
        everybody,
        lambda org: send_order(
            ctx,
            "compute",
            Stage.COMPUTE,
            job,
            contract,
            org,
            use_number=number,
            hellos=hellos,
            key_envelopes=envelopes.get(org, []),
            batches=batches,
        ),
    )
    mark_joined(ctx, job, contract, replies)
    for reply in replies.values():
        out.evidence += reply.get("evidence", [])
    if not faults:
        faults = _await_workers(ctx, job, everybody, out, report)
    if faults:
        _abort(ctx, job, contract, everybody)
        out.findings += faults
        return out
    out.findings += transcripts_agree(out.evidence, job, contract)
    return out


def interrupted(ctx: CoordinatorContext, job: JobRow, contract: Contract) -> Outcome:
    """This service stopped in the middle of a computation: end it everywhere; the next attempt has a session of its own."""
    everybody = cast(contract)
    _abort(ctx, job, contract, everybody)
    return Outcome(
        parties=everybody,
        findings=[
            wait(
                "coordinator_restarted",
                "计算期间调度方重启，任务将以新的会话自动重试",
                "the coordinator was restarted during the computation; the job tries again by itself, in a new session",
                party="coordinator",
            )
        ],
    )


def _not_begun() -> Finding:
    """No session was joined and no use consumed: the job waits under the same attempt."""
    return wait(
        "not_begun",
        "计算尚未开始，任务将自动重试",
        "the computation has not begun; the job tries again by itself",
    )


def _await_workers(
    ctx: CoordinatorContext,
    job: JobRow,
    everybody: list[str],
    out: Outcome,
    report: Callable[[int, str], None],
) -> list[Finding]:
    """Poll until every worker has finished, one has failed, or the deadline passed."""
    deadline = time.monotonic() + ctx.settings.compute_deadline_seconds
    params: dict[str, str | int] = {"job": job.job_id, "attempt": job.attempt}
    last_evidence: dict[str, list[str]] = {}
    while time.monotonic() < deadline:
        states, faults = ask_all(
            everybody, lambda org: dict(ctx.client.get(org, "/orders/status", params, timeout_seconds=20))
        )
        for org, state in states.items():
            last_evidence[org] = state.get("evidence", [])
            if state["state"] in ("failed", "aborted"):
                faults.append(
                    wait(
                        str(state.get("code") or "work_failed"),
                        f"{org} 的计算中止：{state.get('error', '')}",
                        f"the computation at {org} stopped: {state.get('error', '')}",
                        party=org,
                        mend_zh="任务将以新的会话自动重试",
                        mend_en="the job tries again by itself, in a new session",
                    )
                )
        if faults:
            return faults
        done = [s["percent"] for s in states.values()]
        busiest = min(states.values(), key=lambda s: s["percent"])
        report(int(sum(done) / len(done)), str(busiest["step"]))
        if all(s["state"] == "computed" for s in states.values()):
            for found in last_evidence.values():
                out.evidence += found
            return []
        time.sleep(0.2)
    return [
        wait(
            "compute_timeout",
            "计算超时",
            "the computation took too long",
            expected=f"{ctx.settings.compute_deadline_seconds:.0f} s",
        )
    ]


def _abort(ctx: CoordinatorContext, job: JobRow, contract: Contract, everybody: list[str]) -> None:
    ask_all(everybody, lambda org: send_order(ctx, "abort", Stage.COMPUTE, job, contract, org))


def transcripts_agree(evidence: Iterable[str], job: JobRow, contract: Contract) -> list[Finding]:
    """What A says it sent to B is what B says it received from A, for every channel of this attempt, each signed by its end."""
    found: list[Evidence] = []
    try:
        for encoded in evidence:
            envelope = decode_envelope(encoded)
            one = parse_evidence(envelope)
            if one.kind == "channel_transcript":
                verify_envelope(envelope, load_public_ed25519(contract.party(one.actor).identity_key))
                found.append(one)
    except (LedgerError, DocumentInvalid, KeyError) as error:
        return [block("evidence_invalid", "存证无效", f"evidence does not hold: {error}")]
    own = [one for one in found if (one.job, one.attempt) == (job.job_id, job.attempt)]
    working = {*contract.owners(), *contract.computation.compute_parties}
    silent = sorted(working - {one.actor for one in own})
    if silent:
        return [
            block(
                "transcripts_missing",
                f"缺少 {'、'.join(silent)} 的通道记录",
                f"no channel transcripts of {', '.join(silent)} were handed in",
                party=silent[0],
            )
        ]
    differences = compare_ends(own)[job.job_id, job.attempt]
    return [
        block(
            "transcript_mismatch",
            f"{one.sender} 与 {one.receiver} 的通道记录不一致",
            f"the transcripts of {one.sender} and {one.receiver} differ",
            party=one.sender,
            seen=str(one.received),
            expected=str(one.sent),
        )
        for one in differences
    ]
