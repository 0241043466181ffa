"""Every page without a browser: what it shows, what it asks of the node, who may see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

Open = Callable[..., AppTest]
Calls = Callable[[str], list[tuple[Any, ...]]]

SEEN = {
    "overview": {"institution": "待办", "regulator": "每日例外", "auditor": "审核新申请小贷公司"},
    "participants": {"auditor": "机构名录", "bank": "机构名录"},
    "contracts": {"institution": "合约列表", "operator": "合约列表"},
    "new_contract": {"institution": "模板与用途"},
    "models": {"bank": "还没有训练出的模型"},
    "jobs": {"institution": "立即运行与补跑", "regulator": "任务列表"},
    "schedule": {"operator": "接下来 10 次运行"},
    "data_sets": {"bank": "按时到达"},
    "cases": {"institution": "案件列表"},
    "results": {"regulator": "按日结果"},
    "alarms": {"regulator": "金额不符率超限"},
    "inquiries": {"regulator": "请说明这三笔", "institution": "请说明这三笔"},
    "ledger": {"auditor": "签名检查点"},
    "users": {"bank": "账号"},
}  # fmt: skip
CASES = [(page, org, text) for page, orgs in SEEN.items() for org, text in orgs.items()]


def _text(app: AppTest) -> str:
    return "\n".join(
        str(e.value if hasattr(e, "value") else e)
        for kind in ("markdown", "html", "caption", "metric")
        for e in app.get(kind)
    ) + str([getattr(e, "body", getattr(getattr(e, "proto", None), "body", "")) for e in app.get("html")])


@pytest.mark.parametrize(("page", "org", "text"), CASES, ids=[f"{p}-{o}" for p, o, _ in CASES])
def test_the_page_shows_what_it_is_for_in_both_languages(
    open_page: Open, page: str, org: str, text: str
) -> None:
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


@pytest.mark.parametrize(
    ("org", "user", "page"),
    [("bank", "wang", "results"), ("institution", "wang", "alarms"), ("auditor", "wang", "data_sets"), ("operator", "wang", "cases"),
     ("regulator", "viewer", "users"), ("institution", "viewer", "new_contract"), ("operator", "wang", "inquiries")],
)  # fmt: skip
def test_a_page_that_is_not_for_this_person_is_not_there(
    open_page: Open, org: str, user: str, page: str
) -> None:
    app = open_page(org, page, user=user)
    assert page not in app.session_state["pages"]
    assert "overview" in app.session_state["pages"]

    def script(name: str) -> None:
        from hefu_ui.screens import PAGES, _checked

        _checked(next(screen for screen in PAGES if screen.name == name))()

    forced = AppTest.from_function(script, kwargs={"name": page}).run()
    assert not forced.exception
    assert "没有查看此页面的权限" in forced.error[0].value
    assert not forced.dataframe


def test_without_a_session_nothing_of_a_page_runs(open_page: Open, console: Any, calls: Calls) -> None:
    app = open_page("bank", "contracts")
    for token in list(console.sessions._by_hash):
        console.sessions._by_hash.pop(token)
    app.run()
    assert not app.exception
    assert not app.dataframe
    assert "会话已结束" in app.info[0].value


def test_a_token_that_the_node_forgot_ends_the_session(open_page: Open, nodes: Any) -> None:
    app = open_page("bank", "contracts")
    nodes["bank"][0].state.tokens.clear()
    app.run()
    assert not app.exception
    assert "会话已结束" in app.info[0].value


def test_signing_a_contract(open_page: Open, calls: Calls, nodes: Any) -> None:
    waiting = next(v for v in nodes["bank"][0].state.contracts.values() if v.can_sign)
    app = open_page("bank", "contracts", id=waiting.summary.digest)
    assert "待签署" in _text(app)
    app.button(key="sign").click().run()
    assert not app.exception
    assert calls("bank") == [("sign", waiting.summary.digest)]


def test_refusing_needs_a_reason(open_page: Open, calls: Calls, nodes: Any) -> None:
    waiting = next(v for v in nodes["auditor"][0].state.contracts.values() if v.can_sign)
    app = open_page("auditor", "contracts", id=waiting.summary.digest)
    app.button(key="refuse_contract_confirm").click().run()
    assert calls("auditor") == []
    app.text_area(key="refuse_contract_reason").input("字段超出必要").run()
    app.button(key="refuse_contract_confirm").click().run()
    assert calls("auditor") == [("notice", "refuse", "字段超出必要")]


def test_a_viewer_cannot_sign(open_page: Open, nodes: Any) -> None:
    waiting = next(v for v in nodes["regulator"][0].state.contracts.values() if v.can_sign)
    app = open_page("regulator", "contracts", user="viewer", id=waiting.summary.digest)
    assert not [b for b in app.button if b.key == "sign"]


def test_what_the_node_refuses_is_said_in_words_with_the_way_to_mend_it(open_page: Open) -> None:
    app = open_page("bank", "contracts", id="0" * 64)
    assert not app.exception
    assert "没有这份合约" in app.error[0].value
    assert "请从列表中选择" in app.error[0].value


def test_the_auditor_reviews_an_application(open_page: Open, calls: Calls) -> None:
    fresh = "newcomer"
    app = open_page("auditor", "participants", id=fresh)
    app.text_area(key="approve_newcomer_reason").input("资质齐备").run()
    app.button(key="approve_newcomer_confirm").click().run()
    assert calls("auditor")[0][2:] == (True, "资质齐备")


def test_the_operator_suspends_a_participant(open_page: Open, calls: Calls) -> None:
    app = open_page("operator", "participants", id="bank")
    app.text_area(key="suspended_bank_reason").input("资质到期").run()
    app.button(key="suspended_bank_confirm").click().run()
    assert calls("operator") == [("standing", "bank", "suspended")]


def test_a_running_job_can_be_cancelled(open_page: Open, calls: Calls) -> None:
    app = open_page("institution", "jobs", id="J000001R1")
    assert "安全计算" in _text(app)
    next(b for b in app.button if b.label == "取消任务").click().run()
    assert calls("institution") == [("cancel", "J000001R1")]


def test_a_verdict_names_the_finding_and_the_way_to_mend_it(open_page: Open) -> None:
    text = _text(open_page("regulator", "jobs", id="J000004R1"))
    assert "华东商业银行当日数据未到达" in text
    assert "补报文件后" in text


def test_running_and_backfilling(open_page: Open, calls: Calls) -> None:
    app = open_page("operator", "jobs")
    next(b for b in app.button if b.label == "开始").click().run()
    assert calls("operator")[0][0:2] == ("jobs", "T1-RECON-2026")


def test_a_sealed_result_is_opened_by_the_regulator(open_page: Open, calls: Calls) -> None:
    app = open_page("regulator", "results", id="J000002R1")
    assert "结果已封存" in _text(app)
    app.button(key="open_result").click().run()
    assert calls("regulator") == [("open", "J000002R1")]
    assert "例外清单" in _text(app)


def test_a_result_that_the_output_gate_refused_says_why(open_page: Open) -> None:
    app = open_page("regulator", "results", id="J000013R1")
    assert not app.exception
    assert "产出闸门未通过" in app.error[0].value
    assert "结果中出现直接标识符：手机号码" in _text(app)


def test_exceptions_are_filtered(open_page: Open) -> None:
    app = open_page("regulator", "results", id="J000006R1")
    table = app.dataframe[0].value
    assert len(table) == 40
    app.selectbox[0].select("missing_at_institution").run()
    assert len(app.dataframe[0].value) == 13


def test_the_ledger_is_verified(open_page: Open, calls: Calls) -> None:
    app = open_page("auditor", "ledger")
    app.button(key="verify").click().run()
    assert calls("auditor") == [("verify",)]
    assert "全部存证完好" in _text(app)


def test_the_ledger_is_filtered_by_kind(open_page: Open) -> None:
    app = open_page("bank", "ledger")
    app.selectbox(key="f_kind").select("result_opened").run()
    assert set(app.dataframe[0].value.iloc[:, 2]) == {"拆封结果"}


def test_the_schedule_is_paused(open_page: Open, calls: Calls) -> None:
    app = open_page("operator", "schedule")
    app.button(key="pause_T1-RECON-2026").click().run()
    assert calls("operator") == [("schedule", "T1-RECON-2026", "pause", None)]


def test_a_data_set_is_registered(open_page: Open, calls: Calls) -> None:
    app = open_page("institution", "data_sets")
    next(b for b in app.button if b.label == "登记数据集").click().run()
    assert calls("institution") == [("register", "institution-business-records")]


def test_an_alarm_is_acknowledged_with_a_note(open_page: Open, calls: Calls) -> None:
    app = open_page("regulator", "alarms")
    app.text_area(key="ack_A1_reason").input("已核实").run()
    app.button(key="ack_A1_confirm").click().run()
    assert calls("regulator") == [("acknowledge", "A1", "已核实")]


def test_an_inquiry_is_answered(open_page: Open, calls: Calls) -> None:
    app = open_page("institution", "inquiries")
    app.text_area(key="reply_Q1_reason").input("手续费未计入").run()
    app.button(key="reply_Q1_confirm").click().run()
    assert calls("institution") == [("inquiry_step", "Q1", "reply", "手续费未计入")]


def test_a_case_is_explained(open_page: Open, calls: Calls) -> None:
    app = open_page("institution", "cases", id="C0")
    app.text_area(key="case_explain_reason").input("跨日入账").run()
    app.button(key="case_explain_confirm").click().run()
    assert calls("institution") == [("case", "C0", "explain", "跨日入账")]


def test_a_user_is_added_only_with_a_long_password(open_page: Open, calls: Calls) -> None:
    app = open_page("bank", "users")

    def fill(password: str) -> None:
        for field, value in zip(app.text_input, ("li.si", "李四", password), strict=True):
            field.input(value)
        next(b for b in app.button if b.label == "创建").click().run()

    fill("short")
    assert calls("bank") == []
    assert "password" in app.error[0].value
    fill("long enough password")
    assert calls("bank") == [("user", "li.si")]


def test_the_language_is_kept_in_the_session(open_page: Open, console: Any) -> None:
    app = open_page("bank")
    app.sidebar.get("button_group")[0].set_value("en").run()
    assert "Waiting for me" in _text(app)
    assert next(iter(console.sessions._by_hash.values())).language == "en"


def test_a_corrected_day_shows_the_file_that_stands() -> None:
    from hefu.node.console_models import ArrivalView
    from hefu_ui.look.board import day_cells

    old = ArrivalView(data_set_id="d", business_date="2026-11-20", state="replaced", rows=3000)
    new = old.model_copy(update={"state": "arrived", "rows": 199})
    for order in ([old, new], [new, old]):
        assert day_cells(order)["2026-11-20"][:2] == ("replaced", "199")
    assert day_cells([new])["2026-11-20"][:2] == ("arrived", "199")
