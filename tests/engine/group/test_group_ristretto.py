"""ristretto255 against RFC 9496's vectors, and the group's laws."""

import numpy as np
import pytest
from hefu.engine.errors import InputInvalid
from hefu.engine.group import ristretto
from hefu.engine.prg import Prg

# RFC 9496, appendix A.1: multiples 1..4 of the generator.
MULTIPLES = [
    "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76",
    "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919",
    "94741f5d5d52755ece4f23f044ee27d5d1ea1e2bd196b462166b16152a9d0259",
    "da80862773358b466ffadfe0b3293ab3d9fd53c5ea6c955358f568322daf6a57",
]
# RFC 9496, appendix A.2: encodings that must be refused.
INVALID = [
    "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",  # not canonical
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0100000000000000000000000000000000000000000000000000000000000000",  # negative
    "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20",
    "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",  # x^2 has no root
    "4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f",
    "3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e",  # negative xy
    "a45fdc55c76448c049a1ab33f17023edfb2be3581e9c7aade8a6125215e04220",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # s = -1: y = 0
]
# RFC 9496, appendix A.3: from 64 uniform bytes.
UNIFORM = [
    (
        "5d1be09e3d0c82fc538112490e35701979d99e06ca3e2b5b54bffe8b4dc772c1"
        "4d98b696a1bbfb5ca32c436cc61c16563790306c79eaca7705668b47dffe5bb6",
        "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46",
    ),
    (
        "f116b34b8f17ceb56e8732a60d913dd10cce47a6d53bee9204be8b44f6678b27"
        "0102a56902e2488c46120e9276cfe54638286b9e4b3cdb470b542d46c2068d38",
        "f26e5b6f7d362d2d2a94c5d0e7602cb4773c95a2e5c31a64f133189fa76ed61b",
    ),
    (
        "8422e1bbdaab52938b81fd602effb6f89110e1e57208ad12d9ad767e2e25510c"
        "27140775f9337088b982d83d7fcf0b2fa1edffe51952cbe7365e95c86eaf325c",
        "006ccd2a9e6867e6a2c5cea83d3302cc9de128dd2a9a57dd8ee7b9d7ffe02826",
    ),
]


def rows(*hexes: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(hexes)), dtype=np.uint8).reshape(len(hexes), -1)


def scalar(value: int) -> bytes:
    return value.to_bytes(32, "little")


def test_multiples_of_the_generator() -> None:
    scalars = rows(*(scalar(k).hex() for k in (1, 2, 3, 4)))
    expected = rows(*MULTIPLES)
    assert np.array_equal(ristretto.multiply_base(scalars), expected)
    assert np.array_equal(ristretto.multiply_each(scalars, bytes.fromhex(MULTIPLES[0])), expected)
    assert np.array_equal(ristretto.multiply(scalar(2), expected[:2]), expected[[1, 3]])


@pytest.mark.parametrize("encoding", INVALID)
def test_invalid_encodings_are_refused(encoding: str) -> None:
    bad = rows(MULTIPLES[0], encoding)
    with pytest.raises(InputInvalid):
        ristretto.verify_points(bad)
    with pytest.raises(InputInvalid):
        ristretto.multiply(scalar(5), bad)


def test_the_identity_is_refused() -> None:
    with pytest.raises(InputInvalid):
        ristretto.verify_points(np.zeros((1, 32), np.uint8))
    with pytest.raises(InputInvalid):
        ristretto.multiply(scalar(5), np.zeros((1, 32), np.uint8))


@pytest.mark.parametrize(("uniform", "point"), UNIFORM)
def test_the_map_from_uniform_bytes(uniform: str, point: str) -> None:
    assert np.array_equal(ristretto.points_from_uniform(rows(uniform)), rows(point))


def test_addition_is_the_groups_and_multiplication_commutes() -> None:
    prg = Prg(bytes(16))
    a, b = ristretto.random_scalars(prg, 2)
    points = ristretto.random_points(prg, 7)
    ristretto.verify_points(points)
    once = ristretto.multiply(b.tobytes(), ristretto.multiply(a.tobytes(), points))
    assert np.array_equal(once, ristretto.multiply(a.tobytes(), ristretto.multiply(b.tobytes(), points)))
    other = ristretto.random_points(prg, 7)
    total = ristretto.add(points, other)
    assert np.array_equal(ristretto.subtract(total, other), points)
    assert np.array_equal(
        ristretto.multiply(a.tobytes(), total),
        ristretto.add(ristretto.multiply(a.tobytes(), points), ristretto.multiply(a.tobytes(), other)),
    )


def test_shapes_are_checked_and_nothing_gives_nothing() -> None:
    none = np.empty((0, 32), np.uint8)
    assert ristretto.multiply(scalar(3), none).shape == (0, 32)
    ristretto.verify_points(none)
    with pytest.raises(InputInvalid):
        ristretto.multiply(scalar(3), np.zeros((1, 31), np.uint8))
    with pytest.raises(InputInvalid):
        ristretto.add(none, np.zeros((1, 32), np.uint8))
