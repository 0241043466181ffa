"""Compile the samplers."""

from hefu.engine.dp.samplers import GAUSSIAN, NEGATIVE_BINOMIAL, draw
from hefu.engine.prg import KEY_BYTES, Prg


def warm() -> None:
    """Draw one number of each kind."""
    prg = Prg(bytes(KEY_BYTES))
    draw(NEGATIVE_BINOMIAL, (2, 1, 1, 2), prg, 1)
    draw(GAUSSIAN, (2, 1, 2), prg, 1)
