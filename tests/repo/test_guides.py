"""The guides' commands of a first set-up, carried out as they are typed there."""

import json
import re
import shlex
from dataclasses import asdict
from pathlib import Path

import pytest
from hefu.cli import app
from hefu.domain.kit import Kit
from hefu.local.organisations import ORGANISATIONS
from hefu.store.signed import read_application
from typer.testing import CliRunner

pytestmark = pytest.mark.server

DOCS = Path(__file__).resolve().parents[2] / "docs"


def typed(guide: str, *starts: str) -> list[str]:
    """The guide's commands that begin so, in its order; all of them must be there."""
    text = (DOCS / guide).read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)).replace("\\\n", " ")
    lines = [line for line in blocks.splitlines() if line.startswith(starts)]
    assert len(lines) == len(starts)
    return lines


def carry_out(line: str) -> str:
    """Type a command. Answers what it says."""
    done = CliRunner().invoke(app, shlex.split(line)[1:], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def write_profile(org_id: str) -> None:
    """`profile.json` with the fields that the guide names, and no other."""
    profile = asdict(ORGANISATIONS[org_id])
    guide = (DOCS / "data-provider.md").read_text(encoding="utf-8")
    told = next(line for line in guide.splitlines() if line.startswith("`profile.json`:"))
    assert set(profile) <= {
        *re.findall(r"`(\w+)`", told),
        *re.findall(r"`(\w+)`", guide.split(told)[1][:300]),
    }
    Path("profile.json").write_text(json.dumps(profile), encoding="utf-8")


@pytest.fixture
def place(tmp_path, monkeypatch, database):
    """An empty folder to stand in, with the files that the guides speak of."""
    monkeypatch.chdir(tmp_path)
    Path("database.url").write_text(database.url)
    Path("ledger.dsn").write_text(database.dsn)
    Path("passphrase").write_text("a passphrase that nobody else knows\n")
    Path("password").write_text("a password of a person\n")
    return tmp_path


def test_a_data_provider_sets_up_its_node(place):
    write_profile("bank")
    init, user_add = typed("data-provider.md", "hefu node init", "hefu node user-add")
    carry_out(init)
    application = read_application((place / "DIR" / "public" / "application.dsse").read_bytes())
    assert application.org_id == "bank-a"
    assert application.url == "https://node.bank-a.example:7443"
    assert "admin" in carry_out(user_add)


def test_an_operator_makes_a_kit_with_auditor_and_regulator(place):
    node_init = typed("data-provider.md", "hefu node init")[0]
    for org_id in ("auditor", "regulator"):
        write_profile(org_id)
        carry_out(node_init.replace("--dir DIR", f"--dir {org_id}").replace("bank-a ", f"{org_id} "))
        (place / f"{org_id}.dsse").write_bytes((place / org_id / "public" / "application.dsse").read_bytes())
    for line in typed("operator.md", "hefu coordinator init", "hefu coordinator kit-add"):
        carry_out(line)
    kit = Kit.from_bytes((place / "DIR" / "kit.json").read_bytes())
    assert set(kit.applications) == {"auditor", "regulator"}
    assert kit.coordinator_url == "https://platform.example:8443"
    assert kit.ledger_vkey.startswith("platform.example/ledger+")
