"""What an organisation has set for its own node: rules of its alarms, two-person rule, size of uploads."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from hefu.node.console_models import AlarmRules
from hefu.store.node_tables import SettingRow

UPLOAD_BYTES = 2 * 1024**3


def read(session: Session, name: str) -> dict[str, Any]:
    """A setting's value as the database has it now, or {}."""
    row = session.get(SettingRow, name, populate_existing=True)
    return {} if row is None else dict(row.value)


def write(session: Session, name: str, value: dict[str, Any]) -> None:
    """Set a value; the caller commits."""
    row = session.get(SettingRow, name)
    if row is None:
        row = SettingRow(name=name, value=value)
    row.value = value
    session.add(row)
    session.flush()


def two_person(session: Session) -> bool:
    """Does what one person prepared need another's approval (经办/复核)? On unless it was switched off."""
    return bool(read(session, "two_person").get("enabled", True))


def upload_bytes(session: Session) -> int:
    """The largest file that may be uploaded, in bytes."""
    return int(read(session, "upload").get("max_bytes", UPLOAD_BYTES))


def alarm_rules(session: Session) -> AlarmRules:
    """The regulator's warning rules."""
    return AlarmRules.model_validate(read(session, "alarm_rules"))
