"""From a template's form to a contract: the scenario's clauses, the fields that its component reads, the parties' pinned keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from hefu.components.registry import COMPONENTS, code_digest
from hefu.domain.contract import (
    Computation,
    Contract,
    ContractDataSet,
    ContractField,
    Duties,
    Limits,
    Mandate,
    Output,
    Platform,
    Step,
)
from hefu.domain.dataset import LegalBasis, schema_digest
from hefu.domain.identity import Role
from hefu.domain.templates import TEMPLATES, Template
from hefu.domain.terms import Dominance, OutputColumn, SubjectTerms, UseTerms
from hefu.engine import ENGINE_VERSION
from hefu.node import clauses, drafts
from hefu.node.console_models import ParticipantView
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.contract_life_models import TemplateDraft, TemplateField, TemplateView
from hefu.node.draft_parts import Published, build, clause_invalid
from hefu.node.refusals import refuse
from hefu.store.base import now

_KINDS = {"sum": "sum", "count": "count", "subjects": "count"}


def list_views() -> list[TemplateView]:
    """Every scenario, those whose component is not installed with the reason why they are not available."""
    return [_view(template) for template in TEMPLATES.values()]


def draft_from_template(
    ctx: NodeContext, draft: TemplateDraft, participants: list[ParticipantView]
) -> Contract:
    """A contract of this scenario, ready to be proposed. Nothing is stored.

    raises  Refusal: template_unavailable (409) · clause_invalid (422) naming the clause
    """
    template = TEMPLATES[draft.template]
    if template.component not in COMPONENTS:
        raise refuse(
            409,
            "template_unavailable",
            f"模板“{template.name_zh}”所需组件 {template.component} 尚未安装",
            f"the template {template.name_en} needs the component {template.component}, which is not installed",
            "安装并评审该组件后再起草",
            "install and review the component first",
            limit=template.component,
        )
    if template.name != "joint_statistics":
        raise refuse(
            409,
            "template_unavailable",
            f"模板“{template.name_zh}”的起草尚未提供",
            f"drafting from the template {template.name_en} is not provided yet",
            limit=template.name,
        )
    owners = list(draft.data_sets)
    if len(owners) < 2:
        raise clause_invalid("data_sets", "至少需要两家数据提供方", "at least two data owners are needed")
    cast = [
        *owners,
        draft.recipient,
        *draft.compute_parties,
        draft.auditor,
        *draft.reviewers,
        ctx.kit.operator,
    ]
    applications = drafts.applications_of(ctx, list(dict.fromkeys(cast)), participants)
    parameters = _parameters(template, draft)
    wanted = _fields_of(parameters)
    data_sets = [_data_set(ctx, template, draft, owner, parameters, wanted) for owner in owners]
    version, previous = drafts.predecessor(ctx, draft.contract_id)
    return build(
        Contract,
        "",
        contract_id=draft.contract_id,
        version=version,
        previous=previous,
        proposer=ctx.org_id,
        template=template.name,
        title=draft.title,
        title_en=draft.title_en,
        purpose=draft.purpose or template.purpose,
        purpose_code=template.purpose_code,
        parties=tuple(
            drafts.party_clause(
                application,
                owner=org in owners,
                recipient=org == draft.recipient,
                compute=org in draft.compute_parties,
                auditor=org == draft.auditor,
                operator=org == ctx.kit.operator,
                standing=template.owner_standing,
            )
            for org, application in applications.items()
        ),
        platform=Platform(
            operator=ctx.kit.operator,
            coordinator_key=ctx.kit.coordinator_key,
            ledger_origin=ctx.kit.ledger_origin,
            ledger_vkey=ctx.kit.ledger_vkey,
        ),
        data_sets=tuple(data_sets),
        computation=build(
            Computation,
            "computation",
            technique="mpc_three_party",
            steps=(
                Step(
                    step_id=template.component,
                    component=template.component,
                    code_digest=code_digest(template.component),
                    engine_version=ENGINE_VERSION,
                    parameters=parameters,
                    inputs=tuple(d.data_set_id for d in data_sets),
                ),
            ),
            compute_parties=tuple(draft.compute_parties),
        ),
        outputs=(_output(template, draft, parameters),),
        limits=build(
            Limits,
            "limits",
            max_uses=draft.max_uses,
            max_rows=draft.max_rows,
            valid_from=draft.valid_from,
            valid_until=draft.valid_until,
        ),
        retention_days=draft.retention_days,
        automated_decision=template.automated_text,
        data_subjects=build(SubjectTerms, "data_subjects", responsible=owners[0]),
        min_set_difference=draft.min_group_size,
        duties=Duties(
            data_subject_contact=owners[0],
            incident_contact=ctx.kit.operator,
            complaints_contact=owners[0],
            liability=clauses.LIABILITY,
            termination=clauses.TERMINATION,
        ),
        risk_notice=clauses.RISK_NOTICE,
        mandate=_mandate(draft, owners, applications[draft.recipient].roles),
        signing_deadline=now().replace(microsecond=0) + timedelta(days=draft.signing_days),
    )


def _parameters(template: Template, draft: TemplateDraft) -> dict[str, Any]:
    """The component's parameters, as JSON; the smallest group is the output clause's."""
    given = {**draft.parameters, "min_group": draft.min_group_size}
    try:
        found = COMPONENTS[template.component].parameters.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        clause = ".".join(["computation.steps.parameters", *map(str, first["loc"])])
        raise clause_invalid(clause, first["msg"], first["msg"]) from error
    return found.model_dump(mode="json")


def _fields_of(parameters: dict[str, Any]) -> dict[str, str]:
    """Names that the component reads → their role in the template's necessity texts."""
    wanted = {str(parameters["subject"]): "subject"}
    wanted |= {str(key["field"]): "group_by" for key in parameters["group_by"]}
    if parameters.get("value") is not None:
        wanted[str(parameters["value"])] = "value"
    return wanted


def _data_set(
    ctx: NodeContext,
    template: Template,
    draft: TemplateDraft,
    owner: str,
    parameters: dict[str, Any],
    wanted: dict[str, str],
) -> ContractDataSet:
    answer = ctx.client.get(COORDINATOR, "/api/data-sets")
    found = [
        p
        for p in map(Published.model_validate, answer)
        if p.owner == owner and p.definition.data_set_id == draft.data_sets[owner]
    ]
    if len(found) != 1 or schema_digest(found[0].definition) != found[0].schema_digest:
        raise clause_invalid(
            "data_sets",
            f"{owner} 没有公布数据集 {draft.data_sets[owner]}，或其结构摘要不符",
            f"{owner} has not published {draft.data_sets[owner]}, or its schema digest does not fit",
            party=owner,
        )
    definition, renamed = found[0].definition, parameters.get("columns", {}).get(owner, {})
    names = [f.name for f in definition.fields]
    fields = []
    for name, role in wanted.items():
        column = str(renamed.get(name, name))
        if column not in names:
            raise clause_invalid(
                "data_sets.fields",
                f"数据集“{definition.name}”没有列“{column}”",
                f"data set {definition.name!r} has no column {column!r}",
                party=owner,
            )
        clause = definition.field(column).model_dump(exclude={"meaning_zh", "meaning_en"})
        fields.append(ContractField(**clause, necessity=template.necessity[role]))
    mandated = draft.mandate_number is not None
    return build(
        ContractDataSet,
        "data_sets",
        data_set_id=definition.data_set_id,
        owner=owner,
        kind=definition.kind,
        schema_digest=found[0].schema_digest,
        fields=tuple(fields),
        source_kind=definition.source_kind,
        legal_basis=LegalBasis.STATUTORY_DUTY if mandated else definition.legal_basis,
        legal_basis_note=draft.mandate_number or definition.legal_basis_note,
        subject_field=str(renamed.get(parameters["subject"], parameters["subject"])),
    )


def _output(template: Template, draft: TemplateDraft, parameters: dict[str, Any]) -> Output:
    columns = [OutputColumn(name=key["field"], kind="group_key") for key in parameters["group_by"]]
    columns += [
        OutputColumn.model_validate({"name": name, "kind": _KINDS[name]}) for name in parameters["release"]
    ]
    rule = parameters.get("dominance")
    return build(
        Output,
        "outputs",
        recipient=draft.recipient,
        form=template.form,
        columns=tuple(columns),
        min_group_size=draft.min_group_size,
        dominance=None if rule is None else Dominance.model_validate(rule),
        reviewers=tuple(draft.reviewers),
        purpose_bound=template.purpose_bound,
        use_terms=UseTerms(valid_days=draft.retention_days),
    )


def _mandate(draft: TemplateDraft, owners: list[str], roles: tuple[Role, ...]) -> Mandate | None:
    if draft.mandate_number is None:
        return None
    if draft.mandate_digest is None:
        raise clause_invalid(
            "mandate.file_digest",
            "请上传法定监管文件，以其 SHA-256 摘要写入合约",
            "the file of the statutory mandate is needed: its SHA-256 goes into the contract",
        )
    if Role.REGULATOR not in roles:
        raise clause_invalid(
            "mandate.authority",
            f"{draft.recipient} 未以监管方角色准入",
            f"{draft.recipient} was not admitted as a regulator",
            party=draft.recipient,
        )
    return build(
        Mandate,
        "mandate",
        document_number=draft.mandate_number,
        file_digest=draft.mandate_digest,
        authority=draft.recipient,
        supervised=tuple(owners),
    )


def _view(template: Template) -> TemplateView:
    installed = template.component in COMPONENTS
    drafted = template.name in ("t1_reconciliation", "joint_statistics")
    reason = ("", "")
    if not installed:
        reason = (
            f"组件 {template.component} 尚未安装",
            f"the component {template.component} is not installed",
        )
    elif not drafted:
        reason = ("起草尚未提供", "drafting is not provided yet")
    return TemplateView(
        template=template.name,
        name_zh=template.name_zh,
        name_en=template.name_en,
        available=installed and drafted,
        reason_zh=reason[0],
        reason_en=reason[1],
        component=template.component,
        roles={role: list(bounds) for role, bounds in template.roles.items()},
        clauses={
            "purpose": template.purpose,
            "purpose_code": template.purpose_code,
            "necessity": dict(template.necessity),
            "consents": [kind.value for kind in template.consents],
            "form": template.form,
            "min_group_size": 20,
            "dominance": Dominance().model_dump() if template.dominance else None,
            "retention_days": template.retention_days,
            "milestones": list(template.milestones),
            "automated": template.automated,
            "automated_decision": template.automated_text,
            "model_terms": template.model,
        },
        fields=_form(template),
    )


def _form(template: Template) -> list[TemplateField]:
    def ask(name: str, kind: Any, zh: str, en: str, default: Any = None) -> TemplateField:
        required = default is None
        return TemplateField(
            name=name, type=kind, label_zh=zh, label_en=en, required=required, default=default
        )

    fields = [
        ask("contract_id", "text", "合约编号", "Contract id"),
        ask("title", "text", "名称（中文）", "Title (Chinese)"),
        ask("title_en", "text", "名称（英文）", "Title (English)"),
        ask("purpose", "text", "目的", "Purpose", template.purpose),
    ]
    for role in template.roles:
        if role == "owners":
            fields.append(ask("data_sets", "data_sets", "数据提供方及数据集", "Owners and their data sets"))
        else:
            many = template.roles[role][1] != 1
            zh, en = _LABELS[role]
            fields.append(ask(role, "organisations" if many else "organisation", zh, en))
    fields += [
        ask("valid_from", "date", "有效期起", "In force from"),
        ask("valid_until", "date", "有效期止", "In force until"),
        ask("max_uses", "number", "使用次数上限", "Uses at most", 12),
        ask("retention_days", "number", "保存天数", "Retention in days", template.retention_days),
    ]
    if template.name == "joint_statistics":
        fields += [
            ask(
                "parameters",
                "object",
                "统计口径（主体、分组、求和列、输出列）",
                "Subject, groups, value, columns released",
            ),
            ask("min_group_size", "number", "最小组（不同主体数）", "Smallest group (distinct subjects)", 20),
        ]
    return fields


_LABELS = {
    "recipient": ("结果接收方", "Recipient"),
    "compute_parties": ("计算方（三家）", "Compute parties (three)"),
    "auditor": ("审计方", "Auditor"),
    "institutions": ("从业机构", "Institutions"),
    "banks": ("银行", "Banks"),
    "regulator": ("监管方", "Regulator"),
}
