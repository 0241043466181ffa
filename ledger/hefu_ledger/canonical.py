"""Canonical JSON: one value, one sequence of bytes.

RFC 8785 (JSON Canonicalization Scheme), narrowed so that no two implementations can differ: no floats at all, integers
of at most 53 bits, ASCII keys, no U+0000 (PostgreSQL's jsonb cannot hold it), at most 64 levels. Text is not
normalised: NFC and NFD of one word are two values.
"""

from typing import Any

import orjson

from hefu_ledger.errors import NotCanonical

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64


def encode(value: Any) -> bytes:
    """The canonical bytes of a value made of dict, list, tuple, str, int, bool and None.

    raises  NotCanonical for floats, NaN, integers beyond 2^53 - 1, lone surrogates, U+0000, keys that are not ASCII
            strings, more than 64 levels, any other type
    """
    _check(value, 0)
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotCanonical(f"not encodable: {error}") from error


def decode(data: bytes) -> Any:
    """The value whose canonical bytes are exactly `data`.

    raises  NotCanonical when `data` is not JSON, or not in the one form that `encode` gives: duplicate keys, spaces,
            floats, escapes that need none, unsorted keys
    """
    try:
        value = orjson.loads(data)
    except (ValueError, TypeError, RecursionError) as error:
        raise NotCanonical(f"not JSON: {error}") from error
    if encode(value) != bytes(data):
        raise NotCanonical("not canonical: the value re-encodes to other bytes")
    return value


def _check(value: Any, depth: int) -> None:
    if value is None or value is True or value is False:
        return
    if isinstance(value, str):
        if "\0" in value:
            raise NotCanonical("U+0000 in a string")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise NotCanonical("a lone surrogate in a string") from error
    elif isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise NotCanonical("an integer beyond 53 bits")
    elif depth == MAX_DEPTH:
        raise NotCanonical(f"more than {MAX_DEPTH} levels, or a {type(value).__name__}")
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str or not key.isascii() or "\0" in key:
                raise NotCanonical(f"a key that is not an ASCII string: {key!r}")
            _check(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth + 1)
    else:
        raise NotCanonical(f"a {type(value).__name__} has no canonical form")
