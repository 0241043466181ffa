"""Law register 法规库: the articles that findings cite, with the days between which each is in force.

The white papers of 2021 quote drafts; a draft is never cited as law: the article that came of it is (white paper B,
table 3). The register is data (`register.json`), read once; it holds what the rules need, not whole laws.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

Language = Literal["zh", "en"]


class UnknownArticle(KeyError):
    """No entry of the register bears this id."""


class Article(BaseModel):
    """One article of one version of a law, or a standard as a whole (then without an article).

    id              `<short>-<article>`, or the short name of a standard
    promulgated_on  null where only a draft was shown
    in_force_until  last day in force; null while it is
    became          id of the article that took its place
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    law_zh: str
    law_en: str
    article_zh: str
    article_en: str
    version: str
    promulgated_on: date | None
    in_force_from: date | None
    in_force_until: date | None
    status: Literal["in_force", "draft", "superseded"]
    gist_zh: str
    gist_en: str
    became: str | None

    def name(self, language: Language) -> str:
        """《law》article in this language; a draft's name says that it is one 草案."""
        law, number = (self.law_zh, self.article_zh) if language == "zh" else (self.law_en, self.article_en)
        mark = ("（草案）" if language == "zh" else " (draft)") if self.status == "draft" else ""
        law = law if not mark or law.endswith(mark) else law + mark
        return f"《{law}》{number}" if language == "zh" else f"{law} {number}".strip()


@lru_cache(maxsize=1)
def register() -> Mapping[str, Article]:
    """All entries by id, in the register's order."""
    text = files(__name__).joinpath("register.json").read_text(encoding="utf-8")
    return MappingProxyType({a.id: a for a in TypeAdapter(list[Article]).validate_json(text)})


def article(id: str) -> Article:
    """The entry of this id. Raises UnknownArticle."""
    try:
        return register()[id]
    except KeyError as error:
        raise UnknownArticle(id) from error


def in_force(id: str, today: date) -> bool:
    """Whether it is law on this day; a draft never is. Raises UnknownArticle."""
    found = article(id)
    if found.status == "draft" or found.in_force_from is None or found.in_force_from > today:
        return False
    return found.in_force_until is None or found.in_force_until >= today


def cite(id: str, today: date, language: Language) -> str | None:
    """The name of the article that is law on this day: this one, or what it became; None where there is none.

    A draft, and what is not yet or no longer in force, is not cited. Raises UnknownArticle.
    """
    seen: set[str] = set()
    following: str | None = id
    while following is not None and following not in seen:
        seen.add(following)
        if in_force(following, today):
            return article(following).name(language)
        following = article(following).became
    return None
