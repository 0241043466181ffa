"""The engine: computing on data that nobody shows, and the channels between the parties.

Knows no contract, no HTTP, no database. Every protocol names its source and says who learns what (docs/protocols).

    channel, session, launch   who talks to whom, shared and private coins, parties started together
    rss          replicated secret sharing among three: arithmetic, comparison, sort, group-by, regression
    psi          private set intersection        pir   private information retrieval
    he           homomorphic encryption          aggregation   sums of many clients' vectors
    dp           differential privacy            ot, field, group   what these are built of
    matching, sorted_matching   the matching of reconciliation, designs F and S

`from hefu.engine import …` gives the names below; each is loaded when it is first asked for.
"""

import importlib
from typing import Any

ENGINE_VERSION = "2"
"""Raised whenever messages, labels or encodings change: parties with different versions don't compute together."""

_WHERE = {
    "run_together": "launch",
    "measure": "launch",
    "Party": "rss",
    "secret": "rss",
    "secret_bits": "rss",
    "stack": "rss",
    "concatenate": "rss",
    "choose_pir": "pir",
    "Budget": "dp",
}
__all__ = ["ENGINE_VERSION", *_WHERE]  # loaded on demand


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
