"""What can go wrong in the ledger, drawn once.

LedgerError
├─ NotCanonical         bytes are not the RFC 8785 form that this room accepts, or a value has no such form
├─ EnvelopeInvalid      a DSSE envelope cannot be read
├─ SignatureInvalid     a signature is wrong, or comes from a key that may not give it
├─ EvidenceInvalid      a payload is not evidence
├─ EntryInvalid         a log entry cannot be read, or is too long
├─ NoteInvalid          a signed note cannot be read, or a signature of a known key on it is wrong
│  └─ CheckpointInvalid a note that is not a checkpoint of the expected log
├─ ProofInvalid         a proof does not lead to the signed root
│  ├─ InclusionInvalid
│  └─ ConsistencyInvalid
├─ VerificationFailed   a stored or exported log breaks a promise; names entry, expected, found, promise
│  └─ RollbackDetected  the log is shorter than, or differs from, a checkpoint that was signed before
├─ AppendRefused        the database did not accept a batch
├─ SequencerBusy        another sequencer holds the log
└─ StoreUnavailable     the database or the file system failed
"""


class LedgerError(Exception):
    """Root of the ledger's errors."""


class NotCanonical(LedgerError):
    """Bytes are not the RFC 8785 form that this room accepts, or a value has no such form."""


class EnvelopeInvalid(LedgerError):
    """A DSSE envelope cannot be read."""


class SignatureInvalid(LedgerError):
    """A signature is wrong, or comes from a key that may not give it."""


class EvidenceInvalid(LedgerError):
    """A payload is not evidence."""


class EntryInvalid(LedgerError):
    """A log entry cannot be read, or is too long."""


class NoteInvalid(LedgerError):
    """A signed note cannot be read, or a signature of a known key on it is wrong."""


class CheckpointInvalid(NoteInvalid):
    """A note that is not a checkpoint of the expected log."""


class ProofInvalid(LedgerError):
    """A proof does not lead to the signed root."""


class InclusionInvalid(ProofInvalid):
    """An inclusion proof does not lead to the root."""


class ConsistencyInvalid(ProofInvalid):
    """A consistency proof does not connect the two roots."""


class VerificationFailed(LedgerError):
    """A stored or exported log breaks a promise.

    seq       index of the first bad entry; None when the fault is not in one entry
    promise   which promise is broken, in words
    expected  what should have been there
    found     what was there
    """

    def __init__(self, promise: str, *, seq: int | None, expected: object, found: object) -> None:
        where = "log" if seq is None else f"entry {seq}"
        super().__init__(f"{where}: {promise}: expected {expected}, found {found}")
        self.seq, self.promise = seq, promise
        self.expected, self.found = str(expected), str(found)


class RollbackDetected(VerificationFailed):
    """The log is shorter than, or differs from, a checkpoint that was signed before."""


class AppendRefused(LedgerError):
    """The database did not accept a batch."""


class SequencerBusy(LedgerError):
    """Another sequencer holds the log."""


class StoreUnavailable(LedgerError):
    """The database or the file system failed."""
