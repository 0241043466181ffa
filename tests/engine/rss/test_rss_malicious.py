"""Active security: right results from honest parties; a party that lies anywhere is caught before a result leaves."""

from __future__ import annotations

import numpy as np
import pytest
from hefu.engine.errors import EngineError
from hefu.engine.frames import DATA
from hefu.engine.prg import Prg
from hefu.engine.rss import malicious, malicious_check, malicious_coins
from hefu.engine.rss.malicious import ActiveParty, CheatingDetected
from hefu.engine.rss.party import Party
from hefu.engine.rss.sharing import share_from

NAMES = ["P0", "P1", "P2"]
N = 5
X = np.array([0, 1, (1 << 64) - 1, 1 << 62, 123456789], dtype=np.uint64)
Y = np.array([7, (1 << 63), (1 << 64) - 5, 1 << 62, 987654321], dtype=np.uint64)
TOP, BIT, WORD = np.uint64(1 << 63), np.uint64(1 << 17), np.uint64(0x9E3779B97F4A7C15)
LAST_WORDS = 2
"""A party's final say that all is well, to each of both: too late to stop the one who heard a good one before."""


def products(session, channels):
    """P0's x times P1's y, element by element, then as an inner product: (x∘y, <x∘y, y>)."""
    active = ActiveParty(Party(session, channels, NAMES))
    me = active.party.index
    x = share_from(active.party, 0, X if me == 0 else None, X.shape)
    y = share_from(active.party, 1, Y if me == 1 else None, Y.shape)
    z = active.multiply(x, y)
    w = active.dot(z, y)
    return active.open_to_all(z).tolist(), int(active.open_to_all(w))


RIGHT = ((X * Y).tolist(), int((X * Y * Y).sum()))


def lying(program, at: int, error: np.uint64, where: int = 0, *, consistent: bool = False):
    """The same, but message number `at` of this party goes out with an error added to one of its words.

    A consistent liar goes on with what it said, as if it had computed it.
    """
    sent = [0]

    def spoiled(frame):
        def build(kind, data):
            if kind == DATA:
                if sent[0] == at:
                    mine = consistent and isinstance(data, np.ndarray) and data.flags.writeable
                    words = data if mine else np.array(data, dtype=np.uint64)
                    words = words.reshape(-1)
                    words[where % len(words) : where % len(words) + 1] += error
                    data = words
                sent[0] += 1
            return frame(kind, data)

        return build

    def run(session, channels):
        for channel in channels.values():
            channel._frame = spoiled(channel._frame)
        return program(session, channels)

    return run, sent


def messages(run_parties, program, cheater: str) -> int:
    """How many messages the party sends when it is honest."""
    run, sent = lying(program, -1, TOP)
    run_parties({name: run if name == cheater else program for name in NAMES})
    return sent[0]


def cheat(run_parties, program, cheater, at, error, *, seed=0, where=0, consistent=True):
    """What all parties ended with, and who were the honest ones."""
    run, _ = lying(program, at, error, where, consistent=consistent)
    programs = {name: run if name == cheater else program for name in NAMES}
    ran = run_parties(programs, seed=seed, may_fail=True)
    return ran, [name for name in NAMES if name != cheater]


def test_honest_parties_get_the_product(run_parties):
    ran = run_parties(dict.fromkeys(NAMES, products))
    assert all(value == RIGHT for value in ran.values.values())


@pytest.mark.parametrize("consistent", [True, False])
@pytest.mark.parametrize("cheater", NAMES)
def test_a_lie_in_any_message_is_caught_by_both(run_parties, cheater, consistent):
    count = messages(run_parties, products, cheater)
    inputs = 0 if cheater == "P2" else 1
    assert count > 30
    for at in range(inputs, count):
        for error in (TOP, BIT, WORD):
            ran, honest = cheat(run_parties, products, cheater, at, error, where=at, consistent=consistent)
            for name in honest:
                if at < count - LAST_WORDS:
                    assert isinstance(ran.errors.get(name), EngineError), (at, name, ran.values)
                assert ran.values.get(name, RIGHT) == RIGHT


def test_another_input_is_the_owners_right(run_parties):
    ran, honest = cheat(run_parties, products, "P1", 0, TOP)
    y = Y.copy()
    y[0] += TOP
    assert all(ran.values[name] == ((X * y).tolist(), int((X * y * y).sum())) for name in honest)


def one_product(session, channels):
    """A product of odd numbers, opened to all: message 1 of P1 (after its input) is its part of the product."""
    active = ActiveParty(Party(session, channels, NAMES))
    me = active.party.index
    x = share_from(active.party, 1, np.full(3, 5, dtype=np.uint64) if me == 1 else None, (3,))
    return active.open_to_all(active.multiply(x, x)).tolist()


def _plain_weights(words, challenges):
    """The broken variant: one random weight of Z_2 in everything, no extension; 2^63 times an even weight is nothing."""
    out = np.zeros((4, 16, words.size), dtype=np.uint64)
    out[:, 0] = words * (challenges & np.uint64(1))
    return out


def test_a_top_bit_error_escapes_a_plain_linear_check_half_the_time(run_parties, monkeypatch):
    for seed in range(12):
        ran, honest = cheat(run_parties, one_product, "P1", 1, TOP, seed=seed)
        assert all(isinstance(ran.errors[name], EngineError) for name in honest)
    monkeypatch.setattr(malicious_check, "weighed", _plain_weights)
    missed = 0
    for seed in range(12):
        ran, honest = cheat(run_parties, one_product, "P1", 1, TOP, seed=seed)
        missed += any(ran.values.get(name) == [25 + (1 << 63), 25, 25] for name in honest)
    assert 3 <= missed <= 9


def test_errors_that_cancel_in_the_sum_are_caught(run_parties):
    def double(session, channels):
        channels["P0"]._frame = _cancelling(channels["P0"]._frame)
        return one_product(session, channels)

    def _cancelling(frame):
        seen = [0]

        def build(kind, data):
            if kind == DATA:
                seen[0] += 1
                if seen[0] == 1:
                    data = np.array(data, dtype=np.uint64)
                    data[0] += np.uint64(9)
                    data[1] -= np.uint64(9)
            return frame(kind, data)

        return build

    ran = run_parties({"P0": one_product, "P1": double, "P2": one_product}, may_fail=True)
    assert all(isinstance(ran.errors[name], EngineError) for name in ("P0", "P2"))


@pytest.mark.parametrize("settles", [True, False])
def test_a_coin_waits_until_all_inputs_have_arrived(run_parties, monkeypatch, settles):
    """P1 keeps its input from P2 until it would know the weights: P0 does not tell them. Without `settle` it does."""
    if not settles:
        monkeypatch.setattr(malicious, "settle", lambda party: None)
    learned = []

    def waiting(session, channels):
        channels["P0"].timeout_seconds = 0.5
        channels["P0"].send(np.zeros(3, dtype=np.uint64))
        if settles:
            channels["P0"].recv(8)
        learned.append(channels["P0"].recv(16))
        raise EngineError("it has what it wanted")

    ran = run_parties({"P0": one_product, "P1": waiting, "P2": one_product}, may_fail=True)
    assert len(learned) == (0 if settles else 1)
    assert all(isinstance(ran.errors[name], EngineError) for name in NAMES)
    assert not ran.values.keys() & {"P0", "P2"}


def test_nothing_is_opened_after_a_wrong_product(run_parties):
    """The cheater receives no component of the result: no message of that size from the party that would open it."""
    size = 1000

    def program(session, channels):
        active = ActiveParty(Party(session, channels, NAMES))
        mine = np.arange(size, dtype=np.uint64)
        x = share_from(active.party, 0, mine if active.party.index == 0 else None, (size,))
        return active.open_to_all(active.multiply(x, x))

    honest = run_parties(dict.fromkeys(NAMES, program))
    assert ("P0", 8 * size) in honest.sizes("P1")[2:]
    for error in (TOP, np.uint64(1), WORD):
        ran, others = cheat(run_parties, program, "P1", 0, error, where=500)
        assert ("P0", 8 * size) not in ran.sizes("P1")[2:]
        assert all(isinstance(ran.errors[name], EngineError) for name in others)
        assert any(isinstance(ran.errors[name], CheatingDetected) for name in others)


@pytest.mark.parametrize("cheater", NAMES)
def test_opening_to_one(run_parties, cheater):
    def program(session, channels):
        active = ActiveParty(Party(session, channels, NAMES))
        me = active.party.index
        x = share_from(active.party, 0, X if me == 0 else None, X.shape)
        value = active.open_to(active.multiply(x, x), 2)
        return None if value is None else value.tolist()

    right = {"P0": None, "P1": None, "P2": (X * X).tolist()}
    assert run_parties(dict.fromkeys(NAMES, program)).values == right
    count = messages(run_parties, program, cheater)
    for at in range(1 if cheater == "P0" else 0, count):
        ran, honest = cheat(run_parties, program, cheater, at, TOP)
        for name in honest:
            if at < count - LAST_WORDS:
                assert isinstance(ran.errors.get(name), EngineError)
            assert ran.values.get(name, right[name]) == right[name]


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 4), (2, 1, 5)])
def test_shapes(run_parties, shape):
    rows = np.arange(np.prod(shape, dtype=int), dtype=np.uint64).reshape(shape) * WORD

    def program(session, channels):
        active = ActiveParty(Party(session, channels, NAMES))
        x = share_from(active.party, 0, rows if active.party.index == 0 else None, shape)
        return active.open_to_all(active.multiply(x, x.each(lambda w: w[..., :1])))

    ran = run_parties(dict.fromkeys(NAMES, program))
    assert all((value == rows * rows[..., :1]).all() for value in ran.values.values())


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (3, 5, 2), (4, 0, 3), (0, 3, 2), (17, 33, 9)])
def test_matrix_products_and_lies_in_them(run_parties, m, k, n):
    a = Prg(bytes(16)).words(m * k).reshape(m, k)
    b = Prg(bytes(range(16))).words(k * n).reshape(k, n)

    def program(session, channels):
        active = ActiveParty(Party(session, channels, NAMES))
        me = active.party.index
        x = share_from(active.party, 0, a if me == 0 else None, a.shape)
        y = share_from(active.party, 0, b if me == 0 else None, b.shape)
        return active.open_to_all(active.matmul(x, y))

    ran = run_parties(dict.fromkeys(NAMES, program))
    assert all((value == a @ b).all() for value in ran.values.values())
    if m * n:
        for where in range(m * n):
            ran, honest = cheat(run_parties, program, "P2", 0, TOP, where=where)
            assert all(isinstance(ran.errors[name], EngineError) for name in honest)


def test_more_than_one_batch(run_parties, monkeypatch):
    monkeypatch.setattr(malicious, "MAX_BATCH", 8)
    rows = np.arange(21, dtype=np.uint64)

    def program(session, channels):
        active = ActiveParty(Party(session, channels, NAMES))
        x = share_from(active.party, 0, rows if active.party.index == 0 else None, rows.shape)
        y = active.multiply(active.multiply(x, x), x)
        for _ in range(3):
            y = y + active.matmul(x.reshape((21, 1)), x.reshape((1, 21)))[0]
        return active.open_to_all(y)

    ran = run_parties(dict.fromkeys(NAMES, program))
    assert (ran.values["P0"] == rows**3).all()
    for at in range(4):
        for where in (0, 20):
            ran, honest = cheat(run_parties, program, "P2", at, TOP, where=where)
            assert all(isinstance(ran.errors[name], EngineError) for name in honest)


def test_views_have_sizes_that_depend_on_shapes_only(run_parties):
    def program(values):
        def run(session, channels):
            active = ActiveParty(Party(session, channels, NAMES))
            x = share_from(active.party, 0, values if active.party.index == 0 else None, values.shape)
            return active.open_to_all(active.multiply(x, x)).size

        return run

    sizes = []
    for values in (np.zeros(6, dtype=np.uint64), Prg(bytes(16)).words(6)):
        ran = run_parties({name: program(values) for name in NAMES})
        sizes.append({name: ran.sizes(name) for name in NAMES})
    assert sizes[0] == sizes[1]
    halving = [("P1", 2 * 4 * 16 * 8), ("P2", 16)]
    assert sizes[0]["P0"] == [
        ("P1", 6 * 8),  # its part of the product
        ("P2", 8),  # settled
        ("P2", 16),  # the coin for the weights
        *halving * 3,  # 6, 3, 2, 1
        *halving,  # the mask
        ("P1", 32),  # digest of the coins
        ("P2", 3 * 4 * 16 * 8),
        ("P1", 32),
        ("P2", 8),  # all is well
        ("P1", 8),
        ("P2", 6 * 8),  # the opening
        ("P1", 32),
        ("P2", 8),
        ("P1", 8),
    ]


def _check_opened(run_parties, values, monkeypatch, seeds):
    """The bytes of every value that the check opens (two folded vectors), over many sessions."""
    seen = []
    original = malicious_coins.Openings.value

    def spying(self, x):
        value = original(self, x)
        if self._party.index == 0 and value.ndim == 3:
            seen.append(value[..., :2].tobytes())
        return value

    monkeypatch.setattr(malicious_coins.Openings, "value", spying)

    def program(session, channels):
        active = ActiveParty(Party(session, channels, NAMES))
        x = share_from(active.party, 0, values if active.party.index == 0 else None, values.shape)
        active.multiply(x, x)
        active.verify()

    for seed in seeds:
        run_parties(dict.fromkeys(NAMES, program), seed=seed)
    monkeypatch.undo()
    return np.frombuffer(b"".join(seen), dtype=np.uint8)


def _uniformity(seen):
    counts = np.bincount(seen, minlength=256)
    due = len(seen) / 256
    return float((((counts - due) ** 2 / due).sum() - 255) / (2 * 255) ** 0.5)


def test_what_the_check_opens_is_uniform(run_parties, monkeypatch):
    for values in (np.zeros(2, dtype=np.uint64), np.full(2, (1 << 64) - 1, dtype=np.uint64)):
        seen = _check_opened(run_parties, values, monkeypatch, range(12))
        assert len(seen) == 12 * 2 * 64 * 8
        assert abs(_uniformity(seen)) < 4.5
    nothing = lambda party, vector: malicious_check.concatenate([vector, vector - vector], -1)  # noqa: E731
    monkeypatch.setattr(malicious_check, "_with_mask", nothing)
    seen = _check_opened(run_parties, np.zeros(2, dtype=np.uint64), monkeypatch, range(2))
    assert _uniformity(seen) > 1000  # without the mask zeros show as zeros


def _view_of_the_check(run_parties, monkeypatch, secret, seed):
    """P0's components of the squared secret, the weights, and the first message of the check that it receives."""
    weights = []
    original = malicious_check.weighed

    def spying(words, challenges):
        weights.append(challenges.copy())
        return original(words, challenges)

    monkeypatch.setattr(malicious_check, "weighed", spying)
    values = np.full(2, secret, dtype=np.uint64)

    def program(session, channels):
        active = ActiveParty(Party(session, channels, NAMES))
        x = share_from(active.party, 1, values if active.party.index == 1 else None, values.shape)
        active.multiply(x, x)
        active.verify()
        return x

    ran = run_parties(dict.fromkeys(NAMES, program), seed=seed)
    level = [payload for _, payload in ran.views["P0"] if len(payload) == 1024]
    return ran.values["P0"], weights[0], [np.frombuffer(m, dtype=np.uint64).reshape(2, 64) for m in level]


def _explains(x, weights, message, guess):
    """Whether P1's bare local product of the second elements would be this message if the secret were the guess."""
    x1 = x.second[1]
    x2 = np.uint64(guess) - x.first[1] - x1
    product = x1 * x1 + np.uint64(2) * x1 * x2
    bits = (weights[1] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    return bool((message[0] == bits * product).all())


@pytest.mark.filterwarnings("ignore:overflow")
def test_no_guess_of_the_secret_explains_what_a_party_receives(run_parties, monkeypatch):
    """The check's messages are uniform for any secret; without fresh shares of zero P0 can test guesses, and the test sees it."""
    for secret in (1, (1 << 64) - 1):
        seen = []
        for seed in range(8):
            x, weights, level = _view_of_the_check(run_parties, monkeypatch, secret, seed)
            assert not any(_explains(x, weights, level[0], guess) for guess in (1, (1 << 64) - 1))
            seen += level
        assert abs(_uniformity(np.concatenate(seen).reshape(-1).view(np.uint8))) < 4.5
    monkeypatch.setattr(malicious_check, "reshare", lambda op, words: None)
    for secret in (1, (1 << 64) - 1):
        x, weights, level = _view_of_the_check(run_parties, monkeypatch, secret, 0)
        assert [_explains(x, weights, level[0], g) for g in (1, (1 << 64) - 1)] == [secret == 1, secret != 1]


def test_a_challenge_is_never_zero_where_the_mask_joins():
    for challenge in (0, 1 << 16, 0xFFFF, (1 << 64) - 1):
        fixed = malicious_check._nowhere_zero(challenge)
        assert all((fixed >> (16 * r)) & 0xFFFF for r in range(4))
        assert fixed & challenge == challenge
