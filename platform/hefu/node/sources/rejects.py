"""Rows that cannot be read: where and why, never the value."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

REASONS: dict[str, tuple[str, str]] = {
    "missing_value": ("必填值为空", "a required value is empty"),
    "amount_format": ("金额无法识别（元，最多两位小数）", "not an amount in yuan with up to two decimals"),
    "amount_out_of_range": ("金额超出范围", "the amount is out of range"),
    "scientific_notation": (
        "数字被电子表格转换为科学计数法，原值已丢失",
        "a spreadsheet turned the number into scientific notation; the original is lost",
    ),
    "date_format": ("日期时间无法识别（ISO 8601）", "not an ISO 8601 date or time"),
    "party_checksum": (
        "证件号码或机构代码校验位不符",
        "the check character of the ID number or organisation code is wrong",
    ),
    "party_format": ("不是身份证号码或机构代码", "neither an ID number nor an organisation code"),
    "institution_unknown": ("所属机构不在本作业之内", "the institution is not part of this job"),
    "type_unknown": ("业务类型不在合约的类型对照表中", "the type is not in the contract's table of types"),
    "too_many_columns": (
        "列数多于表头（金额中的千分位逗号须加引号）",
        "more columns than the header (commas inside amounts need quotes)",
    ),
    "category_unknown": ("类别不在合约的类别列表中", "the category is not in the contract's list"),
}
REASON_CODES = tuple(REASONS)
REASON_NUMBER = {code: number for number, code in enumerate(REASON_CODES, start=1)}
"""A reason's number in SQL; 0 means nothing is wrong."""


@dataclass(frozen=True, slots=True)
class Reject:
    """One thing wrong with one row. `line` is the 1-based data row: the header is not counted."""

    file: str
    line: int
    field: str
    reason_code: str

    @property
    def reason_zh(self) -> str:
        """The reason in Chinese."""
        return REASONS[self.reason_code][0]

    @property
    def reason_en(self) -> str:
        """The reason in English."""
        return REASONS[self.reason_code][1]


class Rejects(Sequence[Reject]):
    """Everything wrong with a file, by row; three numbers for each, so that a wholly bad file fits into memory too.

    line    (n,) uint64, ascending
    field   (n,) uint8, an index into `fields`
    reason  (n,) uint8, a reason's number
    """

    def __init__(
        self,
        file: str,
        fields: Sequence[str],
        line: NDArray[np.uint64],
        field: NDArray[np.uint8],
        reason: NDArray[np.uint8],
    ) -> None:
        self.file, self.fields = file, tuple(fields)
        self._line, self._field, self._reason = line, field, reason

    def __len__(self) -> int:
        return len(self._line)

    @overload
    def __getitem__(self, index: int) -> Reject: ...
    @overload
    def __getitem__(self, index: slice) -> Rejects: ...
    def __getitem__(self, index: int | slice) -> Reject | Rejects:
        if isinstance(index, slice):
            return Rejects(self.file, self.fields, self._line[index], self._field[index], self._reason[index])
        return Reject(
            self.file,
            int(self._line[index]),
            self.fields[int(self._field[index])],
            REASON_CODES[int(self._reason[index]) - 1],
        )

    def __iter__(self) -> Iterator[Reject]:
        return (self[i] for i in range(len(self)))

    def counts(self) -> dict[str, int]:
        """How often each reason was found."""
        numbers, found = np.unique(self._reason, return_counts=True)
        return {REASON_CODES[int(n) - 1]: int(c) for n, c in zip(numbers, found, strict=True)}


def write_rejects(path: Path, rejects: Sequence[Reject]) -> None:
    """Write a CSV for download: UTF-8 with a byte order mark, which spreadsheets expect. Holds no values."""
    with path.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("file", "row", "field", "reason_code", "reason_zh", "reason_en"))
        for reject in rejects:
            names = (_no_formula(reject.file), reject.line, _no_formula(reject.field))
            writer.writerow((*names, reject.reason_code, reject.reason_zh, reject.reason_en))


def _no_formula(name: str) -> str:
    """Names of files and columns come from outside: a spreadsheet must not run one that begins like a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name
