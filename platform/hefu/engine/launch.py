"""Several parties on this machine: each a process (or a thread) of its own, connected with every other.

    def program(session, channels):        # the same at every party, or one each
        ...
    results = run_together({"a": program, "b": program, "c": program})

For notebooks, benchmarks and tests. The parties connect over loopback, and nobody authenticates the hellos: between
organisations that is the node's work (pinned keys, mutual TLS, signed hellos). With `tls` every connection is mutual
TLS 1.3 under certificates made for this run.
"""

from __future__ import annotations

import multiprocessing
import socket
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from hefu.engine.channel import ChannelSet, MemoryChannel, SocketChannel
from hefu.engine.errors import EngineError, PeerAborted, PeerLost
from hefu.engine.frames import Transcript
from hefu.engine.loopback import accept_all, connect_all, make_certificates
from hefu.engine.session import PartySecret, PublicHello, Session, derive_session

Program = Callable[[Session, ChannelSet], Any]
Route = Callable[[str, str, int], int]
"""(who connects, to whom, the listener's port) -> the port to connect to."""

_JOB, _CONTRACT = "local", bytes(32)
_END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Report:
    """What one party's program returned, and what it cost (handshake included, start of the process not)."""

    value: Any
    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    idle_mb: float
    links: dict[str, Transcript]

    @property
    def bytes_sent(self) -> int:
        """To all peers together."""
        return sum(link.bytes_sent for link in self.links.values())


class PartyFailed(EngineError):
    """A party's program raised; `party` is the first one that did, the message its traceback."""

    code = "party_failed"

    def __init__(self, party: str, message: str) -> None:
        super().__init__(f"{party}: {message}")
        self.party = party


def run_together(
    programs: Mapping[str, Program],
    *,
    parties: Literal["processes", "threads"] = "processes",
    tls: bool = False,
    timeout_seconds: float = 600.0,
) -> dict[str, Any]:
    """Run every party's program at once; answers what each returned.

    raises  PartyFailed
    """
    if parties == "threads":
        return _run_threads(programs, timeout_seconds)
    return {
        name: report.value
        for name, report in measure(programs, tls=tls, timeout_seconds=timeout_seconds).items()
    }


def measure(
    programs: Mapping[str, Program],
    *,
    prepare: Callable[[], None] | None = None,
    tls: bool = False,
    route: Route | None = None,
    timeout_seconds: float = 600.0,
) -> dict[str, Report]:
    """Run every party as a process; answers value and cost of each. Values cross a pipe (pickle, own child processes only).

    prepare  run by every process before the clock starts (imports, compiled kernels)
    route    the port at which one party reaches another's: a relay's, where the link between them is to be shaped
    raises   PartyFailed
    """
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) if tls else None
        if folder is not None:
            make_certificates(folder, programs)
        pipes: dict[str, Connection] = {}
        children = []
        for party, program in programs.items():
            pipes[party], theirs = context.Pipe()
            child = context.Process(
                target=_child,
                args=(party, program, sorted(programs), prepare, folder, timeout_seconds, theirs),
                daemon=True,
            )
            child.start()
            theirs.close()
            children.append(child)
        try:
            return _conduct(pipes, route, timeout_seconds)
        finally:
            for child in children:
                child.join(2)
                if child.is_alive():
                    child.kill()


def _conduct(
    pipes: Mapping[str, Connection], route: Route | None, timeout_seconds: float
) -> dict[str, Report]:
    said = {party: _receive(party, pipe, timeout_seconds) for party, pipe in pipes.items()}
    for party, pipe in pipes.items():
        if route is not None:
            earlier = {peer: heard for peer, heard in said.items() if peer < party}  # these it connects to
            said_here = said | {p: (route(party, p, port), hello) for p, (port, hello) in earlier.items()}
            pipe.send(said_here)
        else:
            pipe.send(said)
    reports = {party: _receive(party, pipe, timeout_seconds) for party, pipe in pipes.items()}
    failed = [
        (found["echo"], found["at"], party, found["error"])
        for party, found in reports.items()
        if isinstance(found, dict)
    ]
    if failed:
        *_, party, message = min(failed)
        raise PartyFailed(party, message)
    return reports


def _receive(party: str, pipe: Connection, timeout_seconds: float) -> Any:
    try:
        if pipe.poll(timeout_seconds):
            return pipe.recv()
    except EOFError:
        return {"echo": False, "at": time.time(), "error": "the process died"}
    return {"echo": False, "at": time.time(), "error": f"no answer within {timeout_seconds:g} s"}


def _child(
    party: str,
    program: Program,
    names: list[str],
    prepare: Callable[[], None] | None,
    folder: Path | None,
    timeout_seconds: float,
    pipe: Connection,
) -> None:
    try:
        if prepare is not None:
            prepare()
        secret = PartySecret()
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        pipe.send((listener.getsockname()[1], secret.hello().to_bytes()))
        said: dict[str, tuple[int, bytes]] = pipe.recv()
        _reset_peak()
        idle, cpu, wall = _peak_mb(), time.process_time(), time.perf_counter()
        hellos = {name: PublicHello.from_bytes(hello) for name, (_, hello) in said.items()}
        session = derive_session(_JOB, 1, _CONTRACT, party, secret, hellos)
        sockets = connect_all(party, {name: port for name, (port, _) in said.items()}, folder)
        sockets |= accept_all(party, names, listener, folder)
        channels = ChannelSet(
            {peer: SocketChannel(s, peer, timeout_seconds=timeout_seconds) for peer, s in sockets.items()}
        )
        channels.handshake(session.session_id, _JOB, _CONTRACT, party)
        with channels.abort_on_error():
            value = program(session, channels)
        report = Report(
            value,
            time.process_time() - cpu,
            time.perf_counter() - wall,
            _peak_mb(),
            idle,
            channels.transcripts(),
        )
        channels.close()
        pipe.send(report)
    except Exception as error:
        echo = isinstance(error, (PeerAborted, PeerLost))  # somebody else's failure, heard of
        pipe.send({"echo": echo, "at": time.time(), "error": traceback.format_exc()})


def _run_threads(programs: Mapping[str, Program], timeout_seconds: float) -> dict[str, Any]:
    secrets = {name: PartySecret() for name in programs}
    hellos = {name: secret.hello() for name, secret in secrets.items()}
    channels = {name: ChannelSet() for name in programs}
    for left, right in combinations(sorted(programs), 2):
        channels[left][right], channels[right][left] = MemoryChannel.pair(
            left, right, timeout_seconds=timeout_seconds
        )
    values: dict[str, Any] = {}
    failed: list[tuple[str, BaseException]] = []

    def one(party: str) -> None:
        try:
            session = derive_session(_JOB, 1, _CONTRACT, party, secrets[party], hellos)
            channels[party].handshake(session.session_id, _JOB, _CONTRACT, party)
            with channels[party].abort_on_error():
                values[party] = programs[party](session, channels[party])
        except BaseException as error:
            failed.append((party, error))

    threads = [threading.Thread(target=one, args=(party,), daemon=True) for party in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout_seconds)
    _wait_for_ends(threads)
    if failed:
        party, error = min(failed, key=lambda f: isinstance(f[1], (PeerAborted, PeerLost)))
        raise PartyFailed(party, repr(error)) from error
    return values


def _wait_for_ends(threads: list[threading.Thread]) -> None:
    """Until the system has ended them, not only Python: a fork amid OpenSSL's last words would hold its lock for ever."""
    until = time.monotonic() + _END_SECONDS
    for thread in threads:
        task = Path(f"/proc/self/task/{thread.native_id}")
        while task.exists() and not thread.is_alive() and time.monotonic() < until:
            time.sleep(0.001)


def _peak_mb() -> float:
    """This process's peak; getrusage would count what the parent held before."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _reset_peak() -> None:
    """From here on the peak is counted anew; where the kernel does not let us, it counts from the start."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return
