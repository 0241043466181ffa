"""Release at N0 and N2, each verifying for itself, and what a recipient takes."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from hefu.node import half_inbox, half_outbox, orders, registry, review_checks
from hefu.store.base import now
from hefu.store.node_tables import JobRow, JournalRow, ResultRow
from hefu.store.signed import encode_envelope
from hefu.wire.errors import AcknowledgementInvalid, PeerRefused
from hefu.wire.refusal import Refusal
from hefu_ledger.evidence import Evidence
from sqlmodel import select

pytestmark = pytest.mark.server

SEALED = b"a sealed half"
DIGEST = hashlib.sha256(SEALED).hexdigest()


class Holder:
    """The exchange's node (N2) with a half that waits for its release."""

    def __init__(self, world: Any, kit: Any, ctx: Any, contract: Any) -> None:
        self.world, self.kit, self.ctx, self.contract = world, kit, ctx, contract
        world.prepared(ctx, contract)
        folder = ctx.paths.work / kit.JOB
        folder.mkdir()
        (folder / "half").write_bytes(SEALED)
        with ctx.session() as session:
            row = session.get_one(JobRow, (kit.JOB, 1))
            row.half_path, row.half_digest, row.state = str(folder / "half"), DIGEST, "computed"
            session.add(row)
            own = {"passed": True, "half": DIGEST, "recipient": "regulator", "rules": []}
            ctx.record(
                session, "output_checked", own, contract=contract.digest, job=kit.JOB, attempt=1,
                stage="check_output",
            )  # fmt: skip
            session.commit()
        ctx.client.answers["POST", "/peer/results"] = {"complete": False}

    def checked(self, *, signed_by: Any = None, halves: Any = None, **changes: Any) -> Any:
        """The coordinator's evidence of its output check."""
        at = changes.pop("at", now()).isoformat(timespec="microseconds").replace("+00:00", "Z")
        value: dict[str, Any] = {
            "kind": "output_checked",
            "actor": "coordinator",
            "at": at,
            "contract": self.contract.digest,
            "job": self.kit.JOB,
            "attempt": 1,
            "stage": "check_output",
            "body": {"passed": True, "halves": {"exchange": DIGEST} if halves is None else halves},
            "signer_seq": 1,
            "prev": None,
            "checkpoint": None,
        }
        return Evidence(**{**value, **changes}).sign((signed_by or self.world.coordinator).identity)

    def decision(self, checked: Any, **changes: Any) -> str:
        """A decision on what the output check names."""
        return str(self.world.decision(self.contract, **{"checked": checked.id, **changes}))

    def release(self, *, decisions: Any = None, envelope: Any = None, receipt: Any = None) -> str:
        """ok, or the reason code."""
        envelope = envelope or self.checked()
        receipt = self.world.receipts([envelope])[0] if receipt is None else receipt
        decisions = [self.decision(envelope)] if decisions is None else decisions
        order = self.world.order(self.contract, "release", "exchange")
        try:
            accepted, under = orders.accept(self.ctx, order, "release")
            with orders.refusals_kept(self.ctx, accepted, order):
                half_outbox.release(self.ctx, accepted, under, decisions, receipt, encode_envelope(envelope))
        except Refusal as refusal:
            code = str(refusal.body["code"])
        else:
            code = "ok"
        if code != "ok":
            assert self.ctx.client.sent("/peer/results") == []
            assert self.kit.refused_orders(self.ctx)[-1] == code
            return code
        assert [to for to, _ in self.ctx.client.sent("/peer/results")] == ["regulator"]
        return "ok"


@pytest.fixture
def holder(world: Any, world_kit: Any, node: Any) -> Holder:
    contract = world.contract()
    return Holder(world, world_kit, node("exchange", contract), contract)


class TestRelease:
    def test_an_honest_one(self, holder: Holder) -> None:
        assert holder.release() == "ok"
        assert [e["half"] for e in holder.kit.journal(holder.ctx, "half_released")] == [DIGEST]

    def test_without_the_reviewers_decision(self, holder: Holder, monkeypatch: Any) -> None:
        w, mine = holder.world, holder.checked()
        other = holder.checked(body={"passed": True, "halves": {"exchange": "0" * 64}})
        for name, decisions in {
            "absent": [],
            "forged": [holder.decision(mine, signed_by=w.stranger)],
            "by another party": [holder.decision(mine, org_id="operator")],
            "in the reviewer's name": [holder.decision(mine, org_id="auditor", signed_by="operator")],
            "of another job": [holder.decision(mine, job="J20260303AAAAAAAA")],
            "of another attempt": [holder.decision(mine, attempt=2)],
            "of another contract": [w.decision(w.contract(contract_id="HF-TEST-OTHER"), checked=mine.id)],
            "on other halves": [holder.decision(other)],
            "dated in the future": [holder.decision(mine, at=now() + timedelta(minutes=6))],
            "dated before the result": [holder.decision(mine, at=now() - timedelta(minutes=6))],
            "garbage": ["AAAA", ""],
        }.items():
            assert holder.release(decisions=decisions, envelope=mine) == "not_reviewed", name
        refused = [holder.decision(mine, approved=False)]
        assert holder.release(decisions=refused, envelope=mine) == "review_refused"
        monkeypatch.setattr(review_checks, "verify_review", lambda *_: None)
        assert holder.release(decisions=[]) == "ok"

    def test_receipts_that_are_absent_forged_or_of_others(self, holder: Holder, monkeypatch: Any) -> None:
        w = holder.world
        mine, other = holder.checked(), holder.checked(body={"passed": True, "halves": {}})
        honest = w.receipts([mine])[0]
        fake = holder.kit.make_world()
        for name, receipt in {
            "absent": "",
            "garbage": "c2sp.org/tlog-proof@v1\nindex 0\n\n",
            "under another key": fake.receipts([mine])[0],
            "of another entry": w.receipts([other])[0],
            "another place": w.receipts([other, mine])[0],
            "flipped": honest.replace("\nindex 0", "\nindex 1"),
            "truncated": honest[:-20],
        }.items():
            assert holder.release(envelope=mine, receipt=receipt) == "evidence_invalid", name
        monkeypatch.setattr(half_outbox, "_verify_checkpoint", lambda *_: None)
        assert holder.release(envelope=mine, receipt="") == "ok"

    def test_evidence_of_something_else(self, holder: Holder) -> None:
        w = holder.world
        for name, changes in {
            "not passed": {"body": {"passed": False, "halves": {"exchange": DIGEST}}},
            "another kind": {"kind": "computation_checked"},
            "another job": {"job": "J20260303AAAAAAAA"},
            "another attempt": {"attempt": 2},
            "another contract": {"contract": "0" * 64},
        }.items():
            assert holder.release(envelope=holder.checked(**changes)) == "evidence_invalid", name
        by_operator = holder.checked(signed_by=w.keys["operator"], actor="operator")
        assert holder.release(envelope=by_operator) == "evidence_invalid"
        assert holder.release(envelope=holder.checked(signed_by=w.stranger)) == "evidence_invalid"

    def test_a_receipt_of_another_half(self, holder: Holder) -> None:
        for halves in ({}, {"exchange": "0" * 64}, {"operator": DIGEST}):
            assert holder.release(envelope=holder.checked(halves=halves)) == "half_differs", halves
        assert holder.release() == "ok"

    def test_a_stale_checkpoint(self, holder: Holder) -> None:
        """People may take their time over a result; what counts then is the age of the last approval."""
        age = timedelta(seconds=holder.contract.limits.checkpoint_max_age_seconds)
        old = holder.checked(at=now() - age - timedelta(hours=40))
        late, in_time = (holder.decision(old, at=now() - age + timedelta(seconds=by)) for by in (-5, 60))
        assert holder.release(envelope=old, decisions=[late]) == "checkpoint_stale"
        assert holder.release(envelope=old, decisions=[in_time]) == "ok"

    def test_the_age_is_what_stops_a_stale_one(self, holder: Holder, monkeypatch: Any) -> None:
        age = timedelta(seconds=holder.contract.limits.checkpoint_max_age_seconds)
        old = holder.checked(at=now() - age - timedelta(hours=40))
        late = holder.decision(old, at=now() - age - timedelta(seconds=5))
        monkeypatch.setattr(half_outbox, "_verify_age", lambda *_: None)
        assert holder.release(envelope=old, decisions=[late]) == "ok"

    def test_an_output_that_nobody_reviews_goes_stale_by_its_check(
        self, world: Any, world_kit: Any, node: Any
    ) -> None:
        outputs = [{**world.contract_value()["outputs"][0], "reviewers": []}]
        contract = world.contract(outputs=outputs)
        holder = Holder(world, world_kit, node("exchange", contract), contract)
        age = timedelta(seconds=contract.limits.checkpoint_max_age_seconds)
        old, young = (
            holder.checked(at=now() - age + by) for by in (timedelta(seconds=-5), timedelta(seconds=60))
        )
        assert holder.release(envelope=old, decisions=[]) == "checkpoint_stale"
        assert holder.release(envelope=young, decisions=[]) == "ok"

    def test_a_half_altered_on_disk(self, holder: Holder) -> None:
        (holder.ctx.paths.work / holder.kit.JOB / "half").write_bytes(b"another")
        assert holder.release() == "half_altered"

    def test_no_half_held(self, holder: Holder) -> None:
        with holder.ctx.session() as session:
            session.delete(session.get_one(JobRow, (holder.kit.JOB, 1)))
            session.commit()
        assert holder.release() == "half_missing"

    def test_a_suspension_after_the_computation(self, holder: Holder) -> None:
        registry.take_standing(holder.ctx, holder.world.standing("regulator", "suspended"))
        assert holder.release() == "participant_suspended"

    @pytest.mark.parametrize(
        ("error", "code", "status"),
        [
            (
                PeerRefused("regulator", 403, "contract_not_active", "suspended", {}),
                "contract_not_active",
                403,
            ),
            (PeerRefused("regulator", 500, "internal_error", "internal error", {}), "internal_error", 502),
            (AcknowledgementInvalid("regulator", "not signed"), "answer_invalid", 502),
        ],
    )
    def test_a_recipient_that_refuses_is_named(
        self, holder: Holder, error: Exception, code: str, status: int
    ) -> None:
        """Not an internal error of this node, which would be tried again in vain."""
        holder.ctx.client.answers["POST", "/peer/results"] = error
        order = holder.world.order(holder.contract, "release", "exchange")
        accepted, under = orders.accept(holder.ctx, order, "release")
        envelope = holder.checked()
        receipt = holder.world.receipts([envelope])[0]
        with pytest.raises(Refusal) as caught:
            half_outbox.release(
                holder.ctx, accepted, under, [holder.decision(envelope)], receipt,
                encode_envelope(envelope),
            )  # fmt: skip
        assert (caught.value.body["code"], caught.value.status) == (code, status)
        assert caught.value.body["party"] == "regulator"


class TestRolledBackLedger:
    def receipted(self, holder: Holder, before: int, *, ago: timedelta) -> None:
        """This node has a receipt: its entry stands behind `before` others in the true log."""
        from hefu.store.signed import decode_envelope

        with holder.ctx.session() as session:
            row = session.exec(select(JournalRow).order_by(JournalRow.signer_seq)).first()  # type: ignore[arg-type]
            assert row is not None
            own = decode_envelope(row.envelope)
            log = [holder.checked(job=f"J2026030{n}BBBBBBBB") for n in range(before)]
            row.receipt = holder.world.receipts([*log, own], at=now() - ago)[before]
            row.entry_seq = before
            session.add(row)
            session.commit()

    def test_behind_our_receipt(self, holder: Holder, monkeypatch: Any) -> None:
        """We hold a receipt of entry 5; the log that is shown logs something later at 0: what lay between was dropped."""
        self.receipted(holder, 5, ago=timedelta(minutes=5))
        assert holder.release() == "ledger_rolled_back"
        monkeypatch.setattr(half_outbox, "_check_not_rolled_back", lambda *_: None)
        assert holder.release() == "ok"

    def test_another_entry_at_our_place(self, holder: Holder) -> None:
        self.receipted(holder, 0, ago=timedelta(minutes=5))
        assert holder.release() == "ledger_rolled_back"

    def test_ours_earlier_is_as_it_should_be(self, holder: Holder) -> None:
        self.receipted(holder, 0, ago=timedelta(minutes=5))
        mine = holder.checked()
        filler = holder.checked(job="J20260309BBBBBBBB")
        assert holder.release(envelope=mine, receipt=holder.world.receipts([filler, mine])[1]) == "ok"

    def test_ours_later_is_as_it_should_be(self, holder: Holder) -> None:
        """The node's receipt may be younger than the checkpoint that the coordinator took a moment before."""
        self.receipted(holder, 5, ago=timedelta(0))
        mine = holder.checked()
        older = holder.world.receipts([mine], at=now() - timedelta(minutes=1))[0]
        assert holder.release(envelope=mine, receipt=older) == "ok"


class TestTakingAHalf:
    def body(self, holder: Any, sealed: bytes = SEALED, **changes: Any) -> bytes:
        head = {
            "contract": holder["contract"].digest,
            "job": holder["kit"].JOB,
            "attempt": 1,
            "business_date": holder["kit"].DAY,
            "digest": hashlib.sha256(sealed).hexdigest(),
            "batches": holder["kit"].BATCHES,
        } | changes
        raw = json.dumps(head).encode()
        return len(raw).to_bytes(4, "big") + raw + sealed

    @pytest.fixture
    def at(self, world: Any, world_kit: Any, node: Any) -> dict[str, Any]:
        contract = world.contract()
        return {"ctx": node("regulator", contract), "contract": contract, "kit": world_kit}

    def take(self, at: dict[str, Any], sender: str, body: bytes) -> Any:
        try:
            return half_inbox.take_half(at["ctx"], sender, body)["complete"]
        except Refusal as refusal:
            return refusal.body["code"]

    def test_both_halves_make_a_result(self, at: Any) -> None:
        assert self.take(at, "operator", self.body(at)) is False
        assert self.take(at, "operator", self.body(at)) is False  # sent again
        assert self.take(at, "exchange", self.body(at, b"the other")) is True
        assert len(at["kit"].journal(at["ctx"], "half_received")) == 2

    def test_from_others_than_n0_and_n2(self, at: Any) -> None:
        for sender in ("bank", "institution", "auditor", "regulator"):
            assert self.take(at, sender, self.body(at)) == "not_entitled"

    def test_a_job_number_that_is_a_path(self, at: Any) -> None:
        for job in ("../../../escape", "J1/../../escape", "", 7):
            assert self.take(at, "operator", self.body(at, job=job)) == "half_invalid", job
        assert list(at["ctx"].paths.results.iterdir()) == []

    @pytest.mark.parametrize(
        "body", [b"", b"\x00\x00", b"\xff\xff\xff\xffx", b"\x00\x00\x00\x02{}", b"\x00\x00\x00\x04null"]
    )
    def test_garbage(self, at: Any, body: bytes) -> None:
        assert self.take(at, "operator", body) == "half_invalid"

    def test_another_half_of_the_same_attempt(self, at: Any) -> None:
        """What came first stays: a compute node cannot exchange it after it saw how it was received."""
        self.take(at, "operator", self.body(at))
        assert self.take(at, "operator", self.body(at, b"better")) == "half_differs"
        with at["ctx"].session() as session:
            row = session.exec(select(ResultRow)).one()
        assert row.halves["operator"]["digest"] == DIGEST

    def test_an_earlier_attempt_does_not_replace_a_later_one(self, at: Any) -> None:
        self.take(at, "operator", self.body(at, attempt=2))
        assert self.take(at, "exchange", self.body(at)) == "half_differs"
        assert self.take(at, "exchange", self.body(at, attempt=2)) is True

    def test_a_later_attempt_replaces_what_nobody_opened(self, at: Any) -> None:
        """Its release broke off: the halves of one attempt belong together."""
        self.take(at, "operator", self.body(at))
        assert self.take(at, "operator", self.body(at, b"again", attempt=2)) is False
        assert self.take(at, "exchange", self.body(at, b"the other", attempt=2)) is True

    def test_what_was_opened_stays(self, at: Any) -> None:
        """One compute node alone could else take the result away again from whom it was made for."""
        self.take(at, "operator", self.body(at))
        self.take(at, "exchange", self.body(at, b"the other"))
        with at["ctx"].session() as session:
            row = session.exec(select(ResultRow)).one()
            row.opened_at = now()
            session.add(row)
            session.commit()
        assert self.take(at, "operator", self.body(at, b"again", attempt=2)) is True
        with at["ctx"].session() as session:
            row = session.exec(select(ResultRow)).one()
        assert (row.attempt, row.halves["operator"]["digest"]) == (1, DIGEST)
        assert row.opened_at is not None
        assert len(at["kit"].journal(at["ctx"], "half_received")) == 2

    def test_a_digest_that_does_not_fit(self, at: Any) -> None:
        assert self.take(at, "operator", self.body(at, digest="0" * 64)) == "digest_mismatch"
