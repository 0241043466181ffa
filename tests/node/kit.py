"""Six organisations with real keys, real signatures and a real contract, without HTTP: what tests of enforcement stand on.

Tests reach it by the fixture `world` (each folder's conftest loads this file). Whoever plays an adversary signs with keys
of its own: `world.stranger`.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hefu.components.registry import code_digest
from hefu.domain.contract import CONTRACT_TYPE, NOTICE_TYPE, Contract, ContractNotice, NoticeKind
from hefu.domain.document import Document
from hefu.domain.filings import FILING_TYPE, KINDS, Filing
from hefu.domain.identity import (
    ADMISSION_TYPE,
    APPLICATION_TYPE,
    REVIEW_TYPE,
    STANDING_TYPE,
    Admission,
    Application,
    PublicKeys,
    Review,
    Role,
    Standing,
    StandingNotice,
    uscc_check_character,
)
from hefu.domain.job import (
    DECISION_TYPE,
    HELLO_TYPE,
    ORDER_TYPE,
    Hello,
    Order,
    OrderKind,
    ReleaseDecision,
    Stage,
)
from hefu.domain.kit import Kit
from hefu.engine import ENGINE_VERSION
from hefu.engine.session import PartySecret
from hefu.keys.certificates import create_ca, issue_certificate, self_signed, to_pem
from hefu.keys.keystore import NodeKeys
from hefu.keys.public import public_b64, spki_digest
from hefu.local.sample_filings import SampleFiling, consented, contract_filings, general_filings
from hefu.node import contracts
from hefu.node.context import NodeContext
from hefu.node.directory import Directory
from hefu.node.settings import NodePaths, NodeSettings
from hefu.store.base import now, open_engine
from hefu.store.journal import Journal
from hefu.store.node_tables import DataSetRow, FilingRow, JobRow, JournalRow, OrderRow
from hefu.store.signed import decode_envelope, encode_envelope, sign_document
from hefu.wire.errors import PeerUnreachable
from hefu_ledger.dsse import Envelope
from hefu_ledger.entry import Entry
from hefu_ledger.evidence import parse_evidence
from hefu_ledger.merkle import inclusion_proof, root_of
from hefu_ledger.note import sign_checkpoint, vkey
from hefu_ledger.proof import build_receipt
from sqlmodel import col, select

ORIGIN = "hefu.test/ledger"
DAY = "2026-03-02"
JOB = "J20260302AAAAAAAA"
ROLES: dict[str, tuple[Role, ...]] = {
    "institution": (Role.DATA_PROVIDER,),
    "bank": (Role.DATA_PROVIDER, Role.COMPUTE_PARTY),
    "regulator": (Role.REGULATOR, Role.RESULT_CONSUMER),
    "operator": (Role.SCHEDULER, Role.PLATFORM_PROVIDER, Role.COMPUTE_PARTY),
    "exchange": (Role.COMPUTE_PARTY,),
    "auditor": (Role.AUDITOR,),
}
STANDINGS = {
    "institution": "pi_handler",
    "bank": "pi_handler",
    "regulator": "authority",
    "operator": "entrusted_party",
    "exchange": "entrusted_party",
    "auditor": "third_party",
}
DATA_SETS = {"institution": "loans", "bank": "flows"}
CAST = ("institution", "bank", "operator", "exchange", "regulator")
STAGES: dict[OrderKind, Stage] = {
    "check_data": Stage.CHECK_DATA_SOURCES,
    "prepare": Stage.COMPUTE,
    "compute": Stage.COMPUTE,
    "abort": Stage.COMPUTE,
    "check_output": Stage.CHECK_OUTPUT,
    "release": Stage.RELEASE,
    "finish": Stage.RETAIN_AND_DELETE,
}
BATCHES = [
    {"owner": "institution", "side": "institution", "batch": 0, "rows": 3},
    {"owner": "bank", "side": "bank", "batch": 1, "rows": 3},
]
_SHORT = timedelta(minutes=2)


class Silent:
    """Stands where the signed client would: answers by (method, path), else nobody is reached. Remembers what was sent."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Any] = {}
        self.asked: list[tuple[str, str, str, Any]] = []

    def get(self, recipient: str, path: str, params: Any = None, **_: Any) -> Any:
        return self._answer("GET", recipient, path, params)

    def post(self, recipient: str, path: str, content: Any = None, **_: Any) -> Any:
        return self._answer("POST", recipient, path, content)

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, method: str, recipient: str, path: str, content: Any) -> Any:
        self.asked.append((method, recipient, path, content))
        answer = self.answers.get((method, path))
        if answer is None:
            raise PeerUnreachable(recipient, "silent in this test")
        if isinstance(answer, Exception):
            raise answer
        return answer(content) if callable(answer) else answer

    def sent(self, path: str) -> list[tuple[str, Any]]:
        """(recipient, content) of every POST to a path."""
        return [
            (to, content) for method, to, asked, content in self.asked if (method, asked) == ("POST", path)
        ]


@dataclass
class World:
    """Six organisations, a coordinator, a ledger key; none of them runs."""

    keys: dict[str, NodeKeys]
    coordinator: NodeKeys
    ledger_key: Ed25519PrivateKey
    ca_key: Ed25519PrivateKey
    ca: Any
    applications: dict[str, Application] = field(default_factory=dict)
    stranger: NodeKeys = field(default_factory=NodeKeys.generate)
    ports: dict[str, tuple[int, int]] = field(default_factory=dict)
    url: str = "https://127.0.0.1:8999"

    # -- documents

    def sign(self, document: Document, payload_type: str, who: str | NodeKeys) -> str:
        """An envelope in base64, signed by an organisation, by `coordinator`, or by given keys."""
        keys = (
            who if isinstance(who, NodeKeys) else self.coordinator if who == "coordinator" else self.keys[who]
        )
        return encode_envelope(sign_document(document, payload_type, keys.identity))

    def application_envelope(self, org_id: str) -> str:
        return self.sign(self.applications[org_id], APPLICATION_TYPE, org_id)

    def certificate(self, org_id: str) -> str:
        """A certificate of the CA for exactly the organisation's key."""
        key = self.keys[org_id].tls.public_key()
        return to_pem(
            issue_certificate(self.ca, self.ca_key, key, org_id, sans=("127.0.0.1",), valid_days=30)
        )

    def own_certificate(self, org_id: str) -> str:
        """The self-signed certificate that comes with an application."""
        return to_pem(self_signed(self.keys[org_id].tls, org_id, sans=("127.0.0.1",)))

    def review(self, org_id: str, *, approved: bool = True, signed_by: str | NodeKeys = "auditor") -> str:
        document = Review(
            application=self.applications[org_id].digest,
            org_id=org_id,
            approved=approved,
            reasons="complete",
            reviewed_at=now(),
        )
        return self.sign(document, REVIEW_TYPE, signed_by)

    def admission(self, org_id: str, *, signed_by: str | NodeKeys = "operator") -> str:
        document = Admission(
            application=self.applications[org_id].digest, review=None, org_id=org_id, admitted_at=now()
        )
        return self.sign(document, ADMISSION_TYPE, signed_by)

    def standing(
        self,
        org_id: str,
        standing: str,
        *,
        sequence: int = 1,
        issued_by: str = "operator",
        signed_by: str | NodeKeys | None = None,
    ) -> str:
        document = StandingNotice(
            org_id=org_id,
            standing=Standing(standing),
            reason="test",
            issued_by=issued_by,
            issued_at=now(),
            sequence=sequence,
        )
        return self.sign(document, STANDING_TYPE, issued_by if signed_by is None else signed_by)

    def registry(self) -> list[dict[str, Any]]:
        """What an honest coordinator's `/api/participants` answers."""
        return [
            {
                "org_id": org,
                "digest": self.applications[org].digest,
                "state": "admitted",
                "application": self.application_envelope(org),
                "review": self.review(org),
                "admission": self.admission(org),
                "certificate": self.certificate(org),
                "standing_notice": None,
            }
            for org in self.applications
        ]

    def kit(self) -> Kit:
        certificate = issue_certificate(
            self.ca,
            self.ca_key,
            self.coordinator.tls.public_key(),
            "coordinator",
            sans=("127.0.0.1",),
            valid_days=30,
        )
        return Kit(
            coordinator_url=self.url,
            coordinator_key=public_b64(self.coordinator.identity),
            coordinator_certificate=to_pem(certificate),
            ca_certificate=to_pem(self.ca),
            ledger_origin=ORIGIN,
            ledger_vkey=self.ledger_vkey,
            operator="operator",
            applications={org: self.application_envelope(org) for org in ("auditor", "regulator")},
        )

    @property
    def ledger_vkey(self) -> str:
        return vkey(ORIGIN, self.ledger_key.public_key())

    # -- contracts

    def party(self, org_id: str) -> dict[str, Any]:
        a = self.applications[org_id]
        return {
            "org_id": org_id,
            "legal_name": a.legal_name,
            "legal_name_en": a.legal_name_en,
            "roles": [r.value for r in a.roles],
            "legal_standing": STANDINGS[org_id],
            "application": a.digest,
            "identity_key": a.keys.identity,
            "sealing_key": a.keys.sealing,
            "tls_spki": a.keys.tls_spki,
            "url": a.url,
            "channel_host": a.channel_host,
            "channel_port": a.channel_port,
        }

    def contract_value(self, **changes: Any) -> dict[str, Any]:
        """The JSON of a contract. `limits`, `schedule`, `computation` are merged into what stands there."""
        moment = now().replace(microsecond=0)
        value: dict[str, Any] = {
            "contract_id": "HF-TEST-1",
            "version": 1,
            "template": "t1_reconciliation",
            "title": "对账",
            "title_en": "Reconciliation",
            "purpose": "穿透式监管对账",
            "purpose_code": "supervisory_reconciliation",
            "parties": [self.party(org) for org in ROLES],
            "platform": {
                "operator": "operator",
                "coordinator_key": public_b64(self.coordinator.identity),
                "ledger_origin": ORIGIN,
                "ledger_vkey": self.ledger_vkey,
            },
            "data_sets": [_data_set(owner, DATA_SETS[owner]) for owner in DATA_SETS],
            "computation": {
                "technique": "mpc_three_party",
                "steps": [
                    {
                        "step_id": "reconcile",
                        "component": "reconcile",
                        "code_digest": code_digest("reconcile"),
                        "engine_version": ENGINE_VERSION,
                        "parameters": {"match_keys": ["serial"]},
                    }
                ],
                "compute_parties": ["operator", "bank", "exchange"],
            },
            "outputs": [
                {
                    "recipient": "regulator",
                    "form": "row_status",
                    "reviewers": ["auditor"],
                    "purpose_bound": "监管",
                    "use_terms": {"valid_days": 30, "addresses": []},
                }
            ],
            "limits": {
                "max_uses": 100,
                "max_rows": 1_000_000,
                "valid_from": (moment - timedelta(days=1)).isoformat(),
                "valid_until": (moment + timedelta(days=30)).isoformat(),
            },
            "schedule": {
                "cron": "0 2 * * *",
                "run_days": "every_day",
                "first_day": DAY,
                "window_minutes": 60,
                "cutoff_minutes": 60,
                "retry_seconds": 30,
            },
            "retention_days": 30,
            "duties": {
                "data_subject_contact": "institution",
                "incident_contact": "operator",
                "complaints_contact": "operator",
                "liability": "各自承担",
                "termination": "书面通知",
            },
            "risk_notice": "风险提示",
            "signing_deadline": (moment + timedelta(days=7)).isoformat(),
        }
        for name, change in changes.items():
            value[name] = (
                {**value[name], **change} if isinstance(value.get(name), dict) and change else change
            )
        return value

    def contract(self, **changes: Any) -> Contract:
        return Contract.model_validate(self.contract_value(**changes))

    def consented(self, **changes: Any) -> Contract:
        """A contract that rests on explicit consent, so that no risk grade closes a gate."""
        return Contract.model_validate(consented(self.contract_value(**changes), now().date()))

    def signature(self, contract: Contract, who: str | NodeKeys) -> str:
        return self.sign(contract, CONTRACT_TYPE, who)

    def bundle(
        self, contract: Contract, signers: Iterable[str] = tuple(ROLES), notices: Iterable[str] = ()
    ) -> dict[str, Any]:
        """What `/api/contracts/{digest}` answers."""
        return {
            "summary": {"digest": contract.digest, "proposed_by": "regulator", "state": "active"},
            "signatures": {org: self.signature(contract, org) for org in signers},
            "notices": list(notices),
        }

    def notice(
        self,
        contract: Contract,
        kind: str,
        org_id: str,
        *,
        at: datetime | None = None,
        signed_by: str | NodeKeys | None = None,
    ) -> str:
        document = ContractNotice(
            contract=contract.digest,
            contract_id=contract.contract_id,
            kind=NoticeKind(kind),
            org_id=org_id,
            reason="test",
            issued_at=at or now(),
        )
        return self.sign(document, NOTICE_TYPE, org_id if signed_by is None else signed_by)

    # -- jobs

    def order(
        self,
        contract: Contract,
        kind: OrderKind,
        recipient: str,
        *,
        signed_by: str | NodeKeys = "coordinator",
        **changes: Any,
    ) -> str:
        moment = now()
        value: dict[str, Any] = {
            "order_id": secrets.token_hex(16),
            "kind": kind,
            "contract": contract.digest,
            "contract_id": contract.contract_id,
            "job": JOB,
            "attempt": 1,
            "stage": STAGES[kind],
            "business_date": DAY,
            "recipient": recipient,
            "commitments": {},
            "use_number": {"prepare": 0, "compute": 1}.get(kind),
            "rows": sum(int(str(b["rows"])) for b in BATCHES) if kind == "compute" else None,
            "issued_at": moment,
            "expires_at": moment + _SHORT,
        }
        return self.sign(Order.model_validate({**value, **changes}), ORDER_TYPE, signed_by)

    def hello(
        self,
        contract: Contract,
        org_id: str,
        *,
        job: str = JOB,
        attempt: int = 1,
        claims: str | None = None,
        signed_by: str | NodeKeys | None = None,
    ) -> str:
        public = PartySecret().hello()
        document = Hello(
            contract=contract.digest,
            job=job,
            attempt=attempt,
            org_id=claims or org_id,
            fresh=base64.b64encode(public.fresh).decode(),
            ephemeral=base64.b64encode(public.public_key).decode(),
        )
        return self.sign(document, HELLO_TYPE, org_id if signed_by is None else signed_by)

    def decision(
        self,
        contract: Contract,
        *,
        approved: bool = True,
        job: str = JOB,
        attempt: int = 1,
        checked: str = "c" * 64,
        org_id: str = "auditor",
        signed_by: str | NodeKeys | None = None,
        at: datetime | None = None,
    ) -> str:
        document = ReleaseDecision(
            contract=contract.digest,
            job=job,
            attempt=attempt,
            checked=checked,
            org_id=org_id,
            approved=approved,
            reason="" if approved else "行数异常",
            decided_at=at or now(),
        )
        return self.sign(document, DECISION_TYPE, org_id if signed_by is None else signed_by)

    # -- nodes

    def node(self, org_id: str, database_url: str, folder: Path) -> NodeContext:
        """An organisation's node without its server over a migrated database: real keys; it speaks to nobody (`Silent`)."""
        engine = open_engine(database_url, pool_size=10)
        paths = NodePaths(folder / org_id)
        paths.make()
        paths.application.write_bytes(decode_envelope(self.application_envelope(org_id)).to_bytes())
        paths.certificate.write_text(self.own_certificate(org_id))
        kit = self.kit()
        directory = Directory(engine, kit)
        directory.load()
        client = Silent()
        client.answers["GET", "/api/participants"] = lambda _: self.registry()
        return NodeContext(
            settings=NodeSettings(org_id=org_id, port=1, channel_port=2),
            paths=paths,
            kit=kit,
            keys=self.keys[org_id],
            engine=engine,
            directory=directory,
            journal=Journal(org_id, self.keys[org_id].identity),
            client=client,  # type: ignore[arg-type]  # a table of answers
        )

    def put_in_force(self, ctx: NodeContext, contract: Contract) -> None:
        """The contract comes with everybody's signature but the node's, which it gives itself after its own checks."""
        others = [org for org in ROLES if org != ctx.org_id]
        client: Any = ctx.client
        client.answers["POST", f"/api/contracts/{contract.digest}/signatures"] = {}
        contracts.take_bundle(ctx, contract.digest, self.bundle(contract, others))
        contracts.sign(ctx, contract.digest, "tester")
        contracts.take_bundle(ctx, contract.digest, self.bundle(contract))
        self.file(ctx, contract)
        with ctx.session() as session:
            for owner, name in DATA_SETS.items():
                if owner == ctx.org_id and session.get(DataSetRow, name) is None:
                    digest = next(d.schema_digest for d in contract.data_sets if d.owner == owner)
                    session.add(
                        DataSetRow(data_set_id=name, definition={}, schema_digest=digest, created_at=now())
                    )
            session.commit()

    def filings(self, contract: Contract) -> list[Filing]:
        """Everything that the contract's parties have to file, as the demo's organisations fill it in."""
        today = now().date()
        forms = general_filings(ROLES, today) + contract_filings(contract, today)
        return [_filing(form) for form in forms]

    def file(self, ctx: NodeContext, contract: Contract) -> None:
        """Put what everybody filed into this node's table, each under its issuer's key."""
        with ctx.session() as session:
            for filing in self.filings(contract):
                envelope = sign_document(filing, FILING_TYPE, self.keys[filing.issuer].identity)
                if session.get(FilingRow, filing.digest) is None:
                    session.add(
                        FilingRow(
                            digest=filing.digest,
                            kind=filing.kind,
                            issuer=filing.issuer,
                            contract_id=filing.contract_id,
                            key_id=envelope.signatures[0].key_id,
                            envelope=envelope.to_bytes(),
                            handed_in=True,
                            at=now(),
                        )
                    )
            session.commit()

    def prepared(
        self, ctx: NodeContext, contract: Contract, job: str = JOB, day: str = DAY, **input_: Any
    ) -> str:
        """As after a data source check of this job at this node; answers the commitment."""
        commitment = str(input_.get("commitment") or secrets.token_hex(32))
        with ctx.session() as session:
            session.add(
                JobRow(
                    job=job,
                    attempt=1,
                    contract=contract.digest,
                    contract_id=contract.contract_id,
                    business_date=date.fromisoformat(day),
                    state="prepared",
                    input={"rows": 3, "commitment": commitment, "salt": "", "fingerprint": "f", **input_},
                    updated_at=now(),
                )
            )
            session.commit()
        return commitment

    # -- the ledger

    def receipts(
        self, envelopes: list[Envelope], *, at: datetime | None = None, size: int | None = None
    ) -> list[str]:
        """Receipts of a log that holds exactly these envelopes, under the ledger's true key."""
        logged = (at or now()).astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        entries = [Entry(seq, logged, one) for seq, one in enumerate(envelopes)]
        leaves = [e.leaf_hash for e in entries]
        count = size or len(leaves)
        checkpoint = sign_checkpoint(ORIGIN, count, root_of(leaves[:count]), self.ledger_key)
        return [
            build_receipt(e, inclusion_proof(leaves, e.seq, count), checkpoint).to_bytes().decode()
            for e in entries[:count]
        ]


def journal(ctx: NodeContext, kind: str | None = None) -> list[dict[str, Any]]:
    """Bodies (with their kind) of a node's own evidence, oldest first."""
    with ctx.session() as session:
        rows = session.exec(select(JournalRow).order_by(col(JournalRow.signer_seq))).all()
    found = [parse_evidence(decode_envelope(row.envelope)) for row in rows]
    return [{"kind": e.kind, **e.body} for e in found if kind is None or e.kind == kind]


def refused_orders(ctx: NodeContext) -> list[str]:
    """Reason codes of the orders that a node refused, oldest first."""
    return [str(e["code"]) for e in journal(ctx, "order_refused")]


def order_rows(ctx: NodeContext) -> list[OrderRow]:
    with ctx.session() as session:
        return list(session.exec(select(OrderRow).order_by(col(OrderRow.at))))


def _filing(form: SampleFiling) -> Filing:
    """The form as its issuer signs it: two persons' names where the document asks for them."""
    model = KINDS[form.kind]
    people = ("prepared_by", "approved_by", "authorised_by", "acknowledged_by", "reviewer", "assessor")
    named = {
        name: "经办" if name == "prepared_by" else "复核" for name in people if name in model.model_fields
    }
    value = {**form.content, **named, "kind": form.kind, "issuer": form.issuer}
    return model.model_validate({**value, "issued_at": now() - timedelta(minutes=1)})


def make_application(
    org_id: str, keys: NodeKeys, number: int, ports: tuple[int, int], **changes: Any
) -> Application:
    first17 = f"9199000000{number:07d}"
    value: dict[str, Any] = {
        "org_id": org_id,
        "legal_name": f"{org_id} 公司",
        "legal_name_en": f"{org_id.title()} Ltd",
        "uscc": first17 + uscc_check_character(first17),
        "contact": "compliance@example.invalid",
        "roles": ROLES.get(org_id, (Role.DATA_PROVIDER,)),
        "controlling_shareholder": f"holding {number}",
        "keys": PublicKeys(
            identity=public_b64(keys.identity),
            sealing=public_b64(keys.sealing),
            tls_spki=spki_digest(keys.tls),
        ),
        "url": f"https://127.0.0.1:{ports[0]}",
        "channel_host": "127.0.0.1",
        "channel_port": ports[1],
        "applied_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Application.model_validate({**value, **changes})


def make_world(
    keys: dict[str, NodeKeys] | None = None, applications: dict[str, Application] | None = None
) -> World:
    """Fresh keys for everybody, but for those given (a node process makes its own)."""
    ca_key = Ed25519PrivateKey.generate()
    every = {org: (keys or {}).get(org) or NodeKeys.generate() for org in ROLES}
    world = World(every, NodeKeys.generate(), Ed25519PrivateKey.generate(), ca_key, create_ca(ca_key))
    for number, org in enumerate(ROLES, start=1):
        given = (applications or {}).get(org)
        world.applications[org] = given or make_application(
            org, every[org], number, (9000 + number, 9100 + number)
        )
    return world


def _data_set(owner: str, data_set_id: str) -> dict[str, Any]:
    return {
        "data_set_id": data_set_id,
        "owner": owner,
        "kind": "business_records" if owner == "institution" else "fund_flows",
        "schema_digest": "ab" * 32,
        "fields": [
            {
                "name": name,
                "type": kind,
                "identifier_class": "none",
                "sensitive": "none",
                "grade": "C2",
                "necessity": f"对账需要的字段 {name}",
            }
            for name, kind in (("serial", "text"), ("amount", "money"), ("occurred_at", "datetime"))
        ],
        "source_kind": "direct",
        "legal_basis": "statutory_duty",
        "legal_basis_note": "《金融机构报送规定（示例）》〔2026〕1号",
    }
