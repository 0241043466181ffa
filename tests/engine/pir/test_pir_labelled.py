"""Labelled PSI and the oblivious PRF beneath it."""

import struct

import numpy as np
import pytest
from hefu.engine.errors import FrameInvalid, InputInvalid
from hefu.engine.pir import labelled, oprf
from hefu.engine.pir.labelled import SealedList, prepare_list

RNG = np.random.default_rng(9497)


def row(text: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(text), dtype=np.uint8).reshape(1, -1)


VECTORS = [  # RFC 9497, appendix A.1.1: input, blinded element, evaluated element, output
    (
        "00",
        "609a0ae68c15a3cf6903766461307e5c8bb2f95e7e6550e1ffa2dc99e412803c",
        "7ec6578ae5120958eb2db1745758ff379e77cb64fe77b0b2d8cc917ea0869c7e",
        "527759c3d9366f277d8c6020418d96bb393ba2afb20ff90df23fb7708264e2f3"
        "ab9135e3bd69955851de4b1f9fe8a0973396719b7912ba9ee8aa7d0b5e24bcf6",
    ),
    (
        "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
        "da27ef466870f5f15296299850aa088629945a17d1f5b7f5ff043f76b3c06418",
        "b4cbf5a4f1eeda5a63ce7b77c7d23f461db3fcab0dd28e4e17cecb5c90d02c25",
        "f4a74c9c592497375e796aa837e907b1a045d34306a749db9f34221f7e750cb4"
        "f2a6413a6bf6fa5e19ba6348eb673934a722a7ede2e7621306d18951e7cf2c73",
    ),
]
SECRET = bytes.fromhex("5ebcea5ee37023ccb9fc2d2019f9d7737be85591ae8652ffa9ef0f4d37063b0e")
BLIND = row("64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706")


@pytest.mark.parametrize(("data", "blinded", "evaluated", "output"), VECTORS)
def test_the_prf_is_that_of_rfc_9497(data: str, blinded: str, evaluated: str, output: str) -> None:
    key = bytes.fromhex(data)
    assert oprf.blind([key], BLIND).tobytes().hex() == blinded
    assert oprf.multiply(SECRET, row(blinded)).tobytes().hex() == evaluated
    assert oprf.unblind([key], BLIND, row(evaluated)).tobytes().hex() == output
    assert oprf.evaluate(SECRET, [key]).tobytes().hex() == output


def run(run_parties, keys, payloads, asked, *, pad_list=0, pad_batch=0, seed=0):
    def owner(session, channels):
        made = prepare_list(session, keys, payloads, pad_to=pad_list)
        labelled.serve_list(session, channels["asker"], made)
        return labelled.serve_labels(session, channels["asker"], made)

    def asker(session, channels):
        published = labelled.fetch_list(session, channels["owner"])
        return labelled.find_labels(session, channels["owner"], published, asked, pad_to=pad_batch)

    return run_parties({"owner": owner, "asker": asker}, seed=seed)


@pytest.mark.parametrize(("count", "width"), [(0, 4), (1, 0), (3, 1), (200, 37)])
def test_found_equals_plaintext(run_parties, count: int, width: int) -> None:
    keys = [b"%d" % (k * k) for k in range(count)]
    payloads = RNG.integers(0, 256, (count, width), dtype=np.uint8)
    asked = [*keys[:4], b"", b"missing", *keys[-2:], *keys[:1]]
    ran = run(run_parties, keys, payloads, asked)
    found, labels = ran.values["asker"]
    assert found.tolist() == [key in keys for key in asked]
    for k, key in enumerate(asked):
        wanted = payloads[keys.index(key)] if key in keys else np.zeros(width, np.uint8)
        assert (labels[k] == wanted).all()
    assert ran.values["owner"] == len(asked)


def test_no_key_asked(run_parties) -> None:
    found, labels = run(run_parties, [b"a"], np.ones((1, 2), np.uint8), []).values["asker"]
    assert found.shape == (0,)
    assert labels.shape == (0, 2)


def test_padding_hides_both_lengths(run_parties) -> None:
    ones = np.ones((9, 3), np.uint8)
    few = run(run_parties, [b"a"], ones[:1], [b"a"], pad_list=20, pad_batch=5)
    many = run(run_parties, [b"%d" % k for k in range(9)], ones, [b"0"] * 5, pad_list=20, pad_batch=5)
    assert few.values["asker"][0].tolist() == [True]
    for party in ("owner", "asker"):
        assert few.sizes(party) == many.sizes(party)
    assert few.sizes("owner") == [("asker", 160)]
    assert few.sizes("asker") == [("owner", 24), ("owner", 20 * (9 + 3)), ("owner", 160)]
    with pytest.raises(InputInvalid, match="padded"):
        run(run_parties, [b"a", b"b"], ones[:2], [], pad_list=1)


def views_of_two_inputs(run_parties, party: str) -> list[bytes]:
    """What a party receives under many seeds, for two very different inputs without a hit."""
    zeros, ones = np.zeros((40, 30), np.uint8), np.full((40, 30), 255, np.uint8)
    tasks = [
        ([b"%d" % i for i in range(40)], zeros, [b"same"] * 8),
        ([b"other %d" % i for i in range(40)], ones, [b"%d" % i for i in range(100, 108)]),
    ]
    views = [b"", b""]
    for k, (keys, payloads, asked) in enumerate(tasks):
        for seed in range(12):
            ran = run(run_parties, keys, payloads, asked, seed=100 * k + seed)
            frames = [frame for _, frame in ran.views[party]]
            views[k] += b"".join(frames if party == "owner" else frames[1:])  # without the header
    return views


@pytest.mark.parametrize("party", ["owner", "asker"])
def test_views_have_one_distribution(run_parties, distance, party: str) -> None:
    assert distance(*views_of_two_inputs(run_parties, party)) < 4


def test_a_blind_left_out_is_seen(run_parties, distance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oprf, "blind", lambda inputs, scalars: oprf._elements(inputs))
    assert distance(*views_of_two_inputs(run_parties, "owner")) > 10


def test_a_pad_left_out_is_seen(session_of, unevenness, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, payloads = [b"%d" % k for k in range(100)], np.zeros((100, 40), np.uint8)
    assert unevenness(prepare_list(session_of(1), keys, payloads).published.entries.tobytes()) < 4
    monkeypatch.setattr(labelled, "pads", lambda values, count: np.zeros((len(values), count), np.uint8))
    assert unevenness(prepare_list(session_of(1), keys, payloads).published.entries.tobytes()) > 100


def test_padding_looks_like_entries(session_of, unevenness, distance) -> None:
    filled = prepare_list(session_of(1), [], np.empty((0, 30), np.uint8), pad_to=400).published.entries
    assert unevenness(filled[:, 8:].tobytes()) < 4
    keys = [b"%d" % k for k in range(400)]
    real = prepare_list(session_of(2), keys, np.zeros((400, 30), np.uint8)).published.entries
    assert distance(filled.tobytes(), real.tobytes()) < 4


def test_order_says_nothing_of_the_owners_rows(session_of) -> None:
    keys, payloads = [b"%d" % k for k in range(50)], RNG.integers(0, 256, (50, 3), dtype=np.uint8)
    first = prepare_list(session_of(1), keys, payloads).published.entries
    second = prepare_list(session_of(1), keys[::-1], payloads[::-1]).published.entries
    assert (first == second).all()


def test_tags_that_share_their_first_bytes_are_told_apart() -> None:
    entries = np.zeros((4, 12), np.uint8)
    entries[:, 8] = [1, 2, 3, 9]
    entries[3, 7] = 1
    values = np.zeros((3, 64), np.uint8)
    values[:, 24 + 8] = [3, 1, 7]
    found, _ = labelled._open(SealedList(entries, 12), values)
    assert found.tolist() == [True, True, False]


def test_tags_are_long_enough() -> None:
    assert labelled.tag_bytes_for(1 << 20, 1 << 20) == 10
    assert labelled.tag_bytes_for(0, 0) == 8
    assert labelled.tag_bytes_for(2**60, 2**60) == 16


def test_a_key_that_comes_twice_is_refused(session_of) -> None:
    with pytest.raises(InputInvalid, match="rows 0 and 2 have the same key"):
        prepare_list(session_of(1), [b"a", b"b", b"a"], np.zeros((3, 1), np.uint8))


def test_a_key_too_long_is_refused(session_of) -> None:
    with pytest.raises(InputInvalid, match="65536 bytes"):
        prepare_list(session_of(1), [bytes(65536)], np.zeros((1, 1), np.uint8))


LISTS = [
    [b"?"],
    [struct.pack("<QQQ", 1, 7, 1)],
    [struct.pack("<QQQ", 1, 17, 1)],
    [struct.pack("<QQQ", 2**60, 8, 8)],
    [struct.pack("<QQQ", 1, 8, 2**40)],
    [struct.pack("<QQQ", 2, 8, 0), bytes(15)],
    [struct.pack("<QQQ", 2, 8, 0), b"\xff" * 8 + bytes(8)],
]


@pytest.mark.parametrize("frames", LISTS)
def test_an_impossible_list_is_refused(run_parties, frames: list[bytes]) -> None:
    def owner(session, channels):
        for frame in frames:
            channels["asker"].send(frame)

    def asker(session, channels):
        return labelled.fetch_list(session, channels["owner"])

    ran = run_parties({"owner": owner, "asker": asker}, may_fail=True)
    assert isinstance(ran.errors["asker"], FrameInvalid)


@pytest.mark.parametrize("elements", [bytes(31), bytes(32), b"\xff" * 32, bytes(32 * 5)])
def test_what_is_no_element_is_refused_by_the_owner(run_parties, session_of, elements: bytes) -> None:
    made = prepare_list(session_of(1), [b"a"], np.zeros((1, 1), np.uint8))

    def owner(session, channels):
        labelled.serve_labels(session, channels["asker"], made, max_keys=4)

    def asker(session, channels):
        channels["owner"].send(elements)
        channels["owner"].recv(1000)

    ran = run_parties({"owner": owner, "asker": asker}, may_fail=True)
    assert isinstance(ran.errors["owner"], FrameInvalid)
    assert "asker" in str(ran.errors["owner"])


@pytest.mark.parametrize("elements", [bytes(31), bytes(32), b"\xff" * 32])
def test_what_is_no_element_is_refused_by_the_asker(run_parties, elements: bytes) -> None:
    def owner(session, channels):
        channels["asker"].recv(1000)
        channels["asker"].send(elements)

    def asker(session, channels):
        published = SealedList(np.zeros((0, 8), np.uint8), 8)
        labelled.find_labels(session, channels["owner"], published, [b"a"])

    ran = run_parties({"owner": owner, "asker": asker}, may_fail=True)
    assert isinstance(ran.errors["asker"], FrameInvalid)
