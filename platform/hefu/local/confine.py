"""Confine a process to its own folder with Landlock.

After `confine` the process and every child of it can open only the folders named; the rule cannot be lifted, not
even by root. Root's capabilities go with it, all but overriding file modes: raw disks, modules and other processes'
memory and environment would lead around the rule. Where the kernel offers it (ABI 6) no signal reaches a process
outside. Connecting to TCP ports and to Unix sockets that have a path stays possible: the network is guarded by
keys, not by this.

What it does not do: names and sizes of files outside remain visible to `stat`; a kernel without Landlock confines
nothing, and the report says so; threads that already run would stay free, so with any of them it refuses. Use
`python -m hefu.local.confine --rw DIR [--ro DIR] -- PROGRAM …` to confine a whole program from its first instruction.

Source: Linux landlock(7), Documentation/userspace-api/landlock.rst, ABI 1 to 7.
"""

import argparse
import ctypes
import importlib.util
import os
import struct
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hefu.local.errors import ConfinementError

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on x86_64 and aarch64
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP = 38, 24
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1  # kept: root running a checkout that belongs to somebody else must still read it

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_ABI_1 = (1 << 13) - 1  # reading, writing, executing, making and removing every kind of entry
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15  # ABI 2, 3, 5
_ON_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1 << 0, 1 << 1  # ABI 6

_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/sys/devices/system",
    "/sys/fs/cgroup",  # DuckDB asks for its processor share there, and aborts the process when it may not
)  # fmt: skip
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/shm")  # noqa: S108
_OUR_PACKAGES = ("hefu", "hefu_ledger", "hefu_flows", "hefu_ui")


@dataclass(frozen=True)
class ConfinementReport:
    """What now holds. `active` false: nothing is confined, for the `reason` given."""

    active: bool
    abi: int
    reason: str
    read_write: tuple[Path, ...] = ()
    read_only: tuple[Path, ...] = ()

    def __str__(self) -> str:
        if not self.active:
            return f"not confined: {self.reason}"
        return f"confined by Landlock (ABI {self.abi}) to {', '.join(map(str, self.read_write)) or 'reading'}"


def confine(read_write: Sequence[Path], read_only: Sequence[Path] = ()) -> ConfinementReport:
    """Confine this process, for good.

    read_write  folders (or files) it may change; they must exist
    read_only   what it may read beside `default_read_only()`; absent ones are passed over
    returns     a report; `active` is false on a kernel without Landlock
    raises      ConfinementError when a folder is absent, other threads run, or the kernel refuses
    """
    abi, reason = landlock_abi()
    if abi < 1:
        return ConfinementReport(active=False, abi=0, reason=reason)
    if _thread_count() > 1:
        raise ConfinementError("other threads run already and would stay free: confine before they start")
    absent = [path for path in read_write if not path.exists()]
    if absent:
        raise ConfinementError(f"cannot confine to folders that do not exist: {', '.join(map(str, absent))}")
    handled = _handled(abi)
    writable = tuple(path.resolve() for path in read_write)
    readable = tuple(_existing([*default_read_only(), *read_only]))
    ruleset = _create_ruleset(abi, handled)
    try:
        for path in (*writable, *_existing(map(Path, _DEVICES))):
            _allow(ruleset, path, handled)
        for path in readable:
            _allow(ruleset, path, handled & _READING)
        _drop_capabilities()
        if (
            _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        ):  # so that no program started later regains any
            raise ConfinementError(f"prctl(PR_SET_NO_NEW_PRIVS): {_error()}")
        if _syscall(_RESTRICT_SELF, ruleset, 0) != 0:
            raise ConfinementError(f"landlock_restrict_self: {_error()}")
    finally:
        os.close(ruleset)
    return ConfinementReport(True, abi, "", writable, readable)


def default_read_only() -> list[Path]:
    """What a Python program needs to read in order to run: the interpreter, its packages, ours, the system."""
    folders = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), Path(sys.executable).resolve()]
    folders += [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    for package in _OUR_PACKAGES:
        spec = importlib.util.find_spec(package)
        folders += [Path(place).parent for place in (spec.submodule_search_locations or ())] if spec else []
    return list(_existing([*folders, *map(Path, _SYSTEM)]))


def landlock_abi() -> tuple[int, str]:
    """The kernel's Landlock version, or 0 and the reason why there is none."""
    if not sys.platform.startswith("linux"):
        return 0, "Landlock is Linux only"
    abi = _syscall(_CREATE_RULESET, 0, 0, _CREATE_RULESET_VERSION)
    if abi < 1:
        return 0, f"this kernel offers no Landlock ({_error()})"
    return abi, ""


def _handled(abi: int) -> int:
    rights = _ABI_1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if abi >= since:
            rights |= right
    return rights


def _create_ruleset(abi: int, handled: int) -> int:
    if abi >= 6:  # file system, network (none handled), scopes
        attributes = struct.pack("=QQQ", handled, 0, _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS)
    else:
        attributes = struct.pack("=Q", handled)
    ruleset = _syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        raise ConfinementError(f"landlock_create_ruleset: {_error()}")
    return ruleset


def _allow(ruleset: int, path: Path, rights: int) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights if path.is_dir() else rights & _ON_A_FILE, handle)
        if _syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0) != 0:
            raise ConfinementError(f"landlock_add_rule {path}: {_error()}")
    finally:
        os.close(handle)


def _drop_capabilities() -> None:
    """Keep at most the right to override file modes (capabilities(7)); nothing to do for an ordinary user."""
    libc = _libc()
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    sets = ctypes.create_string_buffer(24)  # effective, permitted, inheritable; low words, then high words
    if libc.capget(header, sets) != 0:
        raise ConfinementError(f"capget: {_error()}")
    permitted = struct.unpack("=6I", sets.raw)[1]
    for capability in range(64):
        if capability != _CAP_DAC_OVERRIDE:
            libc.prctl(
                _PR_CAPBSET_DROP, capability, 0, 0, 0
            )  # refused to ordinary users, who have none to lose
    kept = permitted & (1 << _CAP_DAC_OVERRIDE)
    if libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)) != 0:
        raise ConfinementError(f"capset: {_error()}")


def _existing(paths: Iterable[Path]) -> Iterable[Path]:
    return dict.fromkeys(path.resolve() for path in paths if path.exists())


def _thread_count() -> int:
    return len(os.listdir("/proc/self/task")) if Path("/proc/self/task").is_dir() else 1


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _syscall(number: int, *arguments: int | bytes) -> int:
    call = _libc().syscall
    call.restype = ctypes.c_long
    converted = [ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments]
    return int(call(ctypes.c_long(number), *converted))


def _error() -> str:
    return os.strerror(ctypes.get_errno())


def confined_command(
    argv: Sequence[str], read_write: Sequence[Path], read_only: Sequence[Path] = ()
) -> list[str]:
    """The command that runs `argv` confined: this module, then the program in its place (same process id)."""
    command = [sys.executable, "-m", "hefu.local.confine"]
    for path in read_write:
        command += ["--rw", str(path)]
    for path in read_only:
        command += ["--ro", str(path)]
    return [*command, "--", *argv]


def main(arguments: Sequence[str] | None = None) -> None:
    """Confine, say so on stderr, become the program."""
    parser = argparse.ArgumentParser(prog="python -m hefu.local.confine", description=main.__doc__)
    parser.add_argument("--rw", action="append", default=[], type=Path, help="folder the program may change")
    parser.add_argument("--ro", action="append", default=[], type=Path, help="folder the program may read")
    parser.add_argument("program", nargs="+")
    chosen = parser.parse_args(arguments)
    report = confine(chosen.rw, chosen.ro)
    print(report, file=sys.stderr, flush=True)
    os.execvp(chosen.program[0], chosen.program)  # noqa: S606  (no shell on purpose)


if __name__ == "__main__":
    main()
