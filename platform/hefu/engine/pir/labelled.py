"""Labelled PSI from an oblivious PRF: many keys against a large list, with the payloads of the hits.

Offline, reusable: owner -> asker the list, every entry a tag and its payload under a pad, both from the PRF of the key,
in the order of tags. Online, one round for any number of keys: asker -> owner 32 bytes per key, owner -> asker 32 bytes.

The owner learns the number of keys asked. The asker learns the length of the list (or the length that it was padded to),
the length of payloads, and for its own keys whether they are there, with their payloads. What it keeps opens no other
entry: each further key costs an evaluation, which the owner counts and limits. An asker may ask keys of its guessing.
Semi-honest; an owner that evaluates under another key makes hits disappear, undetected.
Sources: Jarecki, Liu, "Fast secure computation of set intersection", SCN 2010 (PSI from an OPRF); the exchange as in
Resende, Aranha, "Faster unbalanced private set intersection", FC 2018; PRF: RFC 9497.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hefu.engine.errors import FrameInvalid, InputInvalid
from hefu.engine.frames import Channel
from hefu.engine.pir import oprf
from hefu.engine.pir.keyed import pads, tag_columns
from hefu.engine.pir.keys import Keys, as_keys, payload_matrix, refuse_duplicates
from hefu.engine.session import Session

FALSE_HIT_BITS = 40
_HEADER = struct.Struct("<QQQ")
_CHUNK_ROWS = 1 << 15
_FRAME_BYTES = 1 << 20
DEFAULT_MAX_LIST_BYTES = 1 << 32


@dataclass(frozen=True, slots=True)
class SealedList:
    """Entries (n, tag_bytes + payload_bytes), rising by their first eight bytes: useless without the PRF."""

    entries: NDArray[np.uint8]
    tag_bytes: int

    @property
    def payload_bytes(self) -> int:
        """The length of a payload."""
        return int(self.entries.shape[1]) - self.tag_bytes


@dataclass(frozen=True, slots=True)
class LabelledList:
    """What the owner keeps: the list as published, and the PRF's key."""

    published: SealedList
    oprf_key: bytes = field(repr=False)


def tag_bytes_for(entries: int, keys: int) -> int:
    """So that any wrong hit among `keys` asked has probability below 2^-40: (40 + log2(entries keys)) bits, 8 to 16 bytes."""
    bits = FALSE_HIT_BITS + math.log2(max(entries, 1) * max(keys, 1))
    return min(max(math.ceil(bits / 8), 8), 16)


def prepare_list(
    session: Session,
    keys: Keys | Sequence[bytes],
    payloads: NDArray[np.uint8],
    *,
    pad_to: int = 0,
    max_keys: int = 1 << 20,
    operation: int = 0,
) -> LabelledList:
    """The owner's preparation: one group operation per entry, about 55 microseconds.

    keys      n different byte strings; payloads (n, L) uint8, L >= 0
    pad_to    random entries fill the list up to this length, which hides n
    max_keys  how many keys will be asked in the list's life: decides the length of tags
    raises    InputInvalid for a key that comes twice
    """
    keys = as_keys(keys)
    payloads = payload_matrix(payloads, keys)
    if pad_to and pad_to < len(keys):
        raise InputInvalid(f"{len(keys)} entries can't be padded to {pad_to}")
    total = max(pad_to, len(keys))
    tag_bytes = tag_bytes_for(total, max_keys)
    key = oprf.new_key(session.private_prg(operation, "labelled psi prf key"))
    entries = np.empty((total, tag_bytes + payloads.shape[1]), dtype=np.uint8)
    digests = np.empty((len(keys), 16), dtype=np.uint8)
    for start in range(0, len(keys), _CHUNK_ROWS):
        rows = range(start, min(start + _CHUNK_ROWS, len(keys)))
        part = slice(start, rows.stop)
        values = oprf.evaluate(key, [keys[row] for row in rows])
        digests[part] = values[:, :16]
        entries[part, :tag_bytes] = tag_columns(values, tag_bytes)
        entries[part, tag_bytes:] = payloads[part] ^ pads(values, payloads.shape[1])
    refuse_duplicates(digests.view("<u8"))
    session.private_prg(operation, "labelled psi padding").fill(entries[len(keys) :])
    order = np.argsort(_leading(entries), kind="stable")
    return LabelledList(SealedList(entries[order], tag_bytes), key)


def _leading(entries: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(entries[:, :8]).view("<u8")[:, 0]


def serve_list(session: Session, channel: Channel, owned: LabelledList) -> None:
    """The owner's offline part, in frames of up to 1 MiB."""
    published = owned.published
    count, width = published.entries.shape
    channel.send(_HEADER.pack(count, published.tag_bytes, published.payload_bytes))
    step = max(_FRAME_BYTES // width, 1)
    for start in range(0, count, step):
        channel.send(published.entries[start : start + step])


def fetch_list(session: Session, channel: Channel, max_bytes: int = DEFAULT_MAX_LIST_BYTES) -> SealedList:
    """The asker's offline part.

    raises  FrameInvalid for an impossible list, one over `max_bytes`, or one that is out of order
    """
    frame = channel.recv(_HEADER.size)
    if len(frame) != _HEADER.size:
        raise FrameInvalid(channel.peer, "the header of a list has another length")
    count, tag_bytes, payload_bytes = _HEADER.unpack(frame)
    width = tag_bytes + payload_bytes
    if not 8 <= tag_bytes <= 16 or width > _FRAME_BYTES:
        raise FrameInvalid(channel.peer, f"an impossible list: tags of {tag_bytes} bytes, entries of {width}")
    if count * width > max_bytes:
        raise FrameInvalid(channel.peer, f"a list of {count * width} bytes, over our limit of {max_bytes}")
    entries = np.empty((count, width), dtype=np.uint8)
    step = max(_FRAME_BYTES // width, 1)
    for start in range(0, count, step):
        channel.recv_into(entries[start : start + step])
    leading = _leading(entries)
    if np.any(leading[1:] < leading[:-1]):
        raise FrameInvalid(channel.peer, "a list that is not in order")
    return SealedList(entries, tag_bytes)


def serve_labels(session: Session, channel: Channel, owned: LabelledList, *, max_keys: int = 1 << 20) -> int:
    """The owner's online part; returns how many keys it evaluated. The caller counts them against what was agreed.

    raises  FrameInvalid when the asker sends more than `max_keys`, or what is no group element
    """
    return oprf.serve_evaluations(channel, owned.oprf_key, max_keys)


def find_labels(
    session: Session,
    channel: Channel,
    published: SealedList,
    keys: Sequence[bytes],
    *,
    pad_to: int = 0,
    operation: int = 0,
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """The asker's online part: (k,) whether the owner has each key, (k, L) its payload, zeros where not.

    pad_to  elements of random inputs fill the batch up to this number, which hides k from the owner
    """
    asked = list(keys)
    if pad_to and pad_to < len(asked):
        raise InputInvalid(f"{len(asked)} keys can't be padded to {pad_to}")
    dummies = max(pad_to - len(asked), 0)
    padding = session.private_prg(operation, "labelled psi dummies")
    asked += [padding.words(4).tobytes() for _ in range(dummies)]
    blinds = session.private_prg(operation, "labelled psi blinds")
    values = oprf.fetch_evaluations(channel, asked, blinds)[: len(keys)]
    return _open(published, values)


def _open(published: SealedList, values: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    tags = tag_columns(values, published.tag_bytes)
    count = len(published.entries)
    found = np.zeros(len(values), dtype=np.bool_)
    labels = np.zeros((len(values), published.payload_bytes), dtype=np.uint8)
    if not count or not len(values):
        return found, labels
    leading, wanted = _leading(published.entries), _leading(tags)
    at = np.searchsorted(leading, wanted)
    last = np.searchsorted(leading, wanted, side="right")
    rows = at.copy()
    while len(
        near := np.flatnonzero(~found & (rows < last))
    ):  # one step, but for tags with equal first 8 bytes
        same = (published.entries[rows[near], : published.tag_bytes] == tags[near]).all(axis=1)
        found[near[same]] = True
        rows[near[~same]] += 1
    hits = np.flatnonzero(found)
    masks = pads(values[hits], published.payload_bytes)
    labels[hits] = published.entries[rows[hits], published.tag_bytes :] ^ masks
    return found, labels
