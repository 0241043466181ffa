"""Noise inside the computation: no party's view determines it, and what a party that cheats takes away is as stated."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hefu.engine import dp
from hefu.engine.dp.distributed import SharedLaplace
from hefu.engine.dp.exact_loss import difference_pmf, pmf
from hefu.engine.dp.noisy_open import noisy_open, noisy_open_to, shared_noise
from hefu.engine.errors import EngineError, InputInvalid
from hefu.engine.frames import DATA
from hefu.engine.rss.malicious import ActiveParty
from hefu.engine.rss.opening import open_to_all
from hefu.engine.rss.party import Party
from hefu.engine.rss.sharing import share_from
from hefu.engine.session import Session

NAMES = ["P0", "P1", "P2"]
COUNT = 4000
NOISE = dp.shared_laplace(1, "0.5", dimension=COUNT)
VALUES = (np.arange(COUNT, dtype=np.uint64) % np.uint64(100)) - np.uint64(50)


def part_of(seed: int, party: str, noise=NOISE, count: int = COUNT) -> np.ndarray:
    """What the party drew: its own coins, which nobody else has."""
    coin = hashlib.sha256(repr((seed, [party])).encode()).digest()
    session = Session(hashlib.sha256(repr((seed, [])).encode()).digest(), party, {}, own_key=coin)
    return noise.contribution(session.private_prg(2, "noise: part"), count).view(np.int64)


def program(noise=NOISE, values=VALUES, receiver=None, cheat=None):
    def run(session, channels):
        party = Party(session, channels, NAMES)
        x = share_from(party, 0, values if party.index == 0 else None, values.shape)
        mine = cheat(noise, party.index) if cheat else noise
        if receiver is None:
            return noisy_open(party, x, mine)
        return noisy_open_to(party, x, mine, receiver)

    return run


def surprise(samples, distribution) -> float:
    reach = len(distribution) // 2
    keep = 12
    bins = np.clip(samples, -keep, keep) + keep
    observed = np.bincount(bins, minlength=2 * keep + 1)
    due = np.zeros(2 * keep + 1)
    np.add.at(due, np.clip(np.arange(-reach, reach + 1), -keep, keep) + keep, distribution)
    due *= len(samples)
    freedom = 2 * keep
    statistic = ((observed - due) ** 2 / due).sum()
    return float(((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5)


def test_the_noise_is_the_sum_of_all_parts(run_parties):
    ran = run_parties({name: program() for name in NAMES}, seed=3)
    noise = (ran.values["P0"] - VALUES).view(np.int64)
    assert (noise == sum(part_of(3, name) for name in NAMES)).all()
    for name in NAMES[1:]:
        assert (ran.values[name] == ran.values["P0"]).all()


def test_against_every_party_the_noise_of_the_others_remains(run_parties):
    """Its own part taken off, exactly the full discrete Laplace remains (shapes 1/2 and 1/2)."""
    ran = run_parties({name: program() for name in NAMES}, seed=4)
    noise = (ran.values["P0"] - VALUES).view(np.int64)
    for name in NAMES:
        remaining = noise - part_of(4, name)
        assert surprise(remaining, pmf(NOISE, 2)) < 4
        assert surprise(remaining, pmf(NOISE, 1)) > 20


def _only_first(noise, index):
    """The broken variant in which one party draws all the noise."""
    whole = replace(noise, tolerated=2)
    return whole if index == 0 else Silent(**_fields(noise))


def _one_silent(noise, index):
    """A party that sends zeros for its part."""
    return Silent(**_fields(noise)) if index == 2 else noise


def _fields(noise):
    return {
        name: getattr(noise, name) for name in ("parties", "tolerated", "dimension", "sensitivity", "scale")
    }


@dataclass(frozen=True)
class Silent(SharedLaplace):
    """Contributes nothing."""

    def _sample(self, prg, count):
        return np.zeros(count, dtype=np.int64)


def test_one_party_drawing_everything_is_seen(run_parties):
    """To all others it looks right, but the one that drew it takes it off."""
    ran = run_parties({name: program(cheat=_only_first) for name in NAMES}, seed=5)
    noise = (ran.values["P0"] - VALUES).view(np.int64)
    assert surprise(noise, pmf(NOISE, 2)) < 4
    remaining = noise - part_of(5, "P0", replace(NOISE, tolerated=2))
    assert not remaining.any()
    assert surprise(remaining, pmf(NOISE, 2)) > 20


def test_a_silent_party_leaves_the_stated_guarantee(run_parties):
    """Outsiders still face the full noise; a second party that looks on faces one part, and `guarantee(1)` says so."""
    ran = run_parties({name: program(cheat=_one_silent) for name in NAMES}, seed=6)
    noise = (ran.values["P0"] - VALUES).view(np.int64)
    assert surprise(noise, pmf(NOISE, 2)) < 4
    assert surprise(noise - part_of(6, "P0"), pmf(NOISE, 1)) < 4
    stated = float(NOISE.guarantee(1).epsilon)
    assert stated == pytest.approx(0.5 + np.log(2))
    one = difference_pmf(NOISE.shape, NOISE.scale)
    middle = len(one) // 2
    assert np.log(one[middle] / one[middle + 1]) <= stated


def test_views_have_the_stated_sizes(run_parties):
    for values in (VALUES, VALUES * np.uint64(1 << 50)):
        ran = run_parties({name: program(values=values) for name in NAMES})
        assert ran.sizes("P0") == [("P2", 8 * COUNT), ("P2", 8 * COUNT)]
        assert ran.sizes("P1") == [("P0", 8 * COUNT)] * 3  # the first is the input
        assert ran.sizes("P2") == [("P1", 8 * COUNT)] * 2
        ran = run_parties({name: program(values=values, receiver=1) for name in NAMES})
        assert ran.sizes("P0") == [("P2", 8 * COUNT)]
        assert ran.sizes("P2") == [("P1", 8 * COUNT)]
        assert ran.sizes("P1") == [("P0", 8 * COUNT)] * 3
        assert ran.values["P0"] is None
        assert ran.values["P2"] is None


def _bytes_seen(run_parties, run, seed):
    """All that each party received before the opening."""
    ran = run_parties(dict.fromkeys(NAMES, run), seed=seed)
    return {name: np.frombuffer(ran.views[name][-1][1], dtype=np.uint8) for name in NAMES}


def test_a_part_in_transit_is_uniform(run_parties, monkeypatch):
    """What a party receives of another's part says nothing of it; without the mask it would be the part itself."""

    def run(session, channels):
        shared_noise(Party(session, channels, NAMES), NOISE, (COUNT,))

    def uniformity(seen):
        counts = np.bincount(seen, minlength=256)
        due = len(seen) / 256
        return (((counts - due) ** 2 / due).sum() - 255) / (2 * 255) ** 0.5

    for seed in (1, 2):
        for seen in _bytes_seen(run_parties, run, seed).values():
            assert abs(uniformity(seen)) < 4.5

    class Unmasked:
        def fill(self, out):
            out[...] = 0

    from hefu.engine.rss.party import Operation

    monkeypatch.setattr(Operation, "stream", lambda self, key, purpose: Unmasked())
    for seen in _bytes_seen(run_parties, run, 1).values():
        assert uniformity(seen) > 1000


def test_the_noise_is_new_in_every_operation_and_in_every_session(run_parties):
    def run(session, channels):
        party = Party(session, channels, NAMES)
        return [open_to_all(party, shared_noise(party, NOISE, (50,))).tolist() for _ in range(2)]

    first, second = (run_parties(dict.fromkeys(NAMES, run), seed=seed).values["P1"] for seed in (1, 2))
    assert first[0] != first[1]
    assert first[0] != second[0]


def test_gaussian_noise_shapes_and_refusals(run_parties):
    noise = dp.shared_gaussian(1, "0.01", dimension=6)
    values = np.full((2, 3), 10_000, dtype=np.uint64)
    ran = run_parties({name: program(noise, values) for name in NAMES})
    assert ran.values["P2"].shape == (2, 3)
    assert np.abs(ran.values["P2"].view(np.int64) - 10_000).max() < 100
    empty = np.zeros((0,), dtype=np.uint64)
    assert run_parties({n: program(noise, empty) for n in NAMES}).values["P0"].shape == (0,)
    for bad in (dp.shared_gaussian(1, 1, dimension=5), dp.shared_gaussian(1, 1, dimension=6, parties=4)):
        ran = run_parties({name: program(bad, values) for name in NAMES}, may_fail=True)
        assert all(isinstance(error, InputInvalid) for error in ran.errors.values())


@pytest.mark.parametrize("cheater", NAMES)
def test_with_active_security_a_lie_in_any_message_opens_nothing(run_parties, cheater):
    """After a party's own input and its own part, whatever it sends wrong stops both others."""
    noise = dp.shared_laplace(1, 1, dimension=4)
    values = np.array([1, 2, 3, 4], dtype=np.uint64)

    def honest(session, channels):
        active = ActiveParty(Party(session, channels, NAMES))
        x = share_from(active.party, 0, values if active.party.index == 0 else None, values.shape)
        y = active.multiply(x, x)
        return active.open_to_all(y + shared_noise(active.party, noise, y.shape)).tolist()

    def lying(at, sent):
        def run(session, channels):
            def spoiled(frame):
                def build(kind, data):
                    if kind == DATA:
                        if sent[0] == at:
                            data = np.array(data, dtype=np.uint64).reshape(-1) + np.uint64(1 << 63)
                        sent[0] += 1
                    return frame(kind, data)

                return build

            for channel in channels.values():
                channel._frame = spoiled(channel._frame)
            return honest(session, channels)

        return run

    sent = [0]
    right = run_parties({name: lying(-1, sent) if name == cheater else honest for name in NAMES}).values
    own = (
        {0, 2} if cheater == "P0" else {1}
    )  # its input, and its part of the noise after its part of the product
    assert right["P0"] == right["P1"] == right["P2"]
    for at in set(range(sent[0] - 2)) - own:
        ran = run_parties(
            {name: lying(at, [0]) if name == cheater else honest for name in NAMES}, may_fail=True
        )
        for name in NAMES:
            if name != cheater:
                assert isinstance(ran.errors.get(name), EngineError), (at, ran.values)
