"""Signed documents: frozen pydantic models with canonical bytes.

The bytes of a document are RFC 8785 JSON of its model, so that every party hashes and signs the same thing; its
digest is the SHA-256 of these bytes in hex. Optional fields that are absent are written as null, never left out.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hefu.domain.errors import DocumentInvalid

MAX_DOCUMENT_BYTES = 512 * 1024

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
OrgId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,31}$")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=4000)]
Key32 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$")]  # no other spelling of a key


class Document(BaseModel):
    """A frozen value with canonical bytes. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_bytes(self) -> bytes:
        """RFC 8785 bytes."""
        return rfc8785.dumps(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """SHA-256 of `to_bytes()`, 64 hex digits."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse canonical bytes.

        raises  DocumentInvalid naming the clause when a field is wrong or the bytes are not the canonical ones
        """
        if len(data) > MAX_DOCUMENT_BYTES:
            raise DocumentInvalid(cls.__name__, "", f"larger than {MAX_DOCUMENT_BYTES} bytes")
        try:
            document = cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            clause = ".".join(str(part) for part in first["loc"])
            raise DocumentInvalid(cls.__name__, clause, first["msg"]) from error
        except ValueError as error:
            raise DocumentInvalid(cls.__name__, "", "not JSON") from error
        try:
            canonical = document.to_bytes()
        except rfc8785.CanonicalizationError as error:
            raise DocumentInvalid(cls.__name__, "", f"has no canonical form: {error}") from error
        if canonical != data:
            raise DocumentInvalid(cls.__name__, "", "bytes are not canonical (RFC 8785)")
        return document


def text_digest(text: str) -> str:
    """SHA-256 (64 hex digits) of a text's UTF-8 bytes: names a notice where the document itself is not at hand."""
    return hashlib.sha256(text.encode()).hexdigest()
