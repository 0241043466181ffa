"""Canonical documents: what is read is what was written, and nothing else reads as it."""

import hashlib
import json

import pytest
import rfc8785
from hefu.domain.document import MAX_DOCUMENT_BYTES, Digest, Document, Name, Text
from hefu.domain.errors import DocumentInvalid
from hypothesis import given
from hypothesis import strategies as st


class Inner(Document):
    name: Name
    numbers: tuple[int, ...] = ()


class Sample(Document):
    digest_of: Digest
    text: Text = ""
    inner: Inner
    flags: dict[str, bool] = {}


texts = st.text(st.characters(codec="utf-8"), max_size=40)
samples = st.builds(
    Sample,
    digest_of=st.binary(max_size=8).map(lambda b: hashlib.sha256(b).hexdigest()),
    text=texts,
    inner=st.builds(
        Inner,
        name=texts.filter(bool),
        numbers=st.lists(st.integers(-(2**53) + 1, 2**53 - 1), max_size=4).map(tuple),
    ),
    flags=st.dictionaries(texts, st.booleans(), max_size=4),
)


def test_an_integer_beyond_what_json_keeps_is_refused() -> None:
    good = Sample(digest_of="0" * 64, inner=Inner(name="n", numbers=(2**53 - 1,))).to_bytes()
    with pytest.raises(DocumentInvalid, match="canonical"):
        Sample.from_bytes(good.replace(b"9007199254740991", b"9007199254740999"))


@given(samples)
def test_round_trip(sample: Sample) -> None:
    again = Sample.from_bytes(sample.to_bytes())
    assert again == sample
    assert again.digest == sample.digest == hashlib.sha256(sample.to_bytes()).hexdigest()


@given(samples, st.data())
def test_a_changed_byte_is_another_document_or_none(sample: Sample, data: st.DataObject) -> None:
    raw = sample.to_bytes()
    place = data.draw(st.integers(0, len(raw) - 1))
    altered = raw[:place] + bytes([raw[place] ^ data.draw(st.integers(1, 255))]) + raw[place + 1 :]
    try:
        found = Sample.from_bytes(altered)
    except DocumentInvalid:
        return
    assert found != sample
    assert found.digest != sample.digest


@given(samples)
def test_bytes_that_are_not_canonical(sample: Sample) -> None:
    raw = sample.to_bytes()
    value = json.loads(raw)
    for other in (
        raw + b"\n",
        b" " + raw,
        json.dumps(value, indent=1).encode(),
        json.dumps(dict(reversed(value.items())), separators=(",", ":"), ensure_ascii=False).encode(),
    ):
        if other != raw:
            with pytest.raises(DocumentInvalid):
                Sample.from_bytes(other)


def refused(raw: bytes) -> DocumentInvalid:
    with pytest.raises(DocumentInvalid) as caught:
        Sample.from_bytes(raw)
    return caught.value


GOOD = Sample(digest_of="0" * 64, inner=Inner(name="a"))


def test_unknown_fields_are_refused_and_named() -> None:
    value = GOOD.model_dump(mode="json")
    assert refused(rfc8785.dumps({**value, "more": 1})).clause == "more"
    assert refused(rfc8785.dumps({**value, "inner": {**value["inner"], "more": 1}})).clause == "inner.more"


def test_a_missing_default_is_not_canonical() -> None:
    """Left out or written out, a default would else be two documents of one meaning."""
    value = GOOD.model_dump(mode="json")
    del value["text"]
    assert "canonical" in refused(rfc8785.dumps(value)).reason


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"{", b"\xff\xfe", b"NaN", b'{"a":1,"a":1}'])
def test_what_is_no_document(raw: bytes) -> None:
    assert refused(raw).document == "Sample"


def test_a_key_that_stands_twice() -> None:
    raw = GOOD.to_bytes()
    assert "canonical" in refused(raw.replace(b'"text":""', b'"text":"","text":""')).reason


def test_too_large() -> None:
    assert "larger" in refused(b" " * (MAX_DOCUMENT_BYTES + 1)).reason


def test_a_document_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        GOOD.text = "x"  # type: ignore[misc]
