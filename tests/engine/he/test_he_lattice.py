"""CKKS and BFV: levels counted, errors within the stated bound, no secret key in what leaves, hostile bytes."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hefu.engine.he import (
    CiphertextInvalid,
    KeyInvalid,
    LatticePrivateKey,
    LatticePublicKey,
    NotSupported,
    PlaintextOverflow,
    ckks_error_bound,
    generate_lattice_keypair,
)

Pair = tuple[LatticePublicKey, LatticePrivateKey]


@pytest.fixture(scope="module", name="ckks")
def ckks_fixture() -> Pair:
    return generate_lattice_keypair("ckks", depth=2)


@pytest.fixture(scope="module", name="bfv")
def bfv_fixture() -> Pair:
    return generate_lattice_keypair("bfv", depth=1)


def through_the_wire(pair: Pair) -> Callable[[Any], Any]:
    public, private = pair
    return lambda v: private.decrypt_vector(public.vector_from_bytes(v.to_bytes(), 1 << 20))


@pytest.mark.parametrize("magnitude", [1.0, 30.0])
def test_ckks_errors_stay_within_the_bound(ckks: Pair, magnitude: float) -> None:
    public, opened = ckks[0], through_the_wire(ckks)
    random = np.random.default_rng(5)
    x, y = random.uniform(-magnitude, magnitude, (2, 5000))  # two ciphertexts
    cx, cy = public.encrypt_vector(x), public.encrypt_vector(y)
    assert np.abs(opened(cx * cy * cx + cx).max()) > 0  # cx, a level higher, is left as it was:
    for found, expected, products, terms in (
        (cx, x, 0, 1),
        (cx + cy, x + y, 0, 2),
        (cx - y, x - y, 0, 2),
        (cx * cy, x * y, 1, 1),
        (cx * y, x * y, 1, 1),
        (cx * cy * cx, x * y * x, 2, 1),
        (cx * cy + cx, x * y + x, 1, 2),
        (cx.sum(), [x.sum()], 0, 5000),
        (cx.dot(cy), [x @ y], 1, 5000),
        (cx.dot(y), [x @ y], 1, 5000),
    ):
        error = np.abs(opened(found) - expected).max()
        assert error <= ckks_error_bound(magnitude, products, terms)


def test_bfv_is_exact_at_the_edges(bfv: Pair) -> None:
    public, opened = bfv[0], through_the_wire(bfv)
    half = public.modulus // 2
    x = np.array([0, 1, -1, half, -half, 2**19, -(2**19)])
    cx = public.encrypt_vector(x)
    assert opened(cx).tolist() == x.tolist()

    def wrapped(values: Any) -> list[int]:
        return [(int(v) + half) % public.modulus - half for v in values]

    big = x.astype(object)
    assert opened(cx * cx).tolist() == wrapped(big * big)
    assert opened(cx + cx).tolist() == wrapped(big + big)
    assert opened(cx * x + cx).tolist() == wrapped(big * big + big)
    assert opened(cx.dot(cx)).tolist() == wrapped([sum(big * big)])
    long = np.arange(-3000, 3001)
    assert opened(public.encrypt_vector(long).dot(long)).tolist() == [int(long @ long)]
    assert opened(public.encrypt_vector(long).sum()).tolist() == [0]


def test_all_randomness_cancelled_still_gives_a_ciphertext(ckks: Pair, bfv: Pair) -> None:
    for pair in (ckks, bfv):
        x = pair[0].encrypt_vector([3, -4])
        for zero in (x - x, x * 0, x * [0, 0], (x - x).sum()):
            assert np.abs(through_the_wire(pair)(zero)).max() < 1e-6


def test_a_product_too_many_is_refused(ckks: Pair, bfv: Pair) -> None:
    for public, _ in (ckks, bfv):
        x = public.encrypt_vector([2, 3])
        for _ in range(public.depth):
            x = x * x
        with pytest.raises(NotSupported, match="one product too many"):
            _ = x * 2
        with pytest.raises(NotSupported):
            x.dot(x)
        sent = public.vector_from_bytes(x.to_bytes(), 2)
        assert sent.level == public.depth


@pytest.mark.parametrize(("scheme", "depth"), [("ckks", 7), ("bfv", 4)])
def test_the_deepest_keys_hold_what_they_promise(scheme: Any, depth: int) -> None:
    public, private = generate_lattice_keypair(scheme, depth=depth, rotations=False)
    x = np.array([1, -1, 2, -2, 3])
    total = product = public.encrypt_vector(x)
    for _ in range(depth):
        product = product * total
    found = private.decrypt_vector(product)
    expected = x.astype(np.int64) ** (depth + 1)
    assert np.abs(found - expected).max() <= (ckks_error_bound(3, depth) if scheme == "ckks" else 0)
    with pytest.raises(NotSupported, match="rotations"):
        product.sum()


def test_the_secret_key_is_never_in_what_leaves(ckks: Pair) -> None:
    public, private = ckks
    data = public.to_bytes()
    secret = private._secret.data
    assert not public._context.has_secret_key()
    found = LatticePublicKey.from_bytes(data)
    assert not found._context.has_secret_key()
    assert found._context.is_public()
    vector = found.encrypt_vector([1.0, 2.0])
    assert not public.vector_from_bytes(vector.to_bytes(), 2).parts[0].context().has_secret_key()
    with pytest.raises(ValueError, match="secret_key"):
        vector.parts[0].decrypt()
    assert (
        np.abs(private.decrypt_vector(public.vector_from_bytes(vector.to_bytes(), 2)) - [1, 2]).max() < 1e-6
    )
    assert secret is not None


def test_a_context_that_does_carry_one_is_refused() -> None:
    """The broken variant: serialise the private context. The receiver sees it."""
    import tenseal as ts

    public, _ = generate_lattice_keypair("ckks", depth=1, rotations=False)
    leaking = ts.context(ts.SCHEME_TYPE.CKKS, 8192, -1, [60, 40, 60])
    header = public.to_bytes()[:52]
    with pytest.raises(KeyInvalid, match="secret"):
        LatticePublicKey.from_bytes(header + leaking.serialize(save_secret_key=True))


def test_what_does_not_fit_is_refused(ckks: Pair, bfv: Pair) -> None:
    for values in ([0.5], [bfv[0].modulus // 2 + 1], []):
        with pytest.raises(PlaintextOverflow):
            bfv[0].encrypt_vector(values)
    for values in ([2.0**18], [float("nan")], []):
        with pytest.raises(PlaintextOverflow):
            ckks[0].encrypt_vector(values)
    with pytest.raises(PlaintextOverflow):
        _ = ckks[0].encrypt_vector([1, 2]) * [1, 2, 3]
    with pytest.raises(KeyInvalid):
        _ = ckks[0].encrypt_vector([1]) + bfv[0].encrypt_vector([1])
    with pytest.raises(KeyInvalid):
        ckks[1].decrypt_vector(bfv[0].encrypt_vector([1]))
    for scheme, depth in (("ckks", 8), ("bfv", 5), ("bfv", 0), ("rsa", 1)):
        with pytest.raises(KeyInvalid):
            generate_lattice_keypair(scheme, depth=depth)  # type: ignore[arg-type]


def test_hostile_bytes_are_refused(ckks: Pair) -> None:
    public = ckks[0]
    data = public.encrypt_vector([1.0, 2.0]).to_bytes()
    more = data[:20] + (3).to_bytes(4, "big") + data[24:]
    deep = data[:24] + b"\x09" + data[25:]
    parts = data[:25] + (9).to_bytes(4, "big") + data[29:]
    empty_blob = data[:29] + bytes(4)
    for broken in (b"", data[:28], data[:2000], data + b"x", more, deep, parts, empty_blob, os.urandom(400)):
        with pytest.raises(CiphertextInvalid):
            public.vector_from_bytes(broken, 100)
    key = public.to_bytes()
    for broken in (b"", key[:52], key[:1000], b"x" + key, key[:51] + os.urandom(500)):
        with pytest.raises(KeyInvalid):
            LatticePublicKey.from_bytes(broken)


def test_equal_sizes_for_different_contents(bfv: Pair) -> None:
    sizes = {len(bfv[0].encrypt_vector(np.full(100, v)).to_bytes()) // 1000 for v in (0, 2**38)}
    assert max(sizes) - min(sizes) <= 2  # SEAL compresses: uniform bytes, to within a few hundred
