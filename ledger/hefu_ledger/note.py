"""Signed notes and checkpoints.

Sources: C2SP signed-note (Ed25519, type 0x01), C2SP tlog-checkpoint. A note is text, a blank line, signature lines; a
checkpoint is a note of exactly three lines: origin, size, root. Extension lines, which the specification discourages,
are refused. Signatures of unknown keys are ignored; a wrong signature of a known key condemns the whole note.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hefu_ledger.dsse import load_public_key
from hefu_ledger.encoding import MAX_SIZE, b64decode, b64encode, read_decimal
from hefu_ledger.errors import CheckpointInvalid, NoteInvalid, SignatureInvalid
from hefu_ledger.merkle import EMPTY_ROOT, HASH_BYTES

MAX_NOTE_BYTES = 64 * 1024
MAX_SIGNATURES = 16  # what every verifier must accept; the log's own and fifteen cosignatures
_ED25519 = b"\x01"
_DASH = "\u2014 "


@dataclass(frozen=True)
class VerifierKey:
    """A named public key; its text form is `name+key id+base64(type ‖ key)`."""

    name: str
    public_key: Ed25519PublicKey = field(compare=False)
    raw: bytes

    @classmethod
    def of(cls, name: str, public_key: Ed25519PublicKey) -> "VerifierKey":
        """Bind a name to a public key; raises NoteInvalid for a name that no note can carry."""
        if not _is_name(name):
            raise NoteInvalid(f"not a key name: {name[:80]!r}")
        return cls(name, public_key, public_key.public_bytes_raw())

    @property
    def hint(self) -> bytes:
        """The four bytes of key id in signature lines."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.raw).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.hint.hex()}+{b64encode(_ED25519 + self.raw)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read a vkey string; raises NoteInvalid."""
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise NoteInvalid("a vkey has three parts")
        raw = b64decode(parts[2], NoteInvalid)
        if raw[:1] != _ED25519:
            raise NoteInvalid("a vkey of another type than Ed25519")
        try:
            key = cls.of(parts[0], load_public_key(raw[1:]))
        except SignatureInvalid as error:
            raise NoteInvalid(f"vkey: {error}") from error
        if str(key) != text:
            raise NoteInvalid("a vkey whose key id is not its key's")
        return key


@dataclass(frozen=True)
class NoteSignature:
    """One signature line: `hint` is the four-byte key id."""

    name: str
    hint: bytes
    signature: bytes


@dataclass(frozen=True)
class Note:
    """A note as read, nothing verified. `text` ends in a newline."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def to_bytes(self) -> bytes:
        """The note as it is stored and sent."""
        lines = [f"{_DASH}{one.name} {b64encode(one.hint + one.signature)}\n" for one in self.signatures]
        return f"{self.text}\n{''.join(lines)}".encode()


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: `size` leaves under `root` (32 bytes) of the log `origin`.

    note  the signed note that it came from; empty for one that nobody has signed
    """

    origin: str
    size: int
    root: bytes
    note: bytes = field(default=b"", compare=False, repr=False)

    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root)}\n"

    @property
    def reference(self) -> dict[str, int | str]:
        """What goes into the field `checkpoint` of evidence: size, and root in hex."""
        return {"size": self.size, "root": self.root.hex()}


def vkey(name: str, public_key: Ed25519PublicKey) -> str:
    """The verifier key string of a log: `name` is its origin."""
    return str(VerifierKey.of(name, public_key))


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> Note:
    """Sign `text` (must end in a newline) under `name`; raises NoteInvalid."""
    _check_text(text)
    if not text.endswith("\n"):
        raise NoteInvalid("the text does not end in a newline")
    signer = VerifierKey.of(name, key.public_key())
    return Note(text, (NoteSignature(name, signer.hint, key.sign(text.encode())),))


def parse_note(data: bytes) -> Note:
    """Read a note, nothing verified; raises NoteInvalid."""
    if len(data) > MAX_NOTE_BYTES:
        raise NoteInvalid(f"a note of more than {MAX_NOTE_BYTES} bytes")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise NoteInvalid("a note that is not UTF-8") from error
    _check_text(whole)
    text, blank, tail = whole.rpartition("\n\n")
    if not blank:
        raise NoteInvalid("no blank line between text and signatures")
    if not tail.endswith("\n"):
        raise NoteInvalid("no newline at the end")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteInvalid(f"more than {MAX_SIGNATURES} signatures")
    return Note(text + "\n", tuple(_read_line(line) for line in lines))


def verify_note(note: Note, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Those of `keys` that signed the note, at least one.

    raises  NoteInvalid when a known key's signature is wrong or given twice, or when no known key signed
    """
    known = {(key.name, key.hint): key for key in keys}
    found: list[VerifierKey] = []
    for one in note.signatures:
        key = known.get((one.name, one.hint))
        if key is None:
            continue
        if key in found:
            raise NoteInvalid(f"two signatures of {key.name}")
        try:
            key.public_key.verify(one.signature, note.text.encode())
        except InvalidSignature as error:
            raise NoteInvalid(f"the signature of {key.name} is wrong") from error
        found.append(key)
    if not found:
        raise NoteInvalid("no signature of a known key")
    return tuple(found)


def sign_checkpoint(origin: str, size: int, root: bytes, key: Ed25519PrivateKey) -> Checkpoint:
    """A checkpoint signed by the log's key under its origin; raises CheckpointInvalid."""
    if not 0 <= size <= MAX_SIZE or len(root) != HASH_BYTES or (size == 0 and root != EMPTY_ROOT):
        raise CheckpointInvalid("no such tree head")
    unsigned = Checkpoint(origin, size, root)
    note = sign_note(unsigned.text(), origin, key)
    return Checkpoint(origin, size, root, note.to_bytes())


def verify_checkpoint(data: bytes, log: str | VerifierKey) -> Checkpoint:
    """Read a checkpoint and verify the signature of the log whose vkey the caller already trusts.

    raises  CheckpointInvalid
    """
    try:
        key = VerifierKey.parse(log) if isinstance(log, str) else log
        note = parse_note(data)
        verify_note(note, [key])
    except CheckpointInvalid:
        raise
    except NoteInvalid as error:
        raise CheckpointInvalid(f"checkpoint: {error}") from error
    checkpoint = _read_checkpoint(note.text, data)
    if checkpoint.origin != key.name:
        raise CheckpointInvalid(f"a checkpoint of {checkpoint.origin!r}, not of {key.name!r}")
    return checkpoint


def _read_checkpoint(text: str, data: bytes) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) != 3 or not all(lines):
        raise CheckpointInvalid("a checkpoint has exactly three lines")
    size = read_decimal(lines[1], CheckpointInvalid)
    root = b64decode(lines[2], CheckpointInvalid)
    if len(root) != HASH_BYTES:
        raise CheckpointInvalid("a root hash has 32 bytes")
    if size == 0 and root != EMPTY_ROOT:
        raise CheckpointInvalid("a root for the empty tree that is not its own")
    return Checkpoint(lines[0], size, root, data)


def _read_line(line: str) -> NoteSignature:
    if not line.startswith(_DASH):
        raise NoteInvalid("a signature line does not begin with a dash")
    name, space, blob = line.removeprefix(_DASH).partition(" ")
    if not space or not _is_name(name):
        raise NoteInvalid("a signature line without a proper name")
    data = b64decode(blob, NoteInvalid)
    if len(data) < 5:
        raise NoteInvalid("a signature line that is too short")
    return NoteSignature(name, data[:4], data[4:])


def _check_text(text: str) -> None:
    if any(c < " " and c != "\n" for c in text):
        raise NoteInvalid("a control character in a note")


def _is_name(name: str) -> bool:
    return bool(name) and not any(c.isspace() or c == "+" or c < " " for c in name)
