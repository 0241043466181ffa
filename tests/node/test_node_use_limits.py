"""A data holder's own limits: volume, periods, trial, mandate, authorisation of each use, and counts that differ."""

import importlib.util
import secrets
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hefu.domain.filings.reviews import MilestoneConfirmation, UseAuthorisation
from hefu.node import code as installed_code
from hefu.node import filings, order_routes, sessions, source_checks, uses
from hefu.node.order_evidence import evidence_of
from hefu.store.base import now
from hefu.store.node_tables import UseRow
from hefu.wire.refusal import Refusal
from sqlmodel import select

pytestmark = pytest.mark.server
MANDATE = {
    "document_number": "〔2026〕1号",
    "file_digest": "0" * 64,
    "authority": "regulator",
    "supervised": ["institution"],
}


def _sessions_kit() -> Any:
    """`Party` of test_node_sessions.py: pytest's import mode does not make it importable."""
    name = "hefu_sessions_kit"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "test_node_sessions.py")
        if spec is None or spec.loader is None:
            raise ImportError(name)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


job_of = _sessions_kit().job_of
counted = _sessions_kit().counted


@pytest.fixture
def party(world: Any, world_kit: Any, node: Any) -> Callable[..., Any]:
    def make(org_id: str = "bank", **changes: Any) -> Any:
        contract = world.contract(**changes)
        return _sessions_kit().Party(world, world_kit, node(org_id, contract), contract)

    return make


def use(bank: Any, number: int, **changes: Any) -> str:
    """One honest use, from the check of the data to the session."""
    commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(number))
    own = bank.prepare(job_of(number))
    return str(
        bank.compute(bank.hellos(own, job_of(number)), job_of(number), commitment=commitment, **changes)
    )


def unguarded(monkeypatch: Any) -> None:
    monkeypatch.setattr(uses, "check_limits", lambda *_, **__: [])


class TestVolume:
    def test_rows_in_all_over_every_use(self, party: Any, monkeypatch: Any) -> None:
        """Six rows a use, three of them ours: what everybody puts in counts, as the signed orders announced it."""
        bank = party(limits={"max_rows_total": 17})
        assert [use(bank, n) for n in (1, 2, 3)] == ["ok", "ok", "rows_total_exceeded"]
        assert [(u.rows, u.rows_all) for u in counted(bank)] == [(3, 6), (3, 6)]
        unguarded(monkeypatch)
        assert use(bank, 4) == "ok"

    def test_a_retry_is_not_counted_twice(self, party: Any) -> None:
        bank = party(limits={"max_rows_total": 6})
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        assert [bank.run(job_of(1), commitment, n) for n in (1, 2, 3)] == ["ok"] * 3

    def test_own_rows_alone(self, party: Any, world_kit: Any, monkeypatch: Any) -> None:
        """An order that hides rows: the batches have to be what it says, and our own are known here."""
        bank = party(limits={"max_rows": 5})
        assert use(bank, 1) == "batches_invalid"
        assert use(bank, 2, rows=4) == "batches_invalid"
        few = [{**world_kit.BATCHES[0], "rows": 2}, world_kit.BATCHES[1]]
        assert use(bank, 3, batches=few) == "ok"
        assert use(bank, 4, batches=few, rows=4) == "batches_invalid"
        monkeypatch.setattr(sessions, "check_batches", lambda *_: None)
        assert use(bank, 5) == "rows_exceeded"

    def test_rows_beyond_two_to_the_31(self, party: Any) -> None:
        bank = party(limits={"max_rows": 2**40})
        many = [
            {**_batch, "rows": 2**33 if _batch["owner"] == "institution" else 3}
            for _batch in bank.kit.BATCHES
        ]
        assert use(bank, 1, batches=many) == "ok"
        assert counted(bank)[0].rows_all == 2**33 + 3


class TestPeriodTrialMandate:
    def test_a_days_refusal_names_the_days_limit(self, party: Any) -> None:
        bank = party(limits={"max_uses": 100, "per_period": [{"period": "day", "max_uses": 1}]})
        assert use(bank, 1) == "ok"
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(2))
        order = bank.world.order(
            bank.contract, "compute", "bank", job=job_of(2), commitments={"bank": commitment}, use_number=2
        )
        accepted, under = uses_order(bank, order)
        with pytest.raises(Refusal) as caught, bank.ctx.session() as session:
            uses.consume(bank.ctx, session, accepted, under)
        assert caught.value.body["limit"] == "1 per day"
        assert "100" not in caught.value.body["message_en"]

    @pytest.mark.parametrize("mandate", [None, MANDATE], ids=["contract", "mandate"])
    def test_a_trial_binds_until_acceptance(self, party: Any, mandate: Any, monkeypatch: Any) -> None:
        milestone = {
            "kind": "acceptance",
            "due_on": "2026-12-01",
            "evidence": "报告",
            "confirmed_by": ["bank"],
        }
        bank = party(trial={"max_rows": 6, "max_uses": 1}, milestones=[milestone], mandate=mandate)
        assert [use(bank, 1), use(bank, 2)] == ["ok", "trial_uses_exhausted"]
        confirmation = MilestoneConfirmation(
            issuer="bank",
            contract_id=bank.contract.contract_id,
            issued_at=now(),
            milestone="acceptance",
            evidence="0" * 64,
            passed=True,
            note="",
        )
        filings.file(bank.ctx, confirmation, "li")
        assert use(bank, 3) == "ok"

    def test_trial_rows(self, party: Any, monkeypatch: Any) -> None:
        bank = party(trial={"max_rows": 5, "max_uses": 9})
        assert use(bank, 1) == "trial_rows_exceeded"
        unguarded(monkeypatch)
        assert use(bank, 2) == "ok"

    def test_a_mandate_is_not_exhausted(self, party: Any, world_kit: Any) -> None:
        tight = {"max_uses": 1, "max_rows": 1, "max_rows_total": 1}
        bank = party(limits=tight, mandate=MANDATE)
        assert [use(bank, 1), use(bank, 2)] == ["ok", "ok"]
        said = world_kit.journal(bank.ctx, "use_consumed")
        assert [s["notes"] for s in said] == [["mandate_unlimited"]] * 2


def uses_order(bank: Any, order: str) -> Any:
    from hefu.node import orders

    return orders.accept(bank.ctx, order, "compute")


class TestAuthorisation:
    def authorise(self, bank: Any, number: int, max_rows: int = 3, **changes: Any) -> None:
        value = {
            "issuer": "bank",
            "contract_id": bank.contract.contract_id,
            "issued_at": now(),
            "contract": bank.contract.digest,
            "job": job_of(number),
            "business_date": bank.kit.DAY,
            "max_rows": max_rows,
            "authorised_by": "li",
            **changes,
        }
        filings.file(bank.ctx, UseAuthorisation(**value), "li")

    def refused(self, call: Any, *args: Any) -> str:
        try:
            call(*args)
        except Refusal as refusal:
            return str(refusal.body["code"])
        return "ok"

    def test_nothing_is_prepared_or_used_before_our_own_authorisation(
        self, party: Any, monkeypatch: Any
    ) -> None:
        bank = party(limits={"authorisation": "per_use"})
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        assert self.refused(bank.prepare, job_of(1)) == "use_not_authorised"
        self.authorise(bank, 2)  # another job
        assert self.refused(bank.prepare, job_of(1)) == "use_not_authorised"
        self.authorise(bank, 1, max_rows=2)  # too few rows
        assert self.refused(bank.prepare, job_of(1)) == "use_not_authorised"
        self.authorise(bank, 1)
        assert bank.run(job_of(1), commitment) == "ok"

    def test_withdrawn_between_hello_and_use(self, party: Any, monkeypatch: Any) -> None:
        """The use itself asks again: an authorisation may have been replaced since."""
        bank = party(limits={"authorisation": "per_use"})
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        self.authorise(bank, 1)
        hellos = bank.hellos(bank.prepare(job_of(1)), job_of(1))
        with bank.ctx.session() as session:
            (given,) = filings.of_contract(bank.ctx, session, bank.contract).all(UseAuthorisation)
        self.authorise(bank, 1, max_rows=0, replaces=given.digest)
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "use_not_authorised"
        assert counted(bank) == []
        monkeypatch.setattr(uses, "check_authorisation", lambda *_, **__: [])
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "ok"

    def test_anothers_word_is_not_ours(self, party: Any, world: Any) -> None:
        bank = party(limits={"authorisation": "per_use"})
        bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        filing = UseAuthorisation(
            issuer="institution",
            contract_id=bank.contract.contract_id,
            issued_at=now(),
            contract=bank.contract.digest,
            job=job_of(1),
            business_date=bank.kit.DAY,
            max_rows=3,
            authorised_by="li",
        )
        filings.take(bank.ctx, world.sign(filing, "application/vnd.hefu.filing+json", "institution"))
        assert self.refused(bank.prepare, job_of(1)) == "use_not_authorised"

    def test_who_holds_no_data_authorises_nothing(self, party: Any) -> None:
        exchange = party("exchange", limits={"authorisation": "per_use"})
        own = exchange.prepare(job_of(1))
        assert exchange.compute(exchange.hellos(own, job_of(1)), job_of(1)) == "ok"


class TestCounts:
    def test_prepare_states_our_count_beside_the_coordinators(self, party: Any, world_kit: Any) -> None:
        bank = party()
        assert use(bank, 1) == "ok"
        order, under = accepted_prepare(bank, 2, use_number=1)
        answer = bank.attempts.prepare(order, under)
        from hefu.domain.counts import digest_of

        assert answer["uses"] == {"count": 1, "digest": digest_of({job_of(1): 1})}
        said = world_kit.journal(bank.ctx, "uses_counted")[-1]
        assert (said["count"], said["coordinator"]) == (1, 1)
        assert len(answer["evidence"]) == len(evidence_of(bank.ctx, job_of(2), 1)) == 1

    def test_a_coordinator_that_knows_of_fewer_uses(
        self, party: Any, world_kit: Any, monkeypatch: Any
    ) -> None:
        bank = party()
        assert [use(bank, 1), use(bank, 2)] == ["ok", "ok"]
        assert use(bank, 3, use_number=2) == "use_count_differs"
        assert use(bank, 4, use_number=None) == "use_count_missing"
        said = [(s["own"], s["coordinator"]) for s in world_kit.journal(bank.ctx, "use_count_differs")]
        assert said == [(3, 2), (3, None)]
        assert len(counted(bank)) == 2
        assert use(bank, 5) == "ok"
        monkeypatch.setattr(sessions, "require_agreement", lambda *_: None)
        assert use(bank, 6, use_number=1) == "ok"

    def test_the_higher_count_binds(self, party: Any) -> None:
        """The coordinator consumed uses that this holder never joined: they are used up here as well."""
        bank = party(limits={"max_uses": 3})
        assert use(bank, 1, use_number=3) == "ok"
        assert use(bank, 2, use_number=4) == "uses_exhausted"
        assert use(bank, 3, use_number=3) == "ok"

    def test_a_use_that_another_job_joined_meanwhile_is_no_difference(self, party: Any) -> None:
        """Two jobs at once: the one whose order was written first may come second."""
        bank = party()
        commitments = {n: bank.world.prepared(bank.ctx, bank.contract, job_of(n)) for n in (1, 2)}
        hellos = {n: bank.hellos(bank.prepare(job_of(n)), job_of(n)) for n in (1, 2)}
        assert bank.compute(hellos[2], job_of(2), commitment=commitments[2], use_number=2) == "ok"
        assert bank.compute(hellos[1], job_of(1), commitment=commitments[1], use_number=1) == "ok"

    def test_a_node_from_a_backup_counts_again_by_its_own_evidence(self, party: Any, world: Any) -> None:
        bank = party(limits={"max_uses": 3})
        assert [use(bank, 1), use(bank, 2)] == ["ok", "ok"]
        signed = [e for n in (1, 2) for e in evidence_of(bank.ctx, job_of(n), 1)]
        mine = [e for e in signed if b'"kind":"use_consumed"' in payload(e)]
        assert len(mine) == 2
        with bank.ctx.session() as session:
            for row in session.exec(select(UseRow)):
                session.delete(row)
            session.commit()
        contract_id = bank.contract.contract_id
        assert uses.recount(bank.ctx, contract_id, mine) == 2
        assert uses.recount(bank.ctx, contract_id, mine) == 0
        assert {u.job for u in counted(bank)} == {job_of(1), job_of(2)}
        assert [(u.rows, u.rows_all) for u in counted(bank)] == [(3, 6)] * 2
        assert [use(bank, 3), use(bank, 4)] == ["ok", "uses_exhausted"]

    def test_nobody_elses_evidence_uses_a_contract_up(self, party: Any, monkeypatch: Any) -> None:
        bank = party()
        assert use(bank, 1) == "ok"
        signed = evidence_of(bank.ctx, job_of(1), 1)
        mine = next(e for e in signed if b'"kind":"use_consumed"' in payload(e))
        other = next(e for e in signed if b'"kind":"session_joined"' in payload(e))
        for contract_id, envelope in (("HF-TEST-9", mine), (bank.contract.contract_id, other), ("x", "AAAA")):
            with pytest.raises(Refusal) as caught:
                uses.recount(bank.ctx, contract_id, [envelope])
            assert caught.value.body["code"] == "evidence_invalid"
        bank.ctx.keys = bank.world.stranger  # whoever this is, the evidence is not its own
        with pytest.raises(Refusal):
            uses.recount(bank.ctx, bank.contract.contract_id, [mine])

    def test_fifty_at_once_with_room_for_one_more_volume(self, party: Any) -> None:
        bank = party(limits={"max_rows_total": 9})
        ready = [(job_of(n), bank.world.prepared(bank.ctx, bank.contract, job_of(n))) for n in range(50)]

        def one(of: tuple[str, str]) -> str:
            order = bank.world.order(
                bank.contract, "compute", "bank", job=of[0], commitments={"bank": of[1]}, use_number=1
            )
            accepted, under = uses_order(bank, order)
            try:
                with bank.ctx.session() as session:
                    uses.consume(bank.ctx, session, accepted, under)
                    session.commit()
            except Refusal as refusal:
                return str(refusal.body["code"])
            return "ok"

        with ThreadPoolExecutor(50) as pool:
            said = sorted(pool.map(one, ready))
        assert said == ["ok"] + ["rows_total_exceeded"] * 49


def payload(encoded: str) -> bytes:
    from hefu.store.signed import decode_envelope

    return bytes(decode_envelope(encoded).payload)


def accepted_prepare(bank: Any, number: int, **changes: Any) -> Any:
    from hefu.node import orders

    order = bank.world.order(bank.contract, "prepare", "bank", job=job_of(number), **changes)
    return orders.accept(bank.ctx, order, "prepare")


class TestCode:
    def test_other_code_is_found_before_data_is_read(self, party: Any, monkeypatch: Any) -> None:
        bank = party()
        assert installed_code.check_code(bank.ctx, bank.contract) == []
        named = bank.contract.computation.steps[0].code_digest
        monkeypatch.setattr(installed_code, "code_digest", lambda _: "0" * 64)
        (found,) = installed_code.check_code(bank.ctx, bank.contract)
        assert (found.rule, found.party) == ("code_differs", "bank")
        for text in (found.message_zh, found.message_en):
            assert "0" * 64 in text
            assert named in text
        verdict = check_data(bank, monkeypatch)
        assert "code_differs" in [f["rule"] for f in verdict["findings"]]
        monkeypatch.setattr(source_checks, "check_code", lambda *_: [])
        assert "code_differs" not in [f["rule"] for f in check_data(bank, monkeypatch)["findings"]]

    def test_another_engine_is_other_code(self, party: Any, monkeypatch: Any) -> None:
        bank = party()
        monkeypatch.setattr(installed_code, "ENGINE_VERSION", "1.9")
        (found,) = installed_code.check_code(bank.ctx, bank.contract)
        assert "1.9" in found.seen
        assert "1.9" not in found.expected
        assert use(bank, 1) == "code_differs"


def check_data(bank: Any, monkeypatch: Any) -> dict[str, Any]:
    """The verdict of the check of the day's data, before any file is there."""
    from hefu.node import orders

    order = bank.world.order(bank.contract, "check_data", "bank", job=job_of(int(secrets.randbelow(10**6))))
    accepted, under = orders.accept(bank.ctx, order, "check_data")
    return dict(source_checks.check_data(bank.ctx, bank.attempts, accepted, under)["verdict"])


class TestFields:
    def test_fields_are_those_that_the_owner_registered(self, party: Any) -> None:
        bank = party()
        allowed = next(d for d in bank.contract.data_sets if d.owner == "bank")
        registered = [f.model_dump(mode="json") for f in allowed.fields]

        def rules(*fields: dict[str, Any]) -> list[tuple[str, str]]:
            found = source_checks._check_fields(bank.ctx, allowed, {"fields": list(fields)})
            return [(f.rule, f.expected.split(":")[0]) for f in found]

        assert rules(*registered) == []
        assert rules(*registered[1:]) == [("field_absent", "serial")]
        assert rules({**registered[0], "grade": "C3"}, *registered[1:]) == [("field_differs", "serial")]


def test_routes_for_counts_are_the_coordinators(party: Any) -> None:
    bank = party()
    router = order_routes.create_order_router(bank.ctx, bank.attempts)
    assert {r.path for r in router.routes} >= {"/orders/uses", "/orders/recount"}
    assert router.dependencies


def test_uses_of_yesterday_do_not_count_today(party: Any) -> None:
    bank = party(limits={"per_period": [{"period": "day", "max_uses": 1}]})
    assert [use(bank, 1), use(bank, 2)] == ["ok", "uses_exhausted"]
    with bank.ctx.session() as session:
        row = session.exec(select(UseRow)).one()
        row.at = now() - timedelta(hours=25)
        session.add(row)
        session.commit()
    assert use(bank, 3) == "ok"
