"""Plain values for the in-test double of a node's console API: six organisations, one contract, twelve days."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from hefu.domain import contract as c
from hefu.domain.dataset import (
    DataGrade,
    DataSet,
    Field,
    FieldType,
    IdentifierClass,
    LegalBasis,
    SensitiveCategory,
    SourceKind,
    schema_digest,
)
from hefu.domain.identity import Role, Standing
from hefu.domain.job import STAGES, JobState
from hefu.domain.rules.say import block
from hefu.domain.verdict import Finding, Severity, Verdict
from hefu.node import console_models as m

NOW = datetime.now(UTC).replace(microsecond=0)
CONTRACT = "T1-RECON-2026"
KEY = "A" * 43 + "="
PEOPLE: dict[str, tuple[str, str, list[Role]]] = {
    "institution": ("安信消费金融有限公司", "Anxin Consumer Finance", [Role.DATA_PROVIDER]),
    "bank": ("华东商业银行", "East China Commercial Bank", [Role.DATA_PROVIDER, Role.COMPUTE_PARTY]),
    "regulator": ("金融监管局", "Financial Regulatory Bureau", [Role.REGULATOR, Role.RESULT_CONSUMER]),
    "operator": ("合符平台运营方", "Platform Operator", [Role.SCHEDULER, Role.PLATFORM_PROVIDER, Role.COMPUTE_PARTY]),
    "exchange": ("数据交易所", "Data Exchange", [Role.COMPUTE_PARTY]),
    "auditor": ("中立评估中心", "Neutral Assessment Centre", [Role.AUDITOR]),
}  # fmt: skip


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def day(n: int) -> str:
    return (NOW - timedelta(days=n)).date().isoformat()


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def participants() -> list[m.ParticipantView]:
    views = [
        m.ParticipantView(
            org_id=org, legal_name=zh, legal_name_en=en, uscc="91310000MA1FL0000X", contact=f"{org}@example.cn", roles=roles, application=sha(org),
            state="admitted", standing=Standing.ACTIVE, identity_key=KEY, applied_at=ago(30), online=org != "exchange", certificate_until=ago(-300),
            qualifications=[{"name": "金融许可证", "number": "J-0001", "expires_on": "2030-01-01"}], self_assessment="已通过等级保护三级测评", review_reasons="资质齐备",
        )
        for org, (zh, en, roles) in PEOPLE.items()
    ]  # fmt: skip
    fresh = views[0].model_copy(
        update={
            "org_id": "newcomer",
            "legal_name": "新申请小贷公司",
            "legal_name_en": "New Lender",
            "state": "submitted",
            "application": sha("newcomer"),
            "online": None,
        }
    )
    return [*views, fresh]


def data_set(org: str) -> DataSet:
    rows = [("serial", "text", "quasi", "C1", "流水号"), ("type", "text", "none", "C1", "业务类型"), ("amount", "money", "none", "C2", "金额"),
            ("party_id", "text", "direct", "C2", "证件号"), ("occurred_at", "datetime", "none", "C1", "时间")]  # fmt: skip
    fields = tuple(
        Field(
            name=n,
            type=FieldType(ty),
            identifier_class=IdentifierClass(i),
            sensitive=SensitiveCategory.NONE,
            grade=DataGrade(g),
            meaning_zh=z,
            meaning_en=n,
        )
        for n, ty, i, g, z in rows
    )
    kind: Any = "fund_flows" if org == "bank" else "business_records"
    return DataSet(data_set_id=f"{org}-daily", owner=org, name="资金流水" if org == "bank" else "放款业务记录", kind=kind, fields=fields, date_field="occurred_at",
                   source_kind=SourceKind.DIRECT, legal_basis=LegalBasis.STATUTORY_DUTY)  # fmt: skip


def data_set_view(org: str) -> m.DataSetView:
    d = data_set(org)
    return m.DataSetView(
        definition=d, schema_digest=schema_digest(d), files=12, last_arrival=ago(0.2), contracts=[CONTRACT]
    )


def arrivals(org: str) -> list[m.ArrivalView]:
    states: dict[int, Any] = (
        {3: "late", 5: "rejected", 7: "replaced", 9: "missing"} if org == "bank" else {4: "late"}
    )
    return [
        m.ArrivalView(
            data_set_id=f"{org}-daily", business_date=day(n), state=states.get(n, "arrived"), file_name=f"{org}-{day(n)}.csv", fingerprint=sha(f"{org}{n}"),
            rows=100_000 - n * 731, rejected=3 if n == 5 else 0, amount_cents=98_765_432_10 - n * 1_000_000, arrived_at=ago(n - 0.8),
        )
        for n in range(1, 13)
    ]  # fmt: skip


def deliveries() -> list[m.DeliveryView]:
    return [
        m.DeliveryView(contract_id=CONTRACT, owner=org, data_set_id=a.data_set_id, business_date=a.business_date, state=a.state, rows=a.rows, rejected=a.rejected, arrived_at=a.arrived_at)
        for org in ("institution", "bank")
        for a in arrivals(org)
    ]  # fmt: skip


def contract(
    version: int = 1, contract_id: str = CONTRACT, title: str = "消费金融 T+1 业务与资金对账"
) -> c.Contract:
    parties = tuple(
        c.Party(
            org_id=o,
            legal_name=zh,
            legal_name_en=en,
            roles=tuple(r),
            legal_standing=c.LegalStanding.PI_HANDLER,
            application=sha(o),
            identity_key=KEY,
            sealing_key=KEY,
            tls_spki=sha(o),
            url=f"https://{o}.example:7000",
            channel_host="127.0.0.1",
            channel_port=7001,
        )
        for o, (zh, en, r) in PEOPLE.items()
    )
    sets = tuple(
        c.ContractDataSet(
            data_set_id=f"{o}-daily", owner=o, kind=data_set(o).kind, schema_digest=schema_digest(data_set(o)), source_kind=SourceKind.DIRECT, legal_basis=LegalBasis.STATUTORY_DUTY,
            fields=tuple(c.ContractField(name=f.name, type=f.type, identifier_class=f.identifier_class, sensitive=f.sensitive, grade=f.grade, necessity="对账所需") for f in data_set(o).fields),
        )
        for o in ("institution", "bank")
    )  # fmt: skip
    step = c.Step(
        step_id="reconcile",
        component="reconcile",
        code_digest=sha("code"),
        engine_version="1",
        parameters={
            "match_keys": ["serial", "type"],
            "compare": "each",
            "window_days": 1,
            "reveal_difference": True,
        },
        inputs=("institution-daily", "bank-daily"),
    )
    return c.Contract(
        contract_id=contract_id, version=version, previous=None if version == 1 else sha("v1"), template="t1_reconciliation", title=title, title_en="T+1 reconciliation of consumer finance",
        purpose="穿透式监管：核对放款业务记录与银行资金流水，发现账外交易", purpose_code="supervisory_reconciliation", parties=parties, data_sets=sets,
        platform=c.Platform(operator="operator", coordinator_key=KEY, ledger_origin="ledger.hefu.example", ledger_vkey="ledger.hefu.example+00000000+AAAA"),
        computation=c.Computation(technique="mpc_three_party", steps=(step,), compute_parties=("operator", "bank", "exchange")),
        outputs=(c.Output(recipient="regulator", form="row_status", reviewers=(), purpose_bound="仅限监管核查"),),
        limits=c.Limits(max_uses=400, max_rows=10_000_000, valid_from=ago(20), valid_until=ago(-345)),
        schedule=c.Schedule(cron="30 2 * * *", run_days="every_day", first_day=day(20), window_minutes=120, cutoff_minutes=600), retention_days=1825,
        duties=c.Duties(data_subject_contact="institution", incident_contact="operator", complaints_contact="auditor", liability="各方对自身数据与节点负责，对个人信息主体承担连带责任", termination="任一方可提前三十日书面终止"),
        risk_notice="计算在秘密分享上进行；秘密分享不等于匿名化。", signing_deadline=ago(-5), milestones=tuple(
            c.Milestone(kind=kind, due_on="2026-12-31", evidence="报告", confirmed_by=("regulator",))
            for kind in ("initiation", "midterm_test", "acceptance")
        ),
    )  # fmt: skip


def contract_view(org: str, state: c.ContractState, document: c.Contract, signed: set[str]) -> m.ContractView:
    waits = [] if state != c.ContractState.SIGNING else [o for o in PEOPLE if o not in signed]
    summary = m.ContractSummary(
        digest=document.digest, contract_id=document.contract_id, version=document.version, title=document.title, title_en=document.title_en, template=document.template, state=state,
        proposed_by="institution", proposed_at=ago(21 if state != c.ContractState.SIGNING else 0.5), signing_deadline=document.signing_deadline, waits_for=waits,
        uses=13 if state == c.ContractState.ACTIVE else 0, max_uses=400, valid_until=document.limits.valid_until,
    )  # fmt: skip
    signatures = [
        m.SignatureView(
            org_id=o,
            legal_name=PEOPLE[o][0],
            state="signed" if o in signed else "waiting",
            at=ago(20) if o in signed else None,
        )
        for o in PEOPLE
    ]
    return m.ContractView(summary=summary, document=document, canonical=document.to_bytes().decode(), signatures=signatures, can_sign=org in waits,
                          findings=[Verdict(stage="contract", passed=True, findings=())])  # fmt: skip


def job(
    n: int, state: JobState = JobState.SUCCEEDED, stage: Any = None, percent: int = 100, revision: int = 1
) -> m.JobSummary:
    return m.JobSummary(
        job_id=f"J{n:06d}R{revision}", contract_id=CONTRACT, contract_digest=contract().digest, business_date=day(n), revision=revision, supersedes=None,
        superseded_by="J000007R2" if state == JobState.SUPERSEDED else None, state=state, stage=stage, percent=percent, step="", rows=200_000 - n, reason="schedule",
        requested_by="operator", created_at=ago(n - 1) - timedelta(minutes=9), finished_at=None if percent < 100 else ago(n - 1), seconds=None if percent < 100 else 38.2 + n,
    )  # fmt: skip


def jobs() -> list[m.JobSummary]:
    first = [
        job(1, JobState.RUNNING, "compute", 57),
        job(2),
        job(3),
        job(4, JobState.DATA_MISSING, "check_data_sources", 30),
        job(5),
        job(6),
    ]
    return [*first, job(7, revision=2), job(7, JobState.SUPERSEDED), *(job(n) for n in range(8, 13))]


def job_view(summary: m.JobSummary) -> m.JobView:
    now = list(STAGES).index(summary.stage) if summary.stage else len(STAGES)
    bad = summary.state == JobState.DATA_MISSING
    missing = Finding(
        rule="data_present",
        severity=Severity.BLOCK,
        party="bank",
        seen="无文件",
        expected="业务日次日 12:30 前到达",
        message_zh="华东商业银行当日数据未到达",
        message_en="the bank's data of the day have not arrived",
        mend_zh="补报文件后，任务会以新版本重新运行",
        mend_en="deliver the file; a new version of the job starts",
        source="WP-A 3.4",
    )
    stages = []
    for i, s in enumerate(STAGES):
        state: Any = "passed" if i < now else ("failed" if bad else "running") if i == now else "pending"
        verdict = (
            None
            if state in ("pending", "running")
            else Verdict(stage=s, passed=state == "passed", findings=(missing,) if state == "failed" else ())
        )
        stages.append(
            m.StageView(
                stage=s,
                state=state,
                seconds=1.3 * (i + 1) if state == "passed" else None,
                parties=["institution", "bank"] if i == 2 else ["operator"],
                verdict=verdict,
            )
        )
    return m.JobView(
        summary=summary,
        stages=stages,
        parties={"institution": "共享输入", "bank": "共享输入", "operator": "洗牌"},
        evidence=31,
    )


def results() -> list[m.ResultSummary]:
    found = []
    for n in range(2, 13):
        if n == 4:
            continue
        wrong = (12, 3, 5) if n == 6 else (2, 1, 0)
        opened = n > 2
        found.append(m.ResultSummary(
            job_id=f"J{n:06d}R{2 if n == 7 else 1}", contract_id=CONTRACT, business_date=day(n), revision=2 if n == 7 else 1, stands=True, received_at=ago(n - 1),
            opened_at=ago(n - 1.2) if opened else None, opened_by="approver" if opened else "",
            **({"matched": 100_000 - n * 731, "mismatched": wrong[0] * n, "missing_at_bank": wrong[1] * n, "missing_at_institution": wrong[2] * n, "conflicts": 0,
                "difference_cents": 1_234_56 * wrong[0] * n, "match_rate": 1 - sum(wrong) * n / 100_000} if opened else {}),
        ))  # fmt: skip
    refused = block(
        "output_identifier_mobile", "K7", "结果中出现直接标识符：手机号码", "direct identifiers stand in the result: mobile",
        party="regulator", seen="1", expected="0",
    )  # fmt: skip
    found.append(m.ResultSummary(
        job_id="J000013R1", contract_id=CONTRACT, business_date=day(13), revision=1, stands=True, received_at=ago(12), opened_at=None,
        gate="refused", gate_findings=[refused],
    ))  # fmt: skip
    return found


def exceptions() -> list[m.ExceptionRow]:
    kinds = [
        ("institution", "amount_mismatch", 12_345_00),
        ("institution", "missing_at_bank", None),
        ("bank", "missing_at_institution", None),
    ]
    return [
        m.ExceptionRow(
            owner=o,
            row=17 + i * 113,
            status=s,
            counterpart="bank" if o == "institution" else "institution",
            counterpart_row=40 + i if d else None,
            difference_cents=d,
        )
        for i in range(40)
        for o, s, d in [kinds[i % 3]]
    ]


def entries() -> list[m.LedgerEntryView]:
    kinds = [("application_submitted", "bank", None), ("contract_signed", "regulator", None), ("job_created", "operator", "compute"), ("data_source_checked", "bank", "check_data_sources"),
             ("channel_transcript", "exchange", "compute"), ("half_sealed", "operator", "compute"), ("result_opened", "regulator", None), ("job_finished", "operator", "release")]  # fmt: skip
    return [
        m.LedgerEntryView(
            seq=n,
            logged_at=ago(0) - timedelta(seconds=40 * (400 - n)),
            kind=kinds[n % 8][0],
            actor=kinds[n % 8][1],
            contract=contract().digest,
            job="J000002R1" if n % 8 > 1 else None,
            stage=kinds[n % 8][2],
            attempt=1,
            envelope_id=sha(f"e{n}"),
            leaf_hash=sha(f"l{n}"),
        )
        for n in range(400, 360, -1)
    ]


def ledger_state() -> m.LedgerState:
    return m.LedgerState(size=401, root=sha("root"), checkpoint_at=NOW, origin="ledger.hefu.example", entries_today=31, unreceipted=0, last_verified_at=ago(0.1), last_verified_ok=True,
                         history=[12, 40, 31, 35, 28, 33, 30, 41, 29, 31])  # fmt: skip


def alarms() -> list[m.AlarmView]:
    return [
        m.AlarmView(alarm_id="A1", rule="mismatch_rate", contract_id=CONTRACT, business_date=day(6), job_id="J000006R1", party="institution", message_zh="金额不符率 0.12% 超过规则", message_en="mismatch rate over the rule", raised_at=ago(5)),
        m.AlarmView(alarm_id="A2", rule="late_files", contract_id=CONTRACT, business_date=day(3), job_id=None, party="bank", message_zh="文件迟到", message_en="a file was late", raised_at=ago(2), acknowledged_by="approver", acknowledged_at=ago(1), note="已电话确认"),
    ]  # fmt: skip


def inquiries() -> list[m.InquiryView]:
    return [m.InquiryView(inquiry_id="Q1", job_id="J000006R1", contract_id=CONTRACT, business_date=day(6), org_id="institution", rows=[17, 356, 695], question="请说明这三笔放款金额与银行流水不符的原因", state="sent", sent_at=ago(3), due_at=ago(-2))]  # fmt: skip


def cases() -> list[m.CaseView]:
    states: list[Any] = ["open", "assigned", "explained", "closed"]
    return [
        m.CaseView(
            case_id=f"C{i}",
            inquiry_id="Q1",
            job_id="J000006R1",
            business_date=day(6),
            row=17 + i,
            state=s,
            assignee="" if i == 0 else "preparer",
            explanation="手续费未计入" if i > 1 else "",
            history=[{"at": day(2), "by": "preparer", "step": "assign", "text": "分派处理"}] if i else [],
        )
        for i, s in enumerate(states)
    ]


def records() -> list[m.RecordView]:
    return [m.RecordView(request_id="R1", job_id="J000006R1", owner="bank", row=57, reason="核查疑似账外", state="answered", asked_at=ago(3), due_at=ago(0), answered_at=ago(2), record={"serial": "00012345", "amount": "100.00"})]  # fmt: skip


def schedule() -> m.ScheduleView:
    nexts = [NOW.replace(hour=18, minute=30, second=0) + timedelta(days=n) for n in range(10)]
    return m.ScheduleView(contract_id=CONTRACT, title=contract().title, title_en=contract().title_en, cron="30 2 * * *", signed_cron="30 2 * * *", run_days="every_day",
                          time_zone="Asia/Shanghai", window_minutes=120, paused=False, last_covered=day(2), next_times=nexts)  # fmt: skip


def todos(org: str) -> list[m.Todo]:
    made: dict[str, list[tuple[Any, str, str, str, str]]] = {
        "regulator": [("open_result", "拆封 " + day(2) + " 对账结果", "Open the result", "results", "J000002R1"), ("alarm", "确认预警：金额不符率超限", "Acknowledge an alarm", "alarms", "A1")],
        "institution": [("inquiry", "答复核查通知 Q1", "Answer inquiry Q1", "inquiries", "Q1"), ("case", "处理差错 C0", "Work on case C0", "cases", "C0")],
        "auditor": [("review_application", "审核新申请小贷公司", "Review New Lender", "participants", sha("newcomer"))],
    }  # fmt: skip
    return [
        m.Todo(kind=k, title_zh=zh, title_en=en, page=p, subject=s, due_at=ago(-2))
        for k, zh, en, p, s in made.get(org, [])
    ]
