"""What a release costs: pure (ε), approximate (ε, δ) or concentrated (ρ).

A pure ε is also ε²/2-concentrated; ρ converts to (ε, δ) at a chosen δ, by OpenDP.
Sources: Bun, Steinke, "Concentrated Differential Privacy", TCC 2016, proposition 1.4 (pure to zCDP); Canonne, Kamath,
Steinke, "The Discrete Gaussian for Differential Privacy", NeurIPS 2020, proposition 7 (zCDP to (ε, δ)).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from hefu.engine.dp import rounding
from hefu.engine.dp.library import epsilon_of_concentrated
from hefu.engine.dp.rounding import Real
from hefu.engine.errors import InputInvalid


@dataclass(frozen=True, slots=True)
class Loss:
    """An upper bound on what one release tells about one unit of privacy.

    epsilon, delta  (ε, δ)-DP; epsilon is None where only ρ is known
    rho             δ-approximate ρ-zCDP; None where only (ε, δ) is known
    """

    epsilon: Fraction | None
    delta: Fraction
    rho: Fraction | None

    @classmethod
    def pure(cls, epsilon: Real) -> Loss:
        """ε-DP, and so ε²/2-zCDP."""
        e = rounding.exact(epsilon, "epsilon")
        if e < 0:
            raise InputInvalid("epsilon is not negative")
        return cls(e, Fraction(0), e * e / 2)

    @classmethod
    def approximate(cls, epsilon: Real, delta: Real) -> Loss:
        """(ε, δ)-DP, and so δ-approximate ε²/2-zCDP."""
        loss = cls.pure(epsilon)
        return cls(loss.epsilon, rounding.probability(delta, "delta"), loss.rho)

    @classmethod
    def concentrated(cls, rho: Real) -> Loss:
        """ρ-zCDP."""
        r = rounding.exact(rho, "rho")
        if r < 0:
            raise InputInvalid("rho is not negative")
        return cls(None, Fraction(0), r)

    def at_delta(self, delta: Real) -> Loss:
        """The same as (ε, δ): unchanged where ε is known already, converted where only ρ is."""
        if self.epsilon is not None:
            return self
        if self.rho is None:
            raise InputInvalid("a loss without ε and without ρ says nothing")
        d = rounding.positive(delta, "delta")
        return Loss(
            epsilon_of_concentrated(self.rho, rounding.probability(d, "delta")), d + self.delta, self.rho
        )
