"""This node's part in the attempts of a job: prepare, compute, report, abort.

A session is agreed by signed hellos of every party in the contract's cast; it is used once. A use of the contract is
counted here, by every data holder itself, before a byte leaves: use, session and evidence commit together.
"""

from __future__ import annotations

import base64
import json
import logging
import shutil
import threading
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlmodel import select

from hefu.components.reconcile import ReconcileParameters, make_keys
from hefu.components.steps import check_outputs
from hefu.domain.cast import cast, institutions_of
from hefu.domain.contract import Contract, Step
from hefu.domain.errors import DocumentInvalid
from hefu.domain.job import HELLO_TYPE, MAX_ATTEMPTS, Hello, Order
from hefu.engine.session import PartySecret, PublicHello, session_id_of
from hefu.keys.public import load_public_ed25519, load_public_x25519
from hefu.keys.sealing import SealHeader, seal
from hefu.node import query_history
from hefu.node.batches import check_batches, check_own_batch
from hefu.node.code import require_code
from hefu.node.context import NodeContext
from hefu.node.order_evidence import evidence_of, where
from hefu.node.storage_keys import job_key
from hefu.node.switchboard import Switchboard
from hefu.node.uses import committed, consume, require_agreement, require_authorised, state_count
from hefu.node.worker import NO_SPACE
from hefu.node.workers import WorkerFailed, WorkerProcess
from hefu.store.base import now
from hefu.store.node_tables import JobRow, SessionSeenRow
from hefu.store.signed import encode_envelope, read_signed, sign_document
from hefu.wire.refusal import Refusal

log = logging.getLogger("hefu.node")
COMMON_KEY = "common"
"""Where no institutions are told apart, one token key, number 0, serves every owner."""


@dataclass
class Attempt:
    """One attempt while it lives in this process. `other_uses` of the contract were counted here when it was prepared."""

    contract: Contract
    business_date: str
    secret: PartySecret
    hello: str
    state: str = "prepared"
    code: str = ""
    error_zh: str = ""
    error_en: str = ""
    worker: WorkerProcess | None = None
    report: dict[str, Any] = field(default_factory=dict)
    other_uses: int = 0


class Attempts:
    """The attempts under way at this node."""

    def __init__(self, ctx: NodeContext, switchboard: Switchboard) -> None:
        self._ctx, self._switchboard = ctx, switchboard
        self._lock = threading.Lock()
        self._live: dict[tuple[str, int], Attempt] = {}

    def folder(self, job: str) -> Path:
        """A job's temporary folder."""
        return self._ctx.paths.work / job

    def prepare(self, order: Order, contract: Contract) -> dict[str, Any]:
        """Answer this party's signed hello; the receiver adds K_p, fresh for the attempt, sealed to each owner."""
        ctx = self._ctx
        key = (order.job, order.attempt)
        with self._lock:
            if key in self._live and self._live[key].state != "prepared":
                raise _attempt_used(ctx.org_id)
        secret = PartySecret()
        public = secret.hello()
        hello = encode_envelope(
            sign_document(
                Hello(
                    contract=contract.digest,
                    job=order.job,
                    attempt=order.attempt,
                    org_id=ctx.org_id,
                    fresh=base64.b64encode(public.fresh).decode(),
                    ephemeral=base64.b64encode(public.public_key).decode(),
                ),
                HELLO_TYPE,
                ctx.keys.identity,
            )
        )
        answer: dict[str, Any] = {"hello": hello}
        others = 0
        if ctx.org_id in contract.owners():
            with ctx.session() as session:
                require_authorised(ctx, session, order, contract)
            answer["uses"], others = state_count(ctx, order, contract)
        with self._lock:
            if key in self._live and self._live[key].state != "prepared":  # begun while we signed
                raise _attempt_used(ctx.org_id)
            self._live[key] = Attempt(contract, order.business_date, secret, hello, other_uses=others)
        if ctx.org_id in contract.recipients():
            answer["key_envelopes"] = self._issue_keys(order, contract)
        answer["evidence"] = evidence_of(ctx, order.job, order.attempt)
        return answer

    def _issue_keys(self, order: Order, contract: Contract) -> dict[str, str]:
        ctx, institutions = self._ctx, institutions_of(contract) or [COMMON_KEY]
        keys = make_keys(institutions)
        envelopes: dict[str, str] = {}
        for owner in contract.owners():
            served = [owner] if owner in institutions else institutions
            payload = json.dumps(
                {str(institutions.index(i)): base64.b64encode(keys[i]).decode() for i in served}
            ).encode()
            header = SealHeader(
                sender=ctx.org_id,
                recipient=owner,
                contract=contract.digest,
                job=order.job,
                attempt=order.attempt,
                date=order.business_date,
                kind="institution-keys",
            )
            sealed = seal(
                header,
                payload,
                sender_key=ctx.keys.identity,
                recipient_key=load_public_x25519(contract.party(owner).sealing_key),
            )
            envelopes[owner] = base64.b64encode(sealed).decode()
        with ctx.session() as session:
            ctx.record(session, "keys_issued", {"owners": sorted(envelopes)}, **where(order))
            session.commit()
        return envelopes

    def compute(
        self,
        order: Order,
        contract: Contract,
        hellos: dict[str, str],
        key_envelopes: list[str],
        batches: list[dict[str, Any]],
    ) -> dict[str, Any]:
        """Agree on the session, count the use, start the worker."""
        attempt = self._begin(order, contract)
        try:
            task = self._join(order, contract, attempt, hellos, key_envelopes, batches)
        except BaseException:
            with self._lock:
                if attempt.state == "computing":  # not aborted in the meantime
                    attempt.state = "prepared"
            raise
        if task is None:
            with self._lock:
                if attempt.state == "computing":
                    attempt.state = "computed"
        else:
            threading.Thread(
                target=self._attend,
                args=(order, attempt, task),
                name=f"{order.job}/{order.attempt}",
                daemon=True,
            ).start()
        return {"state": attempt.state, "evidence": evidence_of(self._ctx, order.job, order.attempt)}

    def _begin(self, order: Order, contract: Contract) -> Attempt:
        """Take a prepared attempt: one computation has it, however many orders come at once; an abort from now on is seen."""
        with self._lock:
            attempt = self._live.get((order.job, order.attempt))
            agreed = (
                None if attempt is None else (attempt.state, attempt.contract.digest, attempt.business_date)
            )
            if attempt is None or agreed != ("prepared", contract.digest, order.business_date):
                raise Refusal(
                    409,
                    "not_prepared",
                    "该次尝试未准备或已开始",
                    "this attempt was not prepared, or has begun",
                    party=self._ctx.org_id,
                    stage="compute",
                )
            attempt.state = "computing"
        return attempt

    def _join(
        self,
        order: Order,
        contract: Contract,
        attempt: Attempt,
        hellos: dict[str, str],
        key_envelopes: list[str],
        batches: list[dict[str, Any]],
    ) -> dict[str, Any] | None:
        """The session, the use and their evidence, in one transaction; answers the worker's task, None where there is none."""
        ctx = self._ctx
        self._check_code(contract)
        self._check_outputs(contract)
        if ctx.org_id in contract.owners():
            require_agreement(ctx, order, contract, attempt.other_uses)
        public = self._verify_hellos(order, contract, hellos, attempt)
        session_id = session_id_of(order.job, order.attempt, bytes.fromhex(contract.digest), public).hex()
        check_batches(ctx, contract, order, batches)
        with ctx.session() as session:
            if session.get(SessionSeenRow, session_id) is not None:
                raise Refusal(
                    403,
                    "session_replayed",
                    "该会话已使用过",
                    "this session was used before",
                    party=ctx.org_id,
                    stage="compute",
                )
            session.add(SessionSeenRow(session_id=session_id, job=order.job, attempt=order.attempt, at=now()))
            row = session.exec(
                select(JobRow).where(JobRow.job == order.job, JobRow.attempt == order.attempt)
            ).first()
            if row is None:
                row = JobRow(
                    job=order.job,
                    attempt=order.attempt,
                    contract=contract.digest,
                    contract_id=contract.contract_id,
                    business_date=date.fromisoformat(order.business_date),
                    state="computing",
                    updated_at=now(),
                )
            own: JobRow | None = None
            if ctx.org_id in contract.owners():
                check_own_batch(ctx, session, order, batches)
                consume(ctx, session, order, contract)
                if query_history.guarded(contract):
                    query_history.keep(ctx, session, order, contract, self.folder(order.job))
                own = committed(session, order.job)
            row.state, row.updated_at = "computing", now()
            row.input = {**row.input, "batches": batches}
            session.add(row)
            ctx.record(
                session, "session_joined", {"session": session_id, "cast": sorted(public)}, **where(order)
            )
            storage_key = job_key(ctx, session, self.folder(order.job), order.job, contract.contract_id)
            session.commit()
        task = self._task(order, contract, attempt, public, key_envelopes, batches)
        if task is not None and own is not None:  # what a use was counted for, and nothing else, may leave
            task["input"] = {name: own.input[name] for name in ("commitment", "salt")}
        if task is not None:
            task["storage_key"] = _raw(storage_key)
            self.folder(order.job).mkdir(mode=0o700, parents=True, exist_ok=True)
        return task

    def _check_code(self, contract: Contract) -> None:
        require_code(self._ctx, contract)

    def _check_outputs(self, contract: Contract) -> None:
        """What the output clauses promise is what the component will do."""
        try:
            check_outputs(contract)
        except DocumentInvalid as error:
            raise Refusal(
                403,
                "output_clauses_differ",
                "合约的输出条款与组件参数不符",
                f"the output clauses are not those of the component: {error.reason}",
                party=self._ctx.org_id,
                stage="compute",
                mend_zh="签署条款一致的新版本",
                mend_en="sign a new version whose clauses agree",
            ) from error

    def _verify_hellos(
        self, order: Order, contract: Contract, hellos: dict[str, str], attempt: Attempt
    ) -> dict[str, PublicHello]:
        ctx = self._ctx
        if sorted(hellos) != sorted(cast(contract)) or hellos.get(ctx.org_id) != attempt.hello:
            raise Refusal(
                403,
                "session_invalid",
                "会话的参与方与合约不符",
                "the session's cast is not that of the contract",
                party=ctx.org_id,
                stage="compute",
            )
        public: dict[str, PublicHello] = {}
        for org, encoded in hellos.items():
            try:
                hello = read_signed(
                    encoded, Hello, HELLO_TYPE, load_public_ed25519(contract.party(org).identity_key)
                )
            except DocumentInvalid as error:
                raise Refusal(
                    403,
                    "session_invalid",
                    f"{org} 的会话签名无效",
                    f"the hello of {org} is not validly signed",
                    party=org,
                    stage="compute",
                ) from error
            if (hello.contract, hello.job, hello.attempt, hello.org_id) != (
                contract.digest,
                order.job,
                order.attempt,
                org,
            ):
                raise Refusal(
                    403,
                    "session_invalid",
                    f"{org} 的会话属于另一任务",
                    f"the hello of {org} is of another attempt",
                    party=org,
                    stage="compute",
                )
            public[org] = PublicHello(base64.b64decode(hello.ephemeral), base64.b64decode(hello.fresh))
        return public

    def _task(
        self,
        order: Order,
        contract: Contract,
        attempt: Attempt,
        public: dict[str, PublicHello],
        key_envelopes: list[str],
        batches: list[dict[str, Any]],
    ) -> dict[str, Any] | None:
        """What the worker needs; None where this party computes nothing (a receiver)."""
        ctx, parties = self._ctx, {p.org_id: p for p in contract.parties}
        working = list(dict.fromkeys([*contract.owners(), *contract.computation.compute_parties]))
        if ctx.org_id not in working:
            return None
        step = contract.computation.steps[0]
        peers = {
            org: {
                "certificate": ctx.directory.certificate(org),
                "spki": parties[org].tls_spki,
                "host": parties[org].channel_host,
                "port": parties[org].channel_port,
            }
            for org in working
            if org != ctx.org_id
        }
        return {
            "task": "compute",
            "org": ctx.org_id,
            "job": order.job,
            "attempt": order.attempt,
            "contract": contract.digest,
            "business_date": order.business_date,
            "nodes": list(contract.computation.compute_parties),
            "receivers": list(contract.recipients()),
            "batches": batches,
            "component": step.component,
            "parameters": step.parameters,
            **_options(step),
            "hellos": {org: base64.b64encode(h.to_bytes()).decode() for org, h in public.items()},
            "secret": base64.b64encode(attempt.secret.to_bytes()).decode(),
            "identity": _raw(ctx.keys.identity.private_bytes_raw()),
            "sealing": _raw(ctx.keys.sealing.private_bytes_raw()),
            "tls": _raw(ctx.keys.tls.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())),
            "certificate": ctx.paths.certificate.read_text(),
            "peers": peers,
            "identity_keys": {org: p.identity_key for org, p in parties.items()},
            "sealing_keys": {org: p.sealing_key for org, p in parties.items()},
            "key_envelopes": key_envelopes,
            "folder": str(self.folder(order.job)),
            "memory_mb": ctx.settings.worker_memory_mb,
            "deadline_seconds": ctx.settings.compute_deadline_seconds,
            "timeout_seconds": 60,
        }

    def _attend(self, order: Order, attempt: Attempt, task: dict[str, Any]) -> None:
        """Start the worker, wait for it, keep what it reports, as evidence."""
        ctx = self._ctx
        try:
            attempt.worker = WorkerProcess(task, ctx.paths.root / "worker.log")
            self._switchboard.register(order.job, order.attempt, attempt.worker.deliver)
            if attempt.state == "aborted":
                attempt.worker.kill()
            report = attempt.worker.wait()
        except WorkerFailed as error:
            self._fail(order, attempt, error.code, error.zh, error.en)
            return
        except OSError as error:
            log.exception("the worker of %s could not be started", order.job)
            code = "disk_full" if error.errno in NO_SPACE else "work_failed"
            self._fail(order, attempt, code, "计算进程无法启动", "the worker could not be started")
            return
        finally:
            self._switchboard.unregister(order.job, order.attempt)
        try:
            with ctx.session() as session:
                row = session.get_one(JobRow, (order.job, order.attempt))
                for peer, seen in report["transcripts"].items():
                    ctx.record(session, "channel_transcript", {"peer": peer, **seen}, **where(order))
                if "input" in report:
                    ctx.record(session, "input_shared", report["input"], **where(order))
                for owner, seen in sorted(report["received"].items()):
                    ctx.record(session, "input_received", {"owner": owner, **seen}, **where(order))
                if "gate" in report:
                    ctx.record(session, "output_gate_checked", report["gate"], **where(order))
                for receiver, half in report.get("halves", {}).items():
                    ctx.record(session, "half_sealed", {"recipient": receiver, **half}, **where(order))
                    row.half_path, row.half_digest = (
                        str(self.folder(order.job) / f"half-{receiver}.sealed"),
                        half["digest"],
                    )
                row.state, row.updated_at = "computed", now()
                row.input = {
                    **row.input,
                    "cpu_seconds": report["cpu_seconds"],
                    "peak_rss_mb": report["peak_rss_mb"],
                }
                session.add(row)
                session.commit()
        except Exception:
            log.exception("the report of %s could not be kept", order.job)
            self._fail(order, attempt, "work_failed", "结果无法保存", "the outcome could not be kept")
            return
        attempt.report = report
        attempt.state = "computed"

    def _fail(self, order: Order, attempt: Attempt, code: str, zh: str, en: str) -> None:
        ctx = self._ctx
        attempt.code, attempt.error_zh, attempt.error_en = code, zh, en
        try:
            with ctx.session() as session:
                row = session.get(JobRow, (order.job, order.attempt))
                if row is not None:
                    row.state, row.error, row.updated_at = "failed", code, now()
                    session.add(row)
                ctx.record(session, "computation_failed", {"code": code}, **where(order))
                session.commit()
        except Exception:
            log.exception("the failure of %s could not be recorded", order.job)
        attempt.state = "aborted" if code == "aborted" else "failed"

    def status(self, job: str, number: int) -> dict[str, Any]:
        """How far this node's part is: `{state, percent, step, evidence, error, code}`."""
        with self._lock:
            attempt = self._live.get((job, number))
        if attempt is None:
            return {
                "state": "failed",
                "percent": 0,
                "step": "",
                "code": "not_prepared",
                "error": "节点已重启 / the node was restarted",
                "evidence": [],
            }
        progress = attempt.worker.progress if attempt.worker else None
        done = attempt.state == "computed"
        return {
            "state": attempt.state,
            "percent": 100 if done else progress.percent if progress else 0,
            "step": progress.step if progress else "",
            "code": attempt.code,
            "error": f"{attempt.error_zh} / {attempt.error_en}" if attempt.code else "",
            "evidence": evidence_of(self._ctx, job, number) if done else [],
        }

    def abort(self, job: str, number: int) -> None:
        """Kill the worker of an attempt, and of every earlier one."""
        with self._lock:
            for (name, attempt_number), attempt in self._live.items():
                if name != job or attempt_number > number:
                    continue
                if attempt.worker is not None and attempt.state == "computing":
                    attempt.worker.kill()
                elif attempt.state in ("prepared", "computing"):
                    attempt.state, attempt.code = "aborted", "aborted"

    def forget(self, job: str) -> None:
        """Delete what the job left in memory and in its folder."""
        self.abort(job, MAX_ATTEMPTS)
        with self._lock:
            for key in [k for k in self._live if k[0] == job]:
                del self._live[key]
        shutil.rmtree(self.folder(job), ignore_errors=True)

    def stop(self) -> None:
        """Kill every worker."""
        with self._lock:
            live = list(self._live.values())
        for attempt in live:
            if attempt.worker is not None and attempt.state == "computing":
                attempt.worker.kill()


def _options(step: Step) -> dict[str, Any]:
    """What the program of `reconcile` takes from its clauses."""
    if step.component != "reconcile":
        return {}
    parameters = ReconcileParameters.model_validate(step.parameters)
    return {"reveal_difference": parameters.reveal_difference, "design": parameters.design}


def _attempt_used(org_id: str) -> Refusal:
    return Refusal(
        409,
        "attempt_used",
        "该次尝试已开始",
        "this attempt has begun already",
        party=org_id,
        stage="compute",
    )


def _raw(data: bytes) -> str:
    return base64.b64encode(data).decode()
