"""From the console's form to a released result: a contract that rests on consent, its row filter, its exclusion list, per use.

The form is the console's own; coordinator and six nodes are the real ones. White paper A, 3.1 and 3.3.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hefu.domain.businessdays import business_date
from hefu.domain.job import Stage
from hefu.local import bootstrap
from hefu.store.base import now
from hefu.store.node_tables import JournalRow
from hefu.store.signed import decode_envelope
from hefu_ledger.evidence import parse_evidence
from hefu_ui.wizard.draft import to_draft
from hefu_ui.wizard.form import blank, blank_consent, blank_terms
from sqlmodel import select

pytestmark = pytest.mark.server
ROWS = (
    "serial,type,amount,party_id,occurred_at\n"
    "A1,loan,100.00,330102199001011234,{day}T10:00:00\n"
    "A2,loan,5.00,330102199001011235,{day}T10:00:00\n"
    "A3,loan,300.00,330102199001011236,{day}T10:00:00\n"
)


def form(contract_id: str) -> dict[str, Any]:
    """As a person fills it in: no mandate, consent for both data sets, rows of a hundred yuan or more."""
    filled = blank()
    filled |= {
        "contract_id": contract_id,
        "title": "以同意为基础的对账",
        "title_en": "Reconciliation on consent",
        "purpose": "核对业务记录与资金流水",
        "institutions": ["institution"],
        "banks": ["bank"],
        "regulator": "regulator",
        "auditor": "auditor",
        "compute_parties": ["operator", "bank", "exchange"],
        "data_sets": dict(bootstrap.DATA_SETS),
        "match_keys": ["serial", "party"],
        "max_rows": 1000,
    }
    for org in ("institution", "bank"):
        consent = blank_consent() | {"notice_digest": "a" * 64, "notice_version": "2026-1"}
        consent["obtained_on"] = date.today() - timedelta(days=3)
        filled["terms"][org] = blank_terms() | {
            "row_filter": "amount >= 100.00",
            "subject_field": "party_id",
            "basis": "consent",
            "consents": [consent],
        }
    return filled


def conclude(village: Any, filled: dict[str, Any], leave_out: tuple[str, ...] = ()) -> str:
    """Proposed, signed by all, everything filed. With `leave_out` nobody waits for the gates to open."""
    body = to_draft(filled).model_dump(mode="json")
    document = village.at("regulator").post("/console/contracts/draft", body)["document"]
    with village.people():
        digest = bootstrap.conclude(village.system, document)
        bootstrap.file_everything(village.system, digest, leave_out=leave_out)
    return digest


def blocking(answer: dict[str, Any]) -> set[str]:
    return {f["rule"] for f in answer["verdict"]["findings"] if f["severity"] in ("block", "wait")}


def sources(village: Any, org: str, job: str) -> list[dict[str, Any]]:
    """What this node's own evidence says of its data for a job."""
    with village.nodes[org].session() as session:
        kept = session.exec(select(JournalRow).order_by(JournalRow.signer_seq)).all()
    read = [parse_evidence(decode_envelope(row.envelope)) for row in kept]
    return [dict(e.body) for e in read if e.kind == "data_source_checked" and e.job == job]


def test_a_contract_made_in_the_form_passes_the_gates_and_leaves_out_whom_it_must(village: Any) -> None:
    filled = form("HF-FORM-1")
    conclude(village, filled)
    day = business_date(now()) - timedelta(days=2)
    for org, name in bootstrap.DATA_SETS.items():
        village.at(org).upload(
            f"/console/data-sets/{name}/files?day={day}", "a.csv", ROWS.format(day=day).encode()
        )
    one = {"identifier": "330102199001011236", "kind": "withdraw", "contract_id": "HF-FORM-1"}
    for org in bootstrap.DATA_SETS:
        assert village.at(org).post("/console/exclusions", one)["entries"] == 1
    job = village.request("HF-FORM-1", day)
    answer = village.carry(job)
    assert answer["verdict"]["passed"], answer
    for org in bootstrap.DATA_SETS:
        seen = sources(village, org, job)[-1]
        assert (seen["rows"], seen["filtered"], seen["excluded"]["rows"]) == (1, 1, 1)


def test_without_its_consents_the_same_form_is_stopped_at_the_gates(village: Any) -> None:
    filled = form("HF-FORM-2")
    filled["terms"]["bank"] |= {"basis": "statutory_duty", "consents": []}
    conclude(village, filled, leave_out=("legal_hold",))
    job = village.request("HF-FORM-2", business_date(now()) - timedelta(days=2))
    assert village.advance(job, Stage.CHECK_PARTICIPANTS)["verdict"]["passed"]
    found = blocking(village.advance(job, Stage.CHECK_CONTRACT))
    assert {"statutory_duty_unnamed", "risk_without_explicit_consent"} <= found


def test_a_use_that_needs_its_own_authorisation_waits_for_it(village: Any) -> None:
    conclude(village, form("HF-FORM-3") | {"authorisation": "per_use"})
    job = village.request("HF-FORM-3", business_date(now()) - timedelta(days=2))
    assert village.advance(job, Stage.CHECK_PARTICIPANTS)["verdict"]["passed"]
    answer = village.advance(job, Stage.CHECK_CONTRACT)
    assert not answer["verdict"]["passed"]
    assert "use_not_authorised" in blocking(answer), answer
