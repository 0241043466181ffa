"""Log entries: the exact bytes that the tree hashes.

An entry is the canonical JSON of `{v, seq, logged_at, envelope}`. In that form the envelope's own bytes stand in the
entry unchanged, so SQL can cut them out and hash them. Bundles of entries are length-prefixed by two bytes (C2SP
tlog-tiles), so an entry has at most 65,535 bytes: digests fit, data does not.
"""

from dataclasses import dataclass
from typing import Any

from hefu_ledger import canonical
from hefu_ledger.canonical import MAX_INTEGER
from hefu_ledger.dsse import Envelope
from hefu_ledger.encoding import is_time
from hefu_ledger.errors import EntryInvalid, EnvelopeInvalid, NotCanonical
from hefu_ledger.merkle import leaf_hash

VERSION = 1
MAX_ENTRY_BYTES = 65_535
OVERHEAD_BYTES = 100  # what an entry adds to its envelope, at most
MAX_ENVELOPE_BYTES = MAX_ENTRY_BYTES - OVERHEAD_BYTES


@dataclass(frozen=True)
class Entry:
    """One line of the log: `seq` is the leaf's index from 0, `logged_at` the sequencer's clock."""

    seq: int
    logged_at: str
    envelope: Envelope

    def to_bytes(self) -> bytes:
        """The canonical bytes; raises EntryInvalid beyond 65,535."""
        data = b'{"envelope":%b,"logged_at":"%b","seq":%d,"v":%d}' % (
            self.envelope.to_bytes(),
            self.logged_at.encode(),
            self.seq,
            VERSION,
        )
        if len(data) > MAX_ENTRY_BYTES:
            raise EntryInvalid(f"an entry of {len(data)} bytes; at most {MAX_ENTRY_BYTES} fit")
        return data

    @property
    def leaf_hash(self) -> bytes:
        """SHA-256(0x00 ‖ entry)."""
        return leaf_hash(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> "Entry":
        """Read an entry; no signature is verified. Raises EntryInvalid."""
        if len(data) > MAX_ENTRY_BYTES:
            raise EntryInvalid(f"an entry of {len(data)} bytes; at most {MAX_ENTRY_BYTES} fit")
        try:
            value = canonical.decode(data)
        except NotCanonical as error:
            raise EntryInvalid(f"entry: {error}") from error
        return cls._from_value(value)

    @classmethod
    def _from_value(cls, value: Any) -> "Entry":
        if not isinstance(value, dict) or value.keys() != {"v", "seq", "logged_at", "envelope"}:
            raise EntryInvalid("entry: exactly v, seq, logged_at and envelope expected")
        if type(value["v"]) is not int or value["v"] != VERSION:
            raise EntryInvalid(f"entry: version {value['v']!r} is not {VERSION}")
        if type(value["seq"]) is not int or not 0 <= value["seq"] <= MAX_INTEGER:
            raise EntryInvalid("entry: seq is not a number from 0")
        if not is_time(value["logged_at"]):
            raise EntryInvalid("entry: logged_at is not a UTC time with microseconds")
        try:
            envelope = Envelope.from_value(value["envelope"])
        except EnvelopeInvalid as error:
            raise EntryInvalid(f"entry: {error}") from error
        return cls(value["seq"], value["logged_at"], envelope)
