"""From the contract form to the document: keys, schema digests, code digest and the standing clauses.

Keys are taken from the applications as the applicants signed them, never from what the registry says of them. Fields
come from the metadata that owners published, and only those that the computation needs (最小必要, K10).
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict
from sqlmodel import col, select

from hefu.components.registry import code_digest
from hefu.domain.contract import (
    Computation,
    Contract,
    Duties,
    LegalStanding,
    Limits,
    Output,
    Party,
    Platform,
    Step,
)
from hefu.domain.identity import Application, Role
from hefu.domain.terms import UseTerms
from hefu.engine import ENGINE_VERSION
from hefu.node import clauses
from hefu.node.console_models import ParticipantView, ReconciliationDraft
from hefu.node.context import COORDINATOR, NodeContext
from hefu.node.draft_parts import (
    build,
    choose_data_sets,
    clause_invalid,
    data_set_clause,
    mandate_clause,
    parameters_of,
    schedule_clause,
)
from hefu.store.base import now
from hefu.store.node_tables import ContractRow
from hefu.store.signed import read_application


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
    applications = applications_of(ctx, cast, participants)
    data_sets = [data_set_clause(draft, found, side) for found, side in choose_data_sets(ctx, draft)]
    parameters = parameters_of(draft, data_sets)
    version, previous = predecessor(ctx, draft.contract_id)
    return build(
        Contract,
        "",
        contract_id=draft.contract_id,
        version=version,
        previous=previous,
        proposer=ctx.org_id,
        template="t1_reconciliation",
        title=draft.title,
        title_en=draft.title_en,
        purpose=draft.purpose,
        purpose_code=clauses.PURPOSE_CODE,
        parties=tuple(_party(ctx, draft, application) for application in applications.values()),
        platform=Platform(
            operator=ctx.kit.operator,
            coordinator_key=ctx.kit.coordinator_key,
            ledger_origin=ctx.kit.ledger_origin,
            ledger_vkey=ctx.kit.ledger_vkey,
        ),
        data_sets=tuple(contract_data_set for contract_data_set, _ in data_sets),
        computation=build(
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
            build(
                Output,
                "outputs",
                recipient=draft.regulator,
                form="row_status",
                reviewers=tuple(draft.reviewers),
                purpose_bound=clauses.PURPOSE_BOUND,
                use_terms=UseTerms(valid_days=max(1, draft.retention_days)),
            ),
        ),
        limits=build(
            Limits,
            "limits",
            max_uses=draft.max_uses,
            max_rows=draft.max_rows,
            valid_from=draft.valid_from,
            valid_until=draft.valid_until,
        ),
        schedule=schedule_clause(draft),
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
        mandate=mandate_clause(draft),
        signing_deadline=now().replace(microsecond=0) + timedelta(days=draft.signing_days),
    )


def _cast(ctx: NodeContext, draft: ReconciliationDraft) -> list[str]:
    """Every organisation of the contract, each once."""
    if not draft.institutions or not draft.banks:
        raise clause_invalid(
            "data_sets", "至少需要一家从业机构和一家银行", "at least one institution and one bank are needed"
        )
    both = set(draft.institutions) & set(draft.banks)
    if both:
        raise clause_invalid(
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


def applications_of(
    ctx: NodeContext, cast: list[str], participants: list[ParticipantView]
) -> dict[str, Application]:
    """The applications of the cast, each verified under its own identity key; the kit's are taken from the kit."""
    admitted = {p.org_id: p for p in participants if p.state == "admitted" and p.standing == "active"}
    answer = ctx.client.get(COORDINATOR, "/api/participants")
    registered = {r.org_id: r for r in map(_Registered.model_validate, answer) if r.state == "admitted"}
    found: dict[str, Application] = {}
    for org in cast:
        if org not in admitted or org not in registered:
            raise clause_invalid(
                "parties", f"{org} 未准入或已暂停", f"{org} is not admitted, or suspended", party=org
            )
        pinned = ctx.kit.applications.get(org)
        application = read_application(pinned or registered[org].application)
        if application.org_id != org:
            raise clause_invalid(
                "parties",
                f"{org} 的准入申请不属于该机构",
                f"the application of {org} is not its own",
                party=org,
            )
        found[org] = application
    return found


def _party(ctx: NodeContext, draft: ReconciliationDraft, application: Application) -> Party:
    org = application.org_id
    return party_clause(
        application,
        owner=org in draft.institutions or org in draft.banks,
        recipient=org == draft.regulator,
        compute=org in draft.compute_parties,
        auditor=org == draft.auditor,
        operator=org == ctx.kit.operator,
        standing=LegalStanding.PI_HANDLER,
        authority=org == draft.regulator,
    )


def party_clause(
    application: Application,
    *,
    owner: bool,
    recipient: bool,
    compute: bool,
    auditor: bool,
    operator: bool,
    standing: LegalStanding,
    authority: bool | None = None,
) -> Party:
    """A party's clause, its keys as it applied with them. Raises Refusal (clause_invalid) where a role was not admitted.

    standing   of those who give data
    authority  receives as an authority; None: where it was admitted as a regulator
    """
    org = application.org_id
    if authority is None:
        authority = recipient and Role.REGULATOR in application.roles
    if owner:
        legal = standing
    elif authority:
        legal = LegalStanding.AUTHORITY
    elif compute or operator:
        legal = LegalStanding.ENTRUSTED_PARTY
    else:
        legal = LegalStanding.THIRD_PARTY
    roles = [Role.DATA_PROVIDER] if owner else []
    roles += [Role.COMPUTE_PARTY] if compute else []
    roles += [Role.RESULT_CONSUMER] if recipient else []
    roles += [Role.REGULATOR] if authority else []
    roles += [Role.AUDITOR] if auditor else []
    roles += [Role.SCHEDULER, Role.PLATFORM_PROVIDER] if operator else []
    missing = [
        role.value
        for role in roles
        if role not in application.roles and role in (Role.AUDITOR, Role.REGULATOR)
    ]
    if missing:
        raise clause_invalid(
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
        legal_standing=legal,
        application=application.digest,
        identity_key=application.keys.identity,
        sealing_key=application.keys.sealing,
        tls_spki=application.keys.tls_spki,
        url=application.url,
        channel_host=application.channel_host,
        channel_port=application.channel_port,
    )


def predecessor(ctx: NodeContext, contract_id: str) -> tuple[int, str | None]:
    """Version and predecessor: the newest version that this node knows comes before."""
    with ctx.session() as session:
        newest = session.exec(
            select(ContractRow)
            .where(ContractRow.contract_id == contract_id)
            .order_by(col(ContractRow.version).desc())
        ).first()
    return (1, None) if newest is None else (newest.version + 1, newest.digest)
