"""Excel workbooks, first sheet. Cells become the text that Excel itself would show, as far as it can be known.

Excel keeps numbers as 64-bit floats and shows 15 significant digits. A number of 16 and more digits has lost some of them
for good: it is written in scientific notation here, so that the parser rejects its row by number instead of matching a
wrong identifier.
"""

from __future__ import annotations

import csv
from datetime import date, datetime, time, timedelta
from pathlib import Path

from python_calamine import CalamineError, CalamineWorkbook

from hefu.node.sources.errors import FileUnreadable

ROW_COLUMN = "row_number"


def sheet_to_csv(path: Path, target: Path) -> None:
    """Write the first sheet as UTF-8 CSV, each row led by its number (1-based, the header not counted). Blank rows are left out.

    raises  FileUnreadable
    """
    try:
        sheet = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0)
        rows = sheet.iter_rows()
        first = sheet.start[0] if sheet.start else 0
        with target.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            for number, row in enumerate(rows):
                if number < first:
                    continue
                texts = [cell_text(cell) for cell in row]
                if number == first:
                    writer.writerow([ROW_COLUMN, *texts])
                elif any(texts):
                    writer.writerow([number - first, *texts])
    except (CalamineError, OSError, IndexError) as error:
        raise FileUnreadable(
            f"Excel 文件 {path.name} 无法读取", f"the Excel file {path.name} cannot be read"
        ) from error


def cell_text(cell: object) -> str:
    """A cell as text: dates in ISO, numbers with at most 15 significant digits, larger ones in scientific notation."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, int | float):
        return f"{float(cell):.14E}" if abs(cell) >= 1e15 else f"{cell:.15g}"
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    return str(cell)
