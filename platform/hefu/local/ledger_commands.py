"""`hefu ledger verify` and `hefu ledger export` on the local system or on an export."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
from hefu_ledger.errors import LedgerError
from hefu_ledger.verify import export, verify_database, verify_export
from rich.console import Console
from rich.markup import escape

from hefu.coordinator.directory import Directory
from hefu.coordinator.settings import load_kit
from hefu.domain.errors import DomainError
from hefu.domain.transcripts import transcripts_agree
from hefu.keys.public import load_public_ed25519
from hefu.local.errors import LocalError
from hefu.local.system import LocalSystem, default_directory
from hefu.store.base import open_engine

console = Console()
CHECKS = (transcripts_agree,)
_NOT_ASKED = (LocalError, DomainError, psycopg.Error, OSError)


def verify(directory: Path | None, state: Path | None, log_vkey: str | None) -> int:
    """0 when everything verifies, 1 when not; says which promise is broken, or why it could not be asked."""
    started = time.monotonic()
    try:
        if directory is not None:
            report = verify_export(directory, log_vkey=log_vkey, checks=CHECKS)
        else:
            with LocalSystem(state or default_directory()) as system:
                system.start_ledger()
                with psycopg.connect(system.coordinator.ledger_dsn.read_text()) as connection:
                    kit = load_kit(system.coordinator)
                    report = verify_database(
                        connection,
                        log_vkey=kit.ledger_vkey if log_vkey is None else log_vkey,
                        keys=registry(system).ledger_keys(),
                        checkpoint_path=system.coordinator.checkpoint,
                        checks=CHECKS,
                    )
    except LedgerError as error:
        console.print(f"[red]账本校验失败 / the ledger does not verify:[/red] {escape(str(error))}")
        return 1
    except _NOT_ASKED as error:
        console.print(f"[red]无法验证 / it could not be verified:[/red] {escape(str(error))}")
        return 1
    seconds = time.monotonic() - started
    console.print(
        f"[green]账本完整 / the ledger verifies[/green]: {report.size} 条存证 entries, {report.signatures_checked} 个签名 signatures, "
        f"root {report.root.hex()[:16]}…, {seconds:.1f} s"
    )
    if report.trusts_own_vkey:
        console.print(
            "账本公钥取自该副本：请用 --log-vkey 给出自己保存的公钥 / the log's key came from the copy: give your own by --log-vkey"
        )
    if report.trusts_own_keys:
        console.print(
            "各方公钥取自该副本，未证明其归属 / the parties' keys came from the copy: whose they are is not proven"
        )
    return 0


def export_to(directory: Path, state: Path | None) -> int:
    """Write the static export; 0 when done."""
    with LocalSystem(state or default_directory()) as system:
        try:
            system.start_ledger()
            with psycopg.connect(system.coordinator.ledger_dsn.read_text()) as connection:
                kit = load_kit(system.coordinator)
                export(connection, directory, log_vkey=kit.ledger_vkey, keys=registry(system).ledger_keys())
        except (LedgerError, *_NOT_ASKED) as error:
            console.print(f"[red]无法导出 / it could not be exported:[/red] {escape(str(error))}")
            return 1
    console.print(f"{directory}: hefu ledger verify {directory}", markup=False)
    return 0


def registry(system: LocalSystem) -> Directory:
    """The registry's keys, read from the coordinator's database."""
    engine = open_engine(system.coordinator.database_url.read_text(), pool_size=1)
    try:
        directory = Directory(engine, load_public_ed25519(load_kit(system.coordinator).coordinator_key))
        directory.load()
        return directory
    finally:
        engine.dispose()
