"""Private set intersection from an OKVS and VOLE: the core, between receiver R and sender S.

    R: P = OKVS {x -> h(x)}                   R -> S: A + P, bin by bin
    S: K = B + Delta (A + P) = C + Delta P    f(y) = H(Decode(K, y) + Delta h(y)), shuffled    S -> R
    R: x is common iff H(Decode(C, x)) is among them

For y in X, Decode(K, y) = Decode(C, y) + Delta h(y). For any other y, f(y) hides behind Delta (h(y) - Decode(P, y)),
which is zero with probability 2^-128.

Who learns what: R the common items and how many distinct items S has; S how many distinct items R has. Nothing else,
against semi-honest parties, H correlation robust, h a random function (both AES-MMO under keys of this session).
A + P and the shuffled list are uniform to their readers; sizes follow from the two counts.
Values compared have 40 + log2(n_R n_S) bits: another item agrees with probability below 2^-40 in the whole run.
Not promised: anything against a party that leaves the protocol.
Sources: Rindal, Schoppmann, "VOLE-PSI", EUROCRYPT 2021, section 4; Raghuraman, Rindal, "Blazing fast PSI", CCS 2022.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.field import add_scaled
from hefu.engine.permutation import permutation
from hefu.engine.psi.items import Items
from hefu.engine.psi.lookup import Table
from hefu.engine.psi.okvs import decode
from hefu.engine.psi.okvs_bins import plan, scatter
from hefu.engine.psi.okvs_shared import SharedHashes, encode_bin, received_attempt
from hefu.engine.psi.values import VALUE_BYTES, cut, find, tell, value_bytes
from hefu.engine.psi.vole import VoleReceiver, VoleSender
from hefu.engine.session import Session


def receive(
    session: Session, channel: Channel, items: Items, sender_items: int, vole: VoleReceiver, *, operation: int
) -> NDArray[np.bool_]:
    """R's part; `items` are distinct. Answers which of them S has too: (n_R,) bool."""
    hashes = SharedHashes(session, channel.peer, operation)
    values = evaluate_receiver(session, channel, hashes, items, vole, operation=operation)
    width = value_bytes(len(items), sender_items)
    cut(values, width)
    return find(channel, sender_items, width, Table(values))


def send(
    session: Session, channel: Channel, items: Items, receiver_items: int, vole: VoleSender, *, operation: int
) -> None:
    """S's part; `items` are distinct."""
    hashes = SharedHashes(session, channel.peer, operation)
    order = permutation(session.private_prg(operation, "psi order"), len(items))
    values = evaluate_sender(channel, hashes, items, receiver_items, vole, order)
    width = value_bytes(receiver_items, len(items))
    tell(channel, np.ascontiguousarray(values.view(np.uint8).reshape(-1, VALUE_BYTES)[:, :width]))


def evaluate_receiver(
    session: Session,
    channel: Channel,
    hashes: SharedHashes,
    items: Items,
    vole: VoleReceiver,
    *,
    operation: int,
) -> NDArray[np.uint64]:
    """R's values of the oblivious PRF: (n_R, 2), in the order of the items."""
    filler = session.private_prg(operation, f"{hashes.purpose} okvs filler")
    shape = plan(len(items))
    binned = hashes.binned(items, shape)
    values = np.empty_like(items)
    message = np.empty((shape.columns + 1, 2), dtype=np.uint64)
    for number in range(shape.bins):
        keys = binned.keys(number)
        a, c = vole.take(shape.columns)
        attempt, rows, p = encode_bin(hashes, keys, hashes.item(keys), shape, filler)
        message[0] = attempt
        np.bitwise_xor(a, p, out=message[1:])
        channel.send(message)
        scatter(hashes.output(decode(c, rows)), binned.rows(number), values)
    return values


def evaluate_sender(
    channel: Channel,
    hashes: SharedHashes,
    items: Items,
    receiver_items: int,
    vole: VoleSender,
    order: NDArray[np.uint32] | None = None,
) -> NDArray[np.uint64]:
    """S's values of the same function: (n_S, 2). In the order of the items, or shuffled by `order`, a secret permutation."""
    shape = plan(receiver_items)
    binned = hashes.binned(items, shape)
    values = np.empty_like(items)
    message = np.empty((shape.columns + 1, 2), dtype=np.uint64)
    for number in range(shape.bins):
        k = vole.take(shape.columns)
        channel.recv_into(message)
        add_scaled(k, message[1:], vole.delta)
        keys = binned.keys(number)
        rows = hashes.rows(received_attempt(channel, message[0])).rows(keys, shape.sparse)
        f = decode(k, rows)
        add_scaled(f, hashes.item(keys), vole.delta)
        where = binned.rows(number)
        if order is not None:
            where = order[binned.starts[number] : binned.starts[number + 1]]
        scatter(hashes.output(f, out=f), where, values)
    return values
