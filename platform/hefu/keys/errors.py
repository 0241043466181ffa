"""The errors of keys, seals and certificates.

KeysError
├─ KeyFileMissing        there is no key file at this path
├─ KeyFileExists         a key file is there already; keys are never overwritten
├─ KeyFileDamaged        a key file that is not in our container format
├─ PassphraseMissing     no passphrase was given, or an empty one
├─ WrongPassphrase       the passphrase does not open the key file
├─ KeyMismatch           a key is not the one that was expected, or is of another type
├─ FileSealInvalid       a file at rest does not open under this key
├─ SealInvalid           a sealed envelope is not what was expected; `field` says which part, never the payload
└─ CertificateInvalid    a certificate, or a peer, is not the pinned one; `reason` says why
"""

from __future__ import annotations

from pathlib import Path


class KeysError(Exception):
    """Root of the errors of keys; `mend` says what to do about it, where something can be done."""

    mend: str = ""


class KeyFileMissing(KeysError):
    """There is no key file at this path."""

    mend = "Create the keys first, or correct the path."

    def __init__(self, path: Path) -> None:
        super().__init__(f"no key file at {path}")
        self.path = path


class KeyFileExists(KeysError):
    """A key file is there already; keys are never overwritten."""

    mend = "Open the existing keys, or choose another folder."

    def __init__(self, path: Path) -> None:
        super().__init__(f"there is a key file at {path} already")
        self.path = path


class KeyFileDamaged(KeysError):
    """A key file that is not in our container format, or holds another kind of key."""

    mend = "Restore the key file from its backup."

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"key file {path}: {reason}")
        self.path, self.reason = path, reason


class PassphraseMissing(KeysError):
    """No passphrase was given, or an empty one."""

    mend = "Give the passphrase by file descriptor or by file."

    def __init__(self, reason: str) -> None:
        super().__init__(f"no passphrase: {reason}")


class WrongPassphrase(KeysError):
    """The passphrase does not open the key file (or its ciphertext was altered: the two cannot be told apart)."""

    mend = "Check the passphrase; if it is right, the key file was altered: restore it from its backup."

    def __init__(self, path: Path) -> None:
        super().__init__(f"the passphrase does not open {path}. {self.mend}")
        self.path = path


class KeyMismatch(KeysError):
    """A key is not the one that was expected, or is of another type."""


class SealInvalid(KeysError):
    """A sealed envelope is not what was expected.

    field  `format`, a field of the header (`sender`, `job`, …), `recipient_key`, `payload` or `signature`
    """

    def __init__(self, field: str, reason: str = "") -> None:
        super().__init__(f"sealed envelope: {field} {reason or 'is not the expected one'}")
        self.field = field


class FileSealInvalid(KeysError):
    """A file at rest does not open: another key, altered, cut or extended."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"a file at rest {reason}")


class CertificateInvalid(KeysError):
    """A certificate, or a peer, is not the pinned one."""

    mend = "Compare the certificate with the admitted application; if the peer was re-admitted, take its new pin from a signed contract."

    def __init__(self, reason: str) -> None:
        super().__init__(f"certificate: {reason}")
        self.reason = reason
