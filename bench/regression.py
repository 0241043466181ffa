"""Logistic regression, 10^5 rows of 20 features, 10 full-batch iterations, beside SPU and CrypTen.

Counted: from shares of the data to shares of the weights. The weights' accuracy on the data equals that of the same
training in floating point to three digits, or the benchmark fails; the peers are held to the same.
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

FEATURES, ITERATIONS, RATE = 20, 10, 1.0


def rows(setting: Setting) -> Iterator[Row]:
    """The group."""
    n = setting.size(10**5)
    name = f"logistic regression {size_name(n)} x {FEATURES}, {ITERATIONS} iterations"
    crypten = Peer(
        "CrypTen 0.4.1, triples from a trusted party", "crypten", ("crypten_mpc.py", "regression", str(n))
    )
    spu = Peer("SPU 0.9.5 ABY3", "spu", ("spu_mpc.py", "regression", str(n)))
    yield from setting.compare(name, everywhere(work(n)), (spu, crypten), warm=warm)


def warm() -> None:
    """A small training among threads: it compiles and loads all that the large one needs."""
    from hefu.engine.launch import run_together

    tiny = work(64)
    run_together(
        dict.fromkeys(RSS_PARTIES, lambda session, channels: tiny.run(tiny.setup(session, channels))),
        parties="threads",
    )


def data(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 20) and labels (n,), as the peers' scripts draw them."""
    coins = np.random.default_rng(7)
    x = coins.normal(size=(n, FEATURES))
    true = coins.normal(size=FEATURES)
    return x, (coins.random(n) < 1 / (1 + np.exp(-x @ true))).astype(np.float64)


def plain_weights(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The same training in floating point, with the exact sigmoid."""
    w = np.zeros(FEATURES)
    for _ in range(ITERATIONS):
        w = w - RATE / len(x) * (x.T @ (1 / (1 + np.exp(-x @ w)) - y))
    return w


def accuracy(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """The share of rows that the weights put on the right side."""
    return float(((x @ w > 0) == (y > 0.5)).mean())


def work(n: int) -> Work:
    """The training at any of the three parties."""

    def setup(session: Session, channels: ChannelSet) -> Any:
        from hefu.engine.rss import Party, secret
        from hefu.engine.rss.fixed import DEFAULT_FRACTION_BITS as BITS

        party = Party(session, channels, RSS_PARTIES)
        x, y = data(n)
        features = secret(party, x, owner=0, fraction_bits=BITS)
        return features, secret(party, y.astype(np.int64), owner=1)

    def run(prepared: Any) -> Any:
        from hefu.engine.rss import SecretArray
        from hefu.engine.rss.regression import logistic_regression

        x, y = prepared
        options = {"steps": ITERATIONS, "rate": RATE, "intercept": False}
        share = logistic_regression(x.party, x.share, y.share, x.fraction_bits, **options)
        return SecretArray(x.party, share, x.fraction_bits)

    def check(prepared: Any, result: Any) -> bool:
        x, y = data(n)
        found, plain = (accuracy(x, y, w) for w in (result.reveal(), plain_weights(x, y)))
        return abs(found - plain) < max(1e-3, 2 / n)

    return Work(setup, run, check)
