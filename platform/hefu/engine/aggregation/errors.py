"""What can go wrong in secure aggregation.

AggregationError
├─ PlanInvalid        a threshold, roster, ring or length that the protocol cannot keep its promises with
├─ MessageInvalid     a message from `party` that is malformed, forged or out of bounds
├─ OutOfOrder         a step that is not due, or was done before
├─ TooFewClients      fewer than the threshold are left
├─ SurvivorsDisputed  the server has not shown that enough clients saw the same list of survivors
└─ RangeExceeded      numbers that the ring might not hold
"""

from hefu.engine.errors import EngineError


class AggregationError(EngineError):
    """Anything that ends a round of secure aggregation."""

    code = "aggregation_error"


class PlanInvalid(AggregationError):
    """A threshold, roster, ring or length that the protocol cannot keep its promises with."""

    code = "aggregation_plan_invalid"


class MessageInvalid(AggregationError):
    """A message from `party` that is malformed, forged or out of bounds."""

    code = "aggregation_message_invalid"

    def __init__(self, party: str, message: str) -> None:
        super().__init__(f"{party}: {message}")
        self.party = party


class OutOfOrder(AggregationError):
    """A step that is not due, or was done before."""

    code = "aggregation_out_of_order"


class TooFewClients(AggregationError):
    """Fewer than the threshold are left."""

    code = "aggregation_too_few_clients"


class SurvivorsDisputed(AggregationError):
    """The server has not shown that enough clients saw the same list of survivors."""

    code = "aggregation_survivors_disputed"


class RangeExceeded(AggregationError):
    """Numbers that the ring might not hold."""

    code = "aggregation_range_exceeded"
