"""Figures of data quality (K4), counted by DuckDB in one pass over a file: no value leaves this module."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from hefu.domain.dataset import DataSet, FieldType
from hefu.domain.terms import FieldRange
from hefu.node.sources import expressions as sql
from hefu.node.sources.engine import Workbench
from hefu.node.sources.errors import MappingMissing
from hefu.node.sources.readers import Opened, reading


@dataclass(frozen=True, slots=True)
class Measure:
    """What to count: empty values of these fields, different values of those, values outside these ranges."""

    fields: tuple[str, ...]
    unique: tuple[str, ...] = ()
    ranges: tuple[FieldRange, ...] = ()


@dataclass(frozen=True, slots=True)
class QualityCounts:
    """Counts over all rows of a file; `newest` is the last readable day in it."""

    rows: int
    nulls: dict[str, int]
    distinct: dict[str, int]
    outside: dict[str, int]
    newest: date | None


def measure_quality(bench: Workbench, opened: Opened, data_set: DataSet, measure: Measure) -> QualityCounts:
    """Count. `parsed` must have been created (see `parsing`): its days are the newest day's.

    raises  MappingMissing when a field is not one of the data set's; HeaderMismatch, FileUnreadable
    """
    nulls = list(dict.fromkeys([*measure.fields, *measure.unique]))
    wanted = ["count(*)"]
    wanted += [f"count(*) FILTER ({_text(opened, data_set, name)} = '')" for name in nulls]
    texts = [_text(opened, data_set, name) for name in measure.unique]
    wanted += [f"count(DISTINCT hash({text})) FILTER ({text} <> '')" for text in texts]
    wanted += [f"count(*) FILTER ({_outside(opened, data_set, limit)})" for limit in measure.ranges]
    with reading(opened.name):
        counted = bench.connection.execute(
            f"SELECT {', '.join(wanted)} FROM {opened.view}"  # noqa: S608  expressions are ours
        ).fetchall()[0]
    figures = iter(int(value) for value in counted)
    newest = bench.connection.execute("SELECT max(day) FROM parsed").fetchall()[0][0]
    return QualityCounts(
        rows=next(figures),
        nulls={name: next(figures) for name in nulls},
        distinct={name: next(figures) for name in measure.unique},
        outside={limit.field: next(figures) for limit in measure.ranges},
        newest=newest,
    )


def _text(opened: Opened, data_set: DataSet, name: str) -> str:
    _declared(data_set, name)
    return f"({sql.canonical_text(opened.column(name))})"


def _outside(opened: Opened, data_set: DataSet, limit: FieldRange) -> str:
    """True where the field has a value that is no number, or one beyond a bound; empty values are counted as such."""
    kind = _declared(data_set, limit.field)
    column = opened.column(limit.field)
    if kind is FieldType.MONEY:
        number = sql.amount_cents(f"({sql.amount_text(column)})")
    elif kind is FieldType.INTEGER:
        number = f"TRY_CAST(({sql.canonical_text(column)}) AS HUGEINT)"
    else:
        raise MappingMissing(
            f"字段“{limit.field}”不是数值，无法核对范围",
            f"field {limit.field!r} is no number: it has no range",
        )
    beyond = [f"({number}) IS NULL"]
    if limit.minimum is not None:
        beyond.append(f"({number}) < {limit.minimum}")
    if limit.maximum is not None:
        beyond.append(f"({number}) > {limit.maximum}")
    return f"({sql.canonical_text(column)}) <> '' AND ({' OR '.join(beyond)})"


def _declared(data_set: DataSet, name: str) -> FieldType:
    try:
        return data_set.field(name).type
    except KeyError as error:
        raise MappingMissing(
            f"数据集“{data_set.name}”未登记列“{name}”",
            f"data set {data_set.name!r} declares no column {name!r}",
        ) from error
