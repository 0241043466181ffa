"""Receipts: the proof that an envelope stands in the log, to be kept and checked offline.

Source: C2SP tlog-proof (`c2sp.org/tlog-proof@v1`): index, inclusion proof, checkpoint. The line `extra` carries
`logged_at`, which together with index and envelope gives the entry's bytes; it is not authenticated by itself, but a false
one leads to another leaf hash, hence to another root.
"""

from dataclasses import dataclass

from hefu_ledger.dsse import Envelope
from hefu_ledger.encoding import b64decode, b64encode, is_time, read_decimal
from hefu_ledger.entry import Entry
from hefu_ledger.errors import LedgerError, NoteInvalid, ProofInvalid
from hefu_ledger.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from hefu_ledger.note import Checkpoint, parse_note, verify_checkpoint

HEADER = "c2sp.org/tlog-proof@v1"
_MAX_HASHES = 63


@dataclass(frozen=True)
class Receipt:
    """An inclusion proof with the checkpoint that it leads to.

    index      the entry's seq
    hashes     siblings from the leaf upwards, 32 bytes each
    note       the signed checkpoint, verbatim
    logged_at  when the sequencer logged it; None in proofs made by others, which then need the entry's bytes
    """

    index: int
    hashes: tuple[bytes, ...]
    note: bytes
    logged_at: str | None = None

    def to_bytes(self) -> bytes:
        """The receipt as text."""
        extra = [] if self.logged_at is None else [f"extra {b64encode(self.logged_at.encode())}"]
        lines = [HEADER, *extra, f"index {self.index}", *map(b64encode, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.note

    @classmethod
    def from_bytes(cls, data: bytes) -> "Receipt":
        """Read a receipt, nothing verified; raises ProofInvalid."""
        head, blank, note = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
            parse_note(note)
        except (UnicodeDecodeError, NoteInvalid) as error:
            raise ProofInvalid(f"receipt: {error}") from error
        if not blank or lines.pop(0) != HEADER:
            raise ProofInvalid(f"receipt: does not begin with {HEADER}")
        logged_at = None
        if lines and lines[0].startswith("extra "):
            logged_at = b64decode(lines.pop(0)[6:], ProofInvalid).decode("ascii", "replace")
            if not is_time(logged_at):
                raise ProofInvalid("receipt: the line extra is not a time")
        if not lines or not lines[0].startswith("index "):
            raise ProofInvalid("receipt: no line index")
        index = read_decimal(lines.pop(0)[6:], ProofInvalid)
        hashes = tuple(b64decode(line, ProofInvalid) for line in lines)
        if len(hashes) > _MAX_HASHES or any(len(one) != HASH_BYTES for one in hashes):
            raise ProofInvalid("receipt: a proof has at most 63 hashes of 32 bytes")
        return cls(index, hashes, note, logged_at)

    def verify(self, envelope: Envelope, log_vkey: str) -> Checkpoint:
        """Return the verified checkpoint if `envelope` stands at `index` under it.

        raises  LedgerError (CheckpointInvalid, InclusionInvalid, ProofInvalid)
        """
        if self.logged_at is None:
            raise ProofInvalid("receipt: no logged_at; verify it against the entry's bytes")
        return self.verify_entry(Entry(self.index, self.logged_at, envelope).to_bytes(), log_vkey)

    def verify_entry(self, entry: bytes, log_vkey: str) -> Checkpoint:
        """The same for an entry's exact bytes."""
        checkpoint = verify_checkpoint(self.note, log_vkey)
        verify_inclusion(leaf_hash(entry), self.index, checkpoint.size, self.hashes, checkpoint.root)
        return checkpoint


def build_receipt(entry: Entry, hashes: list[bytes], checkpoint: Checkpoint) -> Receipt:
    """A receipt from an inclusion proof in the tree of a signed checkpoint; raises LedgerError if it does not hold."""
    if not checkpoint.note:
        raise LedgerError("a receipt needs a signed checkpoint")
    verify_inclusion(entry.leaf_hash, entry.seq, checkpoint.size, hashes, checkpoint.root)
    return Receipt(entry.seq, tuple(hashes), checkpoint.note, entry.logged_at)
