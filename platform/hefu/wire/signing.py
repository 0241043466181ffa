"""Signed requests and signed answers between organisations (RFC 9421, Ed25519).

A request's signature covers its method, authority, path, query, body digest, sender and recipient, with the time of
its making and a nonce. An answer's signature covers its status, body digest and sender **and the request's signature**,
so that an answer to one request is no answer to another.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hefu.keys.public import key_id
from hefu.wire.errors import SignatureRefused
from hefu.wire.signature_base import (
    LABEL,
    SignatureInput,
    content_digest,
    read_input,
    read_signature,
    signature_base,
    write_input,
)

REQUEST_COMPONENTS = (
    '"@method"',
    '"@authority"',
    '"@path"',
    '"@query"',
    '"content-digest"',
    '"hefu-recipient"',
    '"hefu-sender"',
)
RESPONSE_COMPONENTS = ('"@status"', '"content-digest"', '"hefu-sender"', '"signature";req')
REQUEST_TAG = "hefu-request"
RESPONSE_TAG = "hefu-response"
MAX_FIELD_CHARACTERS = 2048
SIGNED_HEADERS = ("content-digest", "hefu-sender", "hefu-recipient", "signature-input", "signature")


@dataclass(frozen=True)
class Message:
    """The parts of a request that its signature covers.

    authority  the Host field: host in lower case, port unless it is 443
    path       as it stands on the wire, percent-encoded
    query      as it stands on the wire, without the question mark; "" where there is none
    """

    method: str
    authority: str
    path: str
    query: str
    body: bytes


@dataclass(frozen=True)
class VerifiedRequest:
    """Who sent a request, proven."""

    sender: str
    key_id: str
    nonce: str
    created: int


@dataclass(frozen=True)
class ClaimedRequest:
    """What a request's headers claim; nothing is proven yet."""

    sender: str
    recipient: str
    digest: str
    input: SignatureInput
    signature: bytes

    @property
    def key_id(self) -> str:
        """The key id that the request claims."""
        return self.input.text("keyid")

    @property
    def nonce(self) -> str:
        """The nonce that the request claims."""
        return self.input.text("nonce")

    @property
    def created(self) -> int:
        """Seconds since the epoch at which the request claims to have been made."""
        return self.input.number("created")


def sign_request(
    message: Message,
    *,
    sender: str,
    recipient: str,
    key: Ed25519PrivateKey,
    created: int,
    nonce: str | None = None,
) -> dict[str, str]:
    """The header fields to add to a request, names in lower case.

    created  seconds since the epoch
    nonce    18 random bytes in base64url by default
    """
    fields = {
        "content-digest": content_digest(message.body),
        "hefu-sender": sender,
        "hefu-recipient": recipient,
    }
    parameters: dict[str, int | str] = {
        "created": created,
        "nonce": nonce or secrets.token_urlsafe(18),
        "keyid": key_id(key),
        "alg": "ed25519",
        "tag": REQUEST_TAG,
    }
    return fields | _signed(REQUEST_COMPONENTS, _request_values(message, fields), parameters, key)


def read_request(headers: Mapping[str, str]) -> ClaimedRequest:
    """Read a request's signature fields.

    headers  names in lower case; a field that came more than once must not be here
    raises   SignatureRefused: `signature_missing`, or `signature_invalid` when they cannot be read or cover
             anything but REQUEST_COMPONENTS
    """
    _require(headers, SIGNED_HEADERS)
    found = read_input(headers["signature-input"])
    _check_shape(found, REQUEST_COMPONENTS, REQUEST_TAG)
    signature = read_signature(headers["signature"], LABEL)
    claimed = ClaimedRequest(
        headers["hefu-sender"], headers["hefu-recipient"], headers["content-digest"], found, signature
    )
    if not (claimed.key_id and 16 <= len(claimed.nonce) <= 128 and claimed.created > 0):
        raise SignatureRefused("signature_invalid", "nonce, keyid or created is out of range")
    return claimed


def verify_request(
    message: Message, headers: Mapping[str, str], *, recipient: str, public_key: Ed25519PublicKey
) -> VerifiedRequest:
    """Verify a request under the sender's key. Freshness, replay and standing are the guard's part.

    raises  SignatureRefused: signature_missing, signature_invalid, wrong_recipient, digest_mismatch
    """
    verified = verify_head(message, headers, recipient=recipient, public_key=public_key)
    verify_body(message.body, headers)
    return verified


def verify_head(
    message: Message, headers: Mapping[str, str], *, recipient: str, public_key: Ed25519PublicKey
) -> VerifiedRequest:
    """As `verify_request`, before the body has come: the signature covers the body's digest, not the body.

    raises  SignatureRefused: signature_missing, signature_invalid, wrong_recipient
    """
    claimed = read_request(headers)
    if claimed.key_id != key_id(public_key):
        raise SignatureRefused("signature_invalid", "the key id is another key's")
    values = _request_values(message, headers)
    _verify(REQUEST_COMPONENTS, values, claimed.input, claimed.signature, public_key)
    if claimed.recipient != recipient:
        raise SignatureRefused("wrong_recipient", f"addressed to {claimed.recipient}")
    return VerifiedRequest(claimed.sender, claimed.key_id, claimed.nonce, claimed.created)


def verify_body(body: bytes, headers: Mapping[str, str]) -> None:
    """The body is the one whose digest was signed. Raises SignatureRefused (digest_mismatch)."""
    if headers["content-digest"] != content_digest(body):
        raise SignatureRefused("digest_mismatch", "the body is not the signed one")


def sign_response(
    status: int,
    body: bytes,
    *,
    sender: str,
    key: Ed25519PrivateKey,
    request_signature: str | None,
    created: int,
) -> dict[str, str]:
    """The header fields to add to an answer, bound to the request by the request's Signature field.

    request_signature  the field as it came; None where there was none: such an answer satisfies no client of ours
    """
    fields = {"content-digest": content_digest(body), "hefu-sender": sender}
    values = _response_values(status, fields, request_signature or "")
    components = RESPONSE_COMPONENTS if request_signature else RESPONSE_COMPONENTS[:-1]
    parameters: dict[str, int | str] = {
        "created": created,
        "keyid": key_id(key),
        "alg": "ed25519",
        "tag": RESPONSE_TAG,
    }
    return fields | _signed(components, values, parameters, key)


def verify_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    sender: str,
    public_key: Ed25519PublicKey,
    request_signature: str,
) -> None:
    """Verify that an answer is the sender's, whole, and the answer to this request.

    headers            names in lower case
    request_signature  the Signature field that the request was sent with
    raises             SignatureRefused
    """
    _require(headers, ("content-digest", "hefu-sender", "signature-input", "signature"))
    found = read_input(headers["signature-input"])
    _check_shape(found, RESPONSE_COMPONENTS, RESPONSE_TAG)
    if found.text("keyid") != key_id(public_key) or headers["hefu-sender"] != sender:
        raise SignatureRefused("signature_invalid", "the answer is another organisation's")
    values = _response_values(status, headers, request_signature)
    signature = read_signature(headers["signature"], LABEL)
    _verify(RESPONSE_COMPONENTS, values, found, signature, public_key)
    if headers["content-digest"] != content_digest(body):
        raise SignatureRefused("digest_mismatch", "the answer's body is not the signed one")


def normalise_authority(host: str) -> str:
    """A Host field as the signature covers it: lower case, without the default port of https."""
    return host.lower().removesuffix(":443")


def _request_values(message: Message, headers: Mapping[str, str]) -> dict[str, str]:
    return {
        '"@method"': message.method,
        '"@authority"': normalise_authority(message.authority),
        '"@path"': message.path or "/",
        '"@query"': f"?{message.query}",
        '"content-digest"': headers["content-digest"],
        '"hefu-recipient"': headers["hefu-recipient"],
        '"hefu-sender"': headers["hefu-sender"],
    }


def _response_values(status: int, headers: Mapping[str, str], request_signature: str) -> dict[str, str]:
    return {
        '"@status"': str(status),
        '"content-digest"': headers["content-digest"],
        '"hefu-sender"': headers["hefu-sender"],
        '"signature";req': request_signature,
    }


def _signed(
    components: tuple[str, ...],
    values: Mapping[str, str],
    parameters: Mapping[str, int | str],
    key: Ed25519PrivateKey,
) -> dict[str, str]:
    inner = write_input(components, parameters)
    signature = key.sign(signature_base([(name, values[name]) for name in components], inner))
    return {
        "signature-input": f"{LABEL}={inner}",
        "signature": f"{LABEL}=:{base64.b64encode(signature).decode()}:",
    }


def _verify(
    components: tuple[str, ...],
    values: Mapping[str, str],
    found: SignatureInput,
    signature: bytes,
    public_key: Ed25519PublicKey,
) -> None:
    try:
        base = signature_base([(name, values[name]) for name in components], found.inner)
        public_key.verify(signature, base)
    except InvalidSignature as error:
        raise SignatureRefused("signature_invalid", "the signature does not verify") from error


def _require(headers: Mapping[str, str], names: tuple[str, ...]) -> None:
    missing = [name for name in names if not headers.get(name)]
    if missing:
        raise SignatureRefused("signature_missing", f"no {missing[0]}")
    if any(len(headers[name]) > MAX_FIELD_CHARACTERS for name in names):
        raise SignatureRefused("signature_invalid", "a signature field is too long")


def _check_shape(found: SignatureInput, components: tuple[str, ...], tag: str) -> None:
    if found.label != LABEL or found.components != components:
        raise SignatureRefused("signature_invalid", "the signature covers other components")
    if found.text("alg") != "ed25519" or found.text("tag") != tag:
        raise SignatureRefused("signature_invalid", "the signature is for another use")
