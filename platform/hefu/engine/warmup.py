"""Compile every kernel once, so that no job waits for it.

Compiled code goes to numba's cache: beside the sources, or under NUMBA_CACHE_DIR where that is set. The cache belongs to
one kind of CPU and one numba.
"""

import time

import numpy as np

from hefu.engine.join import join
from hefu.engine.permutation import permutation
from hefu.engine.prg import KEY_BYTES, Prg
from hefu.engine.psm import messages
from hefu.engine.shuffle import permute_and_mask
from hefu.engine.tokens import tokens


def warm() -> float:
    """Run each kernel on a few rows, with exactly the types that protocols use; returns the seconds it took."""
    started = time.perf_counter()
    n = 4
    share = np.zeros((n, 4), dtype=np.uint64)
    offsets = np.arange(n + 1, dtype=np.int64)
    institution = np.zeros(n, dtype=np.int32)
    tokens(
        offsets,
        np.zeros(n, dtype=np.uint8),
        np.arange(n, dtype=np.uint32),
        institution,
        {0: bytes(32)},
        out=share[:, :2],
    )
    prg = Prg(bytes(KEY_BYTES))
    order = permutation(prg, n)
    for negative in (False, True):
        permute_and_mask(share, order, prg, negative=negative)
    found = join(np.ascontiguousarray(share[:, :2]))
    messages(bytes(32), share[:, 2][found.single])
    return time.perf_counter() - started
