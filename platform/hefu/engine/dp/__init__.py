"""Differential privacy: noisy releases, what they cost, and a budget that refuses; noise added inside a computation."""

from hefu.engine.dp.budget import Accountant, Budget, Spend, compose
from hefu.engine.dp.distributed import (
    SharedGaussian,
    SharedLaplace,
    SharedNoise,
    shared_gaussian,
    shared_laplace,
)
from hefu.engine.dp.errors import BudgetExhausted
from hefu.engine.dp.loss import Loss
from hefu.engine.dp.mechanisms import (
    Mechanism,
    clamp,
    discrete_gaussian,
    discrete_laplace,
    gaussian,
    geometric,
    laplace,
)
from hefu.engine.dp.randomised import (
    RandomisedBool,
    RandomisedCategory,
    randomised_bool,
    randomised_category,
)
from hefu.engine.dp.selection import Selection, exponential_mechanism, noisy_max, noisy_top

__all__ = [
    "Accountant",
    "Budget",
    "BudgetExhausted",
    "Loss",
    "Mechanism",
    "RandomisedBool",
    "RandomisedCategory",
    "Selection",
    "SharedGaussian",
    "SharedLaplace",
    "SharedNoise",
    "Spend",
    "clamp",
    "compose",
    "discrete_gaussian",
    "discrete_laplace",
    "exponential_mechanism",
    "gaussian",
    "geometric",
    "laplace",
    "noisy_max",
    "noisy_top",
    "randomised_bool",
    "randomised_category",
    "shared_gaussian",
    "shared_laplace",
]
