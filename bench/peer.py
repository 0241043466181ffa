"""The peers' side: a script of `bench/peers/` under the interpreter of its own virtual environment.

`make bench-peers` makes the environments. A peer that is not installed, fails or answers wrongly gives no figure: the
reason is printed, and its row says null.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.ours import Cost
from bench.rows import Row

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / ".bench-peers"


class PeerAbsent(Exception):
    """Not installed, or it gave no figure; the message says which."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One program's way to do a piece of work.

    name         as it stands in the table: version, protocol, what has to be known
    environment  its folder in .bench-peers
    arguments    the script of bench/peers and what it is given
    """

    name: str
    environment: str
    arguments: tuple[str, ...]

    def run(self, timeout_seconds: float = 3600.0) -> dict[str, Any]:
        """The object on the script's last line; raises PeerAbsent."""
        python = ENVIRONMENTS / self.environment / "bin" / "python"
        if not python.exists():
            raise PeerAbsent(f"{self.name} is not installed (make bench-peers)")
        script, *rest = self.arguments
        command = [str(python), str(ROOT / "bench" / "peers" / script), *rest]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise PeerAbsent(f"{self.name} gave no answer in {timeout_seconds:g} s") from None
        lines = done.stdout.strip().splitlines()
        if done.returncode or not lines:
            why = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            raise PeerAbsent(f"{self.name} failed: {why[:200]}")
        found: dict[str, Any] = json.loads(lines[-1])
        return found


_answers: dict[Peer, dict[str, Any] | PeerAbsent] = {}


def measured(peer: Peer) -> dict[str, Any]:
    """What the peer answers, run once in this invocation however many of our rows stand beside it; raises PeerAbsent."""
    if peer not in _answers:
        try:
            _answers[peer] = peer.run()
        except PeerAbsent as reason:
            _answers[peer] = reason
    found = _answers[peer]
    if isinstance(found, PeerAbsent):
        raise found
    return found


def beside(
    work: str, cost: Cost, peers: Iterable[Peer], *, by_wall: bool = False, note: str = ""
) -> list[Row]:
    """Our cost beside each peer's, measured now; the best peer first. Without any peer, one row with none."""
    row = Row(
        work,
        ours_cpu_s=cost.cpu_s,
        ours_bytes=cost.bytes,
        ours_peak_mb=cost.peak_mb,
        ours_wall_s=cost.wall_s,
        by_wall=by_wall,
        note=note,
    )
    return beside_row(row, peers)


def beside_row(row: Row, peers: Iterable[Peer], pick: str | None = None, count: int = 1) -> list[Row]:
    """As `beside`, from a row of ours; `pick` names one of the costs of a script that answers several, each for one of `count`."""
    rows, absent = [], []
    for peer in peers:
        try:
            found = measured(peer)
        except PeerAbsent as reason:
            absent.append(str(reason))
            continue
        cpu = found["cpu_s"] if pick is None else found["costs"][pick] * count
        wall = found.get("wall_s") if pick is None else None
        wrong = found.get("wrong_elements")
        note = f"{peer.name}: {wrong} elements wrong" if wrong else ""
        rows.append(
            replace(row, peer=peer.name, peer_cpu_s=cpu, peer_wall_s=wall, note=joined(row.note, note))
        )
    rows.sort(key=lambda found: -1 if found.ratio is None else found.ratio)
    if not rows:
        return [replace(row, note=joined(row.note, *absent))]
    return [*rows, *(replace(row, note=reason) for reason in absent)]


def joined(*notes: str) -> str:
    """Notes in one line."""
    return "; ".join(note for note in notes if note)
