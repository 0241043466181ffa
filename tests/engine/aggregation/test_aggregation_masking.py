"""Masks: the fast path equals its twin, and over all coins of small rings the server's view shows nothing but the sum."""

from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from hefu.engine.aggregation import keys
from hefu.engine.aggregation.masking import CHUNK_BYTES, add_streams, mask_plain
from hefu.engine.prg import Prg

PAIRS = ((1, 2), (1, 3), (2, 3))


@pytest.mark.parametrize("bits", [32, 64])
def test_clients_send_what_the_twin_says(make_world: Callable[..., Any], bits: int) -> None:
    world = make_world(clients=4, length=7, ring_bits=bits)
    plan = world.plan
    raw = {n: (c._mask_key, c._seed) for n, c in world.clients.items()}
    world.run()
    for name, message in world.seen["masked"].items():
        index = plan.index(name)
        pairs = {}
        for other in plan.names:
            if other != name:
                secret = keys.agree(raw[name][0], keys.public_key(raw[other][0]), other)
                pairs[plan.index(other)] = words(
                    keys.pair_stream(plan, secret, index, plan.index(other)), plan
                )
        own = words(keys.self_stream(plan, raw[name][1], index), plan)
        expected = mask_plain(1 << bits, index, world.vectors[name].tolist(), own, pairs)
        assert message[8:].view(plan.dtype).tolist() == expected


def words(stream: Prg, plan: Any) -> list[int]:
    out = np.empty(plan.length, dtype=plan.dtype)
    stream.fill(out)
    found: list[int] = out.tolist()
    return found


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
@pytest.mark.parametrize("extra", [-1, 0, 1, CHUNK_BYTES])
def test_chunks_join_into_one_stream(dtype: Any, extra: int) -> None:
    count = CHUNK_BYTES // np.dtype(dtype).itemsize + extra
    vector = np.arange(count, dtype=dtype)
    add_streams(vector, [Prg(b"a" * 16)], [Prg(b"b" * 16)])
    plus, minus = np.empty(count, dtype), np.empty(count, dtype)
    Prg(b"a" * 16).fill(plus)
    Prg(b"b" * 16).fill(minus)
    np.testing.assert_array_equal(vector, np.arange(count, dtype=dtype) + plus - minus)


def view(
    ring: int, x: tuple[int, int, int], present: tuple[int, ...], late: bool, self_masks: bool
) -> Counter[tuple[int, ...]]:
    """All that a server sees of three clients, over all coins: the vectors that came in time, what the survivors
    reveal (seeds of survivors, pair masks of who dropped out), and where `late`, the dropped client's vector after all.
    """
    counts: Counter[tuple[int, ...]] = Counter()
    gone = [u for u in (1, 2, 3) if u not in present]
    for coins in product(range(ring), repeat=6 if self_masks else 3):
        pair = dict(zip(PAIRS, coins[:3], strict=True))
        own = dict(zip((1, 2, 3), coins[3:] if self_masks else (0, 0, 0), strict=True))

        def masked(u: int, pair: Any = pair, own: Any = own) -> int:
            others = {v: [pair[min(u, v), max(u, v)]] for v in (1, 2, 3) if v != u}
            return mask_plain(ring, u, [x[u - 1]], [own[u]], others)[0]

        seen = [masked(u) for u in present] + [own[u] for u in present]
        seen += [pair[p] for p in PAIRS if set(p) & set(gone)]
        seen += [masked(u) for u in gone if late]
        counts[tuple(seen)] += 1
    return counts


@pytest.mark.parametrize("ring", [2, 3, 4])
def test_the_joint_view_depends_on_the_sum_alone(ring: int) -> None:
    for first, second in (((1, 0, 1), (0, 1, 1)), ((1, 1, 0), (0, 0, 2)), ((1, 1, 1), (1, 0, 2))):
        assert sum(first) % ring == sum(second) % ring
        assert view(ring, first, (1, 2, 3), False, True) == view(ring, second, (1, 2, 3), False, True)
    assert view(ring, (1, 0, 0), (1, 2, 3), False, True) != view(ring, (0, 0, 0), (1, 2, 3), False, True)


@pytest.mark.parametrize("ring", [2, 3])
def test_after_a_drop_out_it_depends_on_the_survivors_sum_alone(ring: int) -> None:
    for late in (False, True):
        assert view(ring, (1, 0, 1), (1, 2), late, True) == view(ring, (0, 1, 0), (1, 2), late, True)


def test_without_self_masks_a_late_client_is_unmasked() -> None:
    """The broken variant, which the enumeration sees: the late vector depends on the client's own input."""
    assert view(3, (1, 0, 1), (1, 2), False, False) == view(3, (0, 1, 0), (1, 2), False, False)
    assert view(3, (1, 0, 1), (1, 2), True, False) != view(3, (0, 1, 0), (1, 2), True, False)
