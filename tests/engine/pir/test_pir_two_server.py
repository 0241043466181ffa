"""Two-server retrieval by position: laws, views, hostile shapes."""

import struct
from collections import Counter
from itertools import product

import numpy as np
import pytest
from hefu.engine.errors import FrameInvalid, InputInvalid, LabelReused
from hefu.engine.pir import dpf, two_server
from hefu.engine.pir.two_server import Replica

RNG = np.random.default_rng(2016)


def run(run_parties, data, positions, seed=0):
    def server(other):
        return lambda session, channels: two_server.serve_positions(
            session, channels["asker"], other, Replica.of(data)
        )

    def asker(session, channels):
        servers = channels["left"], channels["right"]
        return two_server.retrieve(session, servers, *data.shape, positions)

    return run_parties({"left": server("right"), "right": server("left"), "asker": asker}, seed=seed)


@pytest.mark.parametrize(("records", "width"), [(1, 1), (2, 9), (128, 8), (129, 32), (2000, 33), (70, 500)])
def test_retrieved_equals_plaintext(run_parties, records: int, width: int) -> None:
    data = RNG.integers(0, 256, (records, width), dtype=np.uint8)
    positions = [0, records - 1, records // 2, records // 2, *RNG.integers(0, records, 5).tolist()]
    assert (run(run_parties, data, positions).values["asker"] == data[positions]).all()


def test_batches_larger_than_a_step(run_parties, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_server, "_LEAVES_AT_ONCE", 32)
    data = RNG.integers(0, 256, (2000, 8), dtype=np.uint8)
    positions = RNG.integers(0, 2000, 21).tolist()
    assert (run(run_parties, data, positions).values["asker"] == data[positions]).all()


def test_no_query_and_an_empty_database(run_parties) -> None:
    empty = np.empty((0, 5), dtype=np.uint8)
    assert run(run_parties, empty, []).values["asker"].shape == (0, 5)
    with pytest.raises(InputInvalid, match="0 records"):
        run(run_parties, empty, [0])
    with pytest.raises(InputInvalid, match="at least one byte"):
        Replica.of(np.empty((3, 0), dtype=np.uint8))


def test_views_have_stated_sizes_whatever_positions_and_contents(run_parties) -> None:
    zeros, noise = np.zeros((1000, 10), np.uint8), RNG.integers(0, 256, (1000, 10), dtype=np.uint8)
    runs = [run(run_parties, zeros, [0, 0, 0]), run(run_parties, noise, [999, 4, 128])]
    frame = 16 + 3 * (17 * 3 + 33)
    for ran in runs:
        for side in ("left", "right"):
            assert ran.sizes(side) == [("asker", 8), ("asker", frame)]
        assert sorted(ran.sizes("asker")) == [("left", 30), ("right", 30)]


def test_one_answer_alone_is_uniform_whatever_the_database(run_parties, unevenness) -> None:
    """The shared mask: without it one server's answer is a sum of records."""
    data = np.zeros((300, 16), dtype=np.uint8)
    for side in ("left", "right"):
        answers = b""
        for seed in range(60):
            views = run(run_parties, data, [5] * 8, seed).views["asker"]
            answers += next(frame for sender, frame in views if sender == side)
        assert unevenness(answers) < 4


def test_an_answer_without_mask_is_seen(run_parties, unevenness, monkeypatch: pytest.MonkeyPatch) -> None:
    data = np.zeros((300, 16), dtype=np.uint8)

    class NoMask:
        def fill(self, out: np.ndarray) -> None:
            out[...] = 0

    from hefu.engine.session import Session

    prg = Session.prg
    monkeypatch.setattr(
        Session, "prg", lambda self, peer, op, why: NoMask() if "mask" in why else prg(self, peer, op, why)
    )
    views = run(run_parties, data, [5] * 8).views["asker"]
    assert unevenness(views[0][1]) > 100


def joint_views(database: tuple[int, ...], position: int, masked: bool) -> dict[str, Counter]:
    """The protocol's twin over one-bit records, its point function an ideal one, under all coins of asker and servers.

    A server sees its bit vector; the asker sees both vectors, which it made, and both answers.
    """
    views: dict[str, Counter] = {"left": Counter(), "right": Counter(), "asker": Counter()}
    for *left, mask in product((0, 1), repeat=len(database) + 1):
        right = [bit ^ (k == position) for k, bit in enumerate(left)]
        answers = [sum(b & x for b, x in zip(bits, database, strict=True)) % 2 for bits in (left, right)]
        if masked:
            answers = [answer ^ mask for answer in answers]
        views["left"][tuple(left)] += 1
        views["right"][tuple(right)] += 1
        views["asker"][(*left, *right, *answers)] += 1
    return views


def test_joint_views_over_all_coins() -> None:
    """Servers: the same whatever the position. Asker: the same whatever the other records, and not without the mask."""
    databases = list(product((0, 1), repeat=3))
    for database in databases:
        first, *others = (joint_views(database, position, True) for position in range(3))
        assert all(o["left"] == first["left"] and o["right"] == first["right"] for o in others)
    for position in range(3):
        for value in (0, 1):
            alike = [d for d in databases if d[position] == value]
            assert len({frozenset(joint_views(d, position, True)["asker"].items()) for d in alike}) == 1
            assert len({frozenset(joint_views(d, position, False)["asker"].items()) for d in alike}) > 1


def test_one_operation_asks_once(run_parties) -> None:
    data = np.zeros((30, 4), dtype=np.uint8)

    def server(other):
        def program(session, channels):
            for _ in range(2):
                two_server.serve_positions(session, channels["asker"], other, Replica.of(data))

        return program

    def asker(session, channels):
        for _ in range(2):
            two_server.retrieve(session, (channels["left"], channels["right"]), 30, 4, [1])

    ran = run_parties({"left": server("right"), "right": server("left"), "asker": asker}, may_fail=True)
    assert isinstance(ran.errors["asker"], LabelReused)


def bad_bits() -> bytes:
    frame = bytearray(16 + dpf.key_bytes(1000))
    frame[32] = 7
    return bytes(frame)


@pytest.mark.parametrize(
    "frames",
    [
        [b"no"],
        [struct.pack("<Q", 2**50)],
        [struct.pack("<Q", 1), b"short"],
        [struct.pack("<Q", 1), bytes(16 + dpf.key_bytes(1000) + 1)],
        [struct.pack("<Q", 1), bad_bits()],
    ],
)
def test_an_asker_with_wrong_shapes_is_refused(run_parties, frames: list[bytes]) -> None:
    def left(session, channels):
        data = np.zeros((1000, 4), dtype=np.uint8)
        two_server.serve_positions(session, channels["asker"], "right", Replica.of(data))

    def asker(session, channels):
        for frame in frames:
            channels["left"].send(frame)
        channels["left"].recv(100)

    ran = run_parties({"left": left, "right": lambda session, channels: None, "asker": asker}, may_fail=True)
    assert isinstance(ran.errors["left"], FrameInvalid)
    assert "asker" in str(ran.errors["left"])
