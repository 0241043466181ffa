"""Files at rest, each encrypted under a key of its own purpose: destroying the key destroys every copy of the file.

    file  = magic (8) · salt (32) · AES-256-GCM chunks
    key   = HKDF-SHA256(storage key, salt): files under one storage key never share a nonce
    chunk = 1 MiB of content (the last may be shorter) and its tag; its nonce is (chunk number, last?), so that none can be
            dropped, added or reordered: the STREAM construction of Hoang, Reyhanitabar, Rogaway, Vizár (2015)

Both ways stream: a chunk is in memory, never the file. What was decrypted lies in anonymous memory (memfd), not on a disk.
The file's length can be seen. It does not protect against someone who reads the memory of a running process.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import struct
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hefu.keys.errors import FileSealInvalid

MAGIC = b"HEFUFIL1"
KEY_BYTES = 32
CHUNK_BYTES = 2**20
_SALT_BYTES, _TAG_BYTES = 32, 16


def new_key() -> bytes:
    """A fresh storage key."""
    return secrets.token_bytes(KEY_BYTES)


def key_digest(key: bytes) -> str:
    """Names a storage key (64 hex digits) and tells nothing of it: it has 256 random bits."""
    return hashlib.sha256(b"hefu storage key v1\n" + key).hexdigest()


class EncryptingWriter(io.RawIOBase):
    """A file to write to: nothing of what is written reaches the disk in clear. Close it, or it does not open again."""

    def __init__(self, path: Path, key: bytes) -> None:
        super().__init__()
        salt = secrets.token_bytes(_SALT_BYTES)
        self._cipher = AESGCM(_file_key(key, salt))
        self._waiting, self._number = bytearray(), 0
        self._file: BinaryIO = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self._file.write(MAGIC + salt)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object, /) -> int:
        """Take bytes; whole chunks go to the file."""
        block = memoryview(data).cast("B")  # type: ignore[arg-type]  # whatever has a buffer
        self._waiting += block
        while len(self._waiting) > CHUNK_BYTES:  # the last chunk is only known when it is closed
            self._put(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]
        return len(block)

    def close(self) -> None:
        """Write the last chunk and sync."""
        if not self.closed:
            try:
                self._put(bytes(self._waiting), last=True)
                self._waiting.clear()
                self._file.flush()
                os.fsync(self._file.fileno())
            finally:
                self._file.close()
                super().close()

    def _put(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last), chunk, MAGIC))
        self._number += 1


def encrypt_file(source: Path, target: Path, key: bytes) -> None:
    """Write `source` encrypted to `target` (0600, in one step); `source` stays."""
    temporary = target.with_name(target.name + ".new")
    with source.open("rb") as plain, EncryptingWriter(temporary, key) as out:
        while block := plain.read(CHUNK_BYTES):
            out.write(block)
    temporary.replace(target)


def is_encrypted(path: Path) -> bool:
    """Whether a file is of this form. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def open_decrypted(path: Path, key: bytes) -> BinaryIO:
    """The content in anonymous memory, from its start; gone when it is closed.

    raises  FileSealInvalid: another key, altered, cut, extended · OSError
    """
    plain = os.fdopen(os.memfd_create("hefu"), "w+b")
    try:
        with path.open("rb") as file:
            head = file.read(len(MAGIC) + _SALT_BYTES)
            if len(head) != len(MAGIC) + _SALT_BYTES or head[: len(MAGIC)] != MAGIC:
                raise FileSealInvalid("is not an encrypted file")
            cipher = AESGCM(_file_key(key, head[len(MAGIC) :]))
            block, number = file.read(CHUNK_BYTES + _TAG_BYTES), 0
            while True:
                following = file.read(CHUNK_BYTES + _TAG_BYTES)
                plain.write(cipher.decrypt(_nonce(number, not following), block, MAGIC))
                if not following:
                    break
                block, number = following, number + 1
    except (InvalidTag, ValueError) as error:
        plain.close()
        raise FileSealInvalid("does not open under this key, or was altered") from error
    except BaseException:
        plain.close()
        raise
    plain.flush()
    plain.seek(0)
    return plain


def _file_key(key: bytes, salt: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"hefu file at rest v1").derive(key)


def _nonce(number: int, last: bool) -> bytes:
    return struct.pack(">3xQ?", number, last)
