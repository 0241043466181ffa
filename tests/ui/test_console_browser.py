"""The served console: the real server in a process of its own, in front of doubles of the nodes; first by HTTP, then in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

PASSWORD = "correct horse battery"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.server


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/jobs",
        "/_stcore/health",
        "/_stcore/host-config",
        "/static/js/index.js",
        "/media/x.png",
        "/auth/logout",
    ],
)
def test_nothing_of_streamlit_answers_without_a_session(address: str, path: str) -> None:
    assert httpx.get(address + path).status_code == 401
    page = httpx.get(address + path, headers={"accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/auth/login")


def test_the_websocket_handshake_is_refused(address: str) -> None:
    headers = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert httpx.get(address + "/_stcore/stream", headers=headers).status_code == 403


def _enter(page: Any, address: str, org: str) -> None:
    page.goto(address + "/auth/login")
    page.select_option("#org", org)
    page.fill("#account", "wang")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector(".hf-title")


WALK = {
    "institution": {"": "我的待办", "participants": "机构名录", "data_sets": "本机构文件到达", "contracts": "合约列表", "jobs?id=J000004R1": "华东商业银行当日数据未到达",
                    "schedule": "接下来 10 次运行", "cases": "案件列表", "inquiries": "请说明这三笔"},
    "regulator": {"results": "按日结果", "results?id=J000006R1": "例外清单", "alarms": "金额不符率超限", "ledger": "存证条目", "models": "还没有训练出的模型", "users": "新增用户"},
}  # fmt: skip


@pytest.mark.browser
def test_a_person_signs_in_walks_the_pages_and_signs_out(
    address: str, require_program: Callable[[str], str]
) -> None:
    chromium = require_program("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    foreign, errors = set(), []
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium, args=FLAGS)
        for org, pages in WALK.items():
            context = browser.new_context(viewport={"width": 1440, "height": 1600}, locale="zh-CN")
            page = context.new_page()
            page.set_default_timeout(20_000)
            page.on(
                "request",
                lambda r: (
                    foreign.add(urlsplit(r.url).netloc)
                    if urlsplit(r.url).scheme in ("http", "https", "ws", "wss")
                    else None
                ),
            )
            page.on("pageerror", lambda e: errors.append(str(e)))
            _enter(page, address, org)
            for path, text in pages.items():
                if "?" in path:
                    page.goto(f"{address}/{path}")
                elif path:
                    page.locator(f"[data-testid=stSidebarNav] a[href$='/{path}']").click()
                page.get_by_text(text).first.wait_for()
                assert page.locator("[data-testid=stException]").count() == 0
                assert "Traceback" not in page.inner_text("body")
            page.get_by_text("English", exact=True).click()
            page.get_by_text("Sign out").wait_for()
            page.get_by_text("Sign out").click()
            page.wait_for_url("**/auth/login")
            page.goto(address + "/jobs")
            page.wait_for_url("**/auth/login")
            context.close()
        browser.close()
    assert foreign == {urlsplit(address).netloc}, "the browser asked somebody else"
    assert errors == []


@pytest.mark.browser
def test_the_regulator_opens_a_sealed_result_in_the_browser(
    address: str, require_program: Callable[[str], str], calls: Callable[[str], list[Any]]
) -> None:
    chromium = require_program("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1600})
        page.set_default_timeout(20_000)
        _enter(page, address, "regulator")
        page.goto(address + "/results?id=J000002R1")
        page.get_by_text("结果已封存").wait_for()
        page.get_by_role("button", name="拆封").click()
        page.get_by_text("例外清单").wait_for()
        browser.close()
    assert ("open", "J000002R1") in calls("regulator")


@pytest.mark.browser
def test_the_cockpit_and_an_assessment_in_the_browser(
    address: str, require_program: Callable[[str], str], calls: Callable[[str], list[Any]]
) -> None:
    """From a red point to its form, filled in and handed on for approval."""
    chromium = require_program("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    errors: list[str] = []
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1600})
        page.set_default_timeout(40_000)
        page.on("pageerror", lambda e: errors.append(str(e)))
        _enter(page, address, "institution")
        page.goto(address + "/cockpit")
        page.get_by_text("最弱环节").wait_for()
        assert page.locator("[class*=st-key-tile_]").count() == 9
        assert page.locator(".hf-board .hf-red").count() == 2, "the gaps of the consent chain"
        page.get_by_role("button", name="3.2 事前和持续风险评估").click()
        page.get_by_text("没有有效的个人信息保护影响评估").wait_for()
        page.get_by_role("button", name="填写个人信息保护影响评估").click()
        for label, words in (
            ("一、", "为履行监管职责所必需"),
            ("二、", "假名标记，风险有限"),
            ("三、", "不合谋核查与密钥销毁"),
        ):
            area = page.get_by_role("textbox", name=label)
            area.fill(words)
            area.press("Control+Enter")
        page.get_by_role("radio", name="低").or_(
            page.get_by_role("button", name="低", exact=True)
        ).first.click()
        page.get_by_role("button", name="提交复核").click()
        page.get_by_text("已提交，等待复核").wait_for()
        browser.close()
    assert errors == []
    ((deed, kind, content),) = [call for call in calls("institution") if call[0] == "prepare"]
    assert (deed, kind) == ("prepare", "impact_assessment")
    assert content["necessity"] == "为履行监管职责所必需"
    assert content["residual_risk"] == "low"
