"""Order, health, secrets, clear failures, and nothing left running."""

import signal
import subprocess
import sys
import time

import psutil
import pytest
from hefu.local.errors import ServiceFailed
from hefu.local.supervisor import Service, Supervisor, secret_fd


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


SLEEP = "import time; time.sleep(600)"


def gone(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def test_waits_until_ready(tmp_path):
    mark = tmp_path / "mark"
    code = "import sys, time, pathlib; time.sleep(0.3); pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
    with Supervisor() as supervisor:
        pid = supervisor.start(Service("late", python(code, str(mark)), tmp_path / "late.log", mark.exists))
        assert mark.exists()
        assert supervisor.pids() == {"late": pid}
    assert gone(pid)


def test_stops_in_reverse_order(tmp_path):
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n open(sys.argv[1], 'a').write(sys.argv[2] + '\\n'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(600)"
    )
    with Supervisor() as supervisor:
        for name in ("postgres", "coordinator", "node"):
            log = tmp_path / f"{name}.log"
            ready = lambda log=log: "up" in log.read_text()  # noqa: E731
            supervisor.start(Service(name, python(code, str(order), name), log, ready))
    assert order.read_text().split() == ["node", "coordinator", "postgres"]


def test_a_service_that_dies_is_named_with_its_last_words(tmp_path):
    code = "import sys; print('first'); print('no such port', file=sys.stderr); sys.exit(3)"
    with Supervisor() as supervisor, pytest.raises(ServiceFailed) as caught:
        supervisor.start(Service("bank", python(code), tmp_path / "bank.log", lambda: False))
    assert "bank ended with exit code 3" in str(caught.value)
    assert "no such port" in str(caught.value)


def test_a_service_that_is_never_ready_is_given_up(tmp_path):
    with Supervisor() as supervisor:
        slow = Service("slow", python(SLEEP), tmp_path / "log", lambda: False, ready_seconds=0.2)
        with pytest.raises(ServiceFailed, match=r"slow was not ready after 0\.2 s"):
            supervisor.start(slow)
        pid = supervisor.pids()["slow"]
    assert gone(pid)


def test_a_program_that_does_not_exist_is_named(tmp_path):
    with Supervisor() as supervisor, pytest.raises(ServiceFailed, match="ghost could not be started"):
        supervisor.start(Service("ghost", ["/no/such/program"], tmp_path / "log"))


def test_watch_notices_a_death(tmp_path):
    with Supervisor() as supervisor:
        pid = supervisor.start(Service("victim", python(SLEEP), tmp_path / "log"))
        supervisor.watch(0.1)
        psutil.Process(pid).kill()
        with pytest.raises(ServiceFailed, match="victim was ended by SIGKILL"):
            supervisor.watch(10)


def test_a_stubborn_service_is_killed_with_its_children(tmp_path):
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    log = tmp_path / "log"
    supervisor = Supervisor(grace_seconds=0.3)
    pid = supervisor.start(Service("stubborn", python(code), log, lambda: log.read_text().strip() != ""))
    supervisor.stop()
    assert gone(pid)
    assert gone(int(log.read_text()))


def test_secrets_come_by_descriptor_only(tmp_path):
    code = "import os, sys; print(os.read(int(sys.argv[1]), 99), os.read(int(sys.argv[1]), 99), sys.stdin.read())"
    service = Service(
        "node", python(code, "{fd:pass}"), tmp_path / "log", secrets={"pass": b"open sesame"}, stdin=b"spoken"
    )
    assert "sesame" not in repr(service)
    assert "spoken" not in repr(service)
    with Supervisor() as supervisor:
        pid = supervisor.launch(service)
        assert "sesame" not in " ".join(psutil.Process(pid).cmdline())
        psutil.Process(pid).wait(10)
    assert (tmp_path / "log").read_text() == "b'open sesame' b'' spoken\n"


def test_no_descriptor_leaks_into_the_next_service(tmp_path):
    code = "import os; print(sorted(os.listdir('/proc/self/fd')))"
    with Supervisor() as supervisor:
        supervisor.launch(Service("one", python(SLEEP, "{fd:key}"), tmp_path / "one", secrets={"key": b"k"}))
        pid = supervisor.launch(Service("two", python(code), tmp_path / "two"))
        psutil.Process(pid).wait(10)
    assert (tmp_path / "two").read_text() == "['0', '1', '2', '3']\n"  # 3 is the listing itself


def test_an_oversized_secret_is_refused():
    with pytest.raises(ValueError, match="does not fit"), secret_fd(b"x" * 70000):
        pass


def test_services_end_with_a_killed_supervisor(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from hefu.local.supervisor import Service, Supervisor\n"
        f"s = Supervisor(); argv = [sys.executable, '-c', {SLEEP!r}]\n"
        "print(s.start(Service('x', argv, Path(sys.argv[1]))), flush=True); time.sleep(600)"
    )
    with subprocess.Popen(python(code, str(tmp_path / "log")), stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    assert gone(pid)


def test_one_service_can_be_stopped_and_started_again(tmp_path):
    service = Service("bank", python(SLEEP), tmp_path / "log")
    with Supervisor() as supervisor:
        first = supervisor.start(service)
        with pytest.raises(ServiceFailed, match="running already"):
            supervisor.start(service)
        supervisor.stop_one("bank")
        assert gone(first)
        assert supervisor.start(service) != first
