"""Parts of a contract draft: data sets and their fields, the computation's parameters, schedule, mandate.

Fields come from the metadata that owners published, and only those that the computation needs (最小必要, K10). Whatever
does not fit is refused by the name of its clause.
"""

from __future__ import annotations

from datetime import date
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hefu.components.reconcile import ReconcileParameters
from hefu.domain.businessdays import CalendarError, next_runs
from hefu.domain.contract import ContractDataSet, ContractField, Mandate, Schedule
from hefu.domain.dataset import DataSet, FieldType, LegalBasis, schema_digest
from hefu.domain.document import Document
from hefu.domain.errors import DocumentInvalid
from hefu.node import clauses
from hefu.node.console_models import ReconciliationDraft
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.refusals import Refusal, refuse
from hefu.store.base import now

D = TypeVar("D", bound=Document)

_KEY_FIELDS = {"serial": "serial", "type": "type", "party": "party_id", "date": "occurred_at"}
_NEEDED = ("amount", "occurred_at")


class Published(BaseModel):
    """A data set as its owner published it."""

    model_config = ConfigDict(extra="ignore")

    owner: str
    definition: DataSet
    schema_digest: str


def choose_data_sets(ctx: NodeContext, draft: ReconciliationDraft) -> list[tuple[Published, str]]:
    """Each owner's data set: the one the form names, else its only one of the right kind."""
    answer = ctx.client.get(COORDINATOR, "/api/data-sets")
    published = [Published.model_validate(item) for item in answer]
    chosen = []
    for kind, owners in (("business_records", draft.institutions), ("fund_flows", draft.banks)):
        for owner in dict.fromkeys(owners):
            own = [p for p in published if p.owner == owner and p.definition.kind == kind]
            if owner in draft.data_sets:
                own = [p for p in own if p.definition.data_set_id == draft.data_sets[owner]]
            if len(own) != 1:
                raise clause_invalid(
                    "data_sets",
                    f"请为 {owner} 选定一个数据集（可选 {len(own)} 个）",
                    f"choose one data set of {owner} ({len(own)} to choose from)",
                    party=owner,
                )
            if schema_digest(own[0].definition) != own[0].schema_digest or own[0].definition.owner != owner:
                raise clause_invalid(
                    "data_sets",
                    f"{owner} 的数据集结构摘要不符",
                    f"the schema digest of {owner}'s data set does not fit",
                    party=owner,
                )
            chosen.append((own[0], kind))
    return chosen


def data_set_clause(
    draft: ReconciliationDraft, found: Published, kind: str
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
    raise clause_invalid(
        "data_sets",
        f"数据集“{definition.name}”没有对账所需的列“{canonical}”",
        f"data set {definition.name!r} has no column for {canonical!r}",
        party=definition.owner,
    )


def parameters_of(
    draft: ReconciliationDraft, data_sets: list[tuple[ContractDataSet, dict[str, str]]]
) -> dict[str, Any]:
    """The component's parameters, as JSON."""
    columns = {data_set.owner: mapped for data_set, mapped in data_sets if mapped}
    try:
        parameters = ReconcileParameters(
            match_keys=tuple(draft.match_keys),
            compare=draft.compare,
            window_days=draft.window_days,
            columns=columns,
            max_rejected_ppm=draft.max_rejected_ppm,
            reveal_difference=draft.reveal_difference,
            design=draft.design,
        )
    except ValidationError as error:
        raise _of_validation("computation.steps.parameters", error) from error
    return parameters.model_dump(mode="json")


def schedule_clause(draft: ReconciliationDraft) -> Schedule:
    """When the job runs and how long it waits."""
    try:
        date.fromisoformat(draft.first_day)
        next_runs(draft.cron, "Asia/Shanghai", draft.run_days, now(), 1)
    except (CalendarError, ValueError) as error:
        raise clause_invalid(
            "schedule", f"调度设置不正确：{error}", f"the schedule is not valid: {error}"
        ) from error
    return build(
        Schedule,
        "schedule",
        cron=draft.cron,
        run_days=draft.run_days,
        first_day=draft.first_day,
        window_minutes=draft.window_minutes,
        cutoff_minutes=draft.cutoff_minutes,
        retry_seconds=draft.retry_seconds,
    )


def mandate_clause(draft: ReconciliationDraft) -> Mandate | None:
    """The statutory mandate, where there is one."""
    if draft.mandate_number is None:
        return None
    if draft.mandate_digest is None:
        raise clause_invalid(
            "mandate.file_digest",
            "请上传法定监管文件，以其 SHA-256 摘要写入合约",
            "the file of the statutory mandate is needed: its SHA-256 goes into the contract",
        )
    return build(
        Mandate,
        "mandate",
        document_number=draft.mandate_number,
        file_digest=draft.mandate_digest,
        authority=draft.regulator,
        supervised=tuple(dict.fromkeys([*draft.institutions, *draft.banks])),
    )


def build(model: type[D], clause: str, **fields: Any) -> D:
    """A clause out of its fields. Raises Refusal (clause_invalid)."""
    try:
        return model(**fields)
    except ValidationError as error:
        raise _of_validation(clause, error) from error
    except DocumentInvalid as error:
        raise clause_invalid(error.clause or clause, error.reason, error.reason) from error


def _of_validation(clause: str, error: ValidationError) -> Refusal:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join([part for part in (clause, *map(str, first["loc"])) if part])
    said = first["msg"].removeprefix("Value error, ")
    if not where and ": " in said:
        where, said = said.split(": ", 1)
    return clause_invalid(where, said, said)


def clause_invalid(clause: str, message_zh: str, message_en: str, *, party: str | None = None) -> Refusal:
    """422: names the clause at fault."""
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
