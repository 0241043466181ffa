"""OT extension: from w x 64 base transfers to any number of correlated rows, by symmetric cryptography alone.

The extension's sender holds a secret string s of 64 w bits, its receiver any code row c_i per transfer; they end with
    sender: q_i,   receiver: t_i,   q_i = t_i xor (c_i and s).
w = 2 and rows of all ones or all zeros, by a choice bit x_i, give correlated transfers with the offset Δ = s:
q_i = t_i xor x_i Δ (`delta_rows`); hashed they are random transfers (`random_pairs`, `random_chosen`). w = 8 and rows of
a code give KKRT's oblivious PRF.

The roles of the base transfers are turned around: the extension's sender receives them, with the bits of s as choices.
One flow per batch, receiver -> sender: u_i = (t_i xor t'_i xor c_i), 8 w bytes per row, rows padded to a multiple of 512.
Who learns what: the sender nothing of the code rows (t' is masked by streams it lacks, bit by bit), the receiver nothing
of s. Semi-honest: a receiver that sends rows other than a code's can learn bits of s; nothing here checks that.
Sources: Ishai, Kilian, Nissim, Petrank, CRYPTO 2003; Kolesnikov, Kumaresan, CRYPTO 2013 (codes).
"""

from collections.abc import Iterator

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.errors import InputInvalid
from hefu.engine.ot import base
from hefu.engine.ot.bits import BLOCK_ROWS, transpose
from hefu.engine.ot.robust import RobustHash
from hefu.engine.session import Session

BATCH_ROWS = 1 << 15
DELTA_WORDS = 2

Words2D = NDArray[np.uint64]


class ExtensionSender:
    """The side that holds s.

    secret  (w,) uint64: s, private to us
    """

    def __init__(self, session: Session, channel: Channel, words: int, *, operation: int) -> None:
        """Draws s and receives the base transfers: one round, 32 bytes to us, 4 KiB times w from us."""
        self._channel = channel
        self.secret = session.private_prg(operation, "extension secret").words(words)
        choices = np.unpackbits(self.secret.view(np.uint8), bitorder="little").astype(bool)
        self._streams = _Columns(base.receive(session, channel, choices, operation=operation))

    def rows(self, count: int) -> Words2D:
        """The next `count` rows (count, w): q. Takes one frame from the peer; raises ChannelError."""
        received = np.empty((_padded(count), len(self.secret)), dtype=np.uint64)
        self._channel.recv_into(received)
        np.bitwise_and(received, self.secret, out=received)
        received ^= self._streams.next_rows(len(received))
        return received[:count]


class ExtensionReceiver:
    """The side that chooses the code rows."""

    def __init__(self, session: Session, channel: Channel, words: int, *, operation: int) -> None:
        """Sends the base transfers: one round."""
        self._channel = channel
        pairs = base.send(session, channel, 64 * words, operation=operation)
        self._words = words
        self._streams = [_Columns(np.ascontiguousarray(pairs[:, choice])) for choice in (0, 1)]

    def rows(self, codes: Words2D) -> Words2D:
        """The next rows (n, w): t, for code rows (n, w). Sends one frame."""
        count = len(codes)
        if codes.shape != (count, self._words):
            raise InputInvalid(f"code rows of {self._words} words are needed")
        told, mine = self._streams[1].next_rows(_padded(count)), self._streams[0].next_rows(_padded(count))
        told ^= mine
        told[:count] ^= codes
        self._channel.send(told)
        return mine[:count]


class _Columns:
    """One stream per column (as `Prg` has it: AES-128-CTR), read as rows.

    Many short pieces are drawn, one per column and batch, so buffers and views are kept from batch to batch. Rows that
    padding left over are thrown away, never used again.
    """

    def __init__(self, keys: Words2D) -> None:
        self._fills = [
            Cipher(algorithms.AES(key.astype("<u8").tobytes()), modes.CTR(bytes(16))).encryptor().update_into
            for key in keys
        ]
        self._columns = np.empty((len(keys), 0), dtype=np.uint64)
        self._views: list[memoryview] = []

    def next_rows(self, count: int) -> Words2D:
        if self._columns.shape[1] != count // 64:
            self._columns = np.empty((len(self._fills), count // 64), dtype=np.uint64)
            self._views = [column.data.cast("B") for column in self._columns]
        zeros = bytes(count // 8)
        if count:
            for fill, view in zip(self._fills, self._views, strict=True):
                fill(zeros, view)
        rows = np.empty((count, len(self._fills) // 64), dtype=np.uint64)
        transpose(self._columns, rows)
        return rows


def batches(count: int, size: int = BATCH_ROWS) -> Iterator[tuple[int, int]]:
    """(start, stop) of pieces that keep memory small: both sides cut alike."""
    for start in range(0, count, size):
        yield start, min(count, start + size)


def delta_rows(sender: ExtensionSender, count: int) -> Words2D:
    """(count, 2) q of correlated transfers with offset Δ = `sender.secret`; the peer calls `chosen_rows`."""
    out = np.empty((count, DELTA_WORDS), dtype=np.uint64)
    for start, stop in batches(count):
        out[start:stop] = sender.rows(stop - start)
    return out


def chosen_rows(receiver: ExtensionReceiver, choices: NDArray[np.bool_]) -> Words2D:
    """(n, 2) t with q_i = t_i xor x_i Δ, for choice bits (n,) x."""
    out = np.empty((len(choices), DELTA_WORDS), dtype=np.uint64)
    for start, stop in batches(len(choices)):
        bits = choices[start:stop].astype(np.uint64)
        codes = np.repeat((np.uint64(0) - bits)[:, None], DELTA_WORDS, axis=1)
        out[start:stop] = receiver.rows(codes)
    return out


def random_pairs(sender: ExtensionSender, count: int, hash_key: bytes) -> NDArray[np.uint64]:
    """Random transfers, the sender's both messages: (count, 2, 2) [transfer, choice, word].

    hash_key  32 bytes that both have and that no other run has: session.key(peer, operation, purpose)
    """
    h, numbers = RobustHash(hash_key), np.arange(count, dtype=np.uint64)
    q = delta_rows(sender, count)
    return np.stack([h(q, numbers), h(q ^ sender.secret, numbers)], axis=1)


def random_chosen(
    receiver: ExtensionReceiver, choices: NDArray[np.bool_], hash_key: bytes
) -> NDArray[np.uint64]:
    """Random transfers, the receiver's messages: (n, 2), those of its choices (n,)."""
    numbers = np.arange(len(choices), dtype=np.uint64)
    return RobustHash(hash_key)(chosen_rows(receiver, choices), numbers)


def _padded(count: int) -> int:
    return -(-count // BLOCK_ROWS) * BLOCK_ROWS
