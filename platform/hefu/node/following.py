"""Follows registry, contracts and filings at the coordinator: asks for its change counter, and reads what changed only then."""

from __future__ import annotations

import logging
import ssl
import time

from hefu.node import contracts, filings, registry
from hefu.node.context import COORDINATOR, NodeContext
from hefu.wire.errors import WireError
from hefu.wire.refusal import Refusal

log = logging.getLogger("hefu.node")

WHOLE_ROUND_SECONDS = 60.0  # everything is read as often as that, whatever the counter says


class Follower:
    """What this node has seen of the coordinator's change counter. Used by one thread."""

    def __init__(self, ctx: NodeContext, context: ssl.SSLContext | None) -> None:
        self._ctx, self._context = ctx, context
        self._applied = self._admitted = False
        self._seen: int | None = None
        self._whole_at = 0.0

    def look(self, *, woken: bool = False) -> bool:
        """One round: apply where that is still to be done, and read everything if something changed. True: it was read.

        woken  there is something of our own to hand in: read and hand in, changed or not
        raises WireError, Refusal: the next round tries again
        """
        ctx = self._ctx
        if not self._applied:
            registry.apply(ctx)
            self._applied = True
        counter = int(ctx.client.get(COORDINATOR, "/api/changes")["counter"])
        if counter == self._seen and not woken and time.monotonic() < self._whole_at:
            return False
        self._seen = None
        self._admitted = registry.sync(ctx, self._context) or self._admitted
        # Both, always: what one of them could not take does not hold up the other.
        settled = self._admitted and all([contracts.sync(ctx), filings.sync(ctx)])
        if settled:
            self._seen, self._whole_at = counter, time.monotonic() + WHOLE_ROUND_SECONDS
        return True


def follow(ctx: NodeContext, context: ssl.SSLContext | None) -> None:
    """Follow until the node stops.

    context  the running server's TLS context, given the new certificate when it is issued
    """
    follower, woken = Follower(ctx, context), True
    while not ctx.stop.is_set():
        try:
            follower.look(woken=woken)
            woken = False
        except Refusal as refusal:
            log.error("registry: %s", refusal)
            ctx.stop.wait(5)
        except WireError as error:
            log.warning("%s is not reached: %s", COORDINATOR, error)
        except Exception:
            log.exception("following the registry failed; trying again")
        woken = ctx.wake_sync.wait(timeout=ctx.settings.sync_seconds) or woken
        ctx.wake_sync.clear()
