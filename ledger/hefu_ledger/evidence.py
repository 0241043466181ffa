"""Evidence: what an acting party says that it did, signed by that party.

A payload is canonical JSON; it carries ids and digests, never data. Three fields bind it to what went before, so that
withholding, reordering and freezing leave a visible gap: `signer_seq` (1, 2, 3 … per signing key), `prev` (the id of the
envelope that the same key signed last) and `checkpoint` (the newest one that the signer verified).

What goes into `body` is public to every reader of the log, and leaf hashes travel further still: salt every commitment
to something that could be guessed.
"""

from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hefu_ledger import canonical
from hefu_ledger.canonical import MAX_INTEGER
from hefu_ledger.dsse import Envelope, sign
from hefu_ledger.encoding import is_digest, is_time
from hefu_ledger.errors import EvidenceInvalid, NotCanonical

EVIDENCE_TYPE = "application/vnd.hefu.evidence+json"
VERSION = 1

_FIELDS = frozenset(
    {
        "v", "kind", "actor", "at", "contract", "job", "attempt", "stage",
        "body", "signer_seq", "prev", "checkpoint",
    }
)  # fmt: skip
_MAX_NAME = 200


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One signed statement.

    kind        what happened, e.g. "input_shared"
    actor       the organisation (or service) that acted; owns the signing key
    at          when, by the actor's clock: RFC 3339, UTC, microseconds (`encoding.format_time`)
    contract    id or digest of the contract, or None
    job         id of the job, or None
    attempt     number of the attempt, from 1, or None
    stage       stage of the job, or None
    body        JSON object of ids, digests, counts
    signer_seq  1, 2, 3 … for each signing key
    prev        id of the last envelope signed by the same key; None only for signer_seq 1
    checkpoint  {"size": int, "root": hex} newest checkpoint that the signer verified, or None
    """

    kind: str
    actor: str
    at: str
    contract: str | None = None
    job: str | None = None
    attempt: int | None = None
    stage: str | None = None
    body: dict[str, Any] = field(default_factory=dict)
    signer_seq: int
    prev: str | None = None
    checkpoint: dict[str, Any] | None = None

    def to_bytes(self) -> bytes:
        """The canonical payload; raises EvidenceInvalid when a field is out of its form."""
        value = {
            "v": VERSION,
            "kind": self.kind,
            "actor": self.actor,
            "at": self.at,
            "contract": self.contract,
            "job": self.job,
            "attempt": self.attempt,
            "stage": self.stage,
            "body": self.body,
            "signer_seq": self.signer_seq,
            "prev": self.prev,
            "checkpoint": self.checkpoint,
        }
        _check(value)
        try:
            return canonical.encode(value)
        except NotCanonical as error:
            raise EvidenceInvalid(f"evidence: {error}") from error

    def sign(self, key: Ed25519PrivateKey) -> Envelope:
        """The evidence in an envelope signed by the actor's key."""
        return sign(EVIDENCE_TYPE, self.to_bytes(), key)


def parse_evidence(envelope: Envelope) -> Evidence:
    """Read the evidence in an envelope; its signature is not verified here.

    raises  EvidenceInvalid for another payload type, more than one signature, bytes that are not canonical, unknown or
            missing fields, fields out of their form
    """
    if envelope.payload_type != EVIDENCE_TYPE:
        raise EvidenceInvalid(f"payload type is {envelope.payload_type!r}, not {EVIDENCE_TYPE!r}")
    if len(envelope.signatures) != 1:
        raise EvidenceInvalid("evidence carries exactly one signature, the actor's")
    try:
        value = canonical.decode(envelope.payload)
    except NotCanonical as error:
        raise EvidenceInvalid(f"evidence: {error}") from error
    if not isinstance(value, dict) or value.keys() != _FIELDS:
        raise EvidenceInvalid("evidence: unknown or missing fields")
    _check(value)
    del value["v"]
    return Evidence(**value)


def _check(value: dict[str, Any]) -> None:
    if type(value["v"]) is not int or value["v"] != VERSION:
        raise EvidenceInvalid(f"evidence: version {value['v']!r} is not {VERSION}")
    for name in ("kind", "actor"):
        if not _is_name(value[name]):
            raise EvidenceInvalid(f"evidence: {name} is not a short text")
    for name in ("contract", "job", "stage"):
        if value[name] is not None and not _is_name(value[name]):
            raise EvidenceInvalid(f"evidence: {name} is neither null nor a short text")
    if not is_time(value["at"]):
        raise EvidenceInvalid("evidence: at is not a UTC time with microseconds")
    if value["attempt"] is not None and not _is_count(value["attempt"], 1):
        raise EvidenceInvalid("evidence: attempt is neither null nor a number from 1")
    if not isinstance(value["body"], dict):
        raise EvidenceInvalid("evidence: body is not an object")
    if not _is_count(value["signer_seq"], 1):
        raise EvidenceInvalid("evidence: signer_seq is not a number from 1")
    first = value["signer_seq"] == 1
    if (value["prev"] is None) != first or not (first or is_digest(value["prev"])):
        raise EvidenceInvalid("evidence: prev is null for signer_seq 1 and a digest for all others")
    _check_reference(value["checkpoint"])


def _check_reference(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, dict) or value.keys() != {"size", "root"}:
        raise EvidenceInvalid("evidence: checkpoint is neither null nor exactly size and root")
    if not _is_count(value["size"], 0) or not is_digest(value["root"]):
        raise EvidenceInvalid("evidence: checkpoint needs a size and 64 hex digits of root")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_NAME


def _is_count(value: Any, least: int) -> bool:
    return type(value) is int and least <= value <= MAX_INTEGER
