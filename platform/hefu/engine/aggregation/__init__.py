"""Secure aggregation: a server learns the sum of many clients' vectors and none of them, whoever drops out."""

from hefu.engine.aggregation.client import Client
from hefu.engine.aggregation.errors import (
    AggregationError,
    MessageInvalid,
    OutOfOrder,
    PlanInvalid,
    RangeExceeded,
    SurvivorsDisputed,
    TooFewClients,
)
from hefu.engine.aggregation.plan import Plan
from hefu.engine.aggregation.quantise import Quantiser
from hefu.engine.aggregation.runner import participate, serve
from hefu.engine.aggregation.server import Aggregate, Server

__all__ = [
    "Aggregate",
    "AggregationError",
    "Client",
    "MessageInvalid",
    "OutOfOrder",
    "Plan",
    "PlanInvalid",
    "Quantiser",
    "RangeExceeded",
    "Server",
    "SurvivorsDisputed",
    "TooFewClients",
    "participate",
    "serve",
]
