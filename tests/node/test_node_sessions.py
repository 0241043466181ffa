"""Sessions and uses at a node: who may join, that nothing is used twice, that the (N+1)-th use fails whatever the coordinator says."""

import base64
import errno
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hefu.node import code as installed_code
from hefu.node import orders, sessions, uses
from hefu.node.sessions import Attempts
from hefu.store.base import now
from hefu.store.node_tables import SessionSeenRow, UseRow
from hefu.wire.refusal import Refusal
from sqlmodel import select

pytestmark = pytest.mark.server


class NoSwitchboard:
    """No channel is opened in these tests."""

    def unregister(self, job: str, attempt: int) -> None:
        """Nothing was registered."""


class Party:
    """One node's attempts, driven as the order routes drive them; no worker is started."""

    def __init__(self, world: Any, kit: Any, ctx: Any, contract: Any) -> None:
        self.world, self.kit, self.ctx, self.contract = world, kit, ctx, contract
        self.attempts = Attempts(ctx, NoSwitchboard())  # type: ignore[arg-type]
        self.attempts._task = lambda *_: None  # type: ignore[method-assign]  # a party that computes nothing

    def prepare(self, job: str, attempt: int = 1) -> str:
        order = self.world.order(self.contract, "prepare", self.ctx.org_id, job=job, attempt=attempt)
        accepted = orders.accept(self.ctx, order, "prepare")
        return str(self.attempts.prepare(*accepted)["hello"])

    def hellos(self, own: str, job: str, attempt: int = 1, **changes: Any) -> dict[str, str]:
        said = {
            org: self.world.hello(self.contract, org, job=job, attempt=attempt)
            for org in self.kit.CAST
            if org != self.ctx.org_id
        }
        return {**said, self.ctx.org_id: own, **changes}

    def compute(
        self,
        hellos: dict[str, str],
        job: str,
        attempt: int = 1,
        commitment: str = "",
        batches: Any = None,
        **changes: Any,
    ) -> str:
        """ok, or the reason code."""
        said = self.kit.BATCHES if batches is None else batches
        told = {"use_number": self.number(job, commitment), "rows": self.rows(said), **changes}
        commitments = {self.ctx.org_id: commitment} if commitment else {}
        order = self.world.order(
            self.contract,
            "compute",
            self.ctx.org_id,
            job=job,
            attempt=attempt,
            commitments=commitments,
            **told,
        )
        try:
            accepted, under = orders.accept(self.ctx, order, "compute")
            with orders.refusals_kept(self.ctx, accepted, order):
                self.attempts.compute(accepted, under, hellos, [], said)
        except Refusal as refusal:
            return str(refusal.body["code"])
        return "ok"

    def number(self, job: str, commitment: str) -> int:
        """The number of this use by the count of a coordinator that knows what this node knows."""
        with self.ctx.session() as session:
            others = [u for u in session.exec(select(UseRow)) if (u.job, u.commitment) != (job, commitment)]
        return len(others) + 1

    def rows(self, batches: Any) -> int:
        """What an honest order says of these batches."""
        return sum(b["rows"] for b in batches if isinstance(b["rows"], int) and b["rows"] > 0)

    def run(self, job: str, commitment: str, attempt: int = 1) -> str:
        """An honest attempt from hello to use."""
        own = self.prepare(job, attempt)
        return self.compute(self.hellos(own, job, attempt), job, attempt, commitment)


@pytest.fixture
def party(world: Any, world_kit: Any, node: Any) -> Callable[..., Party]:
    def make(org_id: str = "bank", **changes: Any) -> Party:
        contract = world.contract(**changes)
        return Party(world, world_kit, node(org_id, contract), contract)

    return make


def job_of(number: int) -> str:
    return f"J20260302{number:08d}"


def counted(party: Party) -> list[UseRow]:
    with party.ctx.session() as session:
        return list(session.exec(select(UseRow)))


class TestSessions:
    def test_an_honest_one_is_joined_and_recorded(self, party: Any, world_kit: Any) -> None:
        bank = party()
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        assert bank.run(job_of(1), commitment) == "ok"
        joined = world_kit.journal(bank.ctx, "session_joined")
        assert [j["cast"] for j in joined] == [sorted(world_kit.CAST)]
        assert world_kit.refused_orders(bank.ctx) == []

    def test_same_hellos_again(self, party: Any, world_kit: Any) -> None:
        """Begun once, the attempt takes no second start, whoever repeats the hellos."""
        bank = party()
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        hellos = bank.hellos(bank.prepare(job_of(1)), job_of(1))
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "ok"
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "not_prepared"
        assert world_kit.refused_orders(bank.ctx) == ["not_prepared"]

    def test_same_hellos_after_a_restart(self, party: Any, world_kit: Any) -> None:
        """A fresh process knows no attempt: what the coordinator replays was not prepared there."""
        bank = party()
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        hellos = bank.hellos(bank.prepare(job_of(1)), job_of(1))
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "ok"
        again = Party(bank.world, world_kit, bank.ctx, bank.contract)
        assert again.compute(hellos, job_of(1), commitment=commitment) == "not_prepared"
        again.prepare(job_of(1))
        assert again.compute(hellos, job_of(1), commitment=commitment) == "session_invalid"

    def test_same_session_even_where_the_secret_was_kept(self, party: Any, world_kit: Any) -> None:
        bank = party()
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        hellos = bank.hellos(bank.prepare(job_of(1)), job_of(1))
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "ok"
        bank.attempts._live[job_of(1), 1].state = "prepared"  # the first guard, removed
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "session_replayed"
        assert world_kit.refused_orders(bank.ctx) == ["session_replayed"]
        with bank.ctx.session() as session:  # the second one too: it passes
            session.delete(session.exec(select(SessionSeenRow)).one())
            session.commit()
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "ok"

    def test_hellos_that_are_missing_forged_or_of_others(
        self, party: Any, world_kit: Any, monkeypatch: Any
    ) -> None:
        bank = party()
        w, contract = bank.world, bank.contract
        commitment = w.prepared(bank.ctx, contract, job_of(1))
        own = bank.prepare(job_of(1))
        whole = bank.hellos(own, job_of(1))
        other = w.contract(contract_id="HF-TEST-OTHER")
        attacks = {
            "missing": {k: v for k, v in whole.items() if k != "exchange"},
            "foreign party": {**whole, "auditor": w.hello(contract, "auditor", job=job_of(1))},
            "stranger": {
                **whole,
                "mallory": w.hello(contract, "mallory", job=job_of(1), signed_by=w.stranger),
            },
            "forged": {
                **whole,
                "exchange": w.hello(contract, "exchange", job=job_of(1), signed_by=w.stranger),
            },
            "of another party": {
                **whole,
                "exchange": w.hello(contract, "operator", job=job_of(1), claims="exchange"),
            },
            "under another name": {
                **whole,
                "exchange": w.hello(contract, "exchange", job=job_of(1), claims="bank"),
            },
            "of another job": {**whole, "exchange": w.hello(contract, "exchange", job=job_of(2))},
            "of another attempt": {
                **whole,
                "exchange": w.hello(contract, "exchange", job=job_of(1), attempt=2),
            },
            "of another contract": {**whole, "exchange": w.hello(other, "exchange", job=job_of(1))},
            "own one swapped": {**whole, "bank": w.hello(contract, "bank", job=job_of(1))},
            "no hello": {**whole, "exchange": "AAAA"},
        }
        for name, hellos in attacks.items():
            assert bank.compute(hellos, job_of(1), commitment=commitment) == "session_invalid", name
        assert world_kit.refused_orders(bank.ctx) == ["session_invalid"] * len(attacks)
        assert counted(bank) == []
        monkeypatch.setattr(
            bank.attempts,
            "_verify_hellos",
            lambda order, contract, hellos, attempt: {"bank": attempt.secret.hello()},
        )
        assert bank.compute(attacks["forged"], job_of(1), commitment=commitment) == "ok"

    def test_one_attempt_is_computed_once_however_many_orders_come_at_once(
        self, party: Any, monkeypatch: Any
    ) -> None:
        """A coordinator that gets two hellos of a peer would else make two sessions of one secret, at the same moment."""
        bank = party()
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        own = bank.prepare(job_of(1))
        meanwhile: list[str] = []
        check = bank.attempts._check_code

        def another_order_comes(contract: Any) -> None:
            check(contract)
            if not meanwhile:
                meanwhile.append("")
                meanwhile[0] = bank.compute(bank.hellos(own, job_of(1)), job_of(1), commitment=commitment)

        monkeypatch.setattr(bank.attempts, "_check_code", another_order_comes)
        assert bank.compute(bank.hellos(own, job_of(1)), job_of(1), commitment=commitment) == "ok"
        assert meanwhile == ["not_prepared"]
        with bank.ctx.session() as session:
            assert len(session.exec(select(SessionSeenRow)).all()) == 1

    def test_a_refused_computation_may_be_ordered_again(self, party: Any) -> None:
        bank = party()
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        hellos = bank.hellos(bank.prepare(job_of(1)), job_of(1))
        assert bank.compute(hellos, job_of(1), commitment="0" * 64) == "commitment_differs"
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "ok"

    def test_the_worker_is_told_what_the_use_was_counted_for(self, party: Any, monkeypatch: Any) -> None:
        """It shares nothing else: files may have been read anew since."""
        told: list[Any] = []
        bank = party()
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1), salt="c2FsdA==")
        own = bank.prepare(job_of(1))
        monkeypatch.setattr(bank.attempts, "_attend", lambda *args: told.append(args[-1]))
        bank.attempts._task = lambda *_: {"task": "compute"}
        assert bank.compute(bank.hellos(own, job_of(1)), job_of(1), commitment=commitment) == "ok"
        for _ in range(100):
            if told:
                break
            time.sleep(0.05)
        assert len(base64.b64decode(told[0].pop("storage_key"))) == 32
        assert told == [{"task": "compute", "input": {"commitment": commitment, "salt": "c2FsdA=="}}]

    def test_an_abort_during_the_start_is_not_lost(self, party: Any, monkeypatch: Any) -> None:
        bank = party()
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        own = bank.prepare(job_of(1))
        monkeypatch.setattr(bank.attempts, "_check_code", lambda _: bank.attempts.abort(job_of(1), 1))
        bank.compute(bank.hellos(own, job_of(1)), job_of(1), commitment=commitment)
        assert bank.attempts.status(job_of(1), 1)["state"] == "aborted"

    @pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "disk_full"), (errno.ENOMEM, "work_failed")])
    def test_a_worker_that_cannot_be_started_is_a_failure(
        self, party: Any, monkeypatch: Any, number: int, code: str
    ) -> None:
        """Else the others would compute with nobody until their deadline."""

        def fail(*_: Any) -> None:
            raise OSError(number, "no")

        bank = party()
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        own = bank.prepare(job_of(1))
        monkeypatch.setattr(sessions, "WorkerProcess", fail)
        bank.attempts._task = lambda *_: {"task": "compute"}
        assert bank.compute(bank.hellos(own, job_of(1)), job_of(1), commitment=commitment) == "ok"
        for _ in range(100):
            if bank.attempts.status(job_of(1), 1)["state"] != "computing":
                break
            time.sleep(0.05)
        status = bank.attempts.status(job_of(1), 1)
        assert (status["state"], status["code"]) == ("failed", code)

    def test_prepared_under_one_day_computed_under_another(self, party: Any) -> None:
        exchange = party("exchange")
        hellos = exchange.hellos(exchange.prepare(job_of(1)), job_of(1))
        assert exchange.compute(hellos, job_of(1), business_date="2026-03-03") == "not_prepared"
        assert exchange.compute(hellos, job_of(1)) == "ok"

    @pytest.mark.parametrize(
        "change",
        [
            {"rows": 2_000_000},
            {"rows": -1},
            {"rows": "3"},
            {"rows": 4},
            {"batch": 7},
            {"owner": "exchange"},
            {"side": "institution"},
            {"more": 1},
        ],
        ids=str,
    )
    def test_batches_other_than_the_contracts_or_our_own(
        self, party: Any, world_kit: Any, change: dict[str, Any]
    ) -> None:
        bank = party()
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        hellos = bank.hellos(bank.prepare(job_of(1)), job_of(1))
        said = [world_kit.BATCHES[0], {**world_kit.BATCHES[1], **change}]
        assert bank.compute(hellos, job_of(1), commitment=commitment, batches=said) == "batches_invalid"
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "ok"

    def test_volume_passes_without_its_guard(self, party: Any, world_kit: Any, monkeypatch: Any) -> None:
        bank = party(limits={"max_rows": 5})
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        hellos = bank.hellos(bank.prepare(job_of(1)), job_of(1))
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "batches_invalid"  # 3 + 3 rows
        monkeypatch.setattr(sessions, "check_batches", lambda *_: None)
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "rows_exceeded"  # guarded twice
        monkeypatch.setattr(uses, "check_limits", lambda *_, **__: [])
        assert bank.compute(hellos, job_of(1), commitment=commitment) == "ok"

    def test_other_code_than_the_contract_names(self, party: Any, monkeypatch: Any) -> None:
        bank = party()
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        monkeypatch.setattr(installed_code, "code_digest", lambda name: "0" * 64)
        assert bank.run(job_of(1), commitment) == "code_differs"


class TestUses:
    def test_the_use_after_the_last_fails_whatever_the_coordinator_says(
        self, party: Any, world_kit: Any, monkeypatch: Any
    ) -> None:
        bank = party(limits={"max_uses": 2})
        for number in (1, 2):
            commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(number))
            assert bank.run(job_of(number), commitment) == "ok"
        third = bank.world.prepared(bank.ctx, bank.contract, job_of(3))
        assert bank.run(job_of(3), third) == "uses_exhausted"
        assert world_kit.refused_orders(bank.ctx) == ["uses_exhausted"]
        assert [u["use"] for u in world_kit.journal(bank.ctx, "use_consumed")] == [1, 2]
        monkeypatch.setattr(uses, "check_limits", lambda *_, **__: [])
        assert (
            bank.compute(bank.hellos(bank.prepare(job_of(3)), job_of(3)), job_of(3), commitment=third) == "ok"
        )

    def test_fifty_at_once_with_one_use_left(self, party: Any, world_kit: Any) -> None:
        """The database decides: exactly one of fifty concurrent computations consumes the last use."""
        bank = party(limits={"max_uses": 4})
        for number in range(3):
            commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(number))
            assert bank.run(job_of(number), commitment) == "ok"
        ready = [
            (job_of(n), bank.world.prepared(bank.ctx, bank.contract, job_of(n))) for n in range(100, 150)
        ]

        def one(one_of: tuple[str, str]) -> str:
            job, commitment = one_of
            order = bank.world.order(
                bank.contract, "compute", "bank", job=job, commitments={"bank": commitment}
            )
            accepted, under = orders.accept(bank.ctx, order, "compute")
            try:
                with bank.ctx.session() as session:
                    uses.consume(bank.ctx, session, accepted, under)
                    session.commit()
            except Refusal as refusal:
                return str(refusal.body["code"])
            return "ok"

        with ThreadPoolExecutor(50) as pool:
            said = sorted(pool.map(one, ready))
        assert said == ["ok"] + ["uses_exhausted"] * 49
        assert len(counted(bank)) == 4
        assert sorted(u["use"] for u in world_kit.journal(bank.ctx, "use_consumed")) == [1, 2, 3, 4]

    def test_another_input_is_another_use(self, party: Any) -> None:
        """The same job, started again on other data: no free retry."""
        bank = party(limits={"max_uses": 1})
        job, first = job_of(1), bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        assert bank.run(job, first) == "ok"
        assert bank.run(job, first, attempt=2) == "ok"  # a retry
        other = secrets.token_hex(32)
        assert bank.run(job, other, attempt=3) == "commitment_differs"  # not what we committed to
        with bank.ctx.session() as session:
            row = uses.committed(session, job)
            assert row is not None
            row.input = {**row.input, "commitment": other}
            session.add(row)
            session.commit()
        own = bank.prepare(job, 3)
        assert bank.compute(bank.hellos(own, job, 3), job, 3, other) == "uses_exhausted"

    def test_no_commitment_no_use(self, party: Any) -> None:
        bank = party()
        own = bank.prepare(job_of(1))
        assert bank.compute(bank.hellos(own, job_of(1)), job_of(1)) == "commitment_differs"
        assert (
            bank.compute(bank.hellos(own, job_of(1)), job_of(1), commitment="0" * 64) == "commitment_differs"
        )
        assert counted(bank) == []

    def test_retries_are_free_but_three_at_most(self, party: Any) -> None:
        bank = party(limits={"max_uses": 1})
        job, commitment = job_of(1), bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        assert [bank.run(job, commitment, n) for n in (1, 2, 3)] == ["ok"] * 3
        assert [(u.attempts, u.commitment) for u in counted(bank)] == [(3, commitment)]
        bank.attempts._live.clear()
        assert bank.run(job, commitment, 3) == "attempts_exhausted"

    def test_uses_of_a_day(self, party: Any) -> None:
        bank = party(limits={"per_period": [{"period": "day", "max_uses": 1}]})
        first = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        second = bank.world.prepared(bank.ctx, bank.contract, job_of(2))
        assert bank.run(job_of(1), first) == "ok"
        assert bank.run(job_of(2), second) == "uses_exhausted"
        with bank.ctx.session() as session:
            row = session.exec(select(UseRow)).one()
            row.at = now() - timedelta(hours=25)
            session.add(row)
            session.commit()
        own = bank.prepare(job_of(2))
        assert bank.compute(bank.hellos(own, job_of(2)), job_of(2), commitment=second) == "ok"

    def test_a_new_version_does_not_reset_the_count(self, party: Any, world_kit: Any) -> None:
        bank = party(limits={"max_uses": 1})
        first = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        assert bank.run(job_of(1), first) == "ok"
        newer = bank.world.contract(version=2, previous=bank.contract.digest, limits={"max_uses": 1})
        bank.world.put_in_force(bank.ctx, newer)
        second = bank.world.prepared(bank.ctx, newer, job_of(2))
        assert Party(bank.world, world_kit, bank.ctx, newer).run(job_of(2), second) == "uses_exhausted"

    def test_a_refusal_leaves_no_use_behind(self, party: Any, monkeypatch: Any) -> None:
        """Use, session and evidence are one transaction."""
        bank = party()
        commitment = bank.world.prepared(bank.ctx, bank.contract, job_of(1))
        real = bank.ctx.record

        def broken(session: Any, kind: str, *args: Any, **where: Any) -> str:
            if kind == "session_joined":
                raise RuntimeError("the disk is full")
            return str(real(session, kind, *args, **where))

        own = bank.prepare(job_of(1))
        monkeypatch.setattr(bank.ctx, "record", broken)
        with pytest.raises(RuntimeError):
            bank.compute(bank.hellos(own, job_of(1)), job_of(1), commitment=commitment)
        monkeypatch.undo()
        assert counted(bank) == []
        with bank.ctx.session() as session:
            assert session.exec(select(SessionSeenRow)).all() == []

    def test_who_owns_no_data_counts_none(self, party: Any) -> None:
        exchange = party("exchange")
        own = exchange.prepare(job_of(1))
        assert exchange.compute(exchange.hellos(own, job_of(1)), job_of(1)) == "ok"
        assert counted(exchange) == []
