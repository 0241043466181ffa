"""Scheduled compliance at the coordinator: who is asked, what is counted, what becomes a finding and evidence."""

from datetime import date, timedelta
from typing import Any

import pytest
from hefu.coordinator import effect, filings, jobs, reevaluation, retention
from hefu.domain.filings.events import Complaint, IncidentReport, MinimisationReview
from hefu.domain.verdict import Finding, Severity, judge
from hefu.store.base import now
from hefu.store.coordinator_tables import ContractRow, DecisionRow, JournalRow, StageRow, UseRow
from hefu.store.signed import encode_envelope, sign_document
from hefu.wire.errors import PeerUnreachable
from sqlmodel import select

pytestmark = pytest.mark.server
ID = "HF-TEST-1"
SWEPT = {"kept": {"result": 2}, "deleted": {"job_work": 1}, "certificates": ["ab" * 32]}


@pytest.fixture
def ready(office: Any) -> Any:
    return office.everybody()


def file(office: Any, issuer: str, model: Any, **content: Any) -> None:
    value = {"issuer": issuer, "contract_id": ID, "issued_at": now(), **content}
    envelope = sign_document(
        model.model_validate(value), filings.FILING_TYPE, office.world.keys[issuer].identity
    )
    filings.take(office.ctx, encode_envelope(envelope), issuer)


def end(office: Any, contract: Any, state: str) -> None:
    with office.ctx.session() as session:
        row = session.get_one(ContractRow, contract.digest)
        row.state = state
        session.add(row)
        session.commit()


def evidence(office: Any, kind: str) -> int:
    with office.ctx.session() as session:
        return len(session.exec(select(JournalRow).where(JournalRow.kind == kind)).all())


class TestRetention:
    def test_every_party_is_asked_whatever_became_of_the_contract(self, ready: Any) -> None:
        for state in ("active", "suspended", "expired", "terminated", "superseded"):
            contract = ready.active(contract_id=f"HF-{state.upper()}")
            end(ready, contract, state)
        ready.ctx.client.answers["POST", "/orders/sweep"] = SWEPT
        answer = retention.sweep(ready.ctx)
        assert answer["verdict"]["passed"]
        assert answer["counts"] == {
            "nodes": 6, "answered": 6, "kept": 12, "deleted": 6, "certificates": 6, "overdue": 0,
        }  # fmt: skip
        assert {to for to, _ in ready.ctx.client.sent("/orders/sweep")} == set(ready.kit.ROLES)
        assert evidence(ready, "retention_asked") == 1

    def test_nobody_is_asked_about_what_never_was_in_force(self, ready: Any) -> None:
        end(ready, ready.active(), "refused")
        assert retention.sweep(ready.ctx)["counts"]["nodes"] == 0

    def test_a_silent_node_waits_and_is_named(self, ready: Any) -> None:
        ready.active()
        ready.ctx.client.answers["POST", "/orders/sweep"] = PeerUnreachable("bank", "down")
        answer = retention.sweep(ready.ctx)
        assert not answer["verdict"]["passed"]
        assert {f["rule"] for f in answer["verdict"]["findings"]} == {"node_unreachable"}

    @pytest.mark.parametrize(("state", "days_ago", "late"), [("expired", 40, 3), ("active", 40, 0)])
    def test_who_has_not_certified_is_overdue(self, ready: Any, state: str, days_ago: int, late: int) -> None:
        contract = ready.active(
            retention_days=30,
            limits={
                "valid_from": now() - timedelta(days=90),
                "valid_until": now() - timedelta(days=days_ago),
            },
        )
        end(ready, contract, state)
        ready.ctx.client.answers["POST", "/orders/sweep"] = SWEPT
        answer = retention.sweep(ready.ctx)
        found = [f["party"] for f in answer["verdict"]["findings"] if f["rule"] == "deletion_overdue"]
        assert len(found) == answer["counts"]["overdue"] == late
        assert evidence(ready, "deletion_overdue") == (1 if late else 0)

    def test_who_reviewed_that_nothing_is_held_is_not_overdue(self, ready: Any) -> None:
        contract = ready.active(
            limits={"valid_from": now() - timedelta(days=90), "valid_until": now() - timedelta(days=40)}
        )
        end(ready, contract, "expired")
        ready.ctx.client.answers["POST", "/orders/sweep"] = SWEPT
        day = now().date().isoformat()
        nothing: dict[str, int] = {}
        file(ready, "operator", MinimisationReview, checked_on=day, kept=nothing, deleted=nothing)
        file(ready, "bank", MinimisationReview, checked_on=day, kept={"data_set_file": 9}, deleted=nothing)
        file(ready, "exchange", MinimisationReview, checked_on=day, kept={"job_half": 1}, deleted=nothing)
        findings = retention.sweep(ready.ctx)["verdict"]["findings"]
        assert [f["party"] for f in findings if f["rule"] == "deletion_overdue"] == ["exchange"]


def used(office: Any, contract: Any, day: date, rows: int) -> str:
    """A job that used this many rows."""
    job = jobs.create(office.ctx, ID, day, by="regulator", reason="manual")
    with office.ctx.session() as session:
        session.add(UseRow(contract_id=ID, job_id=job.job_id, commitment="c", rows=rows, at=now()))
        session.commit()
    return job.job_id


class TestReevaluation:
    def told(self, conclusion: str, *drift: str) -> dict[str, Any]:
        one = {"contract_id": ID, "conclusion": conclusion, "drift": list(drift), "suspended": bool(drift)}
        return {"contracts": [one]}

    def assessed(self, ready: Any) -> Any:
        contract = ready.active(limits={"max_rows": 100})
        for filing in ready.world.filings(contract):
            envelope = sign_document(filing, filings.FILING_TYPE, ready.world.keys[filing.issuer].identity)
            filings.take(ready.ctx, encode_envelope(envelope), filing.issuer)
        return contract

    def test_as_assessed(self, ready: Any, days: Any) -> None:
        used(ready, self.assessed(ready), days(1), 100)
        ready.ctx.client.answers["POST", "/orders/reevaluate"] = self.told("unchanged")
        answer = reevaluation.reevaluate_all(ready.ctx)
        assert (answer["verdict"]["passed"], answer["counts"]["unchanged"]) == (True, 2)
        assert (evidence(ready, "reevaluated"), evidence(ready, "reevaluation_drift")) == (2, 0)

    def test_drift_that_both_sides_see(self, ready: Any, days: Any) -> None:
        contract = self.assessed(ready)
        used(ready, contract, days(1), 101)
        ready.ctx.client.answers["POST", "/orders/reevaluate"] = self.told("drifted", "rows:101>100")
        answer = reevaluation.reevaluate_all(ready.ctx)
        assert not answer["verdict"]["passed"]
        assert [(f["rule"], f["party"]) for f in answer["verdict"]["findings"]] == [
            ("processing_drifted", "institution"),
            ("processing_drifted", "bank"),
        ]
        assert (answer["counts"]["drifted"], answer["counts"]["suspended"]) == (2, 2)
        assert evidence(ready, "reevaluation_drift") == 2
        assert ready.state(contract) == "active", "the coordinator itself suspends nothing"

    def test_drift_that_an_owner_alone_sees_blocks_too(self, ready: Any, days: Any) -> None:
        used(ready, self.assessed(ready), days(1), 10)
        ready.ctx.client.answers["POST", "/orders/reevaluate"] = self.told("drifted", "rows:101>100")
        rules = {f["rule"] for f in reevaluation.reevaluate_all(ready.ctx)["verdict"]["findings"]}
        assert rules == {"processing_drifted", "reevaluation_differs"}

    def test_drift_that_an_owner_denies_still_blocks(self, ready: Any, days: Any) -> None:
        used(ready, self.assessed(ready), days(1), 101)
        ready.ctx.client.answers["POST", "/orders/reevaluate"] = self.told("unchanged")
        verdict = reevaluation.reevaluate_all(ready.ctx)["verdict"]
        assert not verdict["passed"]
        assert {f["rule"] for f in verdict["findings"]} == {"processing_drifted", "reevaluation_differs"}

    def test_a_silent_owner_waits(self, ready: Any, days: Any) -> None:
        used(ready, self.assessed(ready), days(1), 10)
        verdict = reevaluation.reevaluate_all(ready.ctx)["verdict"]
        assert not verdict["passed"]
        assert {f["rule"] for f in verdict["findings"]} == {"node_unreachable"}


class TestEffect:
    def stage(self, office: Any, job: str, stage: str, state: str, *rules: tuple[str, str]) -> None:
        findings = [
            Finding(rule=rule, severity=Severity.BLOCK, point=point, message_zh="", message_en="")
            for point, rule in rules
        ]
        with office.ctx.session() as session:
            session.add(
                StageRow(
                    job_id=job,
                    stage=stage,
                    attempt=1,
                    state=state,
                    verdict=judge(stage, findings).model_dump(mode="json"),
                    started_at=now() - timedelta(seconds=60),
                    finished_at=now() - timedelta(seconds=60),
                )
            )
            session.commit()

    def test_the_figures_of_a_period(self, ready: Any, days: Any) -> None:
        ready.active()
        done, refused, earlier = (
            jobs.create(ready.ctx, ID, days(ago), by="regulator", reason="manual").job_id
            for ago in (1, 2, 40)
        )
        ready.set_job(done, state="succeeded")
        ready.set_job(refused, state="refused")
        ready.set_job(earlier, state="failed")
        self.stage(ready, done, "check_output", "passed")
        self.stage(ready, refused, "check_contract", "failed", ("K2", "pia_missing"), ("", "code_differs"))
        with ready.ctx.session() as session:
            session.add(
                DecisionRow(job_id=done, attempt=1, org_id="auditor", approved=True, envelope=b"", at=now())
            )
            session.commit()
        file(
            ready, "bank", IncidentReport, occurred_at=now(), discovered_at=now(), categories="c",
            cause="c", possible_harm="h", measures="m", individuals_told="not_needed",
        )  # fmt: skip
        file(
            ready, "institution", Complaint, about="data_use", responsible="bank", sealed={},
            due_on=days(0).isoformat(),
        )  # fmt: skip
        found = effect.figures(ready.ctx, ID, days(30), days(0), party="auditor")
        seconds = found.pop("median_decision_seconds")
        assert 59 <= seconds <= 65
        assert found == {
            "contract_id": ID,
            "period_from": days(30).isoformat(),
            "period_until": days(0).isoformat(),
            "jobs": {"succeeded": 1, "refused": 1},
            "refusals": {"K2/pia_missing": 1, "check_contract/code_differs": 1},
            "incidents": 1,
            "complaints": 1,
        }

    def test_whom_it_is_not_for(self, ready: Any, code: Any, days: Any) -> None:
        ready.active()
        assert code(effect.figures, ready.ctx, ID, days(3), days(1), party="stranger") == "not_found"
        assert code(effect.figures, ready.ctx, "HF-NONE", days(3), days(1)) == "not_found"
        assert code(effect.figures, ready.ctx, ID, days(1), days(3)) == "days_invalid"
