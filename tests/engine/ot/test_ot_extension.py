"""OT extension: its relation, its sizes, what the sender sees; transposition and hash against their twins."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hefu.engine.blake2b import compress
from hefu.engine.channel import ChannelSet
from hefu.engine.errors import EngineError, InputInvalid
from hefu.engine.ot import bits, extension, lanes
from hefu.engine.ot.extension import ExtensionReceiver, ExtensionSender
from hefu.engine.ot.robust import RobustHash
from hefu.engine.psi import items
from hefu.engine.session import Session
from hypothesis import given
from hypothesis import strategies as st

KEY = bytes(range(32))


@pytest.mark.parametrize(("rows", "words"), [(512, 1), (512, 8), (1536, 2)])
def test_transposition_is_its_twins(rows: int, words: int) -> None:
    columns = np.random.default_rng(rows).integers(0, 2**64, (64 * words, rows // 64), dtype=np.uint64)
    out = np.empty((rows, words), np.uint64)
    bits.transpose(columns, out)
    assert np.array_equal(out, bits.transpose_plain(columns))


def test_transposition_refuses_other_shapes() -> None:
    for columns, rows in (((64, 4), (256, 1)), ((64, 8), (512, 2)), ((63, 8), (512, 1))):
        with pytest.raises(InputInvalid):
            bits.transpose(np.zeros(columns, np.uint64), np.zeros(rows, np.uint64))


@given(st.integers(0, 19), st.integers(1, 15), st.integers(0, 2**63))
def test_the_hash_is_blake2b(n: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2**64, (n, width), dtype=np.uint64)
    numbers = rng.integers(0, 2**64, n, dtype=np.uint64)
    found = RobustHash(KEY)(rows, numbers)
    for i in range(n):
        message = rows[i].tobytes() + numbers[i].tobytes()
        digest = hashlib.blake2b(message, digest_size=16, key=KEY, person=b"hefu ot hash v1").digest()
        assert found[i].tobytes() == digest


@pytest.mark.parametrize("words", [2, 8])
def test_eight_lanes_by_numpy_are_the_compiled_ones(words: int) -> None:
    rng = np.random.default_rng(words)
    state, blocks, counts = (rng.integers(0, 2**64, shape, dtype=np.uint64) for shape in (8, (16, 8), 8))
    expected = np.zeros((words, 8), np.uint64)
    for lane in range(8):
        h = state.copy()
        compress(h, np.ascontiguousarray(blocks[:, lane]), counts[lane], True)
        expected[:, lane] = h[:words]
    found = np.zeros((words, 8), np.uint64)
    lanes._plain(words)(state, blocks, counts, found)
    assert np.array_equal(found, expected)


PROGRAM = """
import numpy as np
from hefu.engine.group import ristretto
from hefu.engine.launch import run_together
from hefu.engine.psi import ecdh, items, kkrt
a, b = (items.from_integers(bytes(32), np.arange(*ends)) for ends in ((0, 9), (5, 20)))
def receive(session, channels):
    return [p.receive(session, channels["s"], a, operation=k).rows.tolist() for k, p in enumerate((kkrt, ecdh))]
def send(session, channels):
    return [p.send(session, channels["r"], b, operation=k) for k, p in enumerate((kkrt, ecdh))]
print(ristretto.fast(), a[3].tolist(), run_together({"r": receive, "s": send}, parties="threads")["r"])
"""


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize(
    "setting", [{"NUMBA_DISABLE_JIT": "1"}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}]
)
def test_intersections_without_a_compiler_and_without_vector_instructions(
    setting: dict[str, str], tmp_path: Path
) -> None:
    environment = {**os.environ, **setting, "NUMBA_CACHE_DIR": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    third = items.from_integers(bytes(32), np.arange(9))[3].tolist()
    assert ran.stdout.strip() == f"False {third} {[[5, 6, 7, 8]] * 2}", ran.stderr[-2000:]


def test_the_hash_refuses_wide_rows() -> None:
    with pytest.raises(InputInvalid):
        RobustHash(KEY)(np.zeros((1, 16), np.uint64), np.zeros(1, np.uint64))


def run_rows(run_parties: Any, codes: np.ndarray, pieces: list[int], seed: int = 0) -> Any:
    words = codes.shape[1]

    def sender(session: Session, channels: ChannelSet) -> Any:
        made = ExtensionSender(session, channels["r"], words, operation=1)
        return made.secret, [made.rows(count) for count in pieces]

    def receiver(session: Session, channels: ChannelSet) -> Any:
        made = ExtensionReceiver(session, channels["s"], words, operation=1)
        cuts = np.cumsum(pieces)[:-1]
        return [made.rows(np.ascontiguousarray(part)) for part in np.split(codes, cuts)]

    return run_parties({"s": sender, "r": receiver}, seed=seed)


def some_codes(n: int, words: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 2**64, (n, words), dtype=np.uint64)


@pytest.mark.parametrize("words", [1, 2, 8])
def test_rows_differ_by_the_secret_where_the_code_has_ones(run_parties: Any, words: int) -> None:
    pieces = [3, 0, 700, 512]
    codes = some_codes(sum(pieces), words)
    ran = run_rows(run_parties, codes, pieces)
    secret, q = ran.values["s"]
    t = np.concatenate(ran.values["r"])
    assert np.array_equal(np.concatenate(q), t ^ (codes & secret))
    assert len(np.unique(t)) == t.size
    assert ran.sizes("s") == [("r", 32)] + [("r", padded * words * 8) for padded in (512, 0, 1024, 512)]
    assert ran.sizes("r") == [("s", 64 * words * 64)]


@pytest.mark.parametrize("n", [0, 1, 1000])
def test_random_transfers(run_parties: Any, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "BATCH_ROWS", 512)
    choices = np.random.default_rng(n).integers(0, 2, n).astype(bool)

    def sender(session: Session, channels: ChannelSet) -> Any:
        made = ExtensionSender(session, channels["r"], 2, operation=1)
        return extension.random_pairs(made, n, session.key("r", 1, "hash"))

    def receiver(session: Session, channels: ChannelSet) -> Any:
        made = ExtensionReceiver(session, channels["s"], 2, operation=1)
        return extension.random_chosen(made, choices, session.key("s", 1, "hash"))

    values = run_parties({"s": sender, "r": receiver}).values
    rows = np.arange(n)
    assert np.array_equal(values["s"][rows, choices.astype(int)], values["r"])
    assert not (values["s"][rows, 1 - choices.astype(int)] == values["r"]).any()


def ones_per_bit(run_parties: Any, code: int, seed: int) -> float:
    """Largest standard score of any column of what the sender receives."""
    codes = np.full((2048, 2), code, dtype=np.uint64)
    seen = run_rows(run_parties, codes, [2048], seed).views["s"][1][1]
    columns = np.unpackbits(np.frombuffer(seen, np.uint8).reshape(2048, -1), axis=1).astype(float)
    return float(np.abs(columns.sum(axis=0) - 1024).max() / np.sqrt(512))


@pytest.mark.parametrize("code", [0, 2**64 - 1])
def test_the_sender_sees_noise_whatever_the_code(run_parties: Any, code: int) -> None:
    assert max(ones_per_bit(run_parties, code, seed) for seed in range(3)) < 4.5


def test_the_test_sees_a_stream_that_is_left_out(run_parties: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = extension._Columns.next_rows
    monkeypatch.setattr(
        extension._Columns, "next_rows", lambda self, count: drawn(self, count) & np.uint64(1)
    )
    assert ones_per_bit(run_parties, 0, 0) > 20


def test_what_the_sender_knows_does_not_open_what_it_sees(run_parties: Any) -> None:
    """Taking its own streams away leaves noise in every column with s = 0 and t xor code in those with s = 1."""
    codes = np.zeros((2048, 2), dtype=np.uint64)
    ran = run_rows(run_parties, codes, [2048])
    _, q = ran.values["s"]
    seen = np.frombuffer(ran.views["s"][1][1], np.uint64).reshape(2048, 2)
    left = np.unpackbits((seen ^ q[0]).view(np.uint8), axis=1).astype(float)
    assert np.abs(left.sum(axis=0) - 1024).max() / np.sqrt(512) < 4.5


def test_a_short_frame_is_refused(run_parties: Any) -> None:
    def receiver(session: Session, channels: ChannelSet) -> None:
        ExtensionReceiver(session, channels["s"], 2, operation=1)
        channels["s"].send(bytes(100))

    def sender(session: Session, channels: ChannelSet) -> Any:
        return ExtensionSender(session, channels["r"], 2, operation=1).rows(5)

    ran = run_parties({"s": sender, "r": receiver}, may_fail=True)
    assert isinstance(ran.errors["s"], EngineError)


# The joint view over one bit, exactly: all coins enumerated.


def sender_views(code: int, masked: bool) -> list[tuple[int, int, int]]:
    """(s, the stream that the sender knows, u) for every s, t, t'."""
    return sorted(
        (s, t if s == 0 else t_other, t ^ code ^ (t_other if masked else 0))
        for s in (0, 1)
        for t in (0, 1)
        for t_other in (0, 1)
    )


def test_the_senders_joint_view_is_exactly_independent_of_the_code() -> None:
    assert sender_views(0, masked=True) == sender_views(1, masked=True)
    assert sender_views(0, masked=False) != sender_views(1, masked=False)


def test_the_test_sees_a_receiver_that_leaves_its_second_stream_out(
    run_parties: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken: u = t xor code; the sender knows t in the columns where s = 0, and reads the code there."""

    def broken(self: Any, codes: np.ndarray) -> np.ndarray:
        mine = self._streams[0].next_rows(2048)
        self._channel.send(mine ^ codes)
        return mine

    monkeypatch.setattr(ExtensionReceiver, "rows", broken)
    codes = np.zeros((2048, 2), dtype=np.uint64)
    ran = run_rows(run_parties, codes, [2048])
    seen = np.frombuffer(ran.views["s"][1][1], np.uint64).reshape(2048, 2)
    secret, q = ran.values["s"]
    left = (seen ^ q[0]) & ~secret
    assert not left.any()
