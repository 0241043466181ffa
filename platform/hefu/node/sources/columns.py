"""Which column of an owner's file holds which canonical field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hefu.domain.dataset import DataSet, FieldType
from hefu.node.sources.errors import MappingMissing
from hefu.node.sources.readers import Opened

CANONICAL_FIELDS = ("serial", "type", "amount", "party_id", "occurred_at", "institution")


def map_columns(
    opened: Opened, data_set: DataSet, given: Mapping[str, str], required: Iterable[str]
) -> dict[str, tuple[str, str]]:
    """Canonical name -> (column of the view, header in the file), for all that are there.

    given     the contract's clause for this owner: canonical name -> column
    required  canonical names without which nothing can be done
    raises    HeaderMismatch when a field of the data set is missing in the file;
              MappingMissing when a required canonical name has no column, or one that the data set does not declare
    """
    for field in data_set.fields:
        opened.column(field.name)
    declared = {field.name for field in data_set.fields}
    found: dict[str, tuple[str, str]] = {}
    for name in CANONICAL_FIELDS:
        header = given.get(name) or _default(name, data_set)
        if header is None:
            continue
        if header not in declared:
            raise MappingMissing(
                f"数据集“{data_set.name}”未登记列“{header}”",
                f"data set {data_set.name!r} declares no column {header!r}",
            )
        found[name] = (opened.column(header), header)
    for name in required:
        if name not in found:
            raise MappingMissing(
                f"数据集“{data_set.name}”没有与“{name}”对应的列",
                f"data set {data_set.name!r} has no column for {name!r}",
            )
    return found


def _default(name: str, data_set: DataSet) -> str | None:
    if any(field.name == name for field in data_set.fields):
        return name
    if name == "occurred_at":
        return data_set.date_field
    if name == "amount":
        money = [field.name for field in data_set.fields if field.type is FieldType.MONEY]
        return money[0] if len(money) == 1 else None
    return None
