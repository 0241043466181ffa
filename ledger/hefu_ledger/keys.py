"""Whose key is it: what the sequencer and the verifier ask.

The ledger keeps no identities. Whoever runs it hands in a `KeyDirectory`; an export carries the keys that its entries use
(`keys.json`), which proves nothing about who holds them: a careful verifier brings its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hefu_ledger import canonical
from hefu_ledger.dsse import key_id, load_public_key
from hefu_ledger.encoding import b64decode, b64encode, is_time
from hefu_ledger.errors import LedgerError, SignatureInvalid


@dataclass(frozen=True)
class KeyEntry:
    """A signing key and its owner.

    actor        whose key it is; evidence signed by it must name this actor
    public_key   the key
    valid        whether it may sign new entries now (the sequencer asks)
    valid_until  if set: entries logged later than this time fail verification
    """

    actor: str
    public_key: Ed25519PublicKey
    valid: bool = True
    valid_until: str | None = None


class KeyDirectory(Protocol):
    """Finds keys by their id."""

    def resolve(self, key_id: str) -> KeyEntry | None:
        """The key of that id, revoked ones included; None if it was never known."""
        ...


class KeyList:
    """A directory held in memory."""

    def __init__(self, entries: Iterable[KeyEntry] = ()) -> None:
        self._entries: dict[str, KeyEntry] = {key_id(one.public_key): one for one in entries}

    def resolve(self, key_id: str) -> KeyEntry | None:
        """See KeyDirectory."""
        return self._entries.get(key_id)

    def add(self, entry: KeyEntry) -> None:
        """Add a key, or replace what is known of it."""
        self._entries[key_id(entry.public_key)] = entry

    def to_bytes(self) -> bytes:
        """The form of `keys.json`."""
        listed = [
            {
                "actor": one.actor,
                "key_id": name,
                "public_key": b64encode(one.public_key.public_bytes_raw()),
                "valid": one.valid,
                "valid_until": one.valid_until,
            }
            for name, one in sorted(self._entries.items())
        ]
        return canonical.encode({"keys": listed, "v": 1})

    @classmethod
    def from_bytes(cls, data: bytes) -> "KeyList":
        """Read `keys.json`; raises LedgerError."""
        value = canonical.decode(data)
        if not isinstance(value, dict) or value.keys() != {"keys", "v"} or value["v"] != 1:
            raise LedgerError("keys: exactly keys and v expected")
        if not isinstance(value["keys"], list):
            raise LedgerError("keys: a list expected")
        return cls(_read_key(one) for one in value["keys"])


def _read_key(value: Mapping[str, Any]) -> KeyEntry:
    fields = {"actor", "key_id", "public_key", "valid", "valid_until"}
    if not isinstance(value, dict) or value.keys() != fields:
        raise LedgerError("keys: unknown or missing fields")
    until = value["valid_until"]
    if not isinstance(value["actor"], str) or not isinstance(value["valid"], bool):
        raise LedgerError("keys: actor and valid are text and truth value")
    if until is not None and not is_time(until):
        raise LedgerError("keys: valid_until is neither null nor a UTC time with microseconds")
    public_key = load_public_key(b64decode(value["public_key"], SignatureInvalid))
    if key_id(public_key) != value["key_id"]:
        raise LedgerError("keys: a key id that is not its key's")
    return KeyEntry(value["actor"], public_key, value["valid"], until)
