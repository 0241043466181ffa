"""Strict readings of the small text forms that the formats share: base64, hex digests, decimals, times.

Each text has exactly one accepted spelling, so that nothing can be altered without altering a digest.
"""

import base64
import binascii
import re
from datetime import UTC, datetime

from hefu_ledger.errors import LedgerError

MAX_SIZE = 2**63 - 1

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
# Hours to 23: newer Pythons read 24:00 as the next day, older ones do not, and both must verify one log alike.
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3]):\d{2}:\d{2}\.\d{6}Z", re.ASCII)


def b64encode(data: bytes) -> str:
    """RFC 4648 section 4, padded."""
    return base64.b64encode(data).decode("ascii")


def b64decode(text: object, error: type[LedgerError]) -> bytes:
    """The bytes of a base64 text in its only spelling; raises `error` otherwise."""
    if not isinstance(text, str):
        raise error("base64 text expected")
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as cause:
        raise error("not base64") from cause
    if b64encode(data) != text:
        raise error("base64 in another spelling than the canonical one")
    return data


def is_digest(text: object) -> bool:
    """True for 64 lower-case hexadecimal digits."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def read_decimal(text: str, error: type[LedgerError]) -> int:
    """A decimal of at most 2^63 - 1 without sign, spaces or leading zeroes; raises `error` otherwise."""
    if _DECIMAL.fullmatch(text) is None or int(text) > MAX_SIZE:
        raise error(f"not a decimal below 2^63: {text[:40]!r}")
    return int(text)


def is_time(text: object) -> bool:
    """True for an existing time in the form 2026-01-31T09:30:00.000000Z."""
    if not isinstance(text, str) or _TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def format_time(moment: datetime) -> str:
    """An aware time as RFC 3339 in UTC with microseconds; the text sorts as the time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
