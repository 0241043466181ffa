"""A result that two of three reviewers must approve, over the real services: people decide, N0 and N2 verify, the ledger keeps it."""

from datetime import date, timedelta
from typing import Any

import pytest
from hefu.domain.businessdays import business_date
from hefu.local import bootstrap
from hefu.local.console_client import ConsoleError
from hefu.local.sample_filings import consented
from hefu.store.base import now

pytestmark = pytest.mark.server
CONTRACT = "T1-REVIEWED"
REVIEWERS = ["auditor", "bank", "institution"]


@pytest.fixture(scope="module")
def days(village: Any) -> list[date]:
    """The contract in force everywhere, with its filings; a file of five rows for each of these days and each holder."""
    days = [business_date(now()) - timedelta(days=n) for n in (3, 2)]
    moment = now()
    draft = village.form(CONTRACT, "发布须经审核", "Released after review", days[0], reviewers=REVIEWERS)
    document = village.at("regulator").post("/console/contracts/draft", draft)["document"]
    document["outputs"][0] |= {"quorum": 2, "review_hours": 48}
    document = consented(document, moment.date())
    with village.people():
        bootstrap.file_everything(village.system, bootstrap.conclude(village.system, document))
    for org, name in bootstrap.DATA_SETS.items():
        for day in days:
            content = "serial,type,amount,party_id,occurred_at\n" + "".join(
                f"R{n},loan,{n}.00,ID{n},{day}T10:00:00\n" for n in range(1, 6)
            )
            path = f"/console/data-sets/{name}/files?day={day}"
            village.at(org).upload(path, f"{day}.csv", content.encode())
    return days


def decide(village: Any, job: str, org: str, approved: bool) -> str:
    """Two persons of the organisation, one after the other; ok, or the reason code."""
    body = {"approved": approved, "reasons": "已核对" if approved else "行数异常"}
    try:
        with village.people():
            bootstrap.decide_by_two(
                village.system, org, village.at(org), f"/console/jobs/{job}/decision", body
            )
    except ConsoleError as error:
        return str(error.body["code"])
    return "ok"


def state(village: Any, job: str) -> str:
    return str(village.at("regulator").get(f"/console/jobs/{job}")["summary"]["state"])


def approval(village: Any, org: str, job: str) -> dict[str, Any]:
    """The approval of the release, as that organisation's own node shows it."""
    views = village.at(org).get("/console/approvals")
    (found,) = [v for v in views if (v["approval"]["release"] or {}).get("job") == job]
    return dict(found)


def test_two_of_three_release_a_result(village: Any, days: list[date]) -> None:
    job = village.request(CONTRACT, days[0])
    answer = village.carry(job)
    assert (answer["state"], [f["rule"] for f in answer["verdict"]["findings"]]) == (
        "waiting",
        ["awaiting_review"],
    )
    assert state(village, job) == "awaiting_review"
    for holder in ("operator", "exchange"):
        told = approval(village, holder, job)
        assert (told["urgency"], sorted(told["waits_for"])) == ("due", REVIEWERS)
        assert sorted(told["approval"]["release"]["halves"]) == ["exchange", "operator"]
    assert decide(village, job, "bank", False) == "ok"
    assert decide(village, job, "auditor", True) == "ok"
    assert state(village, job) == "awaiting_review"
    assert decide(village, job, "institution", True) == "ok"
    assert village.carry(job)["verdict"]["passed"]
    assert state(village, job) == "succeeded"
    told = approval(village, "exchange", job)["approval"]
    assert told["state"] == "approved"
    assert {a["org_id"]: a["reason"] for a in told["answers"] if not a["approved"]} == {"bank": "行数异常"}


def test_two_refusals_of_three_end_the_job(village: Any, days: list[date]) -> None:
    job = village.request(CONTRACT, days[1])
    village.carry(job)
    assert decide(village, job, "bank", False) == "ok"
    assert decide(village, job, "institution", False) == "ok"
    assert decide(village, job, "auditor", True) == "not_awaited"  # nothing is asked any longer
    answer = village.carry(job)
    assert [f["rule"] for f in answer["verdict"]["findings"]] == ["review_refused"]
    assert state(village, job) == "failed"
    assert [r["job_id"] for r in village.at("regulator").get("/console/results") if r["job_id"] == job] == []
