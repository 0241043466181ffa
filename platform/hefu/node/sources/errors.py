"""Errors of a node's data sources. Messages name files, columns and rows, never values.

SourceError
├─ FileUnreadable      not a file of a known kind, or damaged
│  └─ EncodingUnknown  neither UTF-8 nor GB18030
├─ HeaderMismatch      a column of the data set is missing in the file, or stands there twice
├─ QueryFailed         PostgreSQL refused the query, or was not reached
├─ AmountOverflow      the amounts of one key add up beyond 2^62 cents
├─ MappingMissing      the contract's parameters do not say which column or institution is meant
└─ FieldAbsent         the contract names a field that the data set does not have
"""

from __future__ import annotations


class SourceError(Exception):
    """Something about a node's own data, told in Chinese and English."""

    def __init__(self, message_zh: str, message_en: str) -> None:
        super().__init__(f"{message_zh} / {message_en}")
        self.message_zh, self.message_en = message_zh, message_en


class FileUnreadable(SourceError):
    """Not a file of a known kind, or damaged."""


class EncodingUnknown(FileUnreadable):
    """Neither UTF-8 nor GB18030."""

    def __init__(self, file: str, offset: int) -> None:
        super().__init__(
            f"文件 {file} 既不是 UTF-8 也不是 GB18030 编码（第 {offset} 字节）",
            f"file {file} is neither UTF-8 nor GB18030 (at byte {offset})",
        )
        self.file, self.offset = file, offset


class HeaderMismatch(SourceError):
    """A column of the data set is missing in the file, or stands there twice."""

    def __init__(self, file: str, column: str, *, twice: bool = False) -> None:
        super().__init__(
            f"文件 {file} {'重复出现列' if twice else '缺少列'}“{column}”",
            f"file {file}: column {column!r} {'stands twice' if twice else 'is missing'}",
        )
        self.file, self.column, self.twice = file, column, twice


class QueryFailed(SourceError):
    """PostgreSQL refused the query, or was not reached."""


class AmountOverflow(SourceError):
    """The amounts of one key add up beyond 2^62 cents."""


class MappingMissing(SourceError):
    """The contract's parameters do not say which column or institution is meant."""


class FieldAbsent(SourceError):
    """The contract names a field that the data set does not have."""

    def __init__(self, data_set: str, field: str) -> None:
        super().__init__(
            f"合约字段“{field}”不在数据集“{data_set}”中",
            f"data set {data_set!r} has no field {field!r}, which the contract names",
        )
        self.field = field
