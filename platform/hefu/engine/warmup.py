"""Compile every kernel once, so that no job waits for it.

Compiled code goes to numba's cache: beside the sources, or under NUMBA_CACHE_DIR where that is set. The cache belongs to
one kind of CPU and one numba.
"""

import importlib
import time
from pathlib import Path

import numpy as np

from hefu.engine.join import join
from hefu.engine.permutation import permutation
from hefu.engine.prg import KEY_BYTES, Prg
from hefu.engine.psm import messages
from hefu.engine.shuffle import permute_and_mask
from hefu.engine.tokens import tokens

PARTS = ("reconcile", *sorted(path.parent.name for path in Path(__file__).parent.glob("*/warm.py")))
"""The engine's parts that have kernels: what `reconcile` needs, and each folder with a `warm` of its own."""


def warm(parts: tuple[str, ...] = PARTS) -> float:
    """Run each kernel of these parts on a few rows, with exactly the types that protocols use; returns the seconds it took."""
    started = time.perf_counter()
    for part in parts:
        if part == "reconcile":
            _warm_reconcile()
        else:
            importlib.import_module(f"hefu.engine.{part}.warm").warm()
    return time.perf_counter() - started


def _warm_reconcile() -> None:
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
