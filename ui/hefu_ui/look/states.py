"""Colour and symbol of every state, and the chips made of them."""

from __future__ import annotations

from hefu_ui.look.html import Html, chip
from hefu_ui.words import named

_GOOD, _BUSY, _WAIT, _BAD, _OFF = (
    ("green", "check_circle"), ("blue", "autorenew"), ("orange", "schedule"), ("red", "error"), ("gray", "block"),
)  # fmt: skip

_LOOKS: dict[str, dict[str, tuple[str, str]]] = {
    "standing": {"active": _GOOD, "suspended": _WAIT, "revoked": _BAD},
    "admission": {"submitted": _WAIT, "approved": ("blue", "how_to_reg"), "refused": _BAD, "admitted": _GOOD},
    "contract_state": {
        "signing": ("orange", "draw"), "active": _GOOD, "suspended": ("orange", "pause_circle"), "refused": _BAD,
        "expired": ("gray", "event_busy"), "exhausted": ("gray", "hourglass_disabled"),
        "superseded": ("gray", "history"), "terminated": _OFF, "withdrawn": _OFF,
    },
    "signature": {"signed": _GOOD, "waiting": _WAIT, "refused": _BAD},
    "job_state": {
        "requested": ("gray", "pending"), "running": _BUSY, "waiting": _WAIT, "awaiting_review": ("violet", "rate_review"),
        "succeeded": _GOOD, "superseded": ("gray", "history"), "refused": _BAD, "data_missing": ("red", "folder_off"),
        "failed": _BAD, "cancelled": _OFF,
    },
    "stage_state": {
        "pending": ("gray", "radio_button_unchecked"), "running": _BUSY, "passed": _GOOD, "waiting": _WAIT, "failed": _BAD,
    },
    "severity": {"note": ("gray", "info"), "warn": ("orange", "warning"), "wait": _WAIT, "block": _BAD},
    "light": {
        "green": _GOOD, "amber": ("orange", "warning"), "red": ("red", "block"), "gray": ("gray", "radio_button_unchecked"),
    },
    "grade": {"low": _GOOD, "medium": ("orange", "warning"), "high": _BAD},
    "due": {"overdue": _BAD, "soon": ("orange", "schedule"), "later": ("blue", "event")},
    "case_state": {"open": _WAIT, "overdue": _BAD, "done": _GOOD},
    "approval_state": {"open": _WAIT, "approved": _GOOD, "refused": _BAD, "withdrawn": _OFF, "overdue": ("red", "timer_off")},
    "arrival": {
        "arrived": _GOOD, "late": _WAIT, "missing": ("red", "folder_off"), "rejected": ("violet", "rule"),
        "replaced": ("blue", "published_with_changes"), "deleted": ("gray", "auto_delete"),
    },
    "row_status": {
        "match": _GOOD, "amount_mismatch": ("orange", "difference"), "missing_at_bank": ("blue", "account_balance"),
        "missing_at_institution": ("red", "policy_alert"), "token_conflict": ("violet", "join_inner"),
    },
    "record": {"asked": _WAIT, "answered": _GOOD, "overdue": _BAD},
    "inquiry": {"sent": _WAIT, "replied": ("blue", "mark_email_read"), "closed": _GOOD, "overdue": _BAD},
    "case": {
        "open": _WAIT, "assigned": ("blue", "person"), "explained": ("violet", "chat"), "adjusted": ("violet", "tune"),
        "closed": _GOOD,
    },
    "alarm": {"open": _BAD, "acknowledged": _GOOD},
    "seal": {"sealed": ("orange", "lock"), "opened": ("green", "lock_open")},
    "effect": {"stands": _GOOD, "replaced": ("gray", "history")},
    "verify": {"idle": ("gray", "radio_button_unchecked"), "running": _BUSY, "passed": _GOOD, "failed": ("red", "gpp_bad")},
}  # fmt: skip

_CELLS = {
    "green": "#c6f0e0", "blue": "#d3e1ff", "orange": "#ffe4b0", "red": "#fbcfcf", "gray": "#e3e8f0", "violet": "#e1d6fb",
}  # fmt: skip


def look_of(kind: str, value: str) -> tuple[str, str]:
    """Colour and symbol of a state; grey for one that is unknown."""
    return _LOOKS.get(kind, {}).get(value, ("gray", "circle"))


def state_chip(kind: str, value: str) -> Html:
    """The state as a coloured chip with its word."""
    color, symbol = look_of(kind, value)
    return chip(named(kind, value), color, symbol)


def state_options(kind: str) -> tuple[list[str], list[str]]:
    """All words of a kind with their colours, for a column of chips."""
    looks = _LOOKS[kind]
    return [named(kind, value) for value in looks], [_CELLS[looks[value][0]] for value in looks]
