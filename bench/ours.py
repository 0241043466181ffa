"""Our side: parties as processes, connected over loopback, with the same clock that the peers have.

A `Work` has three parts at each party: `setup` (inputs are made and shared), `run` (what is measured) and `check`
(outputs are opened and compared with the plain computation; a wrong one ends the benchmark). CPU seconds are those of
the whole process between start and end of `run`; a party that waits spends none. Imports and compiled code are loaded
before. Bytes are what the channels count, frame headers included, TLS records not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hefu.engine import launch
from hefu.engine.channel import ChannelSet
from hefu.engine.session import Session

from bench.relay import Link, Relays
from bench.rounds import Event, longest_chain, watch

RSS_PARTIES = ("P0", "P1", "P2")


@dataclass(frozen=True, slots=True)
class Work:
    """What one party does; `run` gets what `setup` returned, `check` both of that and of `run`."""

    setup: Callable[[Session, ChannelSet], Any]
    run: Callable[[Any], Any]
    check: Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Lap:
    """One repetition at one party; `begun` and `ended` on the machine's clock, which all processes share."""

    cpu_s: float
    begun: float
    ended: float
    bytes: int
    events: list[Event]
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Cost:
    """The cheapest of the repetitions: CPU and bytes summed over the parties; the peak is the largest party's.

    rounds  messages on the longest chain of those that had to wait for one another
    wall_s  from when the last party began to when the last one ended
    """

    cpu_s: float
    wall_s: float
    bytes: int
    rounds: int
    peak_mb: float


class WrongResult(Exception):
    """Ours did not equal the plain computation: a figure of it would be no figure."""


def measure(
    works: Mapping[str, Work],
    *,
    warm: Callable[[], None] | None = None,
    prepare: Callable[[], None] | None = None,
    tls: bool = False,
    repeat: int = 1,
    inner: int = 1,
    link: Link | None = None,
    timeout_seconds: float = 1800.0,
) -> Cost:
    """Run every party's work `repeat` times in one set of processes.

    warm     loads and compiles, before the parties start; must leave no thread behind, for the parties are forks
    prepare  at each party, before its idle memory is read; `warm` once more where nothing else is given
    inner    runs within one repetition: costs are divided by it (latencies)
    link     delay and rate between every two parties
    raises   WrongResult, PartyFailed
    """
    if warm is not None:
        warm()  # before the fork: one process compiles, and every party inherits what it loaded
    programs = {party: _program(work, repeat, inner) for party, work in works.items()}
    options: dict[str, Any] = {"prepare": prepare or warm, "tls": tls, "timeout_seconds": timeout_seconds}
    if link is None:
        reports = launch.measure(programs, **options)
    else:
        with Relays(link) as relays:
            reports = launch.measure(programs, route=relays.route, **options)
    wrong = [party for party, report in reports.items() if not report.value[0]]
    if wrong:
        raise WrongResult(f"{', '.join(wrong)}: not what the plain computation gives")
    laps = zip(*(report.value[1] for report in reports.values()), strict=True)
    idle = {party: report.idle_mb for party, report in reports.items()}
    costs = [
        Cost(
            sum(lap.cpu_s for lap in together) / inner,
            (max(lap.ended for lap in together) - max(lap.begun for lap in together)) / inner,
            sum(lap.bytes for lap in together) // inner,
            longest_chain(dict(zip(reports, (lap.events for lap in together), strict=True))) // inner,
            max(lap.peak_mb - idle[party] for party, lap in zip(reports, together, strict=True)),
        )
        for together in laps
    ]
    return min(costs, key=lambda cost: cost.cpu_s)


def everywhere(work: Work) -> dict[str, Work]:
    """The same work at each of the three parties on shares."""
    return dict.fromkeys(RSS_PARTIES, work)


def _program(work: Work, repeat: int, inner: int) -> launch.Program:
    def program(session: Session, channels: ChannelSet) -> tuple[bool, list[Lap]]:
        prepared = work.setup(session, channels)
        events, laps = watch(channels), list[Lap]()
        for _ in range(repeat):
            sent, seen = _sent(channels), len(events)
            cpu, begun = time.process_time(), time.monotonic()
            for _ in range(inner):
                result = work.run(prepared)
            cpu, ended = time.process_time() - cpu, time.monotonic()
            laps.append(Lap(cpu, begun, ended, _sent(channels) - sent, events[seen:], _peak_mb()))
        return bool(work.check(prepared, result)), laps

    return program


def _sent(channels: ChannelSet) -> int:
    return sum(transcript.bytes_sent for transcript in channels.transcripts().values())


def _peak_mb() -> float:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
