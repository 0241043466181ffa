"""Scan for direct identifiers in what would leave (K7; white paper A, 3.7): patterns with check digits, one pass each.

Finds resident ID numbers (GB 11643, 18 characters; 15 digits of the first generation), mobile numbers, bank cards (Luhn),
e-mail addresses, unified social credit codes and passports. A pattern scan shows that an identifier is there, never that none is:
names and addresses have no pattern; the allow-list of columns is what keeps them in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date

from hefu.domain.contract import Output
from hefu.domain.identity import uscc_check_character
from hefu.domain.rules.output.columns import allowed_columns
from hefu.domain.rules.output.table import ResultTable
from hefu.domain.rules.say import block
from hefu.domain.verdict import Finding

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_AMOUNTS = ("count", "sum", "mean", "difference", "score")


def is_resident_id(text: str) -> bool:
    """Whether 18 characters are a resident ID number: a date of birth and the check character of GB 11643 (ISO 7064 MOD 11-2)."""
    total = sum(int(c) * w for c, w in zip(text[:17], _WEIGHTS, strict=True))
    return _is_date(text[6:14]) and _CHECK[total % 11] == text[17].upper()


def is_old_resident_id(text: str) -> bool:
    """Whether 15 digits may be a first-generation resident ID number; it has no check digit, only a date."""
    return text[0] in "12345678" and _is_date("19" + text[6:12])


def is_bank_card(text: str) -> bool:
    """Luhn (ISO/IEC 7812)."""
    digits = [int(c) for c in reversed(text)]
    doubled = [d * 2 - 9 if d > 4 else d * 2 for d in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0 and len(set(text)) > 1


def is_social_credit_code(text: str) -> bool:
    """GB 32100 with its check character."""
    try:
        return uscc_check_character(text[:17]) == text[17]
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    try:
        found = date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return False
    return found.year >= 1900


def _always(text: str) -> bool:
    return True


_PATTERNS: tuple[tuple[str, str, re.Pattern[str], Callable[[str], bool]], ...] = (
    (
        "resident_id",
        "居民身份证号",
        re.compile(r"(?<![0-9A-Za-z])[1-8]\d{16}[\dXx](?![0-9A-Za-z])"),
        is_resident_id,
    ),
    (
        "resident_id_15",
        "居民身份证号（15位）",
        re.compile(r"(?<![0-9A-Za-z])\d{15}(?![0-9A-Za-z])"),
        is_old_resident_id,
    ),
    ("mobile", "手机号码", re.compile(r"(?<![0-9A-Za-z])(?:\+?86[- ]?)?1[3-9]\d{9}(?![0-9A-Za-z])"), _always),
    ("bank_card", "银行卡号", re.compile(r"(?<![0-9A-Za-z])[2-6]\d{14,18}(?![0-9A-Za-z])"), is_bank_card),
    (
        "email",
        "电子邮箱",
        re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"),
        _always,
    ),
    (
        "social_credit_code",
        "统一社会信用代码",
        re.compile(r"(?<![0-9A-Za-z])[0-9A-Z]{18}(?![0-9A-Za-z])"),
        is_social_credit_code,
    ),
    (
        "passport",
        "护照号码",
        re.compile(r"(?<![0-9A-Za-z])(?:E[A-HJ-NP-Z]\d{7}|[EGDSP]\d{8})(?![0-9A-Za-z])"),
        _always,
    ),
)


def find_identifiers(text: str) -> dict[str, int]:
    """How many identifiers of each kind stand in a text; kinds with none are left out. Never the identifiers themselves."""
    found = {}
    for kind, _, pattern, is_one in _PATTERNS:
        count = sum(1 for match in pattern.finditer(text) if is_one(match.group()))
        if count:
            found[kind] = count
    return found


def check_identifiers(output: Output, table: ResultTable) -> Iterable[Finding]:
    """Blocks when a direct identifier stands in a cell (text or whole number) or in a column's name; the finding holds counts only.

    Numbers of columns of amounts (count, sum, mean, difference) are not scanned: an amount in cents may look like a number
    of any kind; a text in such a column is scanned.
    """
    amounts = {c.name for c in allowed_columns(output) if c.kind in _AMOUNTS}
    parts = list(table.columns)
    for at, name in enumerate(table.columns):
        values = (row[at] for row in table.rows)
        if name in amounts:
            parts += [str(v) for v in values if v is not None and not isinstance(v, int | float)]
        else:
            parts += [str(v) for v in values if v is not None]
    kinds = {kind: zh for kind, zh, _, _ in _PATTERNS}
    for kind, count in find_identifiers("\n".join(parts)).items():
        yield block(
            f"output_identifier_{kind}",
            "K7",
            f"结果中出现直接标识符：{kinds[kind]}",
            f"direct identifiers stand in the result: {kind}",
            party=output.recipient,
            seen=str(count),
            expected="0",
            mend_zh="以各方约定的令牌代替标识符，或使用隐私集合求交、隐私信息检索",
            mend_en="put agreed tokens in their place, or use PSI or PIR",
            source="WP-A 3.7",
            law=("pipl-6", "pipl-51", "gbt37964"),
        )
