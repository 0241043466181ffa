"""The sample's truth against a plain join of what the nodes would share; and a million rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hefu.components.reconcile import OwnerRows
from hefu.domain.dataset import DataSet
from hefu.local.sample import BANK_TYPE_CODES, STATUSES, DayTruth, write_samples
from hefu.node.sources.canonical import PreparedRows

Prepare = Callable[..., PreparedRows]
DAYS = [date(2026, 9, 30), date(2026, 10, 1), date(2026, 10, 3)]


def join(sides: list[OwnerRows]) -> dict[tuple[str, int], str]:
    """(owner, row) -> status, by dictionary."""
    index: dict[tuple[int, bytes, int], list[tuple[OwnerRows, int]]] = {}
    for rows in sides:
        for i in range(len(rows)):
            key = rows.key_data[rows.key_offsets[i] : rows.key_offsets[i + 1]].tobytes()
            index.setdefault((int(rows.institution[i]), key, int(rows.occurrence[i])), []).append((rows, i))
    found = {}
    for met in index.values():
        assert len(met) <= 2
        equal = len({int(rows.amount_cents[i]) for rows, i in met}) == 1
        for rows, i in met:
            lone = STATUSES[2] if rows.side == "institution" else STATUSES[3]
            found[rows.owner, int(rows.row[i])] = lone if len(met) == 1 else STATUSES[0 if equal else 1]
    return found


def expected(truth: DayTruth) -> dict[tuple[str, int], str]:
    return {(o, i + 1): STATUSES[s] for o, codes in truth.status.items() for i, s in enumerate(codes)}


@pytest.mark.parametrize("keys", [("serial",), ("serial", "type", "party", "date")])
@pytest.mark.parametrize("rows", [10, 1000])
def test_one_by_one(tmp_path: Path, prepare: Prepare, keys: tuple[str, ...], rows: int) -> None:
    truth = write_samples(tmp_path, rows=rows, days=DAYS, seed=3, bank_types=True)
    for day in truth.days:
        assert {len(codes) for codes in day.status.values()} == {rows}
        sides = [
            prepare(
                path,
                keys,
                owner=owner,
                side=side,
                business_date=day.day,
                type_codes={"bank": BANK_TYPE_CODES},
            )
            for (owner, path), side in zip(day.files.items(), ("institution", "bank"), strict=True)
        ]
        assert [s.totals.rejected + s.totals.flagged for s in sides] == [0, 0]
        assert join([s.rows for s in sides]) == expected(day)
        assert all(count > 0 for count in day.counts().values())
    assert [d.fraud for d in truth.days] == [False, True, False]
    assert [sorted(d.late) for d in truth.days] == [[], [], ["bank"]]
    assert truth.day(DAYS[2]).files["bank"] == tmp_path / "late" / "bank" / "2026-10-03.csv"
    assert truth.day(DAYS[1]).counts()["mismatched"] >= truth.day(DAYS[0]).counts()["mismatched"]


def test_two_by_two(tmp_path: Path, prepare: Prepare, make_data_set: Callable[..., DataSet]) -> None:
    institutions, banks = ("inst-a", "inst-b"), ("bank-a", "bank-b")
    truth = write_samples(
        tmp_path, rows=300, days=DAYS[:1], seed=5, institutions=institutions, banks=banks
    ).days[0]
    columns = ("serial", "type", "amount", "party_id", "occurred_at", "institution")
    bank = make_data_set(dict.fromkeys(columns, "text") | {"amount": "money", "occurred_at": "datetime"})
    sides = []
    for owner, path in truth.files.items():
        asked = {"side": "bank", "data_set": bank} if owner in banks else {"side": "institution"}
        sides.append(prepare(path, owner=owner, institutions=institutions, business_date=truth.day, **asked))
    assert [s.totals.rejected for s in sides] == [0] * 4
    assert set(sides[2].rows.institution.tolist()) == {0, 1}
    assert join([s.rows for s in sides]) == expected(truth)
    assert truth.expected(banks[0], 1) == expected(truth)[banks[0], 1]


def test_same_seed_same_files(tmp_path: Path) -> None:
    first, second, other = (
        write_samples(tmp_path / str(i), rows=200, days=DAYS[:1], seed=seed)
        .days[0]
        .files["bank"]
        .read_bytes()
        for i, seed in enumerate((1, 1, 2))
    )
    assert first == second != other


# The peak is read from /proc: ru_maxrss of a child begins with that of the process that forked it.
MILLION = """
import json, re, sys, time
from datetime import date
from pathlib import Path
from hefu.components.reconcile import ReconcileParameters
from hefu.domain.dataset import DataSet
from hefu.node.sources.canonical import prepare_rows
path, description = Path(sys.argv[1]), DataSet.model_validate_json(sys.argv[2])
begun = time.process_time()
found = prepare_rows(path, description, ReconcileParameters(match_keys=("serial", "type", "party")), owner="bank", side="bank",
                     batch=1, institutions=["institution"], business_date=date(2026, 9, 30), work_dir=path.parent)
print(json.dumps({"cpu_seconds": time.process_time() - begun, "rows": found.totals.rows, "rejected": found.totals.rejected,
                  "peak_mb": int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024}))
"""


@pytest.mark.slow
def test_a_million_rows(
    tmp_path: Path, make_data_set: Callable[..., DataSet], record_property: Callable[[str, object], None]
) -> None:
    path = write_samples(tmp_path, rows=1_000_000, days=DAYS[:1], seed=1).days[0].files["bank"]
    command = [sys.executable, "-c", MILLION, str(path), make_data_set().model_dump_json()]
    figures = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    record_property("figures", figures)
    assert (figures["rows"], figures["rejected"]) == (1_000_000, 0)
    assert figures["peak_mb"] < 600
