"""Joint statistics by group on shares, beside numpy's group-by of the same rows in the clear and one sort on shares.

Counted of ours: from shares to the sealed halves' content (group-by, dominance, suppression). The plain computation is the
same table: sums, rows, distinct subjects and largest contributors of each group, by one lexsort in numpy, one thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from hefu.components.aggregate_protocol import Gate, aggregate
from hefu.engine.channel import ChannelSet
from hefu.engine.session import Session

from bench import sorting
from bench.ours import RSS_PARTIES, Work, everywhere, measure
from bench.rows import Row, size_name
from bench.setting import Setting

GROUPS = 50
GATE = Gate(20, 2, (17, 20))
SIZES = (10**4, 10**5)
REPEATS = 5


def rows(setting: Setting) -> Iterator[Row]:
    """The group."""
    for size in SIZES:
        n = setting.size(size)
        name = f"statistics of {size_name(n)} rows, {GROUPS} groups"
        cost = measure(everywhere(work(n)), warm=warm)
        measured = {"ours_cpu_s": cost.cpu_s, "ours_bytes": cost.bytes, "ours_peak_mb": cost.peak_mb}
        measured["ours_wall_s"] = cost.wall_s
        if not setting.peers:
            yield Row(name, **measured)
            continue
        yield Row(name, **measured, peer="numpy in the clear", peer_cpu_s=plain_seconds(n))
        sort = measure(everywhere(sorting.work("sort", n)), warm=sorting.warm)
        yield Row(name, **measured, peer="one sort on shares of as many rows", peer_cpu_s=sort.cpu_s)


def table(n: int) -> np.ndarray:
    """(n, 5) rows as the component's owners make them; the same at every party (only the owner's count)."""
    coins = np.random.default_rng(11)
    subjects = coins.integers(0, max(n // 2, 1), n)
    tokens = coins.integers(0, 2**39, (max(n // 2, 1), 2))
    values = coins.integers(-(10**6), 10**7, n)
    return np.stack(
        [coins.integers(1, GROUPS + 1, n), *tokens[subjects].T, values, np.ones(n, np.int64)], axis=1
    )


def plain(rows_of: np.ndarray) -> np.ndarray:
    """(G, 4): sum, rows, subjects, keep; zeros where suppressed."""
    out = np.zeros((GROUPS, 4), dtype=np.int64)
    order = np.lexsort((rows_of[:, 2], rows_of[:, 1], rows_of[:, 0]))
    ordered = rows_of[order]
    starts = np.flatnonzero(np.append(True, np.any(ordered[1:, :3] != ordered[:-1, :3], axis=1)))
    sums, groups = np.add.reduceat(ordered[:, 3], starts), ordered[starts, 0]
    counts = np.diff(np.append(starts, len(ordered)))
    for group in range(1, GROUPS + 1):
        mine = groups == group
        sizes = np.sort(np.abs(sums[mine]))
        top, share = int(sizes[-GATE.contributors :].sum()), GATE.share or (1, 1)
        if mine.sum() >= GATE.min_group and top * share[1] <= int(sizes.sum()) * share[0]:
            out[group - 1] = sums[mine].sum(), counts[mine].sum(), mine.sum(), 1
    return out


def plain_seconds(n: int) -> float:
    """CPU seconds of the plain table: the least of several."""
    found, prepared = [], table(n)
    for _ in range(REPEATS):
        begun = time.thread_time()
        plain(prepared)
        found.append(time.thread_time() - begun)
    return min(found)


def work(n: int) -> Work:
    """The protocol at any of the three parties."""

    def setup(session: Session, channels: ChannelSet) -> Any:
        from hefu.engine.rss import Party, secret

        party = Party(session, channels, RSS_PARTIES)
        return party, secret(party, table(n), owner=0).share

    def run(prepared: Any) -> Any:
        party, share = prepared
        return aggregate(party, share, GROUPS, GATE, by_rows=False, progress=lambda *_: None)

    def check(prepared: Any, result: Any) -> bool:
        """The halves of P0 and P2 meet at P0."""
        party, _ = prepared
        half, suppressed = result
        expected = plain(table(n))
        if suppressed != int((expected[:, 3] == 0).sum()):
            return False
        if party.index == 2:
            party.send(0, np.ascontiguousarray(half))
        if party.index != 0:
            return True
        other = np.empty((GROUPS, 4), dtype=np.uint64)
        party.receive(2, other)
        return np.array_equal((half + other).view(np.int64), expected)

    return Work(setup, run, check)


def warm() -> None:
    """A small run among threads: it compiles and loads all that the large one needs."""
    from hefu.engine.launch import run_together

    tiny = work(200)
    run_together(
        dict.fromkeys(RSS_PARTIES, lambda session, channels: tiny.run(tiny.setup(session, channels))),
        parties="threads",
    )
