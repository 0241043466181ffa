"""Okamoto-Uchiyama: laws, hostile bytes, and the attack that its page warns of."""

import math
import os

import pytest
from hefu.engine.he import (
    CiphertextInvalid,
    KeyInvalid,
    NotSupported,
    OkamotoPrivateKey,
    OkamotoPublicKey,
    PlaintextOverflow,
    generate_okamoto_keypair,
    okamoto_uchiyama,
)
from hefu.engine.he.integers import mpz
from hefu.engine.prg import Prg
from hypothesis import given, settings
from hypothesis import strategies as st

wide = st.integers(-(2**80), 2**80)


@settings(max_examples=25, deadline=None)
@given(st.lists(wide, max_size=5), st.integers(-(2**40), 2**40))
def test_laws(okamoto_key: OkamotoPrivateKey, values: list[int], k: int) -> None:
    def opened(vector: okamoto_uchiyama.OkamotoVector) -> list[int]:
        return [int(v) for v in okamoto_key.decrypt_vector(vector)]

    x = okamoto_key.public.encrypt_vector(values)
    reverse = values[::-1]
    y = okamoto_key.public.encrypt_vector(reverse)
    assert opened(x) == values
    assert opened(x + y) == [a + b for a, b in zip(values, reverse, strict=True)]
    assert opened(x - reverse) == [a - b for a, b in zip(values, reverse, strict=True)]
    assert opened(x * k) == [a * k for a in values]
    assert opened(x.sum()) == [sum(values)]
    weights = [v >> 50 for v in values]
    assert opened(x.dot(weights)) == [sum(a * b for a, b in zip(values, weights, strict=True))]
    sent = okamoto_key.public.vector_from_bytes((x - y).to_bytes(), 10)
    assert opened(sent) == [a - b for a, b in zip(values, reverse, strict=True)]


def test_the_key_has_the_stated_form(okamoto_key: OkamotoPrivateKey) -> None:
    public, p, t = okamoto_key.public, int(okamoto_key._p), int(okamoto_key._t)
    n = int(public.n)
    q = n // (p * p)
    assert n == p * p * q
    assert (p - 1) % t == 0
    assert pow(int(public.h), t, p * p) == 1  # H vanishes for the owner
    assert pow(int(public.g), t, p * p) != 1
    assert 2 ** (public.plaintext_bits + 1) < p
    with pytest.raises(KeyInvalid):
        generate_okamoto_keypair(1024)
    with pytest.raises(KeyInvalid):
        OkamotoPrivateKey(public, q, t)


def test_every_draw_gives_a_key_of_the_length_asked_for() -> None:
    for seed in range(40):
        public, private = okamoto_uchiyama._generate(384, Prg(seed.to_bytes(16, "big")), subgroup_bits=48)
        assert public.bits == 384
        assert int(private._p) > 2 ** (public.plaintext_bits + 1)


def test_limits_are_kept(okamoto_key: OkamotoPrivateKey) -> None:
    public = okamoto_key.public
    most = 2**public.plaintext_bits - 1
    assert okamoto_key.decrypt_vector(public.encrypt_vector([most, -most])).tolist() == [most, -most]
    for bad in ([most + 1], [-most - 1], [0.5]):
        with pytest.raises(PlaintextOverflow):
            public.encrypt_vector(bad)
    with pytest.raises(PlaintextOverflow):
        okamoto_key.decrypt_vector(public.encrypt_vector([most]) * 2)
    with pytest.raises(NotSupported):
        _ = public.encrypt_vector([1]) * public.encrypt_vector([1])


def test_a_decryption_oracle_gives_the_key_away(okamoto_key: OkamotoPrivateKey) -> None:
    """Why results must never go back to the maker of a ciphertext: the range check does not stop this."""
    public = okamoto_key.public
    n = int(public.n)
    for m in (3**k for k in range(150, 180)):  # beyond p: by the public operations, not by encrypt_vector
        ciphertext = mpz(pow(int(public.g), m, n))
        try:
            answer = int(okamoto_key.decrypt_vector(okamoto_uchiyama.OkamotoVector(public, [ciphertext]))[0])
        except PlaintextOverflow:
            continue
        assert math.gcd(m - answer, n) in (int(okamoto_key._p), int(okamoto_key._p) ** 2)
        return
    pytest.fail("the attack should have met an answer")


def test_computed_vectors_are_rerandomised_and_sizes_are_equal(okamoto_key: OkamotoPrivateKey) -> None:
    public = okamoto_key.public
    x = public.encrypt_vector([3], coins=Prg(b"coins of a test."))
    assert x.to_bytes() == public.encrypt_vector([3], coins=Prg(b"coins of a test.")).to_bytes()
    product = x * 77
    bare = int(product.ciphertexts[0]).to_bytes(public.ciphertext_bytes, "big")
    assert bare not in product.to_bytes()
    assert len(product.to_bytes()) == len(public.encrypt_vector([-(2**80)]).to_bytes())


def test_hostile_bytes_are_refused(
    okamoto_key: OkamotoPrivateKey, short_keys_allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = okamoto_key.public
    data = public.to_bytes()
    assert OkamotoPublicKey.from_bytes(data) == public
    width = public.ciphertext_bytes
    bad_g = data[: 28 + width] + bytes(width) + data[28 + 2 * width :]
    for broken in (b"", data[:-1], data[:26], b"x" + data, bad_g):
        with pytest.raises(KeyInvalid):
            OkamotoPublicKey.from_bytes(broken)
    vector = public.encrypt_vector([1, 2]).to_bytes()
    zero = vector[:24] + bytes(width) + vector[24 + width :]
    full = vector[:24] + b"\xff" * width + vector[24 + width :]
    for broken in (b"", vector[:-1], vector + b"x", zero, full, os.urandom(100)):
        with pytest.raises(CiphertextInvalid):
            public.vector_from_bytes(broken, 10)
    with pytest.raises(CiphertextInvalid):
        public.vector_from_bytes(vector, 1)
    other = okamoto_uchiyama._generate(512, Prg(b"some other coins"), subgroup_bits=64)[0]
    with pytest.raises(KeyInvalid):
        other.vector_from_bytes(vector, 10)
