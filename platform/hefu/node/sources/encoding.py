"""Text encodings of files as they arrive: UTF-8 with or without a byte order mark, UTF-16 with one, GB18030.

GB18030 contains GBK and GB2312. A file is UTF-8 when all of it is valid UTF-8; else it must be valid GB18030 to the last
byte. Everything streams: a block at a time, whatever the size of the file.
"""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Literal

from hefu.node.sources.errors import EncodingUnknown

Encoding = Literal["utf-8", "utf-8-sig", "utf-16", "gb18030"]

_BLOCK = 1 << 20


def detect_encoding(path: Path) -> Encoding:
    """Which encoding the whole file is in.

    raises  EncodingUnknown with the byte where GB18030 fails
    """
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if _first_invalid_byte(path, "utf-8") is None:
        return "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else "utf-8"
    offset = _first_invalid_byte(path, "gb18030")
    if offset is None:
        return "gb18030"
    raise EncodingUnknown(path.name, offset)


def transcode(path: Path, encoding: Encoding, target: Path) -> None:
    """Write the file anew as UTF-8 without a byte order mark.

    raises  EncodingUnknown where a byte does not fit
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    done = 0
    with path.open("rb") as source, target.open("wb") as out:
        while True:
            block = source.read(_BLOCK)
            try:
                out.write(decoder.decode(block, final=not block).encode("utf-8"))
            except UnicodeError as error:
                raise EncodingUnknown(path.name, done + getattr(error, "start", 0)) from error
            if not block:
                return
            done += len(block)


def _first_invalid_byte(path: Path, encoding: str) -> int | None:
    decoder = codecs.getincrementaldecoder(encoding)()
    done = 0
    with path.open("rb") as file:
        while True:
            block = file.read(_BLOCK)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return done - pending + error.start
            if not block:
                return None
            done += len(block)
