"""Typed client of `/console` at an organisation's node: one method per line of `hefu.node.console_models`.

The node is believed under exactly the certificate that console.json names. Every error answer becomes NodeRefused with
the node's own words; silence, a foreign certificate or an answer of the wrong shape become NodeUnreachable.
"""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from hefu.domain.contract import Contract
from hefu.domain.dataset import DataSet
from hefu.keys.errors import CertificateInvalid
from hefu.keys.tls import load_certificate, pinned_client_context, spki_digest
from hefu.node import console_models as m
from hefu.node.contract_life_models import TemplateDraft
from pydantic import BaseModel, TypeAdapter, ValidationError

from hefu_ui.compliance_api import ComplianceApi
from hefu_ui.config import NodeAddress
from hefu_ui.errors import NodeRefused, NodeUnreachable
from hefu_ui.governance_api import GovernanceApi
from hefu_ui.words import say

Shape = TypeVar("Shape")
TIMEOUT = httpx.Timeout(30.0, connect=5.0)
LONG = httpx.Timeout(600.0, connect=5.0)


class NodeLine:
    """A pool of connections to one node, shared by all its signed-in people; renewed when its certificate's file is."""

    def __init__(self, org_id: str, address: NodeAddress) -> None:
        self.org_id = org_id
        self._address = address
        self._lock = threading.Lock()
        self._made_from: bytes | None = None
        self._http: httpx.Client | None = None

    @property
    def http(self) -> httpx.Client:
        """The client. Raises NodeUnreachable when the certificate's file cannot be used."""
        try:
            pem = self._address.certificate.read_bytes()
            with self._lock:
                if self._http is None or pem != self._made_from:
                    pin = spki_digest(load_certificate(pem))
                    context = pinned_client_context(pem, pin_spki=pin, org_id=self.org_id)
                    base = self._address.url + "/console/"
                    self._http = httpx.Client(base_url=base, verify=context, timeout=TIMEOUT, trust_env=False)
                    self._made_from = pem
                return self._http
        except (OSError, ValueError, CertificateInvalid) as error:
            raise NodeUnreachable(self.org_id, f"{self._address.certificate.name}: {error}") from error


class NodeApi:
    """The console's API as one person; `token` is that person's bearer token."""

    def __init__(self, line: NodeLine, token: str | None) -> None:
        self._line = line
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    @property
    def compliance(self) -> ComplianceApi:
        """Cockpit, filings, calendar, registers, complaints and requests."""
        return ComplianceApi(self)

    @property
    def governance(self) -> GovernanceApi:
        """Templates, approvals, exclusion lists, effect evaluation."""
        return GovernanceApi(self)

    # --- the person
    def login(self, username: str, password: str) -> m.Session:
        return self.post("login", m.Session, m.LoginRequest(username=username, password=password))

    def logout(self) -> None:
        self._send("POST", "logout")

    def overview(self) -> m.Overview:
        return self.get("overview", m.Overview)

    def users(self) -> list[m.User]:
        return self.get("users", list[m.User])

    def add_user(self, user: m.NewUser) -> m.User:
        return self.post("users", m.User, user)

    # --- participants
    def participants(self) -> list[m.ParticipantView]:
        return self.get("participants", list[m.ParticipantView])

    def review(self, application: str, request: m.ReviewRequest) -> m.ParticipantView:
        return self.post(f"participants/{_part(application)}/review", m.ParticipantView, request)

    def admit(self, application: str) -> m.ParticipantView:
        return self.post(f"participants/{_part(application)}/admit", m.ParticipantView)

    def set_standing(self, org_id: str, request: m.StandingRequest) -> m.ParticipantView:
        return self.post(f"participants/{_part(org_id)}/standing", m.ParticipantView, request)

    # --- data sets
    def data_sets(self) -> list[m.DataSetView]:
        return self.get("data-sets", list[m.DataSetView])

    def register(self, data_set: DataSet) -> m.DataSetView:
        return self.post("data-sets", m.DataSetView, data_set)

    def upload(self, data_set_id: str, name: str, content: Any) -> list[m.ArrivalView]:
        path = f"data-sets/{_part(data_set_id)}/files"
        answer = self._send("POST", path, files={"file": (name, content)}, timeout=LONG)
        return self._read(answer, list[m.ArrivalView])

    def days(self, data_set_id: str, first: str, last: str) -> list[m.ArrivalView]:
        return self.get(
            f"data-sets/{_part(data_set_id)}/days", list[m.ArrivalView], **{"from": first, "to": last}
        )

    def rejects(self, data_set_id: str, fingerprint: str) -> bytes:
        return self._bytes(f"data-sets/{_part(data_set_id)}/rejects", fingerprint=fingerprint)

    def contract_pdf(self, digest: str, language: str) -> bytes:
        """A contract's readable text with its signatures."""
        return self._bytes(f"contracts/{_part(digest)}/pdf", language=language)

    def deliveries(self, contract_id: str, first: str, last: str) -> list[m.DeliveryView]:
        return self.get(
            "deliveries", list[m.DeliveryView], contract_id=contract_id, **{"from": first, "to": last}
        )

    # --- contracts
    def contracts(self) -> list[m.ContractSummary]:
        return self.get("contracts", list[m.ContractSummary])

    def contract(self, digest: str) -> m.ContractView:
        return self.get(f"contracts/{_part(digest)}", m.ContractView)

    def draft(self, draft: m.ReconciliationDraft | TemplateDraft) -> m.ContractView:
        return self.post("contracts/draft", m.ContractView, draft)

    def propose(self, document: Contract) -> m.ContractView:
        return self.post("contracts", m.ContractView, document)

    def sign(self, digest: str) -> m.ContractView:
        return self.post(f"contracts/{_part(digest)}/sign", m.ContractView)

    def notice(self, digest: str, request: m.NoticeRequest) -> m.ContractView:
        return self.post(f"contracts/{_part(digest)}/notices", m.ContractView, request)

    # --- jobs and schedules
    def jobs(self, contract_id: str | None = None, limit: int = 200) -> list[m.JobSummary]:
        return self.get("jobs", list[m.JobSummary], contract_id=contract_id, limit=limit)

    def job(self, job_id: str) -> m.JobView:
        return self.get(f"jobs/{_part(job_id)}", m.JobView)

    def start_jobs(self, request: m.JobRequest) -> list[m.JobSummary]:
        return self.post("jobs", list[m.JobSummary], request)

    def cancel(self, job_id: str) -> m.JobView:
        return self.post(f"jobs/{_part(job_id)}/cancel", m.JobView)

    def decide(self, job_id: str, request: m.ReviewRequest) -> m.JobView:
        return self.post(f"jobs/{_part(job_id)}/decision", m.JobView, request)

    def schedules(self) -> list[m.ScheduleView]:
        return self.get("schedules", list[m.ScheduleView])

    def set_schedule(self, contract_id: str, request: m.ScheduleRequest) -> m.ScheduleView:
        return self.post(f"schedules/{_part(contract_id)}", m.ScheduleView, request)

    # --- the evidence ledger
    def entries(self, **filters: str | int | datetime | None) -> list[m.LedgerEntryView]:
        return self.get("ledger/entries", list[m.LedgerEntryView], **filters)

    def entry(self, seq: int) -> m.LedgerEntryDetail:
        return self.get(f"ledger/entries/{seq}", m.LedgerEntryDetail)

    def ledger_state(self) -> m.LedgerState:
        return self.get("ledger/state", m.LedgerState)

    def start_verification(self) -> m.VerifyView:
        return self.post("ledger/verify", m.VerifyView)

    def verification(self) -> m.VerifyView:
        return self.get("ledger/verify", m.VerifyView)

    def export_ledger(self) -> bytes:
        return self._bytes("ledger/export")

    # --- the regulator's results
    def results(self, contract_id: str | None = None) -> list[m.ResultSummary]:
        return self.get("results", list[m.ResultSummary], contract_id=contract_id)

    def open_result(self, job_id: str) -> m.ResultView:
        return self.post(f"results/{_part(job_id)}/open", m.ResultView)

    def result(self, job_id: str) -> m.ResultView:
        return self.get(f"results/{_part(job_id)}", m.ResultView)

    def exceptions(
        self, job_id: str, status: str | None, owner: str | None, offset: int, limit: int
    ) -> m.ExceptionPage:
        filters = {"status": status, "owner": owner, "offset": offset, "limit": limit}
        return self.get(f"results/{_part(job_id)}/exceptions", m.ExceptionPage, **filters)

    def export_result(self, job_id: str, form: str) -> bytes:
        """`form`: csv or xlsx."""
        return self._bytes(f"results/{_part(job_id)}/export.{form}")

    # --- alarms, records, inquiries, cases
    def alarm_rules(self) -> m.AlarmRules:
        return self.get("alarm-rules", m.AlarmRules)

    def set_alarm_rules(self, rules: m.AlarmRules) -> m.AlarmRules:
        return self.put("alarm-rules", m.AlarmRules, rules)

    def alarms(self) -> list[m.AlarmView]:
        return self.get("alarms", list[m.AlarmView])

    def acknowledge(self, alarm_id: str, note: m.Note) -> m.AlarmView:
        return self.post(f"alarms/{_part(alarm_id)}/acknowledge", m.AlarmView, note)

    def records(self) -> list[m.RecordView]:
        return self.get("record-requests", list[m.RecordView])

    def ask_record(self, request: m.RecordRequest) -> m.RecordView:
        return self.post("record-requests", m.RecordView, request)

    def inquiries(self) -> list[m.InquiryView]:
        return self.get("inquiries", list[m.InquiryView])

    def send_inquiry(self, request: m.InquiryRequest) -> m.InquiryView:
        return self.post("inquiries", m.InquiryView, request)

    def reply_inquiry(self, inquiry_id: str, note: m.Note) -> m.InquiryView:
        return self.post(f"inquiries/{_part(inquiry_id)}/reply", m.InquiryView, note)

    def close_inquiry(self, inquiry_id: str, note: m.Note) -> m.InquiryView:
        return self.post(f"inquiries/{_part(inquiry_id)}/close", m.InquiryView, note)

    def cases(self) -> list[m.CaseView]:
        return self.get("cases", list[m.CaseView])

    def move_case(self, case_id: str, step: str, note: m.Note) -> m.CaseView:
        """`step`: assign, explain, adjust or close."""
        return self.post(f"cases/{_part(case_id)}/{_part(step)}", m.CaseView, note)

    # --- how it travels
    def get(self, path: str, shape: type[Shape], **query: Any) -> Shape:
        """What a path answers, of this shape. Raises NodeRefused, NodeUnreachable."""
        return self._read(self._send("GET", path, params=_query(query)), shape)

    def post(self, path: str, shape: type[Shape], body: BaseModel | None = None) -> Shape:
        """Ask for a change; what it answers. Raises NodeRefused, NodeUnreachable."""
        json = None if body is None else body.model_dump(mode="json")
        return self._read(self._send("POST", path, json=json), shape)

    def put(self, path: str, shape: type[Shape], body: BaseModel) -> Shape:
        """Set something to this; what it answers. Raises NodeRefused, NodeUnreachable."""
        return self._read(self._send("PUT", path, json=body.model_dump(mode="json")), shape)

    def hand_in(self, path: str, shape: type[Shape], content: bytes, **query: Any) -> Shape:
        """POST of bytes as they are. Raises NodeRefused, NodeUnreachable."""
        answer = self._send("POST", path, params=_query(query), content=content, timeout=LONG)
        return self._read(answer, shape)

    def tell(self, path: str, body: BaseModel) -> None:
        """POST whose answer says nothing more."""
        self._send("POST", path, json=body.model_dump(mode="json"))

    def _bytes(self, path: str, **query: Any) -> bytes:
        return self._send("GET", path, params=_query(query), timeout=LONG).content

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._line.http.request(method, path, headers=self._headers, **more)
        except (httpx.HTTPError, OSError) as error:
            raise NodeUnreachable(self._line.org_id, str(error) or type(error).__name__) from error
        if answer.status_code >= 400:
            raise NodeRefused(answer.status_code, _error_of(answer))
        return answer

    def _read(self, answer: httpx.Response, shape: type[Shape]) -> Shape:
        try:
            return TypeAdapter(shape).validate_json(answer.content)
        except ValidationError as error:
            raise NodeUnreachable(
                self._line.org_id, f"unexpected answer: {error.errors()[0]['msg']}"
            ) from error


def _part(value: str) -> str:
    return quote(value, safe="")


def _query(values: dict[str, Any]) -> dict[str, str]:
    return {
        key: value.isoformat() if isinstance(value, datetime) else str(value)
        for key, value in values.items()
        if value is not None and value != ""
    }


def _error_of(answer: httpx.Response) -> m.ApiError:
    try:
        return m.ApiError.model_validate_json(answer.content)
    except ValidationError:
        return m.ApiError(
            code=f"http_{answer.status_code}",
            message_zh=say("error.http", "zh", status=answer.status_code),
            message_en=say("error.http", "en", status=answer.status_code),
            mend_zh=say("error.http_mend", "zh"),
            mend_en=say("error.http_mend", "en"),
        )
