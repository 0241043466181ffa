"""Signed requests and answers: nothing that is covered can be changed, and another implementation agrees."""

from __future__ import annotations

import dataclasses
import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu.keys.public import key_id
from hefu.wire import signing
from hefu.wire.errors import SignatureRefused
from hefu.wire.signing import Message, sign_request, sign_response, verify_request, verify_response
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = int(dt.datetime.now(dt.UTC).timestamp())
KEY, OTHER_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
MESSAGE = Message("POST", "bank.example:8443", "/orders/%E5%90%88", "job=1&attempt=2", b'{"rows": 3}')
ALTERED = {
    "method": "PUT",
    "authority": "other.example:8443",
    "path": "/orders/%e5%90%88",
    "query": "job=1&attempt=3",
    "body": b'{"rows": 4}',
}


def signed(message: Message = MESSAGE, key: Ed25519PrivateKey = KEY, **changes: Any) -> dict[str, str]:
    fields = {"sender": "institution", "recipient": "bank", "created": NOW} | changes
    return sign_request(message, key=key, **fields)


def refused(message: Message, headers: dict[str, str], recipient: str = "bank") -> str:
    with pytest.raises(SignatureRefused) as caught:
        verify_request(message, headers, recipient=recipient, public_key=KEY.public_key())
    return caught.value.code


def test_a_signed_request_verifies() -> None:
    headers = signed(nonce="n" * 24)
    verified = verify_request(MESSAGE, headers, recipient="bank", public_key=KEY.public_key())
    assert verified == signing.VerifiedRequest("institution", key_id(KEY), "n" * 24, NOW)


@given(st.binary(max_size=50), st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
def test_any_request_verifies_as_it_was_signed(body: bytes, query: str) -> None:
    message = dataclasses.replace(MESSAGE, body=body, query=query)
    verify_request(message, signed(message), recipient="bank", public_key=KEY.public_key())


@pytest.mark.parametrize("part", ALTERED)
def test_each_part_of_the_message_is_covered(part: str) -> None:
    altered = dataclasses.replace(MESSAGE, **{part: ALTERED[part]})
    expected = "digest_mismatch" if part == "body" else "signature_invalid"
    assert refused(altered, signed()) == expected


def test_a_body_and_its_digest_altered_together_are_refused() -> None:
    altered = dataclasses.replace(MESSAGE, body=b"{}")
    headers = signed() | {"content-digest": signing.content_digest(b"{}")}
    assert refused(altered, headers) == "signature_invalid"


def test_without_the_digest_check_the_altered_body_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = signed()
    altered = dataclasses.replace(MESSAGE, body=b"{}")
    monkeypatch.setattr(signing, "content_digest", lambda body: headers["content-digest"])
    verify_request(altered, headers, recipient="bank", public_key=KEY.public_key())


@pytest.mark.parametrize("name", signing.SIGNED_HEADERS)
def test_each_field_must_be_there(name: str) -> None:
    headers = signed()
    del headers[name]
    assert refused(MESSAGE, headers) == "signature_missing"


@pytest.mark.parametrize("name", signing.SIGNED_HEADERS)
def test_each_field_is_protected(name: str) -> None:
    """Every field taken from another valid request of the same sender."""
    other = signed(dataclasses.replace(MESSAGE, body=b"other"), sender="sender-2", recipient="operator")
    assert refused(MESSAGE, signed() | {name: other[name]}) == "signature_invalid"


def test_a_request_to_another_recipient_is_refused() -> None:
    assert refused(MESSAGE, signed(recipient="operator")) == "wrong_recipient"


def test_a_signature_by_another_key_is_refused() -> None:
    assert refused(MESSAGE, signed(key=OTHER_KEY)) == "signature_invalid"
    claimed = signed(key=OTHER_KEY)
    claimed["signature-input"] = claimed["signature-input"].replace(key_id(OTHER_KEY), key_id(KEY))
    assert refused(MESSAGE, claimed) == "signature_invalid"


@pytest.mark.parametrize(
    ("found", "put"),
    [
        ('"@path" ', ""),
        ('"content-digest" ', ""),
        ('"@method" "@authority"', '"@authority" "@method"'),
        ('tag="hefu-request"', 'tag="hefu-response"'),
        ('alg="ed25519"', 'alg="hmac-sha256"'),
        ("hefu=(", "other=("),
        (f"created={NOW}", f"created={NOW + 1}"),
        (f"created={NOW}", f'created="{NOW}"'),
        (f"created={NOW}", "created=-1"),
        (";nonce=", ";nonsense="),
    ],
    ids=range(10),
)
def test_a_signature_input_of_another_shape_is_refused(found: str, put: str) -> None:
    headers = signed()
    assert found in headers["signature-input"]
    headers["signature-input"] = headers["signature-input"].replace(found, put)
    assert refused(MESSAGE, headers) == "signature_invalid"


def test_a_signature_over_fewer_components_is_refused_though_it_is_valid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(signing, "REQUEST_COMPONENTS", ('"@method"', '"hefu-sender"'))
        headers = signed()
        verify_request(MESSAGE, headers, recipient="bank", public_key=KEY.public_key())
    assert refused(MESSAGE, headers) == "signature_invalid"


@pytest.mark.parametrize("nonce", ["short", "x" * 200])
def test_nonces_have_a_useful_length(nonce: str) -> None:
    assert refused(MESSAGE, signed(nonce=nonce)) == "signature_invalid"


def test_nonces_are_fresh() -> None:
    assert len({signed()["signature-input"] for _ in range(100)}) == 100


# Answers


def answered(request: dict[str, str], **changes: Any) -> dict[str, str]:
    fields: dict[str, Any] = {
        "sender": "bank",
        "key": OTHER_KEY,
        "request_signature": request["signature"],
        "created": NOW,
    } | changes
    return sign_response(200, b"done", **fields)


def answer_refused(status: int, headers: dict[str, str], body: bytes, request: dict[str, str]) -> str:
    with pytest.raises(SignatureRefused) as caught:
        verify_response(
            status,
            headers,
            body,
            sender="bank",
            public_key=OTHER_KEY.public_key(),
            request_signature=request["signature"],
        )
    return caught.value.code


def test_a_signed_answer_verifies() -> None:
    request = signed()
    verify_response(
        200,
        answered(request),
        b"done",
        sender="bank",
        public_key=OTHER_KEY.public_key(),
        request_signature=request["signature"],
    )


def test_altered_and_swapped_answers_are_refused() -> None:
    request, other = signed(), signed()
    answer = answered(request)
    assert answer_refused(202, answer, b"done", request) == "signature_invalid"
    assert answer_refused(200, answer, b"gone", request) == "digest_mismatch"
    assert answer_refused(200, answered(other), b"done", request) == "signature_invalid"
    assert answer_refused(200, answered(request, sender="operator"), b"done", request) == "signature_invalid"
    assert answer_refused(200, answered(request, key=KEY), b"done", request) == "signature_invalid"
    assert answer_refused(200, {}, b"done", request) == "signature_missing"


def test_an_answer_bound_to_no_request_is_refused() -> None:
    assert (
        answer_refused(200, answered(signed(), request_signature=None), b"done", signed())
        == "signature_invalid"
    )


def test_a_request_is_no_answer() -> None:
    request = signed()
    assert answer_refused(200, signed(key=OTHER_KEY, sender="bank"), b"done", request) == "signature_invalid"


def test_without_the_binding_the_answer_to_another_request_would_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signing, "RESPONSE_COMPONENTS", (*signing.RESPONSE_COMPONENTS[:-1], '"@status";req'))
    monkeypatch.setattr(
        signing,
        "_response_values",
        lambda status, headers, request: {
            '"@status"': str(status),
            '"content-digest"': headers["content-digest"],
            '"hefu-sender"': headers["hefu-sender"],
            '"@status";req': "",
        },
    )
    verify_response(
        200,
        answered(signed()),
        b"done",
        sender="bank",
        public_key=OTHER_KEY.public_key(),
        request_signature=signed()["signature"],
    )


# A second, independent implementation


class Keys(HTTPSignatureKeyResolver):
    """Knows both keys by their ids."""

    def resolve_public_key(self, key_id: str) -> Any:
        return self.resolve_private_key(key_id).public_key()

    def resolve_private_key(self, key_id: str) -> Any:
        return {signing.key_id(key): key for key in (KEY, OTHER_KEY)}[key_id]


def _as_request(headers: dict[str, str], message: Message = MESSAGE) -> SimpleNamespace:
    url = f"https://{message.authority}{message.path}?{message.query}"
    return SimpleNamespace(method=message.method, url=url, headers=dict(headers))


def _as_response(headers: dict[str, str], request: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(status_code=200, headers=dict(headers), request=request)


def test_the_other_implementation_verifies_our_request_and_answer() -> None:
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=Keys())
    request = _as_request(signed())
    (result,) = verifier.verify(request, body=MESSAGE.body)
    assert set(signing.REQUEST_COMPONENTS) <= set(result.covered_components)
    response = _as_response(answered(request.headers), request)
    (result,) = verifier.verify(response, body=b"done")
    assert set(signing.RESPONSE_COMPONENTS) <= set(result.covered_components)


@pytest.mark.parametrize("part", ["method", "authority", "path", "query"])
def test_the_other_implementation_refuses_what_we_refuse(part: str) -> None:
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=Keys())
    altered = dataclasses.replace(MESSAGE, **{part: ALTERED[part]})
    with pytest.raises(InvalidSignature):
        verifier.verify(_as_request(signed(), altered), body=MESSAGE.body)


def test_we_verify_the_other_implementations_request() -> None:
    signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=Keys())
    digest = signing.content_digest(MESSAGE.body)
    request = _as_request({"content-digest": digest, "hefu-sender": "institution", "hefu-recipient": "bank"})
    signer.sign(
        request,
        key_id=key_id(KEY),
        created=dt.datetime.fromtimestamp(NOW, dt.UTC),
        nonce="n" * 24,
        label="hefu",
        tag="hefu-request",
        use_existing_digest=True,
        covered_component_ids=[name.strip('"') for name in signing.REQUEST_COMPONENTS],
    )
    headers = {name.lower(): value for name, value in request.headers.items()}
    verified = verify_request(MESSAGE, headers, recipient="bank", public_key=KEY.public_key())
    assert verified.created == NOW
