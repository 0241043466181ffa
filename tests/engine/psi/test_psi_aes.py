"""AES as a permutation against FIPS 197 and SP 800-38A."""

import numpy as np
from hefu.engine.psi.aes import Permutation

# NIST SP 800-38A, F.1.1 (ECB-AES128.Encrypt), and FIPS 197, appendix C.1.
KEY = "2b7e151628aed2a6abf7158809cf4f3c"
BLOCKS = [
    ("6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
    ("ae2d8a571e03ac9c9eb76fac45af8e51", "f5d3d58503b9699de785895a96fdbaaf"),
    ("30c81c46a35ce411e5fbc1191a0a52ef", "43b1cd7f598ece23881b00e3ed030688"),
    ("f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"),
]
FIPS_KEY, FIPS_BLOCK, FIPS_IMAGE = (
    "000102030405060708090a0b0c0d0e0f",
    "00112233445566778899aabbccddeeff",
    "69c4e0d86a7b0430d8cdb78070b4c55a",
)


def blocks(*hexes: str) -> np.ndarray:
    return np.frombuffer(bytearray.fromhex("".join(hexes)), dtype=np.uint64).reshape(-1, 2)


def test_blocks_of_the_standards() -> None:
    permute = Permutation(bytes.fromhex(KEY))
    assert permute(blocks(*(block for block, _ in BLOCKS))).tobytes().hex() == "".join(c for _, c in BLOCKS)
    assert Permutation(bytes.fromhex(FIPS_KEY))(blocks(FIPS_BLOCK)).tobytes().hex() == FIPS_IMAGE


def test_shapes_and_nothing_at_all() -> None:
    permute = Permutation(bytes.fromhex(FIPS_KEY))
    assert permute(np.empty((0, 2), np.uint64)).shape == (0, 2)
    assert permute(np.repeat(blocks(FIPS_BLOCK), 6, axis=0).reshape(3, 2, 2)).shape == (3, 2, 2)
