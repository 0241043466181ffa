"""Setting a node up, and running it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from hefu.domain.errors import DocumentInvalid
from hefu.keys.keystore import create_keys, open_keys
from hefu.keys.tls import server_context
from hefu.node import outbox, registry
from hefu.node.console.router import create_console_router
from hefu.node.context import NodeContext
from hefu.node.directory import Directory, UnknownPeer
from hefu.node.following import follow
from hefu.node.order_routes import create_order_router
from hefu.node.peer_routes import create_peer_router
from hefu.node.peer_supervision import create_peer_supervision_router
from hefu.node.reevaluation import keep_reevaluating
from hefu.node.retention import keep_sweeping
from hefu.node.sessions import Attempts
from hefu.node.settings import NodePaths, NodeSettings, load_kit, load_settings, write_private
from hefu.node.supervision import keep_going
from hefu.node.switchboard import Switchboard
from hefu.store.base import now, open_engine
from hefu.store.journal import Journal
from hefu.store.migrate import upgrade
from hefu.store.nonces import DatabaseNonces
from hefu.wire.client import SignedClient
from hefu.wire.guard import Guard
from hefu.wire.middleware import install_guard
from hefu.wire.refusal import Refusal, invalid_request
from hefu.wire.serving import tls_server

log = logging.getLogger("hefu.node")
MAX_PEER_BODY = 512 * 1024 * 1024


def initialise(
    root: Path, settings: NodeSettings, profile: registry.Profile, *, database_url: str, passphrase: bytes
) -> None:
    """Make keys, the signed application and the settings of a new node."""
    paths = NodePaths(root)
    paths.make()
    keys = create_keys(paths.keys, passphrase)
    write_private(paths.database_url, database_url.encode())
    write_private(paths.settings, settings.model_dump_json(indent=2).encode())
    registry.write_application(paths, settings, keys, profile, at=now())


def open_context(root: Path, passphrase: bytes) -> NodeContext:
    """The node's context over its folder; the database is brought up to date."""
    paths = NodePaths(root)
    settings, kit = load_settings(paths), load_kit(paths)
    keys = open_keys(paths.keys, passphrase)
    url = paths.database_url.read_text()
    upgrade(url, "node")
    engine = open_engine(url)
    directory = Directory(engine, kit)
    directory.load()
    return NodeContext(
        settings=settings,
        paths=paths,
        kit=kit,
        keys=keys,
        engine=engine,
        directory=directory,
        journal=Journal(settings.org_id, keys.identity),
        client=SignedClient(settings.org_id, keys.identity, directory.resolve, timeout_seconds=60),
    )


def create_app(ctx: NodeContext, attempts: Attempts) -> FastAPI:
    """The node's application: `/orders` and `/peer` behind the guard, `/console` behind accounts."""
    app = FastAPI(title=f"Hefu node {ctx.org_id}", docs_url=None, redoc_url=None, openapi_url=None)
    install_guard(
        app,
        Guard(ctx.org_id, ctx.directory, DatabaseNonces(ctx.engine)),
        identity_key=ctx.keys.identity,
        own_id=ctx.org_id,
        protect_prefixes=("/orders", "/peer"),
        max_body_bytes=MAX_PEER_BODY,
        streamed_paths=r"/console/data-sets/[^/]+/files",
    )
    app.include_router(create_order_router(ctx, attempts))
    app.include_router(create_peer_router(ctx))
    app.include_router(create_console_router(ctx))
    app.include_router(create_peer_supervision_router(ctx))

    @app.exception_handler(Refusal)
    async def refused(_request: Request, error: Refusal) -> JSONResponse:
        return JSONResponse(error.body, status_code=error.status)

    @app.exception_handler(DocumentInvalid)
    async def invalid(_request: Request, error: DocumentInvalid) -> JSONResponse:
        clause = error.clause or error.document
        body = Refusal(
            422,
            "document_invalid",
            f"文件无效：{clause}：{error.reason}",
            str(error),
            party=ctx.org_id,
            limit=clause,
        ).body
        return JSONResponse(body, status_code=422)

    @app.exception_handler(RequestValidationError)
    async def unfit(_request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse(invalid_request(error.errors()).body, status_code=422)

    @app.exception_handler(UnknownPeer)
    async def unknown(_request: Request, error: UnknownPeer) -> JSONResponse:
        return JSONResponse(
            Refusal(409, "peer_unknown", str(error), str(error), party=ctx.org_id).body, status_code=409
        )

    @app.get("/healthz")
    def health() -> dict[str, str]:
        return {"status": "ok", "org_id": ctx.org_id}

    return app


def serve(root: Path, passphrase: bytes) -> None:
    """Run the node until it is told to stop."""
    ctx = open_context(root, passphrase)
    switchboard = Switchboard(ctx.settings.listen, ctx.settings.channel_port)
    attempts = Attempts(ctx, switchboard)
    context = server_context(ctx.paths.certificate.read_bytes(), ctx.keys.tls)
    app = create_app(ctx, attempts)
    switchboard.start()
    threads = [
        threading.Thread(target=follow, args=(ctx, context), name="registry", daemon=True),
        threading.Thread(target=outbox.work, args=(ctx,), name="outbox", daemon=True),
    ]
    ctx.wake_outbox.set()
    for thread in threads:
        thread.start()
    keep_going(ctx)
    keep_sweeping(ctx)
    keep_reevaluating(ctx)
    log.info("node of %s on %s:%d", ctx.org_id, ctx.settings.host, ctx.settings.port)
    try:
        tls_server(app, host=ctx.settings.listen, port=ctx.settings.port, context=context).run()
    finally:
        ctx.stop.set()
        ctx.wake_outbox.set()
        ctx.wake_sync.set()
        attempts.stop()
        switchboard.close()
        ctx.client.close()
        ctx.engine.dispose()
