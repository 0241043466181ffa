"""The compliance pages without a browser: what they show, what they ask of the node, and that a viewer changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hefu.domain.filings import KINDS
from hefu_ui.look.filing_form import NOT_ASKED
from hefu_ui.screens.filings import _OF_CONTRACT, _OWN
from hefu_ui.words import CATALOGUE
from streamlit.testing.v1 import AppTest

Open = Callable[..., AppTest]
Calls = Callable[[str], list[tuple[Any, ...]]]

SEEN = {
    "todo": {"institution": "复核备案文件", "auditor": "审核新申请小贷公司"},
    "cockpit": {"institution": "授权链条未覆盖", "auditor": "授权链条未覆盖"},
    "filings": {"bank": "经办", "auditor": "经办"},
    "calendar": {"institution": "等级保护证书到期"},
    "registers": {"institution": "institution-daily"},
    "complaints": {"auditor": "数据使用"},
    "subject_requests": {"institution": "撤回同意"},
    "models": {"institution": "CREDIT-MODEL-1"},
}
CASES = [(page, org, text) for page, orgs in SEEN.items() for org, text in orgs.items()]


def _text(app: AppTest) -> str:
    said = [str(getattr(e, "value", e)) for kind in ("markdown", "caption", "info") for e in app.get(kind)]
    return "\n".join(
        said
        + [str(getattr(e, "body", getattr(getattr(e, "proto", None), "body", ""))) for e in app.get("html")]
    )


def _buttons(app: AppTest) -> set[str]:
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


def test_the_board_has_nine_points_each_with_its_light(open_page: Open) -> None:
    app = open_page("institution", "cockpit")
    keys = sorted(k for k in _buttons(app) if k.startswith("tile_"))
    assert len(keys) == 9
    lights = {k.rsplit("_", 2)[1] + "." + k.rsplit("_", 1)[1]: k.split("_")[1] for k in keys}
    assert lights == {"3.1": "red", "3.2": "red", "3.3": "amber", "3.4": "green", "3.5": "green", "3.6": "gray",
                      "3.7": "green", "3.8": "green", "3.9": "green"}  # fmt: skip


def test_a_point_opens_its_findings_with_the_law_and_how_to_mend(open_page: Open) -> None:
    app = open_page("institution", "cockpit")
    assert "《个人信息保护法》第二十三条" in _text(app), "the worst point is open at first"
    app.button(key="tile_red_off_3_2").click().run()
    text = _text(app)
    assert "没有有效的个人信息保护影响评估" in text
    assert "《个人信息保护法》第五十五条" in text
    assert "由他人复核后备案" in text


def test_weakest_stage_gaps_and_waits(open_page: Open) -> None:
    text = _text(open_page("regulator", "cockpit"))
    assert text.count("最弱环节") == 1
    assert "未列明该参与方" in text
    assert "在等谁" in text


def test_the_stop_button_needs_a_reason(open_page: Open, calls: Calls) -> None:
    app = open_page("bank", "cockpit")
    app.button(key="cockpit_suspend_confirm").click().run()
    assert calls("bank") == []
    app.text_area(key="cockpit_suspend_reason").input("发现异常访问").run()
    app.button(key="cockpit_suspend_confirm").click().run()
    assert calls("bank") == [("notice", "suspend", "发现异常访问")]


def test_what_one_prepared_another_carries_out(open_page: Open, calls: Calls) -> None:
    app = open_page("bank", "cockpit", id=_active())
    assert "节点异常" in app.warning[0].value
    app.button(key="second_P1").click().run()
    assert calls("bank") == [("notice", "suspend", "节点异常")], "with exactly the reason that was prepared"
    viewer = open_page("bank", "cockpit", user="viewer", id=_active())
    assert not viewer.warning


def _active() -> str:
    import sys

    return str(sys.modules["double_values"].contract().digest)


@pytest.mark.parametrize(("org", "user"), [("bank", "viewer"), ("institution", "viewer")])
def test_a_viewer_sees_all_and_changes_nothing(open_page: Open, org: str, user: str) -> None:
    for page in SEEN:
        app = open_page(org, page, user=user)
        assert not app.exception
        assert not app.get("text_area")
        assert not app.get("text_input")
        assert not {k for k in _buttons(app) if k.startswith(("approve_", "cockpit_", "fill_", "submit", "open_", "answer_", "complaint", "request"))}  # fmt: skip
    assert "您可以查看全部内容" in _text(open_page(org, "cockpit", user=user))


def test_an_auditor_gets_no_form_of_the_participants(open_page: Open) -> None:
    app = open_page("auditor", "cockpit")
    assert not {k for k in _buttons(app) if k.startswith(("cockpit_", "fill_"))}
    inbox = _buttons(open_page("auditor", "complaints"))
    assert not {k for k in inbox if k.startswith("complaint")}, "it takes nothing in"
    assert {k.split("_")[0] for k in inbox if k.startswith(("open_", "answer_"))} == {"open", "answer"}, (
        "its own duty"
    )
    forms = open_page("auditor", "filings").selectbox(key="new_kind").options
    assert "影响评估" not in "".join(forms)
    assert any("第三方评估" in f for f in forms)
    refused = open_page("auditor", "filings", new="impact_assessment", contract="T1-RECON-2026")
    assert "submit_filing" not in _buttons(refused)


def test_a_filing_is_approved_by_the_digest_that_was_shown(open_page: Open, calls: Calls) -> None:
    app = open_page("bank", "filings")
    shown = [code.value for code in app.get("code")]
    app.button(key="approve_D-li").click().run()
    ((deed, draft, digest),) = calls("bank")
    assert (deed, draft) == ("approve", "D-li")
    assert digest in shown


def test_nobody_approves_their_own(open_page: Open) -> None:
    app = open_page("bank", "filings")
    assert "approve_D-wang" not in _buttons(app)
    assert "须由另一名复核人员签发" in _text(app)


def test_sending_back_needs_a_reason(open_page: Open, calls: Calls) -> None:
    app = open_page("bank", "filings")
    app.text_area(key="reject_D-li_reason").input("条件不完整").run()
    app.button(key="reject_D-li_confirm").click().run()
    assert calls("bank") == [("reject", "D-li", "条件不完整")]


def test_an_impact_assessment_is_filled_in(open_page: Open, calls: Calls) -> None:
    app = open_page("institution", "filings", new="impact_assessment", contract="T1-RECON-2026")
    text = _text(app)
    assert "由合约计算得出" in text
    assert "委托处理" in text
    for area, words in zip(app.text_area, ("必要性", "影响", "措施"), strict=True):
        area.input(words)
    app.session_state["impact_assessment_T1-RECON-2026_f_residual_risk_0"] = "low"
    app.button(key="submit_filing").click().run()
    ((_, kind, content),) = calls("institution")
    assert kind == "impact_assessment"
    assert (content["necessity"], content["impact"], content["measures"]) == ("必要性", "影响", "措施")
    assert content["triggers"] == ["entrusting", "providing"]
    assert not NOT_ASKED & set(content) - {"contract_id"}
    whole = content | {
        "issuer": "institution",
        "issued_at": "2026-01-01T00:00:00Z",
        "prepared_by": "a",
        "approved_by": "b",
    }
    KINDS[kind].model_validate(whole)


@pytest.mark.parametrize("kind", [*_OF_CONTRACT, *_OWN])
def test_every_form_draws_and_every_field_has_its_label(open_page: Open, kind: str) -> None:
    org = "auditor" if kind == "third_party_assessment" else "institution"
    app = open_page(org, "filings", new=kind, contract="T1-RECON-2026")
    assert not app.exception
    assert not app.error
    assert "submit_filing" in _buttons(app)
    assert f"filing_about.{kind}" in CATALOGUE
    for name in set(KINDS[kind].model_fields) - NOT_ASKED:
        assert f"field_of.{name}" in CATALOGUE or f"{kind}.{name}" in CATALOGUE, name


def test_every_kind_of_filing_has_a_word() -> None:
    assert {k for k in KINDS if f"filing.{k}" not in CATALOGUE} == set()


def test_an_incident_shows_where_it_goes(open_page: Open) -> None:
    text = _text(open_page("institution", "filings", new="incident_report", contract="T1-RECON-2026"))
    assert "直接送达" in text
    assert "金融监管局" in text


def test_a_complaint_is_taken_in(open_page: Open, calls: Calls) -> None:
    app = open_page("bank", "complaints")
    app.text_area(key="complaint_words").input("未经同意使用我的数据").run()
    app.button(key="complaint_send").click().run()
    assert calls("bank") == [("complaint", "T1-RECON-2026", "data_use", "未经同意使用我的数据")]


def test_a_request_is_taken_in_and_opened_by_whoever_must_act(open_page: Open, calls: Calls) -> None:
    app = open_page("institution", "subject_requests")
    app.selectbox(key="request_right").select("withdraw").run()
    app.text_input(key="request_who").input("330102199001011234").run()
    app.button(key="request_send").click().run()
    assert calls("institution") == [("request", "T1-RECON-2026", "withdraw", "330102199001011234")]
    opening = next(b for b in app.button if str(b.key).startswith("open_"))
    opening.click().run()
    assert calls("institution")[-1][0] == "open_words"
    assert "330102199001011234" in _text(app)
    assert not [
        b for b in open_page("regulator", "subject_requests").button if str(b.key).startswith("open_")
    ]


def test_the_month_turns(open_page: Open) -> None:
    app = open_page("institution", "calendar")
    before = _text(app).split('class="hf-month">')[1][:7]
    app.button(key="month_next").click().run()
    assert _text(app).split('class="hf-month">')[1][:7] != before


def test_a_contract_that_makes_a_model_is_not_said_to_make_none(console: Any, open_page: Open) -> None:
    import sys

    from hefu_ui.look.nine_points import points_of

    doubles = sys.modules["double_compliance"]
    ledger = sys.modules["double_values"].ledger_state()
    for makes, said in ((False, "本合约不产生模型"), (True, "尚未启用")):
        cockpit = doubles.cockpit("0" * 64).model_copy(update={"makes_model": makes})
        point = next(p for p in points_of(cockpit, ledger) if p.number == "3.6")
        assert point.light == "gray"
        assert said in point.said
