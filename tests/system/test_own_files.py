"""`hefu demo --once` on a user's own files: what the regulator sees equals a plain join; what cannot be read is named."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hefu.domain.businessdays import business_date
from hefu.local.sample import HEADER

pytestmark = [pytest.mark.server, pytest.mark.slow]

PERSON = "990000199001010017"
Line = tuple[str, str, str, str, str]


@pytest.fixture(scope="module")
def state(scratch: Path) -> Path:
    """One state folder for this module: the second run resumes what the first one made."""
    return scratch / "own-files"


def test_the_result_equals_a_plain_join_over_two_days_of_real_world_shapes(
    state: Path, tmp_path: Path
) -> None:
    today = business_date(datetime.now(UTC))
    one, two = (today - timedelta(days=n) for n in (3, 2))
    institution = [
        ("0000123", "LOAN", "100.00", PERSON, f"{one}T09:00:00"),
        ("０００４５６", "LOAN", "200.5", PERSON, f"{one}T09:00:00"),  # full-width digits, one decimal
        ("DUP-1", "REPAY", "10.00", PERSON, f"{one}T10:00:00"),
        ("DUP-1", "REPAY", "-10.00", PERSON, f"{one}T10:05:00"),  # a reversal under the same serial
        ("DUP-1", "REPAY", "10.00", PERSON, f"{one}T10:06:00"),
        (" R-1 ", "REFUND", "-5.55", PERSON, f"{one}T11:00:00"),
        ("123", "LOAN", "1.00", PERSON, f"{one}T12:00:00"),  # not 0000123: leading zeros count
        ("EARLY", "LOAN", "7.30", PERSON, f"{two}T07:30:00"),
        ("LATE", "LOAN", "8.80", PERSON, f"{two}T23:59:59"),
        ("0000123", "LOAN", "99.00", PERSON, f"{two}T09:00:00"),  # the same serial on another day
    ]
    bank = [
        ("LATE", "LOAN", "8.80", PERSON, f"{two}T15:59:59Z"),
        ("EARLY", "LOAN", "7.31", PERSON, f"{two - timedelta(days=1)}T23:30:00Z"),
        ("0000123", "LOAN", "１００．００", PERSON, f"{one}T09:00:01+08:00"),
        ("000456", "LOAN", "200.50", PERSON, f"{one}T09:00:01"),
        ("DUP-1", "REPAY", "-10.00", PERSON, f"{one}T10:05:00"),
        ("DUP-1", "REPAY", "10.00", PERSON, f"{one}T10:00:00"),
        ("R-1", "REFUND", "-5.55", PERSON, f"{one}T11:00:00"),
        ("ONLY-BANK", "LOAN", "3.00", PERSON, f"{two}T12:00:00"),
    ]
    out = tmp_path / "result.csv"
    answer = _demo(state, _write(tmp_path / "A.csv", institution), _write(tmp_path / "B.csv", bank), out)
    assert answer.returncode == 0, answer.stdout
    told = json.loads(answer.stdout.splitlines()[-1])
    with out.open(encoding="utf-8") as file:
        seen = {(r["owner"], int(r["row"])): r["status"] for r in csv.DictReader(file)}
    expected = _joined(institution, bank)
    assert seen == expected
    assert len(set(seen.values())) == 4
    assert (told["rows_institution"], told["rows_bank"]) == (len(institution), len(bank))
    assert told["matched"] == sum(s == "match" for (o, _), s in expected.items() if o == "bank")
    assert told["missing_at_institution"] == 1
    assert told["ledger_verified"] is True


def test_rejected_rows_end_the_run_naming_file_line_and_reason(state: Path, tmp_path: Path) -> None:
    day = business_date(datetime.now(UTC)) - timedelta(days=5)
    good = [("S-1", "LOAN", "1.00", PERSON, f"{day}T09:00:00")]
    bad = [*good, ("6.22E+17", "LOAN", "1.00", PERSON, f"{day}T09:00:00")]
    out = tmp_path / "result.csv"
    answer = _demo(state, _write(tmp_path / "A.csv", good), _write(tmp_path / "spoilt.csv", bad), out)
    assert answer.returncode != 0
    said = " ".join(answer.stdout.split())
    assert "spoilt.csv" in said
    assert "2" in said.split("spoilt.csv", 1)[1][:80]
    assert "scientific notation" in said
    assert not out.exists()


def test_a_file_that_cannot_be_read_ends_the_run_naming_it(state: Path, tmp_path: Path) -> None:
    day = business_date(datetime.now(UTC)) - timedelta(days=6)
    good = _write(tmp_path / "A.csv", [("S-1", "LOAN", "1.00", PERSON, f"{day}T09:00:00")])
    headless = tmp_path / "headless.csv"
    headless.write_text("流水号,金额\n1,2\n", encoding="utf-8")
    answer = _demo(state, good, headless, tmp_path / "result.csv")
    assert answer.returncode != 0
    assert "headless.csv" in answer.stdout
    assert "serial" in answer.stdout  # which column is wanted


def _joined(institution: list[Line], bank: list[Line]) -> dict[tuple[str, int], str]:
    """A plain join by day and serial; equal keys pair by increasing amount."""
    sides: dict[str, dict[tuple[str, str], list[tuple[Decimal, int]]]] = {}
    for owner, lines in (("institution", institution), ("bank", bank)):
        sides[owner] = defaultdict(list)
        for row, (serial, _, amount, _, at) in enumerate(lines, start=1):
            key = (_local_day(at), _plain(serial))
            sides[owner][key].append((Decimal(_plain(amount)), row))
    found: dict[tuple[str, int], str] = {}
    for key in sides["institution"].keys() | sides["bank"].keys():
        ours, theirs = (sorted(sides[o].get(key, [])) for o in ("institution", "bank"))
        for (a, i), (b, j) in zip(ours, theirs, strict=False):
            found[("institution", i)] = found[("bank", j)] = "match" if a == b else "amount_mismatch"
        paired = min(len(ours), len(theirs))
        found |= {("institution", i): "missing_at_bank" for _, i in ours[paired:]}
        found |= {("bank", j): "missing_at_institution" for _, j in theirs[paired:]}
    return found


def _plain(text: str) -> str:
    return text.strip().translate(str.maketrans("０１２３４５６７８９．－", "0123456789.-"))


def _local_day(at: str) -> str:
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC) + timedelta(hours=8)
    return moment.date().isoformat()


def _write(path: Path, lines: list[Line]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *lines])
    return path


def _demo(state: Path, institution: Path, bank: Path, out: Path) -> subprocess.CompletedProcess[str]:
    files = ["--institution", str(institution), "--bank", str(bank), "--out", str(out)]
    return subprocess.run(
        [sys.executable, "-m", "hefu.cli", "demo", "--once", "--dir", str(state), *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
