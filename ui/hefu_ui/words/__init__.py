"""One catalogue of everything the console says: key → (Chinese, English), split by page.

`say(key, language)` is for use outside a page; `t(key)` takes the signed-in person's language. A test holds that every
key has both languages with the same placeholders, and that every key used in the code exists.
"""

from __future__ import annotations

from typing import Literal

from hefu_ui.words import (
    common,
    compliance_pages,
    contract_pages,
    data_pages,
    evidence_kinds,
    filing_pages,
    governance_pages,
    job_pages,
    ledger_pages,
    people_pages,
    result_pages,
    states,
    wizard_pages,
)

Words = dict[str, tuple[str, str]]

CATALOGUE: Words = {
    key: both
    for part in (
        common, states, evidence_kinds, people_pages, data_pages, contract_pages, job_pages, result_pages, ledger_pages,
        compliance_pages, filing_pages, governance_pages, wizard_pages,
    )
    for key, both in part.WORDS.items()
}  # fmt: skip


def say(key: str, language: Literal["zh", "en"], **values: object) -> str:
    """The sentence of this key.

    raises  KeyError when the catalogue has no such key
    """
    sentence = CATALOGUE[key][0 if language == "zh" else 1]
    return sentence.format(**values) if values else sentence


def t(key: str, **values: object) -> str:
    """The sentence in the language of this Streamlit session, Chinese when none was chosen."""
    return say(key, language(), **values)


def named(kind: str, value: str) -> str:
    """The word for a state or a class (`named("stage", "compute")`); the value itself when there is none."""
    key = f"{kind}.{value}"
    return t(key) if key in CATALOGUE else value


def language() -> Literal["zh", "en"]:
    """The language of this Streamlit session."""
    import streamlit as st

    return "en" if st.session_state.get("language") == "en" else "zh"


def pick(zh: str, en: str) -> str:
    """One of two texts that came from the node in both languages."""
    return en if language() == "en" and en else zh
