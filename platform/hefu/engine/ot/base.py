"""Base oblivious transfers: the few that public-key cryptography has to make, 128-bit messages, all at once.

The sender ends with two random messages per transfer, the receiver with the one that it chose. One flow each way, at
the same time: sender -> receiver A = aG; receiver -> sender two points per transfer, of which
    r[c] = bG - H(1-c's point),  r[1-c] uniform,
both uniform whatever c is; then k[j] = KDF(a (r[j] + H(r[1-j]))), and the receiver's k[c] = KDF(bA).

Who learns what: the sender nothing at all about the choices (not even with unlimited power); the receiver one message
per transfer, the other is random to it under computational Diffie-Hellman in ristretto255, hashes as random oracles.
A receiver that cheats still gets one message only, but may influence which (endemic security): extensions allow for that.
Not hidden: how many transfers. Bytes: 32 from the sender, 64 per transfer from the receiver.
Source: Masny, Rindal, "Endemic Oblivious Transfer", CCS 2019, section 5 (Diffie-Hellman, the sender's A used for all).
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import Channel
from hefu.engine.errors import FrameInvalid, InputInvalid
from hefu.engine.group import ristretto
from hefu.engine.session import Session, encode

MESSAGE_WORDS = 2
MAX_TRANSFERS = 1 << 16

_POINT = ristretto.POINT_BYTES


def send(session: Session, channel: Channel, count: int, *, operation: int) -> NDArray[np.uint64]:
    """The sender of `count` random transfers.

    returns  (count, 2, 2) uint64: [transfer, choice, word]
    raises   FrameInvalid when the peer sends strings that are no points
    """
    _require_count(count)
    context = _context(session, operation, session.party, channel.peer)
    secret = ristretto.random_scalars(session.private_prg(operation, "base ot"), 1)
    public = ristretto.multiply_base(secret)
    theirs = np.empty((count, 2, _POINT), dtype=np.uint8)
    channel.exchange(public, theirs)
    out = np.empty((count, 2, MESSAGE_WORDS), dtype=np.uint64)
    if not count:
        return out
    try:
        ristretto.verify_points(theirs.reshape(-1, _POINT))
        for choice in (0, 1):
            mine, other = theirs[:, choice], theirs[:, 1 - choice]
            points = ristretto.add(mine, _onto_group(context, choice, other))
            shared = ristretto.multiply(secret.tobytes(), points)
            out[:, choice] = _derive(context, public, np.full(count, choice), mine, shared)
    except InputInvalid as error:
        raise FrameInvalid(channel.peer, f"base transfers: {error}") from error
    return out


def receive(
    session: Session, channel: Channel, choices: NDArray[np.bool_], *, operation: int
) -> NDArray[np.uint64]:
    """The receiver of random transfers, one per choice.

    choices  (count,) bool
    returns  (count, 2) uint64: the chosen message of each transfer
    raises   FrameInvalid when the peer sends a string that is no point
    """
    count = len(choices)
    _require_count(count)
    context = _context(session, operation, channel.peer, session.party)
    coins = session.private_prg(operation, "base ot")
    theirs = np.empty((1, _POINT), dtype=np.uint8)
    if not count:
        channel.exchange(b"", theirs)
        return np.empty((0, MESSAGE_WORDS), dtype=np.uint64)
    secrets = ristretto.random_scalars(coins, count)
    other = ristretto.random_points(coins, count)
    rows, chosen = np.arange(count), choices.astype(np.intp)
    by_choice = np.stack([_onto_group(context, choice, other) for choice in (0, 1)], axis=1)
    mine = ristretto.subtract(ristretto.multiply_base(secrets), by_choice[rows, chosen])
    points = np.empty((count, 2, _POINT), dtype=np.uint8)
    points[rows, chosen] = mine
    points[rows, 1 - chosen] = other
    channel.exchange(points, theirs)
    try:
        shared = ristretto.multiply_each(secrets, theirs.tobytes())
    except InputInvalid as error:
        raise FrameInvalid(channel.peer, f"base transfers: {error}") from error
    return _derive(context, theirs, chosen, mine, shared)


def _require_count(count: int) -> None:
    if not 0 <= count <= MAX_TRANSFERS:
        raise InputInvalid(f"{count} base transfers at once: at most {MAX_TRANSFERS}; extend them instead")


def _context(session: Session, operation: int, sender: str, receiver: str) -> bytes:
    """32 bytes that no other run of this protocol has."""
    told = encode(
        b"hefu base ot v1",
        session.session_id,
        operation.to_bytes(8, "big"),
        sender.encode(),
        receiver.encode(),
    )
    return hashlib.sha256(told).digest()


def _onto_group(context: bytes, choice: int, points: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """H: a random oracle from (transfer, choice, point) onto the group."""
    data = np.ascontiguousarray(points).tobytes()
    hashed = b"".join(
        hashlib.blake2b(
            i.to_bytes(8, "little") + bytes([choice]) + data[i * _POINT : (i + 1) * _POINT],
            key=context,
            person=b"hefu base ot map",
        ).digest()
        for i in range(len(points))
    )
    return ristretto.points_from_uniform(np.frombuffer(hashed, dtype=np.uint8).reshape(-1, 64))


def _derive(
    context: bytes,
    public: NDArray[np.uint8],
    choices: NDArray[np.intp],
    points: NDArray[np.uint8],
    shared: NDArray[np.uint8],
) -> NDArray[np.uint64]:
    """(n, 2) messages from the shared points, bound to transfer, choice, and both public points."""
    told = np.concatenate([np.broadcast_to(public, points.shape), points, shared], axis=1).tobytes()
    width = 3 * _POINT
    keys = b"".join(
        hashlib.blake2b(
            i.to_bytes(8, "little") + bytes([choice]) + told[i * width : (i + 1) * width],
            digest_size=8 * MESSAGE_WORDS,
            key=context,
            person=b"hefu base ot key",
        ).digest()
        for i, choice in enumerate(choices.tolist())
    )
    return np.frombuffer(bytearray(keys), dtype="<u8").reshape(-1, MESSAGE_WORDS).astype(np.uint64)
