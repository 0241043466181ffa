"""The layers below the array: owners and receivers outside, truncation over its whole range, hostile frames, labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hefu.engine.channel import ChannelSet
from hefu.engine.errors import ChannelError, EngineError, InputInvalid, LabelReused, ResultInvalid
from hefu.engine.rss import Arithmetic, Party, multiply, opening, sharing, truncate
from hefu.engine.rss.bitslice import from_planes, to_planes
from hefu.engine.rss.compare import equal, less
from hefu.engine.rss.decompose import from_bits, to_bits
from hefu.engine.rss.matrix import ring_product
from hefu.engine.rss.shares import pack, unpack
from hefu.engine.rss.warm import warm

NAMES = ["p", "q", "r"]
U = np.uint64


def run(run_parties: Any, program: Any, **options: Any) -> Any:
    return run_parties(dict.fromkeys(NAMES, lambda s, c: program(Party(s, c, NAMES))), **options)


@pytest.mark.parametrize("seed_at", [0, 1, 2])
@pytest.mark.parametrize("shape", [(), (0,), (5, 4)])
def test_an_owner_outside_hands_in_and_a_receiver_outside_adds_up(
    run_parties: Any, seed_at: int, shape: Any
) -> None:
    rng = np.random.default_rng(7)
    x = np.asarray(rng.integers(0, 2**64, shape, dtype=U))
    seed = bytes(range(32))
    masked = sharing.mask_with_seed(x, seed)
    assert not x.size or not np.array_equal(masked, x)

    def program(party: Party) -> Any:
        part = {0: seed, 1: masked}.get((party.index - seed_at) % 3)
        shared = sharing.share_from_outside(party, part, shape, seed_at)
        return opening.half(party, shared), opening.open_to_all(party, shared)

    ran = run(run_parties, program)
    halves = [ran.values[name][0] for name in NAMES]
    assert halves[1] is None
    assert np.array_equal(opening.join_halves(halves[0], halves[2]), x)
    assert all(np.array_equal(ran.values[name][1], x) for name in NAMES)
    third = [size for _, size in ran.sizes(NAMES[(seed_at + 2) % 3])]
    assert third[:2] == ([32, 8 * x.size] if x.size else [32])


def test_parts_of_another_form_are_refused(run_parties: Any) -> None:
    for part in (b"short", None, np.zeros(3, dtype=np.int64), np.zeros(4, dtype=U)):
        ran = run(
            run_parties,
            lambda party, part=part: sharing.share_from_outside(
                party, part if party.index == (0 if isinstance(part, bytes) else 1) else bytes(32), (3,)
            ),
            may_fail=True,
        )
        assert any(isinstance(error, InputInvalid) for error in ran.errors.values())
    with pytest.raises(ResultInvalid):
        opening.join_halves(np.zeros(3, dtype=U), np.zeros(4, dtype=U))


EDGES = [0, 1, -1, 2, 2**62 - 1, -(2**62), 2**61, -(2**61), 2**40 + 1, -(2**40) - 1]


@pytest.mark.parametrize("f", [1, 8, 16, 31, 40, 61])
def test_truncation_is_floor_or_one_more_over_its_whole_range(run_parties: Any, f: int) -> None:
    rng = np.random.default_rng(f)
    x = np.concatenate(
        [EDGES * 20, rng.integers(-(2**62), 2**62, 20_000), rng.integers(-300, 300, 500)]
    ).astype(np.int64)
    x0, x1 = (rng.integers(0, 2**64, x.shape, dtype=U) for _ in range(2))
    parts = [x0, x1, x.view(U) - x0 - x1]

    def program(party: Party) -> Any:
        i = party.index
        return opening.open_to_all(
            party, truncate.truncate(party, Arithmetic(parts[i], parts[(i + 1) % 3]), f)
        )

    for seed in range(3):
        found = run(run_parties, program, seed=seed).values["p"].view(np.int64)
        assert set(np.unique(found - (x >> f)).tolist()) <= {0, 1}


def test_truncation_beyond_its_range_is_not_claimed(run_parties: Any) -> None:
    with pytest.raises(InputInvalid):
        run(
            run_parties,
            lambda party: truncate.truncate(party, Arithmetic(np.zeros(1, U), np.zeros(1, U)), 62),
        )


def test_comparison_reaches_the_edge_of_the_ring_and_wraps_beyond(run_parties: Any) -> None:
    values = np.array(
        [[2**63 - 1, 0], [-(2**63) + 1, 0], [-(2**62), 2**62 - 1], [2**62, -(2**62)]], dtype=np.int64
    )

    def program(party: Party) -> Any:
        x, y = (sharing.share_from(party, 0, column.copy().view(U), (4,)) for column in values.T)
        return unpack(opening.open_bits_to_all(party, less(party, x, y))[0], (4,))

    # the last difference is 2^63 itself, one too far: the documented wrap
    assert run(run_parties, program).values["q"].tolist() == [False, True, True, True]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 511, 512, 513, 1000])
def test_planes_and_words_are_each_others_inverse(count: int) -> None:
    words = np.random.default_rng(count).integers(0, 2**64, count, dtype=U)
    planes = to_planes(words)
    for b in range(64):
        assert np.array_equal(planes[b], pack(((words >> U(b)) & U(1)).astype(np.bool_)))
    assert np.array_equal(from_planes(planes, count), words)


@pytest.mark.parametrize(
    ("m", "k", "n"), [(1, 1, 1), (3, 5, 4), (5, 3, 5), (8, 64, 48), (33, 17, 31), (2, 0, 7), (0, 2, 7)]
)
def test_ring_product_equals_numpy(m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(m + 10 * n)
    x, y = rng.integers(0, 2**64, (m, k), dtype=U), rng.integers(0, 2**64, (k, n), dtype=U)
    assert np.array_equal(ring_product(x, y), x @ y)
    assert np.array_equal(ring_product(x[:, ::-1], y.T.copy().T), x[:, ::-1] @ y)


def test_a_party_needs_two_others_and_their_channels(run_parties: Any) -> None:
    (session, channels) = run(run_parties, lambda party: (party.session, party._channels)).values["p"]
    for names in (["p", "q"], ["p", "q", "q"], ["q", "r", "s"], ["p", "q", "s"]):
        with pytest.raises(InputInvalid):
            Party(session, channels, names)
    party = Party(session, ChannelSet(channels), NAMES)
    with pytest.raises(InputInvalid):
        party.channel(0)
    op = party.begin("try")
    with pytest.raises(InputInvalid):
        op.stream(2, "not ours")
    op.stream(0, "once")
    with pytest.raises(LabelReused):
        op.stream(0, "once")


@pytest.mark.parametrize("size", [0, 7, 8000, 8001])
def test_a_frame_of_another_size_ends_in_a_channel_error(run_parties: Any, size: int) -> None:
    x = Arithmetic(np.zeros(100, dtype=U), np.zeros(100, dtype=U))

    def honest(session: Any, channels: Any) -> Any:
        return multiply.multiply(Party(session, channels, NAMES), x, x)

    def liar(session: Any, channels: Any) -> Any:
        channels["q"].send(bytes(size))
        channels["p"].send(bytes(size))
        return channels["q"].recv(1 << 20), channels["p"].recv(1 << 20)

    ran = run_parties({"p": honest, "q": honest, "r": liar}, may_fail=True)
    assert isinstance(ran.errors["q"], ChannelError)
    assert all(isinstance(error, EngineError) for error in ran.errors.values())


def test_operations_of_another_number_or_name_share_no_coins(run_parties: Any) -> None:
    """A party that lost an operation opens garbage; it does not see another operation's stream."""

    def program(party: Party) -> Any:
        if party.index == 1:
            party.begin("lost")
        x = sharing.share_from(party, 0, np.arange(50, dtype=U), (50,))
        return opening.open_to_all(party, multiply.multiply(party, x, x))

    values = run(run_parties, program).values
    assert not np.array_equal(values["p"], np.arange(50, dtype=U) ** 2)


def test_warm_runs_every_kernel() -> None:
    warm()


def test_slabs_change_the_rounds_and_nothing_else(run_parties: Any) -> None:
    rng = np.random.default_rng(11)
    x, y = (rng.integers(-(2**29), 2**29, 300).view(U) for _ in range(2))
    y[::5] = x[::5]

    def program(session: Any, channels: Any, slab: int) -> Any:
        party = Party(session, channels, NAMES, slab=slab)
        a, b = (sharing.share_from(party, k, v, (300,)) for k, v in enumerate((x, y)))
        found = less(party, a, b), equal(party, a, b)
        short = truncate.multiply_fixed(party, a, b, 9)
        return [unpack(opening.open_bits_to_all(party, f)[0], (300,)) for f in found], opening.open_to_all(
            party, short
        )

    product = x.view(np.int64) * y.view(np.int64) >> 9
    for slab in (64, 128, 1024):
        ran = run_parties(dict.fromkeys(NAMES, lambda s, c, slab=slab: program(s, c, slab)))
        (smaller, same), short = ran.values["r"]
        assert np.array_equal(smaller, x.view(np.int64) < y.view(np.int64))
        assert np.array_equal(same, x == y)
        assert set((short.view(np.int64) - product).tolist()) <= {0, 1}
    with pytest.raises(InputInvalid):
        run_parties(dict.fromkeys(NAMES, lambda s, c: Party(s, c, NAMES, slab=100)))


@pytest.mark.parametrize("count", [0, 1, 70, 200])
def test_bits_and_back(run_parties: Any, count: int) -> None:
    x = np.concatenate(
        [np.array(EDGES, dtype=np.int64).view(U), np.random.default_rng(1).integers(0, 2**64, 200, dtype=U)]
    )
    x = x[:count]

    def program(session: Any, channels: Any) -> Any:
        party = Party(session, channels, NAMES, slab=128)
        bits = to_bits(party, sharing.share_from(party, 2, x, x.shape))
        back = from_bits(party, bits.plane(0, 5))
        return opening.open_bits_to_all(party, bits), opening.open_to_all(party, back)

    planes, low = run_parties(dict.fromkeys(NAMES, program)).values["p"]
    for b in range(64):
        assert np.array_equal(unpack(planes[b], x.shape), ((x >> U(b)) & U(1)).astype(np.bool_))
    assert np.array_equal(low, x & U(31))
