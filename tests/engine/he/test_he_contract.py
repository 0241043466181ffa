"""One contract for every scheme behind the vector interface."""

from typing import Any

import numpy as np
import pytest
from hefu.engine.he import (
    Decryptor,
    Encryptor,
    HeError,
    Vector,
    generate_lattice_keypair,
)


@pytest.fixture(scope="module", name="key", params=["paillier", "okamoto", "bfv", "ckks"])
def key_fixture(request: Any) -> Decryptor:
    if request.param in ("bfv", "ckks"):
        return generate_lattice_keypair(request.param)[1]
    found: Decryptor = request.getfixturevalue(f"{request.param}_key")
    return found


def test_the_contract(key: Decryptor) -> None:
    public: Encryptor = key.public
    x = np.array([5, -3, 0, 1000, -999])
    y = np.array([1, 2, -7, 40, 0])
    cx: Vector = public.encrypt_vector(x)
    cy: Vector = public.encrypt_vector(y)

    def opened(vector: Vector) -> Any:
        return key.decrypt_vector(public.vector_from_bytes(vector.to_bytes(), len(vector)))

    assert len(cx) == 5
    for found, expected in (
        (cx, x),
        (cx + cy, x + y),
        (cx + y, x + y),
        (cx + 3, x + 3),
        (cx - cy, x - y),
        (cx - y, x - y),
        (cx * y, x * y),
        (cx * -2, x * -2),
        (cx.sum(), [x.sum()]),
        (cx.dot(y), [x @ y]),
        (cx.sum() + cy.sum(), [x.sum() + y.sum()]),
    ):
        np.testing.assert_allclose(opened(found).astype(float), expected, atol=0.05)
    for wrong in (lambda: cx + x[:2], lambda: cx * [1, 2], lambda: public.vector_from_bytes(b"junk", 9)):
        with pytest.raises(HeError):
            wrong()
