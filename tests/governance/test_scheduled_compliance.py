"""Scheduled compliance on the whole platform: every node sweeps, owners re-evaluate, the auditor evaluates the effect."""

import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from hefu.domain.businessdays import business_date
from hefu.domain.filings.assessment import ImpactAssessment, Reevaluation
from hefu.domain.rules import gates
from hefu.local import bootstrap
from hefu.local.console_client import ConsoleError
from hefu.node import filings
from hefu.store.base import now
from hefu.store.coordinator_tables import FilingRow, JournalRow
from hefu.store.node_keeping import StoredKeyRow
from hefu.store.node_tables import AlarmRow, ContractRow
from hefu.wire.errors import PeerRefused
from sqlmodel import col, select

pytestmark = pytest.mark.server
ID = bootstrap.CONTRACT_ID


@pytest.fixture(scope="module")
def village(own_village: Any) -> Any:
    """Schedules ask about every contract: here there are no others."""
    return own_village


@pytest.fixture(scope="module")
def digest(village: Any) -> str:
    """The sample contract in force, with everything filed, and one day done."""
    first = business_date(now()) - timedelta(days=6)
    with village.people():
        found = bootstrap.sign_contract(village.system, first)
        bootstrap.file_everything(village.system, found)
    done = carry(village, business_date(now()) - timedelta(days=3))
    assert done["verdict"]["passed"], done
    return str(found)


def carry(village: Any, day: date) -> dict[str, Any]:
    """A job of one day, five rows a side, as far as it goes."""
    for org_id, name in bootstrap.DATA_SETS.items():
        content = "serial,type,amount,party_id,occurred_at\n" + "".join(
            f"S{n},loan,{n}.00,ID{n},{day}T10:00:00\n" for n in range(1, 6)
        )
        village.at(org_id).upload(f"/console/data-sets/{name}/files?day={day}", "d.csv", content.encode())
    return dict(village.carry(village.request(ID, day)))


def await_true(check: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(str(check))
        time.sleep(0.1)


def assessment(ctx: Any, contract_digest: str) -> ImpactAssessment:
    with ctx.session() as session:
        contract = filings.newest_version(session, ID)
        counted = filings.of_contract(ctx, session, contract)
        found = counted.newest(ImpactAssessment, business_date(now()), issuer=ctx.org_id, contract_id=ID)
    if found is None:
        raise LookupError("no assessment")
    return found


def assess(village: Any, org_id: str, contract_digest: str, max_rows: int) -> None:
    """File a new assessment of another volume; the coordinator has it when this returns."""
    ctx = village.nodes[org_id]
    old = assessment(ctx, contract_digest)
    scope = old.scope.model_copy(update={"max_rows": max_rows})
    filed = filings.file(ctx, old.model_copy(update={"scope": scope, "issued_at": now()}), "li")

    def known() -> bool:
        with village.coordinator.session() as session:
            return session.get(FilingRow, filed) is not None

    await_true(known)


def evidence(village: Any, kind: str) -> int:
    with village.coordinator.session() as session:
        return len(session.exec(select(JournalRow).where(JournalRow.kind == kind)).all())


def test_every_node_of_every_contract_sweeps(village: Any, digest: str) -> None:
    status, answer = village.internal("/retention", {})
    assert status == 200
    assert answer["verdict"]["passed"], answer["verdict"]
    counts = answer["counts"]
    assert (counts["nodes"], counts["answered"], counts["overdue"]) == (6, 6, 0)
    assert counts["kept"] >= 3  # two files of data sets and the result
    assert evidence(village, "retention_asked") == 1


def test_what_is_due_goes_when_the_coordinator_asks(village: Any, digest: str) -> None:
    """A result that lies at the regulator for thirty years by now: its key goes, with a certificate for everybody."""
    regulator = village.nodes["regulator"]
    with regulator.session() as session:
        key = session.exec(
            select(StoredKeyRow).where(
                StoredKeyRow.what == "result", col(StoredKeyRow.destroyed_at).is_(None)
            )
        ).first()
        assert key is not None
        key.made_at = now() - timedelta(days=30 * 365)
        session.add(key)
        session.commit()
    before = village.internal("/retention", {})[1]["counts"]
    assert (before["deleted"], before["certificates"]) == (1, 1)
    with regulator.session() as session:
        gone = session.get_one(StoredKeyRow, key.key_digest)
        assert (gone.wrapped, gone.certified is not None) == (b"", True)

    def certified() -> bool:
        with village.coordinator.session() as session:
            return session.get(FilingRow, gone.certified) is not None

    await_true(certified)
    after = village.internal("/retention", {})[1]["counts"]
    assert (after["kept"], after["deleted"]) == (before["kept"], 0)


def test_only_the_coordinator_gives_the_order(village: Any, digest: str) -> None:
    for path in ("/orders/sweep", "/orders/reevaluate"):
        with pytest.raises(PeerRefused) as caught:
            village.nodes["bank"].client.post("institution", path, {})
        assert caught.value.code == "not_coordinator"


def test_only_the_flow_runner_asks_the_coordinator(village: Any) -> None:
    answers = [
        village._internal.post("/internal/retention", json={}),
        village._internal.post("/internal/reevaluation", json={}),
        village._internal.get("/internal/due-soon"),
        village._internal.get(f"/internal/contracts/{ID}/effect?from=2026-01-01&until=2026-01-02"),
    ]
    assert [answer.status_code for answer in answers] == [401] * 4


def test_re_evaluation_with_and_without_drift(
    village: Any, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate on assessments taken away, more rows than assessed are used: both sides notice, and the authority is told."""
    status, answer = village.internal("/reevaluation", {})
    assert (status, answer["verdict"]["passed"]) == (200, True), answer
    assert answer["counts"]["unchanged"] == 2
    assert evidence(village, "reevaluation_drift") == 0

    whole = assessment(village.nodes["bank"], digest).scope.max_rows
    assess(village, "bank", digest, 3)
    try:
        refused = carry(village, business_date(now()) - timedelta(days=6))
        assert not refused["verdict"]["passed"], "the gate on assessments is what stops it"
        with monkeypatch.context() as patch:
            open_gates = tuple(gate for gate in gates.BEFORE_COMPUTE if gate.point != "K2")
            patch.setattr(gates, "BEFORE_COMPUTE", open_gates)
            assert carry(village, business_date(now()) - timedelta(days=2))["verdict"]["passed"]
        status, answer = village.internal("/reevaluation", {})
        assert (status, answer["verdict"]["passed"]) == (200, False)
        assert (answer["counts"]["drifted"], answer["counts"]["unchanged"]) == (1, 1)
        assert answer["counts"]["suspended"] == 0  # a supervised party under a statutory mandate
        (found,) = [f for f in answer["verdict"]["findings"] if f["rule"] == "processing_drifted"]
        assert (found["party"], found["seen"]) == ("bank", "rows:10>3")
        assert evidence(village, "reevaluation_drift") == 1

        def alarmed() -> bool:
            with village.nodes["regulator"].session() as session:
                rules = [row.rule for row in session.exec(select(AlarmRow))]
            return "processing_drifted" in rules

        await_true(alarmed)
        with village.nodes["bank"].session() as session:
            contract = filings.newest_version(session, ID)
            filed = filings.of_contract(village.nodes["bank"], session, contract)
            state = session.get_one(ContractRow, contract.digest).state
        own = [f.conclusion for f in filed.all(Reevaluation, issuer="bank")]
        assert (own[-2:], state) == (["unchanged", "drifted"], "active")
    finally:
        assess(village, "bank", digest, whole)
    answer = village.internal("/reevaluation", {})[1]
    assert answer["verdict"]["passed"], "assessed anew: nothing has drifted since"


def test_the_auditor_evaluates_the_effect(village: Any, digest: str) -> None:
    today = business_date(now())
    asked = {"from": (today - timedelta(days=30)).isoformat(), "until": today.isoformat()}
    for org_id in ("auditor", "institution"):
        view = village.at(org_id).get(f"/console/contracts/{digest}/effect", **asked, utility="与明文一致")
        assert view["figures"]["jobs"]["succeeded"] >= 1
    assert view["uncounted"] == 0
    assert "成功" in view["report_zh"]
    assert "Effect evaluation" in view["report_en"]
    auditor, reviewer = village.at("auditor"), village.at("auditor", reviewer=True)
    view = auditor.get(f"/console/contracts/{digest}/effect", **asked, utility="与明文一致")
    form = auditor.get("/console/filing-forms/effect_evaluation", contract_id=ID)
    assert form["content"]["jobs"] == view["figures"]["jobs"]
    assert {"jobs", "refusals", "period_from"} <= set(form["fixed"])
    draft = auditor.post("/console/filing-drafts", {"kind": "effect_evaluation", "content": view["content"]})
    filed = reviewer.post(f"/console/filing-drafts/{draft['draft_id']}/approve")
    assert filed["content"]["jobs"] == view["figures"]["jobs"]
    assert filed["content"]["utility"] == "与明文一致"


def test_a_period_backwards_is_refused(village: Any, digest: str) -> None:
    with pytest.raises(ConsoleError, match="invalid_request"):
        village.at("auditor").get(
            f"/console/contracts/{digest}/effect", **{"from": "2026-02-02", "until": "2026-02-01"}
        )


def test_what_ends_soon_is_told_and_not_kept(village: Any, digest: str) -> None:
    answer = village._internal.get(
        "/internal/due-soon", headers={"Authorization": f"Bearer {village._token}"}
    ).json()
    assert answer["verdict"]["passed"]
    assert answer["counts"]["due"] == len(answer["verdict"]["findings"])
