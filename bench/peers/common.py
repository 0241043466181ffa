"""What the peer scripts share: parties as processes, CPU seconds summed over them, one JSON line as the answer.

Runs under a peer's own interpreter: standard library only. A party is a function `party(rank, ports, payload, clock)`
at the top of its script; whatever it does under `with clock:` is counted, the rest (imports, compilation, connecting,
making shares, checking) is not. CPU seconds are those of the whole process, all its threads.
"""

import contextlib
import json
import multiprocessing
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TCP_INFO_BYTES_ACKED = 120
_TCP_INFO_BYTES = 192


class Clock:
    """Adds up CPU, wall and sent bytes of the blocks that it is held around; `peak_mb` is above what was loaded before."""

    def __init__(self) -> None:
        self.laps: list[dict[str, float]] = []

    def __enter__(self) -> "Clock":
        self._idle = resident_mb()
        reset_peak()
        self._sent = sent_bytes()
        self._cpu, self._wall = cpu_seconds(), time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        cpu, wall = cpu_seconds() - self._cpu, time.perf_counter() - self._wall
        self.laps.append(
            {
                "cpu_s": cpu,
                "wall_s": wall,
                "bytes": sent_bytes() - self._sent,
                "peak_mb": peak_mb() - self._idle,
            }
        )


def cpu_seconds() -> float:
    """Of this process and of the children that it has waited for."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_mb() -> float:
    """The most this process has held since `reset_peak`."""
    return _status("VmHWM:")


def resident_mb() -> float:
    """What this process holds now."""
    return _status("VmRSS:")


def _status(field: str) -> float:
    return int(Path("/proc/self/status").read_text().split(field)[1].split()[0]) / 1024


def reset_peak() -> None:
    """Count the peak anew, where the kernel lets us."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def sent_bytes() -> int:
    """Acknowledged bytes of this process's open TCP connections, as the kernel counts them."""
    total = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if not entry.readlink().name.startswith("socket:"):
                continue
            with socket.fromfd(int(entry.name), socket.AF_INET, socket.SOCK_STREAM) as copy:
                info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
            total += struct.unpack_from("<Q", info, _TCP_INFO_BYTES_ACKED)[0]
        except (OSError, struct.error):
            continue
    return total


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def run(
    party: Callable[..., Any], payloads: list[Any], seconds: float = 3000.0
) -> tuple[list[Any], dict[str, float]]:
    """One process per payload; answers what each party returned, and the cheapest lap's cost summed over the parties."""
    spawn = multiprocessing.get_context("spawn")
    ports = free_ports(len(payloads))
    pipes, processes = [], []
    for rank, payload in enumerate(payloads):
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_one, args=(party, rank, ports, payload, theirs), daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    answers = []
    for pipe in pipes:
        if not pipe.poll(seconds):
            raise SystemExit(f"a party said nothing for {seconds:g} s")
        answers.append(pipe.recv())
    for pipe in pipes:
        pipe.send("done")
    for process in processes:
        process.join(10)
        if process.is_alive():
            process.kill()
    laps = [
        {
            "cpu_s": sum(lap["cpu_s"] for lap in together),
            "wall_s": max(lap["wall_s"] for lap in together),
            "bytes": sum(lap["bytes"] for lap in together),
            "peak_mb": max(lap["peak_mb"] for lap in together),
        }
        for together in zip(*(laps for _, laps in answers), strict=True)
    ]
    return [value for value, _ in answers], min(laps, key=lambda lap: lap["cpu_s"])


def _one(party: Callable[..., Any], rank: int, ports: list[int], payload: Any, pipe: Any) -> None:
    clock = Clock()
    value = party(rank, ports, payload, clock)
    pipe.send((value, clock.laps))
    pipe.recv()


def answer(cost: dict[str, float], **more: Any) -> None:
    """The script's last line, read by the harness."""
    print(json.dumps({**cost, **more}))
    sys.stdout.flush()


def require(right: bool, what: str) -> None:
    """A figure of a wrong result is no figure."""
    if not right:
        raise SystemExit(f"wrong result: {what}")
