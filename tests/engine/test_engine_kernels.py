"""Twins: every compiled kernel against its plain version, and the laws that it must keep."""

import hashlib
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hefu.engine.blake2b import compress, midstate
from hefu.engine.errors import InputInvalid
from hefu.engine.join import CONFLICT, SINGLE, join
from hefu.engine.permutation import permutation, permutation_plain
from hefu.engine.prg import Prg
from hefu.engine.psm import message_plain, messages
from hefu.engine.shuffle import permute_and_mask
from hefu.engine.tokens import token_plain, tokens
from hypothesis import given, settings
from hypothesis import strategies as st

GOLDEN_TOKEN = "9322ef06b69f4ba2a8c9b2a6192ccc01"
KEYS = {0: bytes(range(32)), 7: b"\xff" * 32}


def columns(rows: list[tuple[int, bytes, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    offsets = np.cumsum([0] + [len(key) for _, key, _ in rows]).astype(np.int64)
    data = np.frombuffer(b"".join(key for _, key, _ in rows), dtype=np.uint8)
    occurrence = np.array([occ for _, _, occ in rows], dtype=np.uint32)
    return offsets, data, occurrence, np.array([who for who, _, _ in rows], dtype=np.int32)


# BLAKE2b, tokens, equality messages.


@settings(deadline=None)
@given(
    key=st.binary(min_size=1, max_size=64),
    message=st.binary(min_size=1, max_size=128),
    size=st.integers(1, 64),
)
def test_one_block_equals_hashlib(key: bytes, message: bytes, size: int) -> None:
    state = midstate(key, size, b"person")
    compress(
        state,
        np.frombuffer(message.ljust(128, b"\0"), dtype="<u8").copy(),
        np.uint64(128 + len(message)),
        True,
    )
    expected = hashlib.blake2b(message, digest_size=size, key=key, person=b"person").digest()
    assert state.tobytes()[:size] == expected


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(KEYS)), st.binary(max_size=400), st.integers(0, 2**32 - 1)),
        max_size=8,
    )
)
def test_tokens_equal_hashlib(rows: list[tuple[int, bytes, int]]) -> None:
    got = tokens(*columns(rows), KEYS)
    assert [tuple(token) for token in got.tolist()] == [
        token_plain(KEYS[w], key, occ) for w, key, occ in rows
    ]


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 119, 120, 121, 127, 128, 129, 247, 248, 249, 1000])
def test_tokens_at_the_edges_of_blocks(length: int) -> None:
    rows = [(0, os.urandom(length), 3), (7, os.urandom(length), 2**32 - 1)]
    got = tokens(*columns(rows), KEYS)
    assert [tuple(token) for token in got.tolist()] == [
        token_plain(KEYS[w], key, occ) for w, key, occ in rows
    ]


def test_token_golden() -> None:
    """Computed once with hashlib: a change of encoding must not pass unnoticed."""
    digest = hashlib.blake2b(
        b"\1" + bytes(7) + "合符".encode(), digest_size=16, key=KEYS[0], person=b"hefu token v1"
    ).hexdigest()
    assert digest == GOLDEN_TOKEN
    assert tokens(*columns([(0, "合符".encode(), 1)]), KEYS).astype("<u8").tobytes().hex() == GOLDEN_TOKEN


def test_tokens_into_a_strided_view_leave_the_rest_alone() -> None:
    out = np.full((3, 4), 9, dtype=np.uint64)
    rows = [(0, b"a", 0), (0, b"b", 0), (7, b"a", 0)]
    tokens(*columns(rows), KEYS, out=out[:, :2])
    assert [tuple(t) for t in out[:, :2].tolist()] == [token_plain(KEYS[w], key, occ) for w, key, occ in rows]
    assert (out[:, 2:] == 9).all()


@pytest.mark.parametrize(
    "spoil", ["missing key", "falling offsets", "offsets past the data", "short offsets", "no keys"]
)
def test_tokens_refuse_what_does_not_fit(spoil: str) -> None:
    offsets, data, occurrence, which = columns([(0, b"abc", 0), (0, b"de", 0)])
    keys = KEYS
    if spoil == "missing key":
        which = np.array([0, 3], dtype=np.int32)
    elif spoil == "falling offsets":
        offsets = np.array([0, 4, 3], dtype=np.int64)
    elif spoil == "offsets past the data":
        offsets = np.array([0, 3, 6], dtype=np.int64)
    elif spoil == "short offsets":
        offsets = offsets[:-1]
    else:
        keys = {}
    with pytest.raises(InputInvalid):
        tokens(offsets, data, occurrence, which, keys)


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_equality_messages_equal_hashlib(key: bytes, values: list[int]) -> None:
    got = messages(key, np.array(values, dtype=np.uint64))
    assert got.tolist() == [message_plain(key, i, value) for i, value in enumerate(values)]


# Keystream and permutations.


def test_keystream_goes_on_where_it_stopped_and_equals_aes_ctr() -> None:
    """NIST SP 800-38A has no all-zero counter: the twin is AES-ECB of the counters."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    key = bytes(range(16))
    count = 3 * (1 << 15) + 5  # more than one zero block
    prg = Prg(key)
    parts = np.concatenate([prg.words(2), prg.words(0), prg.words(count - 2)])
    counters = b"".join(i.to_bytes(16, "big") for i in range((count + 1) // 2))
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  # the twin of CTR is made of it
    assert parts.tobytes() == encryptor.update(counters)[: 8 * count]


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_generator_wants_a_key_of_16_bytes(length: int) -> None:
    with pytest.raises(InputInvalid):
        Prg(bytes(length))


@settings(deadline=None)
@given(st.integers(0, 200), st.binary(min_size=16, max_size=16))
def test_permutation_equals_its_twin(count: int, key: bytes) -> None:
    got = permutation(Prg(key), count).tolist()
    assert got == permutation_plain(Prg(key), count)
    assert sorted(got) == list(range(count))


def test_permutation_larger_than_a_chunk() -> None:
    count = 3 * (1 << 15) + 11
    key = os.urandom(16)
    got = permutation(Prg(key), count)
    assert got.tolist() == permutation_plain(Prg(key), count)
    assert np.array_equal(np.sort(got), np.arange(count))


def test_rejected_words_are_skipped() -> None:
    """A stream whose every other word is 0: floor(0 * m / 2^64) = 0 with low product 0 < 2^64 mod m is rejected for m = 3."""

    class Stream(Prg):
        def words(self, count: int) -> np.ndarray:
            out = super().words(count)
            out[::2] = 0
            return out

    for count in (2, 3, 5, 9):
        key = os.urandom(16)
        got = permutation(Stream(key), count).tolist()
        assert got == permutation_plain(Stream(key), count)
        assert sorted(got) == list(range(count))


def test_permutations_of_four_are_uniform() -> None:
    """Chi-square with 23 degrees of freedom: above 80 once in ten million."""
    prg = Prg(os.urandom(16))
    seen: dict[tuple[int, ...], int] = {}
    trials = 24_000
    for _ in range(trials):
        drawn = tuple(permutation(prg, 4).tolist())
        seen[drawn] = seen.get(drawn, 0) + 1
    assert len(seen) == 24
    assert sum((n - trials / 24) ** 2 / (trials / 24) for n in seen.values()) < 80


# Shuffle and join.


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(1, 5), st.randoms(use_true_random=True))
def test_two_parties_shuffle_shares_of_the_permuted_rows(n: int, width: int, random: object) -> None:
    rows = Prg(os.urandom(16)).words(n * width).reshape(n, width)
    first = Prg(os.urandom(16)).words(n * width).reshape(n, width)
    order = permutation(Prg(os.urandom(16)), n)
    key = os.urandom(16)
    left = permute_and_mask(first, order, Prg(key), negative=False)
    right = permute_and_mask(rows - first, order, Prg(key), negative=True)
    assert np.array_equal(left + right, rows[order])
    if n:
        assert not np.array_equal(left, first[order])


def test_shuffle_of_more_than_a_chunk() -> None:
    n = 20_000
    rows = Prg(os.urandom(16)).words(4 * n).reshape(n, 4)
    order = permutation(Prg(os.urandom(16)), n)
    mask = Prg(b"k" * 16).words(4 * n).reshape(n, 4)
    assert np.array_equal(permute_and_mask(rows, order, Prg(b"k" * 16), negative=True), rows[order] - mask)


def test_shuffle_refuses_a_permutation_of_another_length() -> None:
    with pytest.raises(InputInvalid):
        permute_and_mask(
            np.zeros((3, 4), np.uint64), np.arange(4, dtype=np.uint32), Prg(bytes(16)), negative=False
        )


def join_plain(tokens_: list[tuple[int, int]]) -> list[int]:
    places: dict[tuple[int, int], list[int]] = {}
    for i, token in enumerate(tokens_):
        places.setdefault(token, []).append(i)
    partner = []
    for i, token in enumerate(tokens_):
        met = places[token]
        if len(met) == 2:
            partner.append(met[0] + met[1] - i)
        else:
            partner.append(SINGLE if len(met) == 1 else CONFLICT)
    return partner


WORD = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(WORD, WORD), max_size=40))
def test_join_equals_its_twin(tokens_: list[tuple[int, int]]) -> None:
    found = join(np.array(tokens_, dtype=np.uint64).reshape(-1, 2))
    assert found.partner.tolist() == join_plain(tokens_)
    assert all(i < j for i, j in zip(found.first, found.second, strict=True))
    for positions in (found.first, found.single, found.conflict):
        assert all(a < b for a, b in pairwise(positions.tolist()))


def test_join_does_not_depend_on_the_values_of_tokens() -> None:
    """Who knows the key of the tokens must learn nothing from the order of pairs: other values, same outcome."""
    pattern = permutation(Prg(os.urandom(16)), 300) % 140
    outcomes = [join(Prg(os.urandom(16)).words(280).reshape(140, 2)[pattern]) for _ in range(3)]
    for other in outcomes[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(outcomes[0], other, strict=True))


@pytest.mark.timeout(60)
def test_join_of_tokens_chosen_to_share_a_first_word() -> None:
    """An owner may choose its tokens: 200,000 with one first word must not cost quadratic time."""
    n = 200_000
    tokens_ = np.zeros((2 * n, 2), dtype=np.uint64)
    tokens_[:, 1] = np.concatenate((np.arange(n), np.arange(n)[::-1])).astype(np.uint64)
    found = join(tokens_)
    assert np.array_equal(found.partner, 2 * n - 1 - np.arange(2 * n))


AFTER_WARM_UP = """
import sys
import numpy as np
from hefu.engine import blake2b, permutation as p, psm, shuffle, tokens as t, warmup
from hefu.engine import join as j
from hefu.engine.prg import Prg

warmup.warm()
kernels = [blake2b.compress, t._tokens, psm._messages, p._swap_down, shuffle._gather, j._mark]
before = [len(k.signatures) for k in kernels]
for n in (1, 2, 50):
    data = np.frombuffer(b"read-only" * n, dtype=np.uint8)
    offsets = np.arange(n + 1) * 9
    out = np.empty((n, 4), dtype=np.uint64)
    for into in (None, out[:, :2]):
        t.tokens(offsets, data, np.zeros(n, np.uint32), np.zeros(n, np.int32), {0: bytes(32)}, out=into)
    rows = shuffle.permute_and_mask(out, p.permutation(Prg(bytes(16)), n), Prg(bytes(16)), negative=True)
    found = j.join(np.ascontiguousarray(rows[:, :2]))
    psm.messages(bytes(32), rows[:, 2][found.single])
sys.exit([len(k.signatures) for k in kernels] != before)
"""


def test_warm_up_compiles_all_that_a_protocol_uses() -> None:
    """A kernel that a job would have to compile anew is one that warm-up forgot: counted in a process of its own."""
    assert subprocess.run([sys.executable, "-c", AFTER_WARM_UP], check=False, timeout=120).returncode == 0


def test_kernels_work_where_no_cache_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A confined process without a cache folder compiles for itself: slower, not broken."""
    import numba
    from hefu.engine.kernels import kernel

    asked = []

    def njit(cache: bool = False, **options: bool) -> object:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function 'twice': no locator available for file 'x.py'")
        return lambda function: function

    monkeypatch.setattr(numba, "njit", njit)
    assert kernel(lambda x: 2 * x)(4) == 8
    assert asked == [True, False]
