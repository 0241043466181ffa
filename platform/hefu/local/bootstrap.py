"""From six fresh nodes to a signed contract, by the same console API that people use: admission, data sets, contract."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hefu.domain.contract import Contract
from hefu.local.accounts import add_account
from hefu.local.console_client import ConsoleClient, ConsoleError
from hefu.local.organisations import IN_KIT, ORGANISATIONS
from hefu.local.sample_filings import SampleFiling, contract_filings, general_filings
from hefu.local.system import LocalSystem

CONTRACT_ID = "T1-DEMO"
MANDATE = "示监发〔2026〕1号"
MANDATE_FILE = (
    f"{MANDATE}（示例文件）：从业机构与存管银行应配合监管方进行资金流水 T+1 对账。 / "
    "Sample file: institutions and banks take part in the T+1 reconciliation of fund flows."
)
DATA_SETS = {"institution": "institution-business-records", "bank": "bank-fund-flows"}
_FIELDS: tuple[tuple[str, str, str, str, str, str, str], ...] = (
    ("serial", "text", "quasi", "none", "C1", "业务流水号", "serial number"),
    ("type", "text", "none", "none", "C1", "业务类型", "business type"),
    ("amount", "money", "none", "financial_account", "C2", "交易金额（元）", "amount in yuan"),
    (
        "party_id",
        "text",
        "direct",
        "specific_identity",
        "C2",
        "当事人证件号码或组织机构代码",
        "ID number or organisation code",
    ),
    ("occurred_at", "datetime", "none", "none", "C1", "发生时间", "time of the transaction"),
)


def sample_data_set(org_id: str) -> dict[str, Any]:
    """The data set that an owner of the demo registers, as the console's form sends it."""
    names = ("name", "type", "identifier_class", "sensitive", "grade", "meaning_zh", "meaning_en")
    of_institution = org_id == "institution"
    return {
        "data_set_id": DATA_SETS[org_id],
        "owner": org_id,
        "name": "业务记录 / business records" if of_institution else "资金流水 / fund flows",
        "kind": "business_records" if of_institution else "fund_flows",
        "fields": [dict(zip(names, f, strict=True)) for f in _FIELDS],
        "date_field": "occurred_at",
        "source_kind": "direct",
        "legal_basis": "statutory_duty",
        "legal_basis_note": "依法向监管方报送 / reported to the supervisor by statute",
    }


class NotInTime(Exception):
    """Something that should have happened has not."""


def await_true(what: str, ask: Callable[[], bool], seconds: float = 180.0, pause: float = 0.2) -> None:
    """Wait until `ask` is true. Raises NotInTime."""
    deadline = time.monotonic() + seconds
    while not ask():
        if time.monotonic() > deadline:
            raise NotInTime(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)


def add_sample_accounts(system: LocalSystem) -> None:
    """One account with every role at each organisation, and a second person (复核) beside it."""
    for org_id, account in system.accounts.items():
        url = system.node(org_id).database_url.read_text()
        add_account(
            url,
            account["username"],
            f"{ORGANISATIONS[org_id].legal_name} 经办",
            account["password"],
            ["admin", "preparer", "approver"],
        )
        add_account(
            url,
            f"{org_id}-reviewer",
            f"{ORGANISATIONS[org_id].legal_name} 复核",
            account["reviewer"],
            ["approver", "viewer"],
        )


def sign_in(system: LocalSystem, org_id: str, *, reviewer: bool = False) -> ConsoleClient:
    """The sample account of an organisation at its own node; the second person (复核) where that is asked for."""
    account = system.accounts[org_id]
    url = f"https://127.0.0.1:{system.port(f'node-{org_id}')}"
    name, password = (
        (f"{org_id}-reviewer", account["reviewer"])
        if reviewer
        else (account["username"], account["password"])
    )
    return ConsoleClient(org_id, url, system.node(org_id).certificate, name, password)


def decide_by_two(
    system: LocalSystem, org_id: str, preparer: ConsoleClient, path: str, body: dict[str, Any] | None = None
) -> Any:
    """A decision under the two-person rule: the account prepares it, the reviewer approves it. Answers what the second got."""
    try:
        preparer.post(path, body)
    except ConsoleError as error:
        if error.body.get("code") != "same_person":  # prepared before: this was broken off
            raise
    with sign_in(system, org_id, reviewer=True) as reviewer:
        return reviewer.post(path, body)


def admit_everybody(system: LocalSystem) -> None:
    """The auditor reviews, the operator admits; nodes take their certificates."""
    with sign_in(system, "operator") as operator, sign_in(system, "auditor") as auditor:
        await_true("applications", lambda: len(operator.get("/console/participants")) == len(ORGANISATIONS))
        for found in operator.get("/console/participants"):
            if found["state"] == "submitted" and found["org_id"] not in IN_KIT:
                auditor.post(
                    f"/console/participants/{found['application']}/review",
                    {"approved": True, "reasons": "材料齐全，核验通过 / complete and verified"},
                )
        # The operator last: until it is admitted itself, its own node has no certificate that others would take.
        for found in sorted(operator.get("/console/participants"), key=lambda p: p["org_id"] == "operator"):
            if found["state"] in ("approved", "submitted"):
                operator.post(f"/console/participants/{found['application']}/admit")

    def certified() -> bool:
        return all("Hefu CA" in _issuer(system, org) for org in ORGANISATIONS)

    await_true("certificates", certified)


def _issuer(system: LocalSystem, org_id: str) -> str:
    from hefu.keys.certificates import load_certificate

    return load_certificate(system.node(org_id).certificate.read_text()).issuer.rfc4514_string()


def register_data_sets(system: LocalSystem) -> None:
    """The two owners register what they have; only metadata leaves their nodes."""
    for org_id, data_set_id in DATA_SETS.items():
        with sign_in(system, org_id) as client:
            if any(d["definition"]["data_set_id"] == data_set_id for d in client.get("/console/data-sets")):
                continue
            client.post("/console/data-sets", sample_data_set(org_id))


def sign_contract(system: LocalSystem, first_day: date) -> str:
    """The regulator drafts and proposes, everybody signs. Answers the digest once it is in force everywhere."""
    moment = datetime.now(UTC)
    draft = {
        "contract_id": CONTRACT_ID,
        "title": "资金流水 T+1 对账",
        "title_en": "T+1 reconciliation of fund flows",
        "purpose": "核对从业机构业务记录与银行资金流水的一致性，发现账外交易（穿透式监管）/ consistency of business records and fund flows",
        "institutions": ["institution"],
        "banks": ["bank"],
        "regulator": "regulator",
        "compute_parties": ["operator", "bank", "exchange"],
        "auditor": "auditor",
        "data_sets": DATA_SETS,
        "match_keys": ["serial"],
        "max_uses": 4000,
        "max_rows": 50_000_000,
        "valid_from": (moment - timedelta(minutes=5)).isoformat(),
        "valid_until": (moment + timedelta(days=365)).isoformat(),
        "first_day": first_day.isoformat(),
        "retry_seconds": 20,
        "mandate_number": MANDATE,
        "mandate_digest": hashlib.sha256(MANDATE_FILE.encode()).hexdigest(),
    }
    with sign_in(system, "regulator") as regulator:
        for known in regulator.get("/console/contracts"):
            if known["contract_id"] == CONTRACT_ID and known["state"] in ("active", "signing"):
                digest = str(known["digest"])
                break
        else:
            drafted = regulator.post("/console/contracts/draft", draft)
            return conclude(system, drafted["document"])
    return _sign_everywhere(system, digest)


def conclude(system: LocalSystem, document: dict[str, Any]) -> str:
    """The regulator proposes a contract document, everybody signs, two persons each time. Answers its digest, once in force."""
    with sign_in(system, "regulator") as regulator:
        proposed = decide_by_two(system, "regulator", regulator, "/console/contracts", document)
    return _sign_everywhere(system, str(proposed["summary"]["digest"]))


def _sign_everywhere(system: LocalSystem, digest: str) -> str:
    for org_id in ORGANISATIONS:
        with sign_in(system, org_id) as client:
            await_true(f"{org_id}: contract", lambda c=client: _known(c, digest))  # type: ignore[misc]  # bound now
            if client.get(f"/console/contracts/{digest}")["can_sign"]:
                decide_by_two(system, org_id, client, f"/console/contracts/{digest}/sign")
    for org_id in ORGANISATIONS:
        with sign_in(system, org_id) as client:
            await_true(f"{org_id}: contract in force", lambda c=client: _in_force(c, digest))  # type: ignore[misc]  # bound now
    return digest


def file_everything(system: LocalSystem, digest: str, *, leave_out: Collection[str] = ()) -> None:
    """Every organisation fills in the forms that the contract needs: one person prepares, another approves and signs.

    leave_out  kinds of filings that nobody makes; the gates are not waited for then
    """
    today = datetime.now(UTC).date()
    with sign_in(system, "regulator") as client:
        view = client.get(f"/console/contracts/{digest}")
    contract = Contract.model_validate(view["document"])
    roles = {p.org_id: ORGANISATIONS[p.org_id].roles for p in contract.parties}
    forms = general_filings(roles, today) + contract_filings(contract, today)
    forms = [form for form in forms if form.kind not in leave_out]
    with ThreadPoolExecutor(len(roles)) as pool:
        list(pool.map(lambda org: _file(system, org, [f for f in forms if f.issuer == org]), roles))
        if not leave_out:
            list(pool.map(lambda org: _await_open_gates(system, org, digest), roles))


def _file(system: LocalSystem, org_id: str, forms: list[SampleFiling]) -> None:
    """Prepare and approve what is not filed yet."""
    with sign_in(system, org_id) as preparer, sign_in(system, org_id, reviewer=True) as approver:
        filed = {
            _subject(f["kind"], f["content"])
            for f in preparer.get("/console/filings")
            if f["issuer"] == org_id and f["in_force"]
        }
        for form in forms:
            if _subject(form.kind, form.content) not in filed:
                draft = preparer.post("/console/filing-drafts", {"kind": form.kind, "content": form.content})
                approver.post(f"/console/filing-drafts/{draft['draft_id']}/approve")


def _subject(kind: str, content: dict[str, Any]) -> str:
    """What a filing is about: a second one about the same is not needed."""
    names = ("contract_id", "data_set_id", "schema_digest", "subject", "stage", "entrusted", "notice")
    about = [content.get(name) for name in (*names, "component", "code_digest", "scope", "milestone")]
    return json.dumps([kind, *about], sort_keys=True)


def _await_open_gates(system: LocalSystem, org_id: str, digest: str) -> None:
    """Wait until the node holds what the others filed and finds every gate open. Raises NotInTime naming what is closed."""
    red: list[str] = []

    def open_now(client: ConsoleClient) -> bool:
        gates = client.get(f"/console/contracts/{digest}/compliance")["gates"]
        red[:] = [
            f"{gate['point']} {finding['rule']} ({finding['party']}): {finding['message_en']}"
            for gate in gates
            if gate["light"] == "red"
            for finding in gate["verdict"]["findings"]
            if finding["severity"] in ("block", "wait")
        ]
        return not red

    with sign_in(system, org_id) as client:
        try:
            await_true(f"{org_id}: gates", lambda: open_now(client), seconds=60)
        except NotInTime as error:
            raise NotInTime(f"{error}: {'; '.join(red)}") from None


def _known(client: ConsoleClient, digest: str) -> bool:
    """Whether the organisation's own node has the contract yet."""
    try:
        client.get(f"/console/contracts/{digest}")
    except ConsoleError as error:
        if error.status == 404:
            return False
        raise
    return True


def _in_force(client: ConsoleClient, digest: str) -> bool:
    view: dict[str, Any] = client.get(f"/console/contracts/{digest}")
    return all(s["state"] == "signed" for s in view["signatures"]) and view["summary"]["state"] == "active"
