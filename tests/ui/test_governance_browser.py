"""Governance in a real browser: a contract under consent, refused and mended; approvals; a list; files that are downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.server, pytest.mark.browser]
Enter = Callable[..., Any]
Calls = Callable[[str], list[tuple[Any, ...]]]


def _next(page: Any, shown: str) -> None:
    page.get_by_role("button", name="下一步").click()
    page.get_by_text(shown).first.wait_for()


def _pick(page: Any, key: str, words: str) -> None:
    """Type into a list of choices and take the first that fits."""
    field = page.locator(f".st-key-{key} input")
    field.fill(words)
    page.get_by_role("option", name=words).first.wait_for()
    field.press("Enter")
    _settled(page)
    field.press("Escape")


def _fill(page: Any, key: str, words: str) -> None:
    field = page.locator(f".st-key-{key} input")
    field.fill(words)
    field.press("Tab")


def _settled(page: Any) -> None:
    page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
    page.wait_for_timeout(300)


def _upload(page: Any, where: str, name: str, content: bytes) -> None:
    """Choose a file, and wait until the console has it."""
    file = {"name": name, "mimeType": "text/plain", "buffer": content}
    with page.expect_response(lambda answer: "upload_file" in answer.url and answer.request.method == "PUT"):
        page.locator(f"{where} input[type=file]").set_input_files(file)
    page.locator(where).get_by_text(name).first.wait_for()
    page.wait_for_timeout(500)
    _settled(page)


def _shows(page: Any, key: str, value: str) -> None:
    """The field shows this value; a field that has just appeared may take a moment."""
    field = page.locator(f".st-key-{key} input")
    for _ in range(50):
        if field.input_value() == value:
            return
        page.wait_for_timeout(200)
    assert field.input_value() == value


def test_a_contract_under_consent_is_refused_mended_and_proposed(
    enter: Enter, calls: Calls, nodes: Any
) -> None:
    page = enter("institution", path="new_contract")
    page.get_by_text("组件 face 尚未安装").wait_for()
    _fill(page, "new_title", "消费金融对账（同意）")
    _next(page, "从业机构")
    _pick(page, "new_institutions", "安信")
    _settled(page)
    _pick(page, "new_banks", "华东")
    _settled(page)
    _next(page, "证件号")
    _next(page, "匹配键")
    page.get_by_role("button", name="证件号").or_(page.get_by_role("radio", name="证件号")).first.click()
    _settled(page)
    _next(page, "授权链条")
    for org in ("institution", "bank"):
        _pick(page, f"new_{org}_basis", "个人同意")
        _settled(page)
        _upload(page, f".st-key-new_{org}_0_file", "notice.txt", b"notice of " + org.encode())
        _fill(page, f"new_{org}_0_notice_version", "2026-1")
        _settled(page)
    _fill(page, "new_bank_row_filter", "nonsense")
    _settled(page)
    _next(page, "使用次数上限")
    page.get_by_text("逐次授权").click()
    _settled(page)
    _next(page, "行过滤条件不正确")
    page.get_by_role("button", name="修改").click()
    page.get_by_text("授权第 1 环").first.wait_for()
    _shows(page, "new_bank_row_filter", "nonsense")
    _shows(page, "new_bank_0_notice_version", "2026-1")
    _fill(page, "new_bank_row_filter", "amount >= 100.00")
    _settled(page)
    _next(page, "使用次数上限")
    _next(page, "这是将要签署的全文")
    draft = nodes["institution"][0].state.drafts[-1]
    assert draft.title == "消费金融对账（同意）"
    assert draft.terms.authorisation == "per_use"
    assert draft.terms.data_sets["bank"].row_filter == "amount >= 100.00"
    for terms in draft.terms.data_sets.values():
        assert terms.legal_basis == "consent"
        assert terms.subject_field == "party_id"
        assert len(terms.consents[0].notice_digest) == 64
    page.get_by_role("button", name="提出并签署").click()
    page.get_by_text("1 / 6 已签署").wait_for()
    assert calls("institution")[-1][0] == "propose"


def test_the_contract_text_is_downloaded_as_pdf(enter: Enter, nodes: Any, tmp_path: Path) -> None:
    digest = next(iter(nodes["auditor"][0].state.contracts))
    page = enter("auditor", path=f"contracts?id={digest}")
    page.get_by_role("button", name="合约文本（PDF）").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="下载合约文本").click()
    file = waiting.value
    assert file.suggested_filename == "T1-RECON-2026-v1-zh.pdf"
    file.save_as(tmp_path / "text.pdf")
    assert (tmp_path / "text.pdf").read_bytes() == b"%PDF-1.7 " + digest.encode() + b"zh"
    page.get_by_role("button", name="下载合约文本").wait_for()  # it may be taken again


def test_the_effect_is_downloaded_as_csv(enter: Enter, tmp_path: Path) -> None:
    page = enter("auditor", path="effect")
    page.get_by_text("被哪条规则拒绝").wait_for()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="下载 CSV").click()
    waiting.value.save_as(tmp_path / "effect.csv")
    text = (tmp_path / "effect.csv").read_bytes().decode("utf-8-sig")
    assert "被哪条规则拒绝,group_too_small,3" in text


def test_a_list_is_refused_then_taken(enter: Enter, calls: Calls) -> None:
    page = enter("institution", path="exclusions")
    page.get_by_text("限制处理").first.click()
    _settled(page)
    _upload(page, ".st-key-card_upload", "list.txt", b"330102199001011234\n\n")
    page.get_by_role("button", name="加入名单").click()
    page.get_by_text("名单第 2 行无法识别").wait_for()
    assert page.get_by_text("list.txt").count() == 1, "what was chosen stays"
    _upload(page, ".st-key-card_upload", "good.txt", b"330102199001011234\n")
    page.get_by_role("button", name="加入名单").click()
    page.get_by_text("已读取 1 行").wait_for()
    assert calls("institution") == [("exclude", "restrict", "", "", 1)]
    assert "330102199001011234" not in page.inner_text("body")


def test_a_second_person_carries_out_a_proposal(enter: Enter, calls: Calls) -> None:
    page = enter("bank", path="approvals")
    page.locator(".st-key-prep_P2 button").click()
    page.get_by_text("T1-RECON-2028").first.wait_for()
    page.get_by_role("button", name="复核通过").click()
    page.get_by_text("已复核通过并执行").wait_for()
    assert calls("bank") == [("propose", "T1-RECON-2028")]
