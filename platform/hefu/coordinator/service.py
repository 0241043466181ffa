"""Setting the coordinator up, and running it."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from hefu_ledger.note import vkey

from hefu.coordinator.app import create_app
from hefu.coordinator.context import ACTOR, CoordinatorContext, stage_envelope
from hefu.coordinator.directory import Directory
from hefu.coordinator.ledger import start_sequencer
from hefu.coordinator.settings import CoordinatorPaths, CoordinatorSettings, load_kit, load_settings
from hefu.domain.kit import Kit
from hefu.keys.certificates import create_ca, issue_certificate, load_certificate, to_pem
from hefu.keys.keystore import create_keys, create_signing_key, open_keys, open_signing_key
from hefu.keys.public import public_b64
from hefu.keys.tls import server_context
from hefu.node.settings import write_private
from hefu.store.base import open_engine
from hefu.store.journal import Journal
from hefu.store.migrate import upgrade
from hefu.wire.client import SignedClient
from hefu.wire.serving import tls_server

log = logging.getLogger("hefu.coordinator")


def initialise(
    paths: CoordinatorPaths,
    settings: CoordinatorSettings,
    *,
    url: str,
    database_url: str,
    ledger_dsn: str,
    passphrase: bytes,
) -> Kit:
    """Make keys, CA and settings; answers the start-up kit, which still lacks the auditor's and regulator's applications.

    database_url  SQLAlchemy URL of the coordinator's database; ledger_dsn the same for libpq
    """
    paths.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths.root.chmod(0o700)
    keys = create_keys(paths.keys, passphrase)
    ca_key = create_signing_key(paths.ca_key, passphrase)
    log_key = create_signing_key(paths.log_key, passphrase)
    ca = create_ca(ca_key)
    host = url.split("//", 1)[1].rsplit(":", 1)[0]
    certificate = issue_certificate(ca, ca_key, keys.tls.public_key(), ACTOR, sans=(host,), valid_days=397)
    write_private(paths.ca_certificate, ca.public_bytes(Encoding.PEM))
    write_private(paths.certificate, to_pem(certificate).encode())
    write_private(paths.database_url, database_url.encode())
    write_private(paths.ledger_dsn, ledger_dsn.encode())
    write_private(paths.token, secrets.token_urlsafe(32).encode())
    write_private(paths.settings, settings.model_dump_json(indent=2).encode())
    return Kit(
        coordinator_url=url,
        coordinator_key=public_b64(keys.identity),
        coordinator_certificate=to_pem(certificate),
        ca_certificate=to_pem(ca),
        ledger_origin=settings.ledger_origin,
        ledger_vkey=vkey(settings.ledger_origin, log_key.public_key()),
        operator=settings.operator,
        applications={},
    )


def open_context(root: Path, passphrase: bytes) -> CoordinatorContext:
    """The coordinator's context over its folder; the database is brought up to date."""
    paths = CoordinatorPaths(root)
    settings, kit = load_settings(paths), load_kit(paths)
    keys = open_keys(paths.keys, passphrase)
    url = paths.database_url.read_text()
    upgrade(url, "coordinator")
    engine = open_engine(url, pool_size=20)
    directory = Directory(engine, keys.identity.public_key())
    directory.load()
    return CoordinatorContext(
        settings=settings,
        paths=paths,
        kit=kit,
        keys=keys,
        ca_key=open_signing_key(paths.ca_key, passphrase),
        ca_certificate=load_certificate(paths.ca_certificate.read_bytes()),
        engine=engine,
        directory=directory,
        journal=Journal(ACTOR, keys.identity, on_append=stage_envelope),
        client=SignedClient(ACTOR, keys.identity, directory.resolve, timeout_seconds=600),
    )


def serve(root: Path, passphrase: bytes) -> None:
    """Run the coordinator until it is told to stop."""
    ctx = open_context(root, passphrase)
    dsn = ctx.paths.ledger_dsn.read_text()
    log_key = open_signing_key(ctx.paths.log_key, passphrase)
    sequencer = start_sequencer(ctx, dsn, log_key)
    app = create_app(ctx, ledger_dsn=dsn, internal_token=ctx.paths.token.read_text().strip())
    context = server_context(ctx.paths.certificate.read_bytes(), ctx.keys.tls)
    log.info("coordinator of %s on %s:%d", ctx.settings.operator, ctx.settings.host, ctx.settings.port)
    try:
        tls_server(app, host=ctx.settings.host, port=ctx.settings.port, context=context).run()
    finally:
        ctx.stop.set()
        ctx.wake_sequencer.set()
        sequencer.join(timeout=10)
        ctx.client.close()
        ctx.engine.dispose()
