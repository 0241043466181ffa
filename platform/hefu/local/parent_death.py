"""Children that end with their parent.

Linux sends a chosen signal to a child when the *thread* that started it ends (prctl(2), PR_SET_PDEATHSIG),
so start such children from a thread that lives as long as they should. Elsewhere nothing happens.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent(with_signal: signal.Signals) -> Callable[[], None]:
    """A `preexec_fn` for `subprocess.Popen`: the child gets `with_signal` when its parent ends.

    Everything is looked up before the fork; the child makes two system calls.
    """
    parent = os.getpid()
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
        if os.getppid() != parent:  # the parent ended between fork and prctl
            os._exit(1)

    return in_child
