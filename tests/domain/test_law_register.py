"""The law register: drafts are never law, versions follow one another, and the rules cite only what is in force."""

import ast
import importlib
import inspect
import re
from datetime import date
from pathlib import Path

import hefu.domain.rules as rules
import pytest
from hefu.domain import law

TODAY = date(2026, 11, 25)
ROOT = Path(rules.__file__ or "").parent
MODULES = sorted(ROOT.rglob("*.py"))
SHORT = "|".join(sorted({i.split("-")[0] for i in law.register()}))
ID = re.compile(rf"^({SHORT})(-(draft-)?\d+)?$")
CHAPTER = re.compile(r"(white paper|WP)[ -][AB],? *(chapter )?\d")


def cited(path: Path) -> set[str]:
    """Strings in a rule module that look like ids of the register, and every string in a `law=` argument."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    named = {id(c) for n in nodes if isinstance(n, ast.keyword) and n.arg == "law" for c in _texts(n.value)}
    texts = [n for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return {str(n.value) for n in texts if ID.match(str(n.value)) or id(n) in named}


def _texts(value: ast.expr) -> list[ast.expr]:
    return list(value.elts) if isinstance(value, ast.Tuple) else [value]


def test_ids_are_unique_and_followers_exist() -> None:
    for entry in law.register().values():
        if entry.became is not None:
            assert law.article(entry.became).status == "in_force"
        if entry.status == "in_force":
            assert entry.in_force_from is not None


@pytest.mark.parametrize(
    ("draft", "shown"),
    [
        ("dsl-draft-29", "《数据安全法》第三十二条"),
        ("pipl-draft-6", "《个人信息保护法》第六条"),
        ("pipl-draft-50", "《个人信息保护法》第五十一条"),
    ],
)
def test_a_draft_is_shown_as_the_law_it_became(draft: str, shown: str) -> None:
    assert not law.in_force(draft, TODAY)
    assert law.cite(draft, TODAY, "zh") == shown
    assert "草案" in law.article(draft).name("zh")
    for entry in law.register().values():
        assert "草案" not in (law.cite(entry.id, TODAY, "zh") or "")


def test_a_draft_before_its_law_is_cited_as_nothing() -> None:
    assert law.cite("pipl-draft-6", date(2020, 12, 1), "zh") is None


def test_the_cybersecurity_law_changes_with_the_year() -> None:
    assert law.cite("csl2016-41", date(2025, 12, 31), "zh") == "《网络安全法》第四十一条"
    assert law.cite("csl2016-41", date(2026, 1, 1), "zh") == "《网络安全法》第四十三条"
    assert law.cite("csl-43", date(2025, 12, 31), "zh") is None


def test_an_unknown_article_is_an_error() -> None:
    with pytest.raises(law.UnknownArticle):
        law.cite("pipl-999", TODAY, "en")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_rules_cite_articles_in_force_and_their_chapter(path: Path) -> None:
    assert not [i for i in cited(path) if i not in law.register() or not law.in_force(i, TODAY)]
    parts = [p for p in path.relative_to(ROOT).with_suffix("").parts if p != "__init__"]
    module = importlib.import_module(".".join([rules.__name__, *parts]))
    for rule in getattr(module, "RULES", ()):
        assert CHAPTER.search(inspect.getdoc(rule) or ""), rule.__name__


def test_the_check_of_cited_articles_sees_one_that_is_missing(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text('LAW = ("pipl-999", "pipl-13"); say(law=("nolaw-1",))')
    assert cited(bad) - set(law.register()) == {"pipl-999", "nolaw-1"}
