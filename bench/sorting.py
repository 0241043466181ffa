"""Sort and group-by-sum on replicated shares, beside SPU's sorts and two ways to group in SPU.

Counted: from shares to shares (what protocols open on the way included). SPU has no group-by: 16 known groups are summed
through a one-hot matrix, 1000 through its own sort, running sums and the ends of groups left where they are (ours also
brings the groups together and hides their sizes).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from hefu.engine.channel import ChannelSet
from hefu.engine.session import Session

from bench.ours import RSS_PARTIES, Work, everywhere
from bench.peer import Peer
from bench.rows import Row, size_name
from bench.setting import Setting

KEY_BITS = 42
MANY, FEW = 1000, 16


def rows(setting: Setting) -> Iterator[Row]:
    """The group."""
    n = setting.size(10**5)
    sort = f"sort {size_name(n)}, keys of {KEY_BITS} bits"
    yield from setting.compare(sort, everywhere(work("sort", n)), sort_peers(n), warm=warm)
    for groups, kind in ((MANY, "groupby"), (FEW, "groupby_few")):
        name = f"group-by-sum {size_name(n)}, {groups} secret groups"
        peers = group_peers(n, groups)
        yield from setting.compare(name, everywhere(work(kind, n)), peers, warm=warm)


def sort_peers(n: int) -> tuple[Peer, ...]:
    """SPU's two sorts."""
    return tuple(
        Peer(
            f"SPU 0.9.5 ABY3 {name}", "spu", ("spu_mpc.py", "sort", str(n), "--sort", f"SORT_{name.upper()}")
        )
        for name in ("quick", "radix")
    )


def group_peers(n: int, groups: int) -> tuple[Peer, ...]:
    """One-hot for few groups, a sort for many."""
    if groups == FEW:
        return (Peer("SPU 0.9.5 ABY3 one-hot", "spu", ("spu_mpc.py", "groupby", str(n))),)
    sort = ("--sort", "SORT_QUICK")
    return (
        Peer("SPU 0.9.5 ABY3 quick sort, running sums", "spu", ("spu_mpc.py", "groupby_sort", str(n), *sort)),
    )


# Ours.


def warm() -> None:
    """A small group-by among threads: it compiles and loads all that the large one needs."""
    from hefu.engine.launch import run_together

    tiny = work("groupby", 200)
    run_together(
        dict.fromkeys(RSS_PARTIES, lambda session, channels: tiny.run(tiny.setup(session, channels))),
        parties="threads",
    )


def columns(kind: str, n: int) -> np.ndarray:
    """(n, 1) keys, or (n, 2) keys and values; the same at every party (only the owner's count)."""
    coins = np.random.default_rng(7)
    if kind == "sort":
        return coins.integers(-(2**40), 2**40, (n, 1))
    groups = FEW if kind == "groupby_few" else MANY
    return np.stack([coins.integers(0, groups, n), coins.integers(-(2**30), 2**30, n)], axis=1)


def work(kind: str, n: int) -> Work:
    """sort, groupby or groupby_few at any of the three parties."""

    def setup(session: Session, channels: ChannelSet) -> Any:
        from hefu.engine.rss import Party, secret

        party = Party(session, channels, RSS_PARTIES)
        return party, secret(party, columns(kind, n), owner=0).share

    def run(prepared: Any) -> Any:
        from hefu.engine.rss.groups import group_by
        from hefu.engine.rss.sort import Key, sort

        party, share = prepared
        if kind == "sort":
            return sort(party, share, [Key(0, KEY_BITS)])
        return group_by(party, share, [Key(0, KEY_BITS)], sums=[1])

    def check(prepared: Any, result: Any) -> bool:
        from hefu.engine.rss.opening import open_to_all

        party, _ = prepared
        plain = columns(kind, n)
        if kind == "sort":
            return np.array_equal(open_to_all(party, result).view(np.int64)[:, 0], np.sort(plain[:, 0]))
        keys, sums = (open_to_all(party, part).view(np.int64)[:, 0] for part in (result.keys, result.sums))
        right = np.zeros(MANY, dtype=np.int64)
        np.add.at(right, plain[:, 0], plain[:, 1])
        present = np.unique(plain[:, 0])
        return np.array_equal(keys, present) and np.array_equal(sums, right[present])

    return Work(setup, run, check)
