"""Continuing assessment at a data owner: what ran here against what was assessed here; drift is filed and stops the contract."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hefu.domain.contract import Contract
from hefu.domain.filings import FILING_TYPE
from hefu.domain.filings.assessment import ImpactAssessment, Reevaluation
from hefu.domain.rules.gates import check_gates, closed
from hefu.node import filings, preferences, reevaluation
from hefu.store.base import now
from hefu.store.node_tables import AlarmRow, ContractNoticeRow, ContractRow, UseRow
from hefu.store.signed import encode_envelope, sign_document
from sqlmodel import select

pytestmark = pytest.mark.server
MANDATE = {
    "document_number": "〔2026〕1号",
    "file_digest": "ef" * 32,
    "authority": "regulator",
    "supervised": ["institution", "bank"],
}


def use(
    ctx: Any, world: Any, contract: Contract, rows: int, job: str = "J20260302AAAAAAAA", rows_all: int = 0
) -> None:
    """As after a job that used this many rows, and so many of everybody."""
    commitment = world.prepared(ctx, contract, job)
    with ctx.session() as session:
        session.add(
            UseRow(
                contract_id=contract.contract_id,
                job=job,
                commitment=commitment,
                attempts=1,
                rows=rows,
                rows_all=rows_all,
                at=now(),
            )
        )
        session.commit()


def filed(ctx: Any, contract: Contract) -> list[Reevaluation]:
    with ctx.session() as session:
        return list(filings.of_contract(ctx, session, contract).all(Reevaluation))


def state(ctx: Any, contract: Contract) -> str:
    with ctx.session() as session:
        return str(session.get_one(ContractRow, contract.digest).state)


def closed_gates(ctx: Any, contract: Contract) -> list[str]:
    """What keeps the gate on assessments (K2) closed."""
    with ctx.session() as session:
        verdicts = check_gates(filings.matter(ctx, session, contract))
    return [f.rule for f in closed(v for v in verdicts if v.stage == "K2")]


@pytest.fixture
def contract(world: Any) -> Any:
    return world.contract(limits={"max_rows": 100})


def test_nothing_ran_and_nothing_is_filed(node: Any, contract: Any) -> None:
    bank = node("bank", contract)
    (outcome,) = reevaluation.reevaluate_all(bank)
    assert (outcome.conclusion, outcome.filing) == ("idle", None)
    assert filed(bank, contract) == []


def test_what_ran_as_assessed_is_filed_and_goes_on(node: Any, world: Any, contract: Any) -> None:
    bank = node("bank", contract)
    use(bank, world, contract, 100)
    (outcome,) = reevaluation.reevaluate_all(bank)
    assert (outcome.conclusion, outcome.suspended) == ("unchanged", False)
    (filing,) = filed(bank, contract)
    assert (filing.digest, filing.issuer, filing.conclusion) == (outcome.filing, "bank", "unchanged")
    assert state(bank, contract) == "active"


def test_drift_is_filed_told_to_everybody_and_suspends(
    node: Any, world: Any, world_kit: Any, contract: Any
) -> None:
    bank = node("bank", contract)
    assert closed_gates(bank, contract) == []
    use(bank, world, contract, 101)
    (outcome,) = reevaluation.reevaluate_all(bank)
    assert (outcome.conclusion, outcome.drift, outcome.suspended) == ("drifted", ("rows:101>100",), True)
    assert state(bank, contract) == "suspended"
    with bank.session() as session:
        (notice,) = session.exec(select(ContractNoticeRow)).all()
        queued = preferences.read(session, "inquiry_outbox")["messages"]
    assert (notice.org_id, notice.kind) == ("bank", "suspend")
    assert "rows:101>100" in notice.reason
    assert {to for to, _ in bank.client.sent("/peer/notices")} == {
        p.org_id for p in contract.parties if p.org_id != "bank"
    }
    assert {message["recipient"] for message in queued if message["path"] == "/peer/filings"} == {
        p.org_id for p in contract.parties if p.org_id != "bank"
    }
    (evidence,) = world_kit.journal(bank, "reevaluation_drift")
    assert (evidence["drift"], evidence["filing"]) == (["rows:101>100"], outcome.filing)
    assert "processing_drifted" in closed_gates(bank, contract)


def test_everybodys_rows_count_against_what_was_assessed(node: Any, world: Any, contract: Any) -> None:
    bank = node("bank", contract)
    use(bank, world, contract, 10, rows_all=101)
    (outcome,) = reevaluation.reevaluate_all(bank)
    assert outcome.drift == ("rows:101>100",)


def test_a_second_look_files_again_but_suspends_once(node: Any, world: Any, contract: Any) -> None:
    bank = node("bank", contract)
    use(bank, world, contract, 101)
    reevaluation.reevaluate_all(bank)
    (again,) = reevaluation.reevaluate_all(bank)
    assert (again.conclusion, again.suspended) == ("drifted", False)
    with bank.session() as session:
        assert len(session.exec(select(ContractNoticeRow)).all()) == 1


def test_assessed_anew_it_is_unchanged(node: Any, world: Any, contract: Any) -> None:
    bank = node("bank", contract)
    use(bank, world, contract, 101)
    reevaluation.reevaluate_all(bank)
    with bank.session() as session:
        old = filings.of_contract(bank, session, contract).newest(
            ImpactAssessment, now().date(), issuer="bank", contract_id=contract.contract_id
        )
    scope = old.scope.model_copy(update={"max_rows": 200})
    filings.file(bank, old.model_copy(update={"scope": scope, "issued_at": now()}), "li")
    assert closed_gates(bank, contract) == []
    use(bank, world, contract, 150, "J20260303AAAAAAAA")
    (outcome,) = reevaluation.reevaluate_all(bank)
    assert (outcome.conclusion, outcome.drift) == ("unchanged", ())


def test_a_supervised_party_files_and_suspends_nothing(node: Any, world: Any) -> None:
    contract = world.contract(limits={"max_rows": 100}, mandate=MANDATE)
    bank = node("bank", contract)
    use(bank, world, contract, 101)
    (outcome,) = reevaluation.reevaluate_all(bank)
    assert (outcome.conclusion, outcome.suspended) == ("drifted", False)
    assert [f.conclusion for f in filed(bank, contract)] == ["drifted"]
    assert state(bank, contract) == "active"
    with bank.session() as session:
        assert session.exec(select(ContractNoticeRow)).all() == []
    assert bank.client.sent("/peer/notices") == []


@pytest.mark.parametrize(("mandate", "alarms"), [(MANDATE, ["processing_drifted"]), (None, [])])
@pytest.mark.parametrize("drift", [("rows:101>100",), ()])
def test_under_a_mandate_the_authority_is_alarmed(
    node: Any, world: Any, mandate: Any, alarms: list[str], drift: tuple[str, ...]
) -> None:
    contract = world.contract(mandate=mandate)
    regulator = node("regulator", contract)
    filing = Reevaluation(
        issuer="bank",
        contract_id=contract.contract_id,
        issued_at=now(),
        assessment=None,
        jobs_from="2026-03-02",
        jobs_until="2026-03-02",
        drift=drift,
        fused_grade="C2",
        conclusion="drifted" if drift else "unchanged",
    )
    filings.take(regulator, encode_envelope(sign_document(filing, FILING_TYPE, world.keys["bank"].identity)))
    with regulator.session() as session:
        raised = [row.rule for row in session.exec(select(AlarmRow))]
    assert raised == (alarms if drift else [])


def test_without_the_comparison_drift_would_go_on(
    node: Any, world: Any, contract: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison is what stops it: taken away, the same contract goes on."""
    bank = node("bank", contract)
    use(bank, world, contract, 101)
    monkeypatch.setattr(reevaluation, "compare_jobs", lambda *_: None)
    reevaluation.reevaluate_all(bank)
    assert state(bank, contract) == "active"
    assert closed_gates(bank, contract) == []


def test_who_puts_no_data_in_compares_nothing(node: Any, contract: Any) -> None:
    assert reevaluation.reevaluate_all(node("exchange", contract)) == []


def test_a_coordinator_that_never_asks_is_not_waited_for(
    node: Any, world: Any, contract: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = node("bank", contract)
    use(bank, world, contract, 10)
    assert [o.conclusion for o in reevaluation.reevaluate_all(bank, asked=False)] == ["unchanged"]
    assert reevaluation.reevaluate_all(bank, asked=False) == []
    later = now() + reevaluation.AT_LEAST_EVERY + timedelta(minutes=1)
    monkeypatch.setattr(reevaluation, "now", lambda: later)
    assert len(reevaluation.reevaluate_all(bank, asked=False)) == 1
