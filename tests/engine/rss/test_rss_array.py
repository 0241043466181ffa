"""Laws: what the array computes equals numpy, on edge values, wrap, shapes and empty arrays, at all three parties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid
from hefu.engine.rss import Party, SecretArray, SecretBits, concatenate, secret, secret_bits, stack
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = ["p", "q", "r"]
EDGES = [0, 1, -1, 2, -2, 2**62 - 1, -(2**62), 2**31, -(2**31), 2**61, 12345]
numbers = st.one_of(st.sampled_from(EDGES), st.integers(-(2**62), 2**62 - 1))
lists = st.lists(st.tuples(numbers, numbers), max_size=80)
law = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def compute(
    run_parties: Callable[..., Any],
    inputs: list[Any],
    formula: Callable[..., Any],
    *,
    fraction_bits: int = 0,
    seed: int = 0,
) -> Any:
    """The formula on shares of the inputs (input k from party k), opened; the same at all three."""

    def program(session: Any, channels: Any) -> Any:
        party = Party(session, channels, NAMES)
        held = [
            secret_bits(party, v, owner=k)
            if np.asarray(v).dtype == np.bool_
            else secret(party, v, owner=k, fraction_bits=fraction_bits)
            for k, v in enumerate(inputs)
        ]
        found = formula(*held)
        return [f.reveal() for f in found] if isinstance(found, tuple) else found.reveal()

    values = run_parties(dict.fromkeys(NAMES, program), seed=seed).values
    for name in NAMES[1:]:
        ours, theirs = (v if isinstance(v, list) else [v] for v in (values["p"], values[name]))
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    return values["p"]


def pair(rows: list[tuple[int, int]]) -> tuple[Any, Any]:
    table = np.array(rows, dtype=np.int64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()


def same(found: Any, expected: Any) -> None:
    assert len(found) == len(expected)
    for number, (f, e) in enumerate(zip(found, expected, strict=True)):
        assert np.shape(f) == np.shape(e), number
        assert np.array_equal(f, e), number


@law
@given(rows=lists)
def test_integer_arithmetic_equals_numpy_mod_2_64(run_parties: Any, rows: list[tuple[int, int]]) -> None:
    x, y = pair(rows)
    found = compute(
        run_parties,
        [x, y],
        lambda a, b: (a + b, a - b, -a, a * b, a + 7, 7 - a, a * 3, -3 * a, a * a, a.sum(), a @ b),
    )
    same(found, [x + y, x - y, -x, x * y, x + 7, 7 - x, x * 3, -3 * x, x * x, x.sum(), x @ y])


@law
@given(rows=lists)
def test_comparisons_equal_numpy(run_parties: Any, rows: list[tuple[int, int]]) -> None:
    x, y = pair(rows)
    found = compute(
        run_parties, [x, y], lambda a, b: (a < b, a > b, a <= b, a >= b, a == b, a != b, a == a, a < 0)
    )
    same(found, [x < y, x > y, x <= y, x >= y, x == y, x != y, x == x, x < 0])


@law
@given(rows=lists, data=st.data())
def test_bits_and_choice_equal_numpy(
    run_parties: Any, rows: list[tuple[int, int]], data: st.DataObject
) -> None:
    x, y = pair(rows)
    c = np.array([data.draw(st.booleans()) for _ in rows], dtype=np.bool_)

    def formula(a: SecretArray, b: SecretArray, k: SecretBits) -> Any:
        d = a < b
        return (
            k & d,
            k | d,
            k ^ d,
            ~k,
            k & c,
            k | True,
            k.to_integer(),
            k.where(a, b),
            k.where(a, 0),
            a * k,
            k.sum(),
        )

    d = x < y
    same(
        compute(run_parties, [x, y, c], formula),
        [
            c & d,
            c | d,
            c ^ d,
            ~c,
            c,
            np.ones_like(c),
            c * 1,
            np.where(c, x, y),
            np.where(c, x, 0),
            x * c,
            c.sum(),
        ],
    )


@pytest.mark.parametrize(
    "shapes", [((), ()), ((3,), ()), ((2, 3), (3,)), ((4, 1), (1, 5)), ((0, 3), (3,)), ((65,), (65,))]
)
def test_shapes_broadcast_as_in_numpy(run_parties: Any, shapes: tuple[Any, Any]) -> None:
    rng = np.random.default_rng(1)
    x, y = (np.asarray(rng.integers(-9, 9, s)) for s in shapes)
    found = compute(run_parties, [x, y], lambda a, b: (a + b, a * b, a < b, a == b, (a < b).where(a, b)))
    same(found, [x + y, x * y, x < y, x == y, np.where(x < y, x, y)])


def test_slicing_joining_turning(run_parties: Any) -> None:
    x = np.arange(24).reshape(4, 6)
    found = compute(
        run_parties,
        [x],
        lambda a: (
            a[1], a[:, 2:4], a[::-1], a.T, a.reshape(3, 8), a.sum(0), a.cumsum(1), (a < 9)[1:3, ::2],
            concatenate([a, a * 2]), stack([a[0], a[1]]), (a < 9).reshape(24), a.T @ a,
        ),
    )  # fmt: skip
    same(
        found,
        [
            x[1], x[:, 2:4], x[::-1], x.T, x.reshape(3, 8), x.sum(0), x.cumsum(1), (x < 9)[1:3, ::2],
            np.concatenate([x, x * 2]), np.stack([x[0], x[1]]), (x < 9).reshape(24), x.T @ x,
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("m", "k", "n"), [(1, 1, 1), (5, 7, 3), (4, 8, 16), (9, 3, 33), (3, 0, 2), (0, 3, 2), (6, 5, 5)]
)
def test_matrix_products_wrap_like_numpy(run_parties: Any, m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(m * 100 + n)
    x, y = rng.integers(-(2**62), 2**62, (m, k)), rng.integers(-(2**62), 2**62, (k, n))
    w = rng.integers(-(2**40), 2**40, (n, 2))
    same(compute(run_parties, [x, y], lambda a, b: (a @ b, b @ w, x @ b)), [x @ y, y @ w, x @ y])


@pytest.mark.parametrize("f", [8, 16, 24])
def test_fixed_point_is_off_by_one_unit_at_most(run_parties: Any, f: int) -> None:
    rng = np.random.default_rng(f)
    scale = 2.0 ** (31 - f - 1)
    x, y = (np.ldexp(np.rint(np.ldexp(rng.uniform(-scale, scale, 300), f)), -f) for _ in range(2))
    x[:4], y[:4] = [0, 2.0**-f, -(2.0**-f), 1], [1, 1, 1, -1]
    products, doubled, less, total = compute(
        run_parties, [x, y], lambda a, b: (a * b, a * 0.5, a < b, a.sum()), fraction_bits=f
    )
    unit = 2.0**-f
    assert np.abs(products - x * y).max() <= unit
    assert np.abs(doubled - x / 2).max() <= unit
    assert np.array_equal(less, x < y)
    assert abs(total - x.sum()) < 1e-6


def test_fixed_matrix_product_truncates_once(run_parties: Any) -> None:
    rng = np.random.default_rng(3)
    x, y = (np.rint(rng.uniform(-50, 50, s) * 65536) / 65536 for s in ((7, 40), (40, 9)))
    found = compute(
        run_parties, [x, y], lambda a, b: (a @ b, a[0] @ b[:, 0], a[0] @ b, a @ b[:, 0]), fraction_bits=16
    )
    for f, e in zip(found, [x @ y, x[0] @ y[:, 0], x[0] @ y, x @ y[:, 0]], strict=True):
        assert np.shape(f) == np.shape(e)
        assert np.abs(f - e).max() <= 2.0**-16


@pytest.mark.parametrize(
    ("values", "f"),
    [
        ([2**62], 0),
        ([-(2**62) - 1], 0),
        ([0.5], 0),
        ([np.nan], 16),
        ([np.inf], 16),
        ([2.0**46], 16),
        ([2**46], 16),
        (["a"], 0),
    ],
)
def test_input_out_of_range_is_refused(run_parties: Any, values: list[Any], f: int) -> None:
    ran = run_parties(
        dict.fromkeys(NAMES, lambda s, c: secret(Party(s, c, NAMES), values, owner=0, fraction_bits=f)),
        may_fail=True,
    )
    assert isinstance(ran.errors["p"], InputInvalid)


def test_a_real_factor_needs_fraction_bits(run_parties: Any) -> None:
    with pytest.raises(InputInvalid):
        compute(run_parties, [np.arange(3)], lambda a: a * 0.5)


@pytest.mark.parametrize(
    "formula",
    [
        lambda a: a + np.arange(4),
        lambda a: a * a[:2],
        lambda a: a * np.arange(4),
        lambda a: a[:2] < a,
        lambda a: (a < 1) & (a[:2] < 1),
        lambda a: a.reshape(1, 3) @ np.ones((2, 2), dtype=np.int64),
        lambda a: a.reshape(1, 3) @ a.reshape(1, 3),
    ],
)
def test_shapes_that_do_not_go_together_are_refused(run_parties: Any, formula: Any) -> None:
    with pytest.raises(InputInvalid):
        compute(run_parties, [np.arange(3)], formula)


def test_opening_to_one_tells_the_others_nothing(run_parties: Any) -> None:
    x = np.arange(5)

    def program(session: Any, channels: Any) -> Any:
        party = Party(session, channels, NAMES)
        a = secret(party, x, owner=0)
        return [a.reveal(to=k) for k in range(3)] + [(a < 2).reveal(to=k) for k in range(3)]

    values = run_parties(dict.fromkeys(NAMES, program)).values
    for me, name in enumerate(NAMES):
        for k in range(3):
            for found, expected in ((values[name][k], x), (values[name][3 + k], x < 2)):
                assert (found is None) if me != k else np.array_equal(found, expected)
