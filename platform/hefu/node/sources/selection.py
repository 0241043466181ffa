"""What of a data set a contract lets in: its fields and no other, and the rows that pass its row filter.

Both are applied before anything is read into prepared rows. A field that the contract does not name has no column here, so
no clause can reach it; a row that the filter leaves out is counted and goes nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from hefu.domain.dataset import DataSet, FieldType
from hefu.domain.rowfilter import Condition, RowFilter
from hefu.node.sources import expressions as sql
from hefu.node.sources.engine import Workbench, quote_text
from hefu.node.sources.errors import FieldAbsent
from hefu.node.sources.readers import Opened, reading


def project(data_set: DataSet, fields: Sequence[str]) -> DataSet:
    """The data set with these fields only, as the contract names them.

    raises  FieldAbsent for one that the data set does not have
    """
    known = {field.name: field for field in data_set.fields}
    for name in fields:
        if name not in known:
            raise FieldAbsent(data_set.name, name)
    kept = tuple(known[name] for name in dict.fromkeys(fields))
    day = data_set.date_field if data_set.date_field in fields else None
    return data_set.model_copy(update={"fields": kept, "date_field": day})


def select_rows(
    bench: Workbench, opened: Opened, data_set: DataSet, row_filter: RowFilter
) -> tuple[Opened, int]:
    """The rows of a source that pass the filter, as a source; second: how many did not.

    A value that cannot be read satisfies no condition. Rows of the wrong length stay, to be rejected with their reason.

    raises  FieldAbsent, HeaderMismatch
    """
    if not row_filter.conditions:
        return opened, 0
    texts, values, conditions = [], [], []
    for number, condition in enumerate(row_filter.conditions):
        field = next((f for f in data_set.fields if f.name == condition.field), None)
        if field is None:
            raise FieldAbsent(data_set.name, condition.field)
        text, value = _readings(field.type, opened.column(field.name), f"t{number}")
        texts.append(f"{text} AS t{number}")
        values.append(f"{value} AS v{number}")
        conditions.append(f"({_comparison(condition, field.type, f'v{number}')})")
    columns = ", ".join(["row_number", "surplus", *(f"c{i}" for i in range(len(opened.columns)))])
    rows = (
        f"SELECT *, surplus OR coalesce({' AND '.join(conditions)}, false) AS kept FROM ("  # noqa: S608
        f"SELECT *, {', '.join(values)} FROM (SELECT *, {', '.join(texts)} FROM {opened.view}))"
    )
    with reading(opened.name):
        bench.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW selected AS SELECT {columns} FROM ({rows}) WHERE kept"  # noqa: S608
        )
        left_out = bench.connection.execute(f"SELECT count(*) FROM ({rows}) WHERE NOT kept").fetchall()  # noqa: S608
    return replace(opened, view="selected"), int(left_out[0][0])


def _readings(kind: FieldType, column: str, text: str) -> tuple[str, str]:
    """How a column is read for a comparison: first its text, then the value from that text."""
    match kind:
        case FieldType.TEXT:
            return sql.canonical_text(column), text
        case FieldType.INTEGER:
            return sql.canonical_text(column), f"TRY_CAST({text} AS BIGINT)"
        case FieldType.MONEY:
            return sql.amount_text(column), sql.amount_cents(text)
        case FieldType.DATE | FieldType.DATETIME:
            return sql.moment_text(column), sql.business_day(text)


def _comparison(condition: Condition, kind: FieldType, value: str) -> str:
    literals = [_literal(kind, text) for text in condition.values]
    if condition.operator == "in":
        return f"{value} IN ({', '.join(literals)})"
    operator = "<>" if condition.operator == "!=" else condition.operator
    return f"{value} {operator} {literals[0]}"


def _literal(kind: FieldType, text: str) -> str:
    match kind:
        case FieldType.TEXT:
            return sql.canonical_text(quote_text(text))
        case FieldType.INTEGER:
            return str(int(text))
        case FieldType.MONEY:
            return str(int(Decimal(text) * 100))
        case FieldType.DATE | FieldType.DATETIME:
            return f"DATE {quote_text(text)}"
