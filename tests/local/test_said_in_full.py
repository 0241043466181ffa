"""Errors are shown as they are: square brackets in them are text, not markup."""

from pathlib import Path
from typing import Any

from hefu.local.demo import run_demo
from hefu.local.ledger_commands import verify


def test_the_demo_names_a_file_with_brackets(tmp_path: Path, capsys: Any) -> None:
    file = Path("[/red].csv")
    assert run_demo(tmp_path, once=True, rows=10, institution=file, bank=file, out=None) == 1
    assert "[/red].csv" in capsys.readouterr().out


def test_so_does_the_verifier(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert verify(Path("[/x]"), None, None) == 1
    assert "[/x]" in capsys.readouterr().out


def test_without_a_system_nothing_is_said_about_the_ledger(tmp_path: Path, capsys: Any) -> None:
    assert verify(None, tmp_path / "nothing", None) == 1
    said = capsys.readouterr().out
    assert "could not be verified" in said
    assert "hefu demo" in said
