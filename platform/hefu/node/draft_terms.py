"""What a form adds to a draft: row filters, legal basis and consent chain per data set, authorisation, limits per period, a trial,
the reviewers' quorum and hours (WP-A, 3.1, 3.3, 3.9).

The draft comes from a template with its standing clauses; this changes those that the form names and checks the whole anew.
"""

from __future__ import annotations

from typing import Any

from hefu.domain.contract import Contract, ContractDataSet, Output
from hefu.domain.dataset import LegalBasis, SensitiveCategory
from hefu.domain.periods import Period
from hefu.domain.rowfilter import RowFilterInvalid, check_types, parse_row_filter
from hefu.domain.terms import Consent, Milestone, MilestoneKind, PeriodLimit, Trial
from hefu.node.contract_life_models import ConsentTerms, DataSetTerms, FurtherTerms, TrialTerms
from hefu.node.draft_parts import build, clause_invalid

_PERIODS: dict[Period, str] = {"day": "日", "week": "周", "month": "月", "year": "年"}


def add_terms(contract: Contract, terms: FurtherTerms) -> Contract:
    """The draft with these clauses. Raises Refusal (clause_invalid) naming clause and, where there is one, the party."""
    if stranger := next((org for org in terms.data_sets if org not in contract.owners()), None):
        raise clause_invalid(
            "data_sets",
            f"{stranger} 不是该合约的数据提供方",
            f"{stranger} gives no data under this contract",
            party=stranger,
        )
    changes: dict[str, Any] = {
        "data_sets": tuple(_data_set(contract, d, terms.data_sets.get(d.owner)) for d in contract.data_sets),
        "limits": build(
            type(contract.limits),
            "limits",
            **{
                **dict(contract.limits),
                "authorisation": terms.authorisation,
                "per_period": _per_period(contract, terms),
            },
        ),
        "outputs": tuple(_reviewed(output, terms) for output in contract.outputs),
    }
    if terms.trial is not None:
        changes |= _trial(contract, terms.trial)
    return build(Contract, "", **{**dict(contract), **changes})


def _per_period(contract: Contract, terms: FurtherTerms) -> tuple[PeriodLimit, ...]:
    if not terms.per_period:
        return contract.limits.per_period
    for period, uses in terms.per_period.items():
        if uses > contract.limits.max_uses:
            raise clause_invalid(
                "limits.per_period",
                f"每{_PERIODS[period]} {uses} 次多于合约总次数 {contract.limits.max_uses}",
                f"{uses} uses a {period} are more than the contract's {contract.limits.max_uses} in all",
            )
    return tuple(
        PeriodLimit(period=p, max_uses=terms.per_period[p]) for p in _PERIODS if p in terms.per_period
    )


def _reviewed(output: Output, terms: FurtherTerms) -> Output:
    if terms.quorum is None and terms.review_hours is None:
        return output
    if (terms.quorum or 1) > len(output.reviewers):
        raise clause_invalid(
            "outputs.quorum",
            f"审核方只有 {len(output.reviewers)} 家，达不到设定的通过数或没有审核方可限时",
            f"there are {len(output.reviewers)} reviewers: too few for that quorum, or none whom a deadline could bind",
        )
    return build(
        Output,
        "outputs",
        **{**dict(output), "quorum": terms.quorum, "review_hours": terms.review_hours},
    )


def _data_set(contract: Contract, clause: ContractDataSet, terms: DataSetTerms | None) -> ContractDataSet:
    if terms is None:
        return clause
    basis = terms.legal_basis or clause.legal_basis
    if contract.mandate is not None and basis is not LegalBasis.STATUTORY_DUTY:
        raise clause_invalid(
            "data_sets.legal_basis",
            "依法定授权开展的合约，合法性基础为履行法定职责或法定义务",
            "under a statutory mandate the legal basis is the statutory duty",
            party=clause.owner,
        )
    names = [field.name for field in clause.fields]
    subject = terms.subject_field or clause.subject_field
    if subject is not None and subject not in names:
        raise clause_invalid(
            "data_sets.subject_field",
            f"“{subject}”不在合约使用的字段（{'、'.join(names)}）之中",
            f"{subject!r} is none of the fields that the contract uses ({', '.join(names)})",
            party=clause.owner,
        )
    consents: tuple[Consent, ...] = ()
    if basis is LegalBasis.CONSENT:
        consents = tuple(_consent(contract, clause, consent) for consent in terms.consents)
        if not consents:
            raise clause_invalid(
                "data_sets.consents",
                "以同意为合法性基础的数据集须写明授权链条（告知书、形式、参与方、操作、期限）",
                "a data set that rests on consent names its consent chain: notice, kinds, participants, operations, term",
                party=clause.owner,
            )
    kept = "" if basis is not clause.legal_basis else clause.legal_basis_note
    return build(
        ContractDataSet,
        "data_sets",
        **{
            **dict(clause),
            "row_filter": _row_filter(clause, terms.row_filter),
            "legal_basis": basis,
            "legal_basis_note": terms.legal_basis_note or kept,
            "subject_field": subject,
            "consents": consents,
            **_flags(terms),
        },
    )


def _flags(terms: DataSetTerms) -> dict[str, bool]:
    """What the form says about the rows' kind; what it leaves open stays as drafted."""
    said = {"important": terms.important, "minors": terms.minors, "events": terms.events}
    return {name: value for name, value in said.items() if value is not None}


def _row_filter(clause: ContractDataSet, text: str) -> str:
    try:
        check_types(parse_row_filter(text), {field.name: field.type for field in clause.fields})
    except RowFilterInvalid as error:
        names = ", ".join(field.name for field in clause.fields)
        raise clause_invalid(
            "data_sets.row_filter",
            f"行过滤条件不正确（可用字段：{names}）：{error}",
            f"the row filter is not valid (fields: {names}): {error}",
            party=clause.owner,
        ) from error
    return text.strip()


def _consent(contract: Contract, clause: ContractDataSet, terms: ConsentTerms) -> Consent:
    parties = [party.org_id for party in contract.parties]
    if stranger := next((org for org in terms.participants if org not in parties), None):
        raise clause_invalid(
            "data_sets.consents.participants",
            f"授权列明的 {stranger} 不是合约当事方",
            f"{stranger}, whom the consent names, is not a party of this contract",
            party=clause.owner,
        )
    if terms.expires_on is not None and terms.expires_on < terms.obtained_on:
        raise clause_invalid(
            "data_sets.consents.expires_on",
            "授权的到期日早于取得日",
            "the consent ends before it was obtained",
            party=clause.owner,
        )
    return build(
        Consent,
        "data_sets.consents",
        collector=terms.collector or clause.owner,
        notice_digest=terms.notice_digest,
        notice_version=terms.notice_version,
        kinds=tuple(terms.kinds),
        participants=tuple(terms.participants or parties),
        operations=tuple(terms.operations),
        purposes=(contract.purpose_code,),
        sensitive=_sensitive(clause),
        obtained_on=terms.obtained_on,
        expires_on=terms.expires_on,
    )


def _sensitive(clause: ContractDataSet) -> tuple[SensitiveCategory, ...]:
    found = {field.sensitive for field in clause.fields} - {SensitiveCategory.NONE}
    return tuple(sorted(found))


def _trial(contract: Contract, terms: TrialTerms) -> dict[str, Any]:
    if terms.max_rows > contract.limits.max_rows or terms.max_uses > contract.limits.max_uses:
        raise clause_invalid(
            "trial",
            "试点限额须不高于合约限额",
            "a trial's limits are not above the contract's",
        )
    acceptance = build(
        Milestone,
        "milestones",
        kind=MilestoneKind.ACCEPTANCE,
        due_on=terms.acceptance_due,
        evidence=terms.evidence,
        confirmed_by=tuple(terms.confirmed_by),
    )
    others = tuple(m for m in contract.milestones if m.kind is not MilestoneKind.ACCEPTANCE)
    return {
        "trial": build(Trial, "trial", max_rows=terms.max_rows, max_uses=terms.max_uses),
        "milestones": (*others, acceptance),
    }
