"""A day's data delivered from a PostgreSQL query by the command line, without a browser."""

import subprocess
import sys

import psycopg
import pytest

pytestmark = pytest.mark.server


def test_a_query_is_delivered_by_command(world, database, tmp_path):
    day = world.new_day()
    with psycopg.connect(database.dsn) as connection:
        connection.execute(
            "create table flows (serial text, type text, amount numeric(18,2), party_id text, occurred_at timestamp)"
        )
        connection.execute(
            "insert into flows values ('0001', 'LOAN', 12.5, '990000199001010017', %s),"
            " ('0002', 'FEE', -3, '990000199001010017', %s)",
            [f"{day} 07:30", f"{day} 23:59"],
        )
    account = world.system.accounts["bank"]
    for name, content in {
        "password": account["password"],
        "dsn": database.dsn,
        "query.sql": "select serial, type, amount, party_id, occurred_at from flows order by serial;",
    }.items():
        (tmp_path / name).write_text(content)
    command = [sys.executable, "-m", "hefu.cli", "data", "deliver"]
    command += ["--node-url", f"https://127.0.0.1:{world.system.port('node-bank')}"]
    command += [
        "--certificate",
        str(world.system.node("bank").certificate),
        "--org-id",
        "bank",
        "--username",
        "bank",
    ]
    command += ["--password-file", str(tmp_path / "password"), "--data-set", "bank-fund-flows"]
    command += [
        "--dsn-file",
        str(tmp_path / "dsn"),
        "--sql-file",
        str(tmp_path / "query.sql"),
        "--name",
        str(day),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == [str(day), "arrived", "2", "rows,", "0", "rejected"]
    shown = world.at("bank").get(
        "/console/data-sets/bank-fund-flows/days", **{"from": str(day), "to": str(day)}
    )
    assert [(a["rows"], a["amount_cents"]) for a in shown if a["state"] == "arrived"] == [(2, 950)]


def test_both_sources_at_once_are_refused(tmp_path):
    for name in ("pem", "password", "file", "dsn", "sql"):
        (tmp_path / name).write_text("x")
    command = [sys.executable, "-m", "hefu.cli", "data", "deliver", "--node-url", "https://127.0.0.1:1"]
    command += [
        "--certificate",
        str(tmp_path / "pem"),
        "--org-id",
        "bank",
        "--username",
        "bank",
        "--data-set",
        "d",
    ]
    command += ["--password-file", str(tmp_path / "password"), "--file", str(tmp_path / "file")]
    command += ["--dsn-file", str(tmp_path / "dsn"), "--sql-file", str(tmp_path / "sql")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "--dsn-file" in done.stderr
