"""Match rows of equal tokens on shares, and compare their values: three nodes, two permutations.

Row = 4 words: token (2), value, reference, shared additively: `share` at N0 and the rest at N1.
    N0, N1 permute by pi_01 and mask anew; N0 hands its share to N2.
    N1, N2 permute by pi_12 and mask anew; N1 hands its share to N0.
    N0, N2 open the tokens only and compute the same join.
    Per pair (i, j): N0 takes u = x_i - x_j of its shares of the value, N2 v = -(y_i - y_j): u = v iff the values agree.
    Each makes a message for the receiver (see psm) and adds its shares of the references: its half.
N1 knows both permutations and sees nothing afterwards; N0 lacks pi_12, N2 lacks pi_01. N0 and N2 learn n, and which of
the shuffled rows met. The halves list pairs, singles and conflicts by shuffled position, never by token, because the
receiver may know the key of the tokens. Semi-honest, no two collude; the join digest and the transcripts catch accidents.
Sources: Laur, Willemson, Zhang, ISC 2011; Feige, Kilian, Naor, STOC 1994.
"""

import hashlib
import hmac
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hefu.engine.channel import ChannelSet
from hefu.engine.errors import InputInvalid, PlanMismatch, TranscriptMismatch
from hefu.engine.frames import as_view
from hefu.engine.halves import Half
from hefu.engine.join import Join, join
from hefu.engine.permutation import permutation
from hefu.engine.psm import messages
from hefu.engine.session import Session
from hefu.engine.shuffle import permute_and_mask

WORDS = 4
_SHUFFLE_01, _SHUFFLE_12, _COMPARE = 1, 2, 3

Nodes = tuple[str, str, str]
Progress = Callable[[str, int, int], None]
Share = NDArray[np.uint64]


def match_as_n0(
    session: Session,
    channels: ChannelSet,
    nodes: Nodes,
    share: Share,
    plan: bytes,
    reveal: bool,
    progress: Progress,
) -> Half:
    """N0's part. share (n, 4); plan: 32 bytes on which the three must agree; reveal: give differences, not equality."""
    _, n1, n2 = nodes
    with channels.abort_on_error():
        n = _check(share)
        agree(channels, (n1, n2), plan)
        progress("shuffle", 0, n)
        order = permutation(session.prg(n1, _SHUFFLE_01, "permutation"), n)
        masked = permute_and_mask(share, order, session.prg(n1, _SHUFFLE_01, "mask"), negative=False)
        channels[n2].send(masked)
        del order, masked
        received = np.empty((n, WORDS), dtype=np.uint64)
        channels[n1].recv_into(received)
        half = _finish(session, channels, n2, 0, received, reveal, progress)
        verify_transcripts(channels, (n1, n2))
        return half


def match_as_n1(
    session: Session, channels: ChannelSet, nodes: Nodes, share: Share, plan: bytes, progress: Progress
) -> None:
    """N1's part. share (n, 4): the rest of what N0 holds."""
    n0, _, n2 = nodes
    with channels.abort_on_error():
        n = _check(share)
        agree(channels, (n0, n2), plan)
        progress("shuffle", 0, n)
        for peer, operation in ((n0, _SHUFFLE_01), (n2, _SHUFFLE_12)):
            order = permutation(session.prg(peer, operation, "permutation"), n)
            share = permute_and_mask(share, order, session.prg(peer, operation, "mask"), negative=True)
        channels[n0].send(share)
        progress("shuffle", n, n)
        del share, order
        verify_transcripts(channels, (n0, n2))


def match_as_n2(
    session: Session,
    channels: ChannelSet,
    nodes: Nodes,
    n: int,
    plan: bytes,
    reveal: bool,
    progress: Progress,
) -> Half:
    """N2's part. n: the number of rows."""
    n0, n1, _ = nodes
    with channels.abort_on_error():
        agree(channels, (n0, n1), plan)
        progress("shuffle", 0, n)
        order = permutation(session.prg(n1, _SHUFFLE_12, "permutation"), n)
        received = np.empty((n, WORDS), dtype=np.uint64)
        channels[n0].recv_into(received)
        share = permute_and_mask(received, order, session.prg(n1, _SHUFFLE_12, "mask"), negative=False)
        del order, received
        half = _finish(session, channels, n0, 2, share, reveal, progress)
        verify_transcripts(channels, (n0, n1))
        return half


def _finish(
    session: Session,
    channels: ChannelSet,
    peer: str,
    node: int,
    share: Share,
    reveal: bool,
    progress: Progress,
) -> Half:
    """Open the tokens with the other of N0 and N2, join, and make our half."""
    n = len(share)
    progress("join", 0, n)
    ours = np.ascontiguousarray(share[:, :2])
    tokens = np.empty_like(ours)
    channels[peer].exchange(ours, tokens)
    tokens += ours
    del ours
    found = join(tokens)
    del tokens
    digest = _agree_on_join(session, channels, peer, found)
    progress("compare", 0, n)
    value = share[:, 2]
    values = value[found.first] - value[found.second]
    if node == 2:
        np.negative(values, out=values)
    if not reveal:
        values = messages(session.key(peer, _COMPARE, "equality"), values)
    refs = share[:, 3]
    half = Half(
        session.session_id,
        digest,
        node,
        reveal,
        np.stack((refs[found.first], refs[found.second]), axis=1),
        values,
        refs[found.single],
        refs[found.conflict],
    )
    progress("compare", n, n)
    return half


def _agree_on_join(session: Session, channels: ChannelSet, peer: str, found: Join) -> bytes:
    key = session.key(peer, _COMPARE, "join digest")
    digest = hashlib.blake2b(as_view(found.partner), digest_size=32, key=key).digest()
    theirs = np.empty(32, dtype=np.uint8)
    channels[peer].exchange(digest, theirs)
    if not hmac.compare_digest(digest, theirs.tobytes()):
        raise TranscriptMismatch(peer, "came to another join from the same tokens")
    return digest


def agree(channels: ChannelSet, peers: tuple[str, str], plan: bytes) -> None:
    theirs = np.empty(32, dtype=np.uint8)
    for peer in peers:
        channels[peer].exchange(plan, theirs)
        if theirs.tobytes() != plan:
            raise PlanMismatch(peer, "entered this session with other sizes or options")


def verify_transcripts(channels: ChannelSet, peers: tuple[str, str]) -> None:
    for peer in peers:
        channels[peer].verify_transcript()


def _check(share: Share) -> int:
    if share.ndim != 2 or share.shape[1] != WORDS or share.dtype != np.uint64 or not share.flags.c_contiguous:
        raise InputInvalid(f"a share is a C-contiguous (n, {WORDS}) array of uint64")
    return len(share)
