"""The tree against published vectors, two other implementations, and a naive one."""

import hashlib
import random

import pytest
from hefu_ledger import merkle
from hefu_ledger.errors import ConsistencyInvalid, InclusionInvalid, ProofInvalid
from hefu_ledger.merkle import EMPTY_ROOT, Frontier, Tree, leaf_hash, node_hash, root_of
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree
from tlog_scales.tlog import ConsistencyProof, InclusionProof

# Certificate Transparency's test data (RFC 6962 reference implementation, merkle_tree_test).
ENTRIES = [
    bytes.fromhex(one)
    for one in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# (index, size, proof) and (old, new, proof), the same source.
INCLUSIONS = [
    (0, 1, []),
    (
        0, 8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5, 8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1, 5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]  # fmt: skip
CONSISTENCIES = [
    (1, 1, []),
    (
        1, 8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6, 8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2, 5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]  # fmt: skip
VECTOR_LEAVES = [leaf_hash(one) for one in ENTRIES]
LEAVES = [leaf_hash(b"%d" % number) for number in range(300)]


def naive_root(leaves):
    """RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


NAIVE = [naive_root(LEAVES[:size]) for size in range(len(LEAVES) + 1)]


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size):
    frontier = Frontier()
    frontier.extend(VECTOR_LEAVES[:size])
    assert frontier.root().hex() == root_of(VECTOR_LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSIONS)
def test_published_inclusion_proofs(index, size, proof):
    hashes = [bytes.fromhex(one) for one in proof]
    assert merkle.inclusion_proof(VECTOR_LEAVES, index, size) == hashes
    merkle.verify_inclusion(VECTOR_LEAVES[index], index, size, hashes, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new", "proof"), CONSISTENCIES)
def test_published_consistency_proofs(old, new, proof):
    hashes = [bytes.fromhex(one) for one in proof]
    assert merkle.consistency_proof(VECTOR_LEAVES, old, new) == hashes
    merkle.verify_consistency(old, new, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new]), hashes)


def test_every_size_to_300_three_ways():
    frontier, tree = Frontier(), Tree(LEAVES)
    for size, root in enumerate(NAIVE):
        assert frontier.root() == tree.root(size) == root
        assert sum(count for count, _ in frontier.peaks()) == size
        if size < len(LEAVES):
            frontier.append(LEAVES[size])


def test_every_inclusion_proof_to_300():
    tree = Tree(LEAVES)
    for size in range(1, 301):
        for index in range(size):
            merkle.verify_inclusion(LEAVES[index], index, size, tree.inclusion(index, size), NAIVE[size])


def test_every_consistency_proof_to_300():
    tree = Tree(LEAVES)
    for new in range(301):
        for old in range(new + 1):
            merkle.verify_consistency(old, new, NAIVE[old], NAIVE[new], tree.consistency(old, new))


def test_roots_and_proofs_of_pymerkle():
    other = InmemoryTree(algorithm="sha256")
    for number in range(130):
        other.append(b"%d" % number)
        assert other.get_state() == NAIVE[number + 1]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 64, 65, 255, 256, 257, 300])
def test_another_verifier_accepts_our_proofs(size):
    tree = Tree(LEAVES[:size])
    for index in range(size):
        InclusionProof(index, size, tree.inclusion(index)).check(LEAVES[index], NAIVE[size])
        ConsistencyProof(index, size, tree.consistency(index)).check(NAIVE[index], NAIVE[size])


@given(st.integers(1, 299), st.data())
def test_forged_inclusion_proofs(size, data):
    tree = Tree(LEAVES[:size])
    index = data.draw(st.integers(0, size - 1))
    proof, root = tree.inclusion(index), NAIVE[size]
    leaf = LEAVES[index]
    extra = data.draw(st.binary(min_size=32, max_size=32))
    forgeries = [
        (leaf, index, size, [*proof, extra]),
        (leaf, index, size, [extra, *proof]),
        (leaf, size, size, proof),
        (leaf, -1, size, proof),
        (LEAVES[299], index, size, proof),
        (leaf, index, size, [*proof, b""]),
        (b"", index, size, proof),
    ]
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        flipped = bytearray(proof[place])
        flipped[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
        forgeries += [
            (leaf, index, size, []),
            (leaf, index, size, proof[:-1]),
            (leaf, index, size, proof[1:]),
            (leaf, index, size, [*proof[:place], bytes(flipped), *proof[place + 1 :]]),
            (leaf, (index + 1) % size, size, proof),
        ]
    for forgery in forgeries:
        with pytest.raises(InclusionInvalid):
            merkle.verify_inclusion(*forgery, root)


@given(st.integers(1, 299), st.data())
def test_forged_consistency_proofs(new, data):
    old = data.draw(st.integers(1, new))
    proof = Tree(LEAVES[:new]).consistency(old)
    wrong = data.draw(st.binary(min_size=32, max_size=32))
    forgeries = [
        (old, new, wrong, NAIVE[new], proof),
        (old, new, NAIVE[old], wrong, proof),
        (old, new, NAIVE[old], NAIVE[new], [*proof, wrong]),
        (old, new, NAIVE[old], NAIVE[new], [wrong, *proof]),
        (new + 1, new, NAIVE[old], NAIVE[new], proof),
        (0, new, NAIVE[old], NAIVE[new], []),
        (-1, new, NAIVE[old], NAIVE[new], []),
    ]
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        forgeries += [
            (old, new, NAIVE[old], NAIVE[new], []),
            (old, new, NAIVE[old], NAIVE[new], proof[:-1]),
            (old, new, NAIVE[old], NAIVE[new], [*proof[:place], wrong, *proof[place + 1 :]]),
            (new, new, NAIVE[old], NAIVE[new], []),
        ]
    for forgery in forgeries:
        with pytest.raises(ConsistencyInvalid):
            merkle.verify_consistency(*forgery)


def test_a_node_does_not_pass_for_a_leaf():
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)
    with pytest.raises(InclusionInvalid):
        merkle.verify_inclusion(leaf_hash(left + right), 0, 1, [], NAIVE[2])


def test_a_doubled_last_leaf_is_another_tree():
    """CVE-2012-2459: trees that pad by repeating the last leaf have one root for two lists."""
    for size in range(1, 40):
        assert root_of(LEAVES[:size]) != root_of([*LEAVES[:size], LEAVES[size - 1]])


def test_the_empty_tree_has_one_root():
    merkle.verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    with pytest.raises(ConsistencyInvalid):
        merkle.verify_consistency(0, 0, LEAVES[0], LEAVES[0], [])


def test_requests_beyond_the_tree():
    tree = Tree(LEAVES[:5])
    for ask in (
        lambda: tree.inclusion(5),
        lambda: tree.inclusion(0, 6),
        lambda: tree.consistency(6),
        lambda: tree.root(9),
    ):
        with pytest.raises(ProofInvalid):
            ask()


def test_a_copy_is_independent():
    frontier = Frontier()
    frontier.extend(random.Random(1).sample(LEAVES, 100))
    copy, root = frontier.copy(), frontier.root()
    copy.append(LEAVES[0])
    assert frontier.root() == root != copy.root()
