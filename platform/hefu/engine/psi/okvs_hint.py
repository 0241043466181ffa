"""A programmed oblivious PRF: the sender's corrections, in an OKVS, turn PRF values into values of its choice.

For its keys the sender encodes (wanted value xor PRF value); the receiver adds what it decodes for its own keys. For a
key that both have it gets the wanted value, else something random. Nothing shows which: PRF values at keys that the
receiver does not have are random to it, and so is the OKVS (uniform values, see `okvs`).
Source: Rindal, Schoppmann, "VOLE-PSI", EUROCRYPT 2021, section 5.
"""

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.psi.items import Items
from hefu.engine.psi.okvs import decode
from hefu.engine.psi.okvs_bins import plan
from hefu.engine.psi.okvs_shared import SharedHashes, encode_bin, received_attempt
from hefu.engine.session import Session


def tell_corrections(
    session: Session,
    channel: Channel,
    hashes: SharedHashes,
    keys: Items,
    corrections: NDArray[np.uint64],
    *,
    operation: int,
) -> None:
    """Send the OKVS of corrections (n, 2) for distinct keys (n, 2), bin by bin."""
    shape = plan(len(keys))
    binned = hashes.binned(keys, shape)
    filler = session.private_prg(operation, f"{hashes.purpose} filler")
    message = np.empty((shape.columns + 1, 2), dtype=np.uint64)
    for number in range(shape.bins):
        attempt, _, p = encode_bin(
            hashes, binned.keys(number), corrections[binned.rows(number)], shape, filler
        )
        message[0], message[1:] = attempt, p
        channel.send(message)


def hear_corrections(
    channel: Channel, hashes: SharedHashes, keys: Items, points: int, into: NDArray[np.uint64]
) -> None:
    """Receive the OKVS of `points` corrections and add what it holds for our keys (m, 2) to `into` (m, 2)."""
    shape = plan(points)
    binned = hashes.binned(keys, shape)
    message = np.empty((shape.columns + 1, 2), dtype=np.uint64)
    for number in range(shape.bins):
        channel.recv_into(message)
        rows = hashes.rows(received_attempt(channel, message[0])).rows(binned.keys(number), shape.sparse)
        into[binned.rows(number)] ^= decode(message[1:], rows)
