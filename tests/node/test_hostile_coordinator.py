"""A real node process against a coordinator that lies: it holds the coordinator's true key and serves what it likes.

It may stop work; it must not get the node to use data. Each refusal stands in the node's own journal with its reason, and
the node serves on.
"""

import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from hefu.domain.identity import APPLICATION_TYPE
from hefu.keys.certificates import load_certificate
from hefu.keys.keystore import NodeKeys, open_keys
from hefu.keys.public import load_public_ed25519, public_b64, spki_digest
from hefu.keys.tls import server_context
from hefu.local.accounts import add_account
from hefu.local.console_client import ConsoleClient, ConsoleError
from hefu.local.organisations import ORGANISATIONS
from hefu.node.service import initialise
from hefu.node.settings import NodePaths, NodeSettings, write_private
from hefu.store.base import now, open_engine
from hefu.store.node_tables import JournalRow, OrderRow, PeerRow, UseRow
from hefu.store.signed import read_application
from hefu.wire.client import Peer, SignedClient
from hefu.wire.errors import PeerRefused, PeerUnreachable
from hefu.wire.guard import Guard, MemoryNonceStore, Sender
from hefu.wire.middleware import install_guard
from hefu.wire.serving import tls_server
from sqlalchemy import Engine
from sqlmodel import Session, select

pytestmark = pytest.mark.server
PASSPHRASE = b"a passphrase of the tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Liar:
    """The coordinator's interface, saying whatever the test puts into it."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.true_registry: list[dict[str, Any]] = world.registry()
        self.registry = list(self.true_registry)
        self.bundles: dict[str, dict[str, Any]] = {}
        self.states: dict[str, str] = {}
        self.receipts: Callable[[list[str]], list[str | None]] = lambda envelopes: [None] * len(envelopes)
        self.asked = self.rounds = 0

    def lookup(self, sender: str, key_id: str) -> Sender:
        return Sender(load_public_ed25519(self.world.applications[sender].keys.identity), "active")

    def propose(self, contract: Any, bundle: dict[str, Any], state: str = "signing") -> None:
        self.bundles[contract.digest], self.states[contract.digest] = bundle, state

    def app(self) -> FastAPI:
        app = FastAPI()
        install_guard(
            app,
            Guard("coordinator", self, MemoryNonceStore()),
            identity_key=self.world.coordinator.identity,
            own_id="coordinator",
            protect_prefixes=("/api",),
            open_routes=[("POST", "/api/applications")],
        )

        @app.get("/api/changes")
        def changes() -> Any:
            self.rounds += 1
            return {"counter": self.rounds}  # something has changed, always

        @app.get("/api/participants")
        def participants() -> Any:
            self.asked += 1
            return self.registry

        @app.get("/api/contracts")
        def contracts(view: str = "") -> Any:
            if view:  # the console then shows the node's own copies
                return JSONResponse({"code": "busy"}, 503)
            return [{"digest": digest, "state": self.states[digest]} for digest in self.bundles]

        @app.get("/api/contracts/{digest}")
        def contract(digest: str) -> Any:
            return self.bundles[digest]

        @app.post("/api/contracts/{digest}/signatures")
        def sign(digest: str, body: dict[str, str]) -> Any:
            self.bundles[digest]["signatures"]["bank"] = body["envelope"]
            self.states[digest] = "active"
            return {}

        @app.post("/api/ledger/envelopes")
        def take(body: dict[str, list[str]]) -> Any:
            return {"receipts": self.receipts(body["envelopes"])}

        @app.api_route("/api/{path:path}", methods=["GET", "POST"])
        async def anything(path: str, request: Request) -> Any:
            return {}

        return app


class Victim:
    """The bank's node as a process, and what its database says."""

    def __init__(
        self, root: Path, url: str, world: Any, kit: Any, liar: Liar, settings: NodeSettings
    ) -> None:
        self.root, self.url, self.world, self.kit, self.liar, self.settings = (
            root,
            url,
            world,
            kit,
            liar,
            settings,
        )
        self.paths = NodePaths(root)
        self.engine: Engine = open_engine(url, pool_size=3)
        self._clients = {
            who: SignedClient(who, keys.identity, self._peer)
            for who, keys in {"coordinator": world.coordinator, **world.keys}.items()
        }

    def session(self) -> Session:
        return Session(self.engine)

    def _peer(self, org_id: str) -> Peer:
        pem = self.paths.certificate.read_text()
        return Peer(
            org_id,
            f"https://127.0.0.1:{self.settings.port}",
            pem,
            spki_digest(load_certificate(pem)),
            self.world.keys["bank"].identity.public_key(),
        )

    def ask(self, path: str, content: Any, *, by: str = "coordinator") -> str:
        """ok, or the reason code of the node's signed refusal."""
        try:
            self._clients[by].post("bank", path, content)
        except PeerRefused as error:
            return error.code
        return "ok"

    def order(
        self, contract: Any, kind: Any, recipient: str = "bank", more: Any = None, **changes: Any
    ) -> str:
        order = self.world.order(contract, kind, recipient, **changes)
        return self.ask(f"/orders/{kind.replace('_', '-')}", {"order": order, **(more or {})})

    def journal(self) -> list[str]:
        return list(self.kit.refused_orders(self))

    def serves(self, contract: Any) -> bool:
        return self.order(contract, "prepare", job="J20260302" + secrets.token_hex(4).upper()) == "ok"

    def synced(self) -> None:
        """Two full rounds of following the registry have passed."""
        seen = self.liar.asked
        wait_for(lambda: self.liar.asked >= seen + 2, "sync")

    def sign(self, contract: Any) -> str:
        """The bank's two persons sign at the console, one after the other: ok, or the reason code."""
        for name in ("person", "second"):
            with ConsoleClient(
                "bank",
                f"https://127.0.0.1:{self.settings.port}",
                self.paths.certificate,
                name,
                "a long password 1",
            ) as person:
                try:
                    person.post(f"/console/contracts/{contract.digest}/sign")
                except ConsoleError as error:
                    code = str(error.body.get("code"))
                    if (name, code) != (
                        "person",
                        "same_person",
                    ):  # prepared already, when signing was tried before
                        return code
        return "ok"

    @contextmanager
    def refusing(self, *codes: str) -> Iterator[None]:
        """Within: exactly these refusals are added to the node's journal."""
        before = len(self.journal())
        yield
        assert self.journal()[before:] == list(codes)


def wait_for(done: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)


@pytest.fixture(scope="module")
def victim(world_kit: Any, postgres: Any, scratch: Path) -> Iterator[Victim]:
    tag = secrets.token_hex(4)
    name, root = f"hostile_{tag}", scratch / f"hostile-{tag}"
    postgres.ensure_role(name, "test-password")
    postgres.ensure_database(name, name)
    url = postgres.url(name, name, "test-password")
    settings = NodeSettings(org_id="bank", port=free_port(), channel_port=free_port(), sync_seconds=0.3)
    initialise(root, settings, ORGANISATIONS["bank"], database_url=url, passphrase=PASSPHRASE)
    paths = NodePaths(root)
    world = world_kit.make_world(
        {"bank": open_keys(paths.keys, PASSPHRASE)},
        {"bank": read_application(paths.application.read_bytes())},
    )
    port = free_port()
    world.url = f"https://127.0.0.1:{port}"
    kit = world.kit()
    write_private(paths.kit, kit.to_bytes())
    liar = Liar(world)
    context = server_context(kit.coordinator_certificate, world.coordinator.tls)
    server = tls_server(liar.app(), host="127.0.0.1", port=port, context=context)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    add_account(url, "person", "Person", "a long password 1", ["admin", "preparer", "approver"])
    add_account(url, "second", "Second", "a long password 1", ["approver"])
    secret = scratch / f"passphrase-{tag}"
    write_private(secret, PASSPHRASE)
    log = (scratch / f"hostile-{tag}.log").open("wb")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "hefu.cli",
            "node",
            "serve",
            "--dir",
            str(root),
            "--passphrase-file",
            str(secret),
        ],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    found = Victim(root, url, world, world_kit, liar, settings)

    def reachable() -> bool:
        if process.poll() is not None:
            pytest.fail(Path(log.name).read_text()[-3000:])
        pem = next(e["certificate"] for e in liar.true_registry if e["org_id"] == "bank")
        if paths.certificate.read_text() != pem:
            return False
        try:
            return found._clients["coordinator"].get("bank", "/orders/ping") == {"org_id": "bank"}
        except PeerUnreachable:
            return False

    wait_for(reachable, "the node")
    yield found
    for client in found._clients.values():
        client.close()
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    server.should_exit = True
    thread.join(10)
    found.engine.dispose()
    postgres.drop_database(name)
    postgres.drop_role(name)


@pytest.fixture(scope="module")
def contract(victim: Victim) -> Any:
    """In force at the node: everybody signed, the bank's person at its own console."""
    made = victim.world.consented(limits={"max_uses": 1})
    victim.liar.propose(made, victim.world.bundle(made, [o for o in victim.kit.ROLES if o != "bank"]))
    victim.synced()
    assert victim.order(made, "prepare") == "contract_not_signed"
    assert victim.sign(made) == "ok"
    victim.synced()
    victim.world.file(victim, made)  # what everybody filed came before the coordinator turned
    assert victim.serves(made)
    return made


@pytest.fixture(autouse=True)
def _honest_again(victim: Victim) -> Iterator[None]:
    yield
    victim.liar.registry = list(victim.liar.true_registry)


def swapped(victim: Victim, org_id: str) -> tuple[Any, dict[str, Any]]:
    """An application in another's name with the liar's own sealing key, and the registry's entry for it."""
    world, fake = victim.world, NodeKeys.generate()
    true = world.applications[org_id]
    application = true.model_copy(
        update={
            "keys": true.keys.model_copy(
                update={"identity": public_b64(fake.identity), "sealing": public_b64(fake.sealing)}
            )
        }
    )
    entry = next(e for e in victim.liar.true_registry if e["org_id"] == org_id)
    return application, {
        **entry,
        "digest": application.digest,
        "application": world.sign(application, APPLICATION_TYPE, fake),
    }


class TestKeys:
    @pytest.mark.parametrize("where", ["registry", "contract", "both"])
    def test_a_swapped_sealing_key(self, victim: Victim, contract: Any, where: str) -> None:
        world = victim.world
        application, entry = swapped(victim, "exchange")
        value = world.contract_value(contract_id=f"HF-SWAP-{where.upper()}")
        if where != "registry":
            for party in value["parties"]:
                if party["org_id"] == "exchange":
                    party |= {
                        "application": application.digest,
                        "identity_key": application.keys.identity,
                        "sealing_key": application.keys.sealing,
                    }
        from hefu.domain.contract import Contract

        made = Contract.model_validate(value)
        victim.liar.propose(made, world.bundle(made, ["institution", "regulator", "operator", "auditor"]))
        victim.synced()
        if where != "contract":
            victim.liar.registry = [
                entry if e["org_id"] == "exchange" else e for e in victim.liar.true_registry
            ]
        said = victim.sign(made)
        assert said == ("pin_mismatch" if where == "contract" else "not_reviewed")
        assert victim.order(made, "check_data") == "contract_not_signed"
        assert victim.serves(contract)

    def test_a_swapped_certificate(self, victim: Victim, contract: Any) -> None:
        """A certificate of the true CA, for another key: the pinned one stays."""
        from hefu.keys.certificates import issue_certificate, to_pem

        world = victim.world
        with victim.session() as session:
            before = {p.org_id: p.certificate for p in session.exec(select(PeerRow))}
        assert before["exchange"] is not None
        other = to_pem(
            issue_certificate(
                world.ca,
                world.ca_key,
                world.stranger.tls.public_key(),
                "exchange",
                sans=("127.0.0.1",),
                valid_days=30,
            )
        )
        victim.liar.registry = [
            {**e, "certificate": other} if e["org_id"] in ("exchange", "bank") else e
            for e in victim.liar.true_registry
        ]
        victim.synced()
        with victim.session() as session:
            after = {p.org_id: p.certificate for p in session.exec(select(PeerRow))}
        assert after == before
        assert victim.serves(contract)


class TestOrders:
    def test_without_a_contract(self, victim: Victim, contract: Any) -> None:
        unknown = victim.world.contract(contract_id="HF-UNKNOWN")
        with victim.refusing("contract_unknown"):
            assert victim.order(unknown, "check_data") == "contract_unknown"
        assert victim.serves(contract)

    def test_under_a_contract_forged_whole(self, victim: Victim, contract: Any) -> None:
        """Keys of the liar's own for all six, all of whom "signed"; the platform's keys are the true ones."""
        fake = victim.kit.make_world()
        fake.coordinator, fake.ledger_key = victim.world.coordinator, victim.world.ledger_key
        forged = fake.contract(contract_id="HF-FORGED")
        victim.liar.propose(forged, fake.bundle(forged), "active")
        victim.synced()
        with victim.refusing("contract_unknown", "contract_unknown"):
            assert victim.order(forged, "check_data") == "contract_unknown"
            assert victim.order(forged, "prepare") == "contract_unknown"
        assert victim.serves(contract)

    def test_under_one_altered_by_a_byte(self, victim: Victim, contract: Any) -> None:
        from hefu.domain.contract import Contract

        altered = Contract.from_bytes(contract.to_bytes().replace(b'"max_uses":1,', b'"max_uses":9,'))
        victim.liar.propose(altered, victim.liar.bundles[contract.digest], "active")
        victim.synced()
        with victim.refusing("contract_unknown"):
            assert victim.order(altered, "prepare") == "contract_unknown"
        del victim.liar.bundles[altered.digest]
        assert victim.serves(contract)

    def test_partly_signed(self, victim: Victim, contract: Any) -> None:
        made = victim.world.contract(contract_id="HF-PARTLY")
        victim.liar.propose(made, victim.world.bundle(made, ["institution", "operator"]), "active")
        victim.synced()
        with victim.refusing("contract_not_signed"):
            assert victim.order(made, "prepare") == "contract_not_signed"

    def test_replayed_misdirected_expired_or_forged(self, victim: Victim, contract: Any) -> None:
        w = victim.world
        order = {"order": w.order(contract, "prepare", "bank", job="J20260302REPLAYED")}
        past = {"issued_at": now() - timedelta(hours=1), "expires_at": now() - timedelta(minutes=1)}
        assert victim.ask("/orders/prepare", order) == "ok"
        with victim.refusing(
            "order_replayed",
            "order_misdirected",
            "order_misdirected",
            "order_expired",
            "order_invalid",
            "order_invalid",
        ):
            assert victim.ask("/orders/prepare", order) == "order_replayed"
            assert victim.order(contract, "prepare", "exchange") == "order_misdirected"
            assert (
                victim.ask("/orders/finish", {"order": w.order(contract, "prepare", "bank")})
                == "order_misdirected"
            )
            assert victim.order(contract, "prepare", **past) == "order_expired"
            assert victim.order(contract, "prepare", signed_by=w.stranger) == "order_invalid"
            assert victim.ask("/orders/prepare", {"order": "AAAA"}) == "order_invalid"
        assert victim.serves(contract)

    def test_from_somebody_else(self, victim: Victim, contract: Any) -> None:
        """A party's request, rightly signed, with an order that the coordinator signed: it is not the coordinator's to give away."""
        order = {"order": victim.world.order(contract, "prepare", "bank")}
        assert victim.ask("/orders/prepare", order, by="institution") == "not_coordinator"
        assert victim.serves(contract)


class TestSessionsAndUses:
    def body(self, victim: Victim, contract: Any, job: str, **changes: Any) -> dict[str, Any]:
        own = victim._clients["coordinator"].post(
            "bank", "/orders/prepare", {"order": victim.world.order(contract, "prepare", "bank", job=job)}
        )["hello"]
        hellos = {o: victim.world.hello(contract, o, job=job) for o in victim.kit.CAST if o != "bank"}
        hellos = {o: h for o, h in {**hellos, "bank": own, **changes}.items() if h}
        return {"hellos": hellos, "key_envelopes": [], "batches": victim.kit.BATCHES}

    def test_forged_missing_or_foreign_hellos(self, victim: Victim, contract: Any) -> None:
        w, job = victim.world, "J20260302SESSION1"
        for changes in (
            {"exchange": w.hello(contract, "exchange", job=job, signed_by=w.stranger)},
            {"exchange": None},
            {"auditor": w.hello(contract, "auditor", job=job)},
            {"bank": w.hello(contract, "bank", job=job)},
        ):
            body = self.body(victim, contract, job, **changes)
            with victim.refusing("session_invalid"):
                assert victim.order(contract, "compute", job=job, more=body) == "session_invalid"
        assert victim.serves(contract)

    def test_another_input_than_committed_and_none_at_all(self, victim: Victim, contract: Any) -> None:
        job = "J20260302COMMIT01"
        body = self.body(victim, contract, job)
        with victim.refusing("commitment_differs", "commitment_differs"):
            assert victim.order(contract, "compute", job=job, more=body) == "commitment_differs"
            lie = {"bank": "0" * 64}
            assert (
                victim.order(contract, "compute", job=job, more=body, commitments=lie) == "commitment_differs"
            )
        with victim.session() as session:
            assert session.exec(select(UseRow)).all() == []

    def test_a_use_that_is_not_left(self, victim: Victim, contract: Any) -> None:
        """The coordinator says that uses are left; the node has counted the only one itself."""
        job = "J20260302USED0001"
        commitment = victim.world.prepared(victim, contract, job)
        with victim.session() as session:
            session.add(
                UseRow(
                    contract_id=contract.contract_id,
                    job="J20260301EARLIER",
                    commitment="1" * 64,
                    attempts=1,
                    rows=3,
                    at=now(),
                )
            )
            session.commit()
        body = self.body(victim, contract, job)
        with victim.refusing("uses_exhausted"):
            assert (
                victim.order(
                    contract, "compute", job=job, more=body, commitments={"bank": commitment}, use_number=2
                )
                == "uses_exhausted"
            )
        assert victim.serves(contract)

    def test_input_of_one_contract_under_another(self, victim: Victim, contract: Any) -> None:
        job = "J20260302CROSSED1"
        made = victim.world.contract(contract_id="HF-CROSSED")
        victim.liar.propose(made, victim.world.bundle(made, [o for o in victim.kit.ROLES if o != "bank"]))
        victim.synced()
        assert victim.sign(made) == "ok"
        victim.synced()
        victim.world.prepared(victim, made, job)
        with victim.refusing("order_misdirected"):
            assert victim.order(contract, "prepare", job=job) == "order_misdirected"


class TestRelease:
    def test_without_a_half_or_proof(self, victim: Victim, contract: Any) -> None:
        more = {"decisions": [], "receipt": "", "checked": "AAAA"}
        with victim.refusing("half_missing"):
            assert victim.order(contract, "release", more=more) == "half_missing"


class TestLedger:
    def test_receipts_under_another_key_are_no_receipts(self, victim: Victim, contract: Any) -> None:
        from hefu.store.signed import decode_envelope

        fake = victim.kit.make_world()
        served: list[int] = []

        def forged(envelopes: list[str]) -> list[str | None]:
            served.append(len(envelopes))
            return list(fake.receipts([decode_envelope(e) for e in envelopes]))

        victim.liar.receipts = forged
        assert victim.serves(contract)
        victim.order(contract, "prepare", signed_by=victim.world.stranger)
        wait_for(lambda: len(served) > 1, "evidence handed in again")
        with victim.session() as session:
            assert {r.entry_seq for r in session.exec(select(JournalRow))} == {None}

        def true(envelopes: list[str]) -> list[str | None]:
            return list(victim.world.receipts([decode_envelope(e) for e in envelopes]))

        victim.liar.receipts = true
        wait_for(lambda: self.without_receipt(victim) == 0, "true receipts")

    def without_receipt(self, victim: Victim) -> int:
        with victim.session() as session:
            return sum(r.entry_seq is None for r in session.exec(select(JournalRow)))


class TestSuspension:
    """Last, for they end the contract's use."""

    def test_hidden_by_the_coordinator(self, victim: Victim, contract: Any) -> None:
        """The institution told the bank directly; the coordinator goes on saying `active`."""
        w = victim.world
        notice = {"envelope": w.notice(contract, "suspend", "institution")}
        assert victim.ask("/peer/notices", notice, by="institution") == "ok"
        victim.synced()
        assert victim.liar.states[contract.digest] == "active"
        with victim.refusing("contract_not_active"):
            assert victim.order(contract, "prepare") == "contract_not_active"
        lie = {"envelope": w.notice(contract, "resume", "institution", signed_by="coordinator")}
        assert victim.ask("/peer/notices", lie) == "document_invalid"
        lift = {"envelope": w.notice(contract, "resume", "institution")}
        assert victim.ask("/peer/notices", lift, by="institution") == "ok"
        assert victim.serves(contract)

    def test_a_party_suspended_by_the_auditor(self, victim: Victim, contract: Any) -> None:
        w = victim.world
        suspended = {"envelope": w.standing("institution", "suspended", issued_by="auditor")}
        assert victim.ask("/peer/notices", suspended, by="auditor") == "ok"
        with victim.refusing("participant_suspended"):
            assert victim.order(contract, "prepare") == "participant_suspended"
        # Whoever is suspended neither speaks nor lifts it himself, not even through the coordinator.
        lift = w.standing("institution", "active", sequence=9, issued_by="institution")
        assert victim.ask("/peer/notices", {"envelope": lift}, by="institution") != "ok"
        assert victim.ask("/peer/notices", {"envelope": lift}) == "not_entitled"
        victim.liar.registry = [
            {**e, "standing_notice": lift} if e["org_id"] == "institution" else e
            for e in victim.liar.true_registry
        ]
        victim.synced()
        assert victim.order(contract, "prepare") == "participant_suspended"
        back = {"envelope": w.standing("institution", "active", sequence=2, issued_by="auditor")}
        assert victim.ask("/peer/notices", back, by="auditor") == "ok"
        old = {"envelope": w.standing("institution", "suspended", issued_by="auditor")}
        assert victim.ask("/peer/notices", old) == "stale_notice"
        assert victim.serves(contract)

    def test_terminated(self, victim: Victim, contract: Any) -> None:
        notice = {"envelope": victim.world.notice(contract, "terminate", "regulator")}
        assert victim.ask("/peer/notices", notice, by="regulator") == "ok"
        victim.synced()
        with victim.refusing("contract_not_active"):
            assert victim.order(contract, "prepare") == "contract_not_active"


def test_every_refusal_has_its_order_and_reason(victim: Victim, contract: Any) -> None:
    """Refused orders are kept with what was asked: the node can show them to an auditor."""
    with victim.session() as session:
        rows = session.exec(select(OrderRow).where(OrderRow.accepted == False)).all()  # noqa: E712  # SQL
    assert {"order_expired", "order_invalid", "contract_unknown"} <= {r.code for r in rows}
    assert {r.code for r in rows} <= set(victim.journal())
