"""Two versions of a contract, clause by clause: what was added, removed, changed. For the page that asks for a signature."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from hefu.domain.contract import Contract

_IDS = ("org_id", "data_set_id", "step_id", "name", "recipient")
_ALWAYS_DIFFER = ("version", "previous", "signing_deadline")


class ClauseChange(BaseModel):
    """One clause that differs, by its dotted path; lists are told apart by the id of their elements."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clause: str
    change: Literal["added", "removed", "changed"]
    before: Any = None
    after: Any = None


def compare(old: Contract, new: Contract) -> list[ClauseChange]:
    """The changes, in the document's order; version, predecessor and signing deadline, which always differ, are left out."""
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    for name in _ALWAYS_DIFFER:
        del before[name], after[name]
    return list(_walk("", before, after))


def _walk(path: str, before: Any, after: Any) -> Iterator[ClauseChange]:
    if before == after:
        return
    if isinstance(before, list) and isinstance(after, list):
        keyed = _by_id(before), _by_id(after)
        if keyed[0] is not None and keyed[1] is not None:
            before, after = keyed
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys([*before, *after]):
            at = f"{path}.{name}" if path else name
            if name not in after:
                yield ClauseChange(clause=at, change="removed", before=before[name])
            elif name not in before:
                yield ClauseChange(clause=at, change="added", after=after[name])
            else:
                yield from _walk(at, before[name], after[name])
        if list(before) != list(after) and set(before) == set(after):
            yield ClauseChange(clause=path, change="changed", before=list(before), after=list(after))
        return
    yield ClauseChange(clause=path, change="changed", before=before, after=after)


def _by_id(items: list[Any]) -> dict[str, Any] | None:
    """The elements by their own id, or None where they have none or one stands twice."""
    for key in _IDS:
        if items and all(isinstance(item, dict) and key in item for item in items):
            found = {str(item[key]): item for item in items}
            return found if len(found) == len(items) else None
    return None
