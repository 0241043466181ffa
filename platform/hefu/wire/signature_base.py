"""HTTP message signatures: fields and signature base.

Source: RFC 9421 (sections 2.5, 3.1, 3.3.6, 4) with Ed25519, RFC 9530 (Content-Digest), RFC 8941 (structured fields; only the
forms that signatures need: one labelled inner list of strings, one byte sequence).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hefu.wire.errors import SignatureRefused

LABEL = "hefu"
_STRING = r'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
_ITEM = rf"{_STRING}(?:;[a-z][a-z0-9_-]*(?:={_STRING})?)*"
_INPUT = re.compile(
    rf"(?P<label>[a-z*][a-z0-9_.*-]*)=(?P<inner>\((?P<items>{_ITEM}(?: {_ITEM})*)?\)(?P<params>.*))"
)
_PARAMETER = re.compile(rf";(?P<name>[a-z][a-z0-9_-]*)=(?:(?P<integer>-?\d{{1,15}})|(?P<string>{_STRING}))")
_BYTES = re.compile(r"(?P<label>[a-z*][a-z0-9_.*-]*)=:(?P<base64>[A-Za-z0-9+/]*={0,2}):")


@dataclass(frozen=True)
class SignatureInput:
    """A Signature-Input field with one signature.

    components  identifiers as they stand in the field, e.g. `"@method"` with its quotes
    parameters  created (an int), nonce, keyid, alg, tag …
    inner       the text after `label=`, which the signature base repeats
    """

    label: str
    components: tuple[str, ...]
    parameters: Mapping[str, int | str]
    inner: str

    def text(self, name: str) -> str:
        """A parameter that must be a string.

        raises  SignatureRefused where it is missing or a number
        """
        value = self.parameters.get(name)
        if not isinstance(value, str):
            raise SignatureRefused("signature_invalid", f"parameter {name} is missing")
        return value

    def number(self, name: str) -> int:
        """A parameter that must be an integer.

        raises  SignatureRefused where it is missing or a string
        """
        value = self.parameters.get(name)
        if not isinstance(value, int):
            raise SignatureRefused("signature_invalid", f"parameter {name} is missing")
        return value


def write_input(components: Iterable[str], parameters: Mapping[str, int | str]) -> str:
    """Serialise an inner list with parameters: `("@method" …);created=1;nonce="…"`.

    raises  SignatureRefused when a string holds anything but printable ASCII
    """
    inner = f"({' '.join(components)})"
    for name, value in parameters.items():
        inner += f";{name}={value if isinstance(value, int) else _quote(value)}"
    return inner


def read_input(field: str) -> SignatureInput:
    """Parse a Signature-Input field that holds one signature.

    raises  SignatureRefused when it holds several, a component or parameter twice, or cannot be read
    """
    match = _INPUT.fullmatch(field.strip(" \t"))
    if match is None:
        raise SignatureRefused("signature_invalid", "Signature-Input cannot be read")
    components = tuple(re.findall(_ITEM, match["items"] or ""))
    parameters: dict[str, int | str] = {}
    position = 0
    while position < len(match["params"]):
        parameter = _PARAMETER.match(match["params"], position)
        if parameter is None or parameter["name"] in parameters:
            raise SignatureRefused("signature_invalid", "Signature-Input's parameters cannot be read")
        integer = parameter["integer"]
        parameters[parameter["name"]] = int(integer) if integer is not None else _unquote(parameter["string"])
        position = parameter.end()
    if len(set(components)) != len(components):
        raise SignatureRefused("signature_invalid", "a component is covered twice")
    return SignatureInput(match["label"], components, parameters, match["inner"])


def read_signature(field: str, label: str) -> bytes:
    """The signature's bytes from a Signature field that holds one signature under `label`.

    raises  SignatureRefused
    """
    match = _BYTES.fullmatch(field.strip(" \t"))
    if match is None or match["label"] != label:
        raise SignatureRefused("signature_invalid", "Signature cannot be read")
    try:
        return base64.b64decode(match["base64"], validate=True)
    except binascii.Error as error:
        raise SignatureRefused("signature_invalid", "Signature is not base64") from error


def signature_base(components: Iterable[tuple[str, str]], inner: str) -> bytes:
    """The bytes that are signed (RFC 9421, section 2.5).

    components  (identifier as in the field, value); no value may hold a line break
    raises      SignatureRefused when one does (it could pass for another component) or is not ASCII
    """
    lines = [*(f"{identifier}: {value}" for identifier, value in components), f'"@signature-params": {inner}']
    if any(not line.isascii() or "\n" in line or "\r" in line for line in lines):
        raise SignatureRefused("signature_invalid", "a component holds a line break, or is not ASCII")
    return "\n".join(lines).encode("ascii")


def content_digest(body: bytes) -> str:
    """Content-Digest of a body (RFC 9530), SHA-256."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def _quote(text: str) -> str:
    if not all(" " <= character <= "~" for character in text):
        raise SignatureRefused("signature_invalid", "a parameter is not printable ASCII")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquote(quoted: str) -> str:
    return re.sub(r'\\(["\\])', r"\1", quoted[1:-1])
