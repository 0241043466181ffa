"""A console over doubles of two nodes, and pages run without a browser."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hefu.node.console_models import Session
from hefu_ui.config import ConsoleConfig, NodeAddress
from hefu_ui.console import Console, install
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

HERE = Path(__file__).parent
MAIN = Path(sys.modules["hefu_ui"].__file__ or "").parent / "main.py"
SERVE = "import sys; from pathlib import Path; from hefu_ui.server import serve; serve(Path(sys.argv[1]))"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
ORGS = ("institution", "bank", "regulator", "operator", "auditor")


def _module(name: str) -> Any:
    """A helper beside this file, under its plain name (tests have no packages)."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
        if spec is None or spec.loader is None:
            raise ImportError(name)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


values = _module("double_values")
governance = _module("double_governance")
compliance = _module("double_compliance")
double = _module("double_node")


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Any, NodeAddress]]]:
    """Doubles of the organisations' nodes over TLS: organisation → (application, address)."""
    folder = tmp_path_factory.mktemp("nodes")
    from contextlib import ExitStack

    with ExitStack() as stack:
        made = {}
        for org in ORGS:
            app = double.build(org)
            url = stack.enter_context(double.serving(app, folder, org))
            zh, en, _ = values.PEOPLE[org]
            made[org] = (app, NodeAddress(url=url, certificate=folder / f"{org}.pem", name_zh=zh, name_en=en))
        yield made


@pytest.fixture
def config(nodes: dict[str, tuple[Any, NodeAddress]]) -> ConsoleConfig:
    return ConsoleConfig(nodes={org: address for org, (_, address) in nodes.items()})


@pytest.fixture
def console(config: ConsoleConfig) -> Iterator[Console]:
    """The console of this process, without a server."""
    made = Console(config)
    install(made)
    yield made
    install(None)


@pytest.fixture
def calls(nodes: dict[str, tuple[Any, NodeAddress]]) -> Callable[[str], list[tuple[Any, ...]]]:
    """What an organisation's double was asked to change in this test."""
    for app, _ in nodes.values():
        app.state.reset()
    return lambda org: nodes[org][0].state.calls


@pytest.fixture
def open_page(console: Console, calls: object, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """`open_page("regulator", "results", user="wang", id=…)`: the page as that person sees it."""

    def run(
        org: str, page: str = "overview", *, user: str = "wang", language: str = "zh", **query: str
    ) -> AppTest:
        session: Session = console.node(org).login(user, double.PASSWORD)
        session = session.model_copy(update={"expires_at": session.expires_at + timedelta(hours=1)})
        token = console.sessions.begin(org, session, "en" if language == "en" else "zh")
        monkeypatch.setattr("hefu_ui.signed_in.cookie_token", lambda: token)
        app = AppTest.from_file(str(MAIN), default_timeout=30)
        app.run()
        if page != "overview":
            app.query_params.clear()
            for key, value in query.items():
                app.query_params[key] = value
            # switch_page() knows pages that are files; ours are functions, known by the hash of their URL.
            app._page_hash = calc_hash(page)
            app.run()
        return app

    return run


@pytest.fixture(scope="module")
def address(
    nodes: dict[str, tuple[Any, NodeAddress]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A served console's address."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("console")
    config = {"nodes": {org: a.model_dump(mode="json") for org, (_, a) in nodes.items()}, "port": port}
    (folder / "console.json").write_text(json.dumps(config))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(folder / "console.json")], cwd=folder, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail((folder / "log").read_text())
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def enter(address: str, require_program: Callable[[str], str]) -> Iterator[Callable[..., Any]]:
    """`enter("bank")`: a page of a real browser in which somebody of that organisation has signed in."""
    chromium = require_program("chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=chromium, args=FLAGS)

        def run(org: str, user: str = "wang", path: str = "") -> Any:
            context = browser.new_context(viewport={"width": 1440, "height": 1600}, locale="zh-CN")
            page = context.new_page()
            page.set_default_timeout(20_000)
            page.goto(address + "/auth/login")
            page.select_option("#org", org)
            page.fill("#account", user)
            page.fill("#password", double.PASSWORD)
            page.click("button[type=submit]")
            page.wait_for_selector(".hf-title")
            if path:
                page.goto(f"{address}/{path}")
                page.wait_for_selector(".hf-title")
            return page

        yield run
        browser.close()
