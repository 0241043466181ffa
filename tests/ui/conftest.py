"""A console over doubles of two nodes, and pages run without a browser."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hefu.node.console_models import Session
from hefu_ui.config import ConsoleConfig, NodeAddress
from hefu_ui.console import Console, install
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

HERE = Path(__file__).parent
MAIN = Path(sys.modules["hefu_ui"].__file__ or "").parent / "main.py"
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
