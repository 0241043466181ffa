"""Private set intersection of two CSV files of keys, half of them common; the receiver writes the common rows.

Counted, on both sides: reading the file, hashing, the protocol, writing the result. Not counted: imports, connecting.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hefu.engine.channel import ChannelSet
from hefu.engine.psi.items import shared_key
from hefu.engine.session import Session

from bench.items import keys_of, read_items, write_keys, write_rows
from bench.items import warm as warm_files
from bench.ours import Cost, Work, measure
from bench.peer import Peer, beside
from bench.rows import Row, size_name
from bench.setting import Setting

Run = Callable[[Session, ChannelSet, Any], Any]

KEY_OPERATION, OPERATION = 1, 2
ECDH, ALL = ("ECDH",), ("RR22", "KKRT", "ECDH")
"""Which of SPU's protocols stand beside ours."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A way to intersect: what each party calls. `receive` answers the rows that are common."""

    name: str
    receive: Run
    send: Run
    help: Run | None
    warm: Callable[[], None]

    @property
    def setting(self) -> str:
        """As the table calls it."""
        return "two parties" if self.help is None else "with a helping node"


def rows(setting: Setting) -> Iterator[Row]:
    """The group: 2^14 keys a side for ECDH, 2^17 and 2^20 for the others."""
    sizes = (
        (1 << 14, (ecdh,), ECDH),
        (1 << 17, (kkrt, two_party, dealer), ALL),
        (1 << 20, (kkrt, two_party, dealer), ALL),
    )
    for size, protocols, names in sizes:
        count = setting.size(size)
        with tempfile.TemporaryDirectory() as name:
            files = make_files(Path(name), count)
            peers = peers_of(files, names) if setting.peers else []
            for protocol in (made() for made in protocols):
                work = f"PSI {size_name(count)}, {protocol.setting}, {protocol.name}"
                yield from beside(work, run(protocol, files), peers)
                yield from beside(f"{work}, over TLS", run(protocol, files, tls=True), ())


@dataclass(frozen=True, slots=True)
class Files:
    """Where the two parties' keys lie, and where results go."""

    left: Path
    right: Path
    out: Path


def make_files(folder: Path, count: int) -> Files:
    """`count` keys a side, half of them common."""
    files = Files(folder / "left.csv", folder / "right.csv", folder / "out.csv")
    write_keys(files.left, 0, count)
    write_keys(files.right, count // 2, count)
    return files


def peers_of(files: Files, names: tuple[str, ...]) -> list[Peer]:
    """The peers, on the same files."""
    paths = [str(path) for path in (files.left, files.right, files.out.with_suffix(".peer"))]
    spu = [Peer(f"SPU 0.9.5 {protocol}", "spu", ("spu_psi.py", protocol, *paths)) for protocol in names]
    return [*spu, Peer("openmined-psi 2.0.6", "openmined-psi", ("openmined_psi.py", *paths))]


def run(protocol: Protocol, files: Files, *, tls: bool = False, link: Any = None) -> Cost:
    """Intersect the files; the receiver's output is compared with the plain intersection."""

    def prepare() -> None:
        protocol.warm()
        warm_files()  # at the parties only: Arrow's threads don't survive a fork

    return measure(works(protocol, files), warm=protocol.warm, prepare=prepare, tls=tls, link=link)


def works(protocol: Protocol, files: Files) -> dict[str, Work]:
    """What receiver, sender and (where there is one) helper do."""

    def both(session: Session, channels: ChannelSet) -> Any:
        return session, channels

    def receive(prepared: Any) -> Any:
        session, channels = prepared
        items = read_items(files.left, shared_key(session, "sender", KEY_OPERATION))
        write_rows(files.left, protocol.receive(session, channels, items), files.out)

    def send(prepared: Any) -> Any:
        session, channels = prepared
        protocol.send(
            session, channels, read_items(files.right, shared_key(session, "receiver", KEY_OPERATION))
        )

    def right(prepared: Any, result: Any) -> bool:
        common = np.intersect1d(keys_of(files.left), keys_of(files.right))
        return np.array_equal(keys_of(files.out), common)

    def nothing(prepared: Any, result: Any) -> bool:
        return True

    parties = {"receiver": Work(both, receive, right), "sender": Work(both, send, nothing)}
    if protocol.help is not None:
        help_them = protocol.help
        parties["helper"] = Work(both, lambda prepared: help_them(*prepared, None), nothing)
    return parties


def kkrt() -> Protocol:
    """KKRT16: no third party, symmetric cryptography."""
    from hefu.engine.psi import kkrt as module

    return _between_two("KKRT", module)


def two_party() -> Protocol:
    """OKVS and silent VOLE: no third party, least traffic."""
    from hefu.engine.psi import rr22_two_party as module

    return _between_two("OKVS and silent VOLE", module)


def ecdh() -> Protocol:
    """Diffie-Hellman on ristretto255: for small or very unequal sets."""
    from hefu.engine.psi import ecdh as module

    return _between_two("ECDH", module)


def dealer() -> Protocol:
    """OKVS and VOLE that a third party deals."""
    from hefu.engine.psi import dealer as module

    def receive(session: Session, channels: ChannelSet, items: Any) -> Any:
        return module.receive(
            session, channels, items, sender="sender", dealer="helper", operation=OPERATION
        ).rows

    def send(session: Session, channels: ChannelSet, items: Any) -> Any:
        return module.send(
            session, channels, items, receiver="receiver", dealer="helper", operation=OPERATION
        )

    def help_them(session: Session, channels: ChannelSet, items: Any) -> Any:
        return module.deal(session, channels, receiver="receiver", sender="sender", operation=OPERATION)

    return Protocol("OKVS and dealt VOLE", receive, send, help_them, _warm(receive, send, help_them))


def _between_two(name: str, module: Any) -> Protocol:
    def receive(session: Session, channels: ChannelSet, items: Any) -> Any:
        return module.receive(session, channels["sender"], items, operation=OPERATION).rows

    def send(session: Session, channels: ChannelSet, items: Any) -> Any:
        return module.send(session, channels["receiver"], items, operation=OPERATION)

    return Protocol(name, receive, send, None, _warm(receive, send, None))


def _warm(receive: Run, send: Run, help_them: Run | None) -> Callable[[], None]:
    """A small intersection among threads: it compiles and loads all that the large one needs."""

    def warm() -> None:
        from hefu.engine.launch import run_together
        from hefu.engine.psi.items import from_integers

        items = from_integers(bytes(32), np.arange(100))
        programs = {
            "receiver": lambda session, channels: receive(session, channels, items),
            "sender": lambda session, channels: send(session, channels, items),
        }
        if help_them is not None:
            programs["helper"] = lambda session, channels: help_them(session, channels, None)
        run_together(programs, parties="threads")

    return warm
