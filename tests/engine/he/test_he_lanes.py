"""Eight lanes: equal to Python's integers at every size, and to the way without them, byte for byte."""

import random
from typing import Any

import numpy as np
import pytest
from hefu.engine.he import (
    encrypt_packed,
    encrypt_vector,
    lanes,
    okamoto_uchiyama,
    paillier_keys,
)
from hefu.engine.he.fixed_base import FixedBase, PowerEach
from hefu.engine.he.montgomery import Modulus, modulus_for_lanes
from hefu.engine.he.multiexp import MultiPower
from hefu.engine.prg import Prg
from hypothesis import given, settings
from hypothesis import strategies as st

needs_lanes = pytest.mark.skipif(not lanes.available(), reason="this CPU has no AVX-512 IFMA")
COINS = b"coins of a test."


def an_odd_number(bits: int, seed: int = 0) -> int:
    return random.Random(f"{bits}/{seed}").getrandbits(bits) | 1 | 1 << (bits - 1)


@needs_lanes
@pytest.mark.parametrize("bits", [53, 64, 102, 103, 104, 105, 416, 448, 1024, 2048, 4096])
def test_powers_at_every_size_and_edge(bits: int) -> None:
    for n in (an_odd_number(bits), (1 << bits) - 1, (1 << (bits - 1)) + 1):
        modulus, source = Modulus(n), random.Random(bits)
        values = [0, 1, 2, n - 1, n - 2, n // 2, *(source.randrange(n) for _ in range(5))]
        for e in (1, 2, 31, 32, 33, source.getrandbits(70) | 1):
            assert modulus.power_each(values, e) == [pow(v, e, n) for v in values]


@needs_lanes
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 17), st.integers(1, 9), st.integers(0, 2**32))
def test_fixed_base_powers(count: int, length: int, seed: int) -> None:
    n = an_odd_number(500, seed)
    base = random.Random(seed).randrange(n)
    exponents = np.frombuffer(random.Random(seed).randbytes(count * length), np.uint8).reshape(count, length)
    expected = [pow(base, int.from_bytes(e.tobytes(), "little"), n) for e in exponents]
    table = FixedBase(base, n)
    assert table.powers(exponents[:, : length // 2]) == [
        pow(base, int.from_bytes(e.tobytes(), "little"), n) for e in exponents[:, : length // 2]
    ]
    assert table.powers(exponents) == expected  # the table has grown


@needs_lanes
@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-(2**90), 2**90), min_size=9, max_size=40), st.integers(0, 2**32))
def test_products_of_powers(exponents: list[int], seed: int) -> None:
    n = an_odd_number(460, seed)
    bases = [random.Random(seed + i).randrange(1, n) for i in range(len(exponents))]
    expected = 1
    try:
        for base, exponent in zip(bases, exponents, strict=True):
            expected = expected * pow(base, exponent, n) % n
    except ValueError:
        return  # a base without an inverse
    assert MultiPower(n)(bases, exponents) == expected


def test_short_even_and_laneless_moduli_go_by_gmpy2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert modulus_for_lanes(an_odd_number(300)) is None
    assert modulus_for_lanes(1 << 600) is None
    assert PowerEach(1 << 600)([3, 5, 7, 9], 3) == [27, 125, 343, 729]
    monkeypatch.setattr(lanes, "available", lambda: False)
    assert modulus_for_lanes(an_odd_number(600)) is None
    for bad in (3, 1 << 100):
        with pytest.raises(ValueError):
            Modulus(bad)


def everything() -> list[Any]:
    """What both schemes give from fixed coins."""
    _, key = paillier_keys._generate(512, Prg(COINS))
    values = np.arange(-20, 20) * 12345678901
    x = encrypt_vector(key.public, values, coins=Prg(COINS))
    owner = encrypt_vector(key, values, coins=Prg(COINS))
    product = x.dot(values)
    packed = encrypt_packed(key.public, values, coins=Prg(COINS))
    _, other = okamoto_uchiyama._generate(768, Prg(COINS), subgroup_bits=64)
    y = other.public.encrypt_vector(values, coins=Prg(COINS))
    return [
        x.to_bytes(),
        owner.to_bytes(),
        product.to_bytes(Prg(COINS)),
        (x - owner).to_bytes(Prg(COINS)),
        packed.to_bytes(),
        key.public.full_masks(12, Prg(COINS)),
        key._full_masks(12, Prg(COINS)),
        key.decrypt_vector(x).tolist(),
        key.decrypt_vector(product).tolist(),
        y.to_bytes(),
        y.dot(np.arange(40)).to_bytes(Prg(COINS)),
        other.decrypt_vector(y).tolist(),
    ]


@needs_lanes
def test_with_and_without_lanes_every_byte_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = everything()
    with monkeypatch.context() as without:
        without.setattr(lanes, "available", lambda: False)
        assert modulus_for_lanes(an_odd_number(1024)) is None
        slow = everything()
    assert fast == slow
