"""A confined process works in its own folder, reads no neighbour's, and neither do its children."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from hefu.local import confine as module
from hefu.local.confine import confine, confined_command, landlock_abi
from hefu.local.errors import ConfinementError

needs_landlock = pytest.mark.skipif(landlock_abi()[0] < 1, reason="this kernel has no Landlock")


@pytest.fixture
def folders(scratch, request):
    """Two organisations' folders side by side, outside everything that is readable by default."""
    top = scratch / f"confine-{request.node.name.replace('[', '-').rstrip(']')}"
    for name in ("own", "neighbour"):
        (top / name).mkdir(parents=True)
        (top / name / "key").write_text(f"secret of {name}")
    return top


def inside(folders: Path, body: str) -> dict:
    """Run `body` confined to own/; whatever it puts into `out` comes back."""
    code = (
        "import json, os, subprocess, sys, socket\nfrom pathlib import Path\n"
        f"top = Path({str(folders)!r})\nout = {{}}\n"
        "def tried(what):\n"
        "    try:\n        return what() and 'done' or 'done'\n    except OSError as error:\n"
        "        return type(error).__name__\n" + textwrap.dedent(body) + "\nprint(json.dumps(out))\n"
    )
    done = subprocess.run(
        confined_command([sys.executable, "-c", code], [folders / "own"]),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "confined by Landlock" in done.stderr
    return json.loads(done.stdout)


@needs_landlock
def test_own_folder_works_and_the_neighbours_does_not(folders):
    out = inside(
        folders,
        """
        out["own"] = (top / "own/key").read_text()
        out["write"] = tried(lambda: (top / "own/new").write_text("x"))
        out["rename"] = tried(lambda: (top / "own/new").rename(top / "own/newer"))
        out["truncate"] = tried(lambda: os.truncate(top / "own/newer", 0))
        out["subfolder"] = tried(lambda: (top / "own/sub").mkdir())
        out["move between own"] = tried(lambda: (top / "own/newer").rename(top / "own/sub/newer"))
        out["read"] = tried(lambda: (top / "neighbour/key").read_text())
        out["list"] = tried(lambda: os.listdir(top / "neighbour"))
        out["list parent"] = tried(lambda: os.listdir(top))
        out["put"] = tried(lambda: (top / "neighbour/x").write_text("x"))
        out["cut"] = tried(lambda: os.truncate(top / "neighbour/key", 0))
        out["delete"] = tried(lambda: (top / "neighbour/key").unlink())
        out["move in"] = tried(lambda: (top / "neighbour/key").rename(top / "own/stolen"))
        out["link in"] = tried(lambda: os.link(top / "neighbour/key", top / "own/stolen"))
        os.symlink(top / "neighbour/key", top / "own/sly")
        out["symlink"] = tried(lambda: (top / "own/sly").read_text())
        out["through proc"] = tried(lambda: Path(f"/proc/self/root{top}/neighbour/key").read_text())
        """,
    )
    assert out.pop("own") == "secret of own"
    allowed = {"write", "rename", "truncate", "subfolder", "move between own"}
    assert {what for what, how in out.items() if how == "done"} == allowed
    assert {out[what] for what in out if what not in allowed} <= {"PermissionError", "OSError"}
    assert (folders / "neighbour/key").read_text() == "secret of neighbour"
    assert out["read"] == out["symlink"] == out["through proc"] == "PermissionError"


@needs_landlock
def test_children_are_confined_too(folders):
    out = inside(
        folders,
        """
        def child(*argv):
            return subprocess.run(argv, capture_output=True, text=True).returncode
        out["cat own"] = child("cat", str(top / "own/key"))
        out["cat neighbour"] = child("cat", str(top / "neighbour/key"))
        python = "import sys; open(sys.argv[1]).read()"
        out["python own"] = child(sys.executable, "-c", python, str(top / "own/key"))
        out["python neighbour"] = child(sys.executable, "-c", python, str(top / "neighbour/key"))
        """,
    )
    assert out["cat own"] == out["python own"] == 0
    assert out["cat neighbour"] != 0
    assert out["python neighbour"] != 0


@needs_landlock
def test_packages_and_randomness_still_work(folders):
    out = inside(
        folders,
        """
        import cryptography.x509, numpy, hefu.local.ports, ssl
        ssl.create_default_context()
        out["random"] = len(open("/dev/urandom", "rb").read(4))
        out["null"] = tried(lambda: open("/dev/null", "w").write("x"))
        from multiprocessing import Lock
        out["lock"] = tried(lambda: Lock())
        out["program"] = tried(lambda: Path(numpy.__file__).open("a"))
        """,
    )
    assert out == {"random": 4, "null": "done", "lock": "done", "program": "PermissionError"}


@needs_landlock
def test_tcp_and_unix_sockets_still_connect(folders):
    path = folders / "neighbour" / "socket"
    with socket.socket(socket.AF_UNIX) as local, socket.create_server(("127.0.0.1", 0)) as tcp:
        local.bind(str(path))
        local.listen()
        out = inside(
            folders,
            f"""
            out["unix"] = tried(lambda: socket.socket(socket.AF_UNIX).connect(str(top / "neighbour/socket")))
            out["tcp"] = tried(lambda: socket.create_connection(("127.0.0.1", {tcp.getsockname()[1]})))
            """,
        )
    assert out == {"unix": "done", "tcp": "done"}


@needs_landlock
@pytest.mark.server
def test_postgres_is_reached_from_inside(folders, database):
    out = inside(
        folders,
        f"""
        import psycopg
        out["user"] = psycopg.connect({database.dsn!r}).execute("SELECT current_user").fetchone()[0]
        password = {str(database.postgres.directory / "superuser.password")!r}
        out["superuser"] = tried(lambda: open(password).read())
        """,
    )
    assert out == {"user": database.user, "superuser": "PermissionError"}


@needs_landlock
def test_other_processes_cannot_be_looked_into(folders):
    with subprocess.Popen(["sleep", "60"], env={"SECRET": "neighbour"}) as neighbour:
        out = inside(
            folders,
            f"""
            out["environment"] = tried(lambda: Path("/proc/{neighbour.pid}/environ").read_bytes())
            out["memory"] = tried(lambda: open("/proc/{neighbour.pid}/mem", "rb"))
            out["kill"] = tried(lambda: os.kill({neighbour.pid}, 15))
            """,
        )
        time.sleep(0.1)
        alive = neighbour.poll() is None
        neighbour.kill()
    assert out["environment"] == out["memory"] == "PermissionError"
    if landlock_abi()[0] >= 6:
        assert out["kill"] == "PermissionError"
        assert alive


@needs_landlock
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
def test_root_keeps_no_way_around(folders):
    out = inside(
        folders,
        """
        out["here"] = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapBnd"))]
        child = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
        out["child"] = [line.split()[1] for line in child.splitlines() if line.startswith(("CapEff", "CapBnd"))]
        devices = [Path("/dev", name) for name in ("vda", "sda", "nvme0n1", "mem", "kmsg")]
        out["devices"] = [str(d) for d in devices if d.exists() and tried(lambda: d.open("rb")) == "done"]
        out["mount"] = subprocess.run(["mount", "--bind", str(top / "neighbour"), str(top / "own")]).returncode
        """,
    )
    only_dac_override = "0000000000000002"
    assert set(out["here"] + out["child"]) == {only_dac_override}
    assert out["devices"] == []
    assert out["mount"] != 0


@needs_landlock
def test_supervisor_outside_can_still_end_it(folders):
    command = confined_command([sys.executable, "-c", "import time; time.sleep(60)"], [folders / "own"])
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        process.stderr.readline()
        process.terminate()
        assert process.wait(10) == -signal.SIGTERM


@needs_landlock
def test_running_threads_are_refused(folders):
    release = threading.Event()
    other = threading.Thread(target=release.wait)
    other.start()
    try:
        with pytest.raises(ConfinementError, match="threads"):
            confine([folders / "own"])
    finally:
        release.set()
        other.join()


@needs_landlock
def test_absent_folder_is_refused(folders):
    code = f"from pathlib import Path; from hefu.local.confine import confine; confine([Path({str(folders)!r}, 'no')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ConfinementError" in done.stderr
    assert "do not exist" in done.stderr


def test_kernel_without_landlock_is_reported_not_hidden(folders, monkeypatch):
    monkeypatch.setattr(module, "landlock_abi", lambda: (0, "this kernel offers no Landlock (ENOSYS)"))
    report = confine([folders / "own"])
    assert not report.active
    assert str(report) == "not confined: this kernel offers no Landlock (ENOSYS)"
    assert os.listdir(folders / "neighbour")


@pytest.mark.parametrize(("abi", "top_bit"), [(1, 12), (2, 13), (3, 14), (4, 14), (5, 15), (6, 15), (7, 15)])
def test_rights_asked_for_are_those_the_version_knows(abi, top_bit):
    assert module._handled(abi) == (1 << (top_bit + 1)) - 1
