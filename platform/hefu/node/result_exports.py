"""A result as lists and files: exceptions by page, CSV of every row, working paper 检查底稿 (Excel).

Texts that a spreadsheet would compute get an apostrophe in front (OWASP, CSV injection), whoever wrote them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font

from hefu.components.reconcile import ReconcileResult, Status
from hefu.domain.businessdays import SHANGHAI
from hefu.node.console_models import (
    AlarmView,
    DeliveryView,
    ExceptionPage,
    ExceptionRow,
    LedgerEntryView,
    ResultView,
)
from hefu.node.results import OpenedResult

ROWS_PER_SHEET = 1_000_000
_CHUNK = 50_000
_ROW_BITS = np.int64(
    (1 << 32) - 1
)  # the counterpart of a row in transit carries its file's number above these bits
_STATUS_ZH = {
    Status.MATCH: "一致",
    Status.AMOUNT_MISMATCH: "金额不一致",
    Status.MISSING_AT_BANK: "银行无对应流水",
    Status.MISSING_AT_INSTITUTION: "资金无业务 疑似账外",
    Status.TOKEN_CONFLICT: "标记冲突",
}
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def exceptions(
    opened: OpenedResult, *, status: str | None, owner: str | None, offset: int, limit: int
) -> ExceptionPage:
    """Rows that are not a match, by owner and row; `offset` and `limit` count rows."""
    table = opened.table
    lines = _exception_lines(table, status, owner)
    return ExceptionPage(
        total=len(lines), rows=[_exception(table, int(line)) for line in lines[offset : offset + limit]]
    )


def csv_chunks(opened: OpenedResult) -> Iterator[bytes]:
    """`owner,row,status` of every row; the owner is `institution` or `bank` where there is one of each, else its id."""
    table, sides = opened.table, opened.sides
    plain = sorted(sides.values()) == ["bank", "institution"]
    names = [sides[owner] if plain else spreadsheet_safe(owner) for owner in table.owners]
    labels = [status.label for status in Status]
    yield b"owner,row,status\n"
    for start in range(0, len(table.row), _CHUNK):
        part = slice(start, start + _CHUNK)
        triples = zip(
            table.owner[part].tolist(), table.row[part].tolist(), table.status[part].tolist(), strict=True
        )
        yield "".join(f"{names[o]},{r},{labels[s]}\n" for o, r, s in triples).encode()


def working_paper(
    view: ResultView,
    opened: OpenedResult,
    deliveries: Sequence[DeliveryView],
    alarms: Sequence[AlarmView],
    entries: Sequence[LedgerEntryView],
    title: str,
) -> bytes:
    """The Excel file: summary, deliveries, exceptions, alarms, references into the evidence ledger."""
    book = Workbook(write_only=True)
    _sheet(book, "摘要 Summary", ("项目 Item", "值 Value"), _summary_rows(view, opened, title))
    columns = (
        "机构 Owner",
        "数据集 Data set",
        "业务日期 Day",
        "状态 State",
        "行数 Rows",
        "拒收 Rejected",
        "到达 Arrived",
    )
    _sheet(
        book,
        "报送情况 Deliveries",
        columns,
        (
            (d.owner, d.data_set_id, d.business_date, d.state, d.rows, d.rejected, _local(d.arrived_at))
            for d in deliveries
        ),
    )
    lines = _exception_lines(opened.table, None, None)
    columns = (
        "机构 Owner",
        "行号 Row",
        "状态 Status",
        "说明",
        "对方 Counterpart",
        "对方行号 Its row",
        "差额(元) Difference (CNY)",
    )
    for number, start in enumerate(range(0, max(len(lines), 1), ROWS_PER_SHEET), start=1):
        part = lines[start : start + ROWS_PER_SHEET]
        name = "异常清单 Exceptions" if number == 1 else f"异常清单 Exceptions {number}"
        _sheet(book, name, columns, (_exception_cells(opened.table, int(line)) for line in part))
    _sheet(
        book,
        "预警 Alarms",
        ("规则 Rule", "说明 Message", "机构 Party", "提出 Raised", "确认人 Acknowledged by", "意见 Note"),
        ((a.rule, a.message_zh, a.party, _local(a.raised_at), a.acknowledged_by, a.note) for a in alarms),
    )
    _sheet(
        book,
        "存证 Evidence",
        (
            "序号 Seq",
            "类型 Kind",
            "签署方 Actor",
            "阶段 Stage",
            "入账时间 Logged",
            "信封 Envelope",
            "叶哈希 Leaf hash",
        ),
        ((e.seq, e.kind, e.actor, e.stage, _local(e.logged_at), e.envelope_id, e.leaf_hash) for e in entries),
    )
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def spreadsheet_safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula, without characters that a sheet cannot hold."""
    cleaned = _ILLEGAL.sub("", text)[:32_000]
    return (
        "'" + cleaned
        if cleaned[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
        else cleaned
    )


def _exception_lines(table: ReconcileResult, status: str | None, owner: str | None) -> NDArray[np.int64]:
    chosen = table.status != Status.MATCH
    if status is not None:
        wanted = [s for s in Status if s.label == status]
        chosen &= table.status == wanted[0] if wanted else False
    if owner is not None:
        chosen &= np.isin(table.owner, [i for i, name in enumerate(table.owners) if name == owner])
    return np.flatnonzero(chosen)


def _exception(table: ReconcileResult, line: int) -> ExceptionRow:
    partner = int(table.partner_owner[line])
    mismatch = int(table.status[line]) == Status.AMOUNT_MISMATCH
    return ExceptionRow(
        owner=table.owners[int(table.owner[line])],
        row=int(table.row[line]),
        status=Status(int(table.status[line])).label,
        counterpart=table.owners[partner] if partner >= 0 else "",
        counterpart_row=int(table.partner_row[line] & _ROW_BITS) if partner >= 0 else None,
        difference_cents=int(table.difference_cents[line])
        if mismatch and table.difference_revealed
        else None,
    )


def _exception_cells(table: ReconcileResult, line: int) -> tuple[Any, ...]:
    row = _exception(table, line)
    status = Status(int(table.status[line]))
    return (
        row.owner,
        row.row,
        row.status,
        _STATUS_ZH[status],
        row.counterpart,
        row.counterpart_row,
        None if row.difference_cents is None else _yuan(row.difference_cents),
    )


def _summary_rows(view: ResultView, opened: OpenedResult, title: str) -> Iterator[tuple[Any, ...]]:
    found = view.summary
    yield ("合约 Contract", f"{found.contract_id} {title}")
    yield ("业务日期 Business date", found.business_date)
    yield ("任务 Job", found.job_id)
    yield ("版本 Revision", found.revision)
    yield ("是否现行 Stands", "是 yes" if found.stands else "否 no")
    yield ("启封 Opened", f"{_local(found.opened_at)} {found.opened_by}")
    yield ("一致笔数 Matched pairs", found.matched)
    yield ("金额不一致 Amount mismatches", found.mismatched)
    yield ("银行无对应 Missing at bank", found.missing_at_bank)
    yield ("疑似账外 Missing at institution", found.missing_at_institution)
    yield ("标记冲突 Conflicts", found.conflicts)
    difference = "未披露 not revealed" if found.difference_cents is None else _yuan(found.difference_cents)
    yield ("差额合计(元) Total difference (CNY)", difference)
    for side in view.sides:
        counts = f"{side.rows} 行, 一致 {side.match}, 不一致 {side.amount_mismatch}, 无对应 {side.missing}, 冲突 {side.conflict}"
        yield (f"{side.owner} ({side.side})", counts)
    before = view.changed_from
    if before is not None:
        yield ("更正前版本 Replaces revision", f"{before.revision} ({before.job_id})")
        yield (
            "更正前 Before",
            f"一致 {before.matched}, 不一致 {before.mismatched}, 无对应 {before.missing_at_bank}/{before.missing_at_institution}",
        )


def _sheet(book: Workbook, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    sheet = book.create_sheet(name[:31])
    sheet.freeze_panes = "A2"
    for number, column in enumerate(columns):
        sheet.column_dimensions[chr(ord("A") + number)].width = max(14, len(column) + 8)
    bold = []
    for column in columns:
        cell = WriteOnlyCell(sheet, value=column)
        cell.font = Font(bold=True)
        bold.append(cell)
    sheet.append(bold)
    for row in rows:
        sheet.append([spreadsheet_safe(value) if isinstance(value, str) else value for value in row])


def _local(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def _yuan(cents: int) -> str:
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"
