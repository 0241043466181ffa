"""An organisation's keys at rest.

A node has three key pairs: an Ed25519 identity key (signs), an X25519 sealing key (opens what is sealed to it) and a P-256 TLS
key (browsers and OpenSSL's defaults accept it); and two secrets of its own: `subjects` (names data subjects on its exclusion
lists by keyed hash) and `storage` (wraps the keys of files at rest). They lie in one encrypted file, so that they are opened,
backed up and lost together. A file written before it held the two secrets gives those derived from its sealing key. Single Ed25519 keys (the certificate authority's, the ledger's) use the same container.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from hefu.keys.container import make_private_folder, read_passphrase, read_sealed_file, write_sealed_file
from hefu.keys.errors import KeyFileDamaged
from hefu.keys.public import (
    key_id,
    load_public_ed25519,
    load_public_x25519,
    public_b64,
    public_raw,
    spki_digest,
)

__all__ = [
    "NodeKeys",
    "create_keys",
    "create_signing_key",
    "key_id",
    "load_public_ed25519",
    "load_public_x25519",
    "open_keys",
    "open_signing_key",
    "public_b64",
    "public_raw",
    "read_passphrase",
    "spki_digest",
]

KEY_FILE = "node.keys"
SECRET_BYTES = 32
_NODE_KIND = "node-keys"
_SIGNING_KIND = "ed25519-signing-key"


@dataclass(frozen=True, repr=False)
class NodeKeys:
    """The private keys of one organisation. Its repr shows none of them."""

    identity: Ed25519PrivateKey
    sealing: X25519PrivateKey
    tls: EllipticCurvePrivateKey
    subjects: bytes = field(default_factory=lambda: secrets.token_bytes(SECRET_BYTES))
    storage: bytes = field(default_factory=lambda: secrets.token_bytes(SECRET_BYTES))

    @classmethod
    def generate(cls) -> NodeKeys:
        """Fresh keys, in memory only."""
        return cls(
            Ed25519PrivateKey.generate(), X25519PrivateKey.generate(), generate_private_key(SECP256R1())
        )

    def __repr__(self) -> str:
        return f"NodeKeys(identity={public_b64(self.identity)})"


def create_keys(directory: Path, passphrase: bytes) -> NodeKeys:
    """Generate keys and write them encrypted to `directory`/node.keys (0600; the folder becomes 0700).

    raises  KeyFileExists · PassphraseMissing
    """
    keys = NodeKeys.generate()
    tls = keys.tls.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    secrets_by_name = {
        "identity": keys.identity.private_bytes_raw(),
        "sealing": keys.sealing.private_bytes_raw(),
        "tls": tls,
        "subjects": keys.subjects,
        "storage": keys.storage,
    }
    content = json.dumps(
        {name: base64.b64encode(raw).decode() for name, raw in secrets_by_name.items()}
    ).encode()
    make_private_folder(directory)
    write_sealed_file(directory / KEY_FILE, _NODE_KIND, content, passphrase)
    return keys


def open_keys(directory: Path, passphrase: bytes) -> NodeKeys:
    """Open the keys that `create_keys` wrote.

    raises  KeyFileMissing · KeyFileDamaged · WrongPassphrase
    """
    path = directory / KEY_FILE
    content = read_sealed_file(path, _NODE_KIND, passphrase)
    try:
        raw = {name: base64.b64decode(text, validate=True) for name, text in json.loads(content).items()}
        identity = Ed25519PrivateKey.from_private_bytes(raw["identity"])
        sealing = X25519PrivateKey.from_private_bytes(raw["sealing"])
        tls = load_der_private_key(raw["tls"], None)
        subjects, storage = (
            raw[name] if name in raw else _derived(sealing, name) for name in ("subjects", "storage")
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyFileDamaged(path, "its content is not a node's keys") from error
    if not isinstance(tls, EllipticCurvePrivateKey) or not isinstance(tls.curve, SECP256R1):
        raise KeyFileDamaged(path, "its TLS key is not a P-256 key")
    if len(subjects) != SECRET_BYTES or len(storage) != SECRET_BYTES:
        raise KeyFileDamaged(path, "its secrets are of another length")
    return NodeKeys(identity, sealing, tls, subjects, storage)


def _derived(sealing: X25519PrivateKey, name: str) -> bytes:
    info = b"hefu node secret v1 " + name.encode()
    return HKDF(algorithm=SHA256(), length=SECRET_BYTES, salt=None, info=info).derive(
        sealing.private_bytes_raw()
    )


def create_signing_key(path: Path, passphrase: bytes) -> Ed25519PrivateKey:
    """Generate one Ed25519 key and write it encrypted to `path` (0600; its folder becomes 0700).

    raises  KeyFileExists · PassphraseMissing
    """
    key = Ed25519PrivateKey.generate()
    make_private_folder(path.parent)
    write_sealed_file(path, _SIGNING_KIND, key.private_bytes_raw(), passphrase)
    return key


def open_signing_key(path: Path, passphrase: bytes) -> Ed25519PrivateKey:
    """Open the key that `create_signing_key` wrote.

    raises  KeyFileMissing · KeyFileDamaged · WrongPassphrase
    """
    try:
        return Ed25519PrivateKey.from_private_bytes(read_sealed_file(path, _SIGNING_KIND, passphrase))
    except ValueError as error:
        raise KeyFileDamaged(path, "its content is not an Ed25519 key") from error
