"""How a group of measurements is to be run, the same for all groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bench.ours import Work, measure
from bench.peer import Peer, beside
from bench.rows import Row


@dataclass(frozen=True, slots=True)
class Setting:
    """peers: run them too; scale: sizes are multiplied by it; repeat: the cheapest of so many short runs counts, on both sides;
    largest: no size of `growth` beyond this."""

    peers: bool = True
    scale: float = 1.0
    repeat: int = 3
    largest: int = 10**7

    def size(self, count: int) -> int:
        """A size of the table, scaled."""
        return max(int(count * self.scale), 1)

    def compare(
        self,
        work: str,
        parties: Mapping[str, Work],
        peers: Iterable[Peer],
        *,
        warm: Callable[[], None],
        repeat: int = 1,
        note: str = "",
    ) -> list[Row]:
        """Our row beside each peer's, over plain TCP, then ours over TLS alone."""
        plain = measure(parties, warm=warm, repeat=repeat)
        rows = beside(work, plain, peers if self.peers else (), note=note)
        secured = measure(parties, warm=warm, repeat=repeat, tls=True)
        return [*rows, *beside(f"{work}, over TLS", secured, ())]
