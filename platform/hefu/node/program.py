"""An organisation's half of a component, inside a worker: connect, agree on the session, share, compute, seal.

`Program` is that of `reconcile`; what another component does otherwise (read, split, compute) it overrides.

Whatever leaves an organisation is first signed, then sealed to its recipient's key as the contract pins it; channels
are mutual TLS between pinned keys, and both ends compare what they speak about before anything else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import queue
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from hefu.components.reconcile import (
    WORDS,
    Batch,
    InputCommitment,
    Nodes,
    Progress,
    input_commitment,
    run_n0,
    run_n1,
    run_n2,
    share_rows,
    verify_masked,
    verify_seed,
)
from hefu.engine.channel import ChannelSet, SocketChannel
from hefu.engine.errors import EngineError
from hefu.engine.session import PartySecret, PublicHello, Session, derive_session
from hefu.keys.at_rest import EncryptingWriter
from hefu.keys.public import load_public_ed25519, load_public_x25519
from hefu.keys.sealing import SealHeader, open_sealed, seal
from hefu.keys.tls import channel_client_context, channel_server_context, verify_peer
from hefu.node.kept_rows import load_committed
from hefu.node.switchboard import preamble

CONNECT_SECONDS = 30.0
HANDSHAKE_SECONDS = 10.0
MAX_HANDSHAKES = 32


class InputMissing(EngineError):
    """An owner sent something else than its announced input."""

    code = "input_invalid"


class Program:
    """One organisation's part in one attempt of `reconcile`.

    words  how many words a shared row has
    """

    words = WORDS

    def __init__(self, task: dict[str, Any], progress: Progress) -> None:
        self.task, self.progress = task, progress
        self.me: str = task["org"]
        self.nodes = Nodes(*task["nodes"])
        self.batches = [Batch(b["owner"], b["side"], b["batch"], b["rows"]) for b in task["batches"]]
        self.identity = Ed25519PrivateKey.from_private_bytes(base64.b64decode(task["identity"]))
        self.sealing = X25519PrivateKey.from_private_bytes(base64.b64decode(task["sealing"]))
        tls = load_der_private_key(base64.b64decode(task["tls"]), None)
        if not isinstance(tls, EllipticCurvePrivateKey):
            raise TypeError("the TLS key is not an EC key")
        self.tls = tls
        self.owners = [b.owner for b in self.batches]
        self.report: dict[str, Any] = {"received": {}}

    def work(self) -> dict[str, Any]:
        """Do this organisation's part; answers the report: transcripts, commitments, digest of the half."""
        task = self.task
        hellos = {org: PublicHello.from_bytes(base64.b64decode(h)) for org, h in task["hellos"].items()}
        secret = PartySecret.from_bytes(base64.b64decode(task["secret"]))
        contract = bytes.fromhex(task["contract"])
        session = derive_session(task["job"], task["attempt"], contract, self.me, secret, hellos)
        self.progress("connect", 0, 1)
        channels = self._connect()
        channels.set_deadline(task["deadline_seconds"])
        channels.handshake(session.session_id, task["job"], contract, self.me)
        with channels.abort_on_error():
            _, own_masked = self._share(channels)
            half = self._compute(session, channels, own_masked)
            if half is not None:
                self._seal_half(half)
            self.report["transcripts"] = {
                peer: {
                    "sent": t.sent,
                    "received": t.received,
                    "bytes_sent": t.bytes_sent,
                    "bytes_received": t.bytes_received,
                    "rounds": t.rounds,
                }
                for peer, t in (
                    (peer, channel.verify_transcript()) for peer, channel in sorted(channels.items())
                )
            }
        channels.close()
        self.progress("done", 1, 1)
        return self.report

    # What a component does in its own way.

    @property
    def storage_key(self) -> bytes:
        """Under which the job's files lie on the disk."""
        return base64.b64decode(self.task["storage_key"])

    def _load_input(self, own: dict[str, Any]) -> Any:
        """The rows that a use was counted for. Raises InputChanged."""
        path = Path(self.task["folder"]) / "input.npz"
        return load_committed(path, own["commitment"], base64.b64decode(own["salt"]), self.storage_key)

    def _split(self, rows: Any, keys: dict[int, bytes]) -> tuple[bytes, np.ndarray]:
        """The seed for N0 and the masked rows for N1."""
        sorted_for = len(self.batches) if self.task["design"] == "S" else None
        return share_rows(rows, keys, sorted_for=sorted_for)

    def _compute(self, session: Session, channels: ChannelSet, own_masked: np.ndarray | None) -> bytes | None:
        """This node's part of the computation; N0 and N2 answer their half."""
        options: dict[str, Any] = {
            "design": self.task["design"],
            "reveal_difference": bool(self.task["reveal_difference"]),
            "progress": self.progress,
        }
        half = None
        if self.me == self.nodes.n0:
            half = run_n0(session, channels, self.nodes, self._seeds(channels), **options)
        elif self.me == self.nodes.n1:
            run_n1(session, channels, self.nodes, self._masked(channels, own_masked), **options)
        elif self.me == self.nodes.n2:
            half = run_n2(session, channels, self.nodes, self.batches, **options)
        return None if half is None else half.to_bytes()

    def _seeds(self, channels: ChannelSet) -> list[tuple[Batch, bytes]]:
        return [(b, self._receive_seed(channels, b)) for b in self.batches]

    def _masked(self, channels: ChannelSet, own: np.ndarray | None) -> list[tuple[Batch, np.ndarray]]:
        return [
            (b, own if b.owner == self.me and own is not None else self._receive_masked(channels, b))
            for b in self.batches
        ]

    # Connections.

    def _peers(self) -> list[str]:
        n0, n1, _ = self.nodes
        found: set[str] = set()
        if self.me in self.owners:
            found |= {n0, n1}
        if self.me in (n0, n1):
            found |= set(self.owners)
        if self.me in self.nodes:
            found |= set(self.nodes)
        return sorted(found - {self.me})

    def _connect(self) -> ChannelSet:
        """The lesser name connects, the greater accepts; both check the pinned key of the other."""
        task = self.task
        peers = {org: (p["spki"], p["certificate"]) for org, p in task["peers"].items()}
        client = channel_client_context(task["certificate"], self.tls, peers)
        server = channel_server_context(task["certificate"], self.tls, peers)
        pins = {org: pin for org, (pin, _) in peers.items()}
        sockets: dict[str, ssl.SSLSocket] = {}
        for peer in self._peers():
            if self.me < peer:
                sockets[peer] = self._dial(peer, client, pins)
        waiting = {p for p in self._peers() if p < self.me}
        if waiting:
            sockets |= self._accept(waiting, server, pins)
        timeout = float(task["timeout_seconds"])
        return ChannelSet(
            {peer: SocketChannel(sock, peer, timeout_seconds=timeout) for peer, sock in sockets.items()}
        )

    def _accept(
        self, waiting: set[str], context: ssl.SSLContext, pins: dict[str, str]
    ) -> dict[str, ssl.SSLSocket]:
        """Wait for these peers. Each connection shakes hands in a thread of its own: a silent stranger delays nobody."""
        arrived: queue.SimpleQueue[tuple[str, ssl.SSLSocket]] = queue.SimpleQueue()
        room = threading.BoundedSemaphore(MAX_HANDSHAKES)
        inbox = socket.socket(fileno=self.task["inbox_fd"])

        def shake(raw: socket.socket) -> None:
            try:
                wrapped = context.wrap_socket(raw, server_side=True)
                arrived.put((verify_peer(wrapped, pins), wrapped))
            except (
                Exception
            ):  # whoever is not a peer is closed; the peer itself connects again or the wait ends
                raw.close()
            finally:
                room.release()

        def receive() -> None:
            while True:
                room.acquire()
                try:
                    _, fds, _, _ = socket.recv_fds(inbox, 64, 1)
                except OSError:
                    return
                if not fds:
                    return
                raw = socket.socket(fileno=fds[0])
                raw.settimeout(HANDSHAKE_SECONDS)
                threading.Thread(target=shake, args=(raw,), daemon=True).start()

        threading.stack_size(1 << 20)  # many small stacks fit into the memory limit
        threading.Thread(target=receive, daemon=True).start()
        found: dict[str, ssl.SSLSocket] = {}
        deadline = time.monotonic() + CONNECT_SECONDS
        while waiting - found.keys():
            try:
                org, wrapped = arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise PeerMissing(sorted(waiting - found.keys())) from None
            if org in waiting and org not in found:
                found[org] = wrapped
            else:
                wrapped.close()
        return found

    def _dial(self, peer: str, context: ssl.SSLContext, pins: dict[str, str]) -> ssl.SSLSocket:
        entry = self.task["peers"][peer]
        deadline = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                raw = socket.create_connection((entry["host"], entry["port"]), timeout=10)
                raw.sendall(preamble(self.task["job"], self.task["attempt"], self.me))
                raw.settimeout(CONNECT_SECONDS)
                wrapped = context.wrap_socket(raw)
                if verify_peer(wrapped, pins) != peer:
                    raise PeerMissing([peer])
                return wrapped
            except OSError as error:
                if time.monotonic() > deadline:
                    raise PeerMissing([peer]) from error
                time.sleep(0.2)

    # Input.

    def _header(self, sender: str, recipient: str, kind: str) -> SealHeader:
        task = self.task
        return SealHeader(
            sender=sender,
            recipient=recipient,
            contract=task["contract"],
            job=task["job"],
            attempt=task["attempt"],
            date=task["business_date"],
            kind=kind,
        )

    def _seal_to(self, recipient: str, kind: str, payload: bytes | memoryview) -> bytes:
        key = load_public_x25519(self.task["sealing_keys"][recipient])
        return seal(
            self._header(self.me, recipient, kind), payload, sender_key=self.identity, recipient_key=key
        )

    def _open_from(self, sender: str, kind: str, blob: bytes) -> bytes:
        key = load_public_ed25519(self.task["identity_keys"][sender])
        return open_sealed(
            blob, expected=self._header(sender, self.me, kind), recipient_key=self.sealing, sender_key=key
        )

    def _share(self, channels: ChannelSet) -> tuple[bytes | None, np.ndarray | None]:
        """As an owner: split the rows, send the seed to N0 and the masked rows to N1."""
        if self.me not in self.owners:
            return None, None
        n0, n1, _ = self.nodes
        rows = self._load_input(self.task["input"])
        keys: dict[int, bytes] = {}
        for encoded in self.task["key_envelopes"]:
            for receiver in self.task["receivers"]:
                opened = json.loads(self._open_from(receiver, "institution-keys", base64.b64decode(encoded)))
                keys |= {int(i): base64.b64decode(k) for i, k in opened.items()}
        self.progress("share", 0, 1)
        seed, masked = self._split(rows, keys)
        salt = hashlib.sha256(
            b"hefu input salt" + self.identity.sign(seed + self.task["job"].encode())
        ).digest()
        commitment = input_commitment(seed, masked, salt)
        self.report["input"] = {
            "seed": commitment.seed_digest,
            "masked": commitment.masked_digest,
            "rows": len(rows),
        }
        head = salt + bytes.fromhex(commitment.seed_digest) + bytes.fromhex(commitment.masked_digest)
        channels[n0].send(self._seal_to(n0, "seed", head + seed))
        self.progress("share", 1, 2)
        if n1 == self.me:
            return seed, masked
        channels[n1].send(self._seal_to(n1, "masked", head + masked.tobytes()))
        self.progress("share", 2, 2)
        return seed, None

    def _receive_seed(self, channels: ChannelSet, batch: Batch) -> bytes:
        opened = self._open_from(batch.owner, "seed", channels[batch.owner].recv(1 << 16))
        salt, commitment, seed = _parse(opened)
        verify_seed(commitment, seed, salt)
        self.report["received"][batch.owner] = {"part": "seed", "digest": commitment.seed_digest}
        return seed

    def _receive_masked(self, channels: ChannelSet, batch: Batch) -> np.ndarray:
        size = batch.rows * self.words * 8
        opened = self._open_from(
            batch.owner, "masked", channels[batch.owner].recv(size + size // 1000 + (1 << 16))
        )
        salt, commitment, part = _parse(opened)
        if len(part) != size:
            raise InputMissing(f"{batch.owner} announced {batch.rows} rows and sent another number")
        masked = np.frombuffer(part, dtype=np.uint64).reshape(batch.rows, self.words)
        verify_masked(commitment, masked, salt)
        self.report["received"][batch.owner] = {"part": "masked", "digest": commitment.masked_digest}
        return masked

    def _seal_half(self, half: bytes) -> None:
        """Seal the half to each receiver; it stays here, under the job's storage key, until release."""
        self.progress("seal", 0, 1)
        halves = {}
        for receiver in self.task["receivers"]:
            sealed = self._seal_to(receiver, "half", half)
            path = Path(self.task["folder"]) / f"half-{receiver}.sealed"
            with EncryptingWriter(path, self.storage_key) as file:
                file.write(sealed)
            halves[receiver] = {"digest": hashlib.sha256(sealed).hexdigest(), "bytes": len(sealed)}
        self.report["halves"] = halves


class PeerMissing(EngineError):
    """A peer could not be connected."""

    code = "peer_aborted"

    def __init__(self, peers: list[str]) -> None:
        super().__init__("no connection with " + ", ".join(peers))


def _parse(opened: bytes) -> tuple[bytes, InputCommitment, bytes]:
    if len(opened) < 96:
        raise InputMissing("the input envelope is too short")
    return opened[:32], InputCommitment(opened[32:64].hex(), opened[64:96].hex()), opened[96:]
