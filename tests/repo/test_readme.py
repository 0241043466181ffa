"""What the README and the guides tell people to type exists; what the README shows as Python runs."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hefu.cli import app
from hefu.local.postgres import LocalPostgres
from typer.main import get_command

ROOT = Path(__file__).resolve().parents[2]
READMES = sorted(ROOT.glob("README*.md"))
GUIDES = sorted((ROOT / "docs").glob("*.md"))
PAGES = READMES + GUIDES + sorted(ROOT.glob("*/README.md"))
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
COMMANDS = get_command(app)


def blocks(page: Path, languages: str) -> list[str]:
    """The content of the page's fenced blocks in one of the languages, given as `a|b`."""
    return re.findall(rf"^```(?:{languages})\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def commands(page: Path) -> list[str]:
    """Every command of the page's shell blocks, continued lines joined, without prompts and comments."""
    text = "".join(blocks(page, "sh|bash|console")).replace("\\\n", " ")
    lines = [line.strip().removeprefix("$ ") for line in text.splitlines()]
    return [line.split(" #")[0].strip() for line in lines if line and not line.startswith("#")]


def parse(line: str) -> None:
    """Let `hefu` read a command line without doing anything.

    raises  what its parser raises: unknown command or option, a required one missing, a value of another kind
    """
    command: Any = COMMANDS
    words = shlex.split(line)[1:]
    while hasattr(command, "commands") and words and words[0] != "--help":
        command = command.commands[words[0]]
        words = words[1:]
    if "--help" not in words:
        command.make_context("hefu", words)


def by_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_there_are_two_languages():
    text = "".join(readme.read_text(encoding="utf-8") for readme in READMES)
    assert re.search("[一-鿿]{8}", text)
    assert re.search("[a-z]+ [a-z]+ [a-z]+", text)


def test_both_languages_tell_the_same_commands_and_code():
    english, chinese = ROOT / "README.md", ROOT / "README.zh.md"
    assert commands(english) == commands(chinese)
    assert blocks(english, "python") == blocks(chinese, "python")


@pytest.mark.parametrize("readme", READMES, ids=by_name)
def test_the_two_commands_are_told(readme):
    told = commands(readme)
    assert "make demo" in told
    assert "make test" in told


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_make_target_told_exists(page):
    told = {target for line in commands(page) for target in re.findall(r"^make ((?:[a-z-]+ ?)+)", line)}
    assert {word for target in told for word in target.split()} <= MAKE_TARGETS


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_hefu_command_told_is_understood(page):
    for line in commands(page):
        if line.startswith("hefu "):
            parse(line)


@pytest.mark.parametrize(
    "line",
    [
        "hefu dema",
        "hefu demo --onse",
        "hefu node serve",
        "hefu ledger export",
        "hefu job backfill --contract C --from yesterday --to today",
        "hefu coordinator init --dir DIR --url https://h:1",
    ],
)
def test_a_command_that_does_not_exist_is_found(line):
    with pytest.raises(Exception):  # noqa: B017  # KeyError, or the parser's own kinds
        parse(line)


@pytest.mark.parametrize("readme", READMES, ids=by_name)
def test_every_command_there_is_stands_in_the_readme(readme):
    text = readme.read_text(encoding="utf-8")
    for name, command in COMMANDS.commands.items():
        row = next((line for line in text.splitlines() if line.startswith(f"| `hefu {name}")), "")
        told = set(re.findall(r"`([^`]+)`", row))
        words = {word for code in told for word in code.split()}
        assert words >= {"hefu", name, *getattr(command, "commands", {})}, name


@pytest.mark.parametrize("readme", READMES, ids=by_name)
def test_every_option_of_the_demo_stands_in_the_readme(readme):
    text = readme.read_text(encoding="utf-8")
    options = {o for parameter in COMMANDS.commands["demo"].params for o in parameter.opts}
    assert {o for o in options if o != "--help" and f"`{o}`" not in text} == set()


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_every_file_linked_exists(page):
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_python_told_is_python(page):
    for code in blocks(page, "python"):
        ast.parse(code)


def test_the_readmes_python_counts_a_result(tmp_path, monkeypatch, capsys):
    (tmp_path / "RESULT.csv").write_text(
        "owner,row,status\ninstitution,1,match\ninstitution,2,missing_at_bank\nbank,1,match\nbank,2,match\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    for code in (code for code in blocks(ROOT / "README.md", "python") if "RESULT.csv" in code):
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102  # our own page
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["bank", "match", "2"],
        ["institution", "match", "1"],
        ["institution", "missing_at_bank", "1"],
    ]


@pytest.mark.server
def test_the_readmes_engine_example_runs_as_it_is(tmp_path):
    (code,) = (code for code in blocks(ROOT / "README.md", "python") if "hefu.engine" in code)
    assert sum(1 for line in code.splitlines() if line.strip()) <= 10
    script = tmp_path / "example.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=True)
    assert "33600" in done.stdout
    assert "False,  True, False" in done.stdout


@pytest.mark.server
def test_the_operators_python_installs_the_ledger(postgres: LocalPostgres):
    postgres.ensure_role("coordinator", "a password")
    postgres.ensure_database("guide_coordinator", "coordinator")
    dsn = postgres.admin_dsn("guide_coordinator")
    try:
        for code in blocks(ROOT / "docs" / "operator.md", "python"):
            exec(compile(code, "operator.md", "exec"), {"SUPERUSER_DSN": dsn})  # noqa: S102  # our own page
        with psycopg.connect(dsn) as connection:
            installed = connection.execute("select to_regclass('ledger.head') is not null").fetchone()
        assert installed == (True,)
    finally:
        postgres.drop_database("guide_coordinator")
        postgres.drop_role("coordinator")


@pytest.mark.parametrize("readme", READMES, ids=by_name)
def test_figures_are_those_of_the_bench(readme):
    """The README repeats the bench's table; nobody may correct one and forget the other."""
    rows = [
        line
        for line in readme.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| [\d,]+ \| [\d.]", line)
    ]
    bench = (ROOT / "bench" / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(rows) >= 2
    assert [row for row in rows if row not in bench] == []
