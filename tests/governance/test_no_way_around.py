"""Whatever is called in whatever order: no result arrives without every gate's passing evidence, and no use beyond the limit.

A state machine over the running platform: people file, close and reopen; a flow run asks for stages out of order; a lying
coordinator gives orders of its own. After each step the evidence of the parties themselves is read.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hefu.coordinator import contracts
from hefu.coordinator.orders import send_order
from hefu.domain.businessdays import business_date
from hefu.domain.filings import FILING_TYPE
from hefu.domain.filings.events import IncidentReport
from hefu.domain.job import STAGES, OrderKind, Stage
from hefu.domain.rules.gates import BEFORE_COMPUTE
from hefu.local import bootstrap
from hefu.local.console_client import ConsoleError
from hefu.local.sample_filings import consented
from hefu.store import coordinator_tables, node_tables
from hefu.store.base import now
from hefu.store.signed import decode_envelope
from hefu.wire.errors import WireError
from hefu_ledger.evidence import Evidence, parse_evidence
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlmodel import col, select

pytestmark = pytest.mark.server
OWNERS, NODES = ("institution", "bank"), ("operator", "bank", "exchange")
LIMIT = 1
KINDS: dict[OrderKind, Stage] = {
    "check_data": Stage.CHECK_DATA_SOURCES,
    "prepare": Stage.COMPUTE,
    "compute": Stage.COMPUTE,
    "check_output": Stage.CHECK_OUTPUT,
    "release": Stage.RELEASE,
    "finish": Stage.RETAIN_AND_DELETE,
}
_numbers = itertools.count(1)


def evidence(village: Any, org: str, kind: str, job: str) -> list[Evidence]:
    """What an organisation signed about a job, from its own journal."""
    with village.nodes[org].session() as session:
        rows = session.exec(
            select(node_tables.JournalRow)
            .where(node_tables.JournalRow.job == job, node_tables.JournalRow.kind == kind)
            .order_by(col(node_tables.JournalRow.signer_seq))
        ).all()
    return [parse_evidence(decode_envelope(row.envelope)) for row in rows]


def lacking(village: Any, job: str) -> list[str]:
    """Which party lacks passing evidence of which gate, for a job whose result arrived."""
    points = {gate.point for gate in BEFORE_COMPUTE}
    missing = []
    for org in dict.fromkeys((*OWNERS, *NODES)):
        passed = [e for e in evidence(village, org, "gates_checked", job) if e.body["passed"]]
        if not any(set(e.body["gates"]) == points for e in passed):
            missing.append(f"{org}: gates_checked")
    for org in OWNERS:
        if not any(e.body["passed"] for e in evidence(village, org, "data_source_checked", job)):
            missing.append(f"{org}: data_source_checked")
        if not evidence(village, org, "use_consumed", job):
            missing.append(f"{org}: use_consumed")
    unchecked = [
        f"{org}: output_checked"
        for org in ("operator", "exchange")
        if not any(e.body["passed"] for e in evidence(village, org, "output_checked", job))
    ]
    return missing + unchecked


class Platform(RuleBasedStateMachine):
    """Calls in any order on one contract whose limit is a single use."""

    village: Any

    @initialize(filed=st.sampled_from(["everything", "everything", "no assessment", "no declaration"]))
    def contract(self, filed: str) -> None:
        """A contract in force, perhaps with something missing; data of three days at both owners."""
        village, today = self.village, business_date(now())
        self.contract_id = f"T1-AROUND-{next(_numbers)}-{secrets.token_hex(2).upper()}"
        self.days = [today - timedelta(days=n) for n in (2, 3)]
        draft = village.form(
            self.contract_id, "无路可绕", "No way around", min(self.days), max_uses=LIMIT, max_rows=1000
        )
        document = village.at("regulator").post("/console/contracts/draft", draft)["document"]
        left_out = {"no assessment": ("impact_assessment",), "no declaration": ("source_declaration",)}
        with village.people():
            self.digest = bootstrap.conclude(village.system, consented(document, datetime.now(UTC).date()))
            bootstrap.file_everything(village.system, self.digest, leave_out=left_out.get(filed, ()))
        for org, name in bootstrap.DATA_SETS.items():
            for day in self.days:
                content = f"serial,type,amount,party_id,occurred_at\nA1,loan,1.00,ID1,{day}T10:00:00\n"
                village.at(org).upload(
                    f"/console/data-sets/{name}/files?day={day}", "a.csv", content.encode()
                )
        self.jobs: list[str] = []

    @rule(which=st.integers(0, 1))
    def request(self, which: int) -> None:
        """Somebody asks for a day."""
        try:
            job = self.village.request(self.contract_id, self.days[which])
        except WireError:
            return
        if job not in self.jobs:
            self.jobs.append(job)

    @rule(which=st.integers(0, 3))
    def carry(self, which: int) -> None:
        """A flow run does as it should."""
        if self.jobs:
            self.village.carry(self.jobs[which % len(self.jobs)])

    @rule(which=st.integers(0, 3), stage=st.sampled_from(STAGES))
    def advance(self, which: int, stage: Stage) -> None:
        """A flow run asks for some stage, in its turn or not."""
        if self.jobs:
            self.village.advance(self.jobs[which % len(self.jobs)], stage)

    @rule(
        which=st.integers(0, 3),
        kind=st.sampled_from(sorted(KINDS)),
        org=st.sampled_from(["institution", "bank", "operator", "exchange", "regulator"]),
    )
    def order(self, which: int, kind: OrderKind, org: str) -> None:
        """A lying coordinator orders a node, whatever was checked."""
        if not self.jobs:
            return
        ctx = self.village.coordinator
        with ctx.session() as session:
            job = session.get_one(coordinator_tables.JobRow, self.jobs[which % len(self.jobs)])
            contract = contracts.load(session, job.contract_digest)[1]
        extra: dict[str, Any] = {
            "compute": {"hellos": {}, "key_envelopes": [], "batches": []},
            "release": {"decisions": [], "receipt": "", "checked": ""},
        }.get(kind, {})
        with contextlib.suppress(WireError):
            send_order(ctx, kind, KINDS[kind], job, contract, org, **extra)

    @rule()
    def incident(self) -> None:
        """A compute party reports an incident: a gate closes."""
        at = now()
        report = IncidentReport(
            issuer="exchange",
            contract_id=self.contract_id,
            issued_at=at,
            occurred_at=at,
            discovered_at=at,
            categories="日志 / logs",
            cause="",
            possible_harm="",
            measures="隔离 / isolated",
            individuals_told="not_needed",
        )
        from hefu.node import filings
        from hefu.store.signed import encode_envelope, sign_document

        filings.file(self.village.nodes["exchange"], report, "tester")
        envelope = encode_envelope(
            sign_document(report, FILING_TYPE, self.village.nodes["exchange"].keys.identity)
        )
        for org in OWNERS:
            filings.take(self.village.nodes[org], envelope)

    @rule(org=st.sampled_from(["institution", "bank"]))
    def suspend(self, org: str) -> None:
        """An owner suspends; two persons."""
        body = {"kind": "suspend", "reason": "核查 / under review"}
        for reviewer in (False, True):
            try:
                self.village.at(org, reviewer=reviewer).post(
                    f"/console/contracts/{self.digest}/notices", body
                )
            except ConsoleError:
                continue

    @invariant()
    def nothing_arrived_without_evidence(self) -> None:
        for job in getattr(self, "jobs", []):
            with self.village.nodes["regulator"].session() as session:
                arrived = session.get(node_tables.ResultRow, job)
            if arrived is not None and len(arrived.halves) == 2:
                assert lacking(self.village, job) == [], job

    @invariant()
    def no_use_beyond_the_limit(self) -> None:
        if not getattr(self, "jobs", None):
            return
        for org in OWNERS:
            with self.village.nodes[org].session() as session:
                used = session.exec(
                    select(node_tables.UseRow.job).where(node_tables.UseRow.contract_id == self.contract_id)
                ).all()
            assert len(set(used)) <= LIMIT, (org, used)
        with self.village.coordinator.session() as session:
            table = coordinator_tables.UseRow
            used = session.exec(select(table.job_id).where(table.contract_id == self.contract_id)).all()
        assert len(set(used)) <= LIMIT, used


def test_no_sequence_of_calls_gets_around_the_gates(village: Any) -> None:
    Platform.village = village
    run_state_machine_as_test(
        Platform,
        settings=settings(
            max_examples=6,
            stateful_step_count=14,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_property_sees_a_gate_that_is_missing(village: Any, monkeypatch: Any) -> None:
    """With one gate taken out at the nodes a result arrives that the property complains of."""
    machine = type("Once", (Platform,), {"village": village})()
    machine.contract(filed="everything")
    machine.request(which=0)
    before = len(BEFORE_COMPUTE)
    monkeypatch.setattr("hefu.domain.rules.gates.BEFORE_COMPUTE", BEFORE_COMPUTE[1:])
    machine.carry(which=0)
    monkeypatch.undo()
    assert len(BEFORE_COMPUTE) == before
    with pytest.raises(AssertionError, match="gates_checked"):
        machine.nothing_arrived_without_evidence()
