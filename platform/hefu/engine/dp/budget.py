"""A privacy budget that is spent before a release and refuses what it cannot cover.

Three accountants; each adds an exact rational cost per release and compares the sum with a limit fixed at the start,
so that the answers may decide what is asked next (a privacy filter):

    basic     Σε ≤ ε and Σδ ≤ δ
    advanced  ½Σε² + √(2 ln(1/slack) Σε²) ≤ ε and slack + Σδ ≤ δ      (costs ε²)
    zcdp      (Σρ converted at slack) ≤ ε and slack + Σδ ≤ δ             (costs ρ)

advanced and zcdp pay off from a few dozen releases; one release costs more under them than under basic.
Sources: Dwork, Rothblum, Vadhan, FOCS 2010; Whitehouse et al., "Fully-Adaptive Composition in Differential Privacy",
ICML 2023, theorem 1 (advanced, as a filter); Feldman, Zrnic, NeurIPS 2021 (zCDP, as a filter).
Does not promise: persistence (rebuild a budget from its `spends`), nor that two budgets over the same data add up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol

from hefu.engine.dp import rounding
from hefu.engine.dp.errors import BudgetExhausted
from hefu.engine.dp.library import epsilon_of_concentrated
from hefu.engine.dp.loss import Loss
from hefu.engine.dp.rounding import Real
from hefu.engine.errors import InputInvalid

Accountant = Literal["basic", "advanced", "zcdp"]


@dataclass(frozen=True, slots=True)
class Spend:
    """One release: what for, and its loss."""

    purpose: str
    loss: Loss


class Costed(Protocol):
    """A mechanism: it states its loss and is called on data."""

    @property
    def loss(self) -> Loss:
        """Per call."""

    def __call__(self, values: Any, /) -> Any:
        """A release."""


class Budget:
    """ε and δ for all releases from one set of people; safe to share between threads.

    accountant  "basic", "advanced" or "zcdp"
    slack       the part of δ that advanced and zcdp keep for themselves; all of δ unless given: then releases that
                carry a δ of their own are refused
    spends      what was spent before (a budget restored)
    """

    def __init__(
        self,
        epsilon: Real,
        delta: Real = 0,
        accountant: Accountant = "basic",
        *,
        slack: Real | None = None,
        spends: Iterable[Spend] = (),
    ) -> None:
        self.epsilon = rounding.positive(epsilon, "epsilon")
        self.delta = rounding.probability(delta, "delta")
        self.accountant: Accountant = accountant
        self.slack = Fraction(0)
        if accountant != "basic":
            self.slack = self.delta if slack is None else rounding.probability(slack, "slack")
            if not 0 < self.slack <= self.delta:
                raise InputInvalid(f"{accountant} composition needs a slack above zero and within δ")
        elif slack is not None:
            raise InputInvalid("basic composition has no slack")
        self._limit = _limit(accountant, self.epsilon, self.slack)
        self._spends: list[Spend] = []
        self._cost = Fraction(0)
        self._delta = Fraction(0)
        self._lock = threading.Lock()
        for spend in spends:
            self.spend(spend.loss, spend.purpose)

    @property
    def spends(self) -> tuple[Spend, ...]:
        """All releases so far, oldest first."""
        return tuple(self._spends)

    def spend(self, loss: Loss, purpose: str) -> None:
        """Take the loss off the budget, before the release is drawn; all or nothing.

        raises  BudgetExhausted, which names what is left; InputInvalid when the accountant cannot count such a loss
        """
        cost = _cost(self.accountant, loss)
        with self._lock:
            if self._cost + cost > self._limit or self.slack + self._delta + loss.delta > self.delta:
                raise BudgetExhausted(f"{purpose}: costs {_said(loss)}; left: {self._left()}")
            self._cost += cost
            self._delta += loss.delta
            self._spends.append(Spend(purpose, loss))

    def release(self, mechanism: Costed, values: Any, purpose: str) -> Any:
        """Spend the mechanism's loss, then call it. A release that fails after that has been spent all the same."""
        self.spend(mechanism.loss, purpose)
        return mechanism(values)

    def spent(self) -> Loss:
        """All releases together, as this accountant sees them."""
        return compose((s.loss for s in self._spends), self.accountant, self.slack or None)

    def left(self) -> str:
        """What is left, in words."""
        with self._lock:
            return self._left()

    def _left(self) -> str:
        rest = self._limit - self._cost
        delta = f"δ {_number(self.delta - self.slack - self._delta)}"
        if self.accountant == "basic":
            return f"ε {_number(rest)} of {_number(self.epsilon)}, {delta}"
        if self.accountant == "advanced":
            return f"one pure ε of {_number(rounding.sqrt(rest, up=False))} (ε {_number(self.epsilon)} in all), {delta}"
        return f"ρ {_number(rest)} of {_number(self._limit)} (ε {_number(self.epsilon)} in all), {delta}"


def compose(losses: Iterable[Loss], accountant: Accountant, slack: Real | None = None) -> Loss:
    """The (ε, δ) of several releases from the same people, chosen adaptively."""
    losses = tuple(losses)
    cost = sum((_cost(accountant, loss) for loss in losses), Fraction(0))
    delta = sum((loss.delta for loss in losses), Fraction(0))
    if accountant == "basic":
        return Loss.approximate(cost, delta) if delta else Loss.pure(cost)
    kept = rounding.probability(rounding.positive(slack or 0, "slack"), "slack")
    if not cost:
        return Loss.approximate(0, delta)
    if accountant == "advanced":
        return Loss.approximate(_advanced(cost, kept), delta + kept)
    return Loss.approximate(epsilon_of_concentrated(cost, kept), delta + kept)


def _cost(accountant: Accountant, loss: Loss) -> Fraction:
    if accountant == "zcdp":
        if loss.rho is None:
            raise InputInvalid("this loss has no ρ: zCDP cannot count it")
        return loss.rho
    if loss.epsilon is None:
        raise InputInvalid(
            f"{accountant} composition counts (ε, δ): convert with loss.at_delta(δ), or use zcdp"
        )
    return loss.epsilon if accountant == "basic" else loss.epsilon**2


def _limit(accountant: Accountant, epsilon: Fraction, slack: Fraction) -> Fraction:
    """The largest sum of costs that the total allows, rounded down."""
    if accountant == "basic":
        return epsilon
    low, high = Fraction(0), max(epsilon, epsilon**2, Fraction(1))
    if accountant == "zcdp":
        high = epsilon + 1  # ρ <= ε at any δ below 1/2; far above what is needed
    for _ in range(80):
        middle = (low + high) / 2
        total = (
            _advanced(middle, slack) if accountant == "advanced" else epsilon_of_concentrated(middle, slack)
        )
        low, high = (middle, high) if total <= epsilon else (low, middle)
    return low


def _advanced(squares: Fraction, slack: Fraction) -> Fraction:
    """½Σε² + √(2 ln(1/slack) Σε²), rounded up."""
    return squares / 2 + rounding.sqrt(2 * rounding.log(1 / slack, up=True) * squares, up=True)


def _number(value: Fraction) -> str:
    return f"{rounding.to_float(value, up=False):.6g}"


def _said(loss: Loss) -> str:
    if loss.epsilon is None:
        return f"ρ {_number(loss.rho or Fraction(0))}"
    return f"ε {_number(loss.epsilon)}" + (f", δ {_number(loss.delta)}" if loss.delta else "")
