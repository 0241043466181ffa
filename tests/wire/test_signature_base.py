"""RFC 9421: its own Ed25519 vector, its grammar, and garbage."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from hefu.wire.errors import SignatureRefused
from hefu.wire.signature_base import (
    content_digest,
    read_input,
    read_signature,
    signature_base,
    write_input,
)
from hypothesis import given
from hypothesis import strategies as st

# RFC 9421, B.1.4 and B.2.6
PRIVATE_KEY = "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF"
PUBLIC_KEY = "MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs="
INPUT = (
    'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
SIGNATURE = (
    "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"
)
COMPONENTS = [
    ('"date"', "Tue, 20 Apr 2021 02:07:55 GMT"),
    ('"@method"', "POST"),
    ('"@path"', "/foo"),
    ('"@authority"', "example.com"),
    ('"content-type"', "application/json"),
    ('"content-length"', "18"),
]


def test_the_rfcs_signature_base() -> None:
    base = signature_base(COMPONENTS, read_input(INPUT).inner)
    assert base.decode() == (
        '"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@method": POST\n"@path": /foo\n"@authority": example.com\n'
        '"content-type": application/json\n"content-length": 18\n'
        '"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")'
        ';created=1618884473;keyid="test-key-ed25519"'
    )


def test_the_rfcs_signature_is_made_and_verified() -> None:
    found = read_input(INPUT)
    base = signature_base(COMPONENTS, found.inner)
    signature = read_signature(SIGNATURE, found.label)
    private = load_der_private_key(base64.b64decode(PRIVATE_KEY), None)
    public = load_der_public_key(base64.b64decode(PUBLIC_KEY))
    assert isinstance(private, Ed25519PrivateKey)
    assert private.sign(base) == signature
    assert private.public_key() == public
    private.public_key().verify(signature, base)


def test_what_is_written_is_read() -> None:
    parameters = {"created": 1618884473, "nonce": 'a"b\\c', "keyid": "k"}
    found = read_input("hefu=" + write_input(['"@method"', '"signature";req'], parameters))
    assert found.components == ('"@method"', '"signature";req')
    assert dict(found.parameters) == parameters


@pytest.mark.parametrize(
    "field",
    [
        "",
        "hefu",
        "hefu=",
        'hefu=("@method"',
        'hefu=("@method" "@method");created=1',
        'hefu=("@method"  "@path");created=1',
        'hefu=("@method");created=1;created=2',
        'hefu=("@method");created',
        'hefu=("@method");created=1, other=("@path");created=1',
        'hefu=("@method");created=1;nonce="a\nb"',
        'hefu=("@method");created=1;nonce="a',
        "hefu=(@method);created=1",
        'hefu=("@method");created=99999999999999999999',
        'HEFU=("@method");created=1',
    ],
)
def test_what_is_not_one_signature_input_is_refused(field: str) -> None:
    with pytest.raises(SignatureRefused) as caught:
        read_input(field)
    assert caught.value.code == "signature_invalid"


@pytest.mark.parametrize(
    "field",
    ["", "hefu=", "hefu=abcd", "hefu=:abc:", "other=:AAAA:", "hefu=:AAAA:, other=:AAAA:", "hefu=:A A:"],
)
def test_what_is_not_one_signature_is_refused(field: str) -> None:
    with pytest.raises(SignatureRefused):
        read_signature(field, "hefu")


@pytest.mark.parametrize("value", ['/a\n"@method": GET', "/a\r", "/合"])
def test_a_value_cannot_pass_for_another_component(value: str) -> None:
    with pytest.raises(SignatureRefused):
        signature_base([('"@path"', value)], "()")


@given(st.text(max_size=200))
def test_garbage_leaves_as_our_own_error(text: str) -> None:
    for field in (text, f"hefu={text}", f'hefu=("@method"){text}'):
        try:
            found = read_input(field)
        except SignatureRefused:
            continue
        assert found.inner in field
    with pytest.raises(SignatureRefused):
        read_signature(text + "!", "hefu")


def test_content_digest_of_the_rfcs_body() -> None:
    """RFC 9530, appendix D: the digest of an empty body; computed there as SHA-256 of no bytes."""
    assert content_digest(b"") == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
