"""Reading a signed document: envelope bytes in, typed document and signer's key id out.

raises  DocumentInvalid whatever is wrong: base64, envelope, payload type, signature, bytes, fields
"""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hefu_ledger import dsse
from hefu_ledger.errors import LedgerError

from hefu.domain.document import MAX_DOCUMENT_BYTES, Document
from hefu.domain.errors import DocumentInvalid
from hefu.domain.identity import APPLICATION_TYPE, Application
from hefu.keys.public import load_public_ed25519

D = TypeVar("D", bound=Document)


def sign_document(document: Document, payload_type: str, key: Ed25519PrivateKey) -> dsse.Envelope:
    """A DSSE envelope over the document's canonical bytes."""
    return dsse.sign(payload_type, document.to_bytes(), key)


def encode_envelope(envelope: dsse.Envelope) -> str:
    """Base64 of the envelope's bytes, as it travels in JSON."""
    return base64.b64encode(envelope.to_bytes()).decode()


def decode_envelope(data: bytes | str) -> dsse.Envelope:
    """An envelope from its bytes, or from their base64."""
    try:
        raw = base64.b64decode(data, validate=True) if isinstance(data, str) else data
        if len(raw) > 2 * MAX_DOCUMENT_BYTES:
            raise DocumentInvalid("envelope", "", "too large")
        return dsse.Envelope.from_bytes(raw)
    except (LedgerError, binascii.Error) as error:
        raise DocumentInvalid("envelope", "", str(error)) from error


def read_signed(
    data: bytes | str | dsse.Envelope, document: type[D], payload_type: str, key: Ed25519PublicKey
) -> D:
    """The document in an envelope that `key` signed."""
    envelope = data if isinstance(data, dsse.Envelope) else decode_envelope(data)
    if envelope.payload_type != payload_type:
        raise DocumentInvalid(
            document.__name__, "payloadType", f"is {envelope.payload_type}, not {payload_type}"
        )
    try:
        dsse.verify_envelope(envelope, key)
    except LedgerError as error:
        raise DocumentInvalid(document.__name__, "signature", str(error)) from error
    return document.from_bytes(envelope.payload)


def read_unverified(data: bytes | str | dsse.Envelope, document: type[D], payload_type: str) -> D:
    """The document in an envelope whose signature the caller verifies next, with a key that the document names."""
    envelope = data if isinstance(data, dsse.Envelope) else decode_envelope(data)
    if envelope.payload_type != payload_type:
        raise DocumentInvalid(
            document.__name__, "payloadType", f"is {envelope.payload_type}, not {payload_type}"
        )
    return document.from_bytes(envelope.payload)


def read_application(data: bytes | str | dsse.Envelope) -> Application:
    """A self-signed application, verified under the identity key that it names."""
    envelope = data if isinstance(data, dsse.Envelope) else decode_envelope(data)
    claimed = read_unverified(envelope, Application, APPLICATION_TYPE)
    return read_signed(envelope, Application, APPLICATION_TYPE, load_public_ed25519(claimed.keys.identity))
