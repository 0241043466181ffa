"""The whole protocol, three nodes as threads: right for any rows, silent about their order, dead within seconds when one dies."""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hefu.components import reconcile as rc
from hefu.engine import matching
from hefu.engine.channel import ChannelSet, MemoryChannel
from hefu.engine.errors import (
    ChannelError,
    EngineError,
    InputInvalid,
    PeerAborted,
    PeerLost,
    PlanMismatch,
    TranscriptMismatch,
)
from hefu.engine.join import Join
from hefu.engine.join import join as real_join
from hefu.engine.session import PartySecret, Session, derive_session
from hypothesis import given, settings
from hypothesis import strategies as st

NODES = rc.Nodes("operator", "bank-0", "exchange")
CONTRACT = b"c" * 32


class Entry(NamedTuple):
    """One row before it is hashed: what an owner's file says."""

    institution: int
    key: bytes
    amount: int
    transit: bool = False


Owner = tuple[str, rc.Side, list[Entry]]


# The twin: a plain join in dictionaries.


def occurrences(entries: list[Entry]) -> list[int]:
    order = sorted(
        range(len(entries)), key=lambda i: (entries[i].institution, entries[i].key, entries[i].amount, i)
    )
    numbers, seen = [0] * len(entries), dict[tuple[int, bytes], int]()
    for i in order:
        key = (entries[i].institution, entries[i].key)
        numbers[i] = seen.get(key, 0)
        seen[key] = numbers[i] + 1
    return numbers


def plain_join(owners: list[Owner]) -> dict[tuple[str, int], tuple[str, int]]:
    """(owner, row) -> (status, difference) for the rows that are not in transit."""
    met: dict[tuple[int, bytes, int], list[tuple[str, rc.Side, int, Entry]]] = {}
    for name, side, entries in owners:
        for row, (entry, occ) in enumerate(zip(entries, occurrences(entries), strict=True), start=1):
            met.setdefault((entry.institution, entry.key, occ), []).append((name, side, row, entry))
    result = {}
    for rows in met.values():
        sides = sorted(side for _, side, _, _ in rows)
        difference = 0
        if len(rows) == 1:
            status = "missing_at_bank" if sides == ["institution"] else "missing_at_institution"
        elif sides == ["bank", "institution"]:
            amounts = {side: entry.amount for _, side, _, entry in rows}
            difference = amounts["institution"] - amounts["bank"]
            status = "match" if difference == 0 else "amount_mismatch"
        else:
            status = "token_conflict"
        for name, _, row, entry in rows:
            if not entry.transit:
                result[name, row] = (status, difference)
    return result


# The protocol.


def owner_rows(owner: Owner, batch: int) -> rc.OwnerRows:
    name, side, entries = owner
    return rc.OwnerRows(
        name,
        side,
        batch,
        np.array([e.institution for e in entries], dtype=np.int32),
        np.cumsum([0] + [len(e.key) for e in entries]).astype(np.int64),
        np.frombuffer(b"".join(e.key for e in entries), dtype=np.uint8),
        np.array(occurrences(entries), dtype=np.uint32),
        np.array([e.amount for e in entries], dtype=np.int64),
        np.arange(1, len(entries) + 1, dtype=np.uint64),
        np.array([e.transit for e in entries], dtype=bool),
    )


def new_sessions() -> dict[str, Session]:
    secrets = {name: PartySecret() for name in NODES}
    hellos = {name: secret.hello() for name, secret in secrets.items()}
    return {name: derive_session("job", 1, CONTRACT, name, secrets[name], hellos) for name in NODES}


def fixed_sessions(tag: bytes) -> dict[str, Session]:
    """Sessions that can be made twice: for what must be equal when only the input differs."""

    def key(a: str, b: str) -> bytes:
        return b"".join(sorted((a[:1].encode(), b[:1].encode()))).ljust(31, tag[:1]) + tag[:1]

    return {me: Session(tag.ljust(32, b"."), me, {p: key(me, p) for p in NODES if p != me}) for me in NODES}


def connect(timeout_seconds: float = 60) -> dict[str, ChannelSet]:
    sets = {name: ChannelSet() for name in NODES}
    for i, left in enumerate(NODES):
        for right in NODES[i + 1 :]:
            sets[left][right], sets[right][left] = MemoryChannel.pair(
                left, right, timeout_seconds=timeout_seconds
            )
    return sets


Programs = dict[str, Callable[[Session, ChannelSet], Any]]


def run(programs: Programs, sessions: dict[str, Session], sets: dict[str, ChannelSet]) -> dict[str, Any]:
    """Each party in a thread; an exception is that party's outcome."""

    def one(name: str) -> Any:
        sets[name].handshake(sessions[name].session_id, "job", CONTRACT, name)
        return programs[name](sessions[name], sets[name])

    with ThreadPoolExecutor(3) as pool:
        futures = {name: pool.submit(one, name) for name in NODES}
        return {name: f.exception(60) or f.result() for name, f in futures.items()}


def programs_for(
    rows: list[rc.OwnerRows], keys: dict[int, bytes], reveal: bool = False, design: rc.Design = "F"
) -> Programs:
    options: dict[str, Any] = {"reveal_difference": reveal, "design": design}
    batches = [rc.Batch(r.owner, r.side, r.batch, len(r)) for r in rows]
    sorted_for = len(rows) if design == "S" else None
    shares = [rc.share_rows(r, keys, sorted_for=sorted_for) for r in rows]
    seeds = [(b, seed) for b, (seed, _) in zip(batches, shares, strict=True)]
    masked = [(b, part) for b, (_, part) in zip(batches, shares, strict=True)]
    return {
        "operator": lambda s, c: rc.run_n0(s, c, NODES, seeds, **options),
        "bank-0": lambda s, c: rc.run_n1(s, c, NODES, masked[::-1], **options),
        "exchange": lambda s, c: rc.run_n2(s, c, NODES, batches[::-1], **options),
    }


def reconcile(
    owners: list[Owner],
    reveal: bool = False,
    sessions: dict[str, Session] | None = None,
    design: rc.Design = "F",
) -> rc.ReconcileResult:
    names = sorted({e.institution for _, _, entries in owners for e in entries})
    keys = dict(zip(names, rc.make_keys([str(n) for n in names]).values(), strict=True))
    rows = [owner_rows(owner, batch) for batch, owner in enumerate(owners)]
    outcome = run(programs_for(rows, keys, reveal, design), sessions or new_sessions(), connect())
    for name in NODES:
        if isinstance(outcome[name], BaseException):
            raise outcome[name]
    assert outcome["bank-0"] is None
    half0, half2 = (rc.read_half(outcome[n].to_bytes()) for n in ("operator", "exchange"))
    return rc.open_result(half0, half2, [rc.Batch(r.owner, r.side, r.batch, len(r)) for r in rows])


def as_table(result: rc.ReconcileResult) -> dict[tuple[str, int], tuple[str, int]]:
    return {
        (result.owners[o], int(row)): (rc.Status(s).label, int(d))
        for o, row, s, d in zip(result.owner, result.row, result.status, result.difference_cents, strict=True)
    }


# Right for any rows.

DESIGNS: tuple[rc.Design, ...] = ("F", "S")
ENTRIES = st.lists(
    st.builds(
        Entry,
        st.integers(0, 1),
        st.sampled_from([b"", b"a", b"b", "合符".encode(), b"c" * 130]),
        st.sampled_from([-100, 0, 1, 100, 2**62 - 1, 1 - 2**62]),
        st.booleans(),
    ),
    max_size=12,
)


@settings(deadline=None, max_examples=60)
@given(st.tuples(ENTRIES, ENTRIES, ENTRIES, ENTRIES), st.booleans(), st.sampled_from(DESIGNS))
def test_two_institutions_and_two_banks_equal_the_plain_join(
    entries: tuple[list[Entry], list[Entry], list[Entry], list[Entry]], reveal: bool, design: rc.Design
) -> None:
    first = [replace_institution(entries[0], 0), replace_institution(entries[1], 1)]
    owners: list[Owner] = [
        ("institution-0", "institution", first[0]),
        ("institution-1", "institution", first[1]),
        ("bank-0", "bank", entries[2]),
        ("bank-1", "bank", entries[3]),
    ]
    expected = plain_join(owners)
    result = reconcile(owners, reveal, design=design)
    if reveal:
        wrapped = {k: (s, (d + 2**63) % 2**64 - 2**63) for k, (s, d) in expected.items()}
        assert as_table(result) == wrapped
    else:
        assert as_table(result) == {k: (s, 0) for k, (s, _) in expected.items()}


def replace_institution(entries: list[Entry], institution: int) -> list[Entry]:
    return [entry._replace(institution=institution) for entry in entries]


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("sides", [(0, 0), (0, 1), (0, 3), (3, 0), (1, 1)])
def test_empty_and_tiny_days(sides: tuple[int, int], design: rc.Design) -> None:
    a, b = ([Entry(0, b"k%d" % i, i) for i in range(n)] for n in sides)
    owners: list[Owner] = [("i", "institution", a), ("bank-0", "bank", b)]
    found = as_table(reconcile(owners, design=design))
    assert found == {k: (s, 0) for k, (s, _) in plain_join(owners).items()}


@pytest.mark.parametrize("design", DESIGNS)
def test_planted_day(design: rc.Design) -> None:
    """Every kind of row at once, by name."""
    a = [
        Entry(0, b"same", 100),
        Entry(0, b"other amount", 100),
        Entry(0, b"only here", 7),
        Entry(0, b"twice", 500),
        Entry(0, b"twice", 300),
        Entry(0, b"reversal", -100),
        Entry(0, b"in transit there", 9),
        Entry(0, b"in transit here", 9, transit=True),
        Entry(0, b"in transit, alone", 9, transit=True),
    ]
    b = [
        Entry(0, b"reversal", -100),
        Entry(0, b"twice", 300),
        Entry(0, b"twice", 501),
        Entry(0, b"same", 100),
        Entry(0, b"other amount", 101),
        Entry(0, b"only there", 7),
        Entry(0, b"in transit there", 9, transit=True),
        Entry(0, b"in transit here", 9),
    ]
    result = reconcile([("i", "institution", a), ("bank-0", "bank", b)], reveal=True, design=design)
    assert as_table(result) == {
        ("i", 1): ("match", 0),
        ("i", 2): ("amount_mismatch", -1),
        ("i", 3): ("missing_at_bank", 0),
        ("i", 4): ("amount_mismatch", -1),
        ("i", 5): ("match", 0),
        ("i", 6): ("match", 0),
        ("i", 7): ("match", 0),
        ("bank-0", 1): ("match", 0),
        ("bank-0", 2): ("match", 0),
        ("bank-0", 3): ("amount_mismatch", -1),
        ("bank-0", 4): ("match", 0),
        ("bank-0", 5): ("amount_mismatch", -1),
        ("bank-0", 6): ("missing_at_institution", 0),
        ("bank-0", 8): ("match", 0),
    }
    by_row = {(int(o), int(r)): i for i, (o, r) in enumerate(zip(result.owner, result.row, strict=True))}
    line = by_row[0, 7]
    assert (result.partner_owner[line], result.partner_row[line], result.partner_transit[line]) == (
        1,
        7,
        True,
    )
    line = by_row[0, 3]
    assert (result.partner_owner[line], result.partner_row[line], result.partner_transit[line]) == (
        -1,
        0,
        False,
    )
    assert result.counts()["i"] == {
        "match": 4,
        "amount_mismatch": 2,
        "missing_at_bank": 1,
        "missing_at_institution": 0,
        "token_conflict": 0,
    }


@pytest.mark.parametrize("design", DESIGNS)
def test_equal_keys_of_two_institutions_do_not_meet(design: rc.Design) -> None:
    owners: list[Owner] = [
        ("i0", "institution", [Entry(0, b"k", 1)]),
        ("i1", "institution", [Entry(1, b"k", 1)]),
        ("bank-0", "bank", [Entry(1, b"k", 1)]),
    ]
    assert {k: s for k, (s, _) in as_table(reconcile(owners, design=design)).items()} == {
        ("i0", 1): "missing_at_bank",
        ("i1", 1): "match",
        ("bank-0", 1): "match",
    }


@pytest.mark.parametrize("design", DESIGNS)
def test_a_bad_owner_cannot_stop_the_day_with_tokens(design: rc.Design) -> None:
    """Repeated tokens of one side, and a token met three times, are conflicts; the rest goes on."""
    a = owner_rows(("i", "institution", [Entry(0, k, 1) for k in (b"x", b"x", b"y", b"y", b"z")]), 0)
    a = replace(a, occurrence=np.zeros(5, dtype=np.uint32))
    b = owner_rows(("bank-0", "bank", [Entry(0, k, 1) for k in (b"y", b"z")]), 1)
    outcome = run(programs_for([a, b], {0: bytes(32)}, design=design), new_sessions(), connect())
    batches = [rc.Batch("i", "institution", 0, 5), rc.Batch("bank-0", "bank", 1, 2)]
    result = rc.open_result(outcome["operator"], outcome["exchange"], batches)
    labels = [rc.Status(s).label for s in result.status]
    assert labels == ["token_conflict"] * 4 + ["match", "token_conflict", "match"]
    assert result.partner_row.tolist() == [0, 0, 0, 0, 2, 0, 5]


# Who sees what.


def opened_tokens(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What N0 and N2 see, run by run (twice each)."""
    seen: list[np.ndarray] = []

    def spy(tokens: np.ndarray) -> Join:
        seen.append(tokens.copy())
        return real_join(tokens)

    monkeypatch.setattr(matching, "join", spy)
    return seen


def test_the_order_that_n0_and_n2_see_is_uniform_whatever_the_input_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four rows, 24 orders, two input orders: chi-square with 23 degrees of freedom, above 80 once in ten million."""
    seen = opened_tokens(monkeypatch)
    keys = {0: os.urandom(32)}
    for order in ((0, 1, 2, 3), (3, 1, 0, 2)):
        rows = owner_rows(("i", "institution", [Entry(0, b"%d" % k, k) for k in order]), 0)
        empty = owner_rows(("bank-0", "bank", []), 1)
        counts: dict[tuple[int, ...], int] = {}
        trials = 360
        for _ in range(trials):
            seen.clear()
            run(programs_for([rows, empty], keys), new_sessions(), connect())
            assert np.array_equal(seen[0], seen[1])
            rank = tuple(np.argsort(np.argsort(seen[0][:, 0])).tolist())
            counts[rank] = counts.get(rank, 0) + 1
        expected = trials / 24
        statistic = (
            sum((n - expected) ** 2 / expected for n in counts.values()) + (24 - len(counts)) * expected
        )
        assert statistic < 80


def test_a_retry_opens_other_tokens_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = opened_tokens(monkeypatch)
    owners: list[Owner] = [
        ("i", "institution", [Entry(0, b"%d" % k, k) for k in range(100)]),
        ("bank-0", "bank", []),
    ]
    first, second = reconcile(owners), reconcile(owners)
    assert as_table(first) == as_table(second)
    assert not set(seen[0].reshape(-1).tolist()) & set(seen[2].reshape(-1).tolist())
    keys = {0: bytes(32)}
    rows = [owner_rows(owner, batch) for batch, owner in enumerate(owners)]
    seen.clear()
    for _ in range(2):  # even with the same keys the order is another
        run(programs_for(rows, keys), new_sessions(), connect())
    assert np.array_equal(np.sort(seen[0][:, 0]), np.sort(seen[2][:, 0]))
    assert not np.array_equal(seen[0], seen[2])


def test_the_order_of_a_half_says_nothing_of_the_tokens() -> None:
    """The receiver knows the keys of the tokens: with other keys and the same permutations, the order stays the same."""
    a = owner_rows(("i", "institution", [Entry(0, b"%d" % k, k) for k in range(60)]), 0)
    b = owner_rows(("bank-0", "bank", [Entry(0, b"%d" % k, k) for k in range(30, 90)]), 1)
    opened = []
    for _ in range(2):
        outcome = run(programs_for([a, b], {0: os.urandom(32)}), fixed_sessions(b"t"), connect())
        half0, half2 = outcome["operator"], outcome["exchange"]
        opened.append((half0.pair_refs + half2.pair_refs, half0.single_refs + half2.single_refs))
    assert np.array_equal(opened[0][0], opened[1][0])
    assert np.array_equal(opened[0][1], opened[1][1])


def test_one_share_of_the_input_and_one_half_alone_look_random() -> None:
    """Equal rows, shared twice, give parts without a word in common; so do the halves of two runs."""
    rows = owner_rows(("i", "institution", [Entry(0, b"k", 5)] * 50), 0)
    first, second = rc.share_rows(rows, {0: bytes(32)}), rc.share_rows(rows, {0: bytes(32)})
    assert first[0] != second[0]
    both = np.concatenate((first[1].reshape(-1), second[1].reshape(-1)))
    assert len(np.unique(both)) == len(both)
    halves = [run(programs_for([rows], {0: bytes(32)}), new_sessions(), connect()) for _ in range(2)]
    every = np.concatenate([o[n].conflict_refs for o in halves for n in ("operator", "exchange")] + [
        o[n].single_refs for o in halves for n in ("operator", "exchange")
    ])  # fmt: skip
    assert len(np.unique(every)) == len(every) == 200


def test_equality_messages_of_unequal_amounts_show_no_difference() -> None:
    """Pairs that differ by the same amount give messages without a pattern, and no message comes twice."""
    a = owner_rows(("i", "institution", [Entry(0, b"%d" % k, 100) for k in range(200)]), 0)
    b = owner_rows(("bank-0", "bank", [Entry(0, b"%d" % k, 101) for k in range(200)]), 1)
    outcome = run(programs_for([a, b], {0: bytes(32)}), new_sessions(), connect())
    u, v = outcome["operator"].pair_values, outcome["exchange"].pair_values
    assert len(np.unique(np.concatenate((u, v)))) == 400
    assert len(np.unique(u - v)) == 200


# Faults.


@pytest.mark.parametrize("victim", NODES)
def test_everybody_stops_within_seconds_when_a_node_dies_after_the_hello(victim: str) -> None:
    a = owner_rows(("i", "institution", [Entry(0, b"%d" % k, k) for k in range(50)]), 0)
    programs = programs_for([a], {0: bytes(32)})
    programs[victim] = lambda s, c: c.close()
    started = time.monotonic()
    outcome = run(programs, new_sessions(), connect(timeout_seconds=30))
    assert time.monotonic() - started < 5
    for name in set(NODES) - {victim}:
        assert isinstance(outcome[name], PeerLost | PeerAborted), name


@pytest.mark.parametrize("victim", NODES)
def test_an_error_in_the_middle_reaches_everybody(victim: str) -> None:
    """`victim` fails where it reports its first progress; both others leave with its reason or its loss."""
    a = owner_rows(("i", "institution", [Entry(0, b"%d" % k, k) for k in range(50)]), 0)
    batches = [rc.Batch("i", "institution", 0, 50)]
    seed, masked = rc.share_rows(a, {0: bytes(32)})

    def explode(stage: str, done: int, total: int) -> None:
        if threading.current_thread().name == victim:
            raise MemoryError("no more")

    def named(name: str, call: Callable[[], Any]) -> Any:
        threading.current_thread().name = name
        return call()

    programs: Programs = {
        "operator": lambda s, c: named(
            "operator", lambda: rc.run_n0(s, c, NODES, [(batches[0], seed)], progress=explode)
        ),
        "bank-0": lambda s, c: named(
            "bank-0", lambda: rc.run_n1(s, c, NODES, [(batches[0], masked)], progress=explode)
        ),
        "exchange": lambda s, c: named("exchange", lambda: rc.run_n2(s, c, NODES, batches, progress=explode)),
    }
    outcome = run(programs, new_sessions(), connect())
    assert isinstance(outcome[victim], MemoryError)
    for name in set(NODES) - {victim}:
        assert isinstance(outcome[name], ChannelError), name
    assert any(isinstance(e, PeerAborted) and e.reason == "internal_error" for e in outcome.values())


def test_nodes_that_were_told_different_sizes_or_options_stop() -> None:
    a = owner_rows(("i", "institution", [Entry(0, b"k", 1)]), 0)
    for change in ("size", "reveal", "owner"):
        programs = programs_for([a], {0: bytes(32)})
        told = {
            "size": rc.Batch("i", "institution", 0, 2),
            "owner": rc.Batch("j", "institution", 0, 1),
            "reveal": rc.Batch("i", "institution", 0, 1),
        }[change]
        programs["exchange"] = lambda s, c, told=told, change=change: rc.run_n2(
            s, c, NODES, [told], reveal_difference=change == "reveal"
        )
        outcome = run(programs, new_sessions(), connect())
        assert all(isinstance(o, ChannelError) for o in outcome.values()), change
        assert any(isinstance(o, PlanMismatch) for o in outcome.values()), change


def test_nodes_that_come_to_different_joins_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def lying(tokens: np.ndarray) -> Join:
        calls.append(1)
        return real_join(tokens if len(calls) == 1 else tokens[::-1].copy())

    monkeypatch.setattr(matching, "join", lying)
    a = owner_rows(("i", "institution", [Entry(0, k, 1) for k in (b"x", b"x", b"y")]), 0)
    a = replace(a, occurrence=np.zeros(3, dtype=np.uint32))
    found = []
    for _ in range(12):  # a palindrome of a join would agree
        calls.clear()
        outcome = run(programs_for([a], {0: bytes(32)}), new_sessions(), connect())
        found.append(any(isinstance(o, TranscriptMismatch) for o in outcome.values()))
    assert any(found)


def test_rows_that_do_not_fit_are_refused() -> None:
    good = owner_rows(("i", "institution", [Entry(0, b"k", 1), Entry(0, b"l", 2)]), 0)
    for change in (
        {"institution": np.array([0, 5], dtype=np.int32)},
        {"row": np.array([0, 1], dtype=np.uint64)},
        {"row": np.array([1], dtype=np.uint64)},
        {"amount_cents": np.array([2**62, 0], dtype=np.int64)},
        {"amount_cents": np.array([-(2**63), 0], dtype=np.int64)},
        {"transit": np.zeros(3, dtype=bool)},
        {"batch": 65536},
        {"key_offsets": np.array([0, 2, 1], dtype=np.int64)},
    ):
        with pytest.raises(InputInvalid):
            rc.share_rows(replace(good, **change), {0: bytes(32)})


def test_inputs_that_differ_from_their_commitment_are_refused() -> None:
    rows = owner_rows(("i", "institution", [Entry(0, b"k", 1), Entry(0, b"l", 2)]), 0)
    seed, masked = rc.share_rows(rows, {0: bytes(32)})
    salt = os.urandom(32)
    commitment = rc.input_commitment(seed, masked, salt)
    rc.verify_seed(commitment, seed, salt)
    rc.verify_masked(commitment, masked, salt)
    changed = masked.copy()
    changed[1, 3] ^= np.uint64(1)
    for attempt in (
        lambda: rc.verify_seed(commitment, bytes(32), salt),
        lambda: rc.verify_seed(commitment, seed, bytes(32)),
        lambda: rc.verify_masked(commitment, changed, salt),
        lambda: rc.verify_masked(commitment, masked[:1], salt),
        lambda: rc.input_commitment(seed, masked, b"short"),
    ):
        with pytest.raises(InputInvalid):
            attempt()


def test_the_digest_of_rows_is_the_same_for_a_retry_and_no_other_data() -> None:
    entries = [Entry(0, b"k", 1), Entry(0, b"l", 2)]
    salt = os.urandom(32)
    base = rc.rows_digest(owner_rows(("i", "institution", entries), 0), salt)
    assert rc.rows_digest(owner_rows(("i", "institution", entries), 0), salt) == base
    others = [
        owner_rows(("i", "institution", [entries[0], entries[1]._replace(amount=3)]), 0),
        owner_rows(("i", "institution", [entries[0], entries[1]._replace(key=b"m")]), 0),
        owner_rows(("i", "institution", [Entry(0, b"kl", 1), Entry(0, b"", 2)]), 0),
        owner_rows(("i", "institution", [entries[0], entries[1]._replace(transit=True)]), 0),
        owner_rows(("j", "institution", entries), 0),
        owner_rows(("i", "bank", entries), 0),
    ]
    assert base not in {rc.rows_digest(rows, salt) for rows in others}
    assert base != rc.rows_digest(owner_rows(("i", "institution", entries), 0), os.urandom(32))


def test_keys_are_fresh_and_apart() -> None:
    first, second = rc.make_keys(["a", "b"]), rc.make_keys(["a", "b"])
    assert len({*first.values(), *second.values()}) == 4
    assert all(len(key) == 32 for key in first.values())


def test_batches_that_clash_are_refused() -> None:
    for batches in (
        [rc.Batch("i", "institution", 0, 1), rc.Batch("j", "bank", 0, 1)],
        [rc.Batch("i", "institution", 0, 1), rc.Batch("i", "bank", 1, 1)],
        [rc.Batch("i", "institution", -1, 1)],
        [rc.Batch("i", "institution", 0, -1)],
        [rc.Batch("i", "institution", 0, 2**31)],
    ):
        outcome = run(
            {n: lambda s, c, b=batches: rc.run_n2(s, c, NODES, b) for n in NODES}, new_sessions(), connect()
        )
        assert any(isinstance(o, InputInvalid) for o in outcome.values())
        assert all(isinstance(o, EngineError) for o in outcome.values())
