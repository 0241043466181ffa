"""Items onto the group: 64 uniform bytes each, for the map of RFC 9496.

BLAKE2b-512 under a key of the run, over the item's two words, eight items at a time. Equal to
`hashlib.blake2b(item, key=key, person=b"hefu ecdh item 1")`.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.blake2b import BLOCK_BYTES, midstate
from hefu.engine.kernels import kernel
from hefu.engine.ot.lanes import hash_eight_long
from hefu.engine.psi.items import ITEM_WORDS, Items

UNIFORM_BYTES = 64

_PERSON = b"hefu ecdh item 1"
_COUNT = np.uint64(BLOCK_BYTES + 8 * ITEM_WORDS)


@kernel
def _uniform(items: NDArray[np.uint64], state: NDArray[np.uint64], out: NDArray[np.uint64]) -> None:
    blocks = np.zeros((16, 8), np.uint64)
    counts = np.full(8, _COUNT)
    digests = np.empty((8, 8), np.uint64)
    for start in range(0, len(items), 8):
        filled = min(8, len(items) - start)
        for lane in range(filled):
            blocks[0, lane] = items[start + lane, 0]
            blocks[1, lane] = items[start + lane, 1]
        hash_eight_long(state, blocks, counts, digests)
        for lane in range(filled):
            for k in range(8):
                out[start + lane, k] = digests[k, lane]


class ItemHash:
    """The random oracle from items to uniform bytes, under a key that both parties share."""

    def __init__(self, key: bytes) -> None:
        self._state = midstate(key, UNIFORM_BYTES, _PERSON)

    def __call__(self, items: Items) -> NDArray[np.uint8]:
        """(n, 64) bytes."""
        out = np.empty((len(items), UNIFORM_BYTES // 8), dtype=np.uint64)
        _uniform(items, self._state, out)
        return out.view(np.uint8)
