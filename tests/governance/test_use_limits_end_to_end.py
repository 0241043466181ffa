"""A contract whose every use is authorised by itself, over the real services: waiting, row filter, and counts that differ."""

import time
from datetime import date, timedelta
from typing import Any

import pytest
from hefu.domain.businessdays import business_date
from hefu.local import bootstrap
from hefu.local.sample_filings import consented
from hefu.store import coordinator_tables, node_tables
from hefu.store.base import now
from hefu.store.signed import decode_envelope
from hefu_ledger.evidence import parse_evidence
from sqlmodel import col, select

pytestmark = pytest.mark.server
CONTRACT = "T1-EACH-USE"
HOLDERS = ("institution", "bank")


@pytest.fixture(scope="module")
def days() -> list[date]:
    return [business_date(now()) - timedelta(days=n) for n in (4, 3, 2)]


@pytest.fixture(scope="module")
def digest(village: Any, days: list[date]) -> str:
    """The contract in force everywhere, with its filings, and a file of five rows for each day and holder."""
    moment = now()
    draft = village.form(CONTRACT, "逐次授权", "Each use authorised", days[0])
    regulator = village.at("regulator")
    document = regulator.post("/console/contracts/draft", draft)["document"]
    document["limits"] |= {"authorisation": "per_use"}
    for data_set in document["data_sets"]:
        data_set |= {"row_filter": "amount >= 2.00"}
    document = consented(document, moment.date())
    with village.people():
        made = bootstrap.conclude(village.system, document)
        bootstrap.file_everything(village.system, made)
    for org, name in bootstrap.DATA_SETS.items():
        for day in days:
            content = "serial,type,amount,party_id,occurred_at\n" + "".join(
                f"U{n},loan,{n}.00,ID{n},{day}T10:00:00\n" for n in range(1, 6)
            )
            village.at(org).upload(
                f"/console/data-sets/{name}/files?day={day}", f"{day}.csv", content.encode()
            )
    return made


def await_(true: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def authorise(village: Any, digest: str, job: str, day: date, *holders: str) -> None:
    """One person prepares the authorisation, another one approves it."""
    content = {
        "contract_id": CONTRACT,
        "contract": digest,
        "job": job,
        "business_date": day.isoformat(),
        "max_rows": 4,
        "authorised_by": "li",
    }
    for holder in holders:
        form = {"kind": "use_authorisation", "content": content}
        draft = village.at(holder).post("/console/filing-drafts", form)
        village.at(holder, reviewer=True).post(f"/console/filing-drafts/{draft['draft_id']}/approve")


def findings(answer: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [
        (f["rule"], f["party"]) for f in answer["verdict"]["findings"] if f["severity"] in ("block", "wait")
    ]


def bodies(ctx: Any, tables: Any, kind: str) -> list[dict[str, Any]]:
    with ctx.session() as session:
        found = select(tables.JournalRow).where(col(tables.JournalRow.kind) == kind)
        rows = session.exec(found.order_by(col(tables.JournalRow.signer_seq))).all()
    return [parse_evidence(decode_envelope(row.envelope)).body for row in rows]


def forget_uses(ctx: Any, tables: Any) -> int:
    with ctx.session() as session:
        rows = session.exec(select(tables.UseRow).where(tables.UseRow.contract_id == CONTRACT)).all()
        for row in rows:
            session.delete(row)
        session.commit()
    return len(rows)


def test_a_job_waits_for_authorisation_and_holders_that_lost_uses_recount(
    village: Any, digest: str, days: list[date]
) -> None:
    # Each holder is waited for, by name; then the job goes on by itself, on the rows that the filter lets through.
    job = village.request(CONTRACT, days[0])
    assert findings(village.carry(job)) == [("use_not_authorised", h) for h in HOLDERS]
    authorise(village, digest, job, days[0], "institution")
    await_(lambda: findings(village.carry(job)) == [("use_not_authorised", "bank")])
    authorise(village, digest, job, days[0], "bank")
    answer = village.carry_on(job)
    assert answer["verdict"]["passed"], answer
    for holder in HOLDERS:
        checked = bodies(village.nodes[holder], node_tables, "data_source_checked")
        assert (checked[-1]["rows"], checked[-1]["filtered"]) == (4, 1)
        used = bodies(village.nodes[holder], node_tables, "use_consumed")[-1]
        assert (used["rows"], used["rows_all"], used["coordinator"]) == (4, 8, 1)

    # The bank's database comes back from a backup: its own evidence, from the ledger, restores its count.
    assert forget_uses(village.nodes["bank"], node_tables) == 1
    job = village.request(CONTRACT, days[1])
    authorise(village, digest, job, days[1], *HOLDERS)
    answer = village.carry_on(job)
    assert answer["verdict"]["passed"], answer
    assert [b["found"] for b in bodies(village.nodes["bank"], node_tables, "uses_recounted")] == [1]
    assert [b["use"] for b in bodies(village.nodes["bank"], node_tables, "use_consumed")][-1] == 2

    # The coordinator forgets: both holders know better, nothing is computed, and both counts are evidence.
    assert forget_uses(village.coordinator, coordinator_tables) == 2
    job = village.request(CONTRACT, days[2])
    authorise(village, digest, job, days[2], *HOLDERS)
    answer = village.carry_on(job)
    assert set(findings(answer)) == {("use_count_differs", "coordinator")}
    said = bodies(village.coordinator, coordinator_tables, "use_count_differs")
    assert {b["counts"] for b in said} == {f"coordinator 0, {holder} 2" for holder in HOLDERS}
    for holder in HOLDERS:
        counted = bodies(village.nodes[holder], node_tables, "uses_counted")[-1]
        assert (counted["count"], counted["coordinator"]) == (2, 0)
    with village.coordinator.session() as session:
        assert (
            session.exec(
                select(coordinator_tables.UseRow).where(coordinator_tables.UseRow.contract_id == CONTRACT)
            ).all()
            == []
        )
