"""Which envelopes may enter the log, and in which order.

An envelope that breaks a rule is rejected with its reason; one that comes before its predecessor (same key, smaller
signer_seq) waits for it. What the verifier would condemn must not get in: otherwise one party could spoil the log for all.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hefu_ledger.checker import SignerState
from hefu_ledger.dsse import Envelope, verify_envelope
from hefu_ledger.entry import MAX_ENVELOPE_BYTES
from hefu_ledger.errors import EvidenceInvalid, LedgerError, SignatureInvalid, StoreUnavailable
from hefu_ledger.evidence import EVIDENCE_TYPE, Evidence, parse_evidence
from hefu_ledger.keys import KeyDirectory, KeyEntry


@dataclass(frozen=True)
class Candidate:
    """An envelope in the outbox whose signature was verified."""

    outbox_id: int
    envelope: Envelope
    evidence: Evidence

    @property
    def signer(self) -> str:
        """Key id of the signer."""
        return self.envelope.signatures[0].key_id


@dataclass
class Sorted:
    """One run's outcome: entries to append, in order; (outbox id, reason) of those refused; the signers afterwards."""

    accepted: list[Candidate] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)
    signers: dict[str, SignerState] = field(default_factory=dict)


class Admission:
    """Keeps what waits between runs, so that nothing is verified twice."""

    def __init__(self, keys: KeyDirectory) -> None:
        self._keys = keys
        self._waiting: dict[int, Candidate] = {}

    @property
    def waiting(self) -> list[int]:
        """Outbox ids that were read and wait for a predecessor."""
        return list(self._waiting)

    def sort(
        self,
        rows: Iterable[tuple[int, bytes]],
        signers: Mapping[str, SignerState],
        roots: Mapping[int, str],
    ) -> Sorted:
        """Decide about new outbox rows and those that wait.

        rows     (outbox id, envelope bytes)
        signers  where each key stands in the log
        roots    size -> root (hex) of every signed checkpoint
        """
        result = Sorted(signers=dict(signers))
        known: dict[str, KeyEntry | None] = {}
        for outbox_id, data in rows:
            try:
                envelope, evidence = _read(data)
            except LedgerError as error:
                result.rejected.append((outbox_id, str(error)))
                continue
            signer = envelope.signatures[0].key_id
            if signer not in known:
                known[signer] = self._resolve(signer)
            try:
                _check(envelope, evidence, known[signer], roots)
            except LedgerError as error:
                result.rejected.append((outbox_id, str(error)))
                continue
            self._waiting[outbox_id] = Candidate(outbox_id, envelope, evidence)
        queues: dict[str, list[Candidate]] = {}
        for _, candidate in sorted(self._waiting.items()):
            queues.setdefault(candidate.signer, []).append(candidate)
        ready = [list(self._follow(queue, result)) for queue in queues.values()]
        result.accepted = _interleave(ready)
        for outbox_id in [one.outbox_id for one in result.accepted]:
            del self._waiting[outbox_id]
        for outbox_id, _ in result.rejected:
            self._waiting.pop(outbox_id, None)
        return result

    def _resolve(self, signer: str) -> KeyEntry | None:
        """Ask the directory; its failure is no verdict on the envelope."""
        try:
            return self._keys.resolve(signer)
        except LedgerError:
            raise
        except Exception as error:
            raise StoreUnavailable(f"the key directory failed: {error}") from error

    def _follow(self, queue: list[Candidate], result: Sorted) -> Iterator[Candidate]:
        """Those of one signer's candidates whose turn it is; refuses the ones whose turn is over."""
        by_number: dict[int, list[Candidate]] = {}
        for candidate in queue:
            by_number.setdefault(candidate.evidence.signer_seq, []).append(candidate)
        signer = queue[0].signer
        for number in sorted(by_number):
            state = result.signers.get(signer, SignerState())
            if number > state.signer_seq + 1:
                return
            for candidate in by_number[number]:
                state = result.signers.get(signer, SignerState())
                reason = _misfit(candidate.evidence, state)
                if reason is not None:
                    result.rejected.append((candidate.outbox_id, reason))
                    continue
                named = candidate.evidence.checkpoint
                result.signers[signer] = SignerState(
                    number,
                    candidate.envelope.id,
                    state.checkpoint_size if named is None else int(named["size"]),
                )
                yield candidate


def _read(data: bytes) -> tuple[Envelope, Evidence]:
    if len(data) > MAX_ENVELOPE_BYTES:
        raise EvidenceInvalid(f"an envelope of {len(data)} bytes; at most {MAX_ENVELOPE_BYTES} fit")
    envelope = Envelope.from_bytes(data)
    return envelope, parse_evidence(envelope)


def _check(envelope: Envelope, evidence: Evidence, key: KeyEntry | None, roots: Mapping[int, str]) -> None:
    signer = envelope.signatures[0].key_id
    if key is None:
        raise SignatureInvalid(f"unknown key id {signer}")
    if not key.valid:
        raise SignatureInvalid(f"the key {signer} of {key.actor!r} may not sign any more")
    if key.actor != evidence.actor:
        raise SignatureInvalid(f"the key belongs to {key.actor!r}, the actor is {evidence.actor!r}")
    verify_envelope(envelope, key.public_key, payload_type=EVIDENCE_TYPE)
    named = evidence.checkpoint
    if named is not None and roots.get(named["size"]) != named["root"]:
        raise EvidenceInvalid(f"names a checkpoint of size {named['size']} that this log never signed")


def _misfit(evidence: Evidence, state: SignerState) -> str | None:
    if evidence.signer_seq <= state.signer_seq:
        return f"signer_seq {evidence.signer_seq} is taken; this signer's next is {state.signer_seq + 1}"
    if evidence.prev != state.envelope_id:
        return f"prev is {evidence.prev}; this signer's last envelope is {state.envelope_id}"
    if evidence.checkpoint is not None and evidence.checkpoint["size"] < state.checkpoint_size:
        return "names an older checkpoint than this signer named before"
    return None


def _interleave(queues: list[list[Candidate]]) -> list[Candidate]:
    """Outbox order, but never against signer_seq: each signer's slots are filled in the order of its queue."""
    slots = sorted((one.outbox_id, number) for number, queue in enumerate(queues) for one in queue)
    following = [iter(queue) for queue in queues]
    return [next(following[number]) for _, number in slots]
