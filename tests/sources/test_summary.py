"""The arrival board's figures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date
from pathlib import Path

from hefu.domain.dataset import DataSet
from hefu.node.sources.canonical import ControlTotals
from hefu.node.sources.summary import day_summary, fingerprint, summarise


def test_totals_by_day(
    write: Callable[..., Path], make_data_set: Callable[..., DataSet], tmp_path: Path
) -> None:
    lines = [
        "1,loan,10.00,,2026-10-01",
        "2,loan,-2.50,110105194912310021,2026-09-30T16:00:00Z",
        "3,loan,1.005,,2026-10-01",
        "4,loan,7,,2026-10-03",
        "5,loan,7,,",
    ]
    found = summarise(write(lines), make_data_set(), work_dir=tmp_path)
    assert found.days == {
        date(2026, 10, 1): ControlTotals(rows=2, amount_cents=750, rejected=1, transit=0, flagged=1),
        date(2026, 10, 3): ControlTotals(rows=1, amount_cents=700, rejected=0, transit=0),
    }
    assert found.undated == 1
    assert [(r.line, r.reason_code) for r in found.rejects] == [(3, "amount_format"), (5, "missing_value")]
    assert day_summary(write(lines), make_data_set()) == found.days
    assert day_summary(write([]), make_data_set()) == {}


def test_own_column_names(write: Callable[..., Path], make_data_set: Callable[..., DataSet]) -> None:
    data_set = make_data_set({"发生额": "money", "余额": "money", "记账日": "date"}, date_field="记账日")
    path = write(["1.00,5.00,2026-10-01"], "发生额,余额,记账日")
    assert day_summary(path, data_set, {"amount": "发生额"})[date(2026, 10, 1)].amount_cents == 100


def test_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc" * 1_000_000)
    assert fingerprint(path) == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
