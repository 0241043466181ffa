"""Keys under fixed coins, far too short to protect anything, so that tests are quick and repeatable."""

import pytest
from hefu.engine.he import okamoto_uchiyama, paillier_keys
from hefu.engine.he.okamoto_uchiyama import OkamotoPrivateKey
from hefu.engine.he.paillier_keys import PaillierPrivateKey
from hefu.engine.prg import Prg

SHORT = 512


@pytest.fixture(scope="session", name="paillier_key")
def paillier_key_fixture() -> PaillierPrivateKey:
    return paillier_keys._generate(SHORT, Prg(b"a key for tests."))[1]


@pytest.fixture(scope="session", name="okamoto_key")
def okamoto_key_fixture() -> OkamotoPrivateKey:
    return okamoto_uchiyama._generate(SHORT, Prg(b"a key for tests."), subgroup_bits=64)[1]


@pytest.fixture(name="short_keys_allowed")
def short_keys_allowed_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paillier_keys, "MINIMUM_BITS", SHORT)
