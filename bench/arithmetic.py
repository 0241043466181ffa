"""Arithmetic on replicated shares: comparison, multiplication, equality, matrix product, and the latency of one comparison.

Counted: the operation, shares in and shares out. Not counted on either side: sharing the inputs, opening the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from hefu.engine.channel import ChannelSet
from hefu.engine.session import Session

from bench.ours import RSS_PARTIES, Work, everywhere, measure
from bench.peer import Peer, beside
from bench.rows import Row, size_name
from bench.setting import Setting

Arrays = tuple[np.ndarray, ...]

LATENCY_RUNS = 100


def rows(setting: Setting) -> Iterator[Row]:
    """The group."""
    n, many = setting.size(10**6), setting.repeat
    few, side = setting.size(10**4), setting.size(1000)
    yield from _row(
        setting, "comparison", "64-bit", n, (*_spu("comparison", n, many), _crypten("comparison", n, many))
    )
    yield from _row(setting, "comparison", "64-bit", few, (_mpyc("comparison", few),))
    yield from _row(
        setting,
        "multiplication",
        "integer",
        n,
        (*_spu("multiplication", n, many), _crypten("multiplication", n, many), _mpyc("multiplication", n)),
    )
    yield from _row(setting, "fixed", "", n, (*_spu("fixed", n, many), _crypten("fixed", n, many)))
    yield from _row(setting, "fixed", "", few, (_mpyc("fixed", few),))
    yield from _row(
        setting, "equality", "64-bit", n, (*_spu("equality", n, many), _crypten("equality", n, many))
    )
    yield from _row(
        setting, "matmul", "", side, (*_spu("matmul", side, many), _crypten("matmul", side, many))
    )
    yield from latency(setting)


def latency(setting: Setting) -> list[Row]:
    """Wall seconds of one comparison after the other; shares of one number."""
    name = "scalar comparison latency, loopback"
    works = everywhere(work("comparison", 1))
    peer = Peer("SPU 0.9.5 ABY3", "spu", ("spu_mpc.py", "latency", "1", "--inner", str(LATENCY_RUNS)))
    peers = (peer,) if setting.peers else ()
    repeat = max(setting.repeat, 1)
    plain = measure(works, warm=warm, repeat=repeat, inner=LATENCY_RUNS)
    secured = measure(works, warm=warm, repeat=repeat, inner=LATENCY_RUNS, tls=True)
    return [
        *beside(name, plain, peers, by_wall=True, note=f"wall seconds, mean of {LATENCY_RUNS} in a row"),
        *beside(f"{name}, over TLS", secured, (), by_wall=True),
    ]


def _row(setting: Setting, kind: str, what: str, n: int, peers: tuple[Peer, ...]) -> list[Row]:
    name = {
        "comparison": f"comparison {size_name(n)}, {what}",
        "multiplication": f"multiplication {size_name(n)}, {what}",
        "fixed": f"multiplication {size_name(n)}, fixed point",
        "equality": f"equality {size_name(n)}, {what}",
        "matmul": f"matmul {n}x{n}x{max(n // 10, 1)}",
    }[kind]
    return setting.compare(name, everywhere(work(kind, n)), peers, warm=warm, repeat=setting.repeat)


def _spu(kind: str, n: int, repeat: int) -> tuple[Peer, Peer]:
    arguments = ("spu_mpc.py", kind, str(n), "--repeat", str(repeat))
    return (
        Peer("SPU 0.9.5 ABY3", "spu", arguments),
        Peer("SPU 0.9.5 SEMI2K, triples from a trusted party", "spu", (*arguments, "--protocol", "SEMI2K")),
    )


def _crypten(kind: str, n: int, repeat: int) -> Peer:
    name = "CrypTen 0.4.1, triples from a trusted party"
    return Peer(name, "crypten", ("crypten_mpc.py", kind, str(n), "--repeat", str(repeat)))


def _mpyc(kind: str, n: int) -> Peer:
    return Peer("MPyC 0.11", "mpyc", ("mpyc_mpc.py", kind, str(n)))


# Ours.


def warm() -> None:
    """Compiled kernels of the arithmetic."""
    from hefu.engine.rss.warm import warm as kernels

    kernels()


def inputs(kind: str, n: int) -> Arrays:
    """Two operands, the same at every party (only the owner's count)."""
    coins = np.random.default_rng(7)
    if kind == "fixed":
        return coins.uniform(-100, 100, n), coins.uniform(-100, 100, n)
    if kind == "matmul":
        bound = 2**40
        return coins.integers(-bound, bound, (n, n)), coins.integers(-bound, bound, (n, max(n // 10, 1)))
    x, y = (coins.integers(-(2**61), 2**61, n) for _ in range(2))
    return x, np.where(coins.random(n) < 0.5, x, y) if kind == "equality" else y


def work(kind: str, n: int) -> Work:
    """One operation on n elements (n x n by n x n/10 for the product), at any of the three parties."""
    operation: Callable[[Any, Any], Any]
    operation, close = {
        "comparison": (lambda x, y: x < y, 0.0),
        "multiplication": (lambda x, y: x * y, 0.0),
        "fixed": (lambda x, y: x * y, 2e-3),
        "equality": (lambda x, y: x == y, 0.0),
        "matmul": (lambda x, y: x @ y, 0.0),
    }[kind]

    def setup(session: Session, channels: ChannelSet) -> Any:
        from hefu.engine.rss import Party, secret
        from hefu.engine.rss.fixed import DEFAULT_FRACTION_BITS

        party = Party(session, channels, RSS_PARTIES)
        bits = DEFAULT_FRACTION_BITS if kind == "fixed" else 0
        x, y = inputs(kind, n)
        return secret(party, x, owner=0, fraction_bits=bits), secret(party, y, owner=1, fraction_bits=bits)

    def run(prepared: Any) -> Any:
        return operation(*prepared)

    def check(prepared: Any, result: Any) -> bool:
        right = operation(*inputs(kind, n))
        found = result.reveal()
        return bool(np.abs(found - right).max() <= close if close else np.array_equal(found, right))

    return Work(setup, run, check)
