"""Serves the console: Streamlit as an ASGI application behind the guard, under uvicorn."""

from __future__ import annotations

import os
from pathlib import Path

import uvicorn
from starlette.middleware import Middleware

from hefu_ui.config import ConsoleConfig, load_config
from hefu_ui.console import Console, install
from hefu_ui.door.guard import Guard
from hefu_ui.door.routes import routes

MAIN = Path(__file__).parent / "main.py"


def build_app(config: ConsoleConfig) -> object:
    """The console as an ASGI application. One per process: Streamlit's runtime is a singleton."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    import streamlit as st
    from streamlit import config as streamlit_config

    console = Console(config)
    install(console)
    app = st.App(
        MAIN,
        routes=routes(console),
        middleware=[Middleware(Guard, sessions=console.sessions, secure=config.secure)],
        on_script_error=_log_only,
    )
    for name, value in config.theme.items():
        streamlit_config.set_option(f"theme.{name}", value)
    return app


def serve(config_path: Path) -> None:
    """Serve until told to stop (`hefu console serve --config FILE`).

    raises  ConfigInvalid when the configuration cannot be used
    """
    config = load_config(config_path)
    uvicorn.run(
        build_app(config),  # type: ignore[arg-type]
        host=config.host,
        port=config.port,
        ssl_certfile=config.certificate,
        ssl_keyfile=config.private_key,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=config.behind_tls_proxy,
    )


def _log_only(error: Exception) -> bool:
    """Pages show their own words for what they expect; anything else goes to the log, and a sentence to the screen."""
    import logging

    import streamlit as st

    from hefu_ui.words import t

    logging.getLogger("hefu_ui").error("a page failed", exc_info=error)
    st.error(t("error.page_failed"), icon=":material/error:")
    return True
