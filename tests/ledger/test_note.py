"""Signed notes and checkpoints: vectors of the Go implementation, a second implementation, and bad notes."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu_ledger import note
from hefu_ledger.errors import CheckpointInvalid, LedgerError, NoteInvalid
from hefu_ledger.merkle import EMPTY_ROOT
from hefu_ledger.note import Note, NoteSignature, VerifierKey
from hypothesis import given
from hypothesis import strategies as st
from tlog_scales.signing import PlainEd25519Signer, Vkey
from tlog_scales.tlog import Checkpoint as OtherCheckpoint

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = "log.example/hefu"
VKEY = note.vkey(ORIGIN, KEY.public_key())
ROOT = bytes(range(32))
GOOD = note.sign_checkpoint(ORIGIN, 42, ROOT, KEY)


def test_vector_of_the_go_implementation():
    """golang.org/x/mod/sumdb/note, the package's example."""
    key = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    assert note.verify_note(note.parse_note(text.encode()), [key]) == (key,)
    with pytest.raises(NoteInvalid):
        note.verify_note(note.parse_note(text.replace("answer", "Answer").encode()), [key])


def test_another_implementation_reads_ours():
    other = OtherCheckpoint.from_text(GOOD.note.decode())
    other.verify(Vkey.from_string(VKEY))
    assert (other.origin, other.size, other.root_hash) == (ORIGIN, 42, ROOT)


def test_we_read_another_implementations():
    made = OtherCheckpoint.make_signed(ORIGIN, 7, ROOT, [PlainEd25519Signer(ORIGIN, KEY)])
    assert note.verify_checkpoint(made.serialize().encode(), VKEY) == note.Checkpoint(ORIGIN, 7, ROOT)
    assert PlainEd25519Signer(ORIGIN, KEY).vkey.serialize() == VKEY


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_read_back_as_signed(size, root):
    root = root if size else EMPTY_ROOT
    made = note.sign_checkpoint(ORIGIN, size, root, KEY)
    assert note.verify_checkpoint(made.note, VKEY) == made
    assert note.parse_note(made.note).to_bytes() == made.note


@given(st.data())
def test_every_flipped_bit_is_noticed(data):
    bit = data.draw(st.integers(0, 8 * len(GOOD.note) - 1))
    bad = bytearray(GOOD.note)
    bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(LedgerError):
        note.verify_checkpoint(bytes(bad), VKEY)


@given(st.binary(max_size=300))
def test_garbage_is_refused_as_our_error(data):
    with pytest.raises(CheckpointInvalid):
        note.verify_checkpoint(data, VKEY)


def signed(text):
    """Any text under a right signature: only the form is wrong."""
    return (
        text.encode()
        + b"\n"
        + note.sign_note("x\n", ORIGIN, KEY)
        .to_bytes()[3:]
        .replace(
            note.parse_note(note.sign_note("x\n", ORIGIN, KEY).to_bytes()).to_bytes()[3:],
            Note(
                "", (NoteSignature(ORIGIN, VerifierKey.parse(VKEY).hint, KEY.sign(text.encode())),)
            ).to_bytes()[1:],
        )
    )


BASE64 = base64.b64encode(ROOT).decode()
ODD = BASE64[:-2] + "9="  # other spelling of the same bytes


def test_the_helper_signs_properly():
    assert note.verify_checkpoint(signed(f"{ORIGIN}\n42\n{BASE64}\n"), VKEY) == GOOD
    assert base64.b64decode(ODD) == ROOT


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n042\n{BASE64}\n",
        f"{ORIGIN}\n+42\n{BASE64}\n",
        f"{ORIGIN}\n-42\n{BASE64}\n",
        f"{ORIGIN}\n 42\n{BASE64}\n",
        f"{ORIGIN}\n4_2\n{BASE64}\n",
        f"{ORIGIN}\n４２\n{BASE64}\n",
        f"{ORIGIN}\n\n{BASE64}\n",
        f"{ORIGIN}\n42.0\n{BASE64}\n",
        f"{ORIGIN}\n9223372036854775808\n{BASE64}\n",
        f"{ORIGIN}\n18446744073709551616\n{BASE64}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{BASE64}\n",
        f"{ORIGIN}\n42\n{ODD}\n",
        f"{ORIGIN}\n42\n{BASE64[:-1]}\n",
        f"{ORIGIN}\n42\n{BASE64} \n",
        f"{ORIGIN}\n42\n{base64.urlsafe_b64encode(bytes([255] * 32)).decode()}\n",
        f"{ORIGIN}\n42\n{base64.b64encode(bytes(31)).decode()}\n",
        f"{ORIGIN}\n42\n{BASE64}\nextension\n",
        f"{ORIGIN}\n42\n{BASE64}\n\n",
        f"{ORIGIN}\n42\n",
        f"{ORIGIN}\r\n42\r\n{BASE64}\r\n",
        f"other.example/log\n42\n{BASE64}\n",
        f"\n42\n{BASE64}\n",
        f"{ORIGIN}\n0\n{BASE64}\n",
        f"{ORIGIN}\n42\n{BASE64}\u2028\n",
    ],
    ids=lambda text: repr(text)[:70].encode("ascii", "replace").decode(),
)
def test_rightly_signed_but_no_checkpoint(text):
    with pytest.raises(CheckpointInvalid):
        note.verify_checkpoint(signed(text), VKEY)


LINE = GOOD.note.decode().split("\n\n")[1]
TEXT = GOOD.text()


@pytest.mark.parametrize(
    "data",
    [
        GOOD.note[:-1],
        GOOD.note + b"\n",
        GOOD.note.replace(b"\n\n", b"\n"),
        GOOD.note.replace(b"\n", b"\r\n"),
        f"{TEXT}\n".encode(),
        TEXT.encode(),
        f"{TEXT}\n{LINE.replace('—', '-')}".encode(),
        f"{TEXT}\n{LINE.replace('— ', '—')}".encode(),
        f"{TEXT}\n{LINE.replace(' ', '  ', 1)}".encode(),
        f"{TEXT}\n{LINE.replace(ORIGIN, '')}".encode(),
        f"{TEXT}\n{LINE.replace(ORIGIN, 'a+b')}".encode(),
        f"{TEXT}\n{LINE.replace(ORIGIN, 'a b')}".encode(),
        f"{TEXT}\n{LINE.replace(ORIGIN, 'a' + chr(0x3000) + 'b')}".encode(),
        f"{TEXT}\n{LINE}{LINE}".encode(),
        f"{TEXT}\n{LINE[:-2]}\n".encode(),
        f"{TEXT}\n— {ORIGIN} AAAA\n".encode(),
        f"{TEXT}\n— {ORIGIN} \n".encode(),
        b"\xff" + GOOD.note,
        GOOD.note + b"x" * 70_000,
        b"",
        b"\n\n",
    ],
    ids=lambda data: repr(data[-60:]),
)
def test_not_a_note(data):
    with pytest.raises(CheckpointInvalid):
        note.verify_checkpoint(data, VKEY)


def test_signatures_of_others_are_ignored_up_to_the_limit():
    others = [
        note.sign_note(TEXT, f"w{number}.example", Ed25519PrivateKey.generate()) for number in range(16)
    ]
    lines = [one.signatures[0] for one in others]
    own = note.parse_note(GOOD.note).signatures
    assert note.verify_checkpoint(Note(TEXT, (*lines[:15], *own)).to_bytes(), VKEY) == GOOD
    with pytest.raises(CheckpointInvalid, match="more than 16"):
        note.verify_checkpoint(Note(TEXT, (*lines, *own)).to_bytes(), VKEY)
    with pytest.raises(CheckpointInvalid, match="no signature of a known key"):
        note.verify_checkpoint(Note(TEXT, tuple(lines[:3])).to_bytes(), VKEY)


def test_one_wrong_signature_of_a_known_key_condemns_the_note():
    witness = Ed25519PrivateKey.generate()
    known = VerifierKey.of("witness.example", witness.public_key())
    own = note.parse_note(GOOD.note).signatures
    wrong = NoteSignature(known.name, known.hint, witness.sign(b"something else"))
    both = Note(TEXT, (*own, wrong))
    with pytest.raises(NoteInvalid, match=r"witness\.example is wrong"):
        note.verify_note(both, [VerifierKey.parse(VKEY), known])
    assert note.verify_note(both, [VerifierKey.parse(VKEY)])


def test_a_key_id_that_collides():
    """Same name and key id, another key: the signature is checked, and wrong. Same id, another name: unknown."""
    hint = VerifierKey.parse(VKEY).hint
    other = Ed25519PrivateKey.generate().sign(TEXT.encode())
    with pytest.raises(CheckpointInvalid, match="is wrong"):
        note.verify_checkpoint(Note(TEXT, (NoteSignature(ORIGIN, hint, other),)).to_bytes(), VKEY)
    with pytest.raises(CheckpointInvalid, match="no signature"):
        note.verify_checkpoint(Note(TEXT, (NoteSignature("x.example", hint, other),)).to_bytes(), VKEY)


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "a+b", VKEY + "=", VKEY.replace("+", "-", 1), VKEY.upper(), f"+{VKEY.split('+', 1)[1]}",
        f"{ORIGIN}+00000000+{VKEY.split('+', 2)[2]}", str(Vkey("zero", None, 1, bytes(32)).serialize()),
        Vkey("witness", None, 4, KEY.public_key().public_bytes_raw()).serialize(),
    ],
)  # fmt: skip
def test_not_a_vkey(text):
    with pytest.raises(NoteInvalid):
        VerifierKey.parse(text)


def test_what_is_not_signed():
    for size, root in ((-1, ROOT), (2**63, ROOT), (1, ROOT[:-1]), (0, ROOT)):
        with pytest.raises(CheckpointInvalid):
            note.sign_checkpoint(ORIGIN, size, root, KEY)
    for text, name in (
        ("no newline", ORIGIN),
        ("tab\t\n", ORIGIN),
        ("x\n", "a b"),
        ("x\n", ""),
        ("x\n", "a+b"),
    ):
        with pytest.raises(NoteInvalid):
            note.sign_note(text, name, KEY)
