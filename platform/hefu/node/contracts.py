"""Contracts at a node: verified here, signed here, enforced here.

A node believes a contract when every party's signature on exactly these bytes verifies under the key that the
contract pins, and each pinned key is that of an admitted application. Nothing of this is taken from the coordinator.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from hefu.components.registry import code_digest
from hefu.components.steps import check_outputs, check_step
from hefu.domain.contract import (
    CONTRACT_TYPE,
    NOTICE_TYPE,
    Contract,
    ContractNotice,
    ContractState,
    NoticeKind,
    read_contract,
)
from hefu.domain.contract_life import effective, resists_mandate, supervision_refused
from hefu.domain.errors import DocumentInvalid
from hefu.domain.job import ORDER_TYPE, Order
from hefu.domain.pins import party_differs, platform_differs
from hefu.domain.positions import check_positions
from hefu.keys.public import load_public_ed25519, public_b64
from hefu.node import alarms, registry
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.refusals import Refusal, refuse_for
from hefu.store.base import now
from hefu.store.node_tables import ContractNoticeRow, ContractRow, ContractSignatureRow, OrderRow
from hefu.store.signed import (
    decode_envelope,
    encode_envelope,
    read_application,
    read_signed,
    read_unverified,
    sign_document,
)
from hefu.wire.errors import WireError
from hefu.wire.refusal import not_found

log = logging.getLogger("hefu.node")

_WAS_IN_FORCE = [
    state.value
    for state in (
        ContractState.ACTIVE,
        ContractState.SUSPENDED,
        ContractState.SUPERSEDED,
        ContractState.EXPIRED,
        ContractState.EXHAUSTED,
        ContractState.TERMINATED,
    )
]


def verify_parties(ctx: NodeContext, contract: Contract) -> dict[str, str]:
    """Check what is pinned of the platform and of every party against kit and admitted applications; answers org id → application envelope.

    raises  Refusal, DocumentInvalid naming the party
    """
    differing = platform_differs(contract, ctx.kit)
    if differing:
        raise Refusal(
            422,
            "platform_mismatch",
            "合约中的平台方、调度方或账本密钥与启动包不符",
            "the contract's operator, coordinator or ledger key is not that of the start-up kit",
            party=contract.platform.operator,
            limit=", ".join(f"platform.{clause}" for clause in differing),
        )
    entries = {
        e["org_id"]: e for e in ctx.client.get(COORDINATOR, "/api/participants") if e["state"] == "admitted"
    }
    operator = contract.party(contract.platform.operator)
    found: dict[str, str] = {}
    for party in contract.parties:
        entry = entries.get(party.org_id)
        if entry is None:
            raise Refusal(
                422,
                "not_admitted",
                f"{party.org_id} 未准入",
                f"{party.org_id} is not admitted",
                party=party.org_id,
            )
        application = registry.verify_admission(ctx, entry, operator.identity_key)
        pinned = ctx.kit.applications.get(party.org_id)
        if pinned is not None and read_application(pinned).digest != party.application:
            raise Refusal(
                422,
                "pin_mismatch",
                f"{party.org_id} 的密钥与启动包不符",
                f"the keys of {party.org_id} are not those of the start-up kit",
                party=party.org_id,
            )
        differing = party_differs(party, application)
        if differing:
            raise Refusal(
                422,
                "pin_mismatch",
                f"合约中 {party.org_id} 的密钥、名称或地址与其准入申请不符",
                f"the contract's keys, names or addresses of {party.org_id} are not those of its admitted application",
                party=party.org_id,
                limit=", ".join(differing),
                mend_zh="请发起方重新起草",
                mend_en="let the proposer draft it again",
            )
        found[party.org_id] = entry["application"]
    return found


def propose(ctx: NodeContext, contract: Contract, user: str) -> str:
    """Sign a new contract as its proposer and hand it in. Answers its digest."""
    if ctx.org_id not in [p.org_id for p in contract.parties]:
        raise Refusal(
            422,
            "not_a_party",
            "本机构不是该合约的参与方",
            "this organisation is not a party of the contract",
            party=ctx.org_id,
            limit="parties",
        )
    _keep(ctx, contract, proposed_by=ctx.org_id)
    return _sign(ctx, contract, user, proposing=True)


def sign(ctx: NodeContext, digest: str, user: str) -> None:
    """Sign a contract that was proposed, after checking it (two eyes see what four sign)."""
    contract = stored(ctx, digest)[1]
    _sign(ctx, contract, user, proposing=False)


def _sign(ctx: NodeContext, contract: Contract, user: str, *, proposing: bool) -> str:
    applications = verify_parties(ctx, contract)
    for finding in check_positions(contract, {org: read_application(a) for org, a in applications.items()}):
        raise refuse_for(finding, status=422)
    for step in contract.computation.steps:
        check_step(step.component, step.parameters)
    check_outputs(contract)
    for step in contract.computation.steps:
        if code_digest(step.component) != step.code_digest:
            raise Refusal(
                422,
                "code_differs",
                f"本节点安装的组件 {step.component} 与合约不符",
                f"the component {step.component} installed here is not the one in the contract",
                party=ctx.org_id,
                limit=step.code_digest,
                mend_zh="安装合约指定的版本",
                mend_en="install the version that the contract names",
            )
    envelope = sign_document(contract, CONTRACT_TYPE, ctx.keys.identity)
    with ctx.session() as session:
        if session.get(ContractSignatureRow, (contract.digest, ctx.org_id)) is None:
            session.add(
                ContractSignatureRow(
                    digest=contract.digest, org_id=ctx.org_id, envelope=envelope.to_bytes(), at=now()
                )
            )
            for application in applications.values():
                ctx.directory.pin(session, decode_envelope(application), contract.digest)
            ctx.record(
                session,
                "contract_signed",
                {"by": user, "version": contract.version},
                contract=contract.digest,
            )
            session.commit()
    ctx.directory.load()
    path = "/api/contracts" if proposing else f"/api/contracts/{contract.digest}/signatures"
    ctx.client.post(COORDINATOR, path, {"envelope": encode_envelope(envelope)})
    ctx.wake_sync.set()
    return contract.digest


def give_notice(ctx: NodeContext, digest: str, kind: NoticeKind, reason: str, user: str) -> dict[str, str]:
    """Refuse, withdraw, suspend, resume or terminate; told to every party directly. Answers whom it reached.

    raises  Refusal: not_the_proposer (403)
    """
    row, contract = stored(ctx, digest)
    if kind is NoticeKind.WITHDRAW and ctx.org_id != (contract.proposer or row.proposed_by):
        raise Refusal(
            403,
            "not_the_proposer",
            "只有提出方可以撤回",
            "only the proposer withdraws it",
            party=ctx.org_id,
            limit=contract.proposer or row.proposed_by,
            mend_zh="不同意时请拒签并说明理由",
            mend_en="refuse to sign, and say why",
        )
    with ctx.session() as session:
        given = [n.issued_at for n in _notices(session, digest) if n.org_id == ctx.org_id]
    notice = ContractNotice(
        contract=digest,
        contract_id=contract.contract_id,
        kind=kind,
        org_id=ctx.org_id,
        reason=reason,
        # Later than our last one even where the clock was set back: the newest notice counts.
        issued_at=max([now(), *(at + timedelta(microseconds=1) for at in given)]),
    )
    envelope = encode_envelope(sign_document(notice, NOTICE_TYPE, ctx.keys.identity))
    take_notice(ctx, envelope, by=user)
    told: dict[str, str] = {}
    for peer in [COORDINATOR, *(p.org_id for p in contract.parties)]:
        if peer == ctx.org_id:
            continue
        try:
            path = f"/api/contracts/{digest}/notices" if peer == COORDINATOR else "/peer/notices"
            ctx.client.post(peer, path, {"envelope": envelope}, timeout_seconds=5)
            told[peer] = "ok"
        except Exception as error:  # one party that is down must not keep the others from being told
            told[peer] = type(error).__name__
    return told


def take_notice(ctx: NodeContext, envelope: str, *, by: str = "") -> None:
    """Keep a party's notice, verified under the key that the contract pins; it takes effect at once."""
    claimed = read_unverified(envelope, ContractNotice, NOTICE_TYPE)
    contract = stored(ctx, claimed.contract)[1]
    party = contract.party(claimed.org_id) if claimed.org_id in [p.org_id for p in contract.parties] else None
    if party is None:
        raise Refusal(
            403,
            "not_a_party",
            "通知方不是合约参与方",
            "the notice is not from a party of the contract",
            party=claimed.org_id,
        )
    notice = read_signed(envelope, ContractNotice, NOTICE_TYPE, load_public_ed25519(party.identity_key))
    raw = decode_envelope(envelope).to_bytes()
    with ctx.session() as session:
        # One notice of a contract after the other: the state that is kept is that of all of them.
        locked = select(ContractRow).where(ContractRow.digest == notice.contract).with_for_update()
        row = session.exec(locked).one()
        if any(known.digest == notice.digest for known in _notices(session, notice.contract)):
            return
        session.add(
            ContractNoticeRow(
                digest=notice.contract,
                org_id=notice.org_id,
                kind=notice.kind.value,
                reason=notice.reason,
                envelope=raw,
                at=now(),
            )
        )
        session.flush()
        row.state = state_of(session, contract).value
        session.add(row)
        if resists_mandate(contract, notice.kind, notice.org_id):
            finding = supervision_refused(contract, notice)
            ctx.record(
                session,
                "supervision_refused",
                {"kind": notice.kind.value, "from": notice.org_id, "notice": notice.digest},
                contract=notice.contract,
            )
            if contract.mandate is not None and ctx.org_id == contract.mandate.authority:
                alarms.raise_finding(ctx, session, notice.contract_id, finding)
        kind = "contract_notice_given" if notice.org_id == ctx.org_id else "contract_notice_received"
        ctx.record(
            session,
            kind,
            {"kind": notice.kind.value, "from": notice.org_id, "by": by, "notice": notice.digest},
            contract=notice.contract,
        )
        session.commit()


def sync(ctx: NodeContext) -> bool:
    """Take contracts, signatures and notices that concern this node from the coordinator, verifying each.

    False while something is left: a contract that does not verify, a signature of ours that was not taken.
    """
    all_taken = True
    with ctx.session() as session:
        settled = {
            r.digest
            for r in session.exec(select(ContractRow))
            if r.state not in (ContractState.SIGNING, ContractState.ACTIVE, ContractState.SUSPENDED)
        }
        counts = {r.digest: r.state for r in session.exec(select(ContractRow))}
    for summary in ctx.client.get(COORDINATOR, "/api/contracts"):
        digest = str(summary["digest"])
        if ctx.org_id in summary.get("waits_for", ()):
            all_taken &= _hand_in_again(ctx, digest)
        known = counts.get(digest)
        if (
            digest in settled
            or known == summary["state"]
            or (known == ContractState.ACTIVE and summary["state"] == "exhausted")
        ):
            continue
        try:
            take_bundle(ctx, digest, ctx.client.get(COORDINATOR, f"/api/contracts/{digest}"))
        except (DocumentInvalid, Refusal) as error:
            all_taken = False
            log.error("contract %s is not taken: %s", digest, error)  # and the others are
    return all_taken


def _hand_in_again(ctx: NodeContext, digest: str) -> bool:
    """Our signature, if we gave one: the coordinator was not reached when we did, and nobody signs twice. False: not taken."""
    with ctx.session() as session:
        signature = session.get(ContractSignatureRow, (digest, ctx.org_id))
    if signature is None:
        return True
    envelope = encode_envelope(decode_envelope(signature.envelope))
    try:
        ctx.client.post(COORDINATOR, f"/api/contracts/{digest}/signatures", {"envelope": envelope})
    except WireError as error:
        log.warning("contract %s: our signature is not taken: %s", digest, error)
        return False
    return True


def take_bundle(ctx: NodeContext, digest: str, bundle: dict[str, Any]) -> None:
    """Keep a contract with the signatures and notices that verify; what does not verify is left out.

    raises  DocumentInvalid when no signature belongs to a contract of this digest, or it pins other keys of ours
    """
    contract: Contract | None = None
    verified: dict[str, bytes] = {}
    for org_id, encoded in bundle["signatures"].items():
        claimed = read_unverified(encoded, Contract, CONTRACT_TYPE)
        if claimed.digest != digest or org_id not in [p.org_id for p in claimed.parties]:
            continue
        try:
            read_signed(
                encoded, Contract, CONTRACT_TYPE, load_public_ed25519(claimed.party(org_id).identity_key)
            )
        except DocumentInvalid:
            continue
        contract, verified[org_id] = claimed, decode_envelope(encoded).to_bytes()
    if contract is None:
        raise DocumentInvalid("Contract", "signatures", "none belongs to this digest")
    if ctx.org_id not in [p.org_id for p in contract.parties]:
        return
    if contract.party(ctx.org_id).identity_key != public_b64(ctx.keys.identity):
        raise DocumentInvalid("Contract", f"parties.{ctx.org_id}.identity_key", "is not this node's own key")
    _keep(ctx, contract, proposed_by=str(bundle["summary"]["proposed_by"]))
    with ctx.session() as session:
        for org_id, envelope in verified.items():
            if session.get(ContractSignatureRow, (digest, org_id)) is None:
                session.add(ContractSignatureRow(digest=digest, org_id=org_id, envelope=envelope, at=now()))
        session.flush()
        row = session.get_one(ContractRow, digest)
        before, row.state = row.state, state_of(session, contract).value
        session.add(row)
        if row.state == ContractState.ACTIVE and before == ContractState.SIGNING:
            ctx.record(session, "contract_in_force", {"signatures": len(contract.parties)}, contract=digest)
            _supersede(session, contract)
        session.commit()
    for encoded in bundle["notices"]:
        try:
            take_notice(ctx, encoded)
        except (DocumentInvalid, Refusal):
            continue  # not a party's, or not signed by it


def state_of(session: Session, contract: Contract) -> ContractState:
    """This node's own view, from the signatures and notices that it has verified."""
    signed = {
        s.org_id
        for s in session.exec(
            select(ContractSignatureRow).where(ContractSignatureRow.digest == contract.digest)
        )
    }
    complete = signed == {p.org_id for p in contract.parties}
    suspended: dict[str, bool] = {}
    for notice in effective(contract, _notices(session, contract.digest)):
        match notice.kind:
            case NoticeKind.TERMINATE:
                return ContractState.TERMINATED
            case NoticeKind.REFUSE if not complete:
                return ContractState.REFUSED
            case NoticeKind.WITHDRAW if _withdraws(session, contract, notice, complete):
                return ContractState.WITHDRAWN
            case NoticeKind.SUSPEND:
                suspended[notice.org_id] = True
            case NoticeKind.RESUME:
                suspended[notice.org_id] = False
    if not complete:
        return ContractState.SIGNING
    if any(suspended.values()):
        return ContractState.SUSPENDED
    if superseded_at(session, contract) is not None:
        return ContractState.SUPERSEDED
    return ContractState.EXPIRED if now() > contract.limits.valid_until else ContractState.ACTIVE


def _withdraws(session: Session, contract: Contract, notice: ContractNotice, complete: bool) -> bool:
    """Is it the proposer's, and did it reach this node before the last signature did? Who proposed stands in the document."""
    row = session.get_one(ContractRow, contract.digest)
    if notice.org_id != (contract.proposer or row.proposed_by):
        return False
    if not complete:
        return True
    came = session.exec(
        select(ContractNoticeRow.at).where(
            ContractNoticeRow.digest == contract.digest,
            ContractNoticeRow.org_id == notice.org_id,
            ContractNoticeRow.kind == NoticeKind.WITHDRAW.value,
        )
    ).all()
    return bool(came) and min(came) <= _complete_at(session, contract.digest)


def _complete_at(session: Session, digest: str) -> datetime:
    """When this node had the last of the signatures that it has."""
    return max(
        session.exec(select(ContractSignatureRow.at).where(ContractSignatureRow.digest == digest)).all()
    )


def superseded_at(session: Session, contract: Contract) -> datetime | None:
    """When a newer version came into force at this node; None while none has."""
    newer = session.exec(
        select(ContractRow).where(
            ContractRow.contract_id == contract.contract_id,
            ContractRow.version > contract.version,
            col(ContractRow.state).in_(_WAS_IN_FORCE),
        )
    ).all()
    moments = [
        _complete_at(session, row.digest)
        for row in newer
        if _signers(session, row.digest) == {p.org_id for p in read_contract(row.document).parties}
    ]
    return min(moments, default=None)


def _signers(session: Session, digest: str) -> set[str]:
    return set(
        session.exec(select(ContractSignatureRow.org_id).where(ContractSignatureRow.digest == digest)).all()
    )


def began_before(ctx: NodeContext, session: Session, contract: Contract, job: str) -> bool:
    """Did this job run under the contract before a newer version came into force? By this node's own record of orders.

    A data owner goes by orders that it accepted itself, so that nobody who lies about a job's age gets at its data. A
    party without data of its own holds nothing that an old contract could give away, and may get its first order late.
    """
    moment = superseded_at(session, contract)
    if moment is None:
        return False
    if ctx.org_id not in contract.owners():
        return True
    for row in session.exec(
        select(OrderRow).where(OrderRow.job == job, OrderRow.accepted, OrderRow.at <= moment)
    ):
        if read_unverified(row.envelope, Order, ORDER_TYPE).contract == contract.digest:
            return True
    return False


def _notices(session: Session, digest: str) -> list[ContractNotice]:
    """A contract's notices as their signers issued them, whatever order they came in: who relays them late changes nothing."""
    rows = session.exec(select(ContractNoticeRow).where(ContractNoticeRow.digest == digest))
    found = [
        read_unverified(row.envelope, ContractNotice, NOTICE_TYPE) for row in rows
    ]  # verified on arrival
    return sorted(found, key=lambda n: (n.issued_at, n.kind is NoticeKind.SUSPEND))


def in_force(ctx: NodeContext, session: Session, digest: str, *, job: str | None = None) -> Contract:
    """The contract, if it is in force by this node's own view: all signatures verified again now.

    job  a job that may finish under a superseded version, where it began before the newer one came into force

    Our own must be by our own key, whatever key the contract names for us: what we never signed binds us to nothing.

    raises  Refusal saying what is missing
    """
    row = session.get(ContractRow, digest)
    if row is None:
        raise Refusal(
            403,
            "contract_unknown",
            "本节点没有该合约",
            "this node does not have that contract",
            party=ctx.org_id,
        )
    try:
        contract = read_contract(row.document)
    except DocumentInvalid as error:
        raise _altered(ctx.org_id) from error
    if contract.digest != digest:
        raise _altered(ctx.org_id)
    for party in contract.parties:
        signature = session.get(ContractSignatureRow, (digest, party.org_id))
        if signature is None:
            raise Refusal(
                403,
                "contract_not_signed",
                f"{party.org_id} 未签署合约",
                f"{party.org_id} has not signed the contract",
                party=party.org_id,
            )
        own = party.org_id == ctx.org_id
        key = ctx.keys.identity.public_key() if own else load_public_ed25519(party.identity_key)
        try:
            signed = read_signed(signature.envelope, Contract, CONTRACT_TYPE, key)
        except DocumentInvalid as error:
            raise _altered(party.org_id) from error
        if signed.digest != digest:
            raise _altered(party.org_id)
    state = state_of(session, contract)
    moment = now()
    finishing = (
        state is ContractState.SUPERSEDED and job is not None and began_before(ctx, session, contract, job)
    )
    if state is not ContractState.ACTIVE and not finishing:
        raise Refusal(
            403,
            "contract_not_active",
            f"合约状态为 {state.value}",
            f"the contract is {state.value}",
            party=ctx.org_id,
            limit=state.value,
        )
    if not contract.limits.valid_from <= moment <= contract.limits.valid_until:
        raise Refusal(
            403,
            "contract_expired",
            "合约不在有效期内",
            "the contract is outside its validity",
            party=ctx.org_id,
            limit=contract.limits.valid_until.isoformat(),
            mend_zh="续签新版本",
            mend_en="sign a new version",
        )
    return contract


def _altered(org_id: str) -> Refusal:
    return Refusal(
        403,
        "contract_altered",
        f"合约签署后被改动，或 {org_id} 的签名无效",
        f"the contract was altered after it was signed, or the signature of {org_id} does not verify",
        party=org_id,
    )


def stored(ctx: NodeContext, digest: str) -> tuple[ContractRow, Contract]:
    """This node's copy. Raises Refusal 404."""
    with ctx.session() as session:
        row = session.get(ContractRow, digest)
        if row is None:
            raise not_found("合约", "contract")
        return row, read_contract(row.document)


def _keep(ctx: NodeContext, contract: Contract, *, proposed_by: str) -> None:
    with ctx.session() as session:
        if session.get(ContractRow, contract.digest) is None:
            session.add(
                ContractRow(
                    digest=contract.digest,
                    contract_id=contract.contract_id,
                    version=contract.version,
                    state=ContractState.SIGNING.value,
                    document=contract.to_bytes(),
                    proposed_by=proposed_by,
                    received_at=now(),
                )
            )
            session.commit()


def _supersede(session: Session, contract: Contract) -> None:
    for old in session.exec(
        select(ContractRow).where(
            ContractRow.contract_id == contract.contract_id, ContractRow.version < contract.version
        )
    ):
        if old.state in (ContractState.ACTIVE, ContractState.SUSPENDED, ContractState.SIGNING):
            old.state = ContractState.SUPERSEDED.value
            session.add(old)
