"""What tests of the whole system do: sign contracts, deliver files, run jobs, stop and start processes, look into stores."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from hefu.domain.businessdays import business_date
from hefu.domain.job import FINAL_STATES
from hefu.keys.certificates import load_certificate
from hefu.keys.public import spki_digest
from hefu.keys.tls import pinned_client_context
from hefu.local.bootstrap import _FIELDS as FIELDS
from hefu.local.bootstrap import DATA_SETS, NotInTime, await_true, decide_by_two, file_everything, sign_in
from hefu.local.console_client import ConsoleClient, ConsoleError
from hefu.local.organisations import ORGANISATIONS
from hefu.local.sample import HEADER, DayTruth, write_samples
from hefu.local.sample_filings import consented
from hefu.local.supervisor import Service
from hefu.local.system import LocalSystem

MAIN_CONTRACT = "T1-SYSTEM"
PATIENCE_SECONDS = 240
"""How long anything may take that must happen: only a failure waits as long."""
PERSON = "990000199001010017"
Row = tuple[str, str, str, str, str]


class World:
    """The running system, and one signed-in person at each organisation."""

    MAIN = MAIN_CONTRACT
    SCHEDULED = "T1-EVERY-MINUTE"
    TIMES = ("00:00:00", "07:30:00", "23:59:59")

    def __init__(self, system: LocalSystem, files: Path) -> None:
        self.system = system
        self.files = files
        files.mkdir()
        self._people: dict[str, ConsoleClient] = {}
        self._days = itertools.count(40)
        self._numbers = itertools.count(1)

    def close(self) -> None:
        for client in self._people.values():
            client.__exit__()

    def at(self, org_id: str) -> ConsoleClient:
        """The sample account of an organisation, signed in once."""
        if org_id not in self._people:
            self._people[org_id] = sign_in(self.system, org_id)
        return self._people[org_id]

    # Contracts.

    def sign_contract(self, contract_id: str, **changes: Any) -> str:
        """Draft, propose and sign a contract; answers its digest once it is in force at every node."""
        drafted = self.at("regulator").post("/console/contracts/draft", self.draft(contract_id, **changes))
        document = consented(drafted["document"], datetime.now(UTC).date())
        proposed = decide_by_two(
            self.system, "regulator", self.at("regulator"), "/console/contracts", document
        )
        digest = str(proposed["summary"]["digest"])
        parties = [p["org_id"] for p in drafted["document"]["parties"]]
        with ThreadPoolExecutor(len(parties)) as pool:
            list(pool.map(lambda org: self._sign(org, digest), parties))
            list(pool.map(lambda org: self._in_force(org, digest), parties))
        file_everything(self.system, digest)
        return digest

    def draft(self, contract_id: str, **changes: Any) -> dict[str, Any]:
        """The contract form as the tests fill it in; its schedule is half a day away."""
        moment = datetime.now(UTC)
        return {
            "contract_id": contract_id,
            "title": "资金流水 T+1 对账",
            "title_en": "T+1 reconciliation of fund flows",
            "purpose": "核对业务记录与资金流水 / consistency of business records and fund flows",
            "institutions": ["institution"],
            "banks": ["bank"],
            "regulator": "regulator",
            "compute_parties": ["operator", "bank", "exchange"],
            "auditor": "auditor",
            "data_sets": DATA_SETS,
            "match_keys": ["serial"],
            "max_uses": 400,
            "max_rows": 10_000_000,
            "valid_from": (moment - timedelta(minutes=5)).isoformat(),
            "valid_until": (moment + timedelta(days=30)).isoformat(),
            "cron": f"0 {(moment.hour + 8 + 12) % 24} * * *",
            "first_day": self.yesterday.isoformat(),
            "retry_seconds": 2,
            "cutoff_minutes": 60,
        } | changes

    def schedule_every_minute(self) -> None:
        """A contract that fires every minute, over the days since the last Saturday, two at least; files delivered."""
        last = self.yesterday
        first = last - timedelta(days=(last.weekday() - 5) % 7 or 1)
        self.scheduled_days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        local = [(d, t) for d in self.scheduled_days for t in self.TIMES]
        for owner in DATA_SETS:
            rows = []
            for number, (day, at) in enumerate(local):
                moment = datetime.fromisoformat(f"{day}T{at}+08:00")
                written = (
                    moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                    if owner == "bank"
                    else f"{day}T{at}"
                )
                rows.append((f"SCHEDULED-{number}", "LOAN", f"{number + 1}.00", PERSON, written))
            path = self.files / f"scheduled-{owner}.csv"
            write_csv(path, rows)
            self.upload(owner, path)
        self.sign_contract(self.SCHEDULED, cron="* * * * *", first_day=first.isoformat())

    def register(self, org: str, name: str, is_institution: bool, *, many: bool = False) -> str:
        """A data set of its own; with `many` institutions in a contract a bank's rows name theirs. Answers its id."""
        names = ("name", "type", "identifier_class", "sensitive", "grade", "meaning_zh", "meaning_en")
        fields = [dict(zip(names, f, strict=True)) for f in FIELDS]
        if many and not is_institution:
            plain = ("institution", "text", "none", "none", "C1", "所属机构", "whose customer it is")
            fields.append(dict(zip(names, plain, strict=True)))
        data_set_id = f"{org}-{name}"
        self.at(org).post(
            "/console/data-sets",
            {
                "data_set_id": data_set_id,
                "owner": org,
                "name": data_set_id,
                "kind": "business_records" if is_institution else "fund_flows",
                "fields": fields,
                "date_field": "occurred_at",
                "source_kind": "direct",
                "legal_basis": "statutory_duty",
                "legal_basis_note": "依法报送 / reported by statute",
            },
        )
        return data_set_id

    def _sign(self, org: str, digest: str) -> None:
        client = self.at(org)
        await_true(f"{org}: contract", lambda: self._view(client, digest) is not None)
        if client.get(f"/console/contracts/{digest}")["can_sign"]:
            decide_by_two(self.system, org, client, f"/console/contracts/{digest}/sign")

    def _in_force(self, org: str, digest: str) -> None:
        client = self.at(org)

        def ask() -> bool:
            view = self._view(client, digest)
            return (
                view is not None
                and view["summary"]["state"] == "active"
                and all(s["state"] == "signed" for s in view["signatures"])
            )

        await_true(f"{org}: contract in force", ask)

    @staticmethod
    def _view(client: ConsoleClient, digest: str) -> dict[str, Any] | None:
        try:
            view: dict[str, Any] = client.get(f"/console/contracts/{digest}")
        except ConsoleError as error:
            if error.status == 404:
                return None
            raise
        return view

    # Files.

    @property
    def yesterday(self) -> date:
        return business_date(datetime.now(UTC)) - timedelta(days=1)

    def new_day(self) -> date:
        """A past business date that no other test uses."""
        return self.yesterday - timedelta(days=next(self._days))

    def deliver(self, owner: str, day: date, rows: Iterable[Row]) -> list[dict[str, Any]]:
        """Upload a file of these rows; answers the arrivals."""
        path = self.files / f"{owner}-{day}-{next(self._numbers)}.csv"
        write_csv(path, rows)
        return self.upload(owner, path)

    def upload(self, owner: str, path: Path, data_set: str | None = None) -> list[dict[str, Any]]:
        """Upload a file to a data set, the owner's first one when none is named."""
        answer: list[dict[str, Any]] = self.at(owner).upload(
            f"/console/data-sets/{data_set or DATA_SETS[owner]}/files", path
        )
        return answer

    def deliver_sample(
        self, day: date, rows: int = 100, data_sets: Mapping[str, str] | None = None
    ) -> DayTruth:
        """Both owners deliver the generated files of a day; answers what is true of them."""
        folder = self.files / f"sample-{next(self._numbers)}"
        truth = write_samples(folder, rows=rows, days=[day], seed=day.toordinal()).day(day)
        for owner, path in truth.files.items():
            self.upload(owner, path, (data_sets or DATA_SETS)[owner])
        return truth

    # Jobs.

    def start_job(self, day: date, contract_id: str = MAIN_CONTRACT) -> str:
        body = {"contract_id": contract_id, "first_day": day.isoformat(), "last_day": day.isoformat()}
        return str(self.at("regulator").post("/console/jobs", body)[0]["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        view: dict[str, Any] = self.at("regulator").get(f"/console/jobs/{job_id}")
        return view

    def jobs_of(self, contract_id: str) -> list[dict[str, Any]]:
        """Jobs of a contract, oldest business date first, then by revision."""
        found = self.at("regulator").get("/console/jobs", contract_id=contract_id, limit=500)
        return sorted(found, key=lambda j: (j["business_date"], j["revision"]))

    def await_end(self, job_id: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Wait until the job is over; answers its view."""
        return self.await_job(job_id, lambda view: view["summary"]["state"] in FINAL_STATES, seconds)

    def await_success(self, job_id: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Wait until the job has succeeded; anything else at its end fails the test with its findings."""
        view = self.await_end(job_id, seconds)
        assert view["summary"]["state"] == "succeeded", (view["summary"], findings(view))
        return view

    def await_job(
        self, job_id: str, ready: Callable[[dict[str, Any]], bool], seconds: float = PATIENCE_SECONDS
    ) -> dict[str, Any]:
        """Wait until the job's view is as wanted; a system that is being restarted is asked again."""
        deadline = time.monotonic() + seconds
        view: dict[str, Any] = {}
        while time.monotonic() < deadline:
            with contextlib.suppress(ConsoleError, httpx.HTTPError):
                view = self.job(job_id)
                if ready(view):
                    return view
            time.sleep(0.1)
        raise NotInTime(f"{job_id}: not within {seconds:.0f} s: {view.get('summary')} {findings(view)}")

    def await_finding(
        self, job_id: str, rule: str, party: str, seconds: float = PATIENCE_SECONDS
    ) -> dict[str, Any]:
        """Wait until an open job's view shows this finding about this party; answers the finding."""
        found: list[dict[str, Any]] = []

        def ready(view: dict[str, Any]) -> bool:
            found[:] = [f for f in findings(view) if (f["rule"], f["party"]) == (rule, party)]
            return bool(found)

        self.await_job(job_id, ready, seconds)
        return found[0]

    def run_day(self, day: date, contract_id: str = MAIN_CONTRACT, seconds: float = PATIENCE_SECONDS) -> str:
        """A job from request to success."""
        job_id = self.start_job(day, contract_id)
        self.await_success(job_id, seconds)
        return job_id

    def statuses(self, job_id: str) -> dict[tuple[str, int], str]:
        """Open the result at the regulator: (owner, row) → status."""
        regulator = self.at("regulator")
        await_true(
            f"{job_id}: halves",
            lambda: any(
                r["job_id"] == job_id and r["received_at"] for r in regulator.get("/console/results")
            ),
        )
        regulator.post(f"/console/results/{job_id}/open")
        lines = regulator.get_bytes(f"/console/results/{job_id}/export.csv").decode("utf-8-sig").splitlines()
        assert lines[0] == "owner,row,status"
        found = {}
        for line in lines[1:]:
            owner, row, status = line.split(",")
            found[(owner, int(row))] = status
        assert len(found) == len(lines) - 1, "a row was reported twice"
        return found

    # Processes.

    def kill(self, name: str) -> None:
        """SIGKILL to a service and whatever is in its process group, and wait until it is gone."""
        pid = self.system.supervisor.pids()[name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        self.system.supervisor.stop_one(name)

    def start(self, name: str) -> None:
        """Start a service that was stopped."""
        self.system.supervisor.start(self._services()[name]())

    def revive(self) -> None:
        """Start what is not running."""
        running = self.system.supervisor.pids()
        for name, service in self._services().items():
            if name in running and psutil.Process(running[name]).status() == psutil.STATUS_ZOMBIE:
                self.system.supervisor.stop_one(name)
            if name not in self.system.supervisor.pids():
                self.system.supervisor.start(service())

    def _services(self) -> dict[str, Callable[[], Any]]:
        system = self.system
        return {
            "prefect": system._prefect,
            "coordinator": system._coordinator_service,
            **{f"node-{org}": (lambda org=org: system.node_service(org)) for org in ORGANISATIONS},
            "runner": system._runner,
        }

    def second_runner(self) -> Service:
        """Another flow runner beside the first."""
        return replace(self.system._runner(), name="runner-2", log_path=self.system.logs / "runner-2.log")

    def ask_due_jobs(self, contract_id: str) -> Any:
        """Ask the coordinator for due jobs as a scheduled flow run does."""
        system = self.system
        pem = system.coordinator.certificate.read_text()
        context = pinned_client_context(
            pem, pin_spki=spki_digest(load_certificate(pem)), org_id="coordinator"
        )
        token = system.coordinator.token.read_text().strip()
        url = f"https://127.0.0.1:{system.port('coordinator')}/internal/contracts/{contract_id}/due-jobs"
        answer = httpx.post(
            url, verify=context, trust_env=False, timeout=30, headers={"Authorization": f"Bearer {token}"}
        )
        answer.raise_for_status()
        return answer.json()

    @staticmethod
    def at_once(deeds: Sequence[Callable[[], Any]]) -> list[Any]:
        """Do all of it at the same moment, each in a thread of its own; answers what each answered."""
        barrier = threading.Barrier(len(deeds))

        def one(deed: Callable[[], Any]) -> Any:
            barrier.wait()
            return deed()

        with ThreadPoolExecutor(len(deeds)) as pool:
            return list(pool.map(one, deeds))

    def workers(self, job_id: str) -> dict[str, psutil.Process]:
        """The living workers of a job, by organisation."""
        found = {}
        for name, pid in self.system.supervisor.pids().items():
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in psutil.Process(pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
                        if Path(process.cwd()).name == job_id:
                            found[name.removeprefix("node-")] = process
        return found

    @contextlib.contextmanager
    def frozen_worker(self, org: str, job_id: str, peers: int) -> Iterator[psutil.Process]:
        """Stop an organisation's worker in the middle of the computation: connected with `peers` others, none finished."""
        worker: psutil.Process | None = None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while worker is None:
            if time.monotonic() > deadline:
                raise NotInTime(
                    f"{job_id}: no worker of {org} in a computation: {self.job(job_id)['summary']}"
                )
            found = self.workers(job_id).get(org)
            with contextlib.suppress(psutil.Error):
                if found is not None and _links(found) >= peers:
                    found.suspend()
                    worker = found
                    break
            time.sleep(0.005)
        try:
            yield worker
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.resume()

    # Stores.

    def query(self, database: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as the database's superuser."""
        if self.system.postgres is None:
            raise RuntimeError("PostgreSQL is not running")
        with psycopg.connect(self.system.postgres.admin_dsn(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def journal(self, org_id: str, kind: str) -> list[str | None]:
        """The jobs of an organisation's own evidence of one kind."""
        return [
            row[0] for row in self.query(f"node_{org_id}", "select job from journal where kind = %s", kind)
        ]


def findings(view: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All findings of a job's stages."""
    return [f for s in view.get("stages", []) for f in (s["verdict"] or {}).get("findings", [])]


def rows_of(day: date, entries: Sequence[tuple[str, str]], kind: str = "LOAN") -> list[Row]:
    """Rows of a day out of (serial, amount)."""
    return [(serial, kind, amount, "990000199001010017", f"{day}T10:00:00") for serial, amount in entries]


def write_csv(path: Path, rows: Iterable[Row]) -> None:
    path.write_text("\n".join([",".join(HEADER), *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")


def _links(process: psutil.Process) -> int:
    return sum(c.status == psutil.CONN_ESTABLISHED for c in process.net_connections("tcp"))
