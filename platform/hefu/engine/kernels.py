"""How the engine's inner loops are compiled.

`kernel` is numba's njit with the compiled code cached on disk and the GIL released. Compilation happens at first use,
not at import; `warmup.warm` does it ahead. Where no cache folder can be written (a confined process without its own
NUMBA_CACHE_DIR) the kernels work all the same, compiled anew in each process.
Arithmetic is on uint64 only: numba turns int64 (op) uint64 into float64.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop over arrays at its first call."""
    njit: Any = numba.njit
    try:
        compiled = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba: "cannot cache function: no locator available"
        compiled = njit(nogil=True)(function)
    return cast(Callable[P, R], compiled)
