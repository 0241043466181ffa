"""Who delivered what for a contract, owner × day: what every party may see, without amounts."""

from __future__ import annotations

from datetime import date, timedelta

from hefu.node.console_models import DeliveryView

from hefu_ui.look.board import day_cells, draw_board
from hefu_ui.look.formats import org_name
from hefu_ui.look.page import empty
from hefu_ui.signed_in import node
from hefu_ui.words import t


def contract_board(contract_id: str, first: date, last: date) -> list[DeliveryView]:
    """Draw the board of one contract; returns what it shows."""
    deliveries = node().deliveries(contract_id, first.isoformat(), last.isoformat())
    if not deliveries:
        empty("inbox", t("data.no_deliveries"), t("data.no_deliveries_next"))
        return []
    days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
    owners = sorted({d.owner for d in deliveries})
    rows = {org_name(owner): day_cells(d for d in deliveries if d.owner == owner) for owner in owners}
    draw_board(days, rows)
    return deliveries
