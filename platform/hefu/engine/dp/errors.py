"""EngineError
└─ BudgetExhausted   a release would cost more than the budget has left
"""

from hefu.engine.errors import EngineError


class BudgetExhausted(EngineError):
    """A release would cost more than the budget has left; nothing was spent. The message names what is left."""

    code = "budget_exhausted"
