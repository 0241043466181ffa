"""The Merkle tree of RFC 9162 section 2.1 (the same as RFC 6962's), with SHA-256.

Leaves and nodes are hashed under different prefixes, so a node can never pass for a leaf. The root in a signed checkpoint
is the only commitment; nothing here verifies against a root that nobody signed: that is the caller's duty.
"""

import hashlib
from collections.abc import Iterable, Sequence

from hefu_ledger.errors import ConsistencyInvalid, InclusionInvalid, ProofInvalid

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 ‖ entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The tree's right edge: enough to append and to know the root, in O(log n) space."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []  # roots of complete subtrees, largest first; one per set bit of size

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash (32 bytes)."""
        carried, bits = leaf, self.size
        while bits & 1:
            carried = node_hash(self._peaks.pop(), carried)
            bits >>= 1
        self._peaks.append(carried)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes in order."""
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._peaks:
            return EMPTY_ROOT
        result = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            result = node_hash(peak, result)
        return result

    def peaks(self) -> list[tuple[int, bytes]]:
        """The complete subtrees from the left: (number of leaves, root)."""
        counts = [1 << bit for bit in reversed(range(self.size.bit_length())) if self.size >> bit & 1]
        return list(zip(counts, self._peaks, strict=True))

    def copy(self) -> "Frontier":
        """An independent copy."""
        other = Frontier()
        other.size, other._peaks = self.size, list(self._peaks)
        return other


class Tree:
    """All complete subtrees of a sequence of leaf hashes: any root, any proof, at any size up to its own."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [list(leaves)]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            self._levels.append([node_hash(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self._levels[0])

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` leaves."""
        return self._hash(0, self._upto(size))

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The inclusion proof of leaf `index` in the tree of `size` leaves, from the leaf upwards."""
        size = self._upto(size)
        if not 0 <= index < size:
            raise InclusionInvalid(f"no leaf {index} in a tree of {size}")
        proof, start, end = [], 0, size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                proof.append(self._hash(middle, end))
                end = middle
            else:
                proof.append(self._hash(start, middle))
                start = middle
        return proof[::-1]

    def consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """The proof that the first `old` of `new` leaves are the tree of size `old`; empty for 0 and for `new`."""
        new = self._upto(new)
        if not 0 <= old <= new:
            raise ConsistencyInvalid(f"no tree of {old} in a tree of {new}")
        if old in (0, new):
            return []
        proof, start, end, complete = [], 0, new, True
        while old != end:
            middle = start + _split(end - start)
            if old <= middle:
                proof.append(self._hash(middle, end))
                end = middle
            else:
                proof.append(self._hash(start, middle))
                start, complete = middle, False
        if not complete:
            proof.append(self._hash(start, end))
        return proof[::-1]

    def _upto(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise ProofInvalid(f"no tree of {size} in a tree of {self.size}")
        return size

    def _hash(self, start: int, end: int) -> bytes:
        count = end - start
        if count == 0:
            return EMPTY_ROOT
        if count & (count - 1) == 0:
            level = count.bit_length() - 1
            return self._levels[level][start >> level]
        middle = start + _split(count)
        return node_hash(self._hash(start, middle), self._hash(middle, end))


def _split(count: int) -> int:
    """The largest power of two smaller than `count` (> 1)."""
    return 1 << ((count - 1).bit_length() - 1)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes; another way to it than `Frontier`, so that each can check the other."""
    return Tree(leaves).root()


def inclusion_proof(leaves: Sequence[bytes], index: int, size: int | None = None) -> list[bytes]:
    """`Tree.inclusion` over a sequence of leaf hashes."""
    return Tree(leaves[:size]).inclusion(index)


def consistency_proof(leaves: Sequence[bytes], old: int, new: int | None = None) -> list[bytes]:
    """`Tree.consistency` over a sequence of leaf hashes."""
    return Tree(leaves[:new]).consistency(old)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Return if `proof` leads from leaf hash `leaf` at `index` to `root` of `size` leaves (RFC 9162, 2.1.3.2).

    raises  InclusionInvalid
    """
    if not 0 <= index < size:
        raise InclusionInvalid(f"index {index} is not in a tree of {size}")
    _check_hashes(InclusionInvalid, leaf, root, *proof)
    node, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise InclusionInvalid("the proof is too long")
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise InclusionInvalid("the proof is too short")
    if result != root:
        raise InclusionInvalid("the proof leads to another root")


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return if the tree (old_size, old_root) is a prefix of (new_size, new_root) (RFC 9162, 2.1.4.2).

    Sizes 0 and `new_size` need an empty proof; size 0 needs the empty root.

    raises  ConsistencyInvalid
    """
    if not 0 <= old_size <= new_size:
        raise ConsistencyInvalid(f"a tree of {old_size} cannot precede one of {new_size}")
    _check_hashes(ConsistencyInvalid, old_root, new_root, *proof)
    if old_size in (0, new_size):
        if proof:
            raise ConsistencyInvalid("nothing to prove, yet a proof is given")
        if old_root != (EMPTY_ROOT if old_size == 0 else new_root):
            raise ConsistencyInvalid("two roots for one size")
        if new_size == 0 and new_root != EMPTY_ROOT:
            raise ConsistencyInvalid("a root for the empty tree that is not its own")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise ConsistencyInvalid("the proof is empty")
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ConsistencyInvalid("the proof is too long")
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node != 0:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise ConsistencyInvalid("the proof is too short")
    if old != old_root:
        raise ConsistencyInvalid("the proof leads to another old root")
    if new != new_root:
        raise ConsistencyInvalid("the proof leads to another new root")


def _check_hashes(error: type[ProofInvalid], *hashes: bytes) -> None:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise error("a hash that has not 32 bytes")
