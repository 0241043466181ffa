"""The rules that every entry must keep, one after another from the first.

Shared by the verifier, which applies all of them, and the sequencer, which starts from the same state.
"""

import hashlib
from dataclasses import dataclass

from hefu_ledger.dsse import verify_envelope
from hefu_ledger.entry import Entry
from hefu_ledger.errors import LedgerError, VerificationFailed
from hefu_ledger.evidence import EVIDENCE_TYPE, Evidence, parse_evidence
from hefu_ledger.keys import KeyDirectory, KeyEntry
from hefu_ledger.merkle import HASH_BYTES, Frontier, leaf_hash
from hefu_ledger.note import Checkpoint

GENESIS = bytes(HASH_BYTES)

FORM = "an entry is canonical and complete"
ORDER = "entries follow each other without a gap"
CLOCK = "the log's clock does not go back"
SIGNED = "the acting party's key signed the exact bytes"
OWNED = "the key belongs to the actor that the entry names"
SIGNER_CHAIN = "a signer's statements follow each other without a gap"
ONE_HISTORY = "every signer was shown this history"
ROOT = "the tree's root is the one that was signed"


@dataclass(frozen=True)
class SignerState:
    """Where a signing key stands: its last signer_seq, the id of that envelope, the newest checkpoint it named."""

    signer_seq: int = 0
    envelope_id: str | None = None
    checkpoint_size: int = 0


def chain_hash(previous: bytes, leaf: bytes) -> bytes:
    """SHA-256(0x02 ‖ previous ‖ leaf): a cheap local check that finds the first break; never accepted as proof."""
    return hashlib.sha256(b"\x02" + previous + leaf).digest()


class LogChecker:
    """Takes an entry's bytes one after another; raises VerificationFailed at the first that breaks a promise.

    keys         who may sign; None leaves signatures unchecked
    checkpoints  signed checkpoints; the root is compared when the log reaches their sizes
    """

    def __init__(self, keys: KeyDirectory | None, checkpoints: dict[int, Checkpoint] | None = None) -> None:
        self.keys = keys
        self.frontier = Frontier()
        self.chain = GENESIS
        self.signers: dict[str, SignerState] = {}
        self.actors: dict[str, KeyEntry] = {}
        self.logged_at = ""
        self.signatures_checked = 0
        self._statements: dict[str, int] = {}
        self._checkpoints = checkpoints or {}
        self._last_agreed = 0
        self._leaves = bytearray()
        self._references: dict[int, tuple[int, str]] = {}  # size -> (first entry that names it, root)
        self._compare_root()

    @property
    def size(self) -> int:
        """Entries taken so far."""
        return self.frontier.size

    def statements(self) -> dict[str, int]:
        """actor -> number of entries."""
        return dict(self._statements)

    def take(self, body: bytes) -> tuple[Entry, Evidence]:
        """Check the next entry and add it."""
        seq = self.size
        try:
            entry = Entry.from_bytes(body)
            evidence = parse_evidence(entry.envelope)
        except LedgerError as error:
            raise VerificationFailed(FORM, seq=seq, expected="an entry with evidence", found=error) from error
        if entry.seq != seq:
            raise VerificationFailed(ORDER, seq=seq, expected=f"seq {seq}", found=f"seq {entry.seq}")
        if entry.logged_at < self.logged_at:
            raise VerificationFailed(
                CLOCK, seq=seq, expected=f"{self.logged_at} or later", found=entry.logged_at
            )
        self._check_signature(entry, evidence)
        self._check_signer(entry, evidence)
        leaf = leaf_hash(body)
        self.logged_at = entry.logged_at
        self._statements[evidence.actor] = self._statements.get(evidence.actor, 0) + 1
        self.chain = chain_hash(self.chain, leaf)
        self._leaves += leaf
        self.frontier.append(leaf)
        self._compare_root()
        return entry, evidence

    def finish(self) -> None:
        """Check what the signers said about earlier checkpoints; call it after the last entry."""
        walk = Frontier()
        for size in sorted(self._references):
            named_by, root = self._references[size]
            for place in range(walk.size, size):
                walk.append(bytes(self._leaves[place * HASH_BYTES : (place + 1) * HASH_BYTES]))
            if walk.root().hex() != root:
                raise VerificationFailed(
                    ONE_HISTORY,
                    seq=named_by,
                    expected=f"root {walk.root().hex()} at size {size}",
                    found=f"root {root}",
                )

    def _check_signature(self, entry: Entry, evidence: Evidence) -> None:
        if self.keys is None:
            return
        signer = entry.envelope.signatures[0].key_id
        key = self.actors.get(signer)
        if key is None:
            key = self.keys.resolve(signer)
            if key is None:
                raise VerificationFailed(
                    SIGNED, seq=entry.seq, expected="a known key", found=f"unknown key id {signer}"
                )
            self.actors[signer] = key
        if key.actor != evidence.actor:
            raise VerificationFailed(
                OWNED, seq=entry.seq, expected=f"actor {key.actor!r}", found=f"actor {evidence.actor!r}"
            )
        if key.valid_until is not None and entry.logged_at > key.valid_until:
            raise VerificationFailed(
                SIGNED, seq=entry.seq, expected=f"logged by {key.valid_until}", found=entry.logged_at
            )
        try:
            verify_envelope(entry.envelope, key.public_key, payload_type=EVIDENCE_TYPE)
        except LedgerError as error:
            raise VerificationFailed(
                SIGNED, seq=entry.seq, expected=f"a signature of {evidence.actor!r}", found=error
            ) from error
        self.signatures_checked += 1

    def _check_signer(self, entry: Entry, evidence: Evidence) -> None:
        signer = entry.envelope.signatures[0].key_id
        state = self.signers.get(signer, SignerState())
        expected = (state.signer_seq + 1, state.envelope_id)
        found = (evidence.signer_seq, evidence.prev)
        if found != expected:
            raise VerificationFailed(
                SIGNER_CHAIN,
                seq=entry.seq,
                expected=f"statement {expected[0]} of {evidence.actor!r} after {expected[1]}",
                found=f"statement {found[0]} after {found[1]}",
            )
        named = state.checkpoint_size
        if evidence.checkpoint is not None:
            named = int(evidence.checkpoint["size"])
            root = str(evidence.checkpoint["root"])
            if not state.checkpoint_size <= named <= entry.seq:
                raise VerificationFailed(
                    ONE_HISTORY,
                    seq=entry.seq,
                    expected=f"a checkpoint between {state.checkpoint_size} and {entry.seq}",
                    found=f"size {named}",
                )
            first = self._references.setdefault(named, (entry.seq, root))
            if first[1] != root:
                raise VerificationFailed(
                    ONE_HISTORY,
                    seq=entry.seq,
                    expected=f"root {first[1]} at size {named}, as entry {first[0]} says",
                    found=f"root {root}",
                )
        self.signers[signer] = SignerState(evidence.signer_seq, entry.envelope.id, named)

    def _compare_root(self) -> None:
        checkpoint = self._checkpoints.get(self.size)
        if checkpoint is None:
            return
        root = self.frontier.root()
        if root != checkpoint.root:
            raise VerificationFailed(
                f"{ROOT}; the fault lies in entries {self._last_agreed} to {self.size - 1}",
                seq=None,
                expected=f"root {checkpoint.root.hex()} at size {self.size}",
                found=f"root {root.hex()}",
            )
        self._last_agreed = self.size
