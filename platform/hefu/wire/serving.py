"""Serving an application over TLS 1.3 with uvicorn, from a context made in memory.

uvicorn reads keys from files only; here it is given a finished context, which `hefu.keys.tls.reload` can give a new
certificate while the server runs.
"""

from __future__ import annotations

import ssl

import uvicorn
from fastapi import FastAPI


def tls_server(app: FastAPI, *, host: str, port: int, context: ssl.SSLContext) -> uvicorn.Server:
    """A server that is ready to `run()`; logging is left as the process configured it.

    port  0 lets the system choose; read it from `server.servers[0].sockets[0]` once `server.started`
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,  # peers hold connections open; what is under way gets these seconds
        ssl_context_factory=lambda _config, _default: context,
    )
    return uvicorn.Server(config)
