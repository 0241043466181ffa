"""Puncturable pseudo-random functions: many GGM trees at once, and the same trees with one leaf each unknown.

A node's two children are H_0(node) and H_1(node) under two hashes of the session. For a punctured tree one needs, per
level, the sum of all nodes on the side that the path to the missing leaf does not take: one oblivious transfer a level.
Layout: level l of T trees is (2^l, T, 2); node j's children stand at j and at j + 2^l, so bit l of a leaf's number is
the side taken at level l.
Sources: Goldreich, Goldwasser, Micali, "How to construct random functions", JACM 1986; the punctured form from
oblivious transfers: Boyle, Couteau, Gilboa, Ishai, Kohl, Rindal, Scholl, CCS 2019, section 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hefu.engine.psi.okvs_hash import BlockHash
from hefu.engine.session import Session

Words = NDArray[np.uint64]


class Sides:
    """H_0 and H_1, public, of one purpose."""

    def __init__(self, session: Session, peer: str, operation: int, purpose: str) -> None:
        keys = session.key(peer, operation, f"ggm {purpose}", 32)
        self._hashes = BlockHash(keys[:16]), BlockHash(keys[16:])

    def children(self, nodes: Words) -> Words:
        """(n, T, 2) nodes -> (2, n, T, 2)."""
        out = np.empty((2, *nodes.shape), dtype=np.uint64)
        flat = nodes.reshape(-1, 2)
        for side, hashed in enumerate(self._hashes):
            hashed(flat, out=out[side].reshape(-1, 2))
        return out


def grow(roots: Words, depth: int, sides: Sides) -> tuple[Words, Words]:
    """Whole trees.

    roots    (T, 2)
    returns  leaves (2^depth, T, 2), and the sums of each level's sides (depth, 2, T, 2)
    """
    nodes = roots[None]
    sums = np.empty((depth, 2, *roots.shape), dtype=np.uint64)
    for level in range(depth):
        children = sides.children(nodes)
        np.bitwise_xor.reduce(children, axis=1, out=sums[level])
        nodes = children.reshape(-1, *roots.shape)
    return nodes, sums


def grow_punctured(
    choices: NDArray[np.uint8], chosen: Words, sides: Sides
) -> tuple[Words, NDArray[np.int64]]:
    """Trees without one leaf each, which is zero here.

    choices  (depth, T) 0 or 1: the side whose sum we have; the missing leaf is on the other one
    chosen   (depth, T, 2) those sums
    returns  leaves (2^depth, T, 2), and the number of each missing leaf (T,)
    """
    depth, trees = choices.shape
    tree = np.arange(trees)
    missing = np.zeros(trees, dtype=np.int64)
    nodes = np.zeros((1, trees, 2), dtype=np.uint64)
    for level in range(depth):
        children = sides.children(nodes)
        children[:, missing, tree] = 0
        known = choices[level]
        sums = np.bitwise_xor.reduce(children, axis=1)
        children[known, missing, tree] = sums[known, tree] ^ chosen[level]
        missing += (1 - known.astype(np.int64)) << level
        nodes = children.reshape(-1, trees, 2)
    return nodes, missing
