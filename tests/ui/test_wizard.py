"""The form of a new contract: both scenarios to the draft that the node gets, and nothing typed is lost on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hefu.domain.contract import Contract
from hefu.node.console_models import ReconciliationDraft
from hefu.node.contract_life_models import TemplateDraft
from hefu_ui.look.formats import today
from hefu_ui.screens.new_contract import STEPS, step_of
from streamlit.testing.v1 import AppTest

Open = Callable[..., AppTest]
Calls = Callable[[str], list[tuple[Any, ...]]]


def _text(app: AppTest) -> str:
    said = [str(getattr(e, "value", e)) for kind in ("markdown", "caption", "info") for e in app.get(kind)]
    return "\n".join([*said, *(str(e.proto.body) for e in app.get("html"))])


def _next(app: AppTest) -> None:
    app.button(key="next").click().run()
    assert not app.exception
    assert not app.error


def _to_data(app: AppTest) -> None:
    _next(app)
    app.multiselect(key="new_institutions").select("institution").run()
    app.multiselect(key="new_banks").select("bank").run()
    _next(app)


def _drafts(nodes: Any, org: str = "institution") -> list[Any]:
    drafts: list[Any] = nodes[org][0].state.drafts
    return drafts


def test_a_contract_is_made_step_by_step(open_page: Open, calls: Calls, nodes: Any) -> None:
    app = open_page("institution", "new_contract")
    app.button(key="next").click().run()
    app.button(key="next").click().run()
    assert "从业机构" in app.warning[0].value, "parties are missing"
    app.multiselect(key="new_institutions").select("institution").run()
    app.multiselect(key="new_banks").select("bank").run()
    for _ in range(5):
        _next(app)
    assert "签署的原文" in str(app.expander[0].label)
    assert calls("institution")[-1] == ("draft", app.session_state["new_contract"]["contract_id"])
    draft = _drafts(nodes)[-1]
    assert isinstance(draft, ReconciliationDraft)
    assert draft.compute_parties == ["operator", "bank", "exchange"], "neutral N0 and N2 are suggested"
    assert draft.data_sets == {"institution": "institution-daily", "bank": "bank-daily"}
    assert (draft.terms.authorisation, draft.terms.trial) == ("standing", None)
    app.button(key="propose").click().run()
    assert not app.exception
    assert calls("institution")[-1][0] == "propose"


def test_scenarios_that_are_not_installed_say_why(open_page: Open) -> None:
    app = open_page("institution", "new_contract")
    text = _text(app)
    for name in ("T+1 对账", "联合统计", "黑名单查询", "联合建模", "联合营销", "人脸比对"):
        assert name.removeprefix("T+1 ") in text
    assert "组件 pir 尚未安装" in text
    assert {str(b.key) for b in app.button if str(b.key).startswith("choose_")} == {"choose_joint_statistics"}


def test_consents_row_filter_per_use_and_trial_reach_the_draft(
    open_page: Open, calls: Calls, nodes: Any
) -> None:
    app = open_page("institution", "new_contract")
    _to_data(app)
    _next(app)
    _next(app)
    app.text_input(key="new_bank_row_filter").input("amount >= 100.00").run()
    app.selectbox(key="new_institution_basis").select("consent").run()
    app.button(key="next").click().run()
    said = [w.value for w in app.warning]
    assert "标识个人的字段" in said[0], "nobody could be left out"
    assert "告知书" in said[-1], "the chain lacks its notice"
    app.session_state["new_contract"]["terms"]["institution"]["consents"][0]["notice_digest"] = "c" * 64
    app.text_input(key="new_institution_0_notice_version").input("2026-1").run()
    app.multiselect(key="new_institution_0_participants").select("bank").run()
    _next(app)
    app.radio(key="new_authorisation").set_value("per_use").run()
    app.toggle(key="new_trial").set_value(True).run()
    app.number_input(key="new_trial_rows").set_value(500).run()
    _next(app)
    draft = _drafts(nodes)[-1]
    assert draft.terms.authorisation == "per_use"
    assert draft.terms.trial is not None
    assert (draft.terms.trial.max_rows, draft.terms.trial.confirmed_by) == (500, ["regulator"])
    assert draft.terms.data_sets["bank"].row_filter == "amount >= 100.00"
    own = draft.terms.data_sets["institution"]
    (consent,) = own.consents
    assert own.legal_basis == "consent"
    assert (consent.notice_digest, consent.notice_version, consent.participants) == ("c" * 64, "2026-1", ["bank"])  # fmt: skip
    assert consent.kinds == ["explicit", "separate"]
    assert consent.expires_on == (today() + timedelta(days=365)).isoformat()


def test_kind_of_rows_limits_per_period_quorum_and_hours_reach_the_draft(
    open_page: Open, calls: Calls, nodes: Any
) -> None:
    app = open_page("institution", "new_contract")
    _to_data(app)
    _next(app)
    _next(app)
    app.multiselect(key="new_bank_flags").set_value(["minors"]).run()
    _next(app)
    app.selectbox(key="new_period").select("week").run()
    app.number_input(key="new_per_period").set_value(7).run()
    app.multiselect(key="new_reviewers").set_value(["institution", "bank"]).run()
    app.number_input(key="new_quorum").set_value(2).run()
    app.multiselect(key="new_reviewers").set_value(["bank"]).run()
    assert app.number_input(key="new_quorum").value == 1
    app.number_input(key="new_review_hours").set_value(48).run()
    _next(app)
    terms = _drafts(nodes)[-1].terms
    assert (terms.per_period, terms.quorum, terms.review_hours) == ({"week": 7}, 1, 48)
    flags = {org: (d.important, d.minors, d.events) for org, d in terms.data_sets.items()}
    assert flags == {"institution": (False, False, False), "bank": (False, True, False)}


def test_under_a_mandate_the_file_is_asked_for_and_no_basis(
    open_page: Open, calls: Calls, nodes: Any
) -> None:
    app = open_page("institution", "new_contract")
    app.text_input(key="new_mandate_number").input("金监发〔2026〕3 号").run()
    app.button(key="next").click().run()
    assert "法定授权文件" in app.warning[0].value
    app.file_uploader[0].upload("mandate.pdf", b"the mandate", "application/pdf").run()
    digest = hashlib.sha256(b"the mandate").hexdigest()
    assert digest in _text(app)
    _to_data(app)
    _next(app)
    _next(app)
    assert "无需另取同意" in _text(app)
    assert not [s for s in app.selectbox if str(s.key).endswith("_basis")]
    _next(app)
    _next(app)
    draft = _drafts(nodes)[-1]
    assert (draft.mandate_number, draft.mandate_digest) == ("金监发〔2026〕3 号", digest)
    assert {terms.legal_basis for terms in draft.terms.data_sets.values()} == {None}


def test_what_the_node_refuses_is_said_and_nothing_typed_is_lost(open_page: Open, calls: Calls) -> None:
    app = open_page("institution", "new_contract")
    app.text_input(key="new_title").input("我的合约").run()
    _to_data(app)
    _next(app)
    _next(app)
    app.text_input(key="new_bank_row_filter").input("nonsense").run()
    _next(app)
    app.button(key="next").click().run()
    said = app.error[0].value
    assert "行过滤条件不正确" in said
    assert "请返回表单修改该项" in said
    assert "data_sets.row_filter" in said
    assert "华东商业银行" in said
    app.button(key="mend").click().run()
    assert app.text_input(key="new_bank_row_filter").value == "nonsense", "back where it is mended, as typed"
    for _ in range(4):
        app.button(key="previous").click().run()
    assert app.text_input(key="new_title").value == "我的合约"


def test_a_second_change_of_the_same_field_counts(open_page: Open) -> None:
    app = open_page("institution", "new_contract")
    for words in ("甲", "乙", "丙"):
        app.text_input(key="new_title").input(words).run()
        assert app.session_state["new_contract"]["title"] == words
    _next(app)
    app.multiselect(key="new_institutions").select("institution").run()
    app.multiselect(key="new_institutions").select("bank").run()
    assert app.session_state["new_contract"]["institutions"] == ["institution", "bank"]


def test_a_joint_statistic_is_drafted(open_page: Open, calls: Calls, nodes: Any) -> None:
    app = open_page("regulator", "new_contract")
    app.button(key="choose_joint_statistics").click().run()
    assert app.text_input(key="new_title").value == "联合统计"
    _next(app)
    app.multiselect(key="new_givers").select("institution").run()
    app.multiselect(key="new_givers").select("bank").run()
    _next(app)
    _next(app)
    assert app.selectbox(key="new_subject").value == "party_id", "the direct identifier is suggested"
    app.multiselect(key="new_group_by").select("type").run()
    app.button(key="next").click().run()
    assert "类别" in app.warning[0].value
    app.text_input(key="new_cat_type").input("loan、lease，loan").run()
    app.selectbox(key="new_value").select("amount").run()
    app.session_state["new_release"] = ["sum", "subjects"]
    app.run()
    for _ in range(3):
        _next(app)
    draft = _drafts(nodes, "regulator")[-1]
    assert isinstance(draft, TemplateDraft)
    assert draft.parameters["group_by"] == [{"field": "type", "categories": ["loan", "lease"]}]
    assert draft.parameters["value"] == "amount"
    assert draft.parameters["release"] == ["sum", "subjects"]
    assert draft.recipient == "regulator"
    assert draft.min_group_size == 20
    from hefu.components.registry import COMPONENTS

    COMPONENTS["aggregate"].parameters.model_validate({**draft.parameters, "min_group": 20})


def test_a_proposal_that_needs_a_second_person_leads_to_the_approvals(
    open_page: Open, nodes: Any, calls: Calls
) -> None:
    nodes["institution"][0].state.two_persons = True
    app = open_page("institution", "new_contract")
    _to_data(app)
    for _ in range(4):
        _next(app)
    app.button(key="propose").click().run()
    assert not app.exception
    assert not app.error
    assert app.query_params["id"] == Contract.from_bytes(nodes["institution"][0].state.prepared.encode()).digest  # fmt: skip
    assert "复核" in _text(app)


@pytest.mark.parametrize(
    ("clause", "step"),
    [("data_sets.row_filter", "basis"), ("data_sets.consents.participants", "basis"), ("data_sets", "data"), ("limits.valid_until", "limits"),
     ("computation.steps.parameters.leak", "computation"), ("mandate.file_digest", "template"), ("parties", "parties"), ("nothing", None), (None, None)],
)  # fmt: skip
def test_every_clause_has_its_step(clause: str | None, step: str | None) -> None:
    assert step_of(clause) == step
    assert step is None or step in [name for name, _ in STEPS]
