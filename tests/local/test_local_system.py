"""Setting up a local system: begun anew when it was interrupted, and never over a finished one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hefu.keys.keystore import open_keys
from hefu.local.errors import LocalError
from hefu.local.organisations import ORGANISATIONS
from hefu.local.postgres import LocalPostgres
from hefu.local.system import LocalSystem

pytestmark = pytest.mark.server
DATABASES = ("coordinator", "prefect", *(f"node_{org}" for org in ORGANISATIONS))


@pytest.fixture
def folder(tmp_path: Path, postgres: LocalPostgres) -> Iterator[Path]:
    yield tmp_path / "state"
    for name in DATABASES:
        postgres.drop_database(name)
    for name in DATABASES:
        postgres.drop_role(name)


def system(folder: Path, postgres: LocalPostgres) -> LocalSystem:
    made = LocalSystem(folder, say=lambda *_: None)
    made.postgres = postgres  # the run's own cluster: nothing to start, nothing to stop
    return made


def test_an_interrupted_first_start_is_begun_anew(
    folder: Path, postgres: LocalPostgres, monkeypatch: Any
) -> None:
    """Ctrl-C while keys are made: their passphrases were never written, so they are made once more."""
    made: list[str] = []
    make_node = LocalSystem._make_node

    def interrupted(self: LocalSystem, org_id: str) -> None:
        make_node(self, org_id)
        made.append(org_id)
        if len(made) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(LocalSystem, "_make_node", interrupted)
    with pytest.raises(KeyboardInterrupt):
        system(folder, postgres).initialise()
    again = system(folder, postgres)
    again.initialise()
    assert again.initialised
    for org_id in made:
        open_keys(again.node(org_id).keys, again._secrets["passphrases"][org_id].encode())
    again.initialise()  # and once finished it is left alone
    assert not any("postgresql" in value for value in again.runner_environment().values())

    (folder / "secrets.json").unlink()
    with pytest.raises(LocalError, match=r"secrets\.json is gone"):
        system(folder, postgres).initialise()
    assert again.coordinator.kit.exists()
