"""GF(2^128): against Python's integers, against GHASH's published vectors, against AES-GCM, and by its laws."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hefu.engine.errors import InputInvalid
from hefu.engine.field import add_scaled, clmul, dot, inverse, multiply
from hefu.engine.field.plain import MODULUS, product, to_elements, to_integers
from hefu.engine.field.warm import warm
from hypothesis import given
from hypothesis import strategies as st

EDGES = [0, 1, 2, 3, 1 << 63, 1 << 64, 1 << 127, (1 << 64) - 1, (1 << 128) - 1, MODULUS & ((1 << 128) - 1)]
element = st.one_of(st.sampled_from(EDGES), st.integers(0, (1 << 128) - 1))


def ghash_order(block: bytes) -> int:
    """GHASH writes the coefficient of x^0 as the first bit of the first byte."""
    return int(f"{int.from_bytes(block, 'big'):0128b}"[::-1], 2)


@given(st.lists(st.tuples(element, element), max_size=20))
def test_products_equal_python_s_integers(pairs: list[tuple[int, int]]) -> None:
    a, b = to_elements(x for x, _ in pairs), to_elements(y for _, y in pairs)
    assert to_integers(multiply(a, b)) == [product(x, y) for x, y in pairs]
    total = 0
    for x, y in pairs:
        total ^= product(x, y)
    assert to_integers(dot(a, b)[None]) == [total]


@given(element, st.lists(element, max_size=9))
def test_a_scaled_vector_is_added_in_place(scalar: int, values: list[int]) -> None:
    into = to_elements(values[::-1])
    add_scaled(into, to_elements(values), to_elements([scalar])[0])
    assert to_integers(into) == [x ^ product(y, scalar) for x, y in zip(values[::-1], values, strict=True)]


def test_the_published_ghash_of_gcm_test_case_2() -> None:
    """McGrew and Viega, "The Galois/Counter Mode of operation", appendix B, test case 2."""
    key, text, length, expected = (
        ghash_order(bytes.fromhex(x))
        for x in (
            "66e94bd4ef8a2c3b884cfa59ca342b2e",
            "0388dace60b6a392f328c2b971b2fe78",
            "00000000000000000000000000000080",
            "f38cbb1ad69223dcc3457ae5b6b0f885",
        )
    )
    h = to_elements([key])
    first = multiply(to_elements([text]), h)
    assert to_integers(multiply(first ^ to_elements([length]), h)) == [expected]


def test_gcm_tags_of_another_implementation() -> None:
    for seed in range(20):
        key, nonce = bytes([seed] * 16), bytes(range(seed, seed + 12))
        text = bytes((seed * 31 + i) % 256 for i in range(16 * 5))
        sealed = AESGCM(key).encrypt(nonce, text, None)
        block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - single blocks, as GCM does
        h = to_elements([ghash_order(block.update(bytes(16)))])
        state = to_elements([0])
        blocks = [sealed[i : i + 16] for i in range(0, 80, 16)] + [bytes(8) + (640).to_bytes(8, "big")]
        for part in blocks:
            state = multiply(state ^ to_elements([ghash_order(part)]), h)
        mask = ghash_order(block.update(nonce + bytes([0, 0, 0, 1])))
        assert to_integers(state)[0] ^ mask == ghash_order(sealed[80:])


@given(st.lists(element, min_size=1, max_size=5), element)
def test_field_laws(values: list[int], other: int) -> None:
    a = to_elements(values)
    b = np.repeat(to_elements([other]), len(a), axis=0)
    assert np.array_equal(multiply(a, b), multiply(b, a))
    assert np.array_equal(multiply(a ^ b, a), multiply(a, a) ^ multiply(b, a))
    assert np.array_equal(multiply(multiply(a, b), a), multiply(a, multiply(b, a)))
    assert to_integers(multiply(a, inverse(a))) == [int(x != 0) for x in values]


def test_the_portable_product_is_the_instruction_s() -> None:
    words = np.random.default_rng(5).integers(0, 1 << 64, (2000, 2), dtype=np.uint64)
    words[:4] = [[0, 0], [1, 1 << 63], [(1 << 64) - 1] * 2, [1 << 63, 1 << 63]]

    @numba.njit
    def both(pairs: np.ndarray, out: np.ndarray) -> None:
        for i in range(len(pairs)):
            out[i, 0], out[i, 1] = clmul.by_integers(pairs[i, 0], pairs[i, 1])
            out[i, 2], out[i, 3] = clmul.clmul(pairs[i, 0], pairs[i, 1])

    out = np.zeros((len(words), 4), dtype=np.uint64)
    both(words, out)
    assert np.array_equal(out[:, :2], out[:, 2:])
    for (a, b), (low, high) in zip(words[:200].tolist(), out[:200, :2].tolist(), strict=True):
        expected = 0
        for i in range(64):
            expected ^= (a << i) * (b >> i & 1)
        assert low | high << 64 == expected


def test_without_the_feature_the_portable_form_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CPU_NAME", "generic")
    monkeypatch.setattr(numba.config, "CPU_FEATURES", "")
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    assert not clmul.cpu_has("pclmul")
    monkeypatch.setattr(numba.config, "CPU_FEATURES", "+sse2,+pclmul")
    assert clmul.cpu_has("pclmul")
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert not clmul.cpu_has("pclmul")


def test_shapes_are_checked_and_nothing_is_empty() -> None:
    warm()
    empty = np.empty((0, 2), dtype=np.uint64)
    assert multiply(empty, empty).shape == (0, 2)
    assert to_integers(dot(empty, empty)[None]) == [0]
    for wrong in (
        np.zeros((3, 2), dtype=np.uint64),
        np.zeros((2, 2), dtype=np.int64),
        np.zeros(4, np.uint64),
    ):
        with pytest.raises(InputInvalid):
            multiply(np.zeros((2, 2), dtype=np.uint64), wrong)


@pytest.mark.server
def test_a_cpu_without_the_instruction_computes_the_same(tmp_path: Path) -> None:
    program = """
import numpy as np
from hefu.engine.field import clmul, multiply, plain
assert not clmul.HAS_INSTRUCTION
a = np.frombuffer(bytes(range(160)), dtype="<u8").reshape(-1, 2).copy()
a[0] = 2**64 - 1
print(plain.to_integers(multiply(a, a[::-1].copy())))
"""
    environment = os.environ | {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    a = np.frombuffer(bytes(range(160)), dtype="<u8").reshape(-1, 2).copy()
    a[0] = 2**64 - 1
    assert ran.stdout.strip() == str(to_integers(multiply(a, a[::-1].copy())))
