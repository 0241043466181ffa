"""The local cluster: separate roles, nothing open to everybody, survival of what a kill leaves behind."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from hefu.local.errors import DirectoryUnusable, DurabilityOff, PostgresError
from hefu.local.postgres import SUPERUSER, LocalPostgres
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

pytestmark = pytest.mark.server


def refused(dsn: str) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(dsn, connect_timeout=5)
    return str(caught.value)


def test_role_reaches_its_own_database(database):
    with psycopg.connect(database.dsn) as connection:
        row = connection.execute("SELECT current_user, current_database()").fetchone()
    assert row == (database.user, database.name)


def test_wrong_password_is_refused(database, postgres):
    assert "password authentication failed" in refused(postgres.dsn(database.name, database.user, "wrong"))


@pytest.mark.parametrize("target", ["postgres", "template1", "neighbour"])
def test_role_reaches_no_other_database(database, postgres, target):
    if target == "neighbour":
        postgres.ensure_role("neighbour", "secret")
        postgres.ensure_database("neighbour", "neighbour")
    assert "permission denied for database" in refused(postgres.dsn(target, database.user, database.password))


def test_superuser_is_not_reachable_without_its_password(postgres):
    assert "password authentication failed" in refused(postgres.dsn("postgres", SUPERUSER, "guess"))
    assert "no password supplied" in refused(
        f"postgresql://{SUPERUSER}@/postgres?host={postgres.socket_directory}"
    )
    assert stat.S_IMODE((postgres.directory / "superuser.password").stat().st_mode) == 0o600


def test_no_tcp_port_is_open(postgres):
    with psycopg.connect(postgres.admin_dsn()) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert not psutil.Process(postgres.pid).net_connections("inet")


def test_server_does_not_run_as_root(postgres):
    assert psutil.Process(postgres.pid).uids().real != 0


def test_role_has_no_power_over_the_cluster(database):
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        for statement in (
            "CREATE ROLE another",
            "CREATE DATABASE another",
            "ALTER SYSTEM SET fsync = off",
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "SELECT pg_read_file('postgresql.conf')",
            "SELECT rolpassword FROM pg_authid",
            "SET ROLE hefu_setup",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_owner_role_without_password_cannot_log_in(postgres):
    postgres.ensure_role("nobody_logs_in", "x")
    assert "permission denied" in refused(postgres.dsn("postgres", "nobody_logs_in", "x"))
    postgres.ensure_role("nobody_logs_in", None)
    assert "password authentication failed" in refused(postgres.dsn("postgres", "nobody_logs_in", "x"))


def test_allow_connect_lets_in_and_gives_no_more(database, postgres):
    postgres.ensure_role("reader", "secret")
    postgres.allow_connect(database.name, "reader")
    with psycopg.connect(postgres.dsn(database.name, "reader", "secret"), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE public.intruder ()")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE SCHEMA intruder")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TEMP TABLE head ()")
    with psycopg.connect(postgres.admin_dsn(database.name)) as connection:
        connection.execute("REVOKE CONNECT ON DATABASE " + database.name + " FROM reader")
        connection.commit()


def test_passwords_with_any_characters(postgres):
    awkward = "p@ss/w:rd?#%&=密 码"
    postgres.ensure_role("awkward", awkward)
    postgres.ensure_database("awkward", "awkward")
    with psycopg.connect(postgres.dsn("awkward", "awkward", awkward)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with create_engine(postgres.url("awkward", "awkward", awkward)).connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


def test_asyncpg_url_reaches_the_socket(database, postgres):
    async def ask() -> object:
        engine = create_async_engine(postgres.url(database.name, database.user, database.password, "asyncpg"))
        async with engine.connect() as connection:
            answer = (await connection.execute(text("SELECT current_user"))).scalar()
        await engine.dispose()
        return answer

    assert asyncio.run(ask()) == database.user


def test_passwords_stay_out_of_the_log(database, postgres):
    assert database.password not in (postgres.directory / "log" / "server.log").read_text()


def test_second_start_joins_and_its_stop_leaves_the_server(postgres):
    joined = LocalPostgres.start(postgres.directory, for_tests=True)
    assert not joined.started_here
    joined.stop()
    with psycopg.connect(postgres.admin_dsn()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_unsafe_server_is_refused_for_real_use(postgres):
    with pytest.raises(DurabilityOff, match=r"fsync.*full_page_writes.*synchronous_commit"):
        LocalPostgres.start(postgres.directory)


@pytest.mark.parametrize("option", ["fsync", "synchronous_commit", "full_page_writes"])
def test_each_durability_setting_is_watched(scratch, option):
    place = scratch / f"durable-{option}"
    with (
        LocalPostgres.start(place) as cluster,
        psycopg.connect(cluster.admin_dsn(), autocommit=True) as connection,
    ):
        connection.execute(f"ALTER SYSTEM SET {option} = off")
    with pytest.raises(DurabilityOff, match=option):
        LocalPostgres.start(place)
    assert not any(
        str(place / "data") in " ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])
    )


def test_state_survives_stop_and_start(scratch):
    place = scratch / "resumed"
    with LocalPostgres.start(place, for_tests=True) as cluster:
        cluster.ensure_role("keeper", "one")
        cluster.ensure_database("kept", "keeper")
        with psycopg.connect(cluster.dsn("kept", "keeper", "one")) as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS x")
    with LocalPostgres.start(place, for_tests=True) as cluster:
        cluster.ensure_role("keeper", "two")
        cluster.ensure_database("kept", "keeper")
        refused(cluster.dsn("kept", "keeper", "one"))
        with psycopg.connect(cluster.dsn("kept", "keeper", "two")) as connection:
            assert connection.execute("SELECT x FROM t").fetchone() == (7,)


def test_killed_server_is_started_again(scratch):
    place = scratch / "killed"
    cluster = LocalPostgres.start(place, for_tests=True)
    server = psutil.Process(cluster.pid)
    server.kill()
    server.wait(10)
    assert (place / "data" / "postmaster.pid").exists()
    with LocalPostgres.start(place, for_tests=True) as again:
        assert again.started_here


def test_pid_file_that_names_a_stranger_is_cleared(scratch):
    place = scratch / "stranger"
    LocalPostgres.start(place, for_tests=True).stop()
    pid_file = place / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{place / 'data'}\n0\n5432\n{place / 'socket'}\n\n0 0\nready\n")
    with LocalPostgres.start(place, for_tests=True) as cluster:
        assert cluster.started_here


def test_server_ends_with_the_process_that_started_it(scratch):
    place = scratch / "orphan"
    code = (
        "import sys, time; from pathlib import Path; from hefu.local.postgres import LocalPostgres\n"
        "print(LocalPostgres.start(Path(sys.argv[1]), for_tests=True).pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(place)], stdout=subprocess.PIPE, text=True
    ) as starter:
        server = psutil.Process(int(starter.stdout.readline()))
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        deadline = time.monotonic() + 20
        while server.is_running() and server.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


def test_interrupted_creation_is_begun_again(scratch):
    place = scratch / "interrupted"
    LocalPostgres.start(place, for_tests=True).stop()
    (place / "data" / "PG_VERSION").unlink()
    with (
        LocalPostgres.start(place, for_tests=True) as cluster,
        psycopg.connect(cluster.admin_dsn()) as connection,
    ):
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_long_path_gets_a_short_socket(scratch):
    place = scratch / ("long-" * 20)
    with LocalPostgres.start(place, for_tests=True) as cluster:
        sockets = cluster.socket_directory
        assert not sockets.is_relative_to(place)
        with psycopg.connect(cluster.admin_dsn()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not sockets.exists()


def test_lost_superuser_password_is_said(scratch):
    place = scratch / "lost"
    LocalPostgres.start(place, for_tests=True).stop()
    (place / "superuser.password").unlink()
    with pytest.raises(PostgresError, match="cannot be administered"):
        LocalPostgres.start(place, for_tests=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_closed_parent_is_named_and_left_closed(scratch):
    closed = scratch / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(DirectoryUnusable, match=str(closed)):
        LocalPostgres.start(closed / "postgres", for_tests=True)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a user to hide the programs from")
def test_programs_in_a_closed_folder_are_copied(scratch, monkeypatch):
    import shutil

    from hefu.local import postgres as module
    from hefu.local.postgres_programs import find_programs

    home = scratch / "home"
    home.mkdir()
    package = find_programs(prefer_system=False).parents[1]
    shutil.copytree(package, home / package.name)
    shutil.copytree(package.with_name(package.name + ".libs"), home / (package.name + ".libs"))
    home.chmod(0o700)
    monkeypatch.setattr(module, "find_programs", lambda _: home / package.name / "pginstall" / "bin")
    with LocalPostgres.start(scratch / "copied", for_tests=True) as cluster:
        assert Path(psutil.Process(cluster.pid).exe()).is_relative_to(scratch / "copied" / "programs")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_system_programs_are_used_when_asked_for(scratch, require_program):
    require_program("system PostgreSQL")
    with LocalPostgres.start(scratch / "system", prefer_system=True, for_tests=True) as cluster:
        assert psutil.Process(cluster.pid).exe().startswith("/usr/lib/postgresql/")
