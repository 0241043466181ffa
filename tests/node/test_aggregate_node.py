"""Joint statistics at real nodes: worker processes, the repeated-query control, the recipient's table, the attack itself."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hefu.components.aggregate import AggregateParameters, Nodes, run
from hefu.components.aggregate_input import load_groups, share_groups
from hefu.components.aggregate_result import GroupHalf, open_groups
from hefu.components.reconcile_input import Batch
from hefu.components.registry import COMPONENTS, code_digest
from hefu.components.steps import check_outputs
from hefu.coordinator.gate_evidence import gate_agrees
from hefu.domain.dataset import DataSet, schema_digest
from hefu.domain.errors import DocumentInvalid
from hefu.domain.verdict import judge
from hefu.engine import ENGINE_VERSION
from hefu.engine.launch import run_together
from hefu.engine.session import PartySecret
from hefu.keys.at_rest import open_decrypted
from hefu.keys.public import load_public_x25519
from hefu.keys.sealing import SealHeader, seal
from hefu.node import orders, query_history, results, retention, source_checks, statistics_table
from hefu.node import result_exports as exports
from hefu.node.kept_groups import load_subjects
from hefu.node.programs import prepare, program
from hefu.node.sessions import Attempts
from hefu.node.storage_keys import job_key
from hefu.node.switchboard import Switchboard
from hefu.node.workers import WorkerProcess
from hefu.store.base import now
from hefu.store.coordinator_tables import JobRow as CoordinatorJob
from hefu.store.node_tables import (
    AnsweredQueryRow,
    ArrivalRow,
    ContractRow,
    DataSetRow,
    FilingRow,
    JobRow,
    JournalRow,
    ResultRow,
)
from hefu.store.signed import decode_envelope
from hefu.wire.refusal import Refusal
from hefu_ledger.evidence import Evidence, parse_evidence
from sqlmodel import select

pytestmark = pytest.mark.server

DAY = "2026-03-02"
FIELDS = {"person": "text", "city": "text", "amount": "money", "day": "date"}
PARAMETERS: dict[str, Any] = {
    "subject": "person",
    "group_by": [{"field": "city", "categories": ["北京", "上海", "广州"]}],
    "value": "amount",
    "release": ["sum", "count", "subjects"],
    "totals": True,
}
NAMES = {"institution": "loans", "bank": "flows"}
Line = tuple[str, str, str]
STORAGE_KEY = b"z" * 32


def definition(owner: str) -> DataSet:
    return DataSet.model_validate(
        {
            "data_set_id": NAMES[owner],
            "owner": owner,
            "name": NAMES[owner],
            "kind": "table",
            "fields": [
                {
                    "name": name,
                    "type": kind,
                    "identifier_class": "none",
                    "sensitive": "none",
                    "grade": "C2",
                    "meaning_zh": name,
                    "meaning_en": name,
                }
                for name, kind in FIELDS.items()
            ],
            "date_field": "day",
            "source_kind": "direct",
            "legal_basis": "contract",
        }
    )


def clauses(parameters: dict[str, Any] | None = None, **output: Any) -> dict[str, Any]:
    """What `world.contract` is to change."""
    columns = [{"name": "city", "kind": "group_key"}, {"name": "sum", "kind": "sum"}]
    columns += [{"name": name, "kind": "count"} for name in ("count", "subjects")]
    return {
        "template": "joint_statistics",
        "data_sets": [
            {
                "data_set_id": name,
                "owner": owner,
                "kind": "table",
                "schema_digest": schema_digest(definition(owner)),
                "fields": [
                    {
                        "name": field,
                        "type": kind,
                        "identifier_class": "none",
                        "sensitive": "none",
                        "grade": "C2",
                        "necessity": "统计",
                    }
                    for field, kind in FIELDS.items()
                ],
                "source_kind": "direct",
                "legal_basis": "contract",
                "subject_field": "person",
            }
            for owner, name in NAMES.items()
        ],
        "computation": {
            "steps": [
                {
                    "step_id": "aggregate",
                    "component": "aggregate",
                    "code_digest": code_digest("aggregate"),
                    "engine_version": ENGINE_VERSION,
                    "parameters": parameters or PARAMETERS,
                }
            ]
        },
        "outputs": [
            {
                "recipient": "regulator",
                "form": "group_statistics",
                "columns": columns,
                "min_group_size": 20,
                "dominance": {"contributors": 2, "max_share_ppm": 850_000},
                "reviewers": ["auditor"],
                "purpose_bound": "统计",
                **output,
            }
        ],
    }


def csv_file(path: Path, lines: list[Line], day: str = DAY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("person,city,amount,day\n" + "".join(f"{p},{c},{a},{day}\n" for p, c, a in lines))
    return path


def people(count: int, city: str = "北京", amount: str = "1.00", start: int = 0) -> list[Line]:
    return [(f"P{n}", city, amount) for n in range(start, start + count)]


# Four worker processes.


def compute_task(
    world: Any, contract: Any, org: str, ports: dict[str, int], folder: Path, shared: Any
) -> Any:
    keys = world.keys[org]
    step = contract.computation.steps[0]
    raw = lambda data: base64.b64encode(data).decode()  # noqa: E731
    return {
        "task": "compute",
        "component": step.component,
        "parameters": step.parameters,
        "org": org,
        "job": "J20260302AAAAAAAA",
        "attempt": 1,
        "contract": contract.digest,
        "business_date": DAY,
        "nodes": list(contract.computation.compute_parties),
        "receivers": list(contract.recipients()),
        "batches": shared["batches"],
        "hellos": shared["hellos"],
        "secret": raw(shared["secrets"][org].to_bytes()),
        "identity": raw(keys.identity.private_bytes_raw()),
        "sealing": raw(keys.sealing.private_bytes_raw()),
        "tls": raw(keys.tls.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())),
        "certificate": shared["certificates"][org],
        "peers": {
            other: {
                "certificate": shared["certificates"][other],
                "spki": contract.party(other).tls_spki,
                "host": "127.0.0.1",
                "port": ports[other],
            }
            for other in ports
            if other != org
        },
        "identity_keys": {p.org_id: p.identity_key for p in contract.parties},
        "sealing_keys": {p.org_id: p.sealing_key for p in contract.parties},
        "storage_key": base64.b64encode(STORAGE_KEY).decode(),
        "key_envelopes": [shared["envelopes"][org]] if org in shared["envelopes"] else [],
        "folder": str(folder),
        "memory_mb": 4096,
        "deadline_seconds": 120,
        "timeout_seconds": 60,
        **({"input": shared["inputs"][org]} if org in shared["inputs"] else {}),
    }


def prepare_task(contract: Any, owner: str, path: Path, folder: Path) -> dict[str, Any]:
    return {
        "task": "prepare",
        "component": "aggregate",
        "parts": [{"path": str(path), "day": DAY}],
        "data_set": definition(owner).model_dump(mode="json"),
        "fields": list(FIELDS),
        "row_filter": "",
        "parameters": contract.computation.steps[0].parameters,
        "owner": owner,
        "side": "bank",
        "batch": list(contract.owners()).index(owner),
        "institutions": [],
        "business_date": DAY,
        "salt": base64.b64encode(b"s" * 32).decode(),
        "history_key": base64.b64encode(b"h" * 32).decode(),
        "storage_key": base64.b64encode(STORAGE_KEY).decode(),
        "owners": len(contract.owners()),
        "folder": str(folder),
        "read_only": [str(path.parent)],
        "memory_mb": 4096,
    }


def through_workers(world: Any, contract: Any, files: dict[str, list[Line]], tmp: Path) -> Any:
    """Each owner's file through `prepare` and all four organisations through `compute`; reports, folders."""
    working = list(dict.fromkeys([*contract.owners(), *contract.computation.compute_parties]))
    folders = {org: tmp / org for org in working}
    for folder in folders.values():
        folder.mkdir(mode=0o700, parents=True)
    shared: dict[str, Any] = {"inputs": {}, "batches": [], "envelopes": {}, "secrets": {}}
    for number, owner in enumerate(contract.owners()):
        path = csv_file(tmp / "files" / owner / "day.csv", files[owner])
        report = WorkerProcess(prepare_task(contract, owner, path, folders[owner]), tmp / "log").wait()
        shared["inputs"][owner] = {
            "commitment": report["commitment"],
            "salt": base64.b64encode(b"s" * 32).decode(),
        }
        shared["batches"].append({"owner": owner, "side": "bank", "batch": number, "rows": report["rows"]})
        header = SealHeader(
            "regulator", owner, contract.digest, "J20260302AAAAAAAA", 1, DAY, "institution-keys"
        )
        payload = json.dumps({"0": base64.b64encode(b"k" * 32).decode()}).encode()
        sealing = load_public_x25519(contract.party(owner).sealing_key)
        identity = world.keys["regulator"].identity
        sealed = seal(header, payload, sender_key=identity, recipient_key=sealing)
        shared["envelopes"][owner] = base64.b64encode(sealed).decode()
    shared["secrets"] = {org: PartySecret() for org in [*working, "regulator"]}
    shared["hellos"] = {
        org: base64.b64encode(secret.hello().to_bytes()).decode() for org, secret in shared["secrets"].items()
    }
    shared["certificates"] = {org: world.own_certificate(org) for org in working}
    boards = {org: Switchboard("127.0.0.1", 0) for org in working}
    ports = {org: board._socket.getsockname()[1] for org, board in boards.items()}
    reports: dict[str, Any] = {}

    def one(org: str) -> None:
        try:
            worker = WorkerProcess(
                compute_task(world, contract, org, ports, folders[org], shared), tmp / "log"
            )
            boards[org].register("J20260302AAAAAAAA", 1, worker.deliver)
            reports[org] = worker.wait()
        except Exception as error:
            reports[org] = error

    for board in boards.values():
        board.start()
    threads = [threading.Thread(target=one, args=(org,)) for org in working]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for board in boards.values():
        board.close()
    for report in reports.values():
        if isinstance(report, dict):
            report["batches"] = shared["batches"]
    return reports, folders


FILES = {
    "institution": [*people(30, amount="1.25"), *people(24, "上海", "-2.00")],
    "bank": [*people(30, start=20), *([("THE ONE", "广州", "100.00")] * 24)],
}
ONE_CITY = {**PARAMETERS, "group_by": [{"field": "city", "categories": ["北京"]}]}
CITIES = {**PARAMETERS, "group_by": [{"field": "city", "categories": ["北京", "上海", "广州", "深圳"]}]}


def kept_result(
    ctx: Any, contract: Any, halves: dict[str, bytes], batches: Any, job: str = "J20260302AAAAAAAA"
) -> ResultRow:
    """Sealed halves where the peer interface puts them."""
    row = ResultRow(
        job=job,
        attempt=1,
        contract=contract.digest,
        contract_id=contract.contract_id,
        business_date=date.fromisoformat(DAY),
        halves={},
        received_at=now(),
        summary={"form": "group_statistics", "batches": batches},
    )
    for org, sealed in halves.items():
        path = ctx.paths.results / f"{job}-{org}.sealed"
        path.write_bytes(sealed)
        row.halves = {
            **row.halves,
            org: {"path": str(path), "digest": hashlib.sha256(sealed).hexdigest()},
        }
    with ctx.session() as session:
        session.add(row)
        session.commit()
    return row


def test_from_files_to_the_recipients_table(world: Any, node: Callable[..., Any], tmp_path: Path) -> None:
    contract = world.contract(**clauses(CITIES))
    reports, folders = through_workers(world, contract, FILES, tmp_path / "run")
    assert {org: r for org, r in reports.items() if isinstance(r, Exception)} == {}, (
        tmp_path / "run/log"
    ).read_text()
    gates = [reports[org]["gate"] for org in ("operator", "bank", "exchange")]
    assert gates[0] == gates[1] == gates[2]
    assert (gates[0]["groups"], gates[0]["suppressed"], gates[0]["min_group"]) == (4, 2, 20)
    assert "gate" not in reports["institution"]
    ctx = node("regulator", contract)
    halves = {}
    for org in ("operator", "exchange"):
        with open_decrypted(folders[org] / "half-regulator.sealed", STORAGE_KEY) as plain:
            halves[org] = plain.read()
        assert hashlib.sha256(halves[org]).hexdigest() == reports[org]["halves"]["regulator"]["digest"]
    row = kept_result(ctx, contract, halves, reports["operator"]["batches"])
    assert results.list_views(ctx)[0].form == "group_statistics"
    view = results.open_result(ctx, row.job, "tester")
    assert view.table is not None
    assert [(r.labels, r.suppressed, r.sum, r.count, r.subjects) for r in view.table.rows] == [
        (["北京"], False, str(30 * 125 + 30 * 100), 60, 50),
        (["上海"], False, "-4800", 24, 24),
        (["广州"], True, None, None, None),
        (["深圳"], True, None, None, None),
    ]
    assert (view.table.value, view.table.unit) == ("amount", "money")
    assert view.table.total is not None
    assert (view.table.total.suppressed, view.table.total.sum) == (True, None)
    assert (view.summary.groups, view.summary.suppressed) == (4, 2)
    assert results.view(ctx, row.job).table == view.table
    stored = results.load_statistics(ctx, row.job)
    assert stored == view.table
    lines = (
        b"".join(statistics_table.csv_of(view.table, exports.spreadsheet_safe))
        .decode("utf-8-sig")
        .splitlines()
    )
    assert lines[0] == "city,sum,count,subjects,suppressed"
    assert lines[3] == "广州,,,,1"
    with pytest.raises(Refusal) as caught:
        results.load_table(ctx, row.job)
    assert caught.value.body["code"] == "result_form"


def test_every_component_has_programs() -> None:
    with pytest.raises(Exception, match="no program"):
        program({"component": "unheard_of"}, lambda *_: None)
    with pytest.raises(Exception, match="no program"):
        prepare({"component": "unheard_of"})
    for name in COMPONENTS:
        with pytest.raises(KeyError):  # it was found, and misses its task
            prepare({"component": name})
        with pytest.raises(KeyError):
            program({"component": name}, lambda *_: None)


# The recipient's output gate.

SHOWN = [(3_000, 30, 25), (None, 12, 8), (None, 30, 19), (4_400, 44, 40)]
"""sum, rows, subjects of four cities; a sum of None: suppressed."""


def sealed_halves(world: Any, contract: Any, cities: list[tuple[int | None, int, int]]) -> dict[str, bytes]:
    """Two halves that add up to these groups, sealed to the regulator as N0 and N2 seal them, whatever their gate did."""
    whole = np.array([[s or 0, n, p, 1] if s is not None else [0] * 4 for s, n, p in cities], dtype=np.int64)
    part = np.random.default_rng(5).integers(0, 2**63, size=whole.shape, dtype=np.uint64)
    found = {}
    for number, (org, words) in enumerate((("operator", part), ("exchange", whole.view(np.uint64) - part))):
        half = GroupHalf(b"s" * 32, 2 * number, words)
        header = SealHeader(org, "regulator", contract.digest, "J20260302AAAAAAAA", 1, DAY, "half")
        to = load_public_x25519(contract.party("regulator").sealing_key)
        found[org] = seal(header, half.to_bytes(), sender_key=world.keys[org].identity, recipient_key=to)
    return found


def batches_of(rows: int) -> list[dict[str, Any]]:
    return [
        {"owner": owner, "side": "bank", "batch": n, "rows": rows if n else 0}
        for n, owner in enumerate(("institution", "bank"))
    ]


def try_to_open(ctx: Any, job: str) -> str:
    """ "opened", or the rule that keeps it closed."""
    try:
        results.open_result(ctx, job, "tester")
    except Refusal as error:
        return str(error.body["code"])
    return "opened"


def said_of_the_gate(ctx: Any) -> list[dict[str, Any]]:
    with ctx.session() as session:
        rows = session.exec(
            select(JournalRow).where(JournalRow.kind == "output_gate_checked").order_by(JournalRow.signer_seq)
        ).all()
    return [parse_evidence(decode_envelope(row.envelope)).body for row in rows]


BAD: dict[str, tuple[list[tuple[int | None, int, int]], int]] = {
    # a group of nineteen people, which the compute nodes let through
    "output_not_suppressed": ([(1_900, 30, 19), *SHOWN[1:]], 116),
    # one group alone is suppressed: its rows are all rows less those shown
    "output_group_alone": ([SHOWN[0], (2_500, 30, 25), (None, 40, 30), SHOWN[3]], 144),
    # two are suppressed, which hold two rows together
    "output_rest_small": ([SHOWN[0], (None, 1, 1), (None, 1, 1), SHOWN[3]], 76),
    # more rows are shown than any owner announced
    "output_rows_differ": (SHOWN, 73),
}


def test_a_good_statistic_passes_the_recipients_gate_and_leaves_its_evidence(
    world: Any, node: Callable[..., Any]
) -> None:
    contract = world.contract(**clauses(CITIES))
    ctx = node("regulator", contract)
    row = kept_result(ctx, contract, sealed_halves(world, contract, SHOWN), batches_of(116))
    assert try_to_open(ctx, row.job) == "opened"
    (said,) = said_of_the_gate(ctx)
    assert (said["passed"], said["rules"], said["component"]) == (True, [], "aggregate")
    assert results.list_views(ctx)[0].gate == "passed"
    table = results.load_statistics(ctx, row.job)
    assert table is not None
    assert [line.suppressed for line in table.rows] == [False, True, True, False]


@pytest.mark.parametrize("rule", BAD)
def test_what_the_compute_nodes_let_through_is_stopped_at_the_recipient(
    world: Any, node: Callable[..., Any], rule: str
) -> None:
    contract = world.contract(**clauses(CITIES))
    ctx = node("regulator", contract)
    cities, rows = BAD[rule]
    row = kept_result(ctx, contract, sealed_halves(world, contract, cities), batches_of(rows))
    assert try_to_open(ctx, row.job) == rule
    (said,) = said_of_the_gate(ctx)
    assert said["passed"] is False
    assert rule in said["rules"]
    summary = results.list_views(ctx)[0]
    assert (summary.gate, summary.opened_at, summary.groups) == ("refused", None, None)
    assert rule in [f.rule for f in summary.gate_findings]
    assert list(ctx.paths.results.glob("*.table")) == []
    assert results.open_complete(ctx, "automatic") == []  # left to people
    for look in (results.load_statistics, results.load_table):
        with pytest.raises(Refusal) as caught:
            look(ctx, row.job)
        assert caught.value.body["code"] == "not_opened"
    assert results.view(ctx, row.job).table is None


@pytest.mark.parametrize("rule", BAD)
def test_without_the_gate_the_bad_statistic_would_leave(
    world: Any, node: Callable[..., Any], rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = world.contract(**clauses(CITIES))
    ctx = node("regulator", contract)
    cities, rows = BAD[rule]
    row = kept_result(ctx, contract, sealed_halves(world, contract, cities), batches_of(rows))
    monkeypatch.setattr(results.output_gate, "judge_opened", lambda *_: judge("check_output", []))
    assert try_to_open(ctx, row.job) == "opened"
    table = results.load_statistics(ctx, row.job)
    assert table is not None
    if rule == "output_group_alone":
        assert rows - sum(line.count or 0 for line in table.rows) == 40  # of the group that is not shown


def test_a_contract_of_other_columns_or_labels_that_identify_people_stays_closed(
    world: Any, node: Callable[..., Any]
) -> None:
    people_as_groups = {
        **PARAMETERS,
        "group_by": [{"field": "city", "categories": ["北京", "13812345678", "广州", "深圳"]}],
    }
    contract = world.contract(**clauses(people_as_groups))
    ctx = node("regulator", contract)
    shown = [SHOWN[0], SHOWN[3], SHOWN[1], SHOWN[2]]
    row = kept_result(ctx, contract, sealed_halves(world, contract, shown), batches_of(116))
    assert try_to_open(ctx, row.job) == "output_identifier_mobile"


def test_an_opened_table_that_is_not_the_one_that_passed_is_not_shown(
    world: Any, node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = world.contract(**clauses(CITIES))
    ctx = node("regulator", contract)
    row = kept_result(ctx, contract, sealed_halves(world, contract, SHOWN), batches_of(116))
    assert try_to_open(ctx, row.job) == "opened"
    good = results.load_statistics(ctx, row.job)
    assert good is not None
    other = good.model_copy(update={"rows": [*good.rows[:1], good.rows[0], *good.rows[2:]]})
    with ctx.session() as session:
        kept = session.get_one(ResultRow, row.job)
        statistics_table.write_statistics(ctx, session, kept, other)
        session.commit()
    for look in (results.load_statistics, results.view):
        with pytest.raises(Refusal) as caught:
            look(ctx, row.job)
        assert (caught.value.status, caught.value.body["code"]) == (403, "output_not_judged")
    monkeypatch.setattr(results.output_gate, "require_allowed", lambda *_: None)
    assert results.load_statistics(ctx, row.job) == other


# The repeated-query control.


class Owner:
    """The bank's node under a statistics contract; its data arrive as files."""

    def __init__(self, world: Any, ctx: Any, contract: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.ctx, self.contract = world, ctx, contract
        self.attempts = Attempts(ctx, None)  # type: ignore[arg-type]  # no channel is opened
        monkeypatch.setattr(source_checks.gates, "check", lambda *_, **__: [])  # filings are tested elsewhere
        with ctx.session() as session:
            row = session.get_one(DataSetRow, "flows")
            row.definition = definition("bank").model_dump(mode="json")
            session.add(row)
            session.commit()

    def deliver(self, lines: list[Line], day: str) -> None:
        name = hashlib.sha256(repr((lines, day)).encode()).hexdigest()
        csv_file(self.ctx.paths.data / f"flows/{name}.csv", lines, day)
        with self.ctx.session() as session:
            session.add(
                ArrivalRow(
                    data_set_id="flows",
                    business_date=date.fromisoformat(day),
                    state="arrived",
                    file_name="day.csv",
                    stored_as=f"flows/{name}.csv",
                    fingerprint=name,
                    rows=len(lines),
                    rejected=0,
                    amount_cents=0,
                    at=now(),
                )
            )
            session.commit()

    def check(self, job: str, day: str) -> list[str]:
        """Rules that speak against the job."""
        envelope = self.world.order(self.contract, "check_data", "bank", job=job, business_date=day)
        order, contract = orders.accept(self.ctx, envelope, "check_data")
        answer = source_checks.check_data(self.ctx, self.attempts, order, contract)
        return [f["rule"] for f in answer["verdict"]["findings"]]

    def answer(self, job: str, day: str) -> None:
        """What `compute` does in the transaction that counts the use."""
        envelope = self.world.order(self.contract, "compute", "bank", job=job, business_date=day)
        order, contract = orders.accept(self.ctx, envelope, "compute")
        with self.ctx.session() as session:
            query_history.keep(self.ctx, session, order, contract, self.attempts.folder(job))
            session.commit()

    def job_key(self, job: str) -> bytes:
        with self.ctx.session() as session:
            return job_key(self.ctx, session, self.attempts.folder(job), job, self.contract.contract_id)

    def statistic(self, job: str) -> list[int | None]:
        """The kept rows through the real component, three processes over TLS; the sums that come out."""
        parameters = AggregateParameters.model_validate(self.contract.computation.steps[0].parameters)
        with open_decrypted(self.attempts.folder(job) / "input.npz", self.job_key(job)) as plain:
            rows = load_groups(plain)
        seed, masked = share_groups(rows, b"k" * 32, parameters.groups(), parameters.limit(2))
        nodes = Nodes("operator", "bank", "exchange")
        batch = Batch("bank", "bank", 1, len(rows))

        def at(part: Any) -> Any:
            def program_of(session: Any, channels: Any) -> Any:
                half, _ = run(session, channels, nodes, [(batch, part)], parameters, lambda *_: None)
                return half.to_bytes() if half else None

            return program_of

        ran = run_together(dict(zip(nodes, map(at, (seed, masked, None)), strict=True)), tls=True)
        halves = [GroupHalf.from_bytes(ran[name]) for name in ("operator", "exchange")]
        table = open_groups(halves[0], halves[1], ("city",), parameters.labels(), ("sum",), totals=False)
        return [row.sum for row in table.rows]


@pytest.fixture
def owner(world: Any, node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Owner:
    contract = world.contract(**clauses(ONE_CITY))
    return Owner(world, node("bank", contract), contract, monkeypatch)


FIRST, SECOND, THIRD = "J20260302AAAAAAAA", "J20260303BBBBBBBB", "J20260304CCCCCCCC"
CROWD = people(40)
VICTIM = ("P999", "北京", "7654.32")
BIG = [*people(40, amount="20000.00"), VICTIM]
WITHOUT = people(40, amount="20000.00")


def test_two_jobs_that_differ_by_one_person_are_refused_and_would_give_the_person_away(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.deliver(BIG, "2026-03-02")
    owner.deliver(WITHOUT, "2026-03-03")
    assert owner.check(FIRST, "2026-03-02") == []
    owner.answer(FIRST, "2026-03-02")
    with monkeypatch.context() as unguarded:
        unguarded.setattr(query_history, "check_query", lambda *_: type("Open", (), {"findings": ()})())
        assert owner.check(SECOND, "2026-03-03") == []
        one, other = owner.statistic(FIRST)[0], owner.statistic(SECOND)[0]
        assert one is not None
        assert other is not None
        assert one - other == 765_432  # exactly what the victim paid
    assert owner.check(SECOND, "2026-03-03") == ["query_differencing"]
    with pytest.raises(Refusal) as caught:
        owner.answer(SECOND, "2026-03-03")
    assert caught.value.body["code"] == "query_differencing"


def test_the_same_set_under_another_job_is_refused_and_a_retry_is_not(owner: Owner) -> None:
    for day in ("2026-03-02", "2026-03-03"):
        owner.deliver(CROWD, day)
    assert owner.check(FIRST, "2026-03-02") == []
    owner.answer(FIRST, "2026-03-02")
    assert owner.check(FIRST, "2026-03-02") == []
    owner.answer(FIRST, "2026-03-02")
    assert owner.check(SECOND, "2026-03-03") == ["query_repeated"]


def test_events_of_another_day_are_no_repeat_and_those_of_the_same_day_are(
    world: Any, node: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A standing contract about each day's payments asks about the same people every day; a state would be asked twice."""
    state = clauses()
    rows = [d | {"events": True} if d["owner"] == "bank" else d for d in state["data_sets"]]
    contract = world.contract(**state | {"data_sets": rows})
    owner = Owner(world, node("bank", contract), contract, monkeypatch)
    owner.deliver(BIG, "2026-03-02")
    owner.deliver(WITHOUT, "2026-03-03")
    assert owner.check(FIRST, "2026-03-02") == []
    owner.answer(FIRST, "2026-03-02")
    assert owner.check(SECOND, "2026-03-03") == []
    owner.answer(SECOND, "2026-03-03")
    assert owner.check(THIRD, "2026-03-03") == ["query_repeated"]


def test_a_set_that_differs_by_enough_is_answered(owner: Owner) -> None:
    owner.deliver(CROWD, "2026-03-02")
    owner.deliver(people(40, start=10), "2026-03-03")
    owner.deliver(people(40, start=9), "2026-03-04")
    assert owner.check(FIRST, "2026-03-02") == []
    owner.answer(FIRST, "2026-03-02")
    assert owner.check(SECOND, "2026-03-03") == []
    owner.answer(SECOND, "2026-03-03")
    assert owner.check(THIRD, "2026-03-04") == ["query_differencing"]


def test_of_two_jobs_checked_at_once_one_is_answered(owner: Owner) -> None:
    owner.deliver(BIG, "2026-03-02")
    owner.deliver(WITHOUT, "2026-03-03")
    assert owner.check(FIRST, "2026-03-02") == []
    assert owner.check(SECOND, "2026-03-03") == []
    owner.answer(FIRST, "2026-03-02")
    with pytest.raises(Refusal):
        owner.answer(SECOND, "2026-03-03")


def test_another_input_of_the_same_job_is_another_query(owner: Owner) -> None:
    owner.deliver(BIG, "2026-03-02")
    assert owner.check(FIRST, "2026-03-02") == []
    owner.answer(FIRST, "2026-03-02")
    with owner.ctx.session() as session:
        for row in session.exec(select(ArrivalRow)):
            row.state = "replaced"
            session.add(row)
        session.commit()
    owner.deliver(WITHOUT, "2026-03-02")
    assert owner.check(FIRST, "2026-03-02") == ["query_differencing"]


def test_the_history_is_sealed_and_names_nobody(owner: Owner) -> None:
    owner.deliver(CROWD, "2026-03-02")
    owner.check(FIRST, "2026-03-02")
    owner.answer(FIRST, "2026-03-02")
    with owner.ctx.session() as session:
        (row,) = session.exec(select(AnsweredQueryRow)).all()
    path = owner.ctx.paths.root / row.path
    assert path.stat().st_mode & 0o777 == 0o600
    subjects = load_subjects(owner.attempts.folder(FIRST) / "subjects.npz", owner.job_key(FIRST))
    assert row.subjects == len(subjects) == 40
    assert subjects[:1].tobytes() not in path.read_bytes()
    with owner.ctx.session() as session:
        assert session.get_one(JobRow, (FIRST, 1)).input["rows"] == 40


def test_without_the_history_nothing_is_answered(owner: Owner) -> None:
    """Whoever took a set away would have its repeat answered."""
    for day in ("2026-03-02", "2026-03-03"):
        owner.deliver(CROWD, day)
    owner.check(FIRST, "2026-03-02")
    owner.answer(FIRST, "2026-03-02")
    with owner.ctx.session() as session:
        (row,) = session.exec(select(AnsweredQueryRow)).all()
    (owner.ctx.paths.root / row.path).unlink()
    with pytest.raises(Refusal) as caught:
        owner.check(SECOND, "2026-03-03")
    assert (caught.value.body["code"], caught.value.body["limit"]) == ("query_history_unreadable", row.path)


def test_the_history_goes_after_the_end_and_never_before(owner: Owner, monkeypatch: Any) -> None:
    owner.deliver(CROWD, "2026-03-02")
    owner.check(FIRST, "2026-03-02")
    owner.answer(FIRST, "2026-03-02")
    with owner.ctx.session() as session:
        path = owner.ctx.paths.root / session.exec(select(AnsweredQueryRow.path)).one()
    over = owner.contract.limits.valid_until.date() + timedelta(days=owner.contract.retention_days)

    def swept(day: date) -> int:
        monkeypatch.setattr(retention, "business_date", lambda _: day)
        return retention.sweep(owner.ctx).deleted.get("query_set", 0)

    assert swept(over + timedelta(days=1)) == 0  # the contract still counts: it may ask again
    with owner.ctx.session() as session:
        contract = session.get_one(ContractRow, owner.contract.digest)
        contract.state = "expired"
        session.add(contract)
        session.commit()
    assert swept(over - timedelta(days=1)) == 0  # a renewal would still compare with it
    assert path.is_file()
    assert swept(over + timedelta(days=1)) == 1
    assert not path.exists()
    with owner.ctx.session() as session:
        assert session.exec(select(AnsweredQueryRow)).all() == []
        (certificate,) = session.exec(select(FilingRow).where(FilingRow.kind == "deletion_certificate")).all()
    things = json.loads(decode_envelope(certificate.envelope).payload)["things"]
    assert [thing["what"] for thing in things].count("query_set") == 1


# Clauses and evidence.


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"min_group_size": 50}, "outputs.min_group_size"),
        ({"dominance": None}, "outputs.dominance"),
        ({"dominance": {"contributors": 1, "max_share_ppm": 850_000}}, "outputs.dominance"),
        ({"columns": [{"name": "city", "kind": "group_key"}]}, "outputs.columns"),
        ({"form": "row_status"}, "outputs.form"),
        ({"recipient": "exchange"}, "computation.compute_parties"),
    ],
)
def test_output_clauses_other_than_the_components_are_refused(world: Any, changes: Any, clause: str) -> None:
    check_outputs(world.contract(**clauses()))
    with pytest.raises(DocumentInvalid) as caught:
        check_outputs(world.contract(**clauses(None, **changes)))
    assert clause in str(caught.value)


def test_subjects_are_those_of_the_contracts_subject_field(world: Any) -> None:
    changes = clauses()
    changes["data_sets"][0]["subject_field"] = "city"
    with pytest.raises(DocumentInvalid, match="subject_field"):
        check_outputs(world.contract(**changes))


def test_the_value_is_of_one_unit_and_its_field_is_there(world: Any) -> None:
    changes = clauses()
    changes["data_sets"][0]["fields"][2]["type"] = "integer"
    with pytest.raises(DocumentInvalid, match="integer at every owner"):
        check_outputs(world.contract(**changes))
    del changes["data_sets"][0]["fields"][2]
    with pytest.raises(DocumentInvalid, match="no field amount"):
        check_outputs(world.contract(**changes))


GATE: dict[str, Any] = {
    "component": "aggregate",
    "groups": 3,
    "suppressed": 1,
    "min_group": 20,
    "dominance": [2, 850_000],
    "columns": ["sum", "count", "subjects"],
    "complementary": True,
    "passed": True,
}


def gate_rules(world: Any, kit: Any, bodies: dict[str, dict[str, Any]], **signed_by: Any) -> list[str]:
    contract = world.contract(**clauses())
    found = []
    for number, (org, body) in enumerate(bodies.items(), start=1):
        evidence = Evidence(
            kind="output_gate_checked",
            actor=org,
            at="2026-03-02T00:00:00.000000Z",
            contract=contract.digest,
            job=kit.JOB,
            attempt=1,
            stage="compute",
            body=body,
            signer_seq=number,
            prev=None if number == 1 else "ab" * 32,
            checkpoint=None,
        )
        keys = signed_by.get(org) or world.keys[org]
        found.append(base64.b64encode(evidence.sign(keys.identity).to_bytes()).decode())
    job = CoordinatorJob(job_id=kit.JOB, attempt=1)
    return [f.rule for f in gate_agrees(found, job, contract)]


def test_both_nodes_sign_the_same_gate_and_it_is_the_contracts(world: Any, world_kit: Any) -> None:
    def rules(n0: Any, n2: Any, **signed_by: Any) -> list[str]:
        bodies = {org: body for org, body in (("operator", n0), ("exchange", n2)) if body is not None}
        return gate_rules(world, world_kit, bodies, **signed_by)

    assert rules(GATE, GATE) == []
    assert rules(GATE, None) == ["gate_missing"]
    assert rules(GATE, {**GATE, "suppressed": 0}) == ["gate_differs"]
    for change in (
        {"min_group": 5},
        {"dominance": None},
        {"columns": ["sum"]},
        {"groups": 2},
        {"complementary": False},
        {"passed": False},
    ):
        assert rules({**GATE, **change}, {**GATE, **change}) == ["gate_not_the_contracts"], change
    assert rules(GATE, GATE, exchange=world.stranger) == ["evidence_invalid"]
