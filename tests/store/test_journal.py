"""The journal numbers without gaps among concurrent transactions; nonces are remembered over a restart."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu.store.base import NODE, now, open_engine
from hefu.store.journal import Journal
from hefu.store.node_tables import JournalRow
from hefu.store.nonces import DatabaseNonces
from hefu.store.signed import decode_envelope
from hefu_ledger.dsse import verify_envelope
from hefu_ledger.evidence import parse_evidence
from sqlalchemy import Engine, text
from sqlmodel import Session, col, select

pytestmark = pytest.mark.server


@pytest.fixture
def engine(database: Any) -> Iterator[Engine]:
    found = open_engine(database.url, pool_size=10)
    NODE.create_all(found)
    yield found
    found.dispose()


def test_no_gaps_among_forty_writers_of_whom_half_give_up(engine: Engine) -> None:
    key = Ed25519PrivateKey.generate()
    journal = Journal("bank", key)

    def write(number: int) -> None:
        with Session(engine) as session:
            journal.append(session, "test", {"number": number}, job="J1")
            if number % 2:
                session.rollback()
            else:
                session.commit()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(40)))
    with Session(engine) as session:
        rows = session.exec(select(JournalRow).order_by(col(JournalRow.signer_seq))).all()
    assert [row.signer_seq for row in rows] == list(range(1, 21))
    before = None
    for row in rows:
        envelope = decode_envelope(row.envelope)
        verify_envelope(envelope, key.public_key())
        evidence = parse_evidence(envelope)
        assert (evidence.signer_seq, evidence.prev, evidence.actor) == (row.signer_seq, before, "bank")
        before = envelope.id


def test_evidence_and_state_commit_together(engine: Engine) -> None:
    staged: list[Any] = []
    journal = Journal(
        "bank", Ed25519PrivateKey.generate(), on_append=lambda _session, envelope: staged.append(envelope)
    )
    with Session(engine) as session:
        journal.append(session, "test", {})
    with Session(engine) as session:
        assert session.exec(select(JournalRow)).all() == []
    assert len(staged) == 1  # told within the transaction, whose end it shares


def test_a_nonce_counts_once_whoever_asks_and_after_a_restart(database: Any, engine: Engine) -> None:
    later = now() + timedelta(minutes=5)
    with ThreadPoolExecutor(10) as pool:
        said = list(pool.map(lambda _: DatabaseNonces(engine).remember("bank", "n", later), range(10)))
    assert sorted(said) == [False] * 9 + [True]
    again = open_engine(database.url, pool_size=1)  # as a process that was started again
    assert DatabaseNonces(again).remember("bank", "n", later) is False
    assert DatabaseNonces(again).remember("exchange", "n", later) is True
    again.dispose()


def test_old_nonces_are_cleared_and_young_ones_kept(engine: Engine) -> None:
    store = DatabaseNonces(engine)
    store.remember("bank", "old", now() - timedelta(seconds=1))
    store.remember("bank", "young", now() + timedelta(minutes=5))
    store._seen = 999
    store.remember("bank", "the thousandth", now() + timedelta(minutes=5))
    with engine.connect() as connection:
        kept = {row[0] for row in connection.execute(text("select nonce from nonce"))}
    assert kept == {"young", "the thousandth"}
