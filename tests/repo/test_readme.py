"""What the README tells people to type exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READMES = sorted(ROOT.glob("README*.md"))
MAKE_TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def commands(readme: Path) -> list[str]:
    """Every line of the README's shell blocks, without prompts and comments."""
    blocks = re.findall(
        r"^```(?:sh|bash|console)\n(.*?)^```", readme.read_text(encoding="utf-8"), re.M | re.S
    )
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line.split(" #")[0].strip() for line in lines if line and not line.startswith("#")]


def test_there_are_two_languages():
    text = "".join(readme.read_text(encoding="utf-8") for readme in READMES)
    assert re.search("[一-鿿]{8}", text)
    assert re.search("[a-z]+ [a-z]+ [a-z]+", text)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_two_commands_are_told(readme):
    told = commands(readme)
    assert "make demo" in told
    assert "make test" in told


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_every_make_target_told_exists(readme):
    told = {target for line in commands(readme) for target in re.findall(r"^make ((?:[a-z-]+ ?)+)", line)}
    assert {word for target in told for word in target.split()} <= MAKE_TARGETS


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_every_file_linked_exists(readme):
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", readme.read_text(encoding="utf-8"))
    assert [link for link in links if not (readme.parent / link).exists()] == []
