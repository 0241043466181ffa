"""What an owner holds is nowhere else: every store and log is searched for planted serials, amounts and names.

Searched are all rows of all tables of every database, with what is packed in them (JSON, base64, hexadecimal), and every
file below the state folder. The files of the database cluster are left out: their content is what the tables show.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hefu.local.confine import confined_command, landlock_abi
from hefu.local.organisations import ORGANISATIONS
from hefu.local.sample import id_number
from psycopg import sql

pytestmark = pytest.mark.server

PLANTED = {
    "institution": {
        "serial": "PLANTEDINSTSERIAL88123",
        "amount": "7654321.09",
        "cents": "765432109",
        "party": id_number("99010119900101771"),
        "name": "欧阳种植甲",
        "file": "planted-file-of-the-lender",
    },
    "bank": {
        "serial": "PLANTEDBANKSERIAL99456",
        "amount": "8765432.17",
        "cents": "876543217",
        "party": id_number("99020219850202443"),
        "name": "司徒种植乙",
        "file": "planted-file-of-the-bank",
    },
}
STATUSES = ("amount_mismatch", "missing_at_bank", "missing_at_institution")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")


@pytest.fixture(scope="module")
def job(world: Any) -> str:
    """A finished job over files with planted rows; its result is opened, so that statuses are at the regulator."""
    day = world.new_day()
    for owner, planted in PLANTED.items():
        path = world.files / f"{planted['file']}-{day}.csv"
        lines = [
            "serial,type,amount,party_id,occurred_at,customer_name",
            f"{planted['serial']},LOAN,{planted['amount']},{planted['party']},{day}T09:00:00,{planted['name']}",
            f"COMMON-1,LOAN,10.00,{planted['party']},{day}T09:00:00,{planted['name']}",
            f"COMMON-2,LOAN,{10 if owner == 'bank' else 11}.00,{planted['party']},{day}T09:00:00,{planted['name']}",
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        arrivals = world.upload(owner, path)
        assert [(a["rows"], a["rejected"]) for a in arrivals] == [(3, 0)]
    job_id = str(world.run_day(day))
    assert set(world.statuses(job_id).values()) == {"match", *STATUSES}
    return job_id


def test_the_search_finds_what_is_there(world: Any, job: str) -> None:
    """The search itself, on a file in the owner's own store and on packed forms; what the node keeps is encrypted."""
    assert job
    planted = PLANTED["institution"]
    root, values = world.system.node("institution").root, [v for k, v in planted.items() if k != "file"]
    control = root / "data" / "control.csv"
    control.write_text(f"{planted['serial']}\n", encoding="utf-8")
    try:
        assert any("control.csv" in str(hit) for hit in _searched_files(root, values))
    finally:
        control.unlink()
    assert _searched_files(root / "data", values) == []
    packed = json.dumps({"payload": base64.b64encode(b'{"a": "PLANTEDINSTSERIAL88123"}').decode()})
    assert _hits(packed, planted.values())
    assert _hits(packed.encode(), planted.values())
    assert _hits(base64.b64encode(packed.encode()), planted.values())


def test_no_database_but_the_owners_holds_planted_values(world: Any, job: str) -> None:
    assert job
    for database in _databases(world):
        cells = list(_cells(world, database))
        assert len(cells) > 20, database  # a node that took part in nothing has its application and accounts
        for owner, planted in PLANTED.items():
            if database != f"node_{owner}":
                hits = [(where, h) for where, cell in cells for h in _hits(cell, planted.values())]
                assert hits == [], (database, owner)


def test_no_file_or_log_but_the_owners_holds_planted_values(world: Any, job: str) -> None:
    assert job
    root = world.system.directory
    for owner, planted in PLANTED.items():
        own = world.system.node(owner).root
        skipped = (own, root / "postgres" / "data", root / "secrets.json")
        hits = _searched_files(root, planted.values(), skip=skipped)
        assert hits == [], owner
        logs = _searched_files(world.system.logs, [v for k, v in planted.items() if k != "file"])
        assert logs == [], owner


def test_no_status_is_readable_outside_the_regulators_node(world: Any, job: str) -> None:
    assert job
    for database in _databases(world):
        if database != "node_regulator":
            hits = [(where, h) for where, cell in _cells(world, database) for h in _hits(cell, STATUSES)]
            assert hits == [], database
    root, regulator = world.system.directory, world.system.node("regulator").root
    skipped = (
        regulator,
        root / "postgres" / "data",
        *(world.system.node(o).root / "kernels" for o in ORGANISATIONS),
    )
    assert _searched_files(root, STATUSES, skip=skipped) == []
    for org in ("operator", "exchange"):  # the halves went after the release
        assert list(world.system.node(org).work.glob(f"{job}*")) == []
        assert (
            world.query(f"node_{org}", "select 1 from node_job where half_path is not null and job = %s", job)
            == []
        )


def test_a_neighbours_folder_cannot_be_read_from_inside_a_node(world: Any) -> None:
    if landlock_abi()[0] < 1:
        pytest.skip("this kernel has no Landlock")
    own, other = world.system.node("bank").root, world.system.node("institution").root
    program = f"""
import os, pathlib
own, other = pathlib.Path({str(own)!r}), pathlib.Path({str(other)!r})
assert (own / "node.json").read_bytes() or True
for deed in (lambda: os.listdir(other), lambda: (other / "kit.json").read_bytes(),
             lambda: (other / "planted").write_bytes(b"x"), lambda: os.listdir(other.parent)):
    try:
        deed()
    except PermissionError:
        continue
    raise SystemExit("a neighbour's folder was open")
print("closed")
"""
    answer = subprocess.run(
        confined_command([sys.executable, "-c", program], [own]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (answer.returncode, answer.stdout.strip()) == (0, "closed"), answer.stderr
    for (
        name,
        pid,
    ) in world.system.supervisor.pids().items():  # and the running nodes are confined in just this way
        if name.startswith("node-"):
            status = Path(f"/proc/{pid}/status").read_text()
            assert re.search(r"NoNewPrivs:\s*1", status), name


def _databases(world: Any) -> list[str]:
    found = [
        row[0] for row in world.query("postgres", "select datname from pg_database where not datistemplate")
    ]
    assert {"coordinator", "prefect", *(f"node_{o}" for o in ORGANISATIONS)} <= set(found)
    return [name for name in found if name != "postgres"]


def _cells(world: Any, database: str) -> Iterator[tuple[str, Any]]:
    """Every value of every row of every table, with the table's name."""
    with psycopg.connect(world.system.postgres.admin_dsn(database)) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in tables:
            name = sql.Identifier(schema, table)
            for row in connection.execute(sql.SQL("select * from {}").format(name)):
                for value in row:
                    if value is not None:
                        yield f"{schema}.{table}", value


def _hits(value: Any, wanted: Iterable[str]) -> list[str]:
    """Which of the strings a value holds, in plain or packed in JSON, base64 or hexadecimal, to any depth."""
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
    else:
        data = json.dumps(value, ensure_ascii=False, default=str).encode()
    return [text for text in wanted if any(_form(layer, text) for layer in _layers(data, 4))]


def _form(data: bytes, text: str) -> bool:
    escaped = json.dumps(text).strip('"')
    return any(form in data for form in (text.encode(), escaped.encode(), text.encode("utf-16-le")))


def _layers(data: bytes, depth: int) -> Iterator[bytes]:
    yield data
    if depth == 0:
        return
    for found in _BASE64.findall(data):
        for decode in (_of_base64, binascii.unhexlify):
            try:
                inner = decode(found)
            except (ValueError, binascii.Error):
                continue
            yield from _layers(inner, depth - 1)


def _of_base64(data: bytes) -> bytes:
    return base64.b64decode(
        data.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=") + b"==", validate=False
    )


def _searched_files(root: Path, wanted: Iterable[str], skip: Iterable[Path] = ()) -> list[tuple[Path, str]]:
    """(file, string) for every file below root whose name or content holds one of the strings."""
    texts, leave = list(wanted), tuple(skip)
    found = []
    for path in root.rglob("*"):
        if any(path.is_relative_to(folder) for folder in leave) or not path.is_file():
            continue
        found += [(path, text) for text in texts if text in path.name]
        found += [(path, text) for text in _hits(path.read_bytes(), texts)]
    return found
