"""The ledger behind the coordinator: its writer's thread, and browsing."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu.coordinator import ledger
from hefu.store.signed import encode_envelope
from hefu_ledger.errors import RollbackDetected, SequencerBusy, StoreUnavailable
from hefu_ledger.evidence import Evidence

pytestmark = pytest.mark.server


class Writer:
    """A sequencer that ends as told, then stops the coordinator."""

    ends: list[Exception] = []
    runs = 0

    def __init__(self, *_: Any, **__: Any) -> None:
        type(self).runs = 0

    def run_forever(self, stop: Any, wake: Any, on_error: Any = None) -> None:
        type(self).runs += 1
        if self.ends:
            raise self.ends.pop(0)
        if on_error is not None:
            on_error(StoreUnavailable("No space left on device"))
        stop.set()


def run(office: Any, monkeypatch: Any, *ends: Exception) -> int:
    monkeypatch.setattr(ledger, "Sequencer", Writer)
    monkeypatch.setattr(Writer, "ends", list(ends))
    thread = ledger.start_sequencer(office.ctx, "", Ed25519PrivateKey.generate())
    thread.join(20)
    assert not thread.is_alive()
    return Writer.runs


def test_a_writer_waits_for_its_predecessors_lock(office: Any, monkeypatch: Any, caplog: Any) -> None:
    """After a crash the server may hold the dead session's lock for a while; the log must not stop for ever."""
    assert run(office, monkeypatch, SequencerBusy("another sequencer appends to this log")) == 2
    assert "another sequencer" in caplog.text


def test_what_is_tried_again_is_said(office: Any, monkeypatch: Any, caplog: Any) -> None:
    run(office, monkeypatch)
    assert "No space left on device" in caplog.text


def test_a_log_that_does_not_verify_does_not_grow(office: Any, monkeypatch: Any, caplog: Any) -> None:
    rollback = RollbackDetected("what was signed is never lost", seq=3, expected="4 entries", found="3")
    assert run(office, monkeypatch, rollback) == 1
    assert "never lost" in caplog.text


def test_an_envelope_that_no_entry_can_hold_is_refused(office: Any, code: Any) -> None:
    """The database would refuse it, and the node would hand it in for ever."""
    office.everybody()
    bank = office.world.keys["bank"].identity
    evidence = Evidence(
        kind="input_shared",
        actor="bank",
        at="2026-01-31T09:30:00.000000Z",
        body={"n": "x" * 60_000},
        signer_seq=1,
    )
    encoded = encode_envelope(evidence.sign(bank))
    assert code(ledger.take_envelopes, office.ctx, [encoded], "bank") == "evidence_invalid"
