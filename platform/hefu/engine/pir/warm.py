"""Compile this package's kernels once, with the types that its protocols use."""

import numpy as np

from hefu.engine.pir.gauss import errors
from hefu.engine.pir.keys import Keys, seeded_tokens
from hefu.engine.pir.lattice_kernels import answer, dots
from hefu.engine.pir.scan import scan
from hefu.engine.prg import KEY_BYTES, Prg


def warm() -> None:
    """A few rows through each kernel."""
    words = np.ones((2, 9), dtype=np.uint32)
    answer(np.ones((9, 2), dtype=np.int8), words, np.zeros((2, 2), dtype=np.uint32))
    dots(words, words[0], np.zeros(2, dtype=np.uint32))
    errors(Prg(bytes(KEY_BYTES)), 2)
    scan(np.zeros((2, 5), dtype=np.uint64), np.zeros((1, 2), dtype=np.uint64))
    seeded_tokens(bytes(16), Keys.of([b"key"]))
