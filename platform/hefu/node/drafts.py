"""From the contract form to the document: keys, schema digests, code digest and the standing clauses.

Keys are taken from the applications as the applicants signed them, never from what the registry says of them. Fields
come from the metadata that owners published, and only those that the computation needs (最小必要, K10).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hefu.components.reconcile import ReconcileParameters
from hefu.components.registry import code_digest
from hefu.domain.businessdays import CalendarError, next_runs
from hefu.domain.contract import (
    Computation,
    Contract,
    ContractDataSet,
    ContractField,
    Duties,
    LegalStanding,
    Limits,
    Mandate,
    Output,
    Party,
    Platform,
    Schedule,
    Step,
)
from hefu.domain.dataset import DataSet, FieldType, LegalBasis, schema_digest
from hefu.domain.document import Document
from hefu.domain.errors import DocumentInvalid
from hefu.domain.identity import Application, Role
from hefu.engine import ENGINE_VERSION
from hefu.node import clauses
from hefu.node.console_models import ParticipantView, ReconciliationDraft
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.refusals import Refusal, refuse
from hefu.store.base import now
from hefu.store.node_tables import ContractRow
from hefu.store.signed import read_application

D = TypeVar("D", bound=Document)

_KEY_FIELDS = {"serial": "serial", "type": "type", "party": "party_id", "date": "occurred_at"}
_NEEDED = ("amount", "occurred_at")


class _Published(BaseModel):
    """A data set as its owner published it."""

    model_config = ConfigDict(extra="ignore")

    owner: str
    definition: DataSet
    schema_digest: str


class _Registered(BaseModel):
    """An organisation in the registry: its self-signed application."""

    model_config = ConfigDict(extra="ignore")

    org_id: str
    digest: str
    state: str
    application: str


def reconciliation(
    ctx: NodeContext, draft: ReconciliationDraft, participants: list[ParticipantView]
) -> Contract:
    """A T+1 reconciliation contract, ready to be proposed. Nothing is stored.

    participants  the registry as shown: who is admitted and in good standing
    raises        Refusal (clause_invalid) naming the clause
    """
    cast = _cast(ctx, draft)
    applications = _applications(ctx, cast, participants)
    data_sets = [_data_set(draft, applications, found, side) for found, side in _choose(ctx, draft)]
    parameters = _parameters(draft, data_sets)
    version, previous = _predecessor(ctx, draft.contract_id)
    return _build(
        Contract,
        "",
        contract_id=draft.contract_id,
        version=version,
        previous=previous,
        template="t1_reconciliation",
        title=draft.title,
        title_en=draft.title_en,
        purpose=draft.purpose,
        parties=tuple(_party(ctx, draft, application) for application in applications.values()),
        platform=Platform(
            operator=ctx.kit.operator,
            coordinator_key=ctx.kit.coordinator_key,
            ledger_origin=ctx.kit.ledger_origin,
            ledger_vkey=ctx.kit.ledger_vkey,
        ),
        data_sets=tuple(contract_data_set for contract_data_set, _ in data_sets),
        computation=_build(
            Computation,
            "computation",
            technique="mpc_three_party",
            steps=(
                Step(
                    step_id="reconcile",
                    component="reconcile",
                    code_digest=code_digest("reconcile"),
                    engine_version=ENGINE_VERSION,
                    parameters=parameters,
                    inputs=tuple(contract_data_set.data_set_id for contract_data_set, _ in data_sets),
                ),
            ),
            compute_parties=tuple(draft.compute_parties),
        ),
        outputs=(
            _build(
                Output,
                "outputs",
                recipient=draft.regulator,
                form="row_status",
                reviewers=tuple(draft.reviewers),
                purpose_bound=clauses.PURPOSE_BOUND,
            ),
        ),
        limits=_build(
            Limits,
            "limits",
            max_uses=draft.max_uses,
            max_rows=draft.max_rows,
            valid_from=draft.valid_from,
            valid_until=draft.valid_until,
        ),
        schedule=_schedule(draft),
        retention_days=draft.retention_days,
        automated_decision=clauses.AUTOMATED_DECISION,
        duties=Duties(
            data_subject_contact=draft.institutions[0],
            incident_contact=ctx.kit.operator,
            complaints_contact=draft.institutions[0],
            liability=clauses.LIABILITY,
            termination=clauses.TERMINATION,
        ),
        risk_notice=clauses.RISK_NOTICE,
        mandate=_mandate(draft),
        signing_deadline=now().replace(microsecond=0) + timedelta(days=draft.signing_days),
    )


def _cast(ctx: NodeContext, draft: ReconciliationDraft) -> list[str]:
    """Every organisation of the contract, each once."""
    if not draft.institutions or not draft.banks:
        raise _clause(
            "data_sets", "至少需要一家从业机构和一家银行", "at least one institution and one bank are needed"
        )
    both = set(draft.institutions) & set(draft.banks)
    if both:
        raise _clause(
            "data_sets",
            f"{'、'.join(sorted(both))} 不能同时是机构和银行",
            f"{', '.join(sorted(both))} cannot be institution and bank",
        )
    named = [
        *draft.institutions,
        *draft.banks,
        draft.regulator,
        *draft.compute_parties,
        draft.auditor,
        *draft.reviewers,
        ctx.kit.operator,
    ]
    return list(dict.fromkeys(named))


def _applications(
    ctx: NodeContext, cast: list[str], participants: list[ParticipantView]
) -> dict[str, Application]:
    """The applications of the cast, each verified under its own identity key; the kit's are taken from the kit."""
    admitted = {p.org_id: p for p in participants if p.state == "admitted" and p.standing == "active"}
    answer = ctx.client.get(COORDINATOR, "/api/participants")
    registered = {r.org_id: r for r in map(_Registered.model_validate, answer) if r.state == "admitted"}
    found: dict[str, Application] = {}
    for org in cast:
        if org not in admitted or org not in registered:
            raise _clause(
                "parties", f"{org} 未准入或已暂停", f"{org} is not admitted, or suspended", party=org
            )
        pinned = ctx.kit.applications.get(org)
        application = read_application(pinned or registered[org].application)
        if application.org_id != org:
            raise _clause(
                "parties",
                f"{org} 的准入申请不属于该机构",
                f"the application of {org} is not its own",
                party=org,
            )
        found[org] = application
    return found


def _party(ctx: NodeContext, draft: ReconciliationDraft, application: Application) -> Party:
    org = application.org_id
    if org in draft.institutions or org in draft.banks:
        standing = LegalStanding.PI_HANDLER
    elif org == draft.regulator:
        standing = LegalStanding.AUTHORITY
    elif org in draft.compute_parties or org == ctx.kit.operator:
        standing = LegalStanding.ENTRUSTED_PARTY
    else:
        standing = LegalStanding.THIRD_PARTY
    roles = [Role.DATA_PROVIDER] if org in draft.institutions or org in draft.banks else []
    roles += [Role.COMPUTE_PARTY] if org in draft.compute_parties else []
    roles += [Role.RESULT_CONSUMER, Role.REGULATOR] if org == draft.regulator else []
    roles += [Role.AUDITOR] if org == draft.auditor else []
    roles += [Role.SCHEDULER, Role.PLATFORM_PROVIDER] if org == ctx.kit.operator else []
    missing = [
        role.value
        for role in roles
        if role not in application.roles and role in (Role.AUDITOR, Role.REGULATOR)
    ]
    if missing:
        raise _clause(
            "parties",
            f"{org} 未获准入角色 {'、'.join(missing)}",
            f"{org} was not admitted as {', '.join(missing)}",
            party=org,
        )
    return Party(
        org_id=org,
        legal_name=application.legal_name,
        legal_name_en=application.legal_name_en,
        roles=tuple(roles) or application.roles,
        legal_standing=standing,
        application=application.digest,
        identity_key=application.keys.identity,
        sealing_key=application.keys.sealing,
        tls_spki=application.keys.tls_spki,
        url=application.url,
        channel_host=application.channel_host,
        channel_port=application.channel_port,
    )


def _choose(ctx: NodeContext, draft: ReconciliationDraft) -> list[tuple[_Published, str]]:
    """Each owner's data set: the one the form names, else its only one of the right kind."""
    answer = ctx.client.get(COORDINATOR, "/api/data-sets")
    published = [_Published.model_validate(item) for item in answer]
    chosen = []
    for kind, owners in (("business_records", draft.institutions), ("fund_flows", draft.banks)):
        for owner in dict.fromkeys(owners):
            own = [p for p in published if p.owner == owner and p.definition.kind == kind]
            if owner in draft.data_sets:
                own = [p for p in own if p.definition.data_set_id == draft.data_sets[owner]]
            if len(own) != 1:
                raise _clause(
                    "data_sets",
                    f"请为 {owner} 选定一个数据集（可选 {len(own)} 个）",
                    f"choose one data set of {owner} ({len(own)} to choose from)",
                    party=owner,
                )
            if schema_digest(own[0].definition) != own[0].schema_digest or own[0].definition.owner != owner:
                raise _clause(
                    "data_sets",
                    f"{owner} 的数据集结构摘要不符",
                    f"the schema digest of {owner}'s data set does not fit",
                    party=owner,
                )
            chosen.append((own[0], kind))
    return chosen


def _data_set(
    draft: ReconciliationDraft, applications: dict[str, Application], found: _Published, kind: str
) -> tuple[ContractDataSet, dict[str, str]]:
    """The data set's clause, with the fields that the computation needs, and which column holds which of them."""
    definition = found.definition
    wanted = dict.fromkeys([*(_KEY_FIELDS[key] for key in draft.match_keys), *_NEEDED])
    if kind == "fund_flows" and len(set(draft.institutions)) > 1:
        wanted["institution"] = None
    columns = {name: _column(definition, name) for name in wanted}
    fields = tuple(
        ContractField(
            **definition.field(column).model_dump(exclude={"meaning_zh", "meaning_en"}),
            necessity=clauses.NECESSITY[name],
        )
        for name, column in columns.items()
    )
    mandated = draft.mandate_number is not None
    return (
        ContractDataSet(
            data_set_id=definition.data_set_id,
            owner=found.owner,
            kind=definition.kind,
            schema_digest=found.schema_digest,
            fields=fields,
            source_kind=definition.source_kind,
            legal_basis=LegalBasis.STATUTORY_DUTY if mandated else definition.legal_basis,
            legal_basis_note=draft.mandate_number or definition.legal_basis_note,
        ),
        {name: column for name, column in columns.items() if name != column},
    )


def _column(definition: DataSet, canonical: str) -> str:
    names = [field.name for field in definition.fields]
    if canonical in names:
        return canonical
    if canonical == "occurred_at" and definition.date_field is not None:
        return definition.date_field
    money = [field.name for field in definition.fields if field.type is FieldType.MONEY]
    if canonical == "amount" and len(money) == 1:
        return money[0]
    raise _clause(
        "data_sets",
        f"数据集“{definition.name}”没有对账所需的列“{canonical}”",
        f"data set {definition.name!r} has no column for {canonical!r}",
        party=definition.owner,
    )


def _parameters(
    draft: ReconciliationDraft, data_sets: list[tuple[ContractDataSet, dict[str, str]]]
) -> dict[str, Any]:
    columns = {data_set.owner: mapped for data_set, mapped in data_sets if mapped}
    try:
        parameters = ReconcileParameters(
            match_keys=tuple(draft.match_keys),
            compare=draft.compare,
            window_days=draft.window_days,
            columns=columns,
            max_rejected_ppm=draft.max_rejected_ppm,
            reveal_difference=draft.reveal_difference,
        )
    except ValidationError as error:
        raise _of_validation("computation.steps.parameters", error) from error
    return parameters.model_dump(mode="json")


def _schedule(draft: ReconciliationDraft) -> Schedule:
    try:
        date.fromisoformat(draft.first_day)
        next_runs(draft.cron, "Asia/Shanghai", draft.run_days, now(), 1)
    except (CalendarError, ValueError) as error:
        raise _clause(
            "schedule", f"调度设置不正确：{error}", f"the schedule is not valid: {error}"
        ) from error
    return _build(
        Schedule,
        "schedule",
        cron=draft.cron,
        run_days=draft.run_days,
        first_day=draft.first_day,
        window_minutes=draft.window_minutes,
        cutoff_minutes=draft.cutoff_minutes,
        retry_seconds=draft.retry_seconds,
    )


def _mandate(draft: ReconciliationDraft) -> Mandate | None:
    if draft.mandate_number is None:
        return None
    return _build(
        Mandate,
        "mandate",
        document_number=draft.mandate_number,
        file_digest=clauses.text_digest(draft.mandate_number),
    )


def _predecessor(ctx: NodeContext, contract_id: str) -> tuple[int, str | None]:
    """Version and predecessor: the newest version that this node knows comes before."""
    from sqlmodel import col, select

    with ctx.session() as session:
        newest = session.exec(
            select(ContractRow)
            .where(ContractRow.contract_id == contract_id)
            .order_by(col(ContractRow.version).desc())
        ).first()
    return (1, None) if newest is None else (newest.version + 1, newest.digest)


def _build(model: type[D], clause: str, **fields: Any) -> D:
    try:
        return model(**fields)
    except ValidationError as error:
        raise _of_validation(clause, error) from error
    except DocumentInvalid as error:
        raise _clause(error.clause or clause, error.reason, error.reason) from error


def _of_validation(clause: str, error: ValidationError) -> Refusal:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join([part for part in (clause, *map(str, first["loc"])) if part])
    said = first["msg"].removeprefix("Value error, ")
    if not where and ": " in said:
        where, said = said.split(": ", 1)
    return _clause(where, said, said)


def _clause(clause: str, message_zh: str, message_en: str, *, party: str | None = None) -> Refusal:
    return refuse(
        422,
        "clause_invalid",
        f"条款 {clause or '合约'}：{message_zh}",
        f"clause {clause or 'contract'}: {message_en}",
        "请返回表单修改该项",
        "go back to the form and mend it",
        party=party,
        limit=clause or None,
    )
