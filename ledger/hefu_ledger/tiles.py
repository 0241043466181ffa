"""Static tiles of a log: hashes by 256, entries by 256.

Source: C2SP tlog-tiles. A directory of these files is a complete copy of the log that anybody can host or check.
"""

from collections.abc import Callable, Iterator

from hefu_ledger.errors import EntryInvalid
from hefu_ledger.merkle import root_of

WIDTH = 256
ENTRIES = "entries"

Write = Callable[[str, bytes], None]


def tile_path(level: int | str, index: int, width: int = WIDTH) -> str:
    """Path of a tile below the log's prefix; partial tiles (width < 256) carry their width."""
    parts = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        parts.insert(0, f"x{index % 1000:03d}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(parts)}{partial}"


def widths(count: int) -> Iterator[tuple[int, int]]:
    """(index, width) of the tiles that `count` hashes or entries fill, the last one perhaps partial."""
    for index in range(count // WIDTH):
        yield index, WIDTH
    if count % WIDTH:
        yield count // WIDTH, count % WIDTH


def pack_entries(bodies: list[bytes]) -> bytes:
    """Entries, each behind its length in two bytes."""
    return b"".join(len(body).to_bytes(2, "big") + body for body in bodies)


def unpack_entries(data: bytes) -> Iterator[bytes]:
    """The entries of a bundle; raises EntryInvalid when it ends within one."""
    place = 0
    while place < len(data):
        end = place + 2 + int.from_bytes(data[place : place + 2], "big")
        if place + 2 > len(data) or end > len(data):
            raise EntryInvalid("a bundle that ends within an entry")
        yield data[place + 2 : end]
        place = end


class TileBuilder:
    """Turns leaf hashes into tiles of every level; each full tile is handed out at once, partial ones by `finish`."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._levels: list[list[bytes]] = [[]]
        self._full: list[int] = [0]

    def add(self, leaf: bytes, level: int = 0) -> None:
        """Add the next hash of a level; callers give leaf hashes."""
        if level == len(self._levels):
            self._levels.append([])
            self._full.append(0)
        hashes = self._levels[level]
        hashes.append(leaf)
        if len(hashes) == WIDTH:
            self._write(tile_path(level, self._full[level]), b"".join(hashes))
            self._full[level] += 1
            self._levels[level] = []
            self.add(root_of(hashes), level + 1)

    def finish(self) -> None:
        """Hand out the partial tiles."""
        for level, hashes in enumerate(self._levels):
            if hashes:
                self._write(tile_path(level, self._full[level], len(hashes)), b"".join(hashes))
