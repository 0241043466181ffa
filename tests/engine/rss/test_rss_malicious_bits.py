"""ANDs under active security: right from honest parties, and a lie in any bit of any message is caught by both."""

import numpy as np
import pytest
from hefu.engine.errors import EngineError
from hefu.engine.frames import DATA
from hefu.engine.rss import malicious
from hefu.engine.rss.malicious import ActiveParty
from hefu.engine.rss.party import Party
from hefu.engine.rss.shares import pack, unpack
from hefu.engine.rss.sharing import share_bits_from

NAMES = ["P0", "P1", "P2"]


def program(x, y):
    """(x AND y, x OR y) of P0's and P1's truth values."""

    def run(session, channels):
        active = ActiveParty(Party(session, channels, NAMES))
        me, shape = active.party.index, x.shape
        a = share_bits_from(active.party, 0, pack(x)[None] if me == 0 else None, shape)
        b = share_bits_from(active.party, 1, pack(y)[None] if me == 1 else None, shape)
        found = [active.both(a, b), active.either(a, b)]
        return [unpack(active.open_bits_to_all(bits)[0], shape).tolist() for bits in found]

    return run


def values(count, shape=None):
    pattern = np.arange(count)
    return (pattern % 2 == 0).reshape(shape or (count,)), (pattern % 3 == 0).reshape(shape or (count,))


def lying(honest, at, error, where, sent):
    """Message `at` goes out with bits flipped, and the liar goes on with what it said."""

    def run(session, channels):
        def spoiled(frame):
            def build(kind, data):
                if kind == DATA:
                    if sent[0] == at:
                        words = data if isinstance(data, np.ndarray) and data.flags.writeable else None
                        words = np.array(data).reshape(-1) if words is None else words.reshape(-1)
                        words = words.view(np.uint64)
                        words[where % len(words)] ^= error
                        data = words
                    sent[0] += 1
                return frame(kind, data)

            return build

        for channel in channels.values():
            channel._frame = spoiled(channel._frame)
        return honest(session, channels)

    return run


@pytest.mark.parametrize("shape", [(0,), (1,), (2,), (3, 5), (64,), (130,)])
def test_honest_parties_get_and_and_or(run_parties, shape):
    x, y = values(int(np.prod(shape)), shape)
    ran = run_parties({name: program(x, y) for name in NAMES})
    for value in ran.values.values():
        assert value == [(x & y).tolist(), (x | y).tolist()]


def test_several_batches(run_parties, monkeypatch):
    monkeypatch.setattr(malicious, "MAX_BITS", 50)
    x, y = values(120)
    ran = run_parties({name: program(x, y) for name in NAMES})
    assert ran.values["P1"] == [(x & y).tolist(), (x | y).tolist()]


@pytest.mark.parametrize("cheater", NAMES)
@pytest.mark.parametrize("error", [1, 1 << 4])
def test_a_lie_in_any_message_is_caught_by_both(run_parties, cheater, error):
    x, y = values(5)
    honest, sent = program(x, y), [0]
    right = [(x & y).tolist(), (x | y).tolist()]
    run_parties({n: lying(honest, -1, np.uint64(0), 0, sent) if n == cheater else honest for n in NAMES})
    inputs = 0 if cheater == "P2" else 1
    for at in range(inputs, sent[0]):
        liar = lying(honest, at, np.uint64(error), at, [0])
        ran = run_parties({n: liar if n == cheater else honest for n in NAMES}, may_fail=True)
        for name in NAMES:
            if name != cheater and at < sent[0] - 2:
                assert isinstance(ran.errors.get(name), EngineError), (at, ran.values)
            if name != cheater:
                assert ran.values.get(name, right) == right


def test_every_single_bit_counts(run_parties):
    x, y = values(64)
    honest = program(x, y)
    for bit in range(64):
        liar = lying(honest, 0, np.uint64(1 << bit), 0, [0])  # P2's part of x AND y
        ran = run_parties({"P0": honest, "P1": honest, "P2": liar}, may_fail=True)
        assert all(isinstance(ran.errors.get(name), EngineError) for name in ("P0", "P1"))


def test_views_do_not_depend_on_the_values(run_parties):
    sizes = []
    for x, y in (values(70), (np.zeros(70, bool), np.ones(70, bool))):
        ran = run_parties({name: program(x, y) for name in NAMES})
        sizes.append({name: ran.sizes(name) for name in NAMES})
    assert sizes[0] == sizes[1]
