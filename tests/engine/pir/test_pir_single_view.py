"""What the owner of a lattice database receives: equal sizes, one distribution, and no way in without the secret.

Without errors a query looks as uniform as with them; so the tests attack: parities of A s lie in the image of A mod 2,
and queries under one secret differ by small errors. Both attacks must work on the broken variants and fail on ours.
"""

import numpy as np
import pytest
from hefu.engine.pir import lattice, single
from hefu.engine.pir.params import DELTA_BITS, DIMENSION, Shape

COLUMNS = DIMENSION + 100


def queries_of(run_parties, positions: list[int], seed: int = 0, columns: int = COLUMNS) -> tuple:
    """The owner's view of a batch: sizes, query words, A's seed."""
    data = np.zeros((columns, 1), dtype=np.uint8)
    cells = data.view(np.int8)

    def owner(session, channels):
        made = lattice.LatticeDatabase(
            Shape(columns, 1, 1), cells, b"matrix seed here", np.zeros((1, DIMENSION), np.uint32)
        )
        single.serve_queries(session, channels["asker"], made)

    def asker(session, channels):
        hint = lattice.Hint(Shape(columns, 1, 1), b"matrix seed here", np.zeros((1, DIMENSION), np.uint32))
        single.retrieve(session, channels["owner"], hint, positions)

    ran = run_parties({"owner": owner, "asker": asker}, seed=seed)
    words = b"".join(frame for _, frame in ran.views["owner"][1:])
    return ran.sizes("owner"), np.frombuffer(words, dtype=np.uint32).reshape(len(positions), columns)


def parity_attack(query: np.ndarray) -> bool:
    """Whether the lowest bits of the query are a linear function of a secret: A mod 2 is eliminated."""
    seed = b"matrix seed here"
    pivots: dict[int, int] = {}
    for start, block in lattice.matrix_blocks(seed, len(query), 256):
        packed = np.packbits((block & np.uint32(1)).astype(np.uint8), axis=1)
        for i, bits in enumerate(packed):
            row = int.from_bytes(bits.tobytes(), "big") << 1 | int(query[start + i] & 1)
            while row > 1:
                top = row.bit_length()
                if top not in pivots:
                    pivots[top] = row
                    break
                row ^= pivots[top]
            if row == 1:
                return False  # 0 = 1: no secret explains these bits
    return True


def difference_attack(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two queries differ by small errors, up to multiples of 2^24."""
    rest = (first - second) & np.uint32((1 << DELTA_BITS) - 1)
    centred = np.minimum(rest, np.uint32(1 << DELTA_BITS) - rest)
    return bool(centred.max() < 1 << 10)


def test_sizes_do_not_depend_on_positions(run_parties) -> None:
    first, _ = queries_of(run_parties, [0] * 9)
    second, _ = queries_of(run_parties, [3, COLUMNS - 1, 5, 900, 17, 4, 12, 800, 1])
    assert first == second == [("asker", 8), ("asker", 8 * 4 * COLUMNS), ("asker", 4 * COLUMNS)]


def test_the_view_has_one_distribution(run_parties, distance, unevenness) -> None:
    few = 40
    left = b"".join(queries_of(run_parties, [0], seed, few)[1].tobytes() for seed in range(60))
    right = b"".join(queries_of(run_parties, [few - 1], 1000 + seed, few)[1].tobytes() for seed in range(60))
    assert distance(left, right) < 4
    assert unevenness(left) < 4
    assert unevenness(right) < 4


def test_attacks_fail(run_parties) -> None:
    _, queries = queries_of(run_parties, [7, 7])
    assert not parity_attack(queries[0])
    assert not difference_attack(*queries)


def test_a_variant_without_errors_is_seen(run_parties, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lattice, "errors", lambda prg, count: np.zeros(count, dtype=np.uint32))
    _, queries = queries_of(run_parties, [7, 900])
    assert parity_attack(queries[0])


def test_a_variant_that_reuses_its_secret_is_seen(run_parties, monkeypatch: pytest.MonkeyPatch) -> None:
    spend = lattice.QuerySecret.spend

    def reused(self: lattice.QuerySecret, columns: int) -> tuple:
        self._words[:] = 12345
        return spend(self, columns)

    monkeypatch.setattr(lattice.QuerySecret, "spend", reused)
    _, queries = queries_of(run_parties, [7, 900])
    assert difference_attack(*queries)
    gap = (queries[0] - queries[1] + np.uint32(1 << (DELTA_BITS - 1))) >> np.uint32(DELTA_BITS)
    assert sorted(np.flatnonzero(gap)) == [7, 900]  # both positions, in the clear


def test_a_variant_without_secret_is_seen(run_parties, unevenness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lattice, "dots", lambda matrix, vector, out: None)
    _, queries = queries_of(run_parties, [7])
    assert unevenness(queries.tobytes()) > 100
