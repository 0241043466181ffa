"""A joint statistic over the real services: drafted from its template, signed, filed, computed, released, judged, opened."""

import time
from datetime import date, timedelta
from typing import Any

import pytest
from hefu.domain.businessdays import business_date
from hefu.local import bootstrap
from hefu.local.console_client import ConsoleError
from hefu.local.sample_filings import consented
from hefu.node import output_gate
from hefu.store import coordinator_tables, node_tables
from hefu.store.base import now
from hefu.store.signed import decode_envelope
from hefu_ledger.evidence import Evidence, parse_evidence
from sqlmodel import col, select

pytestmark = pytest.mark.server
CONTRACT = "T1-STATISTICS"
KINDS = ["loan", "deposit", "transfer", "fee"]
HEAD = "serial,type,amount,party_id,occurred_at\n"


@pytest.fixture(scope="module")
def day() -> date:
    return business_date(now()) - timedelta(days=61)


@pytest.fixture(scope="module")
def digest(village: Any) -> str:
    """The contract in force everywhere, with consents and filings."""
    moment = now()
    form = {
        "template": "joint_statistics",
        "contract_id": CONTRACT,
        "title": "联合统计",
        "title_en": "Joint statistics",
        "data_sets": bootstrap.DATA_SETS,
        "recipient": "regulator",
        "compute_parties": ["operator", "bank", "exchange"],
        "auditor": "auditor",
        "parameters": {
            "subject": "party_id",
            "group_by": [{"field": "type", "categories": KINDS}],
            "value": "amount",
            "release": ["sum", "count"],
            "totals": True,
        },
        "valid_from": (moment - timedelta(minutes=5)).isoformat(),
        "valid_until": (moment + timedelta(days=30)).isoformat(),
    }
    document = village.at("regulator").post("/console/contracts/draft", form)["document"]
    document = consented(document, moment.date())
    with village.people():
        made = bootstrap.conclude(village.system, document)
        bootstrap.file_everything(village.system, made)
    return made


def lines(kind: str, day: date, people: range, amount: str) -> str:
    return "".join(f"S{kind}{n},{kind},{amount},ID{n},{day}T10:00:00\n" for n in people)


def deliver(village: Any, day: date, files: dict[str, str]) -> None:
    for org, name in bootstrap.DATA_SETS.items():
        content = (HEAD + files[org]).encode()
        village.at(org).upload(f"/console/data-sets/{name}/files?day={day}", f"{day}.csv", content)


def said(ctx: Any, tables: Any, job: str, kind: str) -> list[Evidence]:
    with ctx.session() as session:
        found = select(tables.JournalRow).where(
            col(tables.JournalRow.kind) == kind, col(tables.JournalRow.job) == job
        )
        rows = session.exec(found.order_by(col(tables.JournalRow.signer_seq)))
        return [parse_evidence(decode_envelope(row.envelope)) for row in rows]


def in_the_ledger(village: Any, job: str, kind: str, actors: set[str], seconds: float = 30) -> None:
    """Wait until the ledger shows this kind of evidence of all these actors."""
    deadline = time.monotonic() + seconds
    while True:
        entries = village.at("auditor").get("/console/ledger/entries", job=job, limit=1000)
        if {e["actor"] for e in entries if e["kind"] == kind} == actors:
            return
        assert time.monotonic() < deadline, entries
        time.sleep(0.2)


def test_groups_of_twenty_people_leave_and_nothing_else(
    village: Any, digest: str, day: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(
        village,
        day,
        {
            # 40 people with a loan at both together; 21 with a deposit; one with 30 transfers; three who paid a fee
            "institution": lines("loan", day, range(30), "10.00")
            + "".join(f"T{n},transfer,5.00,THE-ONE,{day}T10:00:00\n" for n in range(30)),
            "bank": lines("loan", day, range(20, 40), "20.00")
            + lines("deposit", day, range(21), "1.00")
            + lines("fee", day, range(3), "9.00"),
        },
    )
    job = village.request(CONTRACT, day)
    answer = village.carry_on(job)
    assert answer["verdict"]["passed"], answer

    # N0, N1, N2 signed what the gate did on shares, and agree.
    for org in ("operator", "bank", "exchange"):
        (gate,) = said(village.nodes[org], node_tables, job, "output_gate_checked")
        assert (gate.body["groups"], gate.body["suppressed"], gate.body["min_group"]) == (4, 2, 20)
        assert (gate.body["complementary"], gate.body["passed"]) == (True, True)

    # The recipient's own gate, taken away, would let anything be seen; closed, it lets nothing.
    regulator = village.at("regulator")
    with monkeypatch.context() as broken:
        broken.setattr(output_gate.gate, "check_identifiers", _stumble)
        broken.setattr(output_gate.gate, "CHECKS", (_stumble,))
        with pytest.raises(ConsoleError) as refused:
            regulator.post(f"/console/results/{job}/open")
        assert refused.value.status == 403
    (shown,) = [r for r in regulator.get("/console/results") if r["job_id"] == job]
    assert (shown["gate"], shown["opened_at"]) == ("refused", None)

    view = regulator.post(f"/console/results/{job}/open")
    rows = [(r["labels"], r["suppressed"], r["sum"], r["count"]) for r in view["table"]["rows"]]
    assert rows == [
        (["loan"], False, "70000", 50),
        (["deposit"], False, "2100", 21),
        (["transfer"], True, None, None),
        (["fee"], True, None, None),
    ]
    assert view["table"]["total"]["suppressed"]
    assert view["summary"]["gate"] == "passed"
    gates = said(village.nodes["regulator"], node_tables, job, "output_gate_checked")
    assert [gate.body["passed"] for gate in gates] == [False, True]
    in_the_ledger(village, job, "output_gate_checked", {"operator", "bank", "exchange", "regulator"})
    checked = said(village.coordinator, coordinator_tables, job, "output_checked")
    assert [one.body["passed"] for one in checked if one.actor == "coordinator"] == [True]


def _stumble(*_: Any) -> Any:
    raise RuntimeError
