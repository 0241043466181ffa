"""Both ends of every channel agree: forged, missing and half-way transcripts."""

import pytest
from hefu.domain.transcripts import transcripts_agree
from hefu_ledger.errors import VerificationFailed
from hefu_ledger.evidence import Evidence

JOB = "J20261121AAAA"


def said(actor, peer, sent, received, attempt=1, bytes_sent=10, bytes_received=20):
    body = {
        "peer": peer,
        "sent": sent,
        "received": received,
        "bytes_sent": bytes_sent,
        "bytes_received": bytes_received,
        "rounds": 3,
    }
    return evidence("channel_transcript", actor, body, attempt)


def evidence(kind, actor, body, attempt=1):
    return Evidence(
        kind=kind,
        actor=actor,
        at="2026-11-22T00:00:00.000000Z",
        contract=None,
        job=JOB,
        attempt=attempt,
        stage="compute",
        body=body,
        signer_seq=1,
        prev=None,
        checkpoint=None,
    )


A = said("bank", "operator", "s1", "s2")
B = said("operator", "bank", "s2", "s1", bytes_sent=20, bytes_received=10)
PASSED = evidence("computation_checked", "coordinator", {"passed": True})


def test_two_ends_that_agree():
    transcripts_agree([A, B, PASSED])


@pytest.mark.parametrize(
    "entries",
    [
        [A, PASSED],
        [B, PASSED],
        [PASSED],
        [A, said("operator", "bank", "s2", "other", bytes_sent=20, bytes_received=10), PASSED],
        [A, said("operator", "bank", "other", "s1", bytes_sent=20, bytes_received=10), PASSED],
        [A, said("operator", "bank", "s2", "s1", bytes_sent=20, bytes_received=11), PASSED],
        [A, said("exchange", "bank", "s2", "s1", bytes_sent=20, bytes_received=10), PASSED],
        [A, said("operator", "bank", "s2", "s1", attempt=2, bytes_sent=20, bytes_received=10), PASSED],
    ],
)
def test_what_does_not_agree_is_named(entries):
    with pytest.raises(VerificationFailed, match=JOB):
        transcripts_agree(entries)


def test_an_attempt_that_broke_off_proves_nothing():
    transcripts_agree([A, evidence("computation_checked", "coordinator", {"passed": False})])
