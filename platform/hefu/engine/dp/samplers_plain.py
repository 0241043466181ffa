"""The twin of `samplers`, in Python's integers: the same words give the same samples."""

from __future__ import annotations

from collections.abc import Iterator

from hefu.engine.dp.samplers import NEGATIVE_BINOMIAL
from hefu.engine.prg import Prg


def _words(prg: Prg) -> Iterator[int]:
    while True:
        yield from prg.words(1 << 10).tolist()


class _Coins:
    def __init__(self, prg: Prg) -> None:
        self._words = _words(prg)

    def below(self, m: int) -> int:
        while True:
            product = next(self._words) * m
            if product % (1 << 64) >= (1 << 64) % m:
                return product >> 64

    def bernoulli(self, a: int, b: int) -> bool:
        return a == b or self.below(b) < a

    def exp_bernoulli(self, a: int, b: int, c: int = 1, d: int = 1) -> bool:
        k = 1
        while self.bernoulli(a, b) and self.bernoulli(c, d) and self.bernoulli(1, k):
            k += 1
        return k % 2 == 1

    def geometric(self, num: int, den: int) -> int:
        while True:
            u = self.below(num)
            if self.exp_bernoulli(u, num):
                v = 0
                while self.exp_bernoulli(1, 1):
                    v += 1
                return (u + num * v) // den

    def negative_binomial(self, num: int, den: int, r: int, s: int) -> int:
        while True:
            k = self.geometric(num, den)
            if all(self.bernoulli((j - 1) * s + r, j * s) for j in range(1, k + 1)):
                return k

    def gaussian(self, p: int, q: int, t: int) -> int:
        while True:
            negative = self.below(2) == 1
            y = self.geometric(t, 1)
            if negative and y == 0:
                continue
            k, rest = divmod(abs(y * t * q - p), p)
            square = q * t * t
            if (
                self.exp_bernoulli(rest, 2 * p, rest, square)
                and all(self.exp_bernoulli(rest, square) for _ in range(k))
                and all(self.exp_bernoulli(p, 2 * square) for _ in range(k * k))
            ):
                return -y if negative else y


def draw_plain(kind: int, parameters: tuple[int, ...], prg: Prg, count: int) -> list[int]:
    """As `samplers.draw`."""
    coins = _Coins(prg)
    if kind == NEGATIVE_BINOMIAL:
        return [
            coins.negative_binomial(*parameters) - coins.negative_binomial(*parameters) for _ in range(count)
        ]
    return [coins.gaussian(*parameters) for _ in range(count)]
