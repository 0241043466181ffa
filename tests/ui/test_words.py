"""The catalogue: both languages, the same placeholders, every key that the code uses, every state that a node may send."""

import ast
import re
import string
import typing
from enum import StrEnum
from pathlib import Path

import hefu_ui
import pytest
from hefu.domain.contract import ContractState, LegalStanding, NoticeKind
from hefu.domain.dataset import (
    DataSetKind,
    FieldType,
    IdentifierClass,
    LegalBasis,
    SensitiveCategory,
    SourceKind,
)
from hefu.domain.filings import KINDS as KINDS_OF_FILINGS
from hefu.domain.filings.assessment import PiaTrigger
from hefu.domain.filings.sources import SourceCheck
from hefu.domain.identity import Role, Standing
from hefu.domain.job import JobState, Stage
from hefu.domain.rules.subject_rights import DUTIES
from hefu.domain.terms import ConsentKind, Operation
from hefu.domain.verdict import Severity
from hefu.node import compliance_models as c
from hefu.node import console_models as m
from hefu_ui import words
from hefu_ui.look.states import look_of
from hefu_ui.words import CATALOGUE, say

CODE = Path(hefu_ui.__file__).parent
PARTS = sorted((CODE / "words").glob("*_pages.py")) + [
    CODE / "words" / f"{n}.py" for n in ("common", "states", "evidence_kinds")
]


HAN = re.compile("[\u4e00-\u9fff]")


def _choices(model: type, field: str) -> list[str]:
    annotation = model.model_fields[field].annotation
    return list(typing.get_args(annotation))


KINDS: dict[str, typing.Iterable[str]] = {
    "role": Role, "standing": Standing, "contract_state": ContractState, "notice": NoticeKind, "legal": LegalStanding,
    "job_state": JobState, "stage": Stage, "severity": Severity, "field_type": FieldType, "identifier": IdentifierClass,
    "sensitive": SensitiveCategory, "source": SourceKind, "basis": LegalBasis, "data_kind": typing.get_args(DataSetKind),
    "user_role": typing.get_args(m.UserRole), "todo": _choices(m.Todo, "kind"), "arrival": _choices(m.ArrivalView, "state"),
    "admission": _choices(m.ParticipantView, "state"), "signature": _choices(m.SignatureView, "state"), "stage_state": _choices(m.StageView, "state"),
    "verify": _choices(m.VerifyView, "state"), "record": _choices(m.RecordView, "state"), "inquiry": _choices(m.InquiryView, "state"),
    "case": _choices(m.CaseView, "state"), "side": _choices(m.SideTotals, "side"),
    "light": [*_choices(c.GateView, "light"), "gray"], "due": _choices(c.DueDate, "state"), "due_kind": _choices(c.DueDate, "kind"),
    "case_state": _choices(c.SealedCase, "state"), "operation": Operation, "consent_kind": ConsentKind, "filing": KINDS_OF_FILINGS,
    "choice": [*_choices(c.StageRisk, "stage"), *PiaTrigger, *SourceCheck, *DUTIES],
}  # fmt: skip


def test_every_key_has_both_languages_and_the_same_placeholders() -> None:
    def fields(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    empty = [key for key, both in CATALOGUE.items() if not all(text.strip() for text in both)]
    unlike = [key for key, (zh, en) in CATALOGUE.items() if fields(zh) != fields(en)]
    mixed = [key for key, (zh, en) in CATALOGUE.items() if HAN.search(en) and zh != en]
    assert (empty, unlike, mixed) == ([], [], [])


def test_no_key_is_defined_in_two_parts() -> None:
    defined = [
        key.value
        for part in PARTS
        for node in ast.walk(ast.parse(part.read_text()))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    ]
    assert sorted(defined) == sorted(CATALOGUE)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_state_that_a_node_may_send_has_a_word(kind: str) -> None:
    values = [str(v) for v in KINDS[kind]]
    assert values
    for value in values:
        assert f"{kind}.{value}" in CATALOGUE
    if kind not in (
        "role",
        "legal",
        "notice",
        "stage",
        "todo",
        "user_role",
        "side",
        "data_kind",
        "source",
        "basis",
        "sensitive",
        "identifier",
        "field_type",
        "due_kind",
        "operation",
        "consent_kind",
        "filing",
        "choice",
        "light",
    ):
        assert all(look_of(kind, value) != ("gray", "circle") for value in values), "a state without a colour"


def _used_keys() -> list[tuple[str, str, bool]]:
    """(file, key or its fixed beginning, is it whole) of every call of t() and say()."""
    found = []
    for file in CODE.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Name)
                and call.func.id in ("t", "say")
                and call.args
            ):
                first = call.args[0]
                if isinstance(first, ast.Constant):
                    found.append((file.name, first.value, True))
                elif isinstance(first, ast.JoinedStr) and isinstance(first.values[0], ast.Constant):
                    found.append((file.name, str(first.values[0].value), False))
    return found


def test_every_key_that_the_code_uses_exists() -> None:
    used = _used_keys()
    assert len(used) > 300
    for file, key, whole in used:
        assert (key in CATALOGUE) if whole else any(k.startswith(key) for k in CATALOGUE), f"{file}: {key}"


def test_no_page_speaks_past_the_catalogue() -> None:
    """Chinese sentences stand in words/ only (docstrings aside); the names of the product and of the language may stand anywhere."""
    past = []
    for file in CODE.rglob("*.py"):
        if file.parent.name == "words":
            continue
        tree = ast.parse(file.read_text())
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                said = node.value.replace("中文", "").replace("合符", "")
                past += [(file.name, said)] if id(node) not in docs and HAN.search(said) else []
    assert past == []


def test_values_are_filled_in() -> None:
    assert (
        say("login.throttled", "en", minutes=3) == "Too many attempts. Please try again in about 3 minute(s)."
    )
    assert words.say("jobs.version", "zh", n=2) == "第 2 版"


def test_enums_are_string_enums() -> None:
    assert all(issubclass(e, StrEnum) for e in (Role, Standing, JobState, Stage))


def test_every_kind_of_evidence_that_the_platform_records_has_a_word() -> None:
    platform = Path(m.__file__).parent.parent
    recorded = re.compile(r"\.record\(\s*\w+,\s*\"(\w+)\"")
    kinds = {kind for file in platform.rglob("*.py") for kind in recorded.findall(file.read_text())}
    assert len(kinds) > 20
    assert {kind for kind in kinds if f"evidence.{kind}" not in CATALOGUE} == set()
