"""Secure aggregation, measured: server and clients as processes over loopback, one client dropping out.

    python -m bench.aggregation [--clients 10] [--length 1000000] [--json]

CPU seconds of all parties together for one whole round: keys, shares, masks, transport, unmasking, and turning floats into
ring elements and back. The dropped client shares its keys and then leaves, which costs the server most. Imports and the
floats themselves are made before the clock starts. The sum must be that of the others' floats within the stated bound.
There is no peer in the same run: `peer` is the plain sum of the same vectors over the same channels, without any secrecy.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu.engine.aggregation import Client, Plan, Quantiser, messages, participate, serve
from hefu.engine.channel import ChannelSet
from hefu.engine.launch import Report, measure
from hefu.engine.session import Session

CLIP = 8.0
REPEATS = 3


def peak_mb() -> float:
    """This process's peak so far."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


class World:
    """Names, identities and vectors, made before the parties fork."""

    def __init__(self, clients: int, length: int, ring_bits: int) -> None:
        self.names = tuple(f"c{i:03d}" for i in range(clients))
        self.identities = {n: Ed25519PrivateKey.generate() for n in self.names}
        self.roster = {n: key.public_key().public_bytes_raw() for n, key in self.identities.items()}
        random = np.random.default_rng(3)
        self.vectors = {n: random.uniform(-CLIP, CLIP, length) for n in self.names}
        self.quantiser = Quantiser(CLIP, clients, ring_bits)
        self.length, self.ring_bits = length, ring_bits
        self.leaver = self.names[0]

    def plan(self, session: Session) -> Plan:
        half = len(self.names) // 2 + 1
        return Plan(session.session_id, 0, self.roster, half, self.length, self.ring_bits)

    def server(self, session: Session, channels: ChannelSet) -> Any:
        started = time.process_time()
        found = serve(channels, self.plan(session))
        mean = self.quantiser.decode(found.total) / len(found.clients)
        spent, peak = time.process_time() - started, peak_mb()  # before the check
        exact = np.mean([self.vectors[n] for n in found.clients], axis=0)
        error = float(np.abs(mean - exact).max())
        right = error <= self.quantiser.error_bound(1) + 1e-9
        return spent, right and len(found.clients) == len(self.names) - 1, peak

    def client(self, session: Session, channels: ChannelSet) -> Any:
        started = time.process_time()
        name, channel = session.party, channels["server"]
        mine = Client(self.plan(session), name, self.identities[name], session)
        if name == self.leaver:
            channel.send(mine.advertise())
            channel.send(mine.share_keys(channel.recv(messages.max_bytes(mine.plan, messages.KEY_LIST))))
            channel.abort("the power went out")
        else:
            participate(channel, mine, self.quantiser.encode(self.vectors[name]))
        return time.process_time() - started, True, peak_mb()

    def plain_server(self, session: Session, channels: ChannelSet) -> Any:
        started = time.process_time()
        total = np.zeros(self.length, dtype=self.quantiser.dtype)
        buffer = np.empty_like(total)
        for name in self.names[1:]:
            channels[name].recv_into(buffer)
            total += buffer
        self.quantiser.decode(total)
        return time.process_time() - started, True, peak_mb()

    def plain_client(self, session: Session, channels: ChannelSet) -> Any:
        started = time.process_time()
        if session.party != self.leaver:
            channels["server"].send(self.quantiser.encode(self.vectors[session.party]))
        return time.process_time() - started, True, peak_mb()

    def run(self, server: Any, client: Any, tls: bool) -> tuple[float, dict[str, Report]]:
        reports = measure({"server": server} | dict.fromkeys(self.names, client), tls=tls)
        if not all(report.value[1] for report in reports.values()):
            raise SystemExit("the sum is not that of the plain computation")
        return sum(report.value[0] for report in reports.values()), reports


def rows(clients: int = 10, length: int = 1_000_000) -> list[dict[str, Any]]:
    """Rows of {work, ours_cpu_s, ours_bytes, ours_peak_mb, peer, peer_cpu_s, ratio}, the cheapest of three rounds each."""
    found = []
    shown = "10^6" if length == 1_000_000 else str(length)
    for ring_bits, tls in ((32, False), (32, True), (64, False)):
        world = World(clients, length, ring_bits)
        cost, reports = min(
            (world.run(world.server, world.client, tls) for _ in range(REPEATS)), key=lambda run: run[0]
        )
        plain = min(world.run(world.plain_server, world.plain_client, tls)[0] for _ in range(REPEATS))
        over = " over TLS" if tls else ""
        found.append(
            {
                "work": f"secure aggregation {clients} x {shown}, one drop-out, ring 2^{ring_bits}{over}",
                "ours_cpu_s": cost,
                "ours_bytes": sum(report.bytes_sent for report in reports.values()),
                "ours_peak_mb": max(report.value[2] - report.idle_mb for report in reports.values()),
                "peer": "plain sum over the same channels",
                "peer_cpu_s": plain,
                "ratio": plain / cost,
            }
        )
    return found


def main() -> None:
    """Print a table, or with --json one object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--length", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = rows(given.clients, given.length)
    for row in found:
        print(
            f"{row['work']:66s} {row['ours_cpu_s']:7.3f} CPU s  {row['ours_bytes'] / 1e6:8.1f} MB  "
            f"peak {row['ours_peak_mb']:.0f} MB  (plain sum {row['peer_cpu_s']:.3f} s)"
        )
    if given.json:
        print(json.dumps({"rows": found}))


if __name__ == "__main__":
    main()
