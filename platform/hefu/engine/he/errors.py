"""What can go wrong under encryption.

HeError
├─ KeyInvalid          a key that is malformed, too short, or not of this kind
├─ CiphertextInvalid   bytes or numbers that are no ciphertext under this key
├─ PlaintextOverflow   a value that the scheme's plaintext space does not hold
├─ HeadroomExceeded    packed slots that might run into each other
└─ NotSupported        an operation that the scheme does not have
"""

from hefu.engine.errors import EngineError


class HeError(EngineError):
    """Anything that goes wrong under encryption."""

    code = "he_error"


class KeyInvalid(HeError):
    """A key that is malformed, too short, or not of this kind."""

    code = "he_key_invalid"


class CiphertextInvalid(HeError):
    """Bytes or numbers that are no ciphertext under this key."""

    code = "he_ciphertext_invalid"


class PlaintextOverflow(HeError):
    """A value that the scheme's plaintext space does not hold."""

    code = "he_plaintext_overflow"


class HeadroomExceeded(HeError):
    """Packed slots that might run into each other."""

    code = "he_headroom_exceeded"


class NotSupported(HeError):
    """An operation that the scheme does not have."""

    code = "he_not_supported"
