"""`hefu demo`: the real system on this machine, carried through one T+1 reconciliation, with what happened as a table."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from hefu_ledger.errors import LedgerError
from hefu_ledger.verify import verify_database
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hefu.coordinator.settings import load_kit
from hefu.domain.businessdays import business_date
from hefu.domain.job import FINAL_STATES, JobState
from hefu.domain.verdict import Verdict
from hefu.local.bootstrap import (
    CONTRACT_ID,
    DATA_SETS,
    add_sample_accounts,
    admit_everybody,
    await_true,
    file_everything,
    register_data_sets,
    sign_contract,
    sign_in,
)
from hefu.local.console_client import ConsoleClient
from hefu.local.errors import DemoFailed
from hefu.local.ledger_commands import CHECKS, registry
from hefu.local.memory import PeakMemory
from hefu.local.organisations import ORGANISATIONS
from hefu.local.own_files import read_own_files
from hefu.local.sample import HEADER, write_samples
from hefu.local.system import LocalSystem

HISTORY_DAYS = 5
_STOPS_AT_ONCE = {"rejected_share", "source_invalid", "schema_differs", "data_missing"}


@dataclass
class Told:
    """What the last line of standard output says."""

    rows_institution: int = 0
    rows_bank: int = 0
    matched: int = 0
    mismatched: int = 0
    missing_at_bank: int = 0
    missing_at_institution: int = 0
    compute_seconds: float = 0.0
    jobs: list[str] = field(default_factory=list)


def run_demo(
    directory: Path, *, once: bool, rows: int, institution: Path | None, bank: Path | None, out: Path | None
) -> int:
    """Run the demo; answers the exit code. The last line on standard output is one JSON object."""
    started = time.monotonic()
    console = Console(stderr=False, highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if institution is not None and bank is not None:
            read_own_files({"institution": institution, "bank": bank}, business_date(datetime.now(UTC)))
        with LocalSystem(directory, say=console.print) as system:
            console.print(f"合符 Hefu — 状态目录 state folder: {system.directory}", markup=False)
            system.initialise()
            add_sample_accounts(system)
            system.start(console=not once)
            console.print(f"系统已启动 system started: {time.monotonic() - started:.1f} s")
            with PeakMemory([*system.supervisor.pids().values(), *_own_pids(system)]) as memory:
                told = _reconcile(system, console, rows=rows, institution=institution, bank=bank, out=out)
                verified, size = _verify_ledger(system, console)
                total = time.monotonic() - started
            if not once:
                _print_accounts(system, console, total)
                if institution is None:
                    _deliver_history(system, console)
                _stay(system)
            line = {
                "scenario": "t1_reconciliation",
                "rows_institution": told.rows_institution,
                "rows_bank": told.rows_bank,
                "matched": told.matched,
                "mismatched": told.mismatched,
                "missing_at_bank": told.missing_at_bank,
                "missing_at_institution": told.missing_at_institution,
                "compute_seconds": round(told.compute_seconds, 3),
                "total_seconds": round(total, 3),
                "peak_rss_mb": round(memory.peak.total_mb),
                "ledger_size": size,
                "ledger_verified": verified,
            }
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        console.print(f"[red]演示失败 / the demo failed:[/red] {escape(str(error))}")
        console.print(f"日志 logs: {directory / 'logs'}", markup=False)
        return 1
    print(json.dumps(line), flush=True)
    return 0 if verified else 1


def _own_pids(system: LocalSystem) -> list[int]:
    import os

    pid = system.postgres.pid if system.postgres else None
    return [os.getpid(), *([pid] if pid else [])]


def _reconcile(
    system: LocalSystem,
    console: Console,
    *,
    rows: int,
    institution: Path | None,
    bank: Path | None,
    out: Path | None,
) -> Told:
    """Admission, contract, data, job, result."""
    yesterday = business_date(datetime.now(UTC)) - timedelta(days=1)
    admit_everybody(system)
    register_data_sets(system)
    file_everything(system, sign_contract(system, yesterday - timedelta(days=HISTORY_DAYS)))
    console.print("六家机构已准入，合约已由各方签署生效 / six organisations admitted, contract signed by all")
    if institution is not None and bank is not None:
        days = _deliver_own(system, institution, bank)
    else:
        with tempfile.TemporaryDirectory(dir=system.directory) as folder:
            sample = write_samples(
                Path(folder), rows=rows, days=[yesterday], seed=int(yesterday.strftime("%Y%m%d"))
            )
            for owner, file in sample.days[0].files.items():
                _deliver(system, owner, file)
        days = [yesterday]
    told = Told()
    with sign_in(system, "regulator") as regulator:
        answers = [regulator.post("/console/jobs", _request(day))[0] for day in days]
        for answer in answers:
            view = _follow(system, regulator, answer["job_id"])
            _print_job(console, view)
            _open(regulator, view, told)
        if out is not None:
            _write_result(regulator, told.jobs, out)
    return told


def _request(day: date) -> dict[str, str]:
    return {
        "contract_id": CONTRACT_ID,
        "first_day": day.isoformat(),
        "last_day": day.isoformat(),
        "reason": "demo",
    }


def _deliver(system: LocalSystem, owner: str, file: Path) -> list[dict[str, Any]]:
    """Upload a file. Raises DemoFailed where the node cannot read all of it."""
    with sign_in(system, owner) as client:
        arrived: list[dict[str, Any]] = client.upload(f"/console/data-sets/{DATA_SETS[owner]}/files", file)
    if any(a["state"] == "rejected" or a["rejected"] for a in arrived):
        raise DemoFailed(
            f"{owner}: {file.name}: 节点未能全部读取 / the node could not read all of it: {arrived}"
        )
    return arrived


def _deliver_own(system: LocalSystem, institution: Path, bank: Path) -> list[date]:
    """The user's own files; a day that only one side has is an empty day at the other."""
    arrived: dict[str, set[date]] = {}
    for owner, file in (("institution", institution), ("bank", bank)):
        found = _deliver(system, owner, file)
        empty = not any(a["rows"] + a["rejected"] for a in found)
        arrived[owner] = set() if empty else {date.fromisoformat(a["business_date"]) for a in found}
    days = sorted(arrived["institution"] | arrived["bank"])
    days = days or [business_date(datetime.now(UTC)) - timedelta(days=1)]
    with tempfile.TemporaryDirectory(dir=system.directory) as folder:
        for owner, present in arrived.items():
            for day in days:
                if day not in present:
                    file = Path(folder) / f"{day.isoformat()}.csv"
                    file.write_text(",".join(HEADER) + "\n")
                    _deliver(system, owner, file)
    return days


def _follow(system: LocalSystem, client: ConsoleClient, job_id: str, seconds: float = 3600) -> dict[str, Any]:
    """Wait until a job has ended. Raises DemoFailed naming party, stage and mend where it did not succeed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        view: dict[str, Any] = client.get(f"/console/jobs/{job_id}")
        state = view["summary"]["state"]
        findings = _findings(view)
        if state == JobState.SUCCEEDED:
            return view
        stuck = state == JobState.WAITING and any(f["rule"] in _STOPS_AT_ONCE for f in findings)
        if state in FINAL_STATES or stuck:
            said = "; ".join(
                f"{f['party']}: {f['message_zh']} / {f['message_en']} ({f['mend_en']})" for f in findings
            )
            raise DemoFailed(f"{job_id} {state} @ {view['summary']['stage']}: {said}")
        system.supervisor.check()
        time.sleep(0.2)
    raise DemoFailed(f"{job_id}: not finished within {seconds:.0f} s")


def _findings(view: dict[str, Any]) -> list[dict[str, Any]]:
    verdicts = [Verdict.model_validate(s["verdict"]) for s in view["stages"] if s["verdict"]]
    return [f.model_dump(mode="json") for v in verdicts if not v.passed for f in v.findings]


def _open(regulator: ConsoleClient, view: dict[str, Any], told: Told) -> None:
    job_id = view["summary"]["job_id"]

    def received() -> bool:
        return any(r["job_id"] == job_id and r["received_at"] for r in regulator.get("/console/results"))

    await_true(f"{job_id}: both halves at the regulator", received, 30)
    result = regulator.post(f"/console/results/{job_id}/open")
    summary = result["summary"]
    told.jobs.append(job_id)
    told.matched += summary["matched"]
    told.mismatched += summary["mismatched"]
    told.missing_at_bank += summary["missing_at_bank"]
    told.missing_at_institution += summary["missing_at_institution"]
    told.rows_institution += sum(s["rows"] for s in result["sides"] if s["side"] == "institution")
    told.rows_bank += sum(s["rows"] for s in result["sides"] if s["side"] == "bank")
    told.compute_seconds += sum(s["seconds"] or 0.0 for s in view["stages"] if s["stage"] == "compute")


def _write_result(regulator: ConsoleClient, jobs: list[str], out: Path) -> None:
    """What the regulator sees, for all days: owner,row,status."""
    lines: list[tuple[str, int, str]] = []
    for job_id in jobs:
        content = regulator.get_bytes(f"/console/results/{job_id}/export.csv").decode("utf-8-sig")
        lines += [(r["owner"], int(r["row"]), r["status"]) for r in csv.DictReader(io.StringIO(content))]
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("owner", "row", "status"))
        lines.sort(key=lambda line: (line[0] != "institution", line[1]))
        writer.writerows(lines)


def _verify_ledger(system: LocalSystem, console: Console) -> tuple[bool, int]:
    """Verify the whole ledger once the nodes' evidence is in."""
    kit = load_kit(system.coordinator)
    with sign_in(system, "regulator") as regulator:
        await_true("evidence", lambda: regulator.get("/console/ledger/state")["unreceipted"] == 0, 30)
    with psycopg.connect(system.coordinator.ledger_dsn.read_text()) as connection:
        try:
            report = verify_database(
                connection,
                log_vkey=kit.ledger_vkey,
                keys=registry(system).ledger_keys(),
                checkpoint_path=system.coordinator.checkpoint,
                checks=CHECKS,
            )
        except LedgerError as error:
            console.print(f"[red]账本校验失败 / the ledger does not verify:[/red] {escape(str(error))}")
            return False, 0
    console.print(
        f"账本完整 / ledger verified: {report.size} 条存证 entries, {report.signatures_checked} 个签名 signatures"
    )
    return True, report.size


_STAGES = {
    "check_participants": "参与方校验 participants",
    "check_contract": "合约校验 contract",
    "check_data_sources": "数据源校验 data sources",
    "compute": "隐私计算 compute",
    "check_output": "输出校验 output",
    "release": "结果发布 release",
    "retain_and_delete": "留存与删除 retention",
}


def _print_job(console: Console, view: dict[str, Any]) -> None:
    summary = view["summary"]
    table = Table(title=f"{summary['job_id']}  T = {summary['business_date']}", title_justify="left")
    for column, options in (
        ("阶段 stage", {}),
        ("参与方 party", {}),
        ("结论 verdict", {}),
        ("秒 s", {"justify": "right"}),
    ):
        table.add_column(column, **options)  # type: ignore[arg-type]  # rich's own options
    for stage in view["stages"]:
        verdict = (
            "[green]通过 passed[/green]"
            if stage["state"] == "passed"
            else f"[yellow]{stage['state']}[/yellow]"
        )
        table.add_row(
            _STAGES[stage["stage"]], ", ".join(stage["parties"]), verdict, f"{stage['seconds'] or 0:.2f}"
        )
    console.print(table)


def _print_accounts(system: LocalSystem, console: Console, total: float) -> None:
    """The console's address and the sample accounts; each organisation has a second person (复核) beside the first."""
    address = f"http://127.0.0.1:{system.port('console')}"
    table = Table(title=f"控制台 console: {address}   ({total:.1f} s)", title_justify="left")
    table.add_column("机构 organisation")
    table.add_column("账号 account", no_wrap=True)
    table.add_column("密码 password", no_wrap=True)
    for org_id, account in system.accounts.items():
        table.add_row(ORGANISATIONS[org_id].legal_name, account["username"], account["password"])
        table.add_row("  复核 second person", f"{org_id}-reviewer", account["reviewer"])
    console.print(table)
    console.print("Ctrl-C 停止 to stop")


def _deliver_history(system: LocalSystem, console: Console) -> None:
    """Earlier business days for trend and arrival board: one with fraud-like mismatches, one whose bank file comes late."""
    yesterday = business_date(datetime.now(UTC)) - timedelta(days=1)
    days = [yesterday - timedelta(days=n) for n in range(HISTORY_DAYS, 0, -1)]
    with sign_in(system, "regulator") as regulator:
        if any(j["business_date"] == days[0].isoformat() for j in regulator.get("/console/jobs")):
            return
        folder = Path(tempfile.mkdtemp(dir=system.directory))
        try:
            sample = write_samples(folder, rows=2_000, days=days, seed=20_261_122)
            for day in sample.days:
                for owner, file in day.files.items():
                    if owner not in day.late:
                        _deliver(system, owner, file)
            regulator.post(
                "/console/jobs", {**_request(days[0]), "last_day": days[-1].isoformat(), "reason": "backfill"}
            )
            console.print(f"补跑 backfill: {days[0]} – {days[-1]}（{HISTORY_DAYS} 天 days）")
            late = [(owner, day.files[owner]) for day in sample.days for owner in day.late]
            _open_history(regulator, days[:-1], 120)
            for owner, file in late:
                _deliver(system, owner, file)
            _open_history(regulator, days, 120)
            console.print("历史各日已对账并拆封 / earlier days reconciled and opened")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _open_history(regulator: ConsoleClient, days: list[date], seconds: float) -> None:
    """Open what has arrived of these days, until all have or the time is over (a late day arrives later)."""
    wanted = {day.isoformat() for day in days}
    deadline = time.monotonic() + seconds
    while wanted and time.monotonic() < deadline:
        for result in regulator.get("/console/results"):
            if result["business_date"] in wanted and result["received_at"]:
                if not result["opened_at"]:
                    regulator.post(f"/console/results/{result['job_id']}/open")
                wanted.discard(result["business_date"])
        jobs = regulator.get("/console/jobs")
        still = {j["business_date"] for j in jobs if j["state"] in ("requested", "running")}
        if wanted and not wanted & still:
            return  # what is left waits for data
        time.sleep(1)


def _stay(system: LocalSystem) -> None:
    """Stay up until Ctrl-C; ends with the first process that dies."""
    while True:
        system.supervisor.watch(3600)


def backfill(directory: Path, party: str, contract: str, first: date, last: date) -> list[dict[str, Any]]:
    """Start jobs in a running local system, in the name of a party's sample account."""
    system = LocalSystem(directory)
    with sign_in(system, party) as client:
        body = {
            "contract_id": contract,
            "first_day": first.isoformat(),
            "last_day": last.isoformat(),
            "reason": "backfill",
        }
        answer: list[dict[str, Any]] = client.post("/console/jobs", body)
    return answer
