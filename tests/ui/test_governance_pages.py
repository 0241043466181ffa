"""Approvals, exclusion lists, effect evaluation: what they show, what they ask of the node, who may."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from hefu.domain.approval import ApprovalKind, ApprovalState
from hefu.domain.filings import KINDS as FILINGS
from hefu.domain.rules.exclusion import KINDS
from hefu_ui.words import CATALOGUE
from streamlit.testing.v1 import AppTest

Open = Callable[..., AppTest]
Calls = Callable[[str], list[tuple[Any, ...]]]
SEEN = {
    "approvals": {"institution": "进行中的审批", "bank": "本机构待复核", "auditor": "与本节点所见不一致"},
    "exclusions": {"institution": "撤回同意", "bank": "名单为空"},
    "effect": {"auditor": "consent_chain_broken", "institution": "被哪条规则拒绝"},
}
CASES = [(page, org, text) for page, orgs in SEEN.items() for org, text in orgs.items()]


def _text(app: AppTest) -> str:
    kinds = ("markdown", "caption", "info", "warning")
    said = [str(getattr(e, "value", e)) for kind in kinds for e in app.get(kind)]
    return "\n".join([*said, *(str(e.proto.body) for e in app.get("html"))])


def _keys(app: AppTest) -> set[str]:
    return {str(b.key) for b in app.button}


@pytest.mark.parametrize(("page", "org", "text"), CASES, ids=[f"{p}-{o}" for p, o, _ in CASES])
def test_the_page_in_both_languages(open_page: Open, page: str, org: str, text: str) -> None:
    app = open_page(org, page)
    assert not app.exception
    assert not app.error
    assert text in _text(app)
    app.session_state["language_choice"] = "en"
    app.run()
    assert not app.exception
    heading = _text(app).split("<h1>")[1].split("</h1>")[0]
    assert heading
    assert not any("一" <= letter <= "\u9fff" for letter in heading)


def test_every_kind_has_its_words() -> None:
    for kind in KINDS:
        assert {f"exclusion.{kind}", f"exclusion_about.{kind}"} <= set(CATALOGUE)
    assert {f"approval_kind.{k}" for k in ApprovalKind} <= set(CATALOGUE)
    assert {f"approval_state.{s}" for s in ApprovalState} <= set(CATALOGUE)


def test_an_approval_shows_document_waits_deadline_and_reasons(open_page: Open) -> None:
    text = _text(open_page("regulator", "approvals"))
    assert "剩 2 天" in text
    assert "等待本机构" in text
    assert "已逾期" in text
    assert "用途不具体" in text, "why it was refused"
    assert "字段有误" in text, "why it was withdrawn"


def _withdraws(app: AppTest) -> list[str]:
    return [k for k in _keys(app) if k.startswith("withdraw_")]


def test_only_the_proposer_withdraws_and_says_why(open_page: Open, calls: Calls) -> None:
    for org in ("bank", "regulator", "auditor"):
        assert _withdraws(open_page(org, "approvals")) == []
    assert _withdraws(open_page("institution", "approvals", user="viewer")) == []
    app = open_page("institution", "approvals")
    (confirm,) = _withdraws(app)
    app.button(key=confirm).click().run()
    assert calls("institution") == []
    app.text_area(key=confirm.replace("_confirm", "_reason")).input("字段需要修改").run()
    app.button(key=confirm).click().run()
    assert calls("institution") == [("notice", "withdraw", "字段需要修改")]


def test_a_second_person_proposes_exactly_what_was_prepared(
    open_page: Open, calls: Calls, nodes: Any
) -> None:
    app = open_page("bank", "approvals")
    assert "三期对账" in _text(app)
    app.button(key="prep_P2").click().run()
    assert not app.exception
    assert "T1-RECON-2028" in _text(app)
    app.button(key="approve").click().run()
    assert not app.exception
    assert calls("bank") == [("propose", "T1-RECON-2028")]


def test_a_second_person_sends_it_back_with_a_reason(open_page: Open, calls: Calls) -> None:
    app = open_page("bank", "approvals")
    app.button(key="prep_P2").click().run()
    app.text_area(key="turn_down_reason").input("缺少测试数据集").run()
    app.button(key="turn_down_confirm").click().run()
    assert calls("bank") == [("turn_down", "P2", "缺少测试数据集")]
    viewer = open_page("bank", "approvals", user="viewer")
    viewer.button(key="prep_P2").click().run()
    assert not {"approve", "turn_down_confirm"} & _keys(viewer)


def test_what_a_todo_of_a_second_person_leads_to(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proposal is on no contracts page yet: it is approved here. A release is decided at its job."""
    from hefu.node.console_models import Todo
    from hefu_ui.look import todos

    gone: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(todos, "go", lambda page, **query: gone.append((page, query)))
    made = [
        Todo(kind="preparation", title_zh="复核", title_en="Approve", page=page, subject=subject)
        for page, subject in (("contracts", "d" * 64), ("jobs", "J1"))
    ]
    monkeypatch.setattr("hefu_ui.compliance_api.ComplianceApi.todo", lambda self: made)
    for key in ("todo_0", "todo_1"):
        open_page("bank", "todo").button(key=key).click().run()
    assert gone == [("approvals", {"id": "d" * 64}), ("jobs", {"id": "J1"})]


def test_a_preparation_that_is_gone_says_so(open_page: Open) -> None:
    app = open_page("institution", "approvals", id="0" * 64)
    assert not app.error
    assert "该事项已处理" in _text(app)


def _upload(app: AppTest, content: bytes) -> None:
    app.file_uploader[0].upload("list.txt", content, "text/plain").run()
    app.button(key="exclude").click().run()


def test_a_list_goes_in_and_only_counts_come_out(open_page: Open, calls: Calls) -> None:
    app = open_page("institution", "exclusions")
    app.selectbox(key="ex_set_0").select("institution-daily").run()
    app.radio(key="ex_kind_0").set_value("restrict").run()
    _upload(app, b"330102199001011234\n330102199001015678\n")
    assert not app.exception
    assert calls("institution") == [("exclude", "restrict", "institution-daily", "", 2)]
    text = _text(app)
    assert "限制处理" in text
    assert "330102" not in text


def test_a_list_that_is_refused_stays_chosen(open_page: Open, calls: Calls) -> None:
    app = open_page("institution", "exclusions")
    app.radio(key="ex_kind_0").set_value("refuse").run()
    _upload(app, b"330102199001011234\n\n")
    assert "名单第 2 行无法识别" in app.error[0].value
    assert calls("institution") == []
    assert app.radio(key="ex_kind_0").value == "refuse"
    assert app.file_uploader[0].value is not None


def test_without_a_file_nothing_is_sent(open_page: Open, calls: Calls) -> None:
    app = open_page("institution", "exclusions")
    app.button(key="exclude").click().run()
    assert "请先选择名单文件" in app.warning[0].value
    assert calls("institution") == []


def test_one_person_is_taken_off(open_page: Open, calls: Calls) -> None:
    app = open_page("institution", "exclusions")
    app.text_input(key="lift_who").input("330102199001011234").run()
    app.button(key="lift_confirm").click().run()
    assert calls("institution") == [("lift", "withdraw", "institution-daily", "", "330102199001011234")]


def test_a_viewer_changes_no_list_and_others_have_no_page(open_page: Open) -> None:
    app = open_page("institution", "exclusions", user="viewer")
    assert "撤回同意" in _text(app)
    assert not {"exclude", "lift_confirm"} & _keys(app)
    assert "exclusions" not in open_page("regulator").session_state["pages"]


def test_the_effect_of_a_period_is_shown_filed_and_downloaded(open_page: Open, calls: Calls) -> None:
    app = open_page("auditor", "effect")
    metrics = {m.label: m.value for m in app.metric}
    assert metrics["任务"] == "30"
    assert metrics["拒绝"] == "4"
    assert "未计入平台方的数字" in _text(app)
    app.text_area(key="effect_utility").input("与明文一致").run()
    app.button(key="effect_file").click().run()
    ((_, kind, content),) = calls("auditor")
    assert (kind, content["utility"]) == ("effect_evaluation", "与明文一致")
    whole = content | {"issuer": "auditor", "issued_at": "2026-01-01T00:00:00Z"}
    FILINGS[kind].model_validate(whole)


def test_a_period_that_ends_before_it_begins_asks_nothing(open_page: Open) -> None:
    from datetime import timedelta

    from hefu_ui.look.formats import today

    app = open_page("auditor", "effect")
    app.date_input(key="effect_from").set_value(today() + timedelta(days=1)).run()
    assert "结束日期不能早于开始日期" in app.warning[0].value
    assert not app.metric


def test_the_csv_has_every_figure(console: Any, nodes: Any) -> None:
    import sys

    from hefu_ui.screens.effect import as_csv

    view = sys.modules["double_governance"].effect("0" * 64, "2026-11-01", "2026-11-30", "")
    raw = as_csv(view.figures)
    assert raw.startswith(b"\xef\xbb\xbf"), "spreadsheets read it as UTF-8"
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"))))
    assert ["任务状态", "成功", "27"] in rows
    assert ["被哪条规则拒绝", "group_too_small", "3"] in rows
    assert ["安全事件", "", "1"] in rows
    assert ["决定用时（中位）", "秒", "5400"] in rows
