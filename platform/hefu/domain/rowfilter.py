"""A contract's row filter: which rows of a data set may be used at all, in a language small enough to be safe.

    region = 'EAST' AND amount >= 100.00 AND type IN ('loan', 'lease')

Conditions joined by AND; each is `field op literal` with = != < <= > >=, or `field IN (literal, …)`. Field names as in the
data set; a name with other characters than letters, digits and _ stands in double quotes. Literals: 'text' (a quote is
doubled), whole or decimal numbers; a date or time is compared by its business day, as 'YYYY-MM-DD'. Money is in yuan. There is
no OR, no function, no arithmetic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hefu.domain.dataset import FieldType

MAX_CONDITIONS = 16
MAX_VALUES = 64

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in"]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<quoted>\"[^\"]+\")|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])"
    r"|(?P<op><=|>=|!=|=|<|>)|(?P<mark>[(),])|(?P<word>[^\W\d]\w*))"
)


class RowFilterInvalid(ValueError):
    """The text is no row filter; the message says where."""


class Condition(BaseModel):
    """One comparison. Values are the literals' text; `in` has one or more, all others exactly one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: Annotated[str, Field(min_length=1, max_length=128)]
    operator: Operator
    values: Annotated[
        tuple[Annotated[str, Field(max_length=200)], ...], Field(min_length=1, max_length=MAX_VALUES)
    ]


class RowFilter(BaseModel):
    """All conditions hold for a row that may be used; a value that can't be read satisfies none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conditions: Annotated[tuple[Condition, ...], Field(max_length=MAX_CONDITIONS)] = ()

    def fields(self) -> tuple[str, ...]:
        """The fields that it reads, each once."""
        return tuple(dict.fromkeys(c.field for c in self.conditions))


def parse_row_filter(text: str) -> RowFilter:
    """The filter in a text; an empty text lets every row pass. Raises RowFilterInvalid."""
    if not text.strip():
        return RowFilter()
    tokens, conditions = _Tokens(text), []
    while True:
        conditions.append(_condition(tokens))
        kind, value = tokens.take()
        if kind == "end":
            break
        if kind != "word" or value.upper() != "AND":
            raise RowFilterInvalid(f"expected AND, found {value[:40]!r}")
    try:
        return RowFilter(conditions=tuple(conditions))
    except ValidationError as error:
        raise RowFilterInvalid(str(error.errors(include_url=False, include_input=False)[0]["msg"])) from error


def check_types(row_filter: RowFilter, types: Mapping[str, FieldType]) -> None:
    """Every condition compares a known field with literals of its type; texts have no order.

    types   the fields that the contract names, by name
    raises  RowFilterInvalid
    """
    for condition in row_filter.conditions:
        kind = types.get(condition.field)
        if kind is None:
            raise RowFilterInvalid(f"{condition.field} is not one of the contract's fields")
        if kind is FieldType.TEXT and condition.operator not in ("=", "!=", "in"):
            raise RowFilterInvalid(f"{condition.field} is a text: it takes = != IN, not {condition.operator}")
        for value in condition.values:
            if not _readable(kind, value):
                raise RowFilterInvalid(f"{condition.field} is {kind.value}: {value[:40]!r} is none")


def _readable(kind: FieldType, value: str) -> bool:
    match kind:
        case FieldType.TEXT:
            return True
        case FieldType.INTEGER:
            return re.fullmatch(r"-?[0-9]{1,18}", value) is not None
        case FieldType.MONEY:
            return re.fullmatch(r"-?[0-9]{1,16}(\.[0-9]{1,2})?", value) is not None
        case FieldType.DATE | FieldType.DATETIME:
            try:
                return date.fromisoformat(value).isoformat() == value
            except ValueError:
                return False


class _Tokens:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def take(self) -> tuple[str, str]:
        """The next token's kind and text; ("end", "") where there is none."""
        if not self._text[self._at :].strip():
            return "end", ""
        found = _TOKEN.match(self._text, self._at)
        if found is None or found.lastgroup is None:
            raise RowFilterInvalid(f"cannot be read from character {self._at + 1} on")
        self._at = found.end()
        return found.lastgroup, found[found.lastgroup]


def _condition(tokens: _Tokens) -> Condition:
    kind, name = tokens.take()
    if kind == "quoted":
        name = name[1:-1]
    elif kind != "word" or name.upper() in ("AND", "OR", "NOT", "IN"):
        raise RowFilterInvalid(f"expected a field, found {name[:40]!r}")
    kind, operator = tokens.take()
    if kind == "op":
        values = [_literal(tokens)]
    elif kind == "word" and operator.upper() == "IN":
        operator, values = "in", _values(tokens)
    else:
        raise RowFilterInvalid(f"expected a comparison after {name[:40]!r}, found {operator[:40]!r}")
    try:
        return Condition.model_validate({"field": name, "operator": operator, "values": tuple(values)})
    except ValidationError as error:
        raise RowFilterInvalid(str(error.errors(include_url=False, include_input=False)[0]["msg"])) from error


def _values(tokens: _Tokens) -> list[str]:
    if tokens.take() != ("mark", "("):
        raise RowFilterInvalid("expected ( after IN")
    values = [_literal(tokens)]
    while True:
        mark = tokens.take()
        if mark == ("mark", ")"):
            return values
        if mark != ("mark", ",") or len(values) >= MAX_VALUES:
            raise RowFilterInvalid(f"IN takes up to {MAX_VALUES} literals between ( and ), parted by commas")
        values.append(_literal(tokens))


def _literal(tokens: _Tokens) -> str:
    kind, value = tokens.take()
    if kind == "text":
        return value[1:-1].replace("''", "'")
    if kind == "number":
        return value
    raise RowFilterInvalid(f"expected a literal, found {value[:40]!r}")
