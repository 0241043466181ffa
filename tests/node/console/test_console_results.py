"""Results at the regulator: halves in, figures out, exports; and halves that must not open."""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import openpyxl
import pytest
from hefu.components.reconcile import Batch
from hefu.components.reconcile import open_result as put_together
from hefu.domain.contract import Contract
from hefu.domain.verdict import judge
from hefu.engine import refs
from hefu.engine.halves import Half
from hefu.keys.public import load_public_x25519
from hefu.keys.sealing import SealHeader, seal
from hefu.node import output_gate, result_exports, results
from hefu.store.base import now
from hefu.store.node_tables import AlarmRow, JobRow, ResultRow
from sqlmodel import select

pytestmark = pytest.mark.server

DAY = date(2026, 3, 2)
BATCHES = [Batch("institution", "institution", 0, 6), Batch("bank", "bank", 1, 5)]
# pairs: (institution row, bank row, difference); 5 and 6 have no bank row, 5 at the bank no business
PAIRS = [(1, 1, 0), (2, 3, 0), (3, 2, -250), (4, 4, 1_000)]
SINGLES = [(False, 5), (False, 6), (True, 5)]


def word(bank: bool, row: int, *, transit: bool = False) -> int:
    return int(refs.pack(bank, np.array([transit]), int(bank), np.array([row], dtype=np.uint64))[0])


def make_halves(
    pairs: list[tuple[int, int, int]] = PAIRS, singles: list[tuple[bool, int]] = SINGLES
) -> tuple[Half, Half]:
    """Two halves that add up to this outcome, as N0 and N2 would hold them."""
    rng = np.random.default_rng(7)

    def split(values: list[int], shape: tuple[int, ...]) -> tuple[Any, Any]:
        whole = np.array(values, dtype=np.uint64).reshape(shape)
        part = rng.integers(0, 2**63, size=shape, dtype=np.uint64)
        return part, whole - part

    pair0, pair2 = split([w for i, b, _ in pairs for w in (word(False, i), word(True, b))], (len(pairs), 2))
    single0, single2 = split([word(*s) for s in singles], (len(singles),))
    value2 = rng.integers(0, 2**62, size=len(pairs), dtype=np.uint64)
    value0 = value2 + np.array([d for _, _, d in pairs], dtype=np.int64).view(np.uint64)
    none = np.zeros(0, dtype=np.uint64)
    session, join = secrets.token_bytes(32), secrets.token_bytes(32)
    return (
        Half(session, join, 0, True, pair0, value0, single0, none),
        Half(session, join, 2, True, pair2, value2, single2, none),
    )


@pytest.fixture
def node(make_node: Callable[[str], Any], contract_of: Callable[..., Any], keep: Callable[..., None]) -> Any:
    made = make_node("regulator")
    made.contract = contract_of(made)
    keep(made, made.contract)
    made.worker = made.person("preparer", "approver")
    return made


def deliver(
    node: Any,
    cast: dict[str, Any],
    job: str = "J0000001",
    day: date = DAY,
    halves: tuple[Half, Half] | None = None,
    batches: list[Batch] = BATCHES,
    **forged: Any,
) -> None:
    """Put both sealed halves where the peer interface puts them."""
    stored = {}
    for org, half in zip(("operator", "exchange"), halves or make_halves(), strict=True):
        header = SealHeader(
            **{
                "sender": org,
                "recipient": "regulator",
                "contract": node.contract.digest,
                "job": job,
                "attempt": 1,
                "date": day.isoformat(),
                "kind": "half",
                **forged.get("header", {}),
            }
        )
        signer = cast[forged.get("signer", org)].keys.identity
        to = load_public_x25519(cast[forged.get("sealed_to", "regulator")].application.keys.sealing)
        sealed = seal(header, half.to_bytes(), sender_key=signer, recipient_key=to)
        path = node.ctx.paths.results / f"{job}-{org}.sealed"
        path.write_bytes(sealed)
        stored[org] = {"path": str(path), "digest": hashlib.sha256(sealed).hexdigest()}
    with node.ctx.session() as session:
        session.add(
            ResultRow(
                job=job,
                attempt=1,
                contract=node.contract.digest,
                contract_id=node.contract.contract_id,
                business_date=day,
                halves=stored,
                received_at=now(),
            )
        )
        session.add(
            JobRow(
                job=job,
                attempt=1,
                contract=node.contract.digest,
                contract_id=node.contract.contract_id,
                business_date=day,
                state="computed",
                input={"batches": [b._asdict() for b in batches]},
                updated_at=now(),
            )
        )
        session.commit()


def opened(node: Any, job: str = "J0000001") -> Any:
    answer = node.http.post(f"/console/results/{job}/open", headers=node.worker)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_opening_gives_counts_and_cents_by_organisation(node: Any, cast: dict[str, Any]) -> None:
    deliver(node, cast)
    before = node.http.get("/console/results", headers=node.worker).json()[0]
    assert before["opened_at"] is None
    assert before["matched"] is None
    view = opened(node)
    found = view["summary"]
    assert (
        found["matched"],
        found["mismatched"],
        found["missing_at_bank"],
        found["missing_at_institution"],
    ) == (2, 2, 2, 1)
    assert found["difference_cents"] == 1_250
    assert found["match_rate"] == pytest.approx(4 / 11)
    assert found["stands"] is True
    sides = {
        s["owner"]: (s["side"], s["rows"], s["match"], s["amount_mismatch"], s["missing"])
        for s in view["sides"]
    }
    assert sides == {"institution": ("institution", 6, 2, 2, 2), "bank": ("bank", 5, 2, 2, 1)}


def test_opening_is_evidence_without_counts_and_happens_once(node: Any, cast: dict[str, Any]) -> None:
    deliver(node, cast)
    first, again = opened(node), opened(node)
    assert first["summary"]["opened_at"] == again["summary"]["opened_at"]
    evidence = [e for e in node.evidence() if e["kind"] == "result_opened"]
    assert len(evidence) == 1
    assert set(evidence[0]["body"]) == {"result", "halves"}
    assert evidence[0]["job"] == "J0000001"


def test_the_table_at_rest_shows_nothing_and_opens_again_after_a_restart(
    node: Any, cast: dict[str, Any]
) -> None:
    deliver(node, cast)
    opened(node)
    with node.ctx.session() as session:
        row = session.get(ResultRow, "J0000001")
    stored = open(row.table_path, "rb").read()  # noqa: SIM115
    assert b"difference_cents" not in stored
    assert b"institution" not in stored.split(b"}", 1)[1]
    assert results.load_table(node.ctx, "J0000001").table.row.tolist() == [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5]


def test_a_table_that_was_altered_is_not_shown(node: Any, cast: dict[str, Any]) -> None:
    deliver(node, cast)
    opened(node)
    with node.ctx.session() as session:
        path = session.get(ResultRow, "J0000001").table_path
    with open(path, "r+b") as file:
        file.seek(-5, 2)
        byte = file.read(1)
        file.seek(-5, 2)
        file.write(bytes([byte[0] ^ 1]))
    answer = node.http.get("/console/results/J0000001/exceptions", headers=node.worker)
    assert (answer.status_code, answer.json()["code"]) == (500, "result_damaged")


@pytest.mark.parametrize(
    "forged",
    [
        {"header": {"job": "J0000002"}},
        {"header": {"attempt": 2}},
        {"header": {"contract": "0" * 64}},
        {"header": {"date": "2026-03-03"}},
        {"header": {"kind": "result"}},
        {"header": {"sender": "bank"}},
        {"signer": "bank"},
        {"sealed_to": "operator"},
        {"batches": [Batch("institution", "institution", 0, 7), Batch("bank", "bank", 1, 5)]},
        {"batches": [Batch("institution", "bank", 0, 6), Batch("bank", "institution", 1, 5)]},
        {"halves": "of two sessions"},
        {"halves": "swapped"},
    ],
)
def test_halves_that_do_not_belong_here_open_nothing(
    node: Any, cast: dict[str, Any], forged: dict[str, Any]
) -> None:
    if forged.get("halves") == "of two sessions":
        forged = {"halves": (make_halves()[0], make_halves()[1])}
    elif forged.get("halves") == "swapped":
        forged = {"halves": make_halves()[::-1]}
    deliver(node, cast, **forged)
    answer = node.http.post("/console/results/J0000001/open", headers=node.worker)
    assert (answer.status_code, answer.json()["code"]) == (422, "result_invalid")
    with node.ctx.session() as session:
        row = session.get(ResultRow, "J0000001")
    assert row.opened_at is None
    assert row.table_path is None
    assert [e for e in node.evidence() if e["kind"] == "result_opened"] == []
    assert list(node.ctx.paths.results.glob("*.table")) == []


def test_one_half_is_not_enough(node: Any, cast: dict[str, Any]) -> None:
    deliver(node, cast)
    with node.ctx.session() as session:
        row = session.get(ResultRow, "J0000001")
        row.halves = {"operator": row.halves["operator"]}
        session.add(row)
        session.commit()
    answer = node.http.post("/console/results/J0000001/open", headers=node.worker)
    assert (answer.status_code, answer.json()["code"]) == (409, "halves_missing")


def test_exceptions_by_status_owner_and_page(node: Any, cast: dict[str, Any]) -> None:
    deliver(node, cast)
    opened(node)

    def page(query: str = "") -> Any:
        return node.http.get(f"/console/results/J0000001/exceptions?{query}", headers=node.worker).json()

    everything = page()
    assert everything["total"] == 7
    assert {(r["owner"], r["row"], r["status"], r["difference_cents"]) for r in everything["rows"]} == {
        ("institution", 3, "amount_mismatch", -250),
        ("institution", 4, "amount_mismatch", 1_000),
        ("institution", 5, "missing_at_bank", None),
        ("institution", 6, "missing_at_bank", None),
        ("bank", 2, "amount_mismatch", -250),
        ("bank", 4, "amount_mismatch", 1_000),
        ("bank", 5, "missing_at_institution", None),
    }
    assert [r["row"] for r in page("status=missing_at_bank")["rows"]] == [5, 6]
    assert page("owner=bank")["total"] == 3
    assert page("owner=bank&status=missing_at_bank") == {"total": 0, "rows": []}
    assert page("status=match") == {"total": 0, "rows": []}
    assert page("status=nonsense")["total"] == 0
    second = page("offset=2&limit=2")
    assert (second["total"], second["rows"]) == (7, everything["rows"][2:4])
    pair = page("owner=bank&status=amount_mismatch")["rows"][0]
    assert (pair["counterpart"], pair["counterpart_row"]) == ("institution", 3)


def test_the_csv_has_every_row_with_its_side(node: Any, cast: dict[str, Any]) -> None:
    deliver(node, cast)
    opened(node)
    answer = node.http.get("/console/results/J0000001/export.csv", headers=node.worker)
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["owner", "row", "status"]
    assert len(rows) == 12
    assert ["bank", "5", "missing_at_institution"] in rows
    assert ["institution", "1", "match"] in rows


def test_the_working_paper_opens_in_a_spreadsheet_and_computes_nothing(
    node: Any, cast: dict[str, Any]
) -> None:
    deliver(node, cast)
    opened(node)
    delivery = {
        "contract_id": "HF-2026-0001",
        "owner": "bank",
        "data_set_id": "=cmd|'/c calc'!A1",
        "business_date": "2026-03-02",
        "state": "late",
        "rows": 5,
        "rejected": 0,
        "arrived_at": "2026-03-03T01:00:00Z",
    }
    entry = {
        "seq": 12,
        "logged_at": "2026-03-03T01:00:00Z",
        "kind": "+result_opened",
        "actor": "@regulator",
        "contract": None,
        "job": "J0000001",
        "stage": None,
        "attempt": 1,
        "envelope_id": "e" * 64,
        "leaf_hash": "f" * 64,
    }
    node.coordinator.answers[("GET", "/api/deliveries")] = [delivery]
    node.coordinator.answers[("GET", "/api/ledger/entries")] = [entry]
    answer = node.http.get("/console/results/J0000001/export.xlsx", headers=node.worker)
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert [sheet.title.split()[0] for sheet in book] == ["摘要", "报送情况", "异常清单", "预警", "存证"]
    cells = [cell for sheet in book for line in sheet.iter_rows() for cell in line]
    assert [cell.coordinate for cell in cells if cell.data_type == "f"] == []
    assert "'=cmd|'/c calc'!A1" in [cell.value for cell in cells]
    assert {"'+result_opened", "'@regulator"} <= {cell.value for cell in cells}


def test_the_working_paper_comes_while_the_coordinator_is_silent(node: Any, cast: dict[str, Any]) -> None:
    deliver(node, cast)
    opened(node)
    answer = node.http.get("/console/results/J0000001/export.xlsx", headers=node.worker)
    assert answer.status_code == 200
    assert openpyxl.load_workbook(io.BytesIO(answer.content))["报送情况 Deliveries"].max_row == 1


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_what_a_spreadsheet_would_compute_gets_an_apostrophe(text: str) -> None:
    assert result_exports.spreadsheet_safe(text).startswith("'")
    assert result_exports.spreadsheet_safe("a" + text) == "a" + text


def test_a_correction_stands_and_the_old_result_stays(node: Any, cast: dict[str, Any]) -> None:
    deliver(node, cast)
    opened(node)
    corrected = make_halves([*PAIRS[:2], (3, 2, 0), (4, 4, 0)])
    deliver(node, cast, job="J0000002", halves=corrected)
    view = opened(node, "J0000002")
    assert (view["summary"]["revision"], view["summary"]["stands"], view["summary"]["mismatched"]) == (
        2,
        True,
        0,
    )
    assert (view["changed_from"]["job_id"], view["changed_from"]["mismatched"]) == ("J0000001", 2)
    listed = {r["job_id"]: r["stands"] for r in node.http.get("/console/results", headers=node.worker).json()}
    assert listed == {"J0000001": False, "J0000002": True}


def test_alarms_once_per_rule_and_day_then_acknowledged(node: Any, cast: dict[str, Any]) -> None:
    rules = {
        "mismatch_rate_ppm": 10_000,
        "missing_rate_ppm": 10_000,
        "difference_cents": 1_249,
        "late_files": 1,
        "consecutive_days": 2,
    }
    assert node.http.put("/console/alarm-rules", json=rules, headers=node.worker).json() == rules
    node.coordinator.answers[("GET", "/api/deliveries")] = [{"owner": "bank", "state": "late"}]
    deliver(node, cast)
    opened(node)
    deliver(node, cast, job="J0000002")
    opened(node, "J0000002")
    raised = node.http.get("/console/alarms", headers=node.worker).json()
    assert sorted(a["rule"] for a in raised) == ["difference", "late_files", "mismatch_rate", "missing_rate"]
    deliver(node, cast, job="J0000003", day=DAY + timedelta(days=1))
    opened(node, "J0000003")
    raised = node.http.get("/console/alarms", headers=node.worker).json()
    assert len(raised) == 9
    assert [a["business_date"] for a in raised if a["rule"] == "consecutive_days"] == ["2026-03-03"]
    alarm = raised[0]["alarm_id"]
    path = f"/console/alarms/{alarm}/acknowledge"
    done = node.http.post(path, json={"text": "checked"}, headers=node.worker).json()
    assert done["acknowledged_by"] == "person1"
    again = node.http.post(path, json={"text": "checked"}, headers=node.worker)
    assert (again.status_code, again.json()["code"]) == (409, "already_acknowledged")
    overview = node.http.get("/console/overview", headers=node.worker).json()
    assert overview["alarms_open"] == 8


def test_evidence_of_alarms_names_random_ids_and_nothing_else(node: Any, cast: dict[str, Any]) -> None:
    deliver(node, cast)
    opened(node)
    evidence = [e for e in node.evidence() if e["kind"] == "alarm_raised"]
    with node.ctx.session() as session:
        ids = {row.alarm_id for row in session.exec(select(AlarmRow))}
    assert len(evidence) >= 2
    assert {e["body"]["alarm"] for e in evidence} == ids
    assert all(set(e["body"]) == {"alarm"} and e["contract"] is None and e["job"] is None for e in evidence)


def test_every_result_endpoint_is_the_regulators_alone(make_node: Callable[[str], Any]) -> None:
    bank = make_node("bank")
    everything = bank.person("admin", "preparer", "approver", "viewer")
    for method, path, body in [
        ("GET", "/console/results", None),
        ("POST", "/console/results/J0000001/open", None),
        ("GET", "/console/results/J0000001", None),
        ("GET", "/console/results/J0000001/exceptions", None),
        ("GET", "/console/results/J0000001/export.csv", None),
        ("GET", "/console/results/J0000001/export.xlsx", None),
        ("GET", "/console/alarms", None),
        ("GET", "/console/alarm-rules", None),
        ("PUT", "/console/alarm-rules", {}),
        ("POST", "/console/alarms/1/acknowledge", {"text": "x"}),
        (
            "POST",
            "/console/record-requests",
            {"job_id": "J1", "owner": "institution", "row": 1, "reason": "x"},
        ),
        (
            "POST",
            "/console/inquiries",
            {"job_id": "J1", "org_id": "institution", "rows": [1], "question": "x"},
        ),
    ]:
        answer = bank.http.request(method, path, json=body, headers=everything)
        assert (answer.status_code, answer.json()["code"]) == (403, "organisation_role_missing"), path


def test_a_viewer_reads_but_does_not_open(node: Any, cast: dict[str, Any]) -> None:
    deliver(node, cast)
    viewer = node.person("viewer")
    refused = node.http.post("/console/results/J0000001/open", headers=viewer)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")
    opened(node)
    assert node.http.get("/console/results/J0000001", headers=viewer).json()["summary"]["matched"] == 2
    administrator = node.person("admin")
    assert node.http.get("/console/results/J0000001", headers=administrator).status_code == 403


def test_open_complete_opens_what_is_whole_and_leaves_the_rest(node: Any, cast: dict[str, Any]) -> None:
    deliver(node, cast)
    deliver(node, cast, job="J0000002", day=DAY + timedelta(days=1))
    with node.ctx.session() as session:
        row = session.get(ResultRow, "J0000002")
        row.received_at = None
        session.add(row)
        session.commit()
    assert results.open_complete(node.ctx, "automatic") == ["J0000001"]
    assert results.open_complete(node.ctx, "automatic") == []


def test_unknown_results_are_not_found(node: Any) -> None:
    for path in ("J0000009", "..%2f..%2fetc", "J0000009/exceptions", "J0000009/export.csv"):
        assert node.http.get(f"/console/results/{path}", headers=node.worker).status_code == 404


# The output gate: before anybody sees a value, and at every export.


def under(node: Any, keep: Callable[..., None], **clause: Any) -> None:
    """The contract's newest version has another output clause."""
    document = node.contract.model_dump(mode="json")
    document["outputs"][0] |= clause
    node.contract = Contract.model_validate({**document, "contract_id": "HF-2026-0002"})
    keep(node, node.contract)


STATUS_ONLY = [{"name": "status", "kind": "status"}, {"name": "reference", "kind": "reference"}]
CLOSED = {
    "output_column_not_allowed": {"columns": STATUS_ONLY},
    "output_volume": {"max_output_rows": 10},
    "output_budget": {"epsilon_milli": 1000},
    "output_not_judged": {"form": "decision"},
}


@pytest.mark.parametrize("rule", CLOSED)
def test_a_result_that_the_output_gate_refuses_is_neither_kept_nor_shown(
    node: Any, cast: dict[str, Any], keep: Callable[..., None], rule: str
) -> None:
    under(node, keep, **CLOSED[rule])
    deliver(node, cast)
    answer = node.http.post("/console/results/J0000001/open", headers=node.worker)
    assert (answer.status_code, answer.json()["code"]) == (403, rule)
    found = [e for e in node.evidence() if e["kind"] in ("output_gate_checked", "result_opened")]
    assert [(e["kind"], e["body"]["passed"]) for e in found] == [("output_gate_checked", False)]
    assert rule in found[0]["body"]["rules"]
    assert list(node.ctx.paths.results.glob("*.table")) == []
    summary = node.http.get("/console/results/J0000001", headers=node.worker).json()["summary"]
    assert (summary["gate"], summary["opened_at"], summary["matched"]) == ("refused", None, None)
    assert rule in [f["rule"] for f in summary["gate_findings"]]
    for path in ("exceptions", "export.csv", "export.xlsx"):
        answer = node.http.get(f"/console/results/J0000001/{path}", headers=node.worker)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_opened")
    assert results.open_complete(node.ctx, "automatic") == []


@pytest.mark.parametrize("rule", CLOSED)
def test_without_the_gate_it_would_be_kept_and_shown(
    node: Any,
    cast: dict[str, Any],
    keep: Callable[..., None],
    rule: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under(node, keep, **CLOSED[rule])
    deliver(node, cast)
    monkeypatch.setattr(results.output_gate, "judge_opened", lambda *_: judge("check_output", []))
    monkeypatch.setattr(results.output_gate, "require_allowed", lambda *_: None)
    opened(node)
    shown = node.http.get("/console/results/J0000001/exceptions", headers=node.worker).json()
    assert {row["difference_cents"] for row in shown["rows"]} >= {-250, 1_000}


def test_what_did_not_pass_the_gate_is_not_exported(
    node: Any, cast: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(node, cast)
    opened(node)
    (gate,) = [e for e in node.evidence() if e["kind"] == "output_gate_checked"]
    assert (gate["body"]["passed"], gate["body"]["component"], gate["actor"]) == (
        True,
        "reconcile",
        "regulator",
    )
    with node.ctx.session() as session:
        row = session.get_one(ResultRow, "J0000001")
        row.summary = {**row.summary, "gate": {**row.summary["gate"], "result": "0" * 64}}
        session.add(row)
        session.commit()
    paths = ("exceptions", "export.csv", "export.xlsx")
    for path in paths:
        answer = node.http.get(f"/console/results/J0000001/{path}", headers=node.worker)
        assert (answer.status_code, answer.json()["code"]) == (403, "output_not_judged")
    monkeypatch.setattr(results.output_gate, "require_allowed", lambda *_: None)
    for path in paths:
        assert node.http.get(f"/console/results/J0000001/{path}", headers=node.worker).status_code == 200


def test_differences_that_the_contract_does_not_reveal_stay_closed(
    node: Any, cast: dict[str, Any], keep: Callable[..., None], contract_of: Callable[..., Any]
) -> None:
    node.contract = contract_of(node, reveal_difference=False, contract_id="HF-2026-0003")
    keep(node, node.contract)
    deliver(node, cast)
    answer = node.http.post("/console/results/J0000001/open", headers=node.worker)
    assert (answer.status_code, answer.json()["code"]) == (403, "output_not_judged")


def test_an_owner_whose_name_is_an_identifier_is_noticed(node: Any) -> None:
    batches = [Batch("13812345678", "institution", 0, 6), BATCHES[1]]
    result = put_together(*make_halves(), batches)
    table = output_gate.status_table(result, "regulator", b"content")
    assert table.stands_for == 11
    verdict = output_gate.judge_opened("regulator", node.contract, lambda: table)
    assert [f.rule for f in verdict.findings] == ["output_identifier_mobile"]
