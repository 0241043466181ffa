"""TLS between organisations: only the pinned key gets through, in either direction."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
import ssl
import threading
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hefu.keys import tls
from hefu.keys.certificates import SigningKey
from hefu.keys.errors import CertificateInvalid, KeyMismatch, KeysError
from hefu.keys.tls import spki_digest, to_pem
from hypothesis import given
from hypothesis import strategies as st


@dataclass(frozen=True)
class Party:
    """An organisation with its TLS key and certificate."""

    org_id: str
    key: EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return to_pem(self.certificate)

    @property
    def spki(self) -> str:
        return spki_digest(self.certificate)


CA_KEY = Ed25519PrivateKey.generate()
CA = tls.create_ca(CA_KEY)


def new_key() -> EllipticCurvePrivateKey:
    return generate_private_key(SECP256R1())


def admitted(org_id: str, key: EllipticCurvePrivateKey | None = None, **options: object) -> Party:
    """A party whose certificate the CA issued."""
    key = key or new_key()
    certificate = tls.issue_certificate(CA, CA_KEY, key.public_key(), org_id, **options)  # type: ignore[arg-type]
    return Party(org_id, key, certificate)


BANK, OTHER = admitted("bank", sans=["localhost", "127.0.0.1"]), admitted("exchange")


def handshake(
    server: ssl.SSLContext, client: ssl.SSLContext, pins: dict[str, str] | None = None
) -> tuple[str | None, BaseException | None, BaseException | None]:
    """Connect the two; returns (what the client read, the server's error, the client's error)."""
    left, right = socket.socketpair()
    left.settimeout(10)
    right.settimeout(10)
    errors: dict[str, BaseException] = {}

    def serve() -> None:
        try:
            with server.wrap_socket(left, server_side=True) as connection:
                if pins is not None:
                    tls.verify_peer(connection, pins)
                connection.sendall(b"hello")
        except (OSError, KeysError) as error:
            errors["server"] = error
        finally:
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    read = None
    try:
        with client.wrap_socket(right) as connection:
            read = f"{connection.recv(5).decode()} {connection.version()}"
    except OSError as error:
        errors["client"] = error
    finally:
        right.close()
        thread.join()
    return read, errors.get("server"), errors.get("client")


def pinned(party: Party, **own: object) -> ssl.SSLContext:
    return tls.pinned_client_context(party.pem, pin_spki=party.spki, org_id=party.org_id, **own)  # type: ignore[arg-type]


def served(party: Party) -> ssl.SSLContext:
    return tls.server_context(party.pem, party.key)


@pytest.mark.parametrize("ca_key", [Ed25519PrivateKey.generate(), new_key()])
def test_the_pinned_leaf_gets_through_whatever_its_authority(ca_key: SigningKey) -> None:
    key = new_key()
    certificate = tls.issue_certificate(tls.create_ca(ca_key), ca_key, key.public_key(), "bank")
    party = Party("bank", key, certificate)
    assert handshake(served(party), pinned(party))[0] == "hello TLSv1.3"


def test_a_self_signed_leaf_gets_through_when_pinned() -> None:
    key = new_key()
    party = Party("bank", key, tls.self_signed(key, "bank", sans=["::1", "node.example"]))
    assert handshake(served(party), pinned(party))[0] == "hello TLSv1.3"
    assert tls.org_of(party.certificate) == "bank"


def test_the_right_authority_with_another_key_is_refused() -> None:
    """The operator's CA issues a second certificate in the bank's name for a key of its own."""
    read, _, error = handshake(served(admitted("bank")), pinned(BANK))
    assert read is None
    assert isinstance(error, ssl.SSLCertVerificationError)


def test_trusting_the_authority_the_second_certificate_would_pass() -> None:
    context = pinned(BANK)
    context.load_verify_locations(cadata=to_pem(CA))
    assert handshake(served(admitted("bank")), context)[0] == "hello TLSv1.3"


def test_an_expired_leaf_is_refused_though_it_is_pinned() -> None:
    old = admitted("bank", not_before=dt.datetime.now(dt.UTC) - dt.timedelta(days=10), valid_days=5)
    read, _, error = handshake(served(old), pinned(old))
    assert read is None
    assert "expired" in str(error)


def test_a_leaf_from_the_future_is_refused() -> None:
    early = admitted("bank", not_before=dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
    assert handshake(served(early), pinned(early))[0] is None


def test_a_leaf_cannot_issue() -> None:
    """The bank's own pinned key signs a certificate for someone else: the leaf is no authority."""
    key = new_key()
    below = tls.issue_certificate(BANK.certificate, BANK.key, key.public_key(), "bank")
    context = tls.server_context(to_pem(below) + BANK.pem, key)
    assert handshake(context, pinned(BANK))[0] is None


def test_a_certificate_that_is_not_the_pinned_one_is_refused_before_connecting() -> None:
    with pytest.raises(CertificateInvalid, match="not the one pinned"):
        tls.pinned_client_context(BANK.pem, pin_spki=OTHER.spki, org_id="bank")
    with pytest.raises(CertificateInvalid, match="not exchange's"):
        tls.pinned_client_context(BANK.pem, pin_spki=BANK.spki, org_id="exchange")
    with pytest.raises(CertificateInvalid):
        tls.pinned_client_context(to_pem(CA), pin_spki=spki_digest(CA), org_id="bank")
    with pytest.raises(CertificateInvalid):
        tls.pinned_client_context("no certificate", pin_spki=BANK.spki, org_id="bank")


def test_without_the_pin_a_swapped_certificate_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    swapped = admitted("bank")
    with pytest.raises(CertificateInvalid):
        tls.pinned_client_context(swapped.pem, pin_spki=BANK.spki, org_id="bank")
    monkeypatch.setattr(tls, "verify_pin", lambda certificate, pin, org: None)
    context = tls.pinned_client_context(swapped.pem, pin_spki=BANK.spki, org_id="bank")
    assert handshake(served(swapped), context)[0] == "hello TLSv1.3"


def test_an_authority_cannot_be_pinned_as_a_leaf() -> None:
    """A certificate for the pinned key that may issue others would let its holder stand for several."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bank")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(BANK.key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier("hefu://bank")]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(BANK.key, hashes.SHA256())
    )
    with pytest.raises(CertificateInvalid, match="may issue"):
        tls.pinned_client_context(to_pem(certificate), pin_spki=BANK.spki, org_id="bank")


def test_nothing_below_tls_1_3() -> None:
    old = pinned(BANK)
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(served(BANK), old)[0] is None


def test_a_certificate_for_another_key_is_not_served() -> None:
    with pytest.raises(KeyMismatch):
        tls.server_context(BANK.pem, OTHER.key)


def test_reload_changes_the_certificate_of_a_running_context() -> None:
    before, after = admitted("bank"), admitted("bank")
    context = served(before)
    assert handshake(context, pinned(before))[0] is not None
    tls.reload(context, after.pem, after.key)
    assert handshake(context, pinned(after))[0] is not None
    assert handshake(context, pinned(before))[0] is None


def test_no_private_key_is_left_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """The key passes through memory only, encrypted even there."""
    seen: list[bytes] = []
    write = os.write
    monkeypatch.setattr(
        os, "write", lambda descriptor, content: seen.append(content) or write(descriptor, content)
    )
    before = set(os.listdir("/proc/self/fd"))
    served(BANK)
    assert set(os.listdir("/proc/self/fd")) == before
    assert len(seen) == 1
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in seen[0]
    assert b"BEGIN PRIVATE KEY" not in seen[0]


# Channels between compute parties


def channel(own: Party, *peers: Party, server: bool) -> ssl.SSLContext:
    make = tls.channel_server_context if server else tls.channel_client_context
    return make(own.pem, own.key, {peer.org_id: (peer.spki, peer.pem) for peer in peers})


def test_a_channel_between_two_pinned_parties() -> None:
    server, client = channel(BANK, OTHER, server=True), channel(OTHER, BANK, server=False)
    assert handshake(server, client, {"exchange": OTHER.spki}) == ("hello TLSv1.3", None, None)


def test_a_channel_refuses_whoever_is_not_in_the_set() -> None:
    third = admitted("operator")
    server = channel(BANK, OTHER, server=True)
    read, error, _ = handshake(server, channel(third, BANK, server=False), {"exchange": OTHER.spki})
    assert not read or not read.startswith("hello")
    assert isinstance(error, ssl.SSLError)


def test_a_channel_refuses_the_same_organisation_with_another_key() -> None:
    server = channel(BANK, OTHER, server=True)
    read, error, _ = handshake(
        server, channel(admitted("exchange"), BANK, server=False), {"exchange": OTHER.spki}
    )
    assert not read or not read.startswith("hello")
    assert isinstance(error, ssl.SSLError)


def test_a_channel_refuses_a_peer_without_certificate() -> None:
    read, error, _ = handshake(channel(BANK, OTHER, server=True), pinned(BANK))
    assert not read or not read.startswith("hello")
    assert isinstance(error, ssl.SSLError)


def test_a_party_of_the_set_cannot_pass_for_another() -> None:
    """Two peers are in the set; the connection with one must not be taken for the other's."""
    third = admitted("operator")
    server = channel(BANK, OTHER, third, server=True)
    client = channel(third, BANK, server=False)
    read, error, _ = handshake(server, client, {"exchange": OTHER.spki})
    assert not read or not read.startswith("hello")
    assert isinstance(error, CertificateInvalid)
    assert handshake(server, client, {"exchange": OTHER.spki, "operator": third.spki})[1] is None


def test_the_pin_is_compared_on_the_connection_too() -> None:
    server, client = channel(BANK, OTHER, server=True), channel(OTHER, BANK, server=False)
    _, error, _ = handshake(server, client, {"exchange": BANK.spki})
    assert isinstance(error, CertificateInvalid)


# Certificates


@pytest.mark.parametrize("org_id", ["", "Bank", "a", "bank/x", "bank x", "x" * 40, "-bank"])
def test_certificates_name_organisations_only(org_id: str) -> None:
    with pytest.raises(CertificateInvalid):
        tls.self_signed(BANK.key, org_id)


def test_a_certificate_without_or_with_two_organisations_names_none() -> None:
    with pytest.raises(CertificateInvalid):
        tls.org_of(CA)
    name = x509.Name([])
    uris = [x509.UniformResourceIdentifier(f"hefu://{org}") for org in ("bank", "operator")]
    two = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(BANK.key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2026, 1, 1))
        .not_valid_after(dt.datetime(2027, 1, 1))
        .add_extension(x509.SubjectAlternativeName(uris), critical=False)
        .sign(BANK.key, hashes.SHA256())
    )
    with pytest.raises(CertificateInvalid):
        tls.org_of(two)


def test_the_digest_is_that_of_the_public_key() -> None:
    assert spki_digest(BANK.certificate) == spki_digest(BANK.key) == spki_digest(BANK.key.public_key())
    assert len(spki_digest(BANK.key)) == 64


@given(st.data())
def test_a_damaged_certificate_leaves_as_our_own_error(data: st.DataObject) -> None:
    der = bytearray(BANK.certificate.public_bytes(Encoding.DER))
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] ^= data.draw(st.integers(1, 255))
    pem = ssl.DER_cert_to_PEM_cert(bytes(der))
    with contextlib.suppress(CertificateInvalid):  # anything else would be a stray error
        certificate = tls.load_certificate(pem)
        tls.verify_pin(certificate, BANK.spki, "bank")
        assert spki_digest(certificate) == BANK.spki
