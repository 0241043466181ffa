"""Keys at rest: encrypted, private to their owner, never overwritten, never opened by another passphrase."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hefu.keys import container, keystore
from hefu.keys.errors import (
    KeyFileDamaged,
    KeyFileExists,
    KeyFileMissing,
    KeyMismatch,
    PassphraseMissing,
    WrongPassphrase,
)
from hypothesis import given
from hypothesis import strategies as st

PASSPHRASE = b"correct horse battery staple"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cheap scrypt: 4 MiB instead of 128."""
    monkeypatch.setitem(container._SCRYPT, "n", 2**12)


def _raw(keys: keystore.NodeKeys) -> tuple[bytes, ...]:
    tls = keys.tls.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return keys.identity.private_bytes_raw(), keys.sealing.private_bytes_raw(), tls


def test_keys_come_back_as_they_were_made(tmp_path: Path) -> None:
    made = keystore.create_keys(tmp_path / "bank", PASSPHRASE)
    assert _raw(keystore.open_keys(tmp_path / "bank", PASSPHRASE)) == _raw(made)


def test_files_and_folder_are_their_owners_alone(tmp_path: Path, quick: None) -> None:
    folder = tmp_path / "bank"
    folder.mkdir(mode=0o755)
    keystore.create_keys(folder, PASSPHRASE)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600]


def test_no_private_key_stands_in_the_file_or_the_repr(tmp_path: Path, quick: None) -> None:
    keys = keystore.create_keys(tmp_path, PASSPHRASE)
    content = (tmp_path / keystore.KEY_FILE).read_bytes()
    for raw in _raw(keys):
        for form in (raw, base64.b64encode(raw), raw.hex().encode()):
            assert form not in content
            assert form not in repr(keys).encode()


def test_a_wrong_passphrase_says_what_to_do(tmp_path: Path, quick: None) -> None:
    keystore.create_keys(tmp_path, PASSPHRASE)
    with pytest.raises(WrongPassphrase, match="Check the passphrase"):
        keystore.open_keys(tmp_path, PASSPHRASE + b"x")


def test_keys_are_never_overwritten(tmp_path: Path, quick: None) -> None:
    made = keystore.create_keys(tmp_path, PASSPHRASE)
    with pytest.raises(KeyFileExists):
        keystore.create_keys(tmp_path, b"another")
    assert _raw(keystore.open_keys(tmp_path, PASSPHRASE)) == _raw(made)
    assert [path.name for path in tmp_path.iterdir()] == [keystore.KEY_FILE]


def test_missing_keys(tmp_path: Path) -> None:
    with pytest.raises(KeyFileMissing):
        keystore.open_keys(tmp_path, PASSPHRASE)


def test_a_folder_in_the_keys_place(tmp_path: Path) -> None:
    (tmp_path / keystore.KEY_FILE).mkdir()
    with pytest.raises(KeyFileDamaged, match="cannot be read"):
        keystore.open_keys(tmp_path, PASSPHRASE)


def test_every_altered_byte_is_caught(tmp_path: Path, quick: None) -> None:
    path = tmp_path / "log.key"
    keystore.create_signing_key(path, PASSPHRASE)
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises((WrongPassphrase, KeyFileDamaged)):
            keystore.open_signing_key(path, PASSPHRASE)
    for cut in (0, 10, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises((WrongPassphrase, KeyFileDamaged)):
            keystore.open_signing_key(path, PASSPHRASE)


def test_the_header_is_authenticated(tmp_path: Path, quick: None) -> None:
    """A header that still reads well, but is not the one that was written."""
    path = tmp_path / "log.key"
    keystore.create_signing_key(path, PASSPHRASE)
    line, _, sealed = path.read_bytes().partition(b"\n")
    header = {**json.loads(line), "note": "harmless"}
    path.write_bytes(json.dumps(header).encode() + b"\n" + sealed)
    with pytest.raises(WrongPassphrase):
        keystore.open_signing_key(path, PASSPHRASE)


def test_a_file_of_one_kind_does_not_open_as_another(tmp_path: Path, quick: None) -> None:
    keystore.create_signing_key(tmp_path / keystore.KEY_FILE, PASSPHRASE)
    with pytest.raises(KeyFileDamaged, match="ed25519-signing-key"):
        keystore.open_keys(tmp_path, PASSPHRASE)


def test_costly_parameters_in_a_planted_file_are_refused(tmp_path: Path, quick: None) -> None:
    path = tmp_path / "log.key"
    keystore.create_signing_key(path, PASSPHRASE)
    line, _, sealed = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps({**json.loads(line), "n": 2**40}).encode() + b"\n" + sealed)
    with pytest.raises(KeyFileDamaged):
        keystore.open_signing_key(path, PASSPHRASE)


def test_passphrase_from_descriptor_and_file(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, PASSPHRASE + b"\n")
    os.close(writer)
    assert keystore.read_passphrase(reader, None) == PASSPHRASE
    with pytest.raises(OSError):
        os.fstat(reader)  # it was closed: children do not inherit it
    file = tmp_path / "passphrase"
    file.write_bytes(PASSPHRASE + b"\r\n")
    assert keystore.read_passphrase(None, file) == PASSPHRASE


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 5000])
def test_passphrases_that_are_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    with pytest.raises(PassphraseMissing):
        keystore.read_passphrase(None, file)


def test_no_passphrase_named_or_found(tmp_path: Path) -> None:
    with pytest.raises(PassphraseMissing):
        keystore.read_passphrase(None, None)
    with pytest.raises(PassphraseMissing):
        keystore.read_passphrase(None, tmp_path / "nowhere")
    with pytest.raises(PassphraseMissing):
        keystore.create_keys(tmp_path, b"")


def test_public_keys_travel_as_text() -> None:
    keys = keystore.NodeKeys.generate()
    identity = keystore.load_public_ed25519(keystore.public_b64(keys.identity))
    sealing = keystore.load_public_x25519(keystore.public_b64(keys.sealing))
    assert identity.public_bytes_raw() == keystore.public_raw(keys.identity)
    assert sealing.public_bytes_raw() == keystore.public_raw(keys.sealing)


@given(st.one_of(st.text(), st.binary(max_size=64).map(lambda raw: base64.b64encode(raw).decode())))
def test_text_that_is_no_key_is_refused(text: str) -> None:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if len(raw) == 32 and base64.b64encode(raw).decode() == text:
        assert keystore.load_public_ed25519(text).public_bytes_raw() == raw
    else:
        with pytest.raises(KeyMismatch):
            keystore.load_public_ed25519(text)
