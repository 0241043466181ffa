"""Eight points at a time: field and group against Python's integers, RFC 9496's vectors and libsodium."""

import re
from typing import Any

import numba
import numpy as np
import pytest
from hefu.engine.errors import InputInvalid
from hefu.engine.group import ifma, ristretto
from hefu.engine.prg import Prg
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

if not ifma.available():
    pytest.skip("this CPU has no AVX-512 IFMA", allow_module_level=True)

from hefu.engine.group import ristretto_lanes as lanes
from hefu.engine.group import ristretto_rows as rows

P = rows.PRIME
TIGHT = (1 << 51) + (1 << 15) - 1


@numba.njit(cache=True)
def operations(w: np.ndarray) -> None:
    ifma.mul(w, 2, 0, 1)
    ifma.add(w, 3, 0, 1)
    ifma.sub(w, 4, 0, 1)
    ifma.square_times(w, 5, 0, 1)
    ifma.square_times(w, 6, 0, 3)
    ifma.freeze(w, 7, 0, 0)


def number(w: np.ndarray, row: int, lane: int) -> int:
    return sum(int(w[row, 8 * limb + lane]) << 51 * limb for limb in range(5))


limbs = st.one_of(st.sampled_from([0, 1, 18, 19, ifma.MASK, ifma.MASK - 18, TIGHT]), st.integers(0, TIGHT))


@settings(deadline=None, max_examples=60)
@examples(st.lists(limbs, min_size=80, max_size=80))
def test_field_operations_are_pythons(values: list[int]) -> None:
    w = np.zeros((8, ifma.ROW_WORDS), np.uint64)
    w[:2] = np.array(values, dtype=np.uint64).reshape(2, 40)
    operations(w)
    assert (w[2:7] <= TIGHT).all()
    for lane in range(8):
        a, b = number(w, 0, lane), number(w, 1, lane)
        expected = [a * b, a + b, a - b, a * a, a**8, a]
        assert [number(w, row, lane) % P for row in range(2, 8)] == [value % P for value in expected]
        assert number(w, 7, lane) == a % P


@pytest.mark.parametrize("value", [0, 1, P - 1, P, P + 1, 2 * P - 1, 2**255 - 1, 2**255, 2 * P])
def test_freezing_around_the_prime(value: int) -> None:
    w = np.zeros((8, ifma.ROW_WORDS), np.uint64)
    for limb in range(5):
        low = value >> 51 * limb
        w[0, 8 * limb : 8 * limb + 8] = low & ifma.MASK if limb < 4 else low
    if (w[0] <= TIGHT).all():
        operations(w)
        assert [number(w, 7, lane) for lane in range(8)] == [value % P] * 8


def test_the_constants_are_the_roots_of_the_rfc() -> None:
    assert pow(rows.SQRT_AD_MINUS_ONE, 2, P) == (-rows.EDWARDS_D - 1) % P
    assert pow(rows.INVSQRT_A_MINUS_D, 2, P) * (-1 - rows.EDWARDS_D) % P == 1
    assert pow(rows.SQRT_MINUS_ONE, 2, P) == P - 1


@settings(max_examples=30)
@examples(st.one_of(st.integers(0, lanes.ORDER - 1), st.sampled_from([0, 1, 8, 16**63, lanes.ORDER - 1])))
def test_digits_make_the_scalar(scalar: int) -> None:
    digits = lanes.signed_digits(scalar).tolist()
    assert all(-8 <= digit <= 8 for digit in digits)
    assert sum(digit * 16**k for k, digit in enumerate(digits)) == scalar


def test_multiples_of_the_generator() -> None:
    scalars = np.array([[k] + [0] * 31 for k in (1, 2, 3, 4)], dtype=np.uint8)
    multiples = ristretto.multiply_base(scalars)
    for k in (1, 2, 3, 4):
        out, bad = lanes.multiply(scalars[k - 1].tobytes(), multiples[:1])
        assert bad == -1
        assert np.array_equal(out[0], multiples[k - 1])


@pytest.mark.parametrize("n", [1, 7, 8, 9, 100])
@pytest.mark.parametrize("seed", [0, 1])
def test_products_are_libsodiums(n: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "BATCH_POINTS", 40)
    prg = Prg(bytes([seed]) * 16)
    scalar = ristretto.random_scalars(prg, 1).tobytes()
    uniform = np.empty((n, 64), np.uint8)
    prg.fill(uniform)
    uniform[: n // 4] |= 0xF0  # near and over the prime
    points = ristretto.points_from_uniform(uniform)
    expected = ristretto.multiply(scalar, points)
    assert n < ristretto.FAST_POINTS
    for given in (points, uniform):
        out, bad = lanes.multiply(scalar, given)
        assert bad == -1
        assert np.array_equal(out, expected)


INVALID = [
    bytes(32),
    b"\x01" + bytes(31),
    b"\xff" * 32,
    P.to_bytes(32, "little"),
    (P + 2).to_bytes(32, "little"),
    (P - 1).to_bytes(32, "little"),
    bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
    bytes.fromhex("3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e"),
]


@pytest.mark.parametrize("bad", INVALID)
@pytest.mark.parametrize("at", [0, 7, 50, 1029])
def test_what_is_no_point_is_refused_wherever_it_stands(bad: bytes, at: int) -> None:
    points = np.repeat(ristretto.random_points(Prg(bytes(16)), 1), 1030, axis=0)
    points[at] = np.frombuffer(bad, np.uint8)
    with pytest.raises(InputInvalid, match=f"row {at} "):
        ristretto.multiply((7).to_bytes(32, "little"), points)


def test_random_strings_are_points_where_libsodium_says_so() -> None:
    strings = np.random.default_rng(3).integers(0, 256, (300, 32), dtype=np.uint8)
    strings[:, 31] &= 0x7F
    strings[:, 0] &= 0xFE

    def valid(row: np.ndarray) -> bool:
        try:
            ristretto.verify_points(row[None])
        except InputInvalid:
            return False
        return True

    expected = [valid(row) for row in strings]
    found = [lanes.multiply((3).to_bytes(32, "little"), row[None])[1] == -1 for row in strings]
    assert found == expected
    assert 0 < sum(expected) < 300


@pytest.mark.parametrize("fast", [False, True])
def test_with_and_without_the_instructions_the_bytes_are_the_same(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []
    original: Any = lanes.multiply

    def counting(scalar: bytes, rows: np.ndarray) -> Any:
        used.append(len(rows))
        return original(scalar, rows)

    monkeypatch.setattr(lanes, "multiply", counting)
    monkeypatch.setattr(ristretto, "fast", lambda: fast)
    uniform = np.random.default_rng(5).integers(0, 256, (ristretto.FAST_POINTS, 64), dtype=np.uint8)
    once = ristretto.multiply_uniform((9).to_bytes(32, "little"), uniform)
    twice = ristretto.multiply((11).to_bytes(32, "little"), once)
    expected = ristretto._points(
        lambda point: ristretto.rbcl.crypto_scalarmult_ristretto255((99).to_bytes(32, "little"), point),
        ristretto.points_from_uniform(uniform[-20:]),
    )
    assert np.array_equal(twice[-20:], expected)
    assert bool(used) == fast


@numba.njit
def chosen(w: np.ndarray, digit: int) -> None:
    ifma.choose(w, 32, 0, digit)


def test_a_multiple_is_chosen_without_a_branch() -> None:
    w = np.zeros((36, ifma.ROW_WORDS), np.uint64)
    w[:32] = np.random.default_rng(1).integers(0, 1 << 51, (32, 40), dtype=np.uint64)
    for digit in range(-8, 9):
        chosen(w, digit)
        expected = w[4 * (abs(digit) - 1) :][:4].copy() if digit else np.zeros((4, 40), np.uint64)
        if not digit:
            expected[:3, :8] = np.array([1, 1, 2], np.uint64)[:, None]
        for lane in range(8):
            numbers = [number(expected, row, lane) for row in range(4)]
            if digit < 0:
                numbers = [numbers[1], numbers[0], numbers[2], -numbers[3] % P]
            assert [number(w, 32 + row, lane) % P for row in range(4)] == [value % P for value in numbers]
    code = next(iter(chosen.inspect_asm().values()))
    body = code.split("hefu_ifma_choose:")[1].split(".Lfunc_end")[0]
    assert "vpbroadcastq" in body
    assert not re.findall(r"^\t(j[a-z]+|loop\w*|call\w*)\t", body, re.MULTILINE)
