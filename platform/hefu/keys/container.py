"""Secrets at rest: one file, encrypted under a passphrase.

The file is a header line (JSON: format, kind, scrypt parameters, salt, nonce) and the ciphertext. The key comes from the
passphrase by scrypt (RFC 7914; N = 2^17, r = 8, p = 1: 128 MiB, about half a second), the content is sealed by AES-256-GCM with the header
line as associated data, so nobody can change the kind or the parameters. Files are 0600 in folders of 0700.

It does not protect against someone who reads the memory of a running process.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hefu.keys.errors import KeyFileDamaged, KeyFileExists, KeyFileMissing, PassphraseMissing, WrongPassphrase

FORMAT = "hefu-sealed-file-1"
MAX_FILE_BYTES = 64 * 1024
MAX_PASSPHRASE_BYTES = 4096
_SCRYPT = {"n": 2**17, "r": 8, "p": 1}


def read_passphrase(fd: int | None, file: Path | None) -> bytes:
    """Read a passphrase from a file descriptor (to its end; it is closed) or else from a file.

    returns  the bytes without the line's end
    raises   PassphraseMissing when neither is given, it cannot be read, or it is empty
    """
    try:
        if fd is not None:
            with os.fdopen(fd, "rb") as stream:
                data = stream.read(MAX_PASSPHRASE_BYTES + 1)
        elif file is not None:
            with file.open("rb") as stream:
                data = stream.read(MAX_PASSPHRASE_BYTES + 1)
        else:
            raise PassphraseMissing("neither a file descriptor nor a file was named")
    except OSError as error:
        raise PassphraseMissing(f"it cannot be read ({error.strerror})") from error
    passphrase = data.rstrip(b"\r\n")
    if not passphrase or len(data) > MAX_PASSPHRASE_BYTES:
        raise PassphraseMissing(
            "it is empty" if not passphrase else f"it has more than {MAX_PASSPHRASE_BYTES} bytes"
        )
    return passphrase


def write_sealed_file(path: Path, kind: str, content: bytes, passphrase: bytes) -> None:
    """Write `content` encrypted under the passphrase to a new file, 0600; its folder is made 0700 where it is missing.

    raises  KeyFileExists · PassphraseMissing when it is empty
    """
    if not passphrase:
        raise PassphraseMissing("it is empty")
    salt, nonce = secrets.token_bytes(32), secrets.token_bytes(12)
    header = {
        "format": FORMAT,
        "kind": kind,
        "kdf": "scrypt",
        **_SCRYPT,
        "salt": _b64(salt),
        "nonce": _b64(nonce),
    }
    line = json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    sealed = AESGCM(_derive(passphrase, salt, **_SCRYPT)).encrypt(nonce, content, line)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(line + sealed)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(
            temporary, path
        )  # fails where the file exists: a key is never overwritten, not even in a race
    except FileExistsError as error:
        raise KeyFileExists(path) from error
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def read_sealed_file(path: Path, kind: str, passphrase: bytes) -> bytes:
    """Decrypt what `write_sealed_file` wrote.

    raises  KeyFileMissing · KeyFileDamaged (not our format, another kind) · WrongPassphrase
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise KeyFileMissing(path) from error
    except OSError as error:
        raise KeyFileDamaged(path, f"cannot be read ({error.strerror})") from error
    line, newline, sealed = data.partition(b"\n")
    try:
        header = json.loads(line)
        salt, nonce = base64.b64decode(header["salt"]), base64.b64decode(header["nonce"])
        parameters = {name: int(header[name]) for name in ("n", "r", "p")}
        known = header["format"] == FORMAT and header["kdf"] == "scrypt" and len(nonce) == 12
        found = str(header["kind"])
    except (ValueError, KeyError, TypeError) as error:
        raise KeyFileDamaged(path, "is not in our format") from error
    if not known or len(data) > MAX_FILE_BYTES or parameters != _SCRYPT:
        raise KeyFileDamaged(path, "is not in our format")
    if found != kind:
        raise KeyFileDamaged(path, f"holds {found}, not {kind}")
    if not passphrase:
        raise PassphraseMissing("it is empty")
    try:
        return AESGCM(_derive(passphrase, salt, **parameters)).decrypt(nonce, sealed, line + newline)
    except InvalidTag as error:
        raise WrongPassphrase(path) from error


def make_private_folder(directory: Path) -> None:
    """Make a folder that only its owner can read (0700), and take others' rights away where it exists."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(directory.stat().st_mode) & 0o077:
        directory.chmod(0o700)


def _derive(passphrase: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _sync_folder(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
