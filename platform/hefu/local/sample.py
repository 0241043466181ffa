"""The demo's data: business records of institutions, fund flows of banks, and what a reconciliation must find in them.

Nothing here is anybody's: ID numbers and credit codes have valid check characters but a region (99) that does not exist.
One day carries fraud-like mismatches (many, round amounts, few parties), one day's bank files arrive late. The randomness
is that of a reproducible sample; it protects nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hefu.domain.identity import uscc_check_character

HEADER = ("serial", "type", "amount", "party_id", "occurred_at")
STATUSES = ("match", "amount_mismatch", "missing_at_bank", "missing_at_institution")
TYPES = ("LOAN", "REPAY", "INTEREST", "FEE", "REFUND")
BANK_TYPE_CODES = {"4101": "LOAN", "4102": "REPAY", "4103": "INTEREST", "4104": "FEE", "4105": "REFUND"}
"""A bank's own type codes, written when `bank_types` is set: the contract's `type_codes` for it."""

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True, slots=True)
class DayTruth:
    """What a day's files hold.

    files   owner -> its file; a late one lies in the folder `late`
    late    owners whose file is late
    fraud   the day with planted fraud-like mismatches
    status  owner -> (n,) int8, an index into STATUSES for data row i + 1
    """

    day: date
    files: Mapping[str, Path]
    late: frozenset[str]
    fraud: bool
    status: Mapping[str, NDArray[np.int8]]
    institutions: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """`matched` and `mismatched` pairs, rows `missing_at_bank` (of institutions), rows `missing_at_institution` (of banks)."""
        ours = np.concatenate([self.status[owner] for owner in self.institutions])
        theirs = np.concatenate([s for owner, s in self.status.items() if owner not in self.institutions])
        return {
            "matched": int((ours == 0).sum()),
            "mismatched": int((ours == 1).sum()),
            "missing_at_bank": int((ours == 2).sum()),
            "missing_at_institution": int((theirs == 3).sum()),
        }

    def expected(self, owner: str, row: int) -> str:
        """The status of an owner's data row (1-based)."""
        return STATUSES[self.status[owner][row - 1]]


@dataclass(frozen=True, slots=True)
class SampleTruth:
    """All days of a sample, in order."""

    days: tuple[DayTruth, ...]

    def day(self, day: date) -> DayTruth:
        """One day's truth. Raises KeyError when the sample has no such day."""
        for truth in self.days:
            if truth.day == day:
                return truth
        raise KeyError(day)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Transactions of one day, seen from both sides; each array is (n,)."""

    institution: NDArray[np.int64]
    bank: NDArray[np.int64]
    serial: NDArray[np.int64]
    kind: NDArray[np.int64]
    party: NDArray[np.int64]
    cents: NDArray[np.int64]
    bank_cents: NDArray[np.int64]
    second: NDArray[np.int64]
    status: NDArray[np.int8]


def write_samples(
    directory: Path,
    *,
    rows: int,
    days: Sequence[date],
    seed: int,
    institutions: Sequence[str] = ("institution",),
    banks: Sequence[str] = ("bank",),
    fraud_day: date | None = None,
    late_day: date | None = None,
    bank_types: bool = False,
) -> SampleTruth:
    """Write `<owner>/<day>.csv` for every owner and day, `late/<bank>/<day>.csv` where a bank is late.

    rows        rows of each institution on each day; with one institution and one bank also the bank's. At least 10
    fraud_day   the second day when not given; late_day: the third. A sample of fewer days has none
    bank_types  banks write their own codes (BANK_TYPE_CODES)
    returns     the status of every row, for match keys that hold `serial` (of any others besides)
    """
    fraud_day = fraud_day or (days[1] if len(days) > 1 else None)
    late_day = late_day or (days[2] if len(days) > 2 else None)
    rng = np.random.default_rng(seed)
    parties = _parties(rng, max(10, min(rows // 5, 20_000)))
    truths = []
    for day in days:
        pairs = _draw(rng, rows, len(institutions), len(banks), len(parties), fraud=day == fraud_day)
        files: dict[str, Path] = {}
        status: dict[str, NDArray[np.int8]] = {}
        for side, owners, present in ((0, institutions, pairs.status != 3), (1, banks, pairs.status != 2)):
            belongs = pairs.bank if side else pairs.institution
            late = bool(side) and day == late_day
            for number, owner in enumerate(owners):
                chosen = rng.permutation(np.flatnonzero(present & (belongs == number)))
                files[owner] = directory / ("late" if late else "") / owner / f"{day}.csv"
                status[owner] = pairs.status[chosen]
                named = institutions if side and len(institutions) > 1 else None
                _write(files[owner], rng, pairs, chosen, day, parties, bool(side), bank_types, named)
        late_owners = frozenset(banks) if day == late_day else frozenset()
        truths.append(DayTruth(day, files, late_owners, day == fraud_day, status, tuple(institutions)))
    return SampleTruth(tuple(truths))


def id_number(first17: str) -> str:
    """An 18-character ID number from its first 17 digits (check character ISO 7064 MOD 11-2)."""
    return first17 + "10X98765432"[sum(int(c) * w for c, w in zip(first17, _ID_WEIGHTS, strict=True)) % 11]


def _parties(rng: np.random.Generator, n: int) -> list[str]:
    """Nine persons for every organisation."""
    births = (date(1950, 1, 1) + timedelta(days=d) for d in rng.integers(0, 20_000, n).tolist())
    tails = rng.integers(0, 10**6, n).tolist()
    return [
        _credit_code(tail)
        if i % 10 == 9
        else id_number(f"99{tail % 100:02d}{tail // 100 % 100:02d}{birth:%Y%m%d}{tail % 1000:03d}")
        for i, (birth, tail) in enumerate(zip(births, tails, strict=True))
    ]


def _credit_code(tail: int) -> str:
    first17 = f"91990000{tail:06d}MA3"
    return first17 + uscc_check_character(first17)


def _draw(
    rng: np.random.Generator, rows: int, institutions: int, banks: int, parties: int, *, fraud: bool
) -> _Pairs:
    """A day's transactions: `rows` for each institution, and as many more that only a bank has as only it has not."""
    missing = max(1, rows // 1000) * (3 if fraud else 1)
    mismatched = max(1, rows // (25 if fraud else 1000))
    missing, mismatched = min(missing, rows // 4), min(mismatched, rows // 4)
    each = rows + missing
    n = each * institutions
    status = np.zeros(n, np.int8)
    serial = rng.permutation(n).astype(np.int64)
    kind = rng.choice(len(TYPES), n, p=(0.3, 0.4, 0.15, 0.1, 0.05))
    party = rng.integers(0, parties, n)
    bank = rng.integers(0, banks, n)
    cents = np.maximum(1, np.round(np.exp(rng.normal(11.5, 1.6, n)))).astype(np.int64)
    cents[kind == TYPES.index("REFUND")] *= -1
    for start in range(0, n, each):
        one = slice(start, start + each)
        plan = np.zeros(each, np.int8)
        plan[:mismatched], plan[mismatched : mismatched + missing] = 1, 2
        plan[rows:] = 3
        status[one] = plan
    # Duplicates of a serial, half of them reversals; the order by amount is the same on both sides, so all of them match.
    plain = np.flatnonzero(status == 0)[: 2 * max(1, rows // 200)]
    first, second = plain[0 : len(plain) // 2 * 2 : 2], plain[1::2]
    same = (np.arange(n) // each)[first] == (np.arange(n) // each)[second]
    first, second = first[same], second[same]
    for column in (serial, kind, party, bank):
        column[second] = column[first]
    reversal = rng.random(len(first)) < 0.5
    cents[second] = np.where(reversal, -cents[first], cents[first] + rng.integers(1, 10_000, len(first)))
    wrong = np.flatnonzero(status == 1)
    if fraud:
        unclean = np.flatnonzero(status != 0)
        party[unclean] = rng.integers(0, min(5, parties), len(unclean))
        cents[unclean] = rng.integers(1, 50, len(unclean)) * 1_000_000
        kind[unclean] = TYPES.index("LOAN")
    bank_cents = cents.copy()
    shift = rng.integers(1, 20, len(wrong)) * 1_000_000 if fraud else rng.integers(1, 100_000, len(wrong))
    bank_cents[wrong] += shift
    return _Pairs(
        np.arange(n) // each, bank, serial, kind, party, cents, bank_cents, rng.integers(0, 86_400, n), status
    )


def _write(
    path: Path,
    rng: np.random.Generator,
    pairs: _Pairs,
    chosen: NDArray[np.int64],
    day: date,
    parties: Sequence[str],
    is_bank: bool,
    bank_types: bool,
    named: Sequence[str] | None,
) -> None:
    """One owner's file, in the shapes that real files have; `named` adds a bank's column `institution`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    types = tuple(BANK_TYPE_CODES) if is_bank and bank_types else TYPES
    odd = np.where(rng.random(len(chosen)) < 0.02, rng.integers(1, 9, len(chosen)), 0)
    picked = pa.table(
        {
            "odd": odd,
            "number": pairs.serial[chosen],
            "business": pa.array(types).take(pa.array(pairs.kind[chosen])),
            "cents": (pairs.bank_cents if is_bank else pairs.cents)[chosen],
            "who": pa.array(parties).take(pa.array(pairs.party[chosen])),
            "second": pairs.second[chosen],
            "institution": pa.array(named or [""]).take(pa.array(pairs.institution[chosen] * bool(named))),
        }
    )
    with duckdb.connect(":memory:") as connection:
        connection.register("picked", picked)
        query = _SHAPES.format(day=day, stem=f"00{day:%y%m%d}", offset="+08:00" if is_bank else "")
        columns = ", ".join(HEADER if named is None else (*HEADER, "institution"))
        target = str(path).replace("'", "''")
        connection.execute(f"COPY (SELECT {columns} FROM ({query})) TO '{target}' (FORMAT csv, HEADER)")  # noqa: S608


# The same values as people and programs write them: full-width digits, spaces, commas, signs, other offsets, dates alone.
_SHAPES = """
SELECT
    CASE odd WHEN 1 THEN translate(number, '0123456789', '０１２３４５６７８９') WHEN 2 THEN ' ' || number || ' ' ELSE number END AS serial,
    CASE odd WHEN 8 THEN lower(business) ELSE business END AS type,
    CASE odd
        WHEN 3 THEN sign || format('{{:,}}', abs(cents) // 100) || fraction
        WHEN 4 THEN '¥' || sign || whole || fraction
        WHEN 5 THEN translate(sign || whole || fraction, '0123456789.-', '０１２３４５６７８９．－')
        ELSE sign || whole || fraction END AS amount,
    CASE odd WHEN 2 THEN left(who, 6) || ' ' || substr(who, 7) WHEN 8 THEN lower(who) ELSE who END AS party_id,
    CASE odd
        WHEN 6 THEN strftime(moment - INTERVAL 8 HOUR, '%Y-%m-%d %H:%M:%SZ')
        WHEN 7 THEN '{day}'
        ELSE strftime(moment, '%Y-%m-%dT%H:%M:%S{offset}') END AS occurred_at,
    institution
FROM (
    SELECT * REPLACE ('{stem}' || lpad(CAST(number AS VARCHAR), 9, '0') AS number),
        CASE WHEN cents < 0 THEN '-' ELSE '' END AS sign,
        CAST(abs(cents) // 100 AS VARCHAR) AS whole,
        '.' || lpad(CAST(abs(cents) % 100 AS VARCHAR), 2, '0') AS fraction,
        TIMESTAMP '{day} 00:00:00' + to_seconds(second) AS moment
    FROM picked
)
"""
