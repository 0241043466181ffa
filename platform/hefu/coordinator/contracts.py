"""Contracts: proposed, signed by every party, active; refused, suspended, terminated, expired (white paper A, 3.3).

The coordinator collects signatures; it is not believed. Every node verifies every signature itself.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from hefu.components.steps import check_outputs, check_step
from hefu.coordinator import approvals
from hefu.coordinator.context import CoordinatorContext
from hefu.domain.approval import Approval, ApprovalState
from hefu.domain.contract import (
    CONTRACT_TYPE,
    NOTICE_TYPE,
    Contract,
    ContractNotice,
    ContractState,
    NoticeKind,
    read_contract,
)
from hefu.domain.contract_life import is_void, resists_mandate
from hefu.domain.job import JobState
from hefu.domain.pins import party_differs, platform_differs
from hefu.store.base import now
from hefu.store.coordinator_tables import (
    ContractNoticeRow,
    ContractRow,
    ContractSignatureRow,
    JobRow,
    UseRow,
)
from hefu.store.signed import decode_envelope, read_signed, read_unverified
from hefu.wire.refusal import Refusal, not_found

_SUSPENDABLE = {ContractState.ACTIVE, ContractState.SUSPENDED}
_RUNNING = _SUSPENDABLE | {ContractState.SUPERSEDED}  # jobs of a superseded version may still run


def propose(ctx: CoordinatorContext, envelope: str, sender: str) -> str:
    """Keep a proposal, with the proposer's signature as the first one. Answers the digest."""
    opened = decode_envelope(envelope)
    contract = read_signed(opened, Contract, CONTRACT_TYPE, ctx.directory.registered(sender).key)
    if sender not in [p.org_id for p in contract.parties]:
        raise Refusal(
            403,
            "not_a_party",
            "提交方不是合约参与方",
            "the proposer is not a party of the contract",
            party=sender,
        )
    if contract.proposer not in (None, sender):
        raise Refusal(
            403,
            "not_the_proposer",
            f"合约写明的提出方是 {contract.proposer}",
            f"the contract names {contract.proposer} as its proposer",
            party=sender,
            limit="proposer",
            mend_zh="由本机构自己起草",
            mend_en="draft it at your own node",
        )
    _check_pins(ctx, contract)
    for step in contract.computation.steps:
        check_step(step.component, step.parameters)
    check_outputs(contract)
    with ctx.session() as session:
        if session.get(ContractRow, contract.digest) is None:
            earlier = session.exec(
                select(ContractRow)
                .where(ContractRow.contract_id == contract.contract_id)
                .order_by(col(ContractRow.version).desc())
            ).first()
            if (earlier.digest if earlier else None) != contract.previous or contract.version != (
                earlier.version + 1 if earlier else 1
            ):
                raise Refusal(
                    409,
                    "version_conflict",
                    f"合约 {contract.contract_id} 的版本不连续",
                    f"version {contract.version} of {contract.contract_id} does not follow the newest one",
                    mend_zh="以最新版本为前一版本重新起草",
                    mend_en="draft it again with the newest version as its predecessor",
                )
            before = [] if earlier is None else [p.org_id for p in read_contract(earlier.document).parties]
            if earlier is not None and sender not in before:
                raise Refusal(
                    403,
                    "not_a_party",
                    "提交方不是前一版本的参与方",
                    "the proposer is not a party of the version before",
                    party=sender,
                )
            session.add(
                ContractRow(
                    digest=contract.digest,
                    contract_id=contract.contract_id,
                    version=contract.version,
                    state=ContractState.SIGNING.value,
                    document=contract.to_bytes(),
                    proposed_by=sender,
                    proposed_at=now(),
                )
            )
            try:
                session.flush()
            except IntegrityError as error:  # proposed twice at once
                raise Refusal(
                    409,
                    "version_conflict",
                    f"合约 {contract.contract_id} 的该版本已被提交",
                    f"version {contract.version} of {contract.contract_id} was proposed a moment ago",
                ) from error
            session.add(
                ContractSignatureRow(
                    digest=contract.digest, org_id=sender, envelope=opened.to_bytes(), at=now()
                )
            )
            ctx.record(
                session,
                "contract_proposed",
                {"by": sender, "version": contract.version},
                contract=contract.digest,
            )
            approvals.open_for_contract(ctx, session, contract, sender)
            session.commit()
    return contract.digest


def sign(ctx: CoordinatorContext, digest: str, envelope: str, sender: str) -> None:
    """Take a party's signature; the last one makes the contract active."""
    opened = decode_envelope(envelope)
    with ctx.session() as session:
        row, contract = _locked(session, digest)
        signed = read_signed(opened, Contract, CONTRACT_TYPE, ctx.directory.registered(sender).key)
        if signed.digest != digest or sender not in [p.org_id for p in contract.parties]:
            raise Refusal(
                422,
                "signature_of_another",
                "签名不属于该合约",
                "the signature is not of this contract",
                party=sender,
            )
        if row.state not in (ContractState.SIGNING, ContractState.ACTIVE):
            raise Refusal(
                409,
                "not_signing",
                f"合约状态为 {row.state}，不能签署",
                f"the contract is {row.state}, it can't be signed",
                party=sender,
            )
        if now() > contract.signing_deadline and row.state == ContractState.SIGNING:
            raise Refusal(
                409,
                "deadline_passed",
                "签署期限已过",
                "the signing deadline has passed",
                limit=contract.signing_deadline.isoformat(),
                mend_zh="请发起方提交新版本",
                mend_en="let the proposer submit a new version",
            )
        if session.get(ContractSignatureRow, (digest, sender)) is None:
            session.add(
                ContractSignatureRow(digest=digest, org_id=sender, envelope=opened.to_bytes(), at=now())
            )
            session.flush()
            if row.state == ContractState.SIGNING:
                approvals.move(
                    ctx, session, digest, lambda approval: approval.answer(sender, approved=True, at=now())
                )
        have = {
            s.org_id
            for s in session.exec(select(ContractSignatureRow).where(ContractSignatureRow.digest == digest))
        }
        if row.state == ContractState.SIGNING and have == {p.org_id for p in contract.parties}:
            row.state, row.activated_at = ContractState.ACTIVE.value, now()
            for old in session.exec(
                select(ContractRow).where(
                    ContractRow.contract_id == contract.contract_id, ContractRow.version < contract.version
                )
            ):
                if old.state in (ContractState.ACTIVE, ContractState.SUSPENDED, ContractState.SIGNING):
                    if old.state == ContractState.SIGNING:
                        _overtaken(ctx, session, old)
                    old.state = ContractState.SUPERSEDED.value
                    session.add(old)
            session.add(row)
            ctx.record(session, "contract_active", {"signatures": len(have)}, contract=digest)
            _carry_over(ctx, session, contract)
        session.commit()


def take_notice(ctx: CoordinatorContext, digest: str, envelope: str, sender: str) -> None:
    """Take a party's refusal, withdrawal, suspension, resumption or termination.

    A supervised party's attempt to stop a statutory supervision is kept as its signed refusal and changes no state.
    """
    notice = read_unverified(envelope, ContractNotice, NOTICE_TYPE)
    read_signed(envelope, ContractNotice, NOTICE_TYPE, ctx.directory.registered(sender).key)
    with ctx.session() as session:
        row, contract = _locked(session, digest)
        if (
            notice.contract != digest
            or notice.org_id != sender
            or sender not in [p.org_id for p in contract.parties]
        ):
            raise Refusal(
                422,
                "notice_of_another",
                "通知不属于该合约",
                "the notice is not of this contract",
                party=sender,
            )
        state = ContractState(row.state)
        void = is_void(contract, notice.kind, sender)
        match notice.kind:
            case NoticeKind.SUSPEND | NoticeKind.TERMINATE if void and state in _RUNNING | {
                ContractState.SIGNING
            }:
                pass  # kept below, without effect
            case NoticeKind.REFUSE if state is ContractState.SIGNING:
                row.state = ContractState.REFUSED.value
                approvals.move(
                    ctx,
                    session,
                    digest,
                    lambda approval: _declined(approval, sender, notice.reason),
                )
            case NoticeKind.WITHDRAW if state is ContractState.SIGNING:
                if sender != row.proposed_by:
                    raise _not_the_proposer(row, sender)
                row.state = ContractState.WITHDRAWN.value
                approvals.move(
                    ctx,
                    session,
                    digest,
                    lambda approval: _withdrawn(approval, sender, notice.reason),
                )
            case NoticeKind.SUSPEND if state in _RUNNING:
                row.state = ContractState.SUSPENDED.value
            case NoticeKind.RESUME if state is ContractState.SUSPENDED:
                row.state = (
                    _state_unsuspended(session, contract)
                    if _all_resumed(session, digest, sender)
                    else row.state
                )
            case NoticeKind.TERMINATE if state in _RUNNING | {ContractState.SIGNING}:
                if state is ContractState.SIGNING:
                    approvals.move(
                        ctx,
                        session,
                        digest,
                        lambda approval: _declined(approval, sender, notice.reason),
                    )
                row.state = ContractState.TERMINATED.value
            case _:
                raise Refusal(
                    409,
                    "wrong_state",
                    f"合约状态为 {row.state}，不能执行 {notice.kind.value}",
                    f"the contract is {row.state}: {notice.kind.value} is not possible",
                    party=sender,
                )
        session.add(row)
        session.add(
            ContractNoticeRow(
                digest=digest,
                org_id=sender,
                kind=notice.kind.value,
                reason=notice.reason,
                envelope=decode_envelope(envelope).to_bytes(),
                at=now(),
            )
        )
        ctx.record(
            session,
            "contract_notice_received",
            {"kind": notice.kind.value, "by": sender, "notice": notice.digest},
            contract=digest,
        )
        if resists_mandate(contract, notice.kind, sender):
            ctx.record(
                session,
                "supervision_refused",
                {"kind": notice.kind.value, "by": sender, "notice": notice.digest},
                contract=digest,
            )
        session.commit()


def _declined(approval: Approval, sender: str, reason: str) -> Approval:
    """With the refusal, or overdue where it comes after the deadline: the contract is refused all the same."""
    late = approval.expire(now())
    if late.state is not ApprovalState.OPEN:
        return late
    return approval.answer(sender, approved=False, at=now(), reason=reason)


def _withdrawn(approval: Approval, sender: str, reason: str) -> Approval:
    late = approval.expire(now())
    return (
        late if late.state is not ApprovalState.OPEN else approval.withdraw(sender, at=now(), reason=reason)
    )


def _not_the_proposer(row: ContractRow, sender: str) -> Refusal:
    return Refusal(
        403,
        "not_the_proposer",
        f"只有提出方 {row.proposed_by} 可以撤回",
        f"only the proposer, {row.proposed_by}, withdraws it",
        party=sender,
        limit=row.proposed_by,
        mend_zh="不同意时请拒签并说明理由",
        mend_en="refuse to sign, and say why",
    )


def _state_unsuspended(session: Session, contract: Contract) -> str:
    """Superseded where a newer version has come into force meanwhile, else active."""
    newer = session.exec(
        select(ContractRow).where(
            ContractRow.contract_id == contract.contract_id,
            ContractRow.version > contract.version,
            col(ContractRow.activated_at).is_not(None),
        )
    ).first()
    return (ContractState.ACTIVE if newer is None else ContractState.SUPERSEDED).value


def _overtaken(ctx: CoordinatorContext, session: Session, old: ContractRow) -> None:
    """A version that was still being signed when a newer one came into force is asked for no longer."""
    reason = "已有更新版本生效 / a newer version is in force"
    approvals.move(
        ctx,
        session,
        old.digest,
        lambda approval: (
            approval.withdraw(approval.requested_by, at=now(), reason=reason)
            if approval.state is ApprovalState.OPEN
            else approval
        ),
    )


def _carry_over(ctx: CoordinatorContext, session: Session, contract: Contract) -> None:
    """Jobs that nobody has started yet go on under the new version; those that run finish under the old one."""
    waiting = select(JobRow).where(
        JobRow.contract_id == contract.contract_id,
        JobRow.contract_digest != contract.digest,
        JobRow.state == JobState.REQUESTED.value,
        col(JobRow.started_at).is_(None),
    )
    for job in session.exec(waiting.with_for_update()):
        before, job.contract_digest = job.contract_digest, contract.digest
        session.add(job)
        ctx.record(session, "job_carried_over", {"from": before}, contract=contract.digest, job=job.job_id)


def runs_on(session: Session, row: ContractRow) -> bool:
    """May a job that was created under this version go on? Active, or superseded after it was in force, unless held.

    No job is created under a superseded version: `active` finds none.
    """
    if row.state == ContractState.SUPERSEDED:
        return row.activated_at is not None and _all_resumed(session, row.digest, "")
    return row.state == ContractState.ACTIVE.value


def _all_resumed(session: Session, digest: str, sender: str) -> bool:
    """Whoever suspended must resume: nobody lifts another's suspension."""
    held: dict[str, bool] = {}
    contract = load(session, digest)[1]
    for row in session.exec(
        select(ContractNoticeRow)
        .where(ContractNoticeRow.digest == digest)
        .order_by(col(ContractNoticeRow.id))
    ):
        if is_void(contract, NoticeKind(row.kind), row.org_id):
            continue
        if row.kind in ("suspend", "resume"):
            held[row.org_id] = row.kind == "suspend"
    held[sender] = False
    return not any(held.values())


def expire(ctx: CoordinatorContext) -> None:
    """Move contracts past their validity to `expired`; jobs that wait under them learn of it at once."""
    with ctx.session() as session:
        for row in session.exec(select(ContractRow).where(ContractRow.state == ContractState.ACTIVE.value)):
            if now() > read_contract(row.document).limits.valid_until:
                row.state = ContractState.EXPIRED.value
                session.add(row)
                ctx.record(session, "contract_expired", {}, contract=row.digest)
                waiting = select(JobRow).where(
                    JobRow.contract_digest == row.digest, JobRow.state == JobState.WAITING.value
                )
                for job in session.exec(waiting.with_for_update()):
                    job.retry_at = now()
                    session.add(job)
        session.commit()


def active(session: Session, contract_id: str) -> tuple[ContractRow, Contract]:
    """The version in force. Raises Refusal naming the state when there is none."""
    rows = session.exec(
        select(ContractRow)
        .where(ContractRow.contract_id == contract_id)
        .order_by(col(ContractRow.version).desc())
    ).all()
    if not rows:
        raise not_found(f"合约 {contract_id}", f"contract {contract_id}")
    for row in rows:
        if row.state == ContractState.ACTIVE:
            return row, read_contract(row.document)
    raise Refusal(
        409,
        "contract_not_active",
        f"合约 {contract_id} 未生效（{rows[0].state}）",
        f"contract {contract_id} is not in force ({rows[0].state})",
        limit=rows[0].state,
        mend_zh="等待各方签署，或续签新版本",
        mend_en="wait for all signatures, or sign a new version",
    )


def newest(session: Session, contract_id: str) -> tuple[ContractRow, Contract]:
    """The newest version, whatever its state. Raises Refusal 404."""
    row = session.exec(
        select(ContractRow)
        .where(ContractRow.contract_id == contract_id)
        .order_by(col(ContractRow.version).desc())
    ).first()
    if row is None:
        raise not_found(f"合约 {contract_id}", f"contract {contract_id}")
    return row, read_contract(row.document)


def load(session: Session, digest: str) -> tuple[ContractRow, Contract]:
    """One version. Raises Refusal 404."""
    row = session.get(ContractRow, digest)
    if row is None:
        raise not_found("合约", "contract")
    return row, read_contract(row.document)


def uses(session: Session, contract_id: str, *, since: datetime | None = None) -> int:
    """Uses consumed so far, over all versions of the contract."""
    query = select(func.count()).select_from(UseRow).where(UseRow.contract_id == contract_id)
    if since is not None:
        query = query.where(UseRow.at >= since)
    return session.exec(query).one()


def _locked(session: Session, digest: str) -> tuple[ContractRow, Contract]:
    row = session.exec(select(ContractRow).where(ContractRow.digest == digest).with_for_update()).first()
    if row is None:
        raise not_found("合约", "contract")
    return row, read_contract(row.document)


def _check_pins(ctx: CoordinatorContext, contract: Contract) -> None:
    """The platform in the contract is this one; the parties are as they were admitted."""
    if platform_differs(contract, ctx.kit):
        raise Refusal(
            422,
            "platform_mismatch",
            "合约中的平台方、调度方或账本密钥不是本平台的",
            "the contract's operator, coordinator or ledger key is not this platform's",
            party=contract.platform.operator,
            limit=", ".join(f"platform.{clause}" for clause in platform_differs(contract, ctx.kit)),
        )
    for party in contract.parties:
        found = ctx.directory.registered(party.org_id)
        if found.state != "admitted":
            raise Refusal(
                422,
                "not_admitted",
                f"{party.org_id} 尚未准入",
                f"{party.org_id} is not admitted",
                party=party.org_id,
                mend_zh="先完成准入审核",
                mend_en="complete its admission first",
            )
        differing = party_differs(party, found.application)
        if differing:
            raise Refusal(
                422,
                "pin_mismatch",
                f"合约中 {party.org_id} 的密钥、名称或地址与其准入申请不符",
                f"the contract's keys, names or addresses of {party.org_id} are not those of its application",
                party=party.org_id,
                limit=", ".join(differing),
                mend_zh="按最新准入申请重新起草",
                mend_en="draft it again from the admitted application",
            )
