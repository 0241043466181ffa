"""The `hefu` command."""

from __future__ import annotations

import logging
import os
import sys
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="合符 Hefu: privacy computing with an evidence ledger."
)
coordinator_app = typer.Typer(no_args_is_help=True, help="The platform operator's service.")
node_app = typer.Typer(no_args_is_help=True, help="An organisation's node.")
flows_app = typer.Typer(no_args_is_help=True, help="The flow runner.")
console_app = typer.Typer(no_args_is_help=True, help="The console.")
ledger_app = typer.Typer(no_args_is_help=True, help="The evidence ledger.")
job_app = typer.Typer(no_args_is_help=True, help="Jobs of the local system.")
model_app = typer.Typer(no_args_is_help=True, help="Models and their licences.")
data_app = typer.Typer(no_args_is_help=True, help="An organisation's data sets.")
for name, sub in {
    "coordinator": coordinator_app,
    "node": node_app,
    "flows": flows_app,
    "console": console_app,
    "ledger": ledger_app,
    "job": job_app,
    "model": model_app,
    "data": data_app,
}.items():
    app.add_typer(sub, name=name)

Folder = Annotated[Path, typer.Option("--dir", help="the service's folder")]
State = Annotated[Path | None, typer.Option("--dir", help="the local system's state folder")]
PassphraseFd = Annotated[int | None, typer.Option(help="descriptor to read the passphrase from")]
PassphraseFile = Annotated[Path | None, typer.Option(help="file that holds the passphrase")]


def _logging() -> None:
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for quiet in ("httpx", "alembic", "httpcore"):
        logging.getLogger(quiet).setLevel(logging.WARNING)


def _service(name: str) -> Any:
    """What another room announces under this name."""
    found = list(entry_points(group="hefu.services", name=name))
    if not found:
        raise typer.BadParameter(f"the service {name} is not installed")
    return found[0].load()


@app.command()
def warmup() -> None:
    """Compile kernels and byte code once, so that no job and no start waits for it."""
    from hefu.local.byte_code import warm_byte_code
    from hefu.local.kernel_cache import warm_kernels

    typer.echo("kernels compiled" if warm_kernels() else "kernels are compiled already")
    typer.echo(f"byte code written for {warm_byte_code()} services")


@coordinator_app.command("serve")
def coordinator_serve(
    folder: Folder, passphrase_fd: PassphraseFd = None, passphrase_file: PassphraseFile = None
) -> None:
    """Run the coordinator."""
    from hefu.coordinator.service import serve
    from hefu.keys.container import read_passphrase

    _logging()
    serve(folder, read_passphrase(passphrase_fd, passphrase_file))


@coordinator_app.command("init")
def coordinator_init(
    folder: Folder,
    url: Annotated[str, typer.Option(help="https://host:port under which nodes reach it")],
    operator: Annotated[str, typer.Option(help="org id of the platform operator")],
    database_url_file: Annotated[Path, typer.Option(help="file with the SQLAlchemy URL of its database")],
    ledger_dsn_file: Annotated[Path, typer.Option(help="file with the libpq URL of the same database")],
    ledger_origin: Annotated[str, typer.Option(help="the ledger's name, e.g. example.org/ledger")],
    host: Annotated[str, typer.Option(help="address to listen on")] = "0.0.0.0",  # noqa: S104  # a service for other hosts
    passphrase_fd: PassphraseFd = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make the coordinator's keys, CA and start-up kit (to which `kit-add` adds the auditor's and regulator's applications)."""
    from hefu.coordinator.service import initialise
    from hefu.coordinator.settings import CoordinatorPaths, CoordinatorSettings
    from hefu.keys.container import read_passphrase
    from hefu.node.settings import write_private

    paths = CoordinatorPaths(folder)
    port = int(url.rsplit(":", 1)[1])
    kit = initialise(
        paths,
        CoordinatorSettings(host=host, port=port, operator=operator, ledger_origin=ledger_origin),
        url=url,
        database_url=database_url_file.read_text().strip(),
        ledger_dsn=ledger_dsn_file.read_text().strip(),
        passphrase=read_passphrase(passphrase_fd, passphrase_file),
    )
    write_private(paths.kit, kit.to_bytes())
    typer.echo(f"start-up kit: {paths.kit}")


@coordinator_app.command("kit-add")
def kit_add(
    folder: Folder,
    application: Annotated[list[Path], typer.Argument(help="application.dsse of auditor and regulator")],
) -> None:
    """Put the auditor's and the regulator's applications into the start-up kit, which every node then receives out of band."""
    import base64

    from hefu.coordinator.settings import CoordinatorPaths, load_kit
    from hefu.node.settings import write_private
    from hefu.store.signed import read_application

    paths = CoordinatorPaths(folder)
    kit = load_kit(paths)
    added = {
        read_application(p.read_bytes()).org_id: base64.b64encode(p.read_bytes()).decode()
        for p in application
    }
    write_private(paths.kit, kit.model_copy(update={"applications": kit.applications | added}).to_bytes())
    typer.echo(f"{', '.join(added)} → {paths.kit}")


@node_app.command("init")
def node_init(
    folder: Folder,
    org_id: Annotated[str, typer.Option(help="short id, e.g. bank-a")],
    profile: Annotated[Path, typer.Option(help="JSON: legal_name, legal_name_en, uscc, contact, roles, …")],
    database_url_file: Annotated[Path, typer.Option(help="file with the SQLAlchemy URL of its own database")],
    host: Annotated[str, typer.Option(help="address that others reach")],
    listen: Annotated[str, typer.Option(help="address to listen on")] = "0.0.0.0",  # noqa: S104  # a service for other hosts
    port: Annotated[int, typer.Option(help="port of requests")] = 7443,
    channel_port: Annotated[int, typer.Option(help="port of computation channels")] = 7444,
    passphrase_fd: PassphraseFd = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make a node's keys and its signed application."""
    import json

    from hefu.domain.identity import Role
    from hefu.keys.container import read_passphrase
    from hefu.node.registry import Profile
    from hefu.node.service import initialise
    from hefu.node.settings import NodePaths, NodeSettings

    said = json.loads(profile.read_text())
    said["roles"] = tuple(Role(r) for r in said["roles"])
    for many in ("qualifications", "affiliates"):
        said[many] = tuple(said.get(many, ()))
    initialise(
        folder,
        NodeSettings(
            org_id=org_id, host=host, listen=listen, port=port, channel_host=host, channel_port=channel_port
        ),
        Profile(**said),
        database_url=database_url_file.read_text().strip(),
        passphrase=read_passphrase(passphrase_fd, passphrase_file),
    )
    typer.echo(
        f"application: {NodePaths(folder).application}; put the start-up kit into {folder} as kit.json, then run: hefu node serve"
    )


@node_app.command("serve")
def node_serve(
    folder: Folder, passphrase_fd: PassphraseFd = None, passphrase_file: PassphraseFile = None
) -> None:
    """Run a node."""
    from hefu.keys.container import read_passphrase
    from hefu.local.kernel_cache import VARIABLE, give_kernels

    if (
        VARIABLE not in os.environ
    ):  # else every job's worker would compile anew where the installation is read-only
        os.environ.update(give_kernels(folder / "kernels"))
    from hefu.node.service import serve

    _logging()
    serve(folder, read_passphrase(passphrase_fd, passphrase_file))


@node_app.command("user-add")
def node_user_add(
    folder: Folder,
    username: Annotated[str, typer.Argument()],
    role: Annotated[list[str], typer.Option(help="admin, preparer, approver, viewer")],
    display_name: Annotated[str, typer.Option()] = "",
    password_fd: Annotated[int | None, typer.Option()] = None,
    password_file: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Add an account to a node."""
    from hefu.keys.container import read_passphrase
    from hefu.local.accounts import add_account

    password = read_passphrase(password_fd, password_file).decode()
    add_account((folder / "database.url").read_text(), username, display_name or username, password, role)
    typer.echo(f"{username}: {', '.join(role)}")


@flows_app.command("serve")
def flows_serve() -> None:
    """Run the flow runner (environment: HEFU_COORDINATOR_URL, HEFU_COORDINATOR_CERTIFICATE, HEFU_INTERNAL_TOKEN_FILE, PREFECT_*)."""
    _service("flows")()


@flows_app.command("health")
def flows_health() -> None:
    """Exit 0 while the flow runner of this folder (PREFECT_HOME) is at work."""
    raise typer.Exit(0 if _service("flows-health")() else 1)


@console_app.command("serve")
def console_serve(config: Annotated[Path, typer.Option(help="console.json")]) -> None:
    """Run the console."""
    _service("console")(config)


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="stop after one reconciliation")] = False,
    rows: Annotated[int, typer.Option(min=10, help="rows of each side")] = 100_000,
    state: State = None,
    institution: Annotated[Path | None, typer.Option(help="your own business records (CSV)")] = None,
    bank: Annotated[Path | None, typer.Option(help="your own fund flows (CSV)")] = None,
    out: Annotated[Path | None, typer.Option(help="write what the regulator sees (CSV)")] = None,
) -> None:
    """Start the whole system here and carry one T+1 reconciliation through all stages."""
    from hefu.local.demo import run_demo
    from hefu.local.system import default_directory

    if (institution is None) != (bank is None):
        raise typer.BadParameter("--institution and --bank go together")
    raise typer.Exit(
        run_demo(
            state or default_directory(), once=once, rows=rows, institution=institution, bank=bank, out=out
        )
    )


@ledger_app.command("verify")
def ledger_verify(
    directory: Annotated[
        Path | None, typer.Argument(help="an export; without it the local system's ledger")
    ] = None,
    state: State = None,
    log_vkey: Annotated[str | None, typer.Option(help="the log's key, from your own source")] = None,
) -> None:
    """Verify the ledger: of the local system, or of an export (no database, no network)."""
    from hefu.local import ledger_commands

    raise typer.Exit(ledger_commands.verify(directory, state, log_vkey))


@ledger_app.command("export")
def ledger_export(
    directory: Annotated[Path, typer.Argument(help="where to write it")], state: State = None
) -> None:
    """Export the local system's ledger as static files."""
    from hefu.local import ledger_commands

    raise typer.Exit(ledger_commands.export_to(directory, state))


@job_app.command("backfill")
def job_backfill(
    contract: Annotated[str, typer.Option(help="contract id")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"])],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"])],
    state: State = None,
    party: Annotated[str, typer.Option(help="on behalf of which organisation")] = "regulator",
) -> None:
    """Start a job for each day from first to last in the running local system."""
    from hefu.local.demo import backfill
    from hefu.local.system import default_directory

    for summary in backfill(state or default_directory(), party, contract, first.date(), last.date()):
        typer.echo(f"{summary['business_date']}  {summary['job_id']}  {summary['state']}")


@model_app.command("use")
def model_use(
    model: Annotated[str, typer.Argument(help="model id")],
    node_url: Annotated[str, typer.Option(help="https://host:port of your own node")],
    certificate: Annotated[Path, typer.Option(help="your node's certificate (public/tls.pem)")],
    org_id: Annotated[str, typer.Option(help="your organisation")],
    username: Annotated[str, typer.Option(help="an account with the role preparer or approver")],
    password_file: Annotated[Path, typer.Option(help="file with its password")],
    territory: Annotated[str, typer.Option(help="where it is used, as the licence names it")] = "CN",
    purpose: Annotated[str, typer.Option(help="predict, customise or sublicense")] = "predict",
    predictions: Annotated[int, typer.Option(help="how many predictions", min=1)] = 1,
) -> None:
    """Ask your own node for a use of a model; what the licence does not allow is refused with its reason."""
    from hefu.local.console_client import ConsoleClient, ConsoleError

    body = {"purpose": purpose, "predictions": predictions, "territory": territory}
    password = password_file.read_text().strip()
    with ConsoleClient(org_id, node_url, certificate, username, password) as client:
        try:
            used = client.post(f"/console/models/{model}/uses", body)
        except ConsoleError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
    typer.echo(f"{model}  {purpose}  {used['predictions']} predictions so far")


@data_app.command("deliver")
def data_deliver(
    node_url: Annotated[str, typer.Option(help="https://host:port of your own node")],
    certificate: Annotated[Path, typer.Option(help="your node's certificate (public/tls.pem)")],
    org_id: Annotated[str, typer.Option(help="your organisation")],
    username: Annotated[str, typer.Option(help="an account with the role preparer")],
    password_file: Annotated[Path, typer.Option(help="file with its password")],
    data_set: Annotated[str, typer.Option(help="data set id")],
    file: Annotated[Path | None, typer.Option(help="CSV, Excel or Parquet")] = None,
    dsn_file: Annotated[Path | None, typer.Option(help="file with the PostgreSQL address to query")] = None,
    sql_file: Annotated[Path | None, typer.Option(help="file with the SELECT (say ORDER BY)")] = None,
    name: Annotated[str, typer.Option(help="name of the delivery, e.g. the day")] = "",
) -> None:
    """Hand in a file, or the result of a PostgreSQL query, to your own node (for cron)."""
    from hefu.local.console_client import ConsoleClient
    from hefu.local.delivery import deliver
    from hefu.node.sources.postgres import Query

    if (file is None) == (dsn_file is None or sql_file is None):
        raise typer.BadParameter("give --file, or --dsn-file with --sql-file")
    query = None
    if dsn_file is not None and sql_file is not None:
        query = Query(name or sql_file.stem, dsn_file.read_text().strip(), sql_file.read_text())
    password = password_file.read_text().strip()
    with ConsoleClient(org_id, node_url, certificate, username, password) as client:
        for arrival in deliver(client, data_set, file=file, query=query, name=name):
            typer.echo(
                f"{arrival['business_date']}  {arrival['state']}  {arrival['rows']} rows, {arrival['rejected']} rejected"
            )


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
